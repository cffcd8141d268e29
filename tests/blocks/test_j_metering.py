"""J01, J02: what is measured when, how it is labelled, and what is never said."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from config_keys import site
from tests.blocks.stories import (
    CARD,
    OFFLINE_FOR_ALL,
    back_online,
    charge,
    charging,
    first,
    goes_off,
    heard,
    idle,
    last,
    meter_values,
    set_variable,
    trail,
    utc_s,
)
from tests.marks import req
from tests.sim.meter import Meter
from tests.sim.outlet import OutletSpec, raw, smart
from tests.sim.transactions import Payload
from tests.sim.world import World

TWO = (smart(16), raw(32))
EVERYTHING = "Energy.Active.Import.Register,Power.Active.Import,Current.Import,Voltage,Current.Offered"
ENERGY = "Energy.Active.Import.Register"
SIGNING = replace(raw(16), signs=True)
ENDED = {"AlignedDataCtrlr.TxEndedInterval": "60", "AlignedDataCtrlr.TxEndedMeasurands": ENERGY}
NONE = {"AlignedDataCtrlr.Interval": "0", "SampledDataCtrlr.TxUpdatedInterval": "0"}


def reads_often(world: World) -> World:
    """The meters are read each second, as the drivers do."""
    for driver in world.hardware.drivers.values():
        driver.meter_idle_ms = driver.meter_plugged_ms = 1_000
    return world


def values(messages: list[Payload], context: str) -> list[Payload]:
    """MeterValues with this context."""
    return [v for v in meter_values(messages) if v["sampledValue"][0]["context"] == context]


def events(world: World, trigger: str) -> list[Payload]:
    """Transaction events with this triggerReason."""
    return [e for _, e in heard(world, "TransactionEvent") if e["triggerReason"] == trigger]


def distances(stamped: list[Payload]) -> set[float]:
    """Seconds between timestamps."""
    return {utc_s(b) - utc_s(a) for a, b in pairwise(stamped)}


# ---------------------------------------------------------------------------------------- J01


@req("J01.FR.02", "J01.FR.05", "J01.FR.06", "J01.FR.08", "J01.FR.14", "J01.FR.17")
@pytest.mark.parametrize("interval", [60, 900])
def test_aligned_values_of_all_evses_carry_the_very_same_round_moments(interval: int) -> None:
    """TC_J_01."""
    world = reads_often(idle(TWO, keys={"AlignedDataCtrlr.Interval": str(interval)}))
    world.runs(seconds=4 * interval)
    sent = [p for _, p in heard(world, "MeterValues")]
    stamps = {evse: [v for p in sent if p["evseId"] == evse for v in values([p], "Sample.Clock")] for evse in (1, 2)}
    assert [utc_s(v) for v in stamps[1]] == [utc_s(v) for v in stamps[2]] and len(stamps[1]) >= 3
    assert distances(stamps[1]) == {interval} and all(utc_s(v) % interval == 0 for v in stamps[1])


@req("J01.FR.22", "J01.FR.08", "J01.FR.14")
def test_aligned_values_of_an_evse_in_transaction_are_events_at_the_same_moments() -> None:
    """TC_J_02."""
    world = reads_often(idle(TWO, keys={**NONE, "AlignedDataCtrlr.Interval": "60"}))
    charge(world, 2)
    world.runs(minutes=5)
    clock = events(world, "MeterValueClock")
    stamps = values(clock, "Sample.Clock")
    assert len(stamps) >= 4 and distances(stamps) == {60} and all(e["eventType"] == "Updated" for e in clock)
    assert {p["evseId"] for _, p in heard(world, "MeterValues")} == {1}
    world.settles()


@req("J01.FR.17", "E06.FR.11")
def test_what_was_read_long_before_the_boundary_is_not_told_as_if_read_at_it() -> None:
    """A meter that fell silent 8 s ago is still believed, with the moment at which it was read."""
    world = reads_often(idle(keys={**NONE, **ENDED, "AlignedDataCtrlr.Interval": "60"}))
    charge(world).runs(seconds=60)
    world.runs(seconds=(52 - world.clock.utc_ms / 1000) % 60)
    world.hardware.wires[1].mute = True
    world.runs(seconds=20)
    world.hardware.wires[1].mute = False
    world.runs(seconds=5)
    world.ev(1).presents(CARD)
    world.runs(minutes=1)
    world.settles()
    for told in (values(events(world, "MeterValueClock"), "Sample.Clock"), values(ended(world), "Sample.Clock")):
        assert [utc_s(v) % 60 == 0 for v in told] == [True, False] and 51 <= utc_s(told[1]) % 60 <= 52.1


def ended(world: World) -> list[Payload]:
    return [last(world.csms.transaction(1))]


@req("J01.FR.19", "J01.FR.20")
def test_send_during_idle_sends_nothing_at_all_while_a_transaction_runs() -> None:
    """TC_J_06."""
    keys = {**NONE, "AlignedDataCtrlr.Interval": "60", "AlignedDataCtrlr.SendDuringIdle": "true"}
    world = reads_often(idle(TWO, keys=keys))
    world.runs(minutes=3)
    assert heard(world, "MeterValues")
    charge(world, 2)
    count = len(heard(world, "MeterValues"))
    world.runs(minutes=5)
    assert len(heard(world, "MeterValues")) == count and not events(world, "MeterValueClock")
    world.settles()


@req("J02.FR.11", "E06.FR.11")
def test_an_interval_for_aligned_values_at_the_end_without_any_measurand_adds_nothing() -> None:
    """The default of TxEndedMeasurands is none: a meterValue without a sample is no legal one."""
    world = reads_often(idle(TWO, keys={**NONE, "AlignedDataCtrlr.TxEndedInterval": "60"}))
    charge(world, 2)
    world.runs(minutes=5)
    world.ev(2).presents(CARD)
    world.runs(minutes=1)
    world.settles()
    ended = world.csms.transaction(1).events[-1]
    assert ended["eventType"] == "Ended" and not values([ended], "Sample.Clock")


@req("J01.FR.14")
def test_interval_zero_is_no_values_and_a_new_interval_holds_at_once() -> None:
    world = reads_often(idle(TWO, keys=NONE))
    world.runs(minutes=20)
    assert not heard(world, "MeterValues")
    set_variable(world, "AlignedDataCtrlr.Interval", "60")
    world.runs(minutes=2)
    assert heard(world, "MeterValues")


@req("J01.FR.14", "J01.FR.17")
def test_aligned_values_go_on_at_round_moments_after_the_clock_was_set() -> None:
    """Bug E7: resume after a time step."""
    keys = {**NONE, "AlignedDataCtrlr.Interval": "60", "OCPPCommCtrlr.HeartbeatInterval": "10"}
    world = reads_often(idle(keys=keys))
    world.clock.steps_by(-1_234.5)
    world.runs(minutes=5)
    world.clock.steps_by(777.7)
    world.runs(minutes=5)
    stamps = values([p for _, p in heard(world, "MeterValues")], "Sample.Clock")
    assert len(stamps) >= 6 and all(utc_s(v) % 60 == 0 for v in stamps)


# ---------------------------------------------------------------------------------------- J02


@req("J02.FR.10", "J02.FR.11")
def test_a_reading_is_told_once_where_samples_are_more_frequent_than_readings() -> None:
    """A meter that pauses for some seconds: what it told before is of an interval that is over."""
    world = reads_often(idle(keys={**NONE, "SampledDataCtrlr.TxUpdatedInterval": "2"}))
    charge(world).runs(seconds=20)
    world.hardware.wires[1].mute = True
    world.runs(seconds=9)
    world.hardware.wires[1].mute = False
    world.runs(seconds=20)
    periodic = events(world, "MeterValuePeriodic")
    assert len(periodic) > 15
    assert all(utc_s(event) - utc_s(event["meterValue"][0]) <= 2 for event in periodic)
    assert 0 not in distances([event["meterValue"][0] for event in periodic])


@req("J02.FR.21", "J02.FR.13")
@pytest.mark.parametrize("setting, times", [("OncePerTransaction", 1), ("EveryMeterValue", None)])
def test_the_event_with_the_public_key_is_not_thinned_out(setting: str, times: int | None) -> None:
    keys = {**NONE, **OFFLINE_FOR_ALL, "SampledDataCtrlr.SignReadings": "true",
            "SampledDataCtrlr.SignUpdatedReadings": "true", "SampledDataCtrlr.TxUpdatedInterval": "10",
            site.OUTBOX_LIMIT.name: "100",
            "OCPPCommCtrlr.PublicKeyWithSignedMeterValue": setting}  # fmt: skip
    world = idle((SIGNING,), keys=keys)
    world.csms.vanishes()
    world.runs(seconds=30)
    charge(world).runs(minutes=40)
    world.ev(1).presents(CARD)
    back_online(world)
    told = sorted(world.csms.transaction(1).events, key=lambda e: int(e["seqNo"]))
    keyed = [s["signedMeterValue"]["publicKey"] != "" for v in meter_values(told) for s in v["sampledValue"]
             if "signedMeterValue" in s]  # fmt: skip
    assert len(told) < 150 and keyed[0] and keyed.count(True) == (times or len(keyed))


@req("J02.FR.06", "J01.FR.10")
@pytest.mark.parametrize("without", ["true", "false"])
def test_the_energy_register_is_a_total_only_wherever_it_is_told_when_the_key_says_so(without: str) -> None:
    keys = {**ENDED, "AlignedDataCtrlr.Interval": "60", "SampledDataCtrlr.TxUpdatedInterval": "30",
            "SampledDataCtrlr.TxEndedInterval": "30", "SampledDataCtrlr.RegisterValuesWithoutPhases": without,
            "SampledDataCtrlr.TxUpdatedMeasurands": f"{ENERGY},Current.Import"}  # fmt: skip
    world = reads_often(idle([replace(raw(16), meter="counts phases")] * 2, keys=keys))
    charge(world).runs(minutes=2)
    for asked in ("MeterValues", "TransactionEvent"):
        world.csms_asks("TriggerMessage", {"requestedMessage": asked})
        world.runs(seconds=5)
    world.ev(1).presents(CARD)
    world.runs(minutes=1)
    told = meter_values([p for kind in ("TransactionEvent", "MeterValues") for _, p in heard(world, kind)])
    samples = [s for v in told for s in v["sampledValue"]]
    by_phase = {s["context"] for s in samples if s["measurand"] == ENERGY and "phase" in s}
    contexts = {s["context"] for s in samples if s["measurand"] == ENERGY}
    assert contexts == {"Transaction.Begin", "Transaction.End", "Sample.Clock", "Sample.Periodic", "Trigger"}
    assert by_phase == (set() if without == "true" else contexts)
    assert any(s["measurand"] == "Current.Import" and "phase" in s for s in samples)


@req("J02.FR.11")
def test_a_station_without_any_meter_refuses_what_only_a_meter_can_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    described = OutletSpec.site
    monkeypatch.setattr(OutletSpec, "site", lambda spec, evse: described(spec, evse)._replace(has_meter=False))
    monkeypatch.setattr(Meter, "starts", lambda meter: None)
    monkeypatch.setattr(Meter, "read", lambda meter: None)
    world = idle(keys=NONE)
    for variable in ("SampledDataCtrlr.TxUpdatedMeasurands", "AlignedDataCtrlr.Measurands"):
        assert set_variable(world, variable, "Voltage") == set_variable(world, variable, ENERGY) == "Rejected"
    assert set_variable(world, "SampledDataCtrlr.TxUpdatedMeasurands", "Current.Offered") == "Accepted"


@req("J02.FR.11", "J02.FR.02", "J02.FR.04", "J02.FR.10", "J02.FR.18", "E02.FR.10")
@pytest.mark.parametrize("interval", [5, 30])
def test_sampled_values_are_exactly_an_interval_apart(interval: int) -> None:
    """TC_J_09."""
    keys = {**NONE, "SampledDataCtrlr.TxUpdatedInterval": str(interval)}
    world = reads_often(idle(keys=keys, ticking=True))
    charge(world, 1)
    world.runs(seconds=20 * interval)
    periodic = events(world, "MeterValuePeriodic")
    assert len(periodic) >= 18 and distances(periodic) == {interval}
    for event in periodic:
        assert 0 <= utc_s(event) - utc_s(event["meterValue"][0]) <= interval
        assert all(s["context"] == "Sample.Periodic" for s in event["meterValue"][0]["sampledValue"])
    world.settles()


@req("J02.FR.11")
def test_samples_stay_an_interval_apart_when_every_step_comes_late() -> None:
    """Ticks that are 30 ms late each time must not add up."""
    world = reads_often(idle(keys={**NONE, "SampledDataCtrlr.TxUpdatedInterval": "10"}))
    charge(world, 1)
    deadline = world.station.next_deadline if world.station is not None else None
    assert world.station is not None and deadline is not None
    world.station.next_deadline = lambda: _later(deadline())  # type: ignore[method-assign]
    world.runs(minutes=20)
    assert distances(events(world, "MeterValuePeriodic")) == {10}


def _later(deadline_ms: int | None) -> int | None:
    return None if deadline_ms is None else deadline_ms + 30


@req("J02.FR.03", "J02.FR.06", "J02.FR.05", "J01.FR.07", "J01.FR.10")
def test_every_measurand_has_its_unit_and_its_phases_and_totals_where_they_exist() -> None:
    """Bug 27: current on L1-N, units nobody knows, no total power."""
    world = charging(keys={**NONE, "SampledDataCtrlr.TxUpdatedInterval": "10",
                           "SampledDataCtrlr.TxUpdatedMeasurands": EVERYTHING})  # fmt: skip
    world.runs(seconds=60)
    sampled = events(world, "MeterValuePeriodic")[-1]["meterValue"][0]["sampledValue"]
    labels = {(s["measurand"], s.get("phase"), s["unitOfMeasure"]["unit"]) for s in sampled}
    lines = ("L1", "L2", "L3")
    assert labels == {
        ("Energy.Active.Import.Register", None, "Wh"), ("Power.Active.Import", None, "W"),
        ("Current.Offered", None, "A"), *(("Current.Import", line, "A") for line in lines),
        *(("Voltage", f"{line}-N", "V") for line in lines),
    }  # fmt: skip
    assert all(isinstance(s["value"], int | float) and s.get("location", "Outlet") == "Outlet" for s in sampled)
    shown = {(s["measurand"], s.get("phase")): s["value"] for s in sampled}
    assert shown["Current.Import", "L1"] == 32 and shown["Power.Active.Import", None] == 22_080


@req("J02.FR.06")
def test_bug_05_a_phase_that_does_not_exist_is_absent_not_zero() -> None:
    """Bug 5: placeholders of 0 for L2 and L3."""
    world = charging([raw(32, phases=1)], keys={**NONE, "SampledDataCtrlr.TxUpdatedInterval": "10"})
    world.runs(seconds=30)
    sampled = events(world, "MeterValuePeriodic")[-1]["meterValue"][0]["sampledValue"]
    assert {s.get("phase") for s in sampled} == {None, "L1", "L1-N"}
    assert events(world, "ChargingStateChanged")[0]["numberOfPhasesUsed"] == 1


@req("J02.FR.16", "J02.FR.17", "E06.FR.11", "E07.FR.08", "E01.FR.09", "J01.FR.08")
def test_begin_and_end_registers_are_raw_and_once() -> None:
    """TC_J_07, TC_J_10."""
    world = charging(keys={**NONE, "SampledDataCtrlr.TxUpdatedInterval": "30"})
    world.runs(minutes=10)
    world.ev(1).presents(CARD)
    world.runs(minutes=1)
    session = world.csms.transaction(1)
    registers = session.registers()
    contexts = [context for context, _ in registers]
    assert contexts[0] == "Transaction.Begin" and contexts[-1] == "Transaction.End"
    assert contexts.count("Transaction.Begin") == 2 and contexts.count("Transaction.End") == 1
    assert registers[0][1] == 1_000_000 and [wh for _, wh in registers[:-2]] == sorted(wh for _, wh in registers[:-2])
    ended = last(session)["meterValue"]
    assert [v["sampledValue"][0]["context"] for v in ended] == ["Transaction.Begin", "Transaction.End"]
    assert utc_s(ended[0]) == utc_s(first(session)["meterValue"][0]) and utc_s(ended[1]) <= utc_s(last(session)) + 1
    world.settles()


@req("E01.FR.09", "E06.FR.11")
@pytest.mark.parametrize(
    ("started", "ended"), [("", "Energy.Active.Import.Register"), ("Energy.Active.Import.Register", "")]
)
def test_an_empty_list_of_measurands_is_no_values_of_that_kind(started: str, ended: str) -> None:
    keys = {**NONE, "SampledDataCtrlr.TxStartedMeasurands": started, "SampledDataCtrlr.TxEndedMeasurands": ended}
    world = charging(keys=keys)
    world.ev(1).pauses().after(seconds=40).resumes().after(seconds=40).presents(CARD)
    world.runs(minutes=3)
    session = world.csms.transaction(1)
    with_begin = [e["eventType"] for e in session.events if values([e], "Transaction.Begin")]
    assert with_begin == (["Started"] if started else ["Ended"])
    world.judge.allow.add("energy")
    world.settles()


@req("J02.FR.22")
def test_samples_in_events_are_of_the_evse_of_the_transaction_only() -> None:
    world = reads_often(idle(TWO, keys={**NONE, "SampledDataCtrlr.TxUpdatedInterval": "10"}))
    charge(world, 1)
    world.runs(minutes=2)
    charge(world, 2, "04DDEEFF")
    world.runs(minutes=3)
    for session in world.csms.transactions.values():
        assert session.evse is not None
        outlet = world.outlets[session.evse]
        shown = [wh for _, wh in session.registers()]
        assert shown == sorted(shown) and outlet.register.at(world.now_ms) - shown[-1] < 100
    world.settles()


# ---------------------------------------------------------------------------------------- stale


@req("J02.FR.10", "J02.FR.16")
def test_bug_06_meter_silence_makes_no_values_and_no_new_timestamps() -> None:
    """Bug 6: old values re-published with fresh timestamps."""
    world = charging(keys={**NONE, "SampledDataCtrlr.TxUpdatedInterval": "10", "AlignedDataCtrlr.Interval": "60"})
    world.runs(minutes=1)
    world.hardware.drivers[1].mute = True
    died = world.clock.utc_ms / 1000
    world.runs(minutes=10)
    stamps = [utc_s(v) for v in meter_values([e for _, e in heard(world, "TransactionEvent")])]
    assert max(stamps) <= died + 1
    assert world.outlets[1].offered == 6
    world.hardware.drivers[1].mute = False
    world.runs(minutes=2)
    assert world.outlets[1].offered == 32 and utc_s(events(world, "MeterValuePeriodic")[-1]) > died + 600
    world.settles()


@req("J02.FR.16", "E06.FR.11")
def test_a_meter_that_is_dead_at_the_end_leaves_the_end_register_out() -> None:
    world = charging(keys=NONE)
    world.hardware.drivers[1].mute = True
    world.runs(minutes=2)
    world.ev(1).presents(CARD)
    world.runs(minutes=1)
    told = ["Transaction.Begin", "Transaction.Begin", "Interruption.Begin"]
    assert [c for c, _ in world.csms.transaction(1).registers()] == told
    assert trail(world.csms.transaction(1))[-1][0] == "Ended"
    world.judge.allow.add("energy")
    world.settles()


@req("E02.FR.21", "E01.FR.09")
def test_a_meter_that_comes_late_makes_the_begin_register_late_never_zero() -> None:
    """Bug 28: no value rather than 0 before the first reading."""
    world = World([raw(32)], keys=NONE)
    world.hardware.drivers[1].mute = True
    world.ev(1).after(seconds=10).plugs_in().presents(CARD)
    world.runs(minutes=1)
    assert world.csms.transaction(1).registers() == []
    world.hardware.drivers[1].mute = False
    world.runs(minutes=5)
    world.ev(1).pauses()
    world.runs(minutes=1)
    registers = world.csms.transaction(1).registers()
    assert registers and registers[0][1] >= 1_000_000


@req("J02.FR.16", "J02.FR.17")
@pytest.mark.parametrize("end", ["power", "kill"])
def test_registers_go_on_over_a_reboot(end: str) -> None:
    world = charging(keys={**NONE, "SampledDataCtrlr.TxUpdatedInterval": "10"})
    world.runs(minutes=2)
    goes_off(world, end).returns_after(seconds=20)
    world.runs(minutes=3)
    world.ev(1).presents(CARD)
    back_online(world)
    shown = [wh for _, wh in world.csms.transaction(1).registers()]
    assert shown[:-2] == sorted(shown[:-2]) and shown[-2] == shown[0]
    world.settles()


@req("J01.FR.11", "J02.FR.07", "J01.FR.13", "J02.FR.09")
def test_phases_are_numbered_as_the_meter_sees_them_and_the_rotation_is_told_apart() -> None:
    keys = {**NONE, "AlignedDataCtrlr.Interval": "60", "AlignedDataCtrlr.Measurands": "Current.Import",
            "SampledDataCtrlr.TxUpdatedInterval": "10", "SampledDataCtrlr.TxUpdatedMeasurands": "Current.Import",
            "EVSE.PhaseRotation@1": "TRS"}  # fmt: skip
    world = reads_often(idle(keys=keys))
    charge(world, phases=1)
    world.runs(minutes=2)
    for trigger in ("MeterValuePeriodic", "MeterValueClock"):
        sampled = events(world, trigger)[-1]["meterValue"][0]["sampledValue"]
        assert [(s["phase"], s["value"]) for s in sampled] == [("L1", 32), ("L2", 0), ("L3", 0)]
    variable = {"component": {"name": "EVSE", "evse": {"id": 1}}, "variable": {"name": "PhaseRotation"}}
    told = world.csms_asks("GetVariables", {"getVariableData": [variable]})["getVariableResult"][0]
    assert told["attributeValue"] == "TRS"
    world.settles()
