"""The smallest CSMS: it answers everything at once and checks nothing, so that it costs little."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

Json = dict[str, Any]


class QuickCsms:
    """For one station. `calls` are its CALLs as (perf_counter, action, payload)."""

    def __init__(self) -> None:
        self.calls: list[tuple[float, str, Json]] = []
        self.port = 0
        self.answer_after_s = 0.0
        """An artificial round trip: every answer waits so long."""
        self._ids = itertools.count(1)
        self._pending: dict[str, asyncio.Future[tuple[float, Json]]] = {}
        self._socket: ServerConnection | None = None
        self._server: Server | None = None
        self._changed = asyncio.Event()

    async def start(self) -> None:
        self._server = await serve(
            self._connected,
            "127.0.0.1",
            self.port,
            subprotocols=[Subprotocol("ocpp2.0.1")],
            compression=None,
            ping_interval=None,
        )
        self.port = next(iter(self._server.sockets)).getsockname()[1]

    async def stop(self) -> None:
        """Close the connection and the port; `start` opens the same one again."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def exchange(
        self, action: str, payload: Json, timeout_s: float = 10.0
    ) -> tuple[float, float, Json]:
        """Call the station: perf_counter just before sending, seconds until the answer, and its payload."""
        assert self._socket is not None, "no station is connected"
        id = f"b{next(self._ids)}"
        text = json.dumps([2, id, action, payload])
        future = self._pending[id] = asyncio.get_running_loop().create_future()
        sent = time.perf_counter()
        await self._socket.send(text)
        received, answer = await asyncio.wait_for(future, timeout_s)
        return sent, received - sent, answer

    async def wait_until(self, condition: Callable[[], object], timeout_s: float = 60.0) -> None:
        """Return once `condition()` holds, looked at after every frame; raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def events(self, kind: str) -> list[Json]:
        """The TransactionEvents of a type: Started, Updated or Ended."""
        return [p for _, action, p in self.calls if action == "TransactionEvent" and p["eventType"] == kind]

    @property
    def booted(self) -> bool:
        return any(action == "BootNotification" for _, action, _ in self.calls)

    async def _connected(self, socket: ServerConnection) -> None:
        self._socket = socket
        with contextlib.suppress(ConnectionClosed):  # the station was killed
            await self._converse(socket)

    async def _converse(self, socket: ServerConnection) -> None:
        async for text in socket:
            now = time.perf_counter()
            frame = json.loads(text)
            if frame[0] == 2:
                self.calls.append((now, frame[2], frame[3]))
                if self.answer_after_s:
                    await asyncio.sleep(self.answer_after_s)
                await socket.send(json.dumps([3, frame[1], _answer(frame[2], frame[3])]))
            elif frame[1] in self._pending:
                answer = frame[2] if frame[0] == 3 else {"error": frame[2:]}
                self._pending.pop(frame[1]).set_result((now, answer))
            self._changed.set()


def _answer(action: str, payload: Json) -> Json:
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    match action:
        case "BootNotification":
            return {"currentTime": now, "interval": 3600, "status": "Accepted"}
        case "Heartbeat":
            return {"currentTime": now}
        case "Authorize":
            return {"idTokenInfo": {"status": "Accepted"}}
        case "TransactionEvent" if "idToken" in payload:
            return {"idTokenInfo": {"status": "Accepted"}}
    return {}
