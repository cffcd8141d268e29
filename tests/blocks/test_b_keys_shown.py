"""B05.FR.10: keys that no other story sets while the station runs: each is set, and what it changes is seen."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from hal.ports import Reading, TemperatureMeasured
from tests.blocks.stories import (
    CARD,
    QUIET,
    charge,
    charging,
    heard,
    idle,
    last,
    meter_values,
    remote_start,
    set_variable,
)
from tests.blocks.test_b_network import HERE, STEADY, THERE, move, next_dial_s, other_csms
from tests.marks import req
from tests.sim.world import World
from tests.world.test_phases import SURPLUS, sets, switches
from tests.world.test_phases import charging as phases_story
from tests.world.test_phases import profile as watts

pytestmark = req("B05.FR.10")


def put(world: World, **keys: str) -> None:
    """SetVariables of a station-wide key: `Component__Variable`, and `__Instance` where there is one."""
    for name, value in keys.items():
        component, variable, *instance = name.split("__")
        full = f"{component}.{variable}" + (f"[{instance[0]}]" if instance else "")
        assert set_variable(world, full, value) == "Accepted", full


def amps_become(world: World, amps: float, within_s: float = 60) -> None:
    """The car draws so much before long."""
    world.until(lambda: abs(world.outlets[1].amps - amps) < 0.2, within_s=within_s, what=f"{amps} A")


# ---------------------------------------------------------------------------------------- how much current


@pytest.mark.parametrize("where", ["socket", "cable", "pcb", "psu", "ambient"])
def test_temperatures_at_which_the_current_is_lowered_and_charging_pauses(where: str) -> None:
    world = charging(keys=QUIET)
    world.hear(TemperatureMeasured(1, where, 45.0))
    world.runs(seconds=20)
    assert world.outlets[1].amps == 32
    put(world, **{f"ThermalCtrlr__DerateFrom__{where}": "40"})
    world.until(lambda: 6 <= world.outlets[1].amps < 31, within_s=60)
    put(world, **{f"ThermalCtrlr__PauseAt__{where}": "44"})
    amps_become(world, 0)


def test_the_limit_of_an_evse() -> None:
    world = charging(keys=QUIET)
    world.asks_station("config.set", name="LimitCtrlr.EvseMaxCurrent@1", value="10")
    amps_become(world, 10)


@pytest.mark.parametrize("phase", ["L1", "L2", "L3"])
def test_what_one_phase_of_the_circuit_may_carry(phase: str) -> None:
    world = charging(keys=QUIET)
    put(world, **{f"LimitCtrlr__CircuitMaxCurrent__{phase}": "9"})
    amps_become(world, 9)


@pytest.mark.parametrize(("key", "share", "volts"), [("UnderVoltage", "95", 212.0), ("OverVoltage", "110", 256.0)])
def test_a_voltage_that_is_too_low_or_too_high(key: str, share: str, volts: float) -> None:
    world = charging(keys=QUIET)
    world.outlets[1].volts = volts
    world.runs(seconds=60)
    assert world.outlets[1].amps == 32
    put(world, **{f"SafetyCtrlr__{key}": share})
    amps_become(world, 0)


def test_how_long_a_voltage_may_be_too_low() -> None:
    world = charging(keys=QUIET)
    put(world, SafetyCtrlr__VoltageGrace="60")
    world.outlets[1].volts = 180.0
    world.runs(seconds=40)
    assert world.outlets[1].amps == 32, "three seconds were the default"
    amps_become(world, 0)


def test_what_a_silent_meter_means_and_when() -> None:
    world = charging(keys=QUIET)
    put(world, FallbackCtrlr__MeterSilentGrace="60", FallbackCtrlr__MeterLostAction="Pause")
    world.hardware.drivers[1].mute = True
    world.runs(seconds=40)
    assert world.outlets[1].amps == 32
    amps_become(world, 0)


@pytest.mark.parametrize("phase", ["L1", "L2", "L3"])
def test_what_one_phase_of_the_installation_may_carry_while_the_csms_is_away(phase: str) -> None:
    world = charging(keys=QUIET)
    put(world, FallbackCtrlr__Mode="Reduce", FallbackCtrlr__OfflineLimit="20", FallbackCtrlr__OfflineGrace="5")
    put(world, **{f"FallbackCtrlr__OfflineLimit__{phase}": "9"})
    world.network.vanishes()
    amps_become(world, 9, 120)


def test_the_voltage_by_which_a_limit_in_watts_is_divided() -> None:
    world = charging(keys=QUIET)
    world.outlets[1].volts = 207.0
    world.asks_station("limit.set", limit=6900, unit="W")
    amps_become(world, 10)
    put(world, LimitCtrlr__WattVoltage="Measured")
    world.until(lambda: 11 < world.outlets[1].amps < 11.2, within_s=60)


def test_a_wait_after_a_power_return() -> None:
    world = charging(keys=QUIET)
    put(world, RecoveryCtrlr__StaggerRandomRange="1800")
    world.loses_power().returns_after(seconds=10)
    world.runs(minutes=1)
    assert world.asks_station("why", evse=1)[0]["owner"] == "power return" and world.outlets[1].amps == 0


# ---------------------------------------------------------------------------------------- what is written down


@pytest.mark.parametrize(
    ("subsystem", "topic"),
    [("Link", "link"), ("Charging", "contactor"), ("Limits", "limit"), ("Hardware", "hardware"),
     ("Station", "config")],
)  # fmt: skip
def test_how_grave_a_decision_has_to_be_to_be_written_down(subsystem: str, topic: str) -> None:
    """B13 of the buyers' list; what is graver, and every other subsystem, is written down as before."""
    world = idle(keys=QUIET)
    put(world, **{f"LogCtrlr__Level__{subsystem}": "Error"})
    world.notes.clear()
    charge(world)
    world.hardware.drivers[1].mute = True
    world.runs(seconds=20).hardware.drivers[1].mute = False
    world.runs(seconds=10)
    world.asks_station("config.set", name="LimitCtrlr.InstallationMaxCurrent", value="10")
    world.loses_power().returns_after(seconds=10)
    world.runs(minutes=1)
    topics = {topic for _, level, topic, _ in world.notes if level in ("debug", "info", "warning")}
    assert topic not in topics and len({"link", "contactor", "limit", "hardware", "config"} & topics) == 4


# ---------------------------------------------------------------------------------------- who may charge


def test_cards_are_not_read() -> None:
    world = idle(keys=QUIET)
    put(world, TokenReader__Enabled="false")
    world.ev(1).plugs_in().presents(CARD)
    world.runs(minutes=1)
    assert not heard(world, "Authorize")


def test_how_long_the_same_card_counts_once() -> None:
    world = charging(keys=QUIET)
    put(world, RfidCtrlr__Debounce="60")
    world.ev(1).presents(CARD)
    world.runs(seconds=30)
    assert world.outlets[1].amps == 32, "after three seconds it would have stopped"


def test_the_start_button() -> None:
    world = idle(keys=QUIET)
    put(world, FreeCharging__StartButton="true")
    world.ev(1).plugs_in().presents("", kind="NoAuthorization")
    amps_become(world, 32)


@pytest.mark.parametrize("asks", [True, False])
def test_whether_a_remote_start_is_authorized(asks: bool) -> None:
    world = idle(keys=QUIET)
    put(world, AuthCtrlr__AuthorizeRemoteStart=str(asks).lower())
    assert remote_start(world, evseId=1)["status"] == "Accepted"
    world.runs(seconds=20)
    assert bool(heard(world, "Authorize")) is asks


@pytest.mark.parametrize(("stops", "ended"), [("EVConnected", "Updated"), ("Authorized", "Ended")])
def test_what_ends_a_transaction(stops: str, ended: str) -> None:
    world = charging(keys=QUIET)
    put(world, TxCtrlr__TxStopPoint=stops)
    world.ev(1).presents(CARD)
    world.runs(minutes=1)
    assert last(world.csms.transaction(1))["eventType"] == ended


def test_what_starts_a_transaction() -> None:
    world = idle(keys=QUIET)
    put(world, TxCtrlr__TxStartPoint="EVConnected")
    world.ev(1).plugs_in()
    world.runs(seconds=30)
    assert len(world.csms.transactions) == 1


# ---------------------------------------------------------------------------------------- what is told


def test_energy_by_phase() -> None:
    world = charging(keys=QUIET)
    world.hardware.drivers[1].meter_plugged_ms = 600_000
    for told, count in (("true", 0), ("false", 3)):
        put(world, SampledDataCtrlr__RegisterValuesWithoutPhases=told)
        values: dict[Any, Decimal] = {("energy_import_wh", phase): Decimal(2_000_000 + phase) for phase in (0, 1, 2, 3)}
        world.hear(Reading(1, world.clock.mono_ms, values, "M1.1"))
        world.csms_asks("TriggerMessage", {"requestedMessage": "TransactionEvent", "evse": {"id": 1}})
        world.runs(seconds=2)
        value = meter_values([heard(world, "TransactionEvent")[-1][1]])[-1]
        assert sum("phase" in sample for sample in value["sampledValue"]) == count


def test_aligned_values_told_at_the_end() -> None:
    world = charging(keys=QUIET)
    put(world, AlignedDataCtrlr__TxEndedMeasurands="Voltage", AlignedDataCtrlr__TxEndedInterval="60")
    world.runs(minutes=5)
    world.ev(1).unplugs()
    world.runs(minutes=1)
    ended = last(world.csms.transaction(1))
    clock = [v for v in ended["meterValue"] if v["sampledValue"][0]["context"] == "Sample.Clock"]
    assert len(clock) >= 3 and {s["measurand"] for v in clock for s in v["sampledValue"]} == {"Voltage"}


def test_measurands_and_interval_of_a_running_transaction() -> None:
    world = charging(keys=QUIET)
    put(world, SampledDataCtrlr__TxUpdatedMeasurands="Current.Import", SampledDataCtrlr__TxUpdatedInterval="10")
    world.runs(minutes=2)
    told = [e for _, e in heard(world, "TransactionEvent") if e["triggerReason"] == "MeterValuePeriodic"]
    assert len(told) >= 9
    assert {s["measurand"] for v in meter_values(told) for s in v["sampledValue"]} == {"Current.Import"}


def test_how_often_a_csms_hears_of_a_limit_that_keeps_changing() -> None:
    world = charging(keys=QUIET)
    put(world, LimitCtrlr__NotifySpacing="300", SmartChargingCtrlr__LimitChangeSignificance="0.1")
    for limit in (20, 18, 16, 14):
        world.asks_station("limit.set", limit=limit)
        world.runs(seconds=30)
    assert len(heard(world, "NotifyChargingLimit")) == 1, "every ten seconds one by default"
    world.runs(minutes=5)
    assert len(heard(world, "NotifyChargingLimit")) == 2


# ---------------------------------------------------------------------------------------- the link


def test_attempts_with_one_network_profile() -> None:
    world = idle(keys={**STEADY, "OCPPCommCtrlr.NetworkProfileConnectionAttempts": "3"})
    other_csms(world)
    move(world, "0,1")
    world.runs(minutes=1)
    put(world, OCPPCommCtrlr__NetworkProfileConnectionAttempts="1")
    world.network.elsewhere[HERE] = world.network.elsewhere[THERE] = None
    world.network.dialled.clear()
    world.network.vanishes()
    world.network.returns()
    world.until(lambda: len(world.network.dialled) >= 2, within_s=3600)
    assert world.network.dialled[:2] == [HERE, THERE]


def test_the_random_part_of_the_back_off() -> None:
    world = idle(keys={**QUIET, "OCPPCommCtrlr.RetryBackOffWaitMinimum": "10"})
    put(world, OCPPCommCtrlr__RetryBackOffRandomRange="0", OCPPCommCtrlr__RetryBackOffRepeatTimes="0")
    world.network.vanishes()
    dials = [next_dial_s(world) for _ in range(5)]
    assert {round(b - a) for a, b in pairwise(dials)} == {10}


def test_the_identity_of_the_next_connection() -> None:
    world = idle(keys=QUIET)
    put(world, SecurityCtrlr__Identity="CD-0002")
    world.network.vanishes()
    world.network.returns()
    world.until(lambda: world.csms.connections > 1, within_s=600)
    assert world.network.line is not None and world.asks_station("status")["link"]["identity"] == "CD-0002"


# ---------------------------------------------------------------------------------------- the rest


def test_the_currency() -> None:
    world = charging(keys=QUIET)
    put(world, TariffCostCtrlr__Currency="NOK")
    cost = {"transactionId": world.csms.transaction(1).id, "totalCost": 2.5}
    world.csms_asks("CostUpdated", cost)
    world.runs(seconds=5)
    assert "2.50 NOK" in world.screens["front"].lines


def test_how_long_a_car_may_take_to_stop() -> None:
    world = idle(keys=QUIET)
    put(world, SafetyCtrlr__StopPatience="2")
    world.ev(1).plugs_in(bad=frozenset({"keeps_s2"})).presents(CARD)
    amps_become(world, 32)
    world.runs(seconds=10)
    world.ev(1).presents(CARD)
    world.runs(seconds=4)
    assert not world.outlets[1].closed, "it has six seconds by default"


def test_how_many_events_that_nobody_takes_are_kept() -> None:
    world = idle(keys={**QUIET, "OCPPCommCtrlr.MessageAttempts[TransactionEvent]": "1"})
    put(world, RecoveryCtrlr__KeptSetAside="1")
    world.csms.fails("TransactionEvent", 99)
    charge(world)
    world.ev(1).unplugs()
    world.runs(minutes=10)
    assert world.asks_station("status")["queue"]["set_aside"] == 1


def test_one_phase_instead_of_three_and_when() -> None:
    world = phases_story(keys=SURPLUS)
    put(world, PhaseSwitchCtrlr__Enabled="false")
    assert sets(world, watts(4000.0, unit="W")) == "Accepted"
    world.runs(minutes=5)
    assert world.outlets[1].amps == 0, "three phases or none"
    put(world, PhaseSwitchCtrlr__Enabled="true")
    switches(world, 1)
