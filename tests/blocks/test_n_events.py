"""N07, N08: what monitors notice reaches the CSMS, and no more than that."""

from __future__ import annotations

import pytest

from agent.core.instant import parse_rfc3339
from hal.ports import TemperatureMeasured
from tests.blocks.monitors import (
    AVAILABILITY,
    POWER,
    clear,
    events,
    level,
    set_monitors,
    values,
    watch,
    wish,
)
from tests.blocks.stories import (
    CARD,
    OFFLINE_FOR_ALL,
    QUIET,
    back_online,
    charge,
    charging,
    gaps,
    heard,
    idle,
    now_s,
    set_variable,
)
from tests.marks import req
from tests.sim.world import World

CELSIUS = "TemperatureSensor.Temperature[ambient]@1"
AT_ONCE = {**QUIET, "MonitoringCtrlr.EventInterval": "0"}


def is_warm(world: World, *celsius: float, every_s: float = 1) -> World:
    """The ambient sensor tells these temperatures, one after the other."""
    for value in celsius:
        world.hear(TemperatureMeasured(1, "ambient", value))
        world.runs(seconds=every_s)
    return world


@pytest.fixture
def world() -> World:
    """A free station with a temperature of 20."""
    return is_warm(idle(keys=QUIET), 20)


# ---------------------------------------------------------------------------------------- thresholds


@req("N07.FR.02", "N07.FR.06", "N07.FR.07", "N07.FR.16")
def test_above_the_upper_threshold_is_told_once_and_so_is_the_return() -> None:
    world = is_warm(idle(keys=AT_ONCE), 20)
    id = watch(world, CELSIUS, "UpperThreshold", 40, 3)
    is_warm(world, 39, 40, 40.5, 45, 50, 41, 38, 30, 20)
    above, back = events(world, id)
    assert above["trigger"] == back["trigger"] == "Alerting"
    assert above["eventNotificationType"] == "CustomMonitor"
    assert (above["actualValue"], back["actualValue"]) == ("40.5", "38")
    assert (above.get("cleared"), back.get("cleared")) == (None, True)
    assert above["component"] == {"name": "TemperatureSensor", "evse": {"id": 1}}
    assert above["variable"] == {"name": "Temperature", "instance": "ambient"}
    assert above["eventId"] < back["eventId"] and "transactionId" not in above
    world.settles()


@req("N07.FR.02", "N07.FR.17")
def test_below_the_lower_threshold_is_told_once_and_so_is_the_return() -> None:
    world = is_warm(idle(keys=AT_ONCE), 20)
    id = watch(world, CELSIUS, "LowerThreshold", 10)
    is_warm(world, 11, 10, 9.9, 5, -20, 9, 10, 10.2, 20)
    assert values(world, id) == ["9.9", "10.2"]
    assert [e["trigger"] for e in events(world, id)] == ["Alerting"] * 2 and events(world, id)[1]["cleared"]


@req("N07.FR.16")
def test_what_is_beyond_the_threshold_when_it_is_set_is_told_at_once(world: World) -> None:
    id = watch(world, CELSIUS, "UpperThreshold", 10)
    world.runs(seconds=1)
    assert values(world, id) == ["20"]


@req("N07.FR.02")
def test_a_value_that_trembles_at_the_threshold_does_not_flood(world: World) -> None:
    """Hysteresis: 1 % of the threshold, or a minute inside."""
    id = watch(world, CELSIUS, "UpperThreshold", 40)
    is_warm(world, *[40.1, 39.9] * 300)
    assert values(world, id) == ["40.1"]
    world.runs(seconds=70)
    assert values(world, id) == ["40.1", "39.9"] and events(world, id)[1]["cleared"]


@req("N07.FR.02")
def test_how_far_inside_a_value_has_to_be_is_what_the_key_says() -> None:
    world = is_warm(idle(keys={**AT_ONCE, "MonitoringCtrlr.Hysteresis": "10"}), 20)
    id = watch(world, CELSIUS, "UpperThreshold", 40)
    is_warm(world, 41, 39, 36.5)
    assert values(world, id) == ["41"]
    is_warm(world, 35.5)
    assert values(world, id) == ["41", "35.5"] and events(world, id)[1]["cleared"]


def test_an_event_of_one_monitor_comes_every_five_seconds_at_most(world: World) -> None:
    """EventInterval; what was missed in between is told after, by its value of then."""
    upper, delta = watch(world, CELSIUS, "UpperThreshold", 40), watch(world, CELSIUS, "Delta", 1)
    began = now_s(world)
    is_warm(world, *[60, 20] * 60, every_s=0.5)
    spent = now_s(world) - began
    for id in (upper, delta):
        assert 2 < len(events(world, id)) <= spent / 5 + 1
    is_warm(world, 33)
    world.runs(seconds=6)
    assert values(world, delta)[-1] == "33" and events(world, upper)[-1].get("cleared")


@req("N07.FR.11")
def test_a_modified_threshold_is_checked_anew(world: World) -> None:
    id = watch(world, CELSIUS, "UpperThreshold", 40)
    set_monitors(world, wish(CELSIUS, "UpperThreshold", 15, id=id))
    world.runs(seconds=1)
    assert [(e["actualValue"], e.get("cleared")) for e in events(world, id)] == [("20", None)]
    set_monitors(world, wish(CELSIUS, "UpperThreshold", 18, id=id))
    world.runs(seconds=1)
    set_monitors(world, wish(CELSIUS, "UpperThreshold", 20, id=id))
    world.runs(seconds=1)
    assert [e.get("cleared") for e in events(world, id)] == [None, None, True]


@req("N07.FR.12")
def test_a_removed_threshold_is_not_cleared(world: World) -> None:
    id = watch(world, CELSIUS, "UpperThreshold", 10)
    world.runs(seconds=1)
    assert clear(world, id) == ["Accepted"]
    is_warm(world, 5, every_s=90)
    assert values(world, id) == ["20"]


@req("N07.FR.14")
@pytest.mark.parametrize("away_s", [5, 4000])
def test_what_was_beyond_before_a_reboot_and_is_back_after_it_is_cleared(world: World, away_s: int) -> None:
    stays, returns = watch(world, CELSIUS, "UpperThreshold", 10), watch(world, CELSIUS, "UpperThreshold", 15, 3)
    world.runs(seconds=10)
    world.loses_power("none").returns_after(seconds=away_s)
    world.runs(minutes=1)
    world.runs(seconds=away_s)
    is_warm(world, 12, every_s=10)
    assert [e.get("cleared") for e in events(world, returns)] == [None, True]
    assert [e.get("cleared") for e in events(world, stays)] == [None]


@req("N07.FR.06")
def test_power_in_a_session_is_linked_to_its_transaction() -> None:
    world = idle(keys=AT_ONCE)
    high = watch(world, POWER, "UpperThreshold", 100)
    charge(world)
    low = watch(world, POWER, "LowerThreshold", 10)
    world.runs(seconds=30)
    world.ev(1).presents(CARD)
    world.runs(seconds=30)
    tx = world.csms.transaction(1).id
    above, back = events(world, high)
    (below,) = events(world, low)
    assert float(above["actualValue"]) > 100 and back["cleared"] and float(below["actualValue"]) < 10
    assert [e["transactionId"] for e in (above, back, below)] == [tx] * 3
    world.settles()


# ---------------------------------------------------------------------------------------- differences


@req("N07.FR.18", "N07.FR.06")
def test_a_number_is_told_when_it_has_moved_by_more_than_the_value() -> None:
    world = is_warm(idle(keys=AT_ONCE), 20)
    id = watch(world, CELSIUS, "Delta", 2)
    is_warm(world, 21, 22, 18, 22.5, 24, 24.5, 25, 22.4)
    assert values(world, id) == ["22.5", "25", "22.4"]
    assert {e["trigger"] for e in events(world, id)} == {"Delta"} and not any("cleared" in e for e in events(world, id))


@req("N07.FR.18")
def test_slow_drift_adds_up_from_what_was_told_last(world: World) -> None:
    id = watch(world, CELSIUS, "Delta", 1)
    is_warm(world, *(20 + step / 10 for step in range(25)), every_s=10)
    assert values(world, id) == ["21.1", "22.2"]


@req("N07.FR.19", "N07.FR.06", "N07.FR.07")
def test_what_is_no_number_is_told_whenever_it_changes(world: World) -> None:
    evse, connector = watch(world, AVAILABILITY, value=17), watch(world, "Connector.AvailabilityState@1.1")
    station = watch(world, "ChargingStation.AvailabilityState")
    world.ev(1).plugs_in()
    world.runs(seconds=20)
    world.ev(1).unplugs()
    world.runs(seconds=20)
    for id in (evse, connector, station):
        assert values(world, id) == ["Occupied", "Available"]
        assert {e["trigger"] for e in events(world, id)} == {"Delta"}


@req("N07.FR.10")
def test_of_a_password_only_the_change_is_told(world: World) -> None:
    id = watch(world, "SecurityCtrlr.BasicAuthPassword")
    status = set_variable(world, "SecurityCtrlr.BasicAuthPassword", "correct-horse-battery")
    assert status in ("Accepted", "RebootRequired")
    world.runs(minutes=2)
    assert values(world, id) == [""]
    assert "correct-horse" not in str(world.notes) + str(heard(world, "NotifyEvent"))


@req("N07.FR.18")
def test_after_a_reboot_a_difference_counts_from_the_new_value(world: World) -> None:
    """Part 1, 4.4."""
    id, state = watch(world, CELSIUS, "Delta", 2), watch(world, AVAILABILITY)
    world.loses_power("none").returns_after(seconds=5)
    world.ev(1).plugs_in()
    world.runs(seconds=5)
    world.runs(seconds=10)
    is_warm(world, 50, every_s=30)
    assert values(world, id) == [] and values(world, state) == []
    is_warm(world, 51, 53, every_s=10)
    world.ev(1).unplugs()
    world.runs(seconds=10)
    assert values(world, id) == ["53"] and values(world, state) == ["Available"]


# ---------------------------------------------------------------------------------------- intervals


@req("N08.FR.04", "N08.FR.05", "N08.FR.06")
def test_periodic_values_come_at_their_interval_from_when_it_was_set(world: World) -> None:
    id = watch(world, AVAILABILITY, "Periodic", 7)
    since = now_s(world)
    world.runs(seconds=71)
    moments = [at for at, p in heard(world, "NotifyEvent")]
    assert round(moments[0] - since) == 7 and gaps(moments) == [7] * 9
    assert values(world, id) == ["Available"] * 10 and {e["trigger"] for e in events(world, id)} == {"Periodic"}


@req("N08.FR.05", "N08.FR.07")
def test_aligned_values_come_on_the_clock(world: World) -> None:
    world.runs(seconds=3)
    id = watch(world, CELSIUS, "PeriodicClockAligned", 15)
    world.runs(minutes=3)
    moments = [parse_rfc3339(e["timestamp"]) // 1000 for e in events(world, id)]
    assert len(moments) == 12 and all(moment % 15 == 0 for moment in moments) and gaps(moments) == [15] * 11


@req("N08.FR.06", "N08.FR.07")
def test_intervals_go_on_after_a_reboot(world: World) -> None:
    one, two = watch(world, CELSIUS, "Periodic", 20), watch(world, CELSIUS, "PeriodicClockAligned", 30)
    world.kills_agent("none").returns_after(seconds=3)
    world.runs(seconds=2)
    is_warm(world, 30, every_s=120)
    assert len(events(world, one)) >= 5 and len(events(world, two)) >= 3


# ---------------------------------------------------------------------------------------- when


@req("N05.FR.03", "N07.FR.15")
def test_nothing_above_the_level_is_told(world: World) -> None:
    told, untold = watch(world, AVAILABILITY, severity=7), watch(world, AVAILABILITY, severity=8)
    periodic = watch(world, AVAILABILITY, "Periodic", 5, severity=8)
    level(world, 7)
    world.ev(1).plugs_in()
    world.runs(seconds=20)
    assert values(world, told) == ["Occupied"] and values(world, untold) == values(world, periodic) == []
    level(world, 8)
    world.runs(seconds=2)
    assert values(world, untold) == ["Occupied"]


def test_a_monitor_of_transactions_sleeps_between_them() -> None:
    world = is_warm(idle(keys=AT_ONCE), 20)
    delta = watch(world, POWER, "Delta", 500, transaction=True)
    always = watch(world, CELSIUS, "UpperThreshold", 30, transaction=True)
    is_warm(world, 40)
    assert events(world) == []
    charge(world)
    assert {e["transactionId"] for e in events(world)} == {world.csms.transaction(1).id}
    assert values(world, always) == ["40"] and values(world, delta)
    world.ev(1).presents(CARD)
    world.runs(seconds=30)
    count = len(events(world, delta))
    is_warm(world, 20, 50, 20)
    assert [e.get("cleared") for e in events(world, always)] == [None, True] and len(events(world, delta)) == count
    world.settles()


def test_monitoring_can_be_switched_off(world: World) -> None:
    id = watch(world, AVAILABILITY)
    set_variable(world, "MonitoringCtrlr.Enabled", "false")
    world.ev(1).plugs_in()
    world.runs(seconds=20)
    assert values(world, id) == []
    set_variable(world, "MonitoringCtrlr.Enabled", "true")
    world.runs(seconds=2)
    assert values(world, id) == ["Occupied"]


# ---------------------------------------------------------------------------------------- offline


@req("N07.FR.04", "N08.FR.03")
def test_grave_events_of_an_outage_are_told_after_it_in_their_order(world: World) -> None:
    set_variable(world, "MonitoringCtrlr.OfflineQueuingSeverity", "4")
    grave, slight = watch(world, CELSIUS, "Delta", 5, 4), watch(world, CELSIUS, "Delta", 5, 5)
    beat, tick = watch(world, CELSIUS, "Periodic", 60, 3), watch(world, CELSIUS, "Periodic", 60, 6)
    world.csms.vanishes()
    world.runs(seconds=30)
    left = now_s(world)
    is_warm(world, 30, 40, 20, every_s=100)
    back_online(world)
    assert values(world, grave) == ["30", "40", "20"] and values(world, slight) == []
    missed = [e for e in events(world, beat) if at_s(world, e) < left + 300]
    assert len(missed) == 5 and not [e for e in events(world, tick) if left < at_s(world, e) < left + 300]
    assert [e["eventId"] for e in events(world)] == sorted(e["eventId"] for e in events(world))
    assert at_s(world, events(world, grave)[0]) < left + 10
    world.settles()


def at_s(world: World, event: dict[str, str]) -> float:
    """An event's timestamp in the world's seconds."""
    return parse_rfc3339(event["timestamp"]) / 1000 - world.clock.utc_ms / 1000 + now_s(world)


@req("N07.FR.04")
def test_what_is_too_slight_for_the_queue_is_told_as_it_is_after_the_outage(world: World) -> None:
    """N07, remark: evaluation is delayed, so the CSMS is up to date."""
    upper, state = watch(world, CELSIUS, "UpperThreshold", 30, 9), watch(world, AVAILABILITY, severity=9)
    world.csms.vanishes()
    world.runs(seconds=30)
    world.ev(1).plugs_in()
    is_warm(world, 40, 20, 45, every_s=30)
    back_online(world)
    assert values(world, upper) == ["45"] and values(world, state) == ["Occupied"]


@req("N07.FR.04", "N07.FR.13")
@pytest.mark.parametrize("keep", ["none", "all"])
def test_queued_events_survive_a_power_cut(world: World, keep: str) -> None:
    """Bug 21 of real chargers: a queue that is lost before the first acceptance."""
    id = watch(world, CELSIUS, "Delta", 5, 2)
    world.csms.vanishes()
    world.runs(seconds=30)
    is_warm(world, 30, 40, every_s=10)
    world.loses_power(keep).returns_after(seconds=20)  # type: ignore[arg-type]
    world.runs(seconds=60)
    back_online(world)
    assert values(world, id) == ["30", "40"]
    told = [e["eventId"] for e in events(world)]
    is_warm(world, 20, 60, every_s=10)
    assert len({*told, *(e["eventId"] for e in events(world))}) == len(events(world)) == 3
    world.runs(minutes=1)
    assert not [r for r in world.disk.rows.values() if r[0] == "notice"]


def test_the_queue_is_bounded_and_keeps_the_gravest(world: World) -> None:
    """DESIGN.md invariant 10."""
    set_variable(world, "MonitoringCtrlr.OfflineQueuingSeverity", "9")
    grave, slight = watch(world, CELSIUS, "Periodic", 3600, 1), watch(world, CELSIUS, "Periodic", 60, 9)
    world.csms.vanishes()
    world.runs(hours=12)
    assert len([r for r in world.disk.rows.values() if r[0] == "notice"]) == 500
    back_online(world)
    assert len(events(world, grave)) >= 12 and 480 <= len(events(world, slight)) <= 520


# ---------------------------------------------------------------------------------------- odd backends


def test_a_csms_that_wants_no_events_is_not_asked_again_and_again() -> None:
    """Buyers' A8: a CALLERROR to an optional message; the next registration tries again."""
    world = is_warm(charging(keys=AT_ONCE), 20)
    world.csms.fails("NotifyEvent", 99, "NotImplemented")
    watch(world, CELSIUS, "Delta", 1)
    is_warm(world, 30, 40, every_s=20)
    assert len(heard(world, "NotifyEvent")) == 1
    world.settles()


def test_a_csms_that_does_not_answer_gets_an_event_a_few_times() -> None:
    world = is_warm(idle(keys=AT_ONCE), 20)
    id = watch(world, CELSIUS, "Delta", 1)
    world.csms.ignores("NotifyEvent", 99)
    is_warm(world, 30, every_s=300)
    assert len(heard(world, "NotifyEvent")) == 3 and len(events(world, id)) == 1


def test_without_a_csms_nothing_piles_up() -> None:
    world = World(keys=QUIET, network=False).runs(seconds=20)
    is_warm(world, 90, 20, 90, every_s=60)
    assert not [r for r in world.disk.rows.values() if r[0] == "notice"]


def test_offline_charging_is_not_disturbed_by_events(world: World) -> None:
    world = is_warm(idle(keys={**QUIET, **OFFLINE_FOR_ALL}), 20)
    watch(world, POWER, "Delta", 1, 0)
    world.csms.vanishes()
    world.runs(seconds=30)
    charge(world)
    world.runs(minutes=10)
    back_online(world)
    world.settles()
