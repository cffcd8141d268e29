"""OCPP-J frames (Part 4, chapter 4): reading what may be anything, writing, and the one CALL in flight.

Nothing received can raise: a frame is a Call, a Result, an Error, or Malformed with the answer it deserves.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

from agent.protocol import jsontext
from agent.protocol.errors import MAX_DESCRIPTION, ErrorCode

MAX_ID = 36
"""Characters of a message id (Part 4, 4.1.4)."""
UNREADABLE = "-1"
"""The id of an answer to a frame whose own id cannot be read (Part 4, 4.2.3)."""

CALL, CALLRESULT, CALLERROR = 2, 3, 4


@dataclass(frozen=True, slots=True)
class Call:
    """The peer asks. The payload is a JSON object that no schema has seen yet."""

    id: str
    action: str
    payload: dict[str, Any]
    fingerprint: int = field(default=0, compare=False, repr=False)
    """Equal for equal frames of one process: tells a repeated CALL from another one with the same id."""
    size: int = field(default=0, compare=False, repr=False)
    """Bytes of the whole frame."""


class Result(NamedTuple):
    """The peer answers."""

    id: str
    payload: dict[str, Any]


class Error(NamedTuple):
    """The peer refuses; `code` is whatever it wrote."""

    id: str
    code: str
    description: str = ""
    details: Mapping[str, Any] = MappingProxyType({})


class Malformed(NamedTuple):
    """No valid frame. `answerable`: a CALLERROR with these values is due (a broken answer gets none)."""

    id: str
    code: ErrorCode
    description: str
    answerable: bool = True


Frame = Call | Result | Error | Malformed


def decode(text: str | None) -> Frame:
    """Read one frame; None stands for a binary frame or one over the link's size limit. Never raises."""
    if text is None:
        return Malformed(UNREADABLE, ErrorCode.RPC_FRAMEWORK, "not a text frame, or too large")
    try:
        message = jsontext.read(text)
    except jsontext.BeyondLimits as beyond:
        return _unread(text, ErrorCode.FORMAT, str(beyond))
    except ValueError:
        return _unread(text, ErrorCode.RPC_FRAMEWORK, "not JSON")
    if not isinstance(message, list) or not message:
        return Malformed(UNREADABLE, ErrorCode.RPC_FRAMEWORK, "not a JSON array with elements")
    kind = message[0]
    if type(kind) is not int:
        return Malformed(_id_of(message), ErrorCode.RPC_FRAMEWORK, "the message type is not an integer")
    if kind == CALL:
        return _call(message, text)
    if kind == CALLRESULT:
        return _result(message)
    if kind == CALLERROR:
        return _error(message)
    return Malformed(_id_of(message), ErrorCode.MESSAGE_TYPE, "the message type is not 2, 3 or 4")


_HEAD = re.compile(r'\s*\[\s*([0-9]{1,9})\s*,\s*"([^"\\]{1,36})"\s*,')


def _unread(text: str, code: ErrorCode, description: str) -> Malformed:
    """What to answer to a frame that could not be parsed: its beginning may still tell type and id."""
    head = _HEAD.match(text)
    if head is None:
        return Malformed(UNREADABLE, ErrorCode.RPC_FRAMEWORK, description)
    kind, id_ = int(head[1]), head[2]
    if kind not in (CALL, CALLRESULT, CALLERROR):
        return Malformed(id_, ErrorCode.MESSAGE_TYPE, "the message type is not 2, 3 or 4")
    return Malformed(id_, code, description, answerable=kind == CALL)


def _id_of(message: list[Any]) -> str:
    id_ = message[1] if len(message) > 1 else None
    return id_ if isinstance(id_, str) and 0 < len(id_) <= MAX_ID else UNREADABLE


def _call(message: list[Any], text: str) -> Call | Malformed:
    id_ = _id_of(message)
    if len(message) != 4:
        return Malformed(id_, ErrorCode.RPC_FRAMEWORK, "a CALL has four elements")
    action, payload = message[2:]
    if id_ != message[1]:
        description = f"the message id is not a text of 1 to {MAX_ID} characters"
        return Malformed(UNREADABLE, ErrorCode.RPC_FRAMEWORK, description)
    if not isinstance(action, str) or not action:
        return Malformed(id_, ErrorCode.RPC_FRAMEWORK, "the action is not a text")
    if not isinstance(payload, dict):
        return Malformed(id_, ErrorCode.FORMAT, "the payload is not an object")
    size = len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
    return Call(id_, action, payload, hash(text), size)


def _result(message: list[Any]) -> Result | Malformed:
    if len(message) == 3 and isinstance(message[1], str) and isinstance(message[2], dict):
        return Result(message[1], message[2])
    return Malformed(_id_of(message), ErrorCode.RPC_FRAMEWORK, "not a valid CALLRESULT", answerable=False)


def _error(message: list[Any]) -> Error | Malformed:
    """A CALLERROR counts as one when id and code can be read, whatever follows."""
    if len(message) < 3 or not isinstance(message[1], str) or not isinstance(message[2], str):
        return Malformed(_id_of(message), ErrorCode.RPC_FRAMEWORK, "not a valid CALLERROR", answerable=False)
    description = message[3] if len(message) > 3 and isinstance(message[3], str) else ""
    details = message[4] if len(message) > 4 and isinstance(message[4], dict) else {}
    return Error(message[1], message[2], description, details)


def encode_call(id_: str, action: str, payload: Mapping[str, Any]) -> str:
    """The text of a CALL."""
    return jsontext.write([CALL, id_, action, payload])


def encode_result(id_: str, payload: Mapping[str, Any]) -> str:
    """The text of a CALLRESULT."""
    return jsontext.write([CALLRESULT, id_, payload])


def encode_error(id_: str, code: str, description: str = "", details: Mapping[str, Any] | None = None) -> str:
    """The text of a CALLERROR; the description is cut to what the protocol allows."""
    return jsontext.write([CALLERROR, id_, code, description[:MAX_DESCRIPTION], details or {}])


class Pending(NamedTuple):
    """Our CALL in flight; what follows its answer is kept where the call came from."""

    id: str
    action: str
    sent_ms: int


class Session:
    """One connection's conversation: at most one own CALL in flight, and the answers given to the peer.

    `drop` at the end of the connection makes it ready for the next one. Times are monotonic milliseconds.
    """

    ANSWERS = 32
    """Answers kept for repeated CALLs."""
    ANSWER_CHARS = 128 * 1024
    """Bound of their length together."""

    def __init__(self) -> None:
        self.pending: Pending | None = None
        self._answers: dict[str, tuple[int, str]] = {}

    def call(self, pending: Pending, payload: Mapping[str, Any]) -> str:
        """Put a CALL in flight and return its text; nothing else may be in flight (Part 4, 4.1.1)."""
        assert self.pending is None, f"{self.pending} is still in flight"
        text = encode_call(pending.id, pending.action, payload)
        self.pending = pending
        return text

    def accept(self, answer: Result | Error | Malformed) -> Pending | None:
        """The CALL that this answers, now out of flight, by a broken answer too; None when nobody asked."""
        if self.pending is None or answer.id != self.pending.id:
            return None
        if isinstance(answer, Malformed) and answer.answerable:
            return None
        return self._end()

    def due(self, timeout_ms: int) -> int | None:
        """When the CALL in flight expires."""
        return None if self.pending is None else self.pending.sent_ms + timeout_ms

    def expired(self, now_ms: int, timeout_ms: int) -> Pending | None:
        """The CALL that waited `timeout_ms` in vain, now out of flight; a late answer will match nothing."""
        due = self.due(timeout_ms)
        return None if due is None or now_ms < due else self._end()

    def drop(self) -> Pending | None:
        """The connection is gone: returns the CALL that was in flight and forgets the answers given."""
        self._answers.clear()
        return self._end()

    def answered(self, call: Call) -> str | None:
        """The answer already given to this very CALL on this connection, so that it is not run twice."""
        fingerprint, text = self._answers.get(call.id, (None, None))
        return text if fingerprint == call.fingerprint else None

    def remember(self, call: Call, answer: str) -> None:
        """Keep the text that answered `call`; the oldest ones make room."""
        self._answers.pop(call.id, None)
        self._answers[call.id] = (call.fingerprint, answer)
        while len(self._answers) > self.ANSWERS or self._kept_chars() > self.ANSWER_CHARS:
            del self._answers[next(iter(self._answers))]

    def _kept_chars(self) -> int:
        return sum(len(text) for _, text in self._answers.values())

    def _end(self) -> Pending | None:
        ended, self.pending = self.pending, None
        return ended
