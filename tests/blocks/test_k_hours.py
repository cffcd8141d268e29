"""Default charging hours and random delay: off by default, and never more than a pause."""

from __future__ import annotations

import pytest

from tests.blocks.stories import QUIET, charging, idle, install, profile, why

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
