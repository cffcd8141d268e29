"""evcc, the home energy manager: configures by trial, then moves the limit every few seconds to follow the sun.

evcc itself speaks OCPP 1.6J; this is the same habit in OCPP 2.0.1: Operative at connect, measurands one by one to find
out what works, an Absolute default profile that began a minute ago with tenths of amperes, 0 A as a pause, and
TriggerMessage(MeterValues) again and again.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hil.bench import Bench
from hil.csms import Behaviour
from hil.personas.words import asks, judge, leaves, limits, online, profile, schedule, sets, starts

MEASURANDS = (
    "Power.Active.Import", "Energy.Active.Import.Register", "Current.Import", "Voltage", "Current.Offered",
    "Power.Offered", "SoC",
)  # fmt: skip
SUN = (15.9, 7.3, 0.0, 12.4)
"""Amperes that are offered one after the other; 0 pauses and the transaction stays (evcc#29272)."""


def behave_as_evcc(behaviour: Behaviour) -> None:
    behaviour.heartbeat_s = 60


def evcc(bench: Bench, evse: int = 1) -> None:
    """Set-up, then a session that follows the sun."""
    online(bench)
    answer = asks(bench, "ChangeAvailability", {"operationalStatus": "Operative"})
    bench.check("Operative, which it is", answer.get("status") == "Accepted", answer)
    found = [name for name in MEASURANDS if sets(bench, "AlignedDataCtrlr", "Measurands", name) == "Accepted"]
    bench.check("measurands found by trial", set(MEASURANDS[:4]) <= set(found), found)
    bench.check("all of them at once", sets(bench, "AlignedDataCtrlr", "Measurands", ",".join(found)) == "Accepted")
    starts(bench, evse)
    for amps in SUN:
        _offers(bench, evse, amps)
    leaves(bench, evse)
    judge(bench)


def _offers(bench: Bench, evse: int, amps: float) -> None:
    began = _station_time(bench) - timedelta(minutes=1)
    start = began.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    taken = limits(bench, evse, profile("TxDefaultProfile", "Absolute", schedule(amps, startSchedule=start)))
    bench.check(f"{amps:g} A are taken", taken.get("status") == "Accepted", taken)
    bench.wait_until(f"{amps:g} A flow", lambda: amps - 0.6 <= max(bench.amps(evse)) <= amps + 0.05, 60)
    before = len(bench.calls("MeterValues", "TransactionEvent"))
    answer = asks(bench, "TriggerMessage", {"requestedMessage": "MeterValues", "evse": {"id": evse}})
    bench.check("MeterValues can be asked for", answer.get("status") == "Accepted", answer)
    bench.wait_until("a meter value", lambda: len(bench.calls("MeterValues", "TransactionEvent")) > before)
    running = bench.transactions()[-1]
    bench.check("the transaction stays", not running.ended)


def _station_time(bench: Bench) -> datetime:
    """By the station's clock, which is the simulated one in the world."""
    wanted = {"component": {"name": "ClockCtrlr"}, "variable": {"name": "DateTime"}}
    answer = bench.call("GetVariables", {"getVariableData": [wanted]})
    return datetime.fromisoformat(answer["getVariableResult"][0]["attributeValue"])
