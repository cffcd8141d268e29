"""What a CSMS asks of a station on any day: limits, remote starts, keys, reports, things it does not know."""

from __future__ import annotations

from typing import Any

from agent.core.instant import rfc3339
from tests.sim.firmware import DEAF, update
from tests.sim.happenings import an_evse, chance, pick, several, verb, whole
from tests.sim.jobs import Ends
from tests.sim.visits import CARDS
from tests.sim.world import World

MAX = "ChargingStationMaxProfile"
DEFAULT = "TxDefaultProfile"
TX = "TxProfile"
LONG_AGO = "2026-01-02T00:00:00Z"
"""When plain profiles begin: before any moment that a clock of this world shows."""


def plain_profile(amount: float, *, purpose: str = MAX, unit: str = "A", level: int = 0) -> dict[str, Any]:
    """A SetChargingProfileRequest: the same limit for ever, for the whole station."""
    schedule = {
        "id": 1,
        "startSchedule": LONG_AGO,
        "chargingRateUnit": unit,
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": amount}],
    }
    profile = {
        "id": 1 if purpose == MAX else 2,
        "stackLevel": level,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": "Absolute",
        "chargingSchedule": [schedule],
    }
    return {"evseId": 0, "chargingProfile": profile}


def station_maximum(amps: float) -> dict[str, Any]:
    """A SetChargingProfileRequest: the whole station may take this much."""
    return plain_profile(amps)


@verb(weight=3, amps=pick(0.0, 5.9, 6.0, 8.5, 10.0, 16.0, 40.0))
def csms_limits_the_station(world: World, amps: float) -> None:
    world.csms.sends("SetChargingProfile", plain_profile(amps))


@verb(weight=1, watts=pick(0.0, 3_000.0, 4_140.0, 7_400.0, 11_000.0, 40_000.0))
def csms_limits_the_watts(world: World, watts: float) -> None:
    world.csms.sends("SetChargingProfile", plain_profile(watts, unit="W"))


@verb(weight=2, amps=pick(0.0, 6.0, 9.0, 13.0, 32.0))
def csms_limits_transactions(world: World, amps: float) -> None:
    world.csms.sends("SetChargingProfile", plain_profile(amps, purpose=DEFAULT))


@verb(
    purpose=pick(MAX, DEFAULT, DEFAULT, TX, TX), evse=an_evse, everywhere=chance(0.5), level=whole(0, 2),
    kind=pick("Absolute", "Absolute", "Relative", "Relative", "Daily", "Weekly"), unit=pick("A", "A", "W"),
    limits=several(1, 4, 0.0, 5.0, 6.0, 7.5, 10.0, 16.0, 20.0, 32.0), phases=pick(None, None, None, 1, 3),
    step_s=pick(20, 90, 300, 1800), started_s=pick(-90_000, -600, -60, 0, 0, 45, 300),
    duration_s=pick(None, None, 40, 200, 900, 5000), valid_s=pick(None, None, (0, 300), (60, 900), (-30, 4000)),
)  # fmt: skip
def csms_schedules_limits(
    world: World, purpose: str, evse: int, everywhere: bool, level: int, kind: str, unit: str, limits: list[float],
    phases: int | None, step_s: int, started_s: int, duration_s: int | None, valid_s: list[int] | None,
) -> None:  # fmt: skip
    """A profile of any kind; limits in A (in W as of three phases), one each `step_s`; times count from now."""
    now_ms = world.clock.utc_ms
    place = 0 if purpose == MAX or (purpose == DEFAULT and everywhere) else evse
    factor = 690.0 if unit == "W" else 1.0
    few = {} if phases is None else {"numberPhases": phases}
    periods = [{"startPeriod": n * step_s, "limit": amps * factor, **few} for n, amps in enumerate(limits)]
    schedule: dict[str, Any] = {"id": 1, "chargingRateUnit": unit, "chargingSchedulePeriod": periods}
    profile: dict[str, Any] = {
        "id": (MAX, DEFAULT, TX).index(purpose) + 1 + 10 * level + 100 * place,
        "stackLevel": level,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": "Recurring" if kind in ("Daily", "Weekly") else kind,
        "chargingSchedule": [schedule],
    }
    if kind != "Relative":
        schedule["startSchedule"] = rfc3339(now_ms + 1000 * started_s)
    if kind in ("Daily", "Weekly"):
        profile["recurrencyKind"] = kind
    if duration_s is not None:
        schedule["duration"] = duration_s
    if valid_s is not None:
        profile |= zip(("validFrom", "validTo"), (rfc3339(now_ms + 1000 * s) for s in valid_s), strict=True)
    if purpose == TX:
        profile["transactionId"] = _running(world, evse)
    world.csms.sends("SetChargingProfile", {"evseId": place, "chargingProfile": profile})


def _running(world: World, evse: int) -> str:
    return next((t.id for t in world.csms.transactions.values() if not t.ended and t.evse == evse), "unknown")


@verb(weight=1, purpose=pick(MAX, DEFAULT))
def csms_clears_limits(world: World, purpose: str) -> None:
    world.csms.sends("ClearChargingProfile", {"chargingProfileCriteria": {"chargingProfilePurpose": purpose}})


@verb(weight=2, evse=an_evse, card=pick(*CARDS), number=whole(1, 999))
def csms_starts_a_transaction(world: World, evse: int, card: str, number: int) -> None:
    token = {"idToken": card, "type": "ISO14443"}
    world.csms.sends("RequestStartTransaction", {"remoteStartId": number, "idToken": token, "evseId": evse})


@verb(weight=2, number=whole(0, 9))
def csms_stops_a_transaction(world: World, number: int) -> None:
    running = [t.id for t in world.csms.transactions.values() if not t.ended] or ["unknown"]
    world.csms.sends("RequestStopTransaction", {"transactionId": running[number % len(running)]})


@verb(weight=1, card=pick(*CARDS), seconds=pick(20, 300))
def csms_blocks_a_card(world: World, card: str, seconds: float) -> None:
    world.csms.blocked_tokens.add(card)
    world.later(seconds, lambda: world.csms.blocked_tokens.discard(card))


@verb(weight=1, evse=an_evse, seconds=pick(5, 60, 600))
def csms_takes_an_evse_out_of_use(world: World, evse: int, seconds: float) -> None:
    csms_changes_availability(world, evse, "Inoperative")
    world.later(seconds, lambda: csms_changes_availability(world, evse, "Operative"))


def csms_changes_availability(world: World, evse: int, status: str) -> None:
    """Operative or Inoperative; while there is no link the word is lost."""
    world.csms.sends("ChangeAvailability", {"operationalStatus": status, "evse": {"id": evse}})


@verb(weight=1, seconds=pick(1, 40, 2000), well=chance(0.6))
def csms_wants_a_log(world: World, seconds: float, well: bool) -> None:
    """Its server takes so long, and takes the log or not."""
    world.workers.do("logs.upload", lambda data: [Ends(seconds, well, {} if well else {"error": "the story says so"})])
    log = {"remoteLocation": "https://logs.example/"}
    world.csms.sends("GetLog", {"logType": "DiagnosticsLog", "requestId": world.now_ms // 1000, "log": log})


HEARTBEAT_INTERVAL = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "HeartbeatInterval"}}
QUESTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "a key": ("GetVariables", {"getVariableData": [HEARTBEAT_INTERVAL]}),
    "to change a key": ("SetVariables", {"setVariableData": [{**HEARTBEAT_INTERVAL, "attributeValue": "600"}]}),
    "for a heartbeat": ("TriggerMessage", {"requestedMessage": "Heartbeat"}),
    "for a status": ("TriggerMessage", {"requestedMessage": "StatusNotification"}),
    "for meter values": ("TriggerMessage", {"requestedMessage": "MeterValues", "evse": {"id": 1}}),
    "for a report": ("GetBaseReport", {"requestId": 7, "reportBase": "FullInventory"}),
    "to clear the cache": ("ClearCache", {}),
    "for the schedule": ("GetCompositeSchedule", {"duration": 600, "evseId": 1}),
    "for what is waiting": ("GetTransactionStatus", {}),
    "to unlock": ("UnlockConnector", {"evseId": 1, "connectorId": 1}),
    "something vendors know": ("DataTransfer", {"vendorId": "com.example", "data": {"a_b": [1, None]}}),
    "to restart now": ("Reset", {"type": "Immediate"}),
    "to restart when idle": ("Reset", {"type": "OnIdle"}),
    "something unknown": ("Frobnicate", {}),
    "something malformed": ("GetVariables", {"getVariableData": []}),
}  # fmt: skip


@verb(weight=4, what=pick(*QUESTIONS), twice=chance(0.1))
def csms_asks(world: World, what: str, twice: bool) -> None:
    for _ in range(1 + twice):
        world.csms.sends(*QUESTIONS[what])


@verb(version=pick("2.0", DEAF), signature=pick("good", "good", "bad"), number=whole(1, 99))
def csms_updates_the_firmware(world: World, version: str, signature: str, number: int) -> None:
    world.csms.sends("UpdateFirmware", update(number, location=f"https://files.example/{version}", signature=signature))


@verb(weight=1, what=pick(*QUESTIONS), seconds=pick(30, 600))
def csms_talks_first(world: World, what: str, seconds: float) -> None:
    """For a while it asks at once when a link is up, before the station has said a word; now on a new link."""
    word = QUESTIONS[what]
    world.csms.first_words.append(word)
    world.csms.vanishes()
    world.later(1.0, world.csms.returns)
    world.later(seconds, world.csms.first_words.clear)


@verb(weight=1, number=whole(1, 9), follows=chance(0.7))
def csms_changes_the_password(world: World, number: int, follows: bool) -> None:
    """The station has taken it, and the CSMS wants it from then on, or has lost its own change (A01)."""
    password = f"a-password-of-the-world-{number}"
    data = {"component": {"name": "SecurityCtrlr"}, "variable": {"name": "BasicAuthPassword"}}
    asked = world.csms.sends("SetVariables", {"setVariableData": [{**data, "attributeValue": password}]})

    def follow() -> None:
        taken = asked.answer is not None and asked.answer["setVariableResult"][0]["attributeStatus"] == "Accepted"
        if taken and follows:
            world.csms.password = password

    world.later(2.0, follow)
