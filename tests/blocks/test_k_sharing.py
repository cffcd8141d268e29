"""K03, K04: several cars under one bound, on one phase or three, in the heat, and taking turns."""

from __future__ import annotations

import pytest

from hal.ports import TemperatureMeasured
from tests.blocks.stories import (
    CARD,
    OTHER,
    QUIET,
    charge,
    charging,
    idle,
    install,
    profile,
    set_variable,
    station_maximum,
    trail,
    why,
)
from tests.marks import req
from tests.sim.outlet import raw
from tests.sim.world import World

PAIR = (raw(32), raw(32))
SINGLE = (raw(32, phases=1), raw(32, phases=1))


def both(world: World, phases: int = 3) -> World:
    """A car charges at each EVSE, the first one came first."""
    charge(world, 1, phases=phases)
    world.ev(2).plugs_in(phases=phases).presents(OTHER)
    return world.runs(seconds=90)


def offered(world: World) -> list[float]:
    return [world.outlets[evse].offered for evse in (1, 2)]


@req("K04.FR.02", "K04.FR.01", "K04.FR.05")
def test_the_installation_is_split_in_equal_parts_that_stay() -> None:
    world = idle(PAIR, keys={**QUIET, "LimitCtrlr.InstallationMaxCurrent": "25"})
    world.judge.installation_amps = 25
    both(world)
    seen = {tuple(world.runs(seconds=7).outlets[n].offered for n in (1, 2)) for _ in range(60)}
    assert seen == {(12.5, 12.5)}
    world.ev(2).presents(OTHER)
    world.runs(seconds=40)
    assert offered(world) == [25, 0]
    world.settles()


@req("K04.FR.05")
def test_what_one_cannot_use_the_other_gets() -> None:
    world = idle(PAIR, keys={**QUIET, "LimitCtrlr.InstallationMaxCurrent": "25"})
    world.judge.installation_amps = 25
    both(world)
    install(world, 1, profile(1, (0, 8.0)))
    world.runs(seconds=20)
    assert offered(world) == [8, 17]
    install(world, 1, profile(1, (0, 0.0)))
    world.runs(seconds=30)
    assert offered(world) == [0, 25]
    install(world, 1, profile(1, (0, 20.0)))
    world.runs(seconds=60)
    assert offered(world) == [12.5, 12.5]
    world.settles()


def test_single_phase_evses_on_different_phases_do_not_share_a_phase() -> None:
    keys = {**QUIET, "LimitCtrlr.InstallationMaxCurrent": "20", "EVSE.PhaseRotation@2": "STR"}
    world = both(idle(SINGLE, keys=keys), phases=1)
    assert offered(world) == [20, 20]
    world = both(idle(SINGLE, keys={**QUIET, "LimitCtrlr.InstallationMaxCurrent": "20"}), phases=1)
    assert offered(world) == [10, 10]


@req("K04.FR.05")
def test_a_circuit_bounds_each_phase_for_the_evses_that_load_it() -> None:
    """LimitCtrlr.CircuitMaxCurrent (B6): EVSE 1 loads all phases, EVSE 2 only the second."""
    keys = {**QUIET, "EVSE.PhaseRotation@2": "SRT", "LimitCtrlr.InstallationMaxCurrent": "80"}
    world = idle((raw(32), raw(32, phases=1)), keys={**keys, "LimitCtrlr.CircuitMaxCurrent[L2]": "20"})
    charge(world, 1, phases=3)
    assert (offered(world)[0], why(world)["owner"]) == (20, "circuit")
    world.ev(2).plugs_in(phases=1).presents(OTHER)
    world.runs(seconds=90)
    assert offered(world) == [10, 10]
    assert set_variable(world, "LimitCtrlr.CircuitMaxCurrent[L2]", "80") == "Accepted"
    assert set_variable(world, "LimitCtrlr.CircuitMaxCurrent[L3]", "16") == "Accepted"
    world.runs(seconds=30)
    assert offered(world) == [16, 32], "EVSE 2 does not load L3"
    world.settles()


@req("K01.FR.50", "K04.FR.05")
def test_watts_of_the_station_are_a_sum_over_all_phases() -> None:
    world = idle(SINGLE, keys={**QUIET, "EVSE.PhaseRotation@2": "TRS"})
    world.judge.allow.add("clock")
    install(world, 0, station_maximum(1, (0, 4600.0), chargingRateUnit="W"))
    both(world, phases=1)
    assert offered(world) == [10, 10]


def test_too_little_for_two_serves_one_and_then_the_other() -> None:
    """Rotation: nobody waits for ever, nobody is given less than a car can use."""
    keys = {**QUIET, "LimitCtrlr.InstallationMaxCurrent": "10", "LimitCtrlr.RotationInterval": "600"}
    world = idle(PAIR, keys=keys)
    world.judge.installation_amps = 10
    both(world)
    assert offered(world) == [10, 0] and why(world, 2)["owner"] == "installation"
    assert trail(world.csms.transaction(2))[-1][2] == "SuspendedEVSE"
    world.runs(minutes=11)
    assert offered(world) == [0, 10]
    assert trail(world.csms.transaction(1))[-1][2] == "SuspendedEVSE"
    world.runs(minutes=11)
    assert offered(world) == [10, 0]
    assert len(world.csms.transactions) == 2
    world.settles()


@req("K01.FR.21", "K02.FR.06", "K03.FR.07", "K04.FR.04")
def test_a_minimum_rate_is_kept_as_long_as_others_can_use_the_rest() -> None:
    world = idle(PAIR, keys={**QUIET, "LimitCtrlr.InstallationMaxCurrent": "15"})
    world.judge.installation_amps = 15
    both(world)
    assert offered(world) == [7.5, 7.5]
    efficient = profile(1, (0, 32.0))
    efficient["chargingSchedule"][0]["minChargingRate"] = 8.0
    install(world, 1, efficient)
    world.runs(seconds=60)
    assert offered(world) == [8, 7]
    world.settles()


@req("K01.FR.45")
def test_a_car_on_one_phase_is_held_by_the_imbalance_and_one_on_three_is_not() -> None:
    keys = {**QUIET, "LimitCtrlr.MaxPhaseImbalance": "20"}
    assert charge(idle([raw(32)], keys=keys), phases=3).outlets[1].offered == 32
    world = charge(idle([raw(32)], keys=keys), phases=1).runs(seconds=20)
    assert (world.outlets[1].offered, why(world)["owner"]) == (20, "phase imbalance")
    install(world, 1, profile(1, (0, 0.0)))
    world.runs(seconds=60)
    install(world, 1, profile(1, (0, 32.0)))
    assert max(world.runs(seconds=1).outlets[1].offered for _ in range(90)) == 20
    world.settles()


# ---------------------------------------------------------------------------------------- heat


@pytest.mark.parametrize(
    ("celsius", "amps"), [(20.0, 32), (60.0, 32), (65.0, 25.5), (70.0, 19), (79.9, 6.1), (80.0, 0), (95.0, 0)]
)
def test_safe_mode_not_faulted(celsius: float, amps: float) -> None:
    """Bug 30: reduced is not Faulted; what binds can be read, and a pause keeps the transaction."""
    world = charging(keys=QUIET)
    world.hear(TemperatureMeasured(1, "socket", celsius))
    world.runs(seconds=15)
    assert world.outlets[1].offered == pytest.approx(amps)
    answer = world.asks_station("status")["evses"][0]
    assert answer["status"] == "Occupied" and world.asks_station("fault.list") == []
    assert (answer["limit"]["owner"] == "heat") == (celsius > 60)
    assert trail(world.csms.transaction(1))[-1][2] == ("Charging" if amps else "SuspendedEVSE")
    world.settles()


def test_a_hot_socket_charges_again_only_when_it_is_clearly_cooler() -> None:
    world = charging(keys=QUIET)
    seen = []
    for celsius in (81.0, 79.0, 75.5, 74.9, 79.0, 81.0, 50.0):
        world.hear(TemperatureMeasured(1, "socket", celsius))
        seen.append(world.runs(seconds=60).outlets[1].offered)
    assert seen == [0, 0, 0, pytest.approx(12.6), pytest.approx(7.3), 0, 32]
    assert len(world.csms.transactions) == 1
    world.settles()


@req("K04.FR.05")
def test_who_leaves_and_comes_again_queues_at_the_end() -> None:
    world = idle(PAIR, keys={**QUIET, "LimitCtrlr.InstallationMaxCurrent": "10", "LimitCtrlr.RotationInterval": "0"})
    both(world)
    world.runs(hours=1)
    assert offered(world) == [10, 0]
    world.ev(1).presents(CARD)
    world.runs(seconds=60)
    assert offered(world) == [0, 10]
    world.ev(1).presents(CARD)
    world.runs(minutes=10)
    assert offered(world) == [0, 10]
    world.settles()
