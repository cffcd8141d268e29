"""The websocket to the CSMS (OCPP 2.0.1 Part 4): dials, sends, receives, and says what became of it.

It keeps no policy: when to dial again, how often to ping and what to say is the core's business. Each attempt
ends in exactly one LinkDown whose reason a person can act on.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

from agent.core.effects import Connect, Disconnect, Say, SetPing
from agent.core.events import Event, FrameReceived, LinkDown, LinkUp
from agent.io import tls
from agent.io.dial import ClientConnection, ConnectionClosed, dial, flaw_of, reason_of, status_of
from agent.io.revocation import Judgement, Records

OUTGOING_MOST = 1024
"""Frames that wait for a CSMS that reads too slowly; one more and the connection is given up."""
OUTGOING_PAUSE = 64
"""With so many waiting to go out nothing more is read, so that a flood of CALLs cannot pile up answers."""

Watch = Callable[[str, int, str], None]
"""Sees every text frame: direction (">" to the CSMS, "<" from it), connection, text."""


class Link:
    """Executes Connect, Disconnect, Say and SetPing; events go to `emit`, frames also to `watch`."""

    def __init__(
        self,
        emit: Callable[[Event], None],
        watch: Watch,
        home: Path,
        note: Callable[[str, str, str], None] = lambda level, topic, text: None,
        *,
        open_timeout_s: float = 20.0,
        close_timeout_s: float = 3.0,
    ) -> None:
        self.emit = emit
        self.watch = watch
        self.home = home
        """Where the certificates are."""
        self.note = note
        self.open_timeout_s = open_timeout_s
        self.close_timeout_s = close_timeout_s
        self._wires: dict[int, _Wire] = {}

    def execute(self, effect: Connect | Disconnect | Say | SetPing) -> None:
        """Queue the effect and return; what is meant for a connection that is gone is dropped."""
        if isinstance(effect, Connect):
            self._wires[effect.connection] = _Wire(self, effect)
        elif wire := self._wires.get(effect.connection):
            if isinstance(effect, Say):
                wire.say(effect.text)
            elif isinstance(effect, Disconnect):
                wire.disconnect(effect.reason)
            else:
                wire.set_ping(effect)

    def ended(self, connection: int, reason: str, status: int | None, flaw: str) -> None:
        """A wire tells its end."""
        self._wires.pop(connection, None)
        self.emit(LinkDown(connection, reason, status, flaw))

    async def close(self, reason: str = "agent stops") -> None:
        """Send what is queued, close every connection properly and wait for it (a few seconds at most)."""
        wires = list(self._wires.values())
        for wire in wires:
            wire.disconnect(reason)
        if wires:
            await asyncio.wait([wire.task for wire in wires], timeout=3 * self.close_timeout_s)


class _Wire:
    """One connection, from dialling to its LinkDown."""

    def __init__(self, link: Link, order: Connect) -> None:
        self._link = link
        self._order = order
        self._ping = SetPing(order.connection, order.ping_s, order.pong_s)
        self._queue: asyncio.Queue[str | None] = asyncio.Queue(OUTGOING_MOST)
        self._socket: ClientConnection | None = None
        self._ending = ""
        self._flaw = ""
        self.task = asyncio.get_running_loop().create_task(self._talk())
        self.task.add_done_callback(self._ended)

    def say(self, text: str) -> None:
        if self._socket is None or self._ending:
            return
        try:
            self._queue.put_nowait(text)
        except asyncio.QueueFull:
            self._ending = f"the CSMS does not take frames: {OUTGOING_MOST} are waiting"
            self.task.cancel()

    def disconnect(self, reason: str) -> None:
        if self._ending:
            return
        self._ending = reason
        if self._socket is None or self._queue.full():
            self.task.cancel()
            return
        self._queue.put_nowait(None)
        asyncio.get_running_loop().call_later(2 * self._link.close_timeout_s, self.task.cancel)

    def set_ping(self, ping: SetPing) -> None:
        self._ping = ping
        if self._socket is None:
            return
        if self._socket.keepalive_task:
            self._socket.keepalive_task.cancel()
        self._socket.ping_interval = ping.ping_s or None
        self._socket.ping_timeout = _pong_wait_s(ping)
        self._socket.start_keepalive()

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Whatever a peer or the library did, it ended this connection only."""
        if self._socket:
            self._socket.transport.abort()
        error = None if task.cancelled() else task.exception()
        reason = reason_of(error, self._link.open_timeout_s) if error else "agent stops"
        status = status_of(error) if error else None
        flaw = flaw_of(error) if error and self._socket is None else self._flaw
        self._link.ended(self._order.connection, self._ending or reason, status, flaw)

    async def _talk(self) -> None:
        """Dial and exchange frames; raises what ended it."""
        link, dialled = self._link, self._ping
        websocket, root, records = await dial(
            self._order,
            link.home,
            ping_s=dialled.ping_s,
            pong_wait_s=_pong_wait_s(dialled),
            open_timeout_s=link.open_timeout_s,
            close_timeout_s=link.close_timeout_s,
        )
        self._socket = websocket
        if self._ping != dialled:
            self.set_ping(self._ping)
        link.emit(LinkUp(self._order.connection, websocket.subprotocol or "", tls.described(websocket.transport), root))
        writer = asyncio.create_task(self._write(websocket))
        writer.add_done_callback(self._writer_ended)
        guard = asyncio.create_task(self._guard(records)) if records is not None else None
        try:
            await self._read(websocket, writer)
        finally:
            writer.cancel()
            if guard is not None:
                guard.cancel()

    async def _guard(self, records: Records) -> None:
        """Beside an open connection: it ends when the certificate of the CSMS turns out to be revoked."""

        def note(judged: Judgement) -> None:
            if judged.doubt:
                level = "warning" if judged.in_vain else "info"
                self._link.note(level, "link", f"certificate of the CSMS: {judged.doubt}")

        error = tls.Untrusted(await records.until_wrong(note))
        self._flaw, self._ending = tls.CSMS, reason_of(error, self._link.open_timeout_s)
        self.task.cancel()

    async def _read(self, websocket: ClientConnection, writer: asyncio.Task[None]) -> None:
        connection = self._order.connection
        while True:
            message = await websocket.recv()
            text = message if isinstance(message, str) else None
            self._link.watch("<", connection, "(binary frame)" if text is None else text)
            self._link.emit(FrameReceived(connection, text))
            await asyncio.sleep(0)
            if self._queue.qsize() > OUTGOING_PAUSE:
                await self._room(writer)

    async def _room(self, writer: asyncio.Task[None]) -> None:
        empty = asyncio.create_task(self._queue.join())
        await asyncio.wait({empty, writer}, return_when=asyncio.FIRST_COMPLETED)
        empty.cancel()

    def _writer_ended(self, writer: asyncio.Task[None]) -> None:
        if not writer.cancelled() and (error := writer.exception()):
            self._ending = f"sending failed: {error!r}"
            self.task.cancel()

    async def _write(self, websocket: ClientConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            while (text := await self._queue.get()) is not None:
                await websocket.send(text.encode("utf-8", "replace"), text=True)
                self._link.watch(">", self._order.connection, text)
                self._queue.task_done()
            await websocket.close(1000, self._ending[:100])


def _pong_wait_s(ping: SetPing) -> float:
    return float(min(ping.pong_s, ping.ping_s or ping.pong_s))
