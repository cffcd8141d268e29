"""A CSMS at JSON level, written against the specification and knowing nothing of agent/protocol.

It answers what a station asks, keeps every frame and every transaction event, and can be slow, silent,
talkative or broken. Whether frames are valid is judged where they leave the station (invariants.py).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal, Protocol

from agent.core.instant import rfc3339
from tests.sim.clock import Timeline
from tests.sim.transactions import Transaction

Payload = dict[str, Any]
Responder = Callable[[Payload], Payload]


class Line(Protocol):
    """The way to the station."""

    def says_to_station(self, connection: int, text: str) -> None: ...
    def vanishes(self, *, half_open: bool = False) -> None: ...
    def returns(self) -> None: ...


LATENCY_MS = (10, 80)
NOTICES = ("Status", "Meter", "Security", "Notify", "Report", "Log", "Firmware", "Cleared", "Reservation")
"""How the names of messages begin that only tell something: their answer is empty."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame as it passed the CSMS: "<" from the station, ">" to it."""

    at_ms: int
    direction: Literal["<", ">"]
    connection: int
    message: list[Any]


@dataclass(slots=True)
class Exchange:
    """A CALL of the CSMS and what came back: `answer` on success, `error` (code, description) otherwise."""

    action: str
    payload: Payload
    id: str
    sent_ms: int
    answer: Payload | None = None
    error: tuple[str, str] | None = None

    @property
    def done(self) -> bool:
        """The station has answered."""
        return self.answer is not None or self.error is not None


@dataclass(slots=True)
class Fault:
    """How the CSMS mistreats the next `times` CALLs of `action` ("*": any)."""

    action: str
    kind: Literal["silence", "error", "nonsense"]
    times: int
    code: str = "InternalError"
    acts: bool = False
    """The CSMS acts on the message although its answer is lost or an error."""


@dataclass
class Csms:
    """The CSMS of one station. `boot_status` and `boot_interval` are what the next BootNotification gets."""

    timeline: Timeline
    rng: Random
    line: Line | None = None
    password: str | None = None
    latency_ms: tuple[int, int] = LATENCY_MS
    boot_status: str = "Accepted"
    boot_interval: int = 300
    usual_interval: int = 300
    """What it gives when all is well."""
    known_tokens: set[str] | None = None
    """Tokens that are Accepted; None: all but `blocked_tokens`."""
    blocked_tokens: set[str] = field(default_factory=set)
    token_info: dict[str, Payload] = field(default_factory=dict)
    """The whole idTokenInfo of single tokens ("*": of all others), in every answer that carries one."""
    first_words: list[tuple[str, Payload]] = field(default_factory=list)
    """CALLs sent as soon as a connection opens, before the station has said anything."""
    frames: list[Frame] = field(default_factory=list)
    transactions: dict[str, Transaction] = field(default_factory=dict)
    exchanges: list[Exchange] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    connection: int | None = None
    connections: int = 0
    calls_seen: Counter[str] = field(default_factory=Counter)
    _responders: dict[str, Responder] = field(default_factory=dict)
    _waiting: list[Exchange] = field(default_factory=list)

    # -------------------------------------------------- what a test asks

    def transaction(self, number: int) -> Transaction:
        """The n-th transaction (from 1) in the order in which the CSMS first heard of them."""
        return list(self.transactions.values())[number - 1]

    def requests(self, action: str) -> list[Payload]:
        """All payloads the station has sent with `action`, in the order of arrival."""
        return [f.message[3] for f in self.frames if f.direction == "<" and _is_call(f.message, action)]

    @property
    def last_status(self) -> dict[tuple[int, int], str]:
        """The connector status last reported, per (evse, connector)."""
        return {(p["evseId"], p["connectorId"]): p["connectorStatus"] for p in self.requests("StatusNotification")}

    # -------------------------------------------------- what a test sets

    def answers(self, action: str, responder: Responder) -> None:
        """Answer `action` with what `responder` makes of the request."""
        self._responders[action] = responder

    def ignores(self, action: str, times: int = 1, *, acts: bool = False) -> None:
        """Do not answer the next `times` CALLs of `action`."""
        self.faults.append(Fault(action, "silence", times, acts=acts))

    def fails(self, action: str, times: int = 1, code: str = "InternalError", *, acts: bool = False) -> None:
        """Answer the next `times` CALLs of `action` with a CALLERROR."""
        self.faults.append(Fault(action, "error", times, code, acts))

    def talks_nonsense(self, action: str = "*", times: int = 1) -> None:
        """Answer the next `times` CALLs of `action` with something that is no OCPP-J."""
        self.faults.append(Fault(action, "nonsense", times))

    def vanishes(self, *, half_open: bool = False) -> None:
        """The link breaks: at once for both sides, or (half open) so that nobody is told."""
        if self.line is not None:
            self.line.vanishes(half_open=half_open)

    def returns(self) -> None:
        """New connections get through again."""
        if self.line is not None:
            self.line.returns()

    def heals(self) -> None:
        """Answer everything again, at once, and accept the station."""
        self.faults.clear()
        self.first_words.clear()
        self.latency_ms = LATENCY_MS
        self.boots("Accepted", self.usual_interval)

    def boots(self, status: str, interval: int = 300) -> None:
        """Answer BootNotifications like this from now on."""
        self.boot_status, self.boot_interval = status, interval

    def sends(self, action: str, payload: Payload) -> Exchange:
        """Send a CALL as soon as no other is in flight; the answer arrives in the returned exchange."""
        exchange = Exchange(action, payload, f"csms-{len(self.exchanges) + 1}", self.timeline.clock.true_ms)
        self.exchanges.append(exchange)
        self._waiting.append(exchange)
        if len(self._waiting) == 1:
            self._call(exchange)
        return exchange

    def says(self, text: str) -> None:
        """Send any text at all."""
        if self.connection is not None:
            self._send(self.connection, text)

    # -------------------------------------------------- the line

    def admits(self, identity: str, password: str | None) -> int | None:
        """Basic authentication: 401 unless the password is right."""
        return None if self.password is None or password == self.password else 401

    def connected(self, connection: int) -> None:
        """A station has connected."""
        self.connection = connection
        self.connections += 1
        for action, payload in self.first_words:
            self.sends(action, payload)

    def disconnected(self, connection: int) -> None:
        """The connection is gone; what was asked on it will not be answered."""
        if self.connection == connection:
            self.connection = None
            for exchange in self._waiting:
                exchange.error = ("Disconnected", "the link was lost before an answer came")
            self._waiting.clear()

    def receives(self, connection: int, text: str) -> None:
        """One frame of the station."""
        message = json.loads(text)
        self.frames.append(Frame(self.timeline.clock.true_ms, "<", connection, message))
        if message[0] == 2:
            self._asked(connection, message[1], message[2], message[3])
        else:
            self._answered(message)

    # -------------------------------------------------- its own calls

    def _call(self, exchange: Exchange) -> None:
        if self.connection is None:
            exchange.error = ("Disconnected", "there is no link")
            self._waiting.remove(exchange)
            return
        exchange.sent_ms = self.timeline.clock.true_ms
        self._put(self.connection, [2, exchange.id, exchange.action, exchange.payload])

    def _answered(self, message: list[Any]) -> None:
        exchange = next((e for e in self._waiting if e.id == message[1]), None)
        if exchange is None:
            return
        if message[0] == 3:
            exchange.answer = message[2]
        else:
            exchange.error = (message[2], message[3])
        self._waiting.remove(exchange)
        if self._waiting:
            self._call(self._waiting[0])

    # -------------------------------------------------- answering

    def _asked(self, connection: int, id: str, action: str, payload: Payload) -> None:
        self.calls_seen[action] += 1
        fault = self._fault(action)
        if fault is not None and not fault.acts:
            if action == "TransactionEvent":
                self.record(payload, refused=True)
            self._mistreat(connection, id, fault)
            return
        answer = self._answer(action, payload)
        if fault is not None:
            self._mistreat(connection, id, fault)
        elif answer is None:
            self._reply(connection, [4, id, "NotImplemented", f"{action} is unknown", {}])
        else:
            self._reply(connection, [3, id, answer])

    def _fault(self, action: str) -> Fault | None:
        for fault in self.faults:
            if fault.action in (action, "*"):
                fault.times -= 1
                if fault.times <= 0:
                    self.faults.remove(fault)
                return fault
        return None

    def _mistreat(self, connection: int, id: str, fault: Fault) -> None:
        if fault.kind == "error":
            self._reply(connection, [4, id, fault.code, "as told", {}])
        elif fault.kind == "nonsense":
            nonsense = self.rng.choice(
                (
                    *("", "{}", "[3]", "nonsense"),
                    *(f'[3,"{id}"]', f'[3,"{id}",7]', f'[9,"{id}",{{}}]', f'[3,"{id}x",{{}}]'),
                )
            )
            self.timeline.after(self.rng.randint(*self.latency_ms), lambda: self._send(connection, nonsense))

    def _answer(self, action: str, payload: Payload) -> Payload | None:
        if action in self._responders:
            return self._responders[action](payload)
        match action:
            case "BootNotification":
                return {
                    "currentTime": self._now(),
                    "interval": self.boot_interval,
                    "status": self.boot_status,
                }
            case "Heartbeat":
                return {"currentTime": self._now()}
            case "Authorize":
                return {"idTokenInfo": self.info_of(payload["idToken"])}
            case "TransactionEvent":
                self.record(payload)
                token = payload.get("idToken")
                return {"idTokenInfo": self.info_of(token)} if token else {}
            case "DataTransfer":
                return {"status": "UnknownVendorId"}
            case _:
                return {} if action.startswith(NOTICES) else None

    def info_of(self, token: Payload) -> Payload:
        """The idTokenInfo of an id token."""
        everybody = None if token["type"] == "NoAuthorization" else self.token_info.get("*")
        return self.token_info.get(token["idToken"]) or everybody or {"status": self.standing_of(token)}

    def standing_of(self, token: Payload) -> str:
        """The authorization status of an id token."""
        uid = token["idToken"]
        if token["type"] == "NoAuthorization":
            return "Accepted"
        if uid in self.blocked_tokens:
            return "Blocked"
        return "Accepted" if self.known_tokens is None or uid in self.known_tokens else "Unknown"

    def record(self, payload: Payload, *, refused: bool = False) -> None:
        """Count a transaction event."""
        id = payload["transactionInfo"]["transactionId"]
        if id not in self.transactions:
            self.transactions[id] = Transaction(id)
        self.transactions[id].hears(payload, self.timeline.clock.true_ms, refused=refused)

    def _now(self) -> str:
        return rfc3339(self.timeline.clock.utc_ms)

    def _reply(self, connection: int, message: list[Any]) -> None:
        self.timeline.after(self.rng.randint(*self.latency_ms), lambda: self._put(connection, message))

    def _put(self, connection: int, message: list[Any]) -> None:
        if connection == self.connection:
            self.frames.append(Frame(self.timeline.clock.true_ms, ">", connection, message))
            self._send(connection, json.dumps(message))

    def _send(self, connection: int, text: str) -> None:
        if self.line is not None:
            self.line.says_to_station(connection, text)


def _is_call(message: list[Any], action: str) -> bool:
    return bool(message[0] == 2 and message[2] == action)


def sampled(events: Iterable[Payload]) -> list[Payload]:
    """All sampled values in `events`, in order."""
    return [s for event in events for m in event.get("meterValue", ()) for s in m["sampledValue"]]
