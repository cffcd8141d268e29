"""B05: a new value of a key that needs no reboot changes the running system, key family by key family."""

from __future__ import annotations

import pytest

from tests.blocks.stories import charging, get_variable, heard, idle, now_s, set_variable
from tests.marks import req
from tests.sim.world import World

SAMPLING = {"SampledDataCtrlr.TxUpdatedInterval": "10", "AlignedDataCtrlr.Interval": "0"}
ALIGNED = {"SampledDataCtrlr.TxUpdatedInterval": "0", "AlignedDataCtrlr.Interval": "60"}


def periodic(world: World, since_s: float, reason: str) -> int:
    """Transaction events with this trigger that the CSMS has heard since."""
    events = heard(world, "TransactionEvent")
    return sum(1 for at, e in events if at >= since_s and e["triggerReason"] == reason)


@req("B05.FR.10")
@pytest.mark.parametrize(
    ("keys", "switch", "reason"),
    [
        (SAMPLING, "SampledDataCtrlr.Enabled", "MeterValuePeriodic"),
        (ALIGNED, "AlignedDataCtrlr.Enabled", "MeterValueClock"),
    ],
)
def test_meter_values_are_switched_off_and_on_while_a_transaction_runs(
    keys: dict[str, str], switch: str, reason: str
) -> None:
    world = charging(keys=keys)
    world.runs(minutes=3)
    assert periodic(world, 0, reason) >= 3
    assert set_variable(world, switch, "false") == "Accepted"
    off_s = now_s(world)
    world.runs(minutes=5)
    assert periodic(world, off_s, reason) == 0
    assert set_variable(world, switch, "true") == "Accepted"
    on_s = now_s(world)
    world.runs(minutes=5)
    assert periodic(world, on_s, reason) >= 4
    world.settles()


@req("B05.FR.10")
def test_the_boards_own_clock_is_taken_at_once_when_it_goes_first() -> None:
    world = idle()
    world.csms.answers("Heartbeat", lambda payload: {"currentTime": "2026-03-01T18:00:00Z"})
    world.runs(minutes=6)
    assert str(get_variable(world, "ClockCtrlr.DateTime")) > "2026-03-01T18:00"
    assert set_variable(world, "ClockCtrlr.TimeSource", "RealTimeClock,Heartbeat") == "Accepted"
    world.runs(minutes=6)
    assert str(get_variable(world, "ClockCtrlr.DateTime")) < "2026-03-01T12:20"
