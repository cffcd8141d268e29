"""The bench CSMS: a websocket server that records, judges and answers."""

from __future__ import annotations

import asyncio
import base64
import binascii
import time
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from http import HTTPStatus
from typing import Any, TextIO
from urllib.parse import unquote

from ocpp.messages import Call, CallError, CallResult, unpack
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from hil.csms import rules
from hil.csms.answers import Answers
from hil.csms.behaviour import Behaviour
from hil.csms.record import Book, Direction, Frame, Kind, Transaction, Violation

SUBPROTOCOL = Subprotocol("ocpp2.0.1")


class CallFailed(Exception):
    """The station answered a call with a CALLERROR."""

    def __init__(self, code: str, description: str, details: Any) -> None:
        super().__init__(f"{code}: {description}")
        self.code, self.description, self.details = code, description, details


class _Session:
    """One open connection of a station."""

    def __init__(self, number: int, identity: str, socket: ServerConnection, state: rules.ConnectionState):
        self.number, self.identity, self.socket, self.state = number, identity, socket, state
        self.pending: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self.lock = asyncio.Lock()
        self.answering: set[asyncio.Task[None]] = set()


class BenchCsms:
    """A CSMS for tests: `violations` says what a station did wrong, `behaviour` makes the CSMS difficult.

    All methods belong to the event loop on which `start` ran. The record outlives stop and start.
    """

    def __init__(self, behaviour: Behaviour | None = None, stream: TextIO | None = None) -> None:
        self.behaviour = behaviour or Behaviour()
        self.book = Book(stream)
        self.port = 0
        self._answers = Answers(self.behaviour)
        self._stations: dict[str, rules.StationState] = {}
        self._sessions: dict[str, _Session] = {}
        self._count = 0
        self._server: Server | None = None
        self._changed = asyncio.Condition()

    # ---------------------------------------------------------------------------------------- the record

    @property
    def frames(self) -> list[Frame]:
        return self.book.frames

    @property
    def violations(self) -> list[Violation]:
        return self.book.violations

    @property
    def transactions(self) -> dict[str, Transaction]:
        return self.book.transactions

    @property
    def identities(self) -> list[str]:
        """The stations that are connected now."""
        return list(self._sessions)

    def registration(self, identity: str) -> str | None:
        """The status last given to a station's BootNotification; None before the first."""
        station = self._stations.get(identity)
        return None if station is None else station.status

    def calls(self, *actions: str, identity: str | None = None) -> list[Frame]:
        """The station's CALLs of these actions (all when none is named), in the order of arrival."""
        return [
            f
            for f in self.frames
            if f.direction == "in"
            and f.kind == "call"
            and (not actions or f.action in actions)
            and identity in (None, f.identity)
        ]

    async def wait_until(self, condition: Callable[[], object], timeout: float = 10.0) -> None:
        """Return as soon as `condition()` is true, looked at after every frame and connection.

        Raises TimeoutError after `timeout` seconds.
        """
        async with self._changed:
            await asyncio.wait_for(self._changed.wait_for(lambda: bool(condition())), timeout)

    # ---------------------------------------------------------------------------------------- life

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Listen; returns the port, which stays the same over stop and start."""
        self._server = await serve(
            self._serve,
            host,
            port or self.port,
            subprotocols=[SUBPROTOCOL],
            process_request=self._admit,
            compression=None,
            ping_interval=None,
            max_size=4 * 1024 * 1024,
            close_timeout=1,
        )
        self.port = next(iter(self._server.sockets)).getsockname()[1]
        return self.port

    async def stop(self) -> None:
        """Close every connection and stop listening."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    async def drop(self, identity: str, abruptly: bool = True, code: int = 1000) -> None:
        """End a station's connection: without a word, or with a close frame of that code."""
        session = self._session(identity)
        if abruptly:
            session.socket.transport.abort()
        else:
            await session.socket.close(code)

    # ---------------------------------------------------------------------------------------- calls

    async def call(
        self, identity: str, action: str, payload: dict[str, Any] | None = None, timeout: float = 30.0
    ) -> dict[str, Any]:
        """Call the station, one at a time; returns the payload of its CALLRESULT, in wire names.

        Raises CallFailed for a CALLERROR, TimeoutError, and ConnectionError when the station is not connected
        or the connection ends before the answer.
        """
        session = self._session(identity)
        async with session.lock:
            call = Call(str(uuid.uuid4()), action, payload or {})
            future = asyncio.get_running_loop().create_future()
            session.pending[call.unique_id] = future
            session.state.asked[call.unique_id] = action
            self._expect(session, action, call.payload)
            try:
                await self._send(session, "call", call.unique_id, action, call.payload, call.to_json())
                return await asyncio.wait_for(future, timeout)
            except TimeoutError:
                session.state.overdue[call.unique_id] = action
                raise
            finally:
                session.pending.pop(call.unique_id, None)
                session.state.asked.pop(call.unique_id, None)

    async def send_text(self, identity: str, text: str | bytes) -> None:
        """Send any text as it is, for hostile frames; whatever answers it is recorded and not judged."""
        session = self._session(identity)
        session.state.provoked |= rules.ids_in(text)
        self._record(session, "out", "bad", None, None, text if isinstance(text, str) else text.hex())
        await session.socket.send(text)

    def _expect(self, session: _Session, action: str, payload: dict[str, Any]) -> None:
        asked = payload.get("requestedMessage") if action == "TriggerMessage" else rules.ASKED_FOR.get(action)
        if asked is not None:
            session.state.station.asked_for.add(asked)

    def _session(self, identity: str) -> _Session:
        if identity not in self._sessions:
            raise ConnectionError(f"{identity} is not connected; connected are {self.identities}")
        return self._sessions[identity]

    # ---------------------------------------------------------------------------------------- connections

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """The handshake: subprotocol and Basic auth (Part 4, 3.1 and Part 2, A00)."""
        identity = _identity(request.path)
        if self.behaviour.refuse is not None:
            return connection.respond(HTTPStatus(self.behaviour.refuse), "refused by the bench\n")
        offered = ",".join(request.headers.get_all("Sec-WebSocket-Protocol"))
        if SUBPROTOCOL not in [name.strip() for name in offered.split(",")]:
            self._judge(identity, [("subprotocol", f"offered {offered!r}, not {SUBPROTOCOL}")], False)
        password = self.behaviour.passwords.get(identity)
        given = _basic_auth(request.headers.get("Authorization"))
        if password is not None and given != (identity, password):
            self._judge(
                identity, [("basic-auth", "wrong user or password" if given else "none given")], False
            )
            return connection.respond(HTTPStatus.UNAUTHORIZED, "wrong credentials\n")
        return None

    async def _serve(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        identity = _identity(socket.request.path)
        session = self._open(identity, socket)
        await self._notify()
        try:
            async for text in socket:
                await self._receive(session, text)
        except ConnectionClosed:
            pass
        finally:
            self._close(session)
            await self._notify()

    def _open(self, identity: str, socket: ServerConnection) -> _Session:
        known = "Accepted" if identity in self.behaviour.known else None
        station = self._stations.setdefault(identity, rules.StationState(known))
        self._count += 1
        session = _Session(self._count, identity, socket, rules.ConnectionState(station))
        self._sessions[identity] = session
        return session

    def _close(self, session: _Session) -> None:
        if self._sessions.get(session.identity) is session:
            del self._sessions[session.identity]
        for task in session.answering:
            task.cancel()
        for future in session.pending.values():
            if not future.done():
                future.set_exception(ConnectionError(f"{session.identity} disconnected before its answer"))

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    # ---------------------------------------------------------------------------------------- frames

    async def _receive(self, session: _Session, text: str | bytes) -> None:
        frame, problem = rules.parse(text)
        problem = problem or (rules.shape(frame) if frame is not None else None) or ""
        if problem:
            self._record(session, "in", "bad", None, None, text if isinstance(text, str) else text.hex())
            self._judge(session.identity, [("frame", problem)])
            await self._refuse(session, CallError("-1", "RpcFrameworkError", problem, {}), None)
        else:
            message = unpack(text)
            self._called(session, message) if isinstance(message, Call) else self._answered(session, message)
        await self._notify()

    def _called(self, session: _Session, call: Call) -> None:
        id, action, payload = call.unique_id, call.action, call.payload
        state, now = session.state, time.monotonic()
        timeout = self.behaviour.message_timeout_s
        findings = list(rules.about_call(state, now, timeout, id, action, payload))
        self._record(session, "in", "call", id, action, payload)
        self._judge(session.identity, findings)
        state.station.used_ids[id] = (action, payload)
        state.outstanding = rules.Outstanding(id, action, now)
        broken = {rule for rule, _ in findings}
        if action == "TransactionEvent" and "schema" not in broken:
            wrong = self.book.event(session.identity, payload)
            self._judge(session.identity, [("transaction", wrong)] if wrong else [])
        task = asyncio.create_task(self._answer_in_time(session, call, broken))
        session.answering.add(task)
        task.add_done_callback(session.answering.discard)

    def _answered(self, session: _Session, answer: CallResult | CallError) -> None:
        state, id = session.state, answer.unique_id
        failed = isinstance(answer, CallError)
        rest = [answer.error_code, answer.error_description] if failed else [answer.payload]
        action = state.asked.get(id) or state.overdue.get(id)
        findings = list(rules.about_answer(state, 4 if failed else 3, id, rest))
        self._record(session, "in", "error" if failed else "result", id, action, _body(answer))
        self._judge(session.identity, findings)
        state.asked.pop(id, None)
        state.overdue.pop(id, None)
        future = session.pending.pop(id, None)
        if future is None or future.done():
            return
        if failed:
            future.set_exception(
                CallFailed(answer.error_code, answer.error_description, answer.error_details)
            )
        else:
            future.set_result(answer.payload)

    async def _answer_in_time(self, session: _Session, call: Call, broken: set[str]) -> None:
        await asyncio.sleep(self._thinks_s(call))
        if self.behaviour.silent or call.action in self.behaviour.silent_actions:
            return
        outstanding = session.state.outstanding
        if outstanding is not None and outstanding.id == call.unique_id:
            session.state.outstanding = None
        with suppress(ConnectionError):
            await self._answer(session, call, broken)
        await self._notify()

    async def _answer(self, session: _Session, call: Call, broken: set[str]) -> None:
        refusal = self._refusal(call, broken)
        if refusal is not None:
            await self._refuse(session, refusal, call.action)
            return
        payload = self._answers.to(session.identity, call.action, call.payload)
        if call.action == "BootNotification":
            self._registered(session, payload)
        result = CallResult(call.unique_id, payload, call.action)
        await self._send(session, "result", call.unique_id, call.action, payload, result.to_json())

    def _thinks_s(self, call: Call) -> float:
        delay = self.behaviour.delays.get(call.action, 0.0)
        token = call.payload.get("idToken")
        if call.action in ("Authorize", "TransactionEvent") and isinstance(token, dict):
            delay += self._answers.token(str(token.get("idToken"))).delay_s
        return delay

    def _refusal(self, call: Call, broken: set[str]) -> CallError | None:
        """The CALLERROR that this CALL deserves, or that the bench was told to give."""
        if "known-action" in broken:
            return CallError(call.unique_id, "NotImplemented", f"{call.action} is not known here", {})
        if "schema" in broken:
            return CallError(call.unique_id, "FormatViolation", "see the record of the bench", {})
        if {"boot-first", "not-accepted"} & broken:
            return CallError(call.unique_id, "SecurityError", "not accepted", {})
        told = self.behaviour.errors.get(call.action)
        if told is None or told.times == 0:
            return None
        told.times = None if told.times is None else told.times - 1
        return CallError(call.unique_id, told.code, told.description, {})

    def _registered(self, session: _Session, payload: dict[str, Any]) -> None:
        state = session.state
        state.station.status = payload["status"]
        state.station.asked_for.clear()
        accepted = payload["status"] == "Accepted"
        state.not_before = None if accepted else time.monotonic() + 0.9 * payload["interval"]

    async def _refuse(self, session: _Session, error: CallError, action: str | None) -> None:
        await self._send(session, "error", error.unique_id, action, _body(error), error.to_json())

    async def _send(
        self, session: _Session, kind: Kind, id: str, action: str | None, payload: Any, text: str
    ) -> None:
        self._record(session, "out", kind, id, action, payload)
        try:
            await session.socket.send(text)
        except ConnectionClosed as error:
            raise ConnectionError(f"{session.identity} is gone: {error}") from error

    def _record(
        self, session: _Session, way: Direction, kind: Kind, id: str | None, action: str | None, payload: Any
    ) -> None:
        self.book.frame(Frame(time.time(), session.identity, session.number, way, kind, id, action, payload))

    def _judge(self, identity: str, findings: Iterable[rules.Finding], about_frame: bool = True) -> None:
        for rule, detail in findings:
            self.book.violation(time.time(), identity, rule, detail, about_frame)


def _identity(path: str) -> str:
    """The last segment of the URL's path, percent-decoded (Part 4, 3.1.1)."""
    return unquote(path.partition("?")[0].rpartition("/")[2])


def _basic_auth(header: str | None) -> tuple[str, str] | None:
    scheme, _, credentials = (header or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, _, password = base64.b64decode(credentials, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return user, password


def _body(message: CallResult | CallError) -> Any:
    if isinstance(message, CallResult):
        return message.payload
    return {
        "code": message.error_code,
        "description": message.error_description,
        "details": message.error_details,
    }
