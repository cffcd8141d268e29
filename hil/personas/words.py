"""What the stories of all backends do and look at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hil.bench import Bench
from hil.csms import Behaviour, CallFailed, ErrorAnswer
from hil.csms.schemas import FROM_STATION
from hil.scenarios.charging_session import one_each, status

CARD = "04A1B2C3D4E5F6"
REPORT_S = 90.0
Json = dict[str, Any]


def knows_only(behaviour: Behaviour, known: frozenset[str], code: str = "NotImplemented") -> None:
    """Everything that a station may say and that is not among `known` gets a CALLERROR."""
    for action in sorted(FROM_STATION - known):
        behaviour.errors[action] = ErrorAnswer(code, f"{action} is not known here")


def online(bench: Bench) -> None:
    """The station is registered and has told that every EVSE is free."""
    bench.wait_until("BootNotification", lambda: bench.calls("BootNotification"))
    bench.wait_until("free EVSEs", lambda: all(status(bench, evse) == "Available" for evse in bench.outfits()))


def asks(bench: Bench, action: str, payload: Json) -> Json:
    """A CALL; its answer, or `{"error": code}` where the station refuses it as such."""
    try:
        return bench.call(action, payload)
    except CallFailed as refused:
        return {"error": refused.code}


def inventory(bench: Bench, request: int) -> list[Json]:
    """GetBaseReport FullInventory: all rows, once the last page is there."""
    asks(bench, "GetBaseReport", {"requestId": request, "reportBase": "FullInventory"})

    def pages() -> list[Json]:
        return [f.payload for f in bench.calls("NotifyReport") if f.payload["requestId"] == request]

    bench.wait_until("the last page", lambda: [p for p in pages() if not p.get("tbc", False)], REPORT_S)
    return [row for page in pages() for row in page["reportData"]]


def sets(bench: Bench, component: str, variable: str, value: str) -> str:
    """SetVariables of one variable; its status."""
    data = {"component": {"name": component}, "variable": {"name": variable}, "attributeValue": value}
    return str(bench.call("SetVariables", {"setVariableData": [data]})["setVariableResult"][0]["attributeStatus"])


def starts(bench: Bench, evse: int, amps: float = 16.0, card: str = CARD) -> None:
    """A car comes and a card is shown; returns when current flows and the CSMS knows."""
    bench.plug(evse, amps=amps)
    bench.wait_until(f"EVSE {evse} is Occupied", lambda: status(bench, evse) == "Occupied")
    bench.present(card, evse)
    charges(bench, evse)


def charges(bench: Bench, evse: int) -> None:
    """Current flows, and the CSMS knows of a running transaction."""
    bench.wait_until(f"current at EVSE {evse}", lambda: max(bench.amps(evse)) > 5.9, 60)
    bench.wait_until("a transaction that runs", lambda: bench.transactions() and not bench.transactions()[-1].ended)


def leaves(bench: Bench, evse: int) -> None:
    """The car is unplugged; returns when the CSMS knows that."""
    bench.unplug(evse)
    bench.wait_until("the transaction has ended", lambda: bench.transactions()[-1].ended, 60)
    bench.wait_until("the EVSE is Available again", lambda: status(bench, evse) == "Available", 60)


def judge(bench: Bench, sessions: int = 1) -> None:
    """What holds of every story: whole transactions, and no rule of the protocol broken."""
    found = bench.transactions()
    bench.check(f"there were {sessions} transactions", len(found) == sessions, len(found))
    for transaction in found:
        kinds = [event["eventType"] for event in transaction.ordered()]
        bench.check("one Started first, one Ended last", one_each(kinds), kinds)
        whole = transaction.seq_numbers == list(range(len(kinds)))
        bench.check("no sequence number is missing", whole, transaction.seq_numbers)
    violations = bench.violations()
    bench.check("no rule of the protocol was broken", not violations, "; ".join(violations[:3]))


def schedule(amps: float, **more: Any) -> list[Json]:
    """A chargingSchedule of one period."""
    return [{"id": 1, "chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": amps}], **more}]


def profile(purpose: str, kind: str, charging_schedule: list[Json], **more: Any) -> Json:
    """A chargingProfile."""
    return {
        "id": 1, "stackLevel": 0, "chargingProfilePurpose": purpose, "chargingProfileKind": kind,
        "chargingSchedule": charging_schedule, **more,
    }  # fmt: skip


def limits(bench: Bench, evse: int, given: Json) -> Json:
    """SetChargingProfile; the whole answer."""
    return asks(bench, "SetChargingProfile", {"evseId": evse, "chargingProfile": given})


def named(row: Mapping[str, Any]) -> str:
    """`Component.Variable` of a row of a report."""
    return f"{row['component']['name']}.{row['variable']['name']}"
