"""The local control socket: people and programs on the board ask, one JSON line each way.

Request {"verb": "...", "args": {...}}, answer {"ok": true|false, "data": ...}; a refusal's data has "error".
Who may open the socket may ask everything: mode 0660, its group is that of the directory.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from agent.core.effects import Answer
from agent.core.events import Asked
from agent.io.logs import StationLog

LINE_MOST_BYTES = 64 * 1024
CLIENTS_MOST = 32
ANSWER_WITHIN_S = 10.0
TAIL_WAITING_MOST = 256
VERB_MOST = 40
"""Characters of a verb's name; which there are is known to the station."""
TAIL = "ocpp.tail"

Verb = Callable[[Mapping[str, Any]], Awaitable[Any]]
"""A verb that is answered beside the station; raises Refused with the reason."""


class Refused(Exception):
    """The answer to a request is no; the text says why."""


class ControlError(Exception):
    """The socket cannot be opened."""


class ControlSocket:
    """Turns requests into Asked events for `post`, except those of `verbs` and the frames' tail."""

    def __init__(
        self, path: Path, post: Callable[[Asked], None], verbs: Mapping[str, Verb], frames: StationLog
    ) -> None:
        self._path = path
        self._post = post
        self._verbs = verbs
        self._frames = frames
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()
        self._asked: dict[int, asyncio.Future[Answer]] = {}
        self._asks = 0

    async def open(self) -> None:
        """Listen. Raises ControlError when another agent listens there or the path cannot be used."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            _remove_stale(self._path)
            before = os.umask(0o117)
            try:
                self._server = await asyncio.start_unix_server(
                    self._accept, self._path, limit=LINE_MOST_BYTES
                )
            finally:
                os.umask(before)
        except OSError as error:
            raise ControlError(f"control socket {self._path}: {error.strerror or error}") from error

    def answer(self, effect: Answer) -> None:
        """The station's answer to an Asked; one that nobody waits for any more is dropped."""
        waiting = self._asked.pop(effect.ask, None)
        if waiting and not waiting.done():
            waiting.set_result(effect)

    async def close(self) -> None:
        """Stop listening and end every client."""
        if self._server is None:
            return
        self._server.close()
        for client in list(self._clients):
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        self._path.unlink(missing_ok=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        try:
            if len(self._clients) > CLIENTS_MOST:
                await _send(writer, False, {"error": f"more than {CLIENTS_MOST} clients; try again later"})
                return
            await self._serve(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._clients.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                line = await reader.readuntil(b"\n")
            except asyncio.IncompleteReadError:
                return
            except asyncio.LimitOverrunError:
                await _send(writer, False, {"error": f"line longer than {LINE_MOST_BYTES} bytes"})
                return
            try:
                verb, args = self._request(line)
                if verb == TAIL:
                    await self._tail(reader, writer, args)
                    return
                ok, data = await self.ask(verb, args)
            except Refused as refusal:
                ok, data = False, {"error": str(refusal)}
            await _send(writer, ok, data)

    def _request(self, line: bytes) -> tuple[str, dict[str, Any]]:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise Refused(f"not JSON: {error}") from error
        if not isinstance(request, dict) or not isinstance(request.get("verb"), str):
            raise Refused('expected {"verb": "...", "args": {...}} on one line')
        args = request.get("args", {})
        if not isinstance(args, dict):
            raise Refused("args: expected an object")
        for name, value in args.items():
            if not isinstance(value, str | int | float | None):
                raise Refused(f"args: {name[:40]}: expected a text, a number, true, false or null")
        verb = request["verb"]
        if len(verb) > VERB_MOST:
            raise Refused(f"no such verb: {verb[:VERB_MOST]!r}...")
        return verb, args

    async def ask(self, verb: str, args: Mapping[str, Any]) -> tuple[bool, Any]:
        """The answer to one question: whether it is yes, and its data. Raises Refused."""
        raw = verb == "meter.read" and args.get("raw") is True
        own = self._verbs.get("meter.read-raw" if raw else verb)
        if own:
            return True, await own(args)
        self._asks += 1
        ask = self._asks
        waiting: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._asked[ask] = waiting
        self._post(Asked(ask, verb, args))
        try:
            answer = await asyncio.wait_for(waiting, ANSWER_WITHIN_S)
        except TimeoutError:
            raise Refused(f"no answer within {ANSWER_WITHIN_S:g} s") from None
        finally:
            self._asked.pop(ask, None)
        return answer.ok, answer.data

    async def _tail(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, args: dict[str, Any]
    ) -> None:
        """The last frames, then each new one, until the client closes. A client too slow loses the oldest."""
        last = args.get("last", 20)
        if not isinstance(last, int) or not 0 <= last <= 1000:
            raise Refused("last: expected a number from 0 to 1000")
        lines: asyncio.Queue[dict[str, Any]] = asyncio.Queue(TAIL_WAITING_MOST)

        def take(line: dict[str, Any]) -> None:
            if lines.full():
                lines.get_nowait()
            lines.put_nowait(line)

        for line in self._frames.recent(last):
            writer.write(_line(line))
        stop = self._frames.listen(take)
        sender = asyncio.create_task(_forward(lines, writer))
        try:
            while await reader.read(4096):
                pass
        finally:
            stop()
            sender.cancel()


async def _forward(lines: asyncio.Queue[dict[str, Any]], writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while True:
            await writer.drain()
            writer.write(_line(await lines.get()))


async def _send(writer: asyncio.StreamWriter, ok: bool, data: Any) -> None:
    writer.write(_line({"ok": ok, "data": data}))
    await writer.drain()


def _line(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), default=str).encode() + b"\n"


def _remove_stale(path: Path) -> None:
    """Remove the socket that a dead process left. Raises OSError when somebody answers or it is no socket."""
    if not path.exists():
        return
    if not path.is_socket():
        raise OSError(errno.EEXIST, "the path exists and is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            path.unlink(missing_ok=True)
            return
    raise OSError(errno.EADDRINUSE, "another chargerd answers there")
