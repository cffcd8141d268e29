"""J01: the boundaries of aligned data, whatever becomes of the clock on the wall, and what is signed for them."""

from __future__ import annotations

from itertools import pairwise

import pytest

from hal.ports import SignMeter
from tests.blocks.stories import CARD, OTHER, charge, heard, idle, last, set_variable, utc_s
from tests.blocks.test_j_metering import ENDED, NONE, SIGNING, distances, ended, events, reads_often, values
from tests.marks import req
from tests.sim.hardware import Driver
from tests.sim.world import World

BOARDS_CLOCK = {"ClockCtrlr.TimeSource": "RealTimeClock"}


def aligned_stamps(world: World) -> list[str]:
    """The timestamps of all aligned MeterValues, in order."""
    return [v["timestamp"][11:19] for v in values([p for _, p in heard(world, "MeterValues")], "Sample.Clock")]


@req("J01.FR.14")
@pytest.mark.parametrize("ahead", [0.3, -0.2], ids=["just before", "just after"])
def test_a_boundary_is_told_once_when_the_clock_is_set_back_a_little(ahead: float) -> None:
    """TC_J_01: one value of one instant."""
    world = reads_often(idle(keys={**NONE, "AlignedDataCtrlr.Interval": "300"}))
    world.runs(seconds=300 - ahead - world.now_ms / 1000)
    world.clock.steps_by(-0.6)
    world.runs(minutes=11)
    assert aligned_stamps(world) == ["12:05:00", "12:10:00", "12:15:00"]


@req("J01.FR.14", "J01.FR.22", "E06.FR.11")
def test_a_boundary_is_told_once_while_the_clock_is_slowed_down() -> None:
    """TC_J_02: NTP slews the board's clock by 500 ppm; neither events nor what Ended tells repeat a boundary."""
    world = reads_often(idle(keys={**NONE, **ENDED, **BOARDS_CLOCK, "AlignedDataCtrlr.Interval": "60"}))
    charge(world)
    world.clock.drifts(-500)
    world.runs(minutes=10)
    world.ev(1).presents(CARD)
    world.runs(seconds=20)
    for told in (values(events(world, "MeterValueClock"), "Sample.Clock"), values(ended(world), "Sample.Clock")):
        assert len(told) == 10 and distances(told) == {60} and utc_s(told[0]) % 60 == 0


@req("J01.FR.14")
@pytest.mark.parametrize("seconds", [-400, -60, -10, 10, 60])
def test_after_a_step_of_the_clock_the_next_boundary_is_hit_exactly(seconds: int) -> None:
    world = reads_often(idle(keys={**NONE, **BOARDS_CLOCK, "AlignedDataCtrlr.Interval": "900"}))
    world.runs(minutes=8)
    world.clock.steps_by(seconds)
    world.runs(minutes=50)
    assert aligned_stamps(world)[:3] == ["12:15:00", "12:30:00", "12:45:00"]


@req("J01.FR.14")
@pytest.mark.parametrize("late_s, first", [(1, "12:05:00"), (4, "12:05:04"), (30, "12:10:00")])
def test_a_boundary_that_the_clock_steps_over_is_told_only_with_a_moment_at_which_it_was_read(
    late_s: int, first: str
) -> None:
    world = reads_often(idle(keys={**NONE, **BOARDS_CLOCK, "AlignedDataCtrlr.Interval": "300"}))
    world.runs(seconds=290 - world.now_ms / 1000)
    world.clock.steps_by(10 + late_s)
    world.runs(minutes=6)
    told = aligned_stamps(world)
    assert told[-1] == "12:10:00" and told[0] == first


@req("J01.FR.14", "G02.FR.06")
def test_after_a_heartbeat_has_set_the_clock_the_next_boundary_is_hit_exactly() -> None:
    world = idle(keys={**NONE, "AlignedDataCtrlr.Interval": "300"})
    set_variable(world, "OCPPCommCtrlr.HeartbeatInterval", "86400")
    reads_often(world).clock.steps_by(-60)
    world.runs(minutes=6)
    before = len(aligned_stamps(world))
    world.csms_asks("TriggerMessage", {"requestedMessage": "Heartbeat"})
    world.runs(minutes=10)
    assert aligned_stamps(world)[before:] == ["12:10:00", "12:15:00"]


@req("E06.FR.11", "J01.FR.14")
def test_aligned_values_of_the_end_are_of_round_moments_after_a_step_of_the_clock() -> None:
    world = reads_often(idle(keys={**NONE, **ENDED, **BOARDS_CLOCK}))
    charge(world).runs(seconds=80)
    world.clock.steps_by(-20)
    world.runs(minutes=5)
    world.clock.steps_by(20)
    world.runs(minutes=5)
    world.ev(1).presents(CARD)
    world.runs(seconds=20)
    told = values(ended(world), "Sample.Clock")
    assert len(told) >= 10 and all(utc_s(v) % 60 == 0 for v in told) and 0 not in distances(told)


@req("J01.FR.14")
def test_boundaries_are_counted_from_midnight_which_is_one() -> None:
    """An interval that does not divide the day: 86 000 s after midnight is the last multiple of 1000 s."""
    world = reads_often(idle(keys={**NONE, **BOARDS_CLOCK, "AlignedDataCtrlr.Interval": "1000"}))
    world.clock.steps_by(11 * 3600 + 45 * 60)
    world.runs(minutes=40)
    assert aligned_stamps(world) == ["23:53:20", "00:00:00", "00:16:40"]


@req("J02.FR.22", "J02.FR.16", "J01.FR.21")
def test_signed_aligned_values_of_the_end_are_of_the_evse_of_the_transaction_only() -> None:
    world = reads_often(idle((SIGNING, SIGNING), keys={**NONE, **ENDED, "AlignedDataCtrlr.SignReadings": "true"}))
    charge(world, 1)
    world.runs(minutes=5)
    charge(world, 2, OTHER)
    world.runs(minutes=3)
    world.ev(1).presents(CARD)
    world.ev(2).presents(OTHER)
    world.runs(minutes=1)
    for number, least in ((1, 8), (2, 3)):
        samples = [v["sampledValue"][0] for v in values([last(world.csms.transaction(number))], "Sample.Clock")]
        shown = [s["value"] for s in samples]
        assert len(shown) >= least and all("signedMeterValue" in s for s in samples)
        assert all(a < b for a, b in pairwise(shown)) and shown[-1] - shown[0] < (least + 1) * 16 * 230 * 3 / 60
    world.settles()


def signs_late(driver: Driver, ms: int) -> None:
    """Its meter takes so long to sign."""
    sign = driver.signs

    def signs(command: SignMeter) -> None:
        driver.timeline.after(ms, lambda: sign(command), driver.life)

    driver.signs = signs  # type: ignore[method-assign]


@req("J01.FR.17", "J01.FR.21", "J02.FR.16")
def test_what_is_signed_long_after_the_boundary_bears_the_moment_at_which_it_was_read() -> None:
    """A meter that takes 10 s to sign: the boundary keeps its plain value, the signed one is told beside it."""
    signs = {"AlignedDataCtrlr.SignReadings": "true", "AlignedDataCtrlr.SignUpdatedReadings": "true"}
    world = reads_often(idle((SIGNING, SIGNING), keys={**NONE, **ENDED, **signs, "AlignedDataCtrlr.Interval": "60"}))
    for driver in world.hardware.drivers.values():
        signs_late(driver, 10_000)
    charge(world)
    world.runs(minutes=4)
    world.ev(1).presents(CARD)
    world.runs(minutes=1)
    updated = [e for _, e in heard(world, "TransactionEvent") if e["eventType"] == "Updated"]
    of_the_other = [p for _, p in heard(world, "MeterValues") if p["evseId"] == 2]
    for told in (values(messages, "Sample.Clock") for messages in (updated, ended(world), of_the_other)):
        apart = {("signedMeterValue" in v["sampledValue"][0], utc_s(v) % 60 // 10) for v in told}
        assert len(told) >= 6 and apart == {(False, 0), (True, 1)}
        assert [utc_s(v) for v in told] == sorted(utc_s(v) for v in told)
