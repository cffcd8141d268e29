"""B05: a new value of a key that needs no reboot changes the running system, key family by key family."""

from __future__ import annotations

import pytest

from tests.blocks.stories import charging, get_variable, heard, idle, now_s, set_variable, statuses
from tests.marks import req
from tests.sim.outlet import raw, smart
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


def local(world: World, name: str, value: str) -> None:
    """chargerctl config set: there may be no CSMS to do it."""
    world.asks_station("config.set", name=name, value=value)
    world.keys = {**world.keys, name: value}


@req("B05.FR.10")
def test_a_shorter_back_off_holds_from_the_next_attempt_on() -> None:
    world = idle(keys={"OCPPCommCtrlr.RetryBackOffWaitMinimum": "100", "OCPPCommCtrlr.RetryBackOffRandomRange": "0"})
    world.csms.vanishes()
    world.runs(seconds=5)
    local(world, "OCPPCommCtrlr.RetryBackOffWaitMinimum", "3")
    local(world, "OCPPCommCtrlr.RetryBackOffRepeatTimes", "0")
    world.csms.returns()
    world.until(lambda: world.csms.connection is not None, within_s=200)
    world.csms.vanishes()
    cut_s = now_s(world)
    world.csms.returns()
    world.until(lambda: world.csms.connection is not None, within_s=200)
    assert now_s(world) - cut_s < 10


@req("B05.FR.10", "B04.FR.01")
@pytest.mark.parametrize(("threshold", "told"), [("10", 2), ("600", 0)])
def test_a_new_offline_threshold_holds_for_an_absence_that_has_begun(threshold: str, told: int) -> None:
    world = idle((smart(16), raw(32)))
    world.csms.vanishes()
    world.runs(seconds=60)
    local(world, "OCPPCommCtrlr.OfflineThreshold", threshold)
    back_s = now_s(world)
    world.csms.returns()
    world.until(lambda: world.csms.connection is not None, within_s=600)
    world.runs(seconds=20)
    assert len(statuses(world, back_s)) == told


@req("B05.FR.10", "E13.FR.02")
def test_new_attempts_of_a_message_hold_for_one_that_is_failing() -> None:
    world = charging(keys={"OCPPCommCtrlr.MessageAttemptInterval[TransactionEvent]": "600", **SAMPLING})
    local(world, "OCPPCommCtrlr.MessageAttempts[TransactionEvent]", "2")
    local(world, "OCPPCommCtrlr.MessageAttemptInterval[TransactionEvent]", "1")
    world.csms.fails("TransactionEvent", times=3)
    world.runs(minutes=2)
    assert world.asks_station("status")["queue"]["set_aside"] == 1


@req("B05.FR.10")
def test_the_fallback_changes_while_the_csms_is_away() -> None:
    world = charging(keys={"FallbackCtrlr.OfflineGrace": "5"})
    world.csms.vanishes()
    world.until(lambda: world.outlets[1].amps == 6, within_s=60)
    local(world, "FallbackCtrlr.OfflineLimit", "9")
    world.until(lambda: world.outlets[1].amps == 9, within_s=60)
    local(world, "FallbackCtrlr.Mode", "Pause")
    world.until(lambda: world.outlets[1].amps == 0, within_s=60)
    local(world, "FallbackCtrlr.OfflineGrace", "3600")
    world.until(lambda: world.outlets[1].amps == 32, within_s=120)
    world.csms.returns()
    world.settles()


@req("B05.FR.10")
def test_free_charging_begins_with_the_next_car() -> None:
    world = idle()
    local(world, "FreeCharging.Enabled", "true")
    world.ev(1).plugs_in()
    world.until(lambda: world.outlets[1].amps > 0, within_s=60)
    world.ev(1).unplugs()
    world.runs(seconds=30)
    local(world, "FreeCharging.Enabled", "false")
    world.ev(1).plugs_in()
    world.runs(minutes=1)
    assert world.outlets[1].amps == 0


@req("B05.FR.10")
def test_increases_are_spaced_as_it_is_told() -> None:
    world = charging()
    local(world, "LimitCtrlr.IncreaseSpacing", "60")
    local(world, "LimitCtrlr.InstallationMaxCurrent", "10")
    world.runs(seconds=2)
    local(world, "LimitCtrlr.InstallationMaxCurrent", "63")
    world.runs(seconds=40)
    assert world.outlets[1].offered == 10
    world.runs(seconds=30)
    assert world.outlets[1].offered > 10
    world.settles()


@req("B05.FR.10")
def test_events_kept_while_offline_are_bounded_as_it_is_told() -> None:
    world = charging(keys={"SampledDataCtrlr.TxUpdatedInterval": "1", "AlignedDataCtrlr.Interval": "0"})
    world.csms.vanishes()
    local(world, "RecoveryCtrlr.MaxQueuedEvents", "100")
    world.runs(minutes=10)
    assert world.asks_station("status")["queue"]["events"] <= 100
