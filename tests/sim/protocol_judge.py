"""Invariant 9: the rules of OCPP-J and of registration, judged where frames leave and reach the station."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.sim.schemas import complaint

Fail = Callable[[str, str], None]
CALL_TIMEOUT_MS = 29_000
"""So long after it was decided a CALL may be given up (OCPPCommCtrlr.MessageTimeout is 30 s here)."""
TOO_LATE_MS = 30_000
"""And from then on its answer counts no longer."""
ANSWER_DUE_MS = 60_000
ASKED_FOR = {
    "GetBaseReport": "NotifyReport",
    "GetReport": "NotifyReport",
    "GetMonitoringReport": "NotifyMonitoringReport",
    "GetLog": "LogStatusNotification",
}


@dataclass(slots=True)
class Call:
    id: str
    action: str
    at_ms: int
    connection: int
    payload: Any = None


@dataclass
class ProtocolJudge:
    """One CALL in flight, one answer per CALL, valid frames, and silence where registration demands it."""

    now_ms: Callable[[], int]
    fail: Fail
    call_timeout_ms: int = CALL_TIMEOUT_MS
    sloppy_csms: bool = False
    """The CSMS sends frames that are no CALLs or repeats ids: how often they are answered is not judged."""
    registered: str = "unknown"
    """As the station knows it: unknown, Accepted, Pending or Rejected."""
    silent_until_ms: int = 0
    _in_flight: Call | None = None
    _decided: dict[str, tuple[int, str]] = field(default_factory=dict)
    """What the station wants to say, and since when: it may still wait for the flash."""
    _ended: int = 0
    """The last connection that is over: what is said on it reaches nobody."""
    _owed: dict[str, Call] = field(default_factory=dict)
    _asked_for: set[str] = field(default_factory=set)
    _url: str = ""

    def booted(self) -> None:
        """A new process: not registered, nothing in flight."""
        self.registered, self.silent_until_ms = "unknown", 0
        self._in_flight = None
        self._ended = 0
        self._decided.clear()
        self._owed.clear()
        self._asked_for.clear()

    def is_another(self, url: str) -> bool:
        """Whether another CSMS was called last."""
        return self._url not in ("", url)

    def dials(self, url: str) -> None:
        """Another CSMS does not know the station, whatever the one before has said (B10.FR.10)."""
        if url != self._url:
            self.registered, self.silent_until_ms = "unknown", 0
        self._url = url

    def link_down(self, connection: int) -> None:
        """Nothing more will be answered on this connection."""
        self._ended = max(self._ended, connection)
        if self._in_flight is not None and self._in_flight.connection == connection:
            self._in_flight = None
        self._owed = {id: call for id, call in self._owed.items() if call.connection != connection}

    # -------------------------------------------------- to the station

    def heard(self, connection: int, text: str | None) -> tuple[str, Any] | None:
        """A frame reaches the station; returns (action, payload) of a CALL that must be answered."""
        message = _parsed(text)
        if message is None:
            return None
        if message[0] == 2 and len(message) == 4 and isinstance(message[2], str):
            id, action = message[1], message[2]
            self._owed[id] = Call(id, action, self.now_ms(), connection, message[3])
            self._note_request(action, message[3])
            return action, message[3]
        call = self._in_flight
        if message[0] in (3, 4) and call is not None and len(message) > 1 and message[1] == call.id:
            self._answered(call, message)
        return None

    def _note_request(self, action: str, payload: Any) -> None:
        if action in ASKED_FOR:
            self._asked_for.add(ASKED_FOR[action])
        if action == "TriggerMessage" and isinstance(payload, dict):
            self._asked_for.add(str(payload.get("requestedMessage")))

    def _answered(self, call: Call, message: list[Any]) -> None:
        self._in_flight = None
        too_late = self.now_ms() - call.at_ms >= TOO_LATE_MS
        if too_late or call.action != "BootNotification" or message[0] != 3 or len(message) < 3:
            return
        if complaint("BootNotificationResponse", message[2]) is None:
            self.registered = message[2]["status"]
            self.silent_until_ms = self.now_ms() + message[2]["interval"] * 1000
            self._asked_for.discard("BootNotification")

    # -------------------------------------------------- from the station

    def decides(self, text: str) -> None:
        """The station wants to say this as soon as what it rests on is on flash."""
        self._decided[text] = (self.now_ms(), self.registered)

    def said(self, connection: int, text: str) -> tuple[Call, dict[str, Any]] | None:
        """A frame leaves the station; returns the CALL that it answers, and its result."""
        message = json.loads(text)
        decided_ms, was = self._decided.pop(text, (self.now_ms(), self.registered))
        if connection <= self._ended:
            return None
        if message[0] == 2:
            self._call(connection, decided_ms, *message[1:])
        elif message[0] == 3:
            return self._result(connection, was, *message[1:])
        elif message[0] == 4:
            self._error(connection, was, *message[1:])
        else:
            self.fail("9 protocol", f"message type {message[0]!r}")
        return None

    def _call(self, connection: int, decided_ms: int, id: str, action: str, payload: Any) -> None:
        wrong = complaint(f"{action}Request", payload)
        if wrong is not None:
            self.fail("9 protocol", f"{wrong} in {json.dumps(payload)[:300]}")
        before = self._in_flight
        if before is not None and before.connection == connection and not self._expired(before):
            self.fail("9 protocol", f"{action} sent while {before.action} is in flight")
        self._silence(action)
        self._in_flight = Call(id, action, decided_ms, connection)

    def _expired(self, call: Call) -> bool:
        return self.now_ms() - call.at_ms >= self.call_timeout_ms

    def _silence(self, action: str) -> None:
        """B02.FR.02, B02.FR.04, B03.FR.02."""
        early = self.now_ms() < self.silent_until_ms and action not in self._asked_for
        if self.registered == "Accepted":
            return
        if self.registered == "Rejected" and self.now_ms() < self.silent_until_ms:
            self.fail("9 protocol", f"{action} while Rejected and before the interval is over")
        if action == "BootNotification":
            if early:
                self.fail("9 protocol", f"BootNotification before the interval is over ({self.registered})")
        elif self.registered != "Pending" or action not in self._asked_for:
            self.fail("9 protocol", f"{action} while {self.registered}, and nobody asked for it")

    def _result(self, connection: int, was: str, id: str, payload: Any) -> tuple[Call, dict[str, Any]] | None:
        """`was` is how the station was registered when it decided to say this; it is said once it is on flash."""
        call = self._pay(connection, id)
        if call is None:
            return None
        wrong = complaint(f"{call.action}Response", payload)
        if wrong is not None:
            self.fail("9 protocol", f"{wrong} in {json.dumps(payload)[:300]}")
        if was == "Rejected":
            self.fail("9 protocol", f"{call.action} got a CALLRESULT while Rejected; expected SecurityError")
        return call, payload

    def _error(self, connection: int, was: str, id: str, code: str, description: str, details: Any) -> None:
        if len(description) > 255 or not isinstance(details, dict):
            self.fail("9 protocol", f"CALLERROR with bad description or details: {description!r} {details!r}")
        call = self._pay(connection, id)
        framed = call is not None and isinstance(call.payload, dict)
        if call is not None and framed and was == "Rejected" and code != "SecurityError":
            self.fail("9 protocol", f"{call.action} got {code} while Rejected; expected SecurityError")

    def _pay(self, connection: int, id: str) -> Call | None:
        call = self._owed.pop(id, None)
        if call is None and not self.sloppy_csms:
            self.fail("9 protocol", f"an answer to {id!r}, which is not waiting for one")
        if call is not None and call.connection != connection:
            self.fail("9 protocol", f"the answer to {call.action} went to connection {connection}")
        return call

    def check_overdue(self) -> None:
        """Each CALL received gets its answer within a minute."""
        if not self._owed:
            return
        oldest = min(self._owed.values(), key=lambda call: call.at_ms)
        if self.now_ms() - oldest.at_ms > ANSWER_DUE_MS:
            self.fail("9 protocol", f"{oldest.action} {oldest.id} waits for its answer for over a minute")


def _parsed(text: str | None) -> list[Any] | None:
    try:
        message = json.loads(text or "")
    except ValueError:
        return None
    return message if isinstance(message, list) and message else None
