"""The CSMS's side of a case: what is sent to the station, and what must come from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from hil.bench import Bench, Outfit
from hil.csms import Frame

T = TypeVar("T")
Json = dict[str, Any]
WAIT_S = 30.0
"""How long anything may take that has no time of its own."""
CARD, CARD_TYPE = "04C0FFEE010203", "ISO14443"
METER_TRIGGERS = frozenset({"MeterValuePeriodic", "MeterValueClock", "SignedDataReceived"})
"""Events that may come between any two steps."""
SIGNATURE = frozenset({"signedMeterData", "signingMethod", "encodingMethod", "publicKey"})
READ: Mapping[str, Callable[[Json], Any]] = {
    "kind": lambda e: e["eventType"],
    "trigger": lambda e: e["triggerReason"],
    "state": lambda e: e["transactionInfo"].get("chargingState"),
    "stopped": lambda e: e["transactionInfo"].get("stoppedReason"),
    "token": lambda e: e.get("idToken", {}).get("idToken"),
    "offline": lambda e: e.get("offline", False),
}


class CaseFailed(AssertionError):
    """The station did something else than the case demands."""


class NotApplicable(Exception):
    """The bench lacks what the case needs; the text says what."""


class Talk:
    """Frames of one station at one EVSE. TransactionEvents are taken one by one, in the order of arrival."""

    def __init__(self, bench: Bench, evse: int) -> None:
        self.bench = bench
        self.evse = evse
        self.card = CARD
        """The token of whoever drives now."""
        self.group: str | None = None
        """The group of that token, which a start from afar names."""
        self.outfit: Outfit = bench.outfits()[evse]
        self.connector = self.outfit.connector
        self.running: str | None = None
        """transactionId of the transaction that was Started and has not Ended."""
        self.last_tx: str | None = None
        self.state: str | None = None
        """The chargingState last told."""
        self.owed: dict[str, int] = {}
        """What the next TransactionEvent has to bring: evse, token, or remote with the id of the request."""
        self._taken = 0
        self._statuses = 0

    # ------------------------------------------------------------------------------------------ asking

    def call(self, action: str, payload: Json, **wanted: object) -> Json:
        """Send a CALL; fields of the answer that are `wanted` must have that value (None: be absent)."""
        answer = self.bench.call(action, payload)
        for name, value in wanted.items():
            self.check(f"{name} of {action}Response", answer.get(name), value)
        return answer

    def write(self, name: str, value: str, *, if_there: bool = False) -> None:
        """Write a variable such as `TxCtrlr.TxStartPoint` or `A.B[instance]`; with `if_there` it may be unknown."""
        status = self._written(name, value)
        if not (if_there and status.startswith("Unknown")):
            self.check(f"SetVariables {name} = {value}", status, ("Accepted", "RebootRequired"))

    def takes(self, name: str, value: str) -> bool:
        """Write a variable that this station may not have, or may refuse to change."""
        return self._written(name, value) in ("Accepted", "RebootRequired")

    def _written(self, name: str, value: str) -> str:
        data = {**described(name), "attributeValue": value}
        (result,) = self.bench.call("SetVariables", {"setVariableData": [data]})["setVariableResult"]
        return str(result["attributeStatus"])

    def read(self, name: str) -> str:
        """Read a variable."""
        (result,) = self.bench.call("GetVariables", {"getVariableData": [described(name)]})["getVariableResult"]
        self.check(f"GetVariables {name}", result["attributeStatus"], "Accepted")
        return str(result.get("attributeValue", ""))

    def members(self, name: str) -> set[str]:
        """Read a variable that is a list."""
        return {part.strip() for part in self.read(name).split(",") if part.strip()}

    # ------------------------------------------------------------------------------------------ judging

    def check(self, what: str, found: object, wanted: object) -> None:
        """`found` must be `wanted`, or one of them when `wanted` is a tuple; raises CaseFailed."""
        if found not in (wanted if isinstance(wanted, tuple) else (wanted,)):
            raise CaseFailed(f"{what} is {found!r}, expected {wanted!r}")

    def demand(self, what: str, event: Json, **wanted: object) -> None:
        """Check fields of a TransactionEvent; names as in READ."""
        for name, value in wanted.items():
            self.check(f"{what}: {name} of seqNo {event['seqNo']}", READ[name](event), value)

    # ------------------------------------------------------------------------------------------ events

    def events(self) -> list[Json]:
        """Every TransactionEvent that has arrived, each once."""
        found: dict[tuple[str, int], Json] = {}
        for frame in self.bench.calls("TransactionEvent"):
            found.setdefault((frame.payload["transactionInfo"]["transactionId"], frame.payload["seqNo"]), frame.payload)
        return list(found.values())

    def event(self, what: str, within_s: float = WAIT_S, **wanted: object) -> Json:
        """The next TransactionEvent that is no mere meter value; it must have the fields that are `wanted`."""
        event = self.next_event(what, within_s)
        while event["triggerReason"] in METER_TRIGGERS:
            event = self.next_event(what, within_s)
        self.demand(what, event, **wanted)
        return event

    def next_event(self, what: str, within_s: float = WAIT_S) -> Json:
        """The next TransactionEvent of any kind."""
        self.bench.wait_until(f"TransactionEvent {what}", lambda: len(self.events()) > self._taken, within_s)
        event = self.events()[self._taken]
        self._taken += 1
        self._settle_debts(what, event)
        self._follow(what, event)
        return event

    def arrived(self, what: str) -> list[Json]:
        """Take everything that has arrived."""
        return [self.next_event(what) for _ in range(len(self.events()) - self._taken)]

    def waiting_events(self) -> list[Json]:
        """What has arrived and was not taken yet, mere meter values left out; it stays untaken."""
        return [e for e in self.events()[self._taken :] if e["triggerReason"] not in METER_TRIGGERS]

    def _settle_debts(self, what: str, event: Json) -> None:
        """The general rules on the first event after plugging in, a card, or a remote start."""
        if "evse" in self.owed:
            self.check(f"{what}: evse", event.get("evse"), {"id": self.evse, "connectorId": self.connector})
        if "token" in self.owed:
            self.check(f"{what}: idToken", event.get("idToken"), {"idToken": self.card, "type": CARD_TYPE})
        if "remote" in self.owed:
            told = event["transactionInfo"].get("remoteStartId")
            self.check(f"{what}: remoteStartId", told, self.owed["remote"])
            self.demand(what, event, trigger="RemoteStart")
        self.owed.clear()

    def _follow(self, what: str, event: Json) -> None:
        tx, kind = event["transactionInfo"]["transactionId"], event["eventType"]
        self.check(f"{what}: eventType", kind == "Started", self.running is None)
        if self.running is not None:
            self.check(f"{what}: transactionId", tx, self.running)
        self.last_tx = tx
        self.running = None if kind == "Ended" else tx
        self.state = READ["state"](event) or self.state

    # ------------------------------------------------------------------------------------------ the rest

    def mark(self) -> None:
        """From here on `status` counts."""
        self._statuses = len(self._told_statuses())

    def status(self, wanted: str, within_s: float = WAIT_S) -> None:
        """The connector is told to be `wanted` after the last `mark`."""
        what = f"connector {wanted}"
        self.bench.wait_until(what, lambda: wanted in self._told_statuses()[self._statuses :], within_s)

    def statuses(self, wanted: Mapping[int, str], beside: str | None = None, since: float = 0.0) -> None:
        """The last status told (after `since`) of the connectors of each EVSE.

        `beside`: of those beside ours, where it is another one.
        """
        each = self.everywhere(wanted, beside)

        def last() -> dict[tuple[int, int], str]:
            frames = [f for f in self.bench.calls("StatusNotification", "NotifyEvent") if f.ts >= since]
            return {(evse, connector): status for frame in frames for evse, connector, status in statuses_in(frame)}

        self.bench.wait_until(f"statuses {each}", lambda: last() == each)

    def everywhere(self, wanted: Mapping[int, T], beside: T | None = None) -> dict[tuple[int, int], T]:
        """What is wanted of each EVSE, for each of its connectors; `beside` for those beside ours."""
        outfits = self.bench.outfits()
        each = {(evse, 1 + i): value for evse, value in wanted.items() for i in range(outfits[evse].connectors)}
        ours = {place for place in each if place[0] == self.evse} - {(self.evse, self.connector)}
        return each if beside is None else each | dict.fromkeys(ours, beside)

    def _told_statuses(self) -> list[str]:
        """Every status of the connector, by StatusNotification or NotifyEvent."""
        frames = self.bench.calls("StatusNotification", "NotifyEvent")
        here = (self.evse, self.connector)
        return [status for frame in frames for *place, status in statuses_in(frame) if tuple(place) == here]

    def next_call(self, action: str, before: int, within_s: float = WAIT_S) -> Json:
        """The payload of the station's CALL number `before` (from 0) of this action."""
        self.bench.wait_until(action, lambda: len(self.bench.calls(action)) > before, within_s)
        payload: Json = self.bench.calls(action)[before].payload
        return payload


def statuses_in(frame: Frame) -> list[tuple[int, int, str]]:
    """EVSE, connector and status that a StatusNotification or a NotifyEvent tells."""
    told = frame.payload
    if frame.action == "StatusNotification":
        return [(told["evseId"], told["connectorId"], told["connectorStatus"])]
    return [
        (data["component"]["evse"]["id"], data["component"]["evse"]["connectorId"], data["actualValue"])
        for data in told["eventData"]
        if (data["component"]["name"], data["variable"]["name"]) == ("Connector", "AvailabilityState")
    ]


def described(name: str) -> Json:
    """Component and variable of `A.B` or `A.B[instance]`."""
    component, _, variable = name.partition(".")
    variable, _, instance = variable.partition("[")
    named = {"name": variable, "instance": instance.rstrip("]")} if instance else {"name": variable}
    return {"component": {"name": component}, "variable": named}
