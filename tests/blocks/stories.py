"""Words shared by the stories of all blocks: worlds in a known state, and what the CSMS can ask and has heard."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from agent.core.instant import parse_rfc3339
from tests.sim.disk import Keep
from tests.sim.outlet import OutletSpec, raw
from tests.sim.transactions import Payload, Transaction
from tests.sim.world import Outage, World

CARD = "04AABBCC"
OTHER = "04DDEEFF"
SOCKET = raw(32, cable="socket")
OFFLINE_FOR_ALL = {"AuthCtrlr.OfflineTxForUnknownIdEnabled": "true"}
QUIET = {"AlignedDataCtrlr.Interval": "0", "SampledDataCtrlr.TxUpdatedInterval": "0"}
"""No meter values by the clock: only events of the story."""


def station(
    evses: Sequence[OutletSpec] = (raw(32),), *, keys: Mapping[str, str] | None = None, **options: Any
) -> World:
    """A station just before its first step."""
    return World(evses, keys=keys, **options)


def idle(evses: Sequence[OutletSpec] = (raw(32),), *, keys: Mapping[str, str] | None = None, **options: Any) -> World:
    """A station that is accepted, connected and free."""
    return World(evses, keys=keys, **options).runs(seconds=20)


def charging(
    evses: Sequence[OutletSpec] = (raw(32),), *, keys: Mapping[str, str] | None = None, **options: Any
) -> World:
    """A station with a car that charges at EVSE 1, on CARD."""
    return charge(idle(evses, keys=keys, **options))


def back_online(world: World) -> World:
    """The CSMS can be reached again, the station finds it, and its queue drains."""
    world.csms.returns()
    world.until(lambda: world.csms.connection is not None, within_s=1200)
    return world.runs(minutes=2)


def goes_off(world: World, end: str, keep: Keep = "random") -> Outage:
    """By `end` the power fails, or the agent alone is killed; `keep`: what was on its way to the flash."""
    return world.loses_power(keep) if end == "power" else world.kills_agent(keep)


def let_in_offline(keys: Mapping[str, str] | None = None) -> World:
    """Somebody whom the CSMS will not accept charges at a socket while it cannot be reached."""
    world = idle([SOCKET], keys={**QUIET, **OFFLINE_FOR_ALL, **(keys or {})})
    world.csms.blocked_tokens |= {CARD, OTHER}
    world.csms.vanishes()
    world.runs(seconds=30)
    return charge(world, cable_amps=32)


def charge(world: World, evse: int = 1, card: str = CARD, **car: Any) -> World:
    """A car comes to `evse`, its driver shows `card`, energy flows."""
    world.ev(evse).plugs_in(**car).presents(card)
    return world.until(lambda: world.outlets[evse].amps >= 6, within_s=60).runs(seconds=10)


# ---------------------------------------------------------------------------------------- what the CSMS asks


def name(text: str) -> Payload:
    """Component and variable of "Component.Variable[instance]"."""
    component, _, variable = text.partition(".")
    variable, _, instance = variable.rstrip("]").partition("[")
    described: Payload = {"component": {"name": component}, "variable": {"name": variable}}
    if instance:
        described["variable"]["instance"] = instance
    return described


def set_variable(world: World, variable: str, value: str) -> str:
    """SetVariables with one element; its attributeStatus."""
    answer = world.csms_asks("SetVariables", {"setVariableData": [{**name(variable), "attributeValue": value}]})
    return str(answer["setVariableResult"][0]["attributeStatus"])


def get_variable(world: World, variable: str) -> str | None:
    """GetVariables with one element; its value, None when there is none."""
    answer = world.csms_asks("GetVariables", {"getVariableData": [name(variable)]})
    value: str | None = answer["getVariableResult"][0].get("attributeValue")
    return value


def profile(id: int = 1, *periods: tuple[int, float], **changed: Any) -> Payload:
    """A chargingProfile: TxDefaultProfile, Absolute from the world's beginning, in A; `changed` replaces fields.

    Names of the chargingSchedule (startSchedule, duration, chargingRateUnit) go there; None removes a field.
    """
    rows = [{"startPeriod": start, "limit": limit} for start, limit in periods or ((0, 10.0),)]
    schedule: Payload = {
        "id": 1, "startSchedule": "2026-03-01T12:00:00Z", "chargingRateUnit": "A", "chargingSchedulePeriod": rows,
    }  # fmt: skip
    whole: Payload = {
        "id": id, "stackLevel": 0, "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Absolute", "chargingSchedule": [schedule],
    }  # fmt: skip
    for field, value in changed.items():
        target = schedule if field in ("startSchedule", "duration", "chargingRateUnit") else whole
        target[field] = value
        if value is None:
            del target[field]
    return whole


def station_maximum(id: int, *periods: tuple[int, float], **changed: Any) -> Payload:
    """A ChargingStationMaxProfile."""
    return profile(id, *periods, chargingProfilePurpose="ChargingStationMaxProfile", **changed)


def install(world: World, evse: int, charging_profile: Payload) -> Payload:
    """SetChargingProfile; the whole answer."""
    return world.csms_asks("SetChargingProfile", {"evseId": evse, "chargingProfile": charging_profile})


def remote_start(world: World, start_id: int = 7, card: str = CARD, **more: Any) -> Payload:
    """RequestStartTransaction; the whole answer."""
    token = {"idToken": card, "type": more.pop("type", "ISO14443")}
    return world.csms_asks("RequestStartTransaction", {"remoteStartId": start_id, "idToken": token, **more})


def list_entry(card: str, status: str = "Accepted", **info: Any) -> Payload:
    """An entry of the local authorization list; `group` names its group, other names are fields of idTokenInfo."""
    group = info.pop("group", None)
    told = {"status": status, **info} | ({"groupIdToken": {"idToken": group, "type": "Central"}} if group else {})
    return {"idToken": {"idToken": card, "type": "ISO14443"}, "idTokenInfo": told}


def send_list(world: World, *entries: Payload, version: int = 1, kind: str = "Full") -> Payload:
    """SendLocalList; the whole answer."""
    request: Payload = {"versionNumber": version, "updateType": kind}
    if entries:
        request["localAuthorizationList"] = list(entries)
    return world.csms_asks("SendLocalList", request)


# ---------------------------------------------------------------------------------------- what the CSMS has heard


def heard(world: World, action: str) -> list[tuple[float, Payload]]:
    """When (s since the world began) and what: all CALLs with this action."""
    return [
        (f.at_ms / 1000, f.message[3])
        for f in world.csms.frames
        if f.direction == "<" and f.message[0] == 2 and f.message[2] == action
    ]


def spoken(world: World, since_s: float = 0) -> list[str]:
    """The actions of all CALLs that reached the CSMS, in order."""
    return [
        f.message[2]
        for f in world.csms.frames
        if f.direction == "<" and f.message[0] == 2 and f.at_ms >= since_s * 1000
    ]


def statuses(world: World, since_s: float = 0) -> list[tuple[int, str]]:
    """(EVSE, status) of every StatusNotification."""
    return [(p["evseId"], p["connectorStatus"]) for at, p in heard(world, "StatusNotification") if at >= since_s]


def now_s(world: World) -> float:
    """True time (s since the world began)."""
    return world.now_ms / 1000


def gaps(moments: Iterable[float]) -> list[int]:
    """Seconds from one moment to the next, rounded."""
    listed = list(moments)
    return [round(b - a) for a, b in pairwise(listed)]


def trail(transaction: Transaction) -> list[tuple[str, str, str]]:
    """(eventType, triggerReason, chargingState) of every event, by seqNo."""
    return [
        (e["eventType"], e["triggerReason"], e["transactionInfo"]["chargingState"])
        for e in sorted(transaction.events, key=lambda e: int(e["seqNo"]))
    ]


def last(transaction: Transaction) -> Payload:
    """The event with the highest seqNo."""
    return max(transaction.events, key=lambda e: int(e["seqNo"]))


def first(transaction: Transaction) -> Payload:
    """The event with the lowest seqNo."""
    return min(transaction.events, key=lambda e: int(e["seqNo"]))


def carrying(transaction: Transaction, field: str) -> list[int]:
    """Sequence numbers of the events that carry a field (of the event or of transactionInfo)."""
    return [e["seqNo"] for e in transaction.events if field in e or field in e["transactionInfo"]]


def meter_values(events: Iterable[Payload]) -> list[Payload]:
    """Every MeterValue in messages or events, in order."""
    return [value for event in events for value in event.get("meterValue", ())]


def utc_s(payload: Payload) -> float:
    """Its timestamp in seconds since 1970."""
    return parse_rfc3339(payload["timestamp"]) / 1000


def why(world: World, evse: int = 1) -> Payload:
    """What binds the current of an EVSE: `chargerctl why`."""
    found: Payload = world.asks_station("why", evse=evse)[0]
    return found
