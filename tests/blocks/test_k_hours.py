"""Default charging hours and random delay: off by default, and never more than a pause."""

from __future__ import annotations

import pytest

from tests.blocks.stories import QUIET, charging, idle, install, profile, station_maximum, why
from tests.sim.outlet import switching
from tests.sim.world import World

HOURS = {**QUIET, "ScheduleCtrlr.DefaultHours": "22:00-08:00,13:00-16:00"}
"""The world begins at 12:00 UTC."""


def test_outside_the_default_hours_a_car_waits_and_a_profile_overrules_them() -> None:
    world = idle(keys=HOURS)
    world.ev(1).plugs_in().presents("04AABBCC")
    world.runs(minutes=10)
    assert world.outlets[1].offered == 0 and why(world)["owner"] == "default hours"
    install(world, 1, profile(1, (0, 12.0), duration=1800))
    world.runs(minutes=5)
    assert world.outlets[1].offered == 12
    world.runs(minutes=30)
    assert world.outlets[1].offered == 0
    world.runs(minutes=20)
    assert world.outlets[1].offered == 32 and len(world.csms.transactions) == 1
    world.settles()


@pytest.mark.parametrize("span", ["0", "600"])
def test_a_start_by_schedule_waits_a_random_time_once_and_a_decrease_never(span: str) -> None:
    world = charging(keys={**QUIET, "ScheduleCtrlr.RandomDelay": span})
    assert world.outlets[1].offered == 32
    install(world, 1, profile(1, (0, 0.0), (300, 16.0), (1500, 8.0), chargingProfileKind="Relative",
                              startSchedule=None))  # fmt: skip
    world.runs(seconds=2)
    assert world.outlets[1].offered == 0
    began = [s for s in range(1200) if world.runs(seconds=1).outlets[1].offered == 16]
    assert began and 270 <= began[0] <= 320 + int(span)
    assert began == list(range(began[0], 1200))
    world.runs(minutes=8)
    assert world.outlets[1].offered == 8
    world.settles()


def begins(world: World, seconds: int) -> int:
    """After how many seconds current is offered; -1 when it is not."""
    return next((s for s in range(seconds) if world.runs(seconds=1).outlets[1].offered), -1)


@pytest.mark.parametrize("clock", [True, False])
@pytest.mark.parametrize("cut_s", [310, 290])
def test_a_restart_neither_ends_nor_skips_a_random_delay(cut_s: int, clock: bool) -> None:
    """UK SI 2021/1467, regulation 11: killed while it runs, or just before the schedule lets charging begin."""
    world = charging(keys={**QUIET, "ScheduleCtrlr.RandomDelay": "1800", "RecoveryCtrlr.ResumeTimeout": "86400"})
    install(world, 1, profile(1, (0, 0.0), (300, 16.0), chargingProfileKind="Relative", startSchedule=None))
    world.runs(seconds=cut_s)
    assert world.outlets[1].offered == 0
    if not clock:
        world.clock.battery = False
    world.loses_power().returns_after(seconds=20)
    waits = begins(world, 2400)
    assert waits > 60 and len(world.csms.transactions) == 1
    world.settles()


@pytest.mark.parametrize("unit", ["A", "W"])
def test_charging_that_the_maximum_of_the_station_lets_begin_waits_too(unit: str) -> None:
    """UK SI 2021/1467, regulation 11: the maximum is a profile as any other; the default hours it leaves alone."""
    world = charging(keys={**QUIET, "ScheduleCtrlr.RandomDelay": "1800"})
    rows = ((0, 0.0), (300, 16.0 if unit == "A" else 16 * 690.0))
    install(world, 0, station_maximum(1, *rows, chargingRateUnit=unit))
    world.runs(minutes=5)
    waits = begins(world, 2400)
    assert waits > 60 and world.outlets[1].offered == pytest.approx(16)
    install(world, 0, station_maximum(1, (0, 8.0)))
    assert world.runs(seconds=2).outlets[1].offered == 8
    world.settles()


def test_a_maximum_is_no_schedule_of_a_car_s_own_to_the_default_hours() -> None:
    world = idle(keys=HOURS)
    install(world, 0, station_maximum(1, (0, 16.0)))
    world.ev(1).plugs_in().presents("04AABBCC")
    world.runs(minutes=10)
    assert world.outlets[1].offered == 0 and why(world)["owner"] == "default hours"


def test_a_look_at_other_phases_neither_ends_nor_draws_a_delay() -> None:
    """1,500 W are a pause on three phases: the relay moves, one delay is drawn, and then the car charges on one."""
    keys = {"PhaseSwitchCtrlr.Mode": "Both", "PhaseSwitchCtrlr.MinimumTime[Down]": "30"}
    world = charging((switching(),), keys={**QUIET, **keys, "ScheduleCtrlr.RandomDelay": "60"})
    install(world, 0, profile(1, (0, 1500.0), chargingRateUnit="W"))
    world.runs(seconds=20)
    began = world.disk.commits
    assert world.disk.tables["delays"] == {"schedule 1": '{"held": true}'}
    world.runs(seconds=20)
    assert world.disk.commits - began < 10, "a pause that goes on writes nothing"
    world.until(lambda: world.outlets[1].offered == 6.5, within_s=300)
    assert world.judge.phases.total == 1
    world.runs(minutes=10)
    assert world.outlets[1].offered == 6.5 and world.judge.phases.total == 1
    world.settles()


def test_a_kill_does_not_end_the_wait_after_a_power_return() -> None:
    world = idle(keys={**QUIET, "RecoveryCtrlr.StaggerRandomRange": "1800"})
    world.ev(1).plugs_in().presents("04AABBCC")
    world.runs(seconds=30)
    for _ in range(2):
        assert why(world)["owner"] == "power return" and not world.outlets[1].offered
        world.kills_agent().returns_after(seconds=2)
        world.runs(seconds=20)
    assert begins(world, 1900) > 0
    world.settles()
