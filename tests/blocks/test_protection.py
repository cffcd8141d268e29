"""A car that draws more than it is offered is cut off; a supply that is too low or too high pauses charging."""

from __future__ import annotations

from decimal import Decimal

import pytest

from agent.core.protection import tolerated
from hal.ports import Quantity, Reading
from tests.blocks.stories import CARD, QUIET, charge, charging, heard, idle, install, now_s, profile, statuses, why
from tests.marks import req
from tests.sim.outlet import OutletSpec, raw, smart
from tests.sim.world import World

GREEDY, FIFTH = frozenset({"ignores_limit"}), frozenset({"overdraws"})


def cut_off(world: World, within_s: float) -> float:
    """Seconds until the contactor is open."""
    begun = now_s(world)
    world.until(lambda: not world.outlets[1].closed, within_s=within_s)
    return now_s(world) - begun


@req("E06.FR.16", "K01.FR.07")
@pytest.mark.parametrize("spec", [raw(32), smart(16)])
def test_a_car_that_ignores_a_decrease_is_cut_off_once_it_had_the_time_to_follow(spec: OutletSpec) -> None:
    world = charging([spec], keys=QUIET)
    car = world.outlets[1].car
    assert car is not None
    car.bad, car.amps = GREEDY, spec.max_amps
    install(world, 1, profile(1, (0, 8.0)))
    assert 5 <= cut_off(world, 20) <= 9
    world.runs(seconds=20)
    assert world.csms.transaction(1).stopped_reason == "OvercurrentFault" and statuses(world)[-1] == (1, "Faulted")
    told = [event for _, payload in heard(world, "NotifyEvent") for event in payload["eventData"]]
    assert any(e.get("techCode") == "CX004" and "A drawn, 8 A offered" in e["techInfo"] for e in told)
    world.loses_power().returns_after(seconds=20)
    world.runs(minutes=2)
    assert statuses(world)[-1] == (1, "Faulted") and not world.outlets[1].permitted
    world.ev(1).unplugs()
    charge(world.runs(seconds=10), 1)
    world.settles()


def test_a_fifth_more_is_too_much_for_the_grace_only() -> None:
    world = idle(keys={**QUIET, "LimitCtrlr.EvseMaxCurrent@1": "16", "SafetyCtrlr.OverCurrentGrace": "20"})
    world.ev(1).plugs_in(bad=FIFTH).presents(CARD)
    world.until(lambda: world.outlets[1].amps > 16, within_s=60)
    assert 19 <= cut_off(world, 40) <= 26
    world.settles()


@pytest.mark.parametrize("more", [0.9, 1.0])
def test_what_meters_and_cars_get_wrong_is_tolerated(more: float) -> None:
    world = charging(keys={**QUIET, "LimitCtrlr.EvseMaxCurrent@1": "10"})
    car = world.outlets[1].car
    assert car is not None
    car.bad, car.amps = GREEDY, 10 + more
    car.drawn = 10 + more
    world.outlets[1].settle()
    world.runs(minutes=2)
    assert world.outlets[1].closed and not world.asks_station("fault.list")
    assert [tolerated(amps) for amps in (0, 6, 10, 32)] == pytest.approx([1, 7.15, 11.55, 35.75])


@req("K01.FR.07")
def test_a_car_that_follows_as_it_may_is_never_cut_off() -> None:
    """Five seconds after a decrease the higher offer no longer counts; before it does."""
    world = charging(keys={**QUIET, "SafetyCtrlr.OverCurrentGrace": "1", "LimitCtrlr.IncreaseSpacing": "1"})
    for amps in (6.0, 32.0) * 6:
        install(world, 1, profile(1, (0, amps)))
        world.runs(seconds=8)
        assert world.outlets[1].closed
    assert not world.asks_station("fault.list")
    world.settles()


@req("J02.FR.01")
def test_bug_06_a_dead_meter_is_no_over_current_and_its_old_value_gets_no_new_time() -> None:
    """Old readings that were said again with fresh timestamps made a false over-current (EVerest 2673)."""
    world = charging(keys={**QUIET, "SampledDataCtrlr.TxUpdatedInterval": "10"})
    world.runs(seconds=30)
    world.hardware.drivers[1].mute = True
    world.runs(seconds=12)
    silent_s, before = now_s(world), len(heard(world, "TransactionEvent"))
    install(world, 1, profile(1, (0, 6.0)))
    world.runs(minutes=3)
    assert world.outlets[1].closed and world.outlets[1].amps == 6
    assert [fault["code"] for fault in world.asks_station("fault.list")] == ["meter_silent"]
    samples = [p for at, p in heard(world, "TransactionEvent")[before:] if p["triggerReason"] == "MeterValuePeriodic"]
    assert silent_s and not samples
    world.hardware.drivers[1].mute = False
    world.runs(seconds=30)
    assert not world.asks_station("fault.list")
    world.settles()


# ---------------------------------------------------------------------------------------- voltage


def supplied(world: World, volts: float) -> World:
    """The supply of EVSE 1 changes."""
    world.outlets[1].volts = volts
    world.outlets[1].settle()
    return world


@req("E01.FR.18")
@pytest.mark.parametrize(
    ("volts", "nearly", "code", "tech"), [(190.0, 197.0, "supply_low", "CX006"), (268.0, 263.0, "supply_high", "CX005")]
)
def test_a_wrong_supply_pauses_until_it_is_well_again(volts: float, nearly: float, code: str, tech: str) -> None:
    """With hysteresis: nearly well is not well."""
    world = charging(keys=QUIET)
    supplied(world, volts).runs(seconds=2)
    assert world.outlets[1].offered == 32
    world.runs(seconds=20)
    assert world.outlets[1].offered == 0 and why(world)["owner"] == code
    assert statuses(world)[-1] == (1, "Occupied")
    supplied(world, nearly).runs(minutes=2)
    assert world.outlets[1].offered == 0
    supplied(world, 230.0).runs(minutes=1)
    assert world.outlets[1].amps == 32 and len(world.csms.transactions) == 1
    told = [event for _, payload in heard(world, "NotifyEvent") for event in payload["eventData"]]
    assert [(e["techCode"], e.get("cleared", False)) for e in told if "techCode" in e] == [(tech, False), (tech, True)]
    world.settles()


def test_a_dip_is_no_wrong_supply_and_a_phase_that_is_not_there_is_none() -> None:
    world = charging(keys=QUIET)
    supplied(world, 150.0).runs(seconds=1)
    supplied(world, 230.0).runs(seconds=10)
    volts: dict[tuple[Quantity, int], Decimal] = {("voltage_v", 1): Decimal(230), ("voltage_v", 2): Decimal(0)}
    for _ in range(8):
        world.runs(seconds=1)
        world.hear(Reading(1, world.clock.mono_ms, volts))
    assert world.outlets[1].offered == 32 and not world.asks_station("fault.list")
    world.settles()
