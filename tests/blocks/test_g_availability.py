"""G01, G02: what the CSMS is told of connectors, when a heartbeat goes out, and what time it is."""

from __future__ import annotations

import pytest

from hal.ports import FaultCleared, FaultRaised, PilotChanged
from tests.blocks.stories import (
    CARD,
    QUIET,
    charge,
    gaps,
    heard,
    idle,
    now_s,
    set_variable,
    spoken,
    station,
    statuses,
    utc_s,
)
from tests.marks import req
from tests.sim.outlet import raw, smart
from tests.sim.world import World

TWO = (smart(16), raw(32))
INTERVAL = "OCPPCommCtrlr.HeartbeatInterval"


@pytest.fixture
def world() -> World:
    """Two EVSEs, registered and idle."""
    return idle(TWO, keys=QUIET)


# ---------------------------------------------------------------------------------------- G01


@req("G01.FR.01", "G01.FR.03", "G01.FR.04", "G01.FR.08", "E02.FR.05")
def test_a_connector_is_occupied_from_plug_to_unplug_whatever_the_session_does(world: World) -> None:
    """TC_G_01, TC_G_02, bug 24: never Available with a cable in."""
    since = now_s(world)
    world.ev(2).plugs_in().presents(CARD).after(seconds=60).presents(CARD).after(seconds=60).presents(CARD)
    world.runs(minutes=3)
    assert statuses(world, since) == [(2, "Occupied")]
    world.ev(2).unplugs()
    world.runs(seconds=20)
    assert statuses(world, since) == [(2, "Occupied"), (2, "Available")]
    world.settles()


@req("G01.FR.03", "E02.FR.05")
def test_occupied_is_told_before_the_transaction_that_the_plug_starts() -> None:
    world = idle(TWO, keys={**QUIET, "TxCtrlr.TxStartPoint": "EVConnected"})
    since = now_s(world)
    world.ev(2).plugs_in()
    world.runs(seconds=20)
    assert spoken(world, since) == ["StatusNotification", "TransactionEvent"]


@req("G01.FR.01")
@pytest.mark.parametrize("code", ["ground", "emergency_stop", "over_temperature"])
def test_a_fault_is_told_and_so_is_its_end(world: World, code: str) -> None:
    since = now_s(world)
    world.hear(FaultRaised(2, code))
    world.runs(seconds=5)
    world.hear(FaultCleared(2, code))
    world.runs(seconds=5)
    assert statuses(world, since) == [(2, "Faulted"), (2, "Available")]


@req("G01.FR.01")
def test_a_reduced_evse_is_not_faulted(world: World) -> None:
    """Bug 30."""
    charge(world, 2)
    since = now_s(world)
    world.hear(FaultRaised(2, "derating"))
    world.runs(seconds=30)
    assert statuses(world, since) == [] and world.outlets[2].offered == 6
    world.settles()


@req("G01.FR.01")
def test_pilot_error_with_a_car_is_faulted_and_returns_to_occupied(world: World) -> None:
    charge(world, 2)
    since = now_s(world)
    world.hear(PilotChanged(2, "E"))
    world.runs(seconds=30)
    assert statuses(world, since) == [(2, "Faulted"), (2, "Occupied")]


@req("G01.FR.01", "B04.FR.02")
def test_faults_of_before_the_boot_are_told_after_it() -> None:
    """Bug 21."""
    world = station(TWO)
    world.csms.ignores("BootNotification", times=1)
    world.runs(seconds=10)
    world.hear(FaultRaised(2, "ground"))
    world.runs(minutes=3)
    assert world.csms.last_status == {(1, 1): "Available", (2, 1): "Faulted"}


@req("G01.FR.01")
def test_a_status_carries_the_time_of_the_change_not_of_the_message(world: World) -> None:
    world.csms.vanishes()
    plugged = world.clock.utc_ms / 1000
    world.ev(2).plugs_in()
    world.runs(seconds=50)
    world.csms.returns()
    world.until(lambda: (2, "Occupied") in statuses(world), within_s=300)
    assert utc_s(heard(world, "StatusNotification")[-1][1]) - plugged <= 300


@req("G01.FR.01", "G01.FR.03")
def test_a_status_waits_until_it_lasts_but_never_hides_a_fault() -> None:
    """MinimumStatusDuration (buyers' D4)."""
    world = idle(keys={**QUIET, "OCPPCommCtrlr.MinimumStatusDuration": "10"})
    since = now_s(world)
    world.ev(1).plugs_in()
    world.runs(seconds=5)
    world.hear(FaultRaised(1, "ground"))
    world.runs(seconds=1)
    assert statuses(world, since) == [(1, "Faulted")]
    world.hear(FaultCleared(1, "ground"))
    world.runs(seconds=8)
    assert statuses(world, since) == [(1, "Faulted")]
    world.runs(seconds=5)
    assert statuses(world, since) == [(1, "Faulted"), (1, "Occupied")]


@req("B04.FR.01", "B04.FR.02")
@pytest.mark.parametrize(("away_s", "told"), [(40, [(2, "Occupied")]), (200, [(1, "Available"), (2, "Occupied")])])
def test_after_an_absence_what_has_changed_is_told_and_after_a_long_one_everything(
    away_s: int, told: list[tuple[int, str]]
) -> None:
    """OfflineThreshold."""
    soon = {"OCPPCommCtrlr.RetryBackOffWaitMinimum": "10", "OCPPCommCtrlr.RetryBackOffRepeatTimes": "0"}
    world = idle(TWO, keys={**QUIET, **soon, "OCPPCommCtrlr.OfflineThreshold": "120"})
    world.csms.vanishes()
    world.ev(2).plugs_in()
    world.runs(seconds=away_s)
    since = now_s(world)
    world.csms.returns()
    world.until(lambda: world.csms.connection is not None, within_s=100)
    world.runs(seconds=10)
    assert sorted(statuses(world, since)) == told


# ---------------------------------------------------------------------------------------- G02


@req("G02.FR.01", "G02.FR.02")
def test_heartbeats_come_at_the_interval_of_the_boot() -> None:
    world = station(keys=QUIET)
    world.csms.boots("Accepted", 30)
    world.runs(minutes=5)
    beats = [at for at, _ in heard(world, "Heartbeat")]
    assert gaps(beats) == [30] * (len(beats) - 1) and len(beats) >= 8


@req("G02.FR.05")
def test_any_message_puts_the_heartbeat_off(world: World) -> None:
    set_variable(world, INTERVAL, "30")
    for _ in range(6):
        world.runs(seconds=20)
        set_variable(world, "OCPPCommCtrlr.OfflineThreshold", "60")
    assert not heard(world, "Heartbeat")
    world.runs(seconds=45)
    assert len(heard(world, "Heartbeat")) == 1


@req("G02.FR.07")
def test_a_busy_station_still_asks_for_the_time_once_a_day() -> None:
    world = idle(keys={"AlignedDataCtrlr.Interval": "120"})
    for driver in world.hardware.drivers.values():
        driver.meter_idle_ms = 10_000
    world.runs(hours=26)
    assert 1 <= len(heard(world, "Heartbeat")) <= 2


@req("G02.FR.02")
def test_no_heartbeat_is_missed_after_a_reconnect(world: World) -> None:
    set_variable(world, INTERVAL, "40")
    world.csms.vanishes()
    world.runs(minutes=3)
    world.csms.returns()
    world.until(lambda: world.csms.connection is not None, within_s=400)
    back = now_s(world)
    world.runs(minutes=4)
    beats = [at for at, _ in heard(world, "Heartbeat") if at >= back]
    assert beats[0] - back < 5 and gaps(beats) == [40] * (len(beats) - 1) and len(beats) >= 5


@req("G02.FR.06")
def test_the_clock_follows_the_csms_when_the_board_is_wrong() -> None:
    world = station(keys=QUIET)
    world.clock.offset_ms = -3_600_000
    world.csms.boots("Accepted", 60)
    world.runs(seconds=30)
    world.ev(1).plugs_in()
    world.runs(seconds=20)
    stamp = utc_s(heard(world, "StatusNotification")[-1][1])
    assert abs(stamp - world.clock.utc_ms / 1000) < 30


@req("G02.FR.06")
def test_a_clock_step_of_the_board_is_corrected_and_never_raises_the_current() -> None:
    """Invariant 5: a clock step never raises a limit for longer than the CSMS is believed."""
    world = idle(keys=QUIET)
    set_variable(world, INTERVAL, "30")
    charge(world, 1)
    world.clock.steps_by(86_400)
    world.runs(minutes=2)
    world.ev(1).presents(CARD)
    world.judge.allow.add("clock")
    world.runs(minutes=1)
    stamp = utc_s(heard(world, "TransactionEvent")[-1][1])
    assert abs(stamp - world.clock.utc_ms / 1000) < 90
    world.settles()
