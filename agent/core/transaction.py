"""One running transaction: what is known of it, and what of it is kept in the journal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from agent.core.evse import Authorization, Token
from agent.core.partition import FIRST
from agent.core.plugs import Plug
from state_machines.reasons import Cause

PROGRESS = frozenset(("next_seq", "state", "at"))
"""What the record of each event tells as well: for these alone the transaction's own is not written anew."""


STILL_TO_COME: Mapping[bool, frozenset[str]] = {
    True: frozenset({"EnergyTransfer"}),
    False: frozenset({"EVConnected", "PowerPathClosed", "DataSigned", "EnergyTransfer"}),
}
"""Start points that a session may reach again after a transaction of it has ended, while a car is connected or not.
Without one nobody may charge on: no transaction would tell of it."""


@dataclass(slots=True)
class Ending:
    """The stop point was reached; the Ended event waits for the last reading until `until_ms`."""

    cause: Cause
    until_ms: int
    since_ms: int
    token: Token | None
    facts: frozenset[str]
    asked: bool = False
    """The meter was asked to sign the end value."""


class Halt(NamedTuple):
    """Why a session is over, and the token that stopped it, if one did."""

    cause: Cause
    token: Token | None = None


@dataclass(slots=True)
class Transaction:
    """One running transaction."""

    id: str
    evse: int
    connector: int
    next_seq: int = 0
    token: Token | None = None
    group: str | None = None
    remote_start_id: int | None = None
    reservation: int | None = None
    """The reservation that it has used (H01.FR.15)."""
    charging_state: str = "Idle"
    reached: frozenset[str] = frozenset()
    stop_reason: str | None = None
    has_charged: bool = False
    began: dict[str, Any] | None = None
    first: dict[str, Any] | None = None
    """The Begin register, until an event has told it."""
    started: dict[str, Any] = field(default_factory=dict)
    phases: int = 0
    placed: bool = True
    """False while the driver, who showed his card to a reader of several EVSEs, has not chosen one (E01.FR.17)."""
    untold: set[str] = field(default_factory=set)
    """Fields still to be sent once: evse, token, remote_start_id, reservation (E.2)."""
    adopted: Authorization | None = None
    """The authorization whose token it carries."""
    priority: int = 0
    """chargingPriority of whose token it carries, as it was before a restart (K03.FR.04)."""
    refused_wh: float | None = None
    """What `Authorization.refused_wh` was before a restart."""
    ending: Ending | None = None
    later: Cause | None = None
    """What happened while it was ending; looked at again once it has ended."""
    interrupted: bool = False
    """It goes on after a restart, and no energy has been offered and taken since."""
    was_over: bool = False
    """Its stop point had been reached before the restart, and only the last reading was missing."""
    recovered_by_ms: int | None = None
    """Set after a restart until it is known whether the car is still there, and how long we were away."""
    halted: Halt | None = None
    """Why nobody may charge on, found out while it was not known yet whether it goes on (C15, E07, F03)."""
    at: dict[str, Any] = field(default_factory=dict)
    """Stamp of the last event: how long we were away is counted from it; empty when that is never to be known."""
    end_wh: str | None = None
    signed: dict[str, Any] = field(default_factory=dict)
    """Begin and end value as the meter has signed them."""
    cable: float | None = None
    """Rating (A) of the loose cable that an event has told; told anew when another one is plugged in."""
    key_told: bool = False
    """The meter's public key was sent with one of its values."""
    row: int = 0
    operator: str = FIRST
    """Whose it is (agent.core.operators)."""
    kept: dict[str, Any] = field(default_factory=dict)
    """What its record says of it."""

    @property
    def takes_samples(self) -> bool:
        """Whether what the meter of its EVSE shows now belongs to it."""
        return self.placed and self.ending is None and self.recovered_by_ms is None

    def data(self) -> dict[str, Any]:
        """What is kept of it."""
        token, holder = [self.token.value, self.token.kind] if self.token else None, self.adopted or self
        return {
            "tx": self.id, "evse": self.evse, "connector": self.connector, "next_seq": self.next_seq,
            "token": token, "group": holder.group, "remote_start_id": self.remote_start_id,
            "reservation": self.reservation,
            "state": self.charging_state, "reached": sorted(self.reached), "stop_reason": self.stop_reason,
            "has_charged": self.has_charged, "began": self.began, "started": self.started,
            "untold": sorted(self.untold), "at": self.at, "end_wh": self.end_wh,
            "signed": self.signed, "key_told": self.key_told, "placed": self.placed,
            "priority": holder.priority, "refused_wh": holder.refused_wh,
        } | self._rarely()  # fmt: skip

    def _rarely(self) -> dict[str, Any]:
        """What few records have: another operator, a loose cable, and that its stop point was reached, in this boot
        or before."""
        over = {"over": True} if self.was_over or self.ending is not None else {}
        cable = {"cable": self.cable} if self.cable is not None else {}
        return ({"of": self.operator} if self.operator else {}) | cable | over

    @classmethod
    def of(cls, data: dict[str, Any], row: int) -> Transaction:
        """From a record; fields that a record of an older release lacks get their defaults."""
        token = data.get("token")
        return cls(
            id=data["tx"], evse=data["evse"], connector=data.get("connector", 1),
            next_seq=data.get("next_seq", 0), token=Token(*token) if token else None, group=data.get("group"),
            remote_start_id=data.get("remote_start_id"), reservation=data.get("reservation"),
            charging_state=data.get("state", "Idle"),
            reached=frozenset(data.get("reached", ())), stop_reason=data.get("stop_reason"),
            has_charged=data.get("has_charged", False), began=data.get("began"),
            started=data.get("started", {}), untold=set(data.get("untold", ())),
            at=data.get("at", {}), signed=data.get("signed", {}), key_told=data.get("key_told", False),
            placed=data.get("placed", True), priority=data.get("priority", 0), refused_wh=data.get("refused_wh"),
            row=row, operator=data.get("of", FIRST), was_over=data.get("over", False),
            cable=data.get("cable"),
        )  # fmt: skip

    def tell(self, event: dict[str, Any], plug: Plug, stopping: Token | None) -> None:
        """Add to an event the fields that are sent once (E.2); of tokens the one that stops it, if one does."""
        if "evse" in self.untold and self.placed:
            event["evse"] = [self.evse, self.connector]
        told = stopping or self.token
        if "token" in self.untold and told is not None:
            event["token"] = [told.value, told.kind]
        if "remote_start_id" in self.untold:
            event["remote_start_id"] = self.remote_start_id
        if "reservation" in self.untold:
            event["reservation"] = self.reservation
        amps = plug.cable_amps
        if amps is not None and amps != self.cable and event["type"] != "Ended":
            event["cable"], self.cable = int(amps), amps
        self.untold = set() if self.placed else self.untold & {"evse"}

    def tells_more(self, data: dict[str, Any]) -> bool:
        """Whether `data` says of it what neither its record nor the record of an event does."""
        return any(self.kept.get(name, self) != value for name, value in data.items() if name not in PROGRESS)

    def follow(self, event: dict[str, Any]) -> None:
        """Take over what the record of a later event says."""
        if event["seq"] >= self.next_seq:
            self.next_seq, self.charging_state = event["seq"] + 1, event["state"]
            self.at = {name: event[name] for name in ("mono", "boot", "utc")}
