"""K11 to K13: limits of an energy management system or the grid operator bind at once, and the CSMS is told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agent.core.events import LimitReleased, LimitSet, LimitSource
from agent.core.instant import parse_rfc3339
from tests.blocks.stories import (
    OTHER,
    QUIET,
    back_online,
    charge,
    charging,
    goes_off,
    heard,
    idle,
    install,
    now_s,
    profile,
    set_variable,
    trail,
    why,
)
from tests.blocks.test_k_composite import ask, rows
from tests.blocks.test_k_reports import CLEAR, report
from tests.marks import req
from tests.sim.outlet import raw
from tests.sim.transactions import Payload
from tests.sim.world import World

PAIR = (raw(32), raw(32))


def sets(world: World, limit: float, evse: int = 0, source: LimitSource = "EMS", **more: Any) -> World:
    """An external system speaks."""
    world.hear(LimitSet(source, evse, limit, **more))
    return world.runs(seconds=3)


def releases(world: World, evse: int = 0, source: LimitSource = "EMS") -> World:
    world.hear(LimitReleased(source, evse))
    return world.runs(seconds=3)


def told(world: World) -> list[Payload]:
    """Every NotifyChargingLimit and ClearedChargingLimit, in order."""
    both = [(at, p) for action in ("NotifyChargingLimit", "ClearedChargingLimit") for at, p in heard(world, action)]
    return [payload for _, payload in sorted(both, key=lambda pair: pair[0])]


def rate_changes(world: World) -> int:
    return sum(row[1] == "ChargingRateChanged" for row in trail(world.csms.transaction(1)))


@req("K11.FR.01", "K11.FR.02", "K11.FR.04", "K11.FR.05", "K13.FR.01", "K13.FR.02", "K13.FR.03", "SC.02")
@pytest.mark.parametrize("evse", [0, 1])
@pytest.mark.parametrize(("unit", "limit"), [("A", 10.0), ("W", 6900.0)])
def test_a_limit_binds_a_running_transaction_and_its_end_gives_back(evse: int, unit: Any, limit: float) -> None:
    world = charging(keys=QUIET)
    sets(world, limit, evse, unit=unit)
    assert world.outlets[1].offered == 10 and why(world)["owner"] == "external EMS"
    where = {"evseId": evse} if evse else {}
    assert told(world) == [{"chargingLimit": {"chargingLimitSource": "EMS"}, **where}]
    world.runs(seconds=20)
    assert rate_changes(world) == 1
    releases(world, evse)
    world.runs(seconds=20)
    assert world.outlets[1].offered == 32 and rate_changes(world) == 2
    assert told(world)[1:] == [{"chargingLimitSource": "EMS", **where}]
    world.settles()


@req("K12.FR.01", "K12.FR.02", "K12.FR.04")
def test_a_limit_set_while_idle_holds_for_all_who_come() -> None:
    world = idle(PAIR, keys=QUIET)
    sets(world, 16.0, source="SO", critical=True)
    assert told(world) == [{"chargingLimit": {"chargingLimitSource": "SO", "isGridCritical": True}}]
    world.judge.installation_amps = 16
    charge(world, 1)
    charge(world, 2, OTHER)
    world.runs(seconds=30)
    assert [world.outlets[n].offered for n in (1, 2)] == [8, 8]
    world.settles()


@req("K11.FR.03", "K12.FR.03")
def test_with_schedules_the_limit_itself_is_told() -> None:
    world = idle(keys={**QUIET, "SmartChargingCtrlr.NotifyChargingLimitWithSchedules": "true"})
    sets(world, 11.0, valid_s=600, fallback=6.0)
    (schedule,) = told(world)[0]["chargingSchedule"]
    assert schedule["chargingRateUnit"] == "A"
    assert schedule["chargingSchedulePeriod"] == [
        {"startPeriod": 0, "limit": 11.0}, {"startPeriod": 600, "limit": 6.0}
    ]  # fmt: skip


@req("K11.FR.02", "K12.FR.02", "SC.03")
def test_small_changes_are_not_told_and_many_are_told_now_and_then() -> None:
    """A meter that regulates each second: the current follows at once, the CSMS hears of it every ten seconds."""
    world = charging(keys={**QUIET, "SmartChargingCtrlr.LimitChangeSignificance": "5"})
    sets(world, 20.0)
    world.runs(seconds=20)
    for limit in (20.5, 19.6, 20.9, 19.1):
        sets(world, limit)
    world.runs(seconds=20)
    assert len(told(world)) == 1 and rate_changes(world) == 1 and world.outlets[1].offered == 19.1
    for second in range(60):
        sets(world, 10.0 + second % 10, 0)
        assert world.outlets[1].offered <= 10 + second % 10
    assert 10 <= len(told(world)) <= 22 and 10 <= rate_changes(world) <= 22


@req("K11.FR.01")
def test_a_limit_that_is_not_said_again_becomes_its_fallback_never_no_limit() -> None:
    world = charging(keys=QUIET)
    start = now_s(world)
    sets(world, 20.0, valid_s=60, fallback=8.0)
    assert rows(ask(world, 1, 300))[1][1] == 8
    world.runs(seconds=start + 59 - now_s(world))
    assert world.outlets[1].offered == 20
    world.runs(seconds=1.5)
    assert world.outlets[1].offered == 8 and len(told(world)) == 2
    sets(world, 20.0, valid_s=60, fallback=8.0)
    world.runs(seconds=10)
    assert world.outlets[1].offered == 20
    world.settles()


@req("K11.FR.06", "K12.FR.05", "K09.FR.06", "K10.FR.08", "K10.FR.09", "K01.FR.05")
def test_it_is_reported_and_the_csms_can_neither_clear_nor_replace_it() -> None:
    """TC_K_52."""
    world = idle(PAIR, keys=QUIET)
    sets(world, 20.0)
    sets(world, 4000.0, 2, "SO", unit="W")
    install(world, 1, profile(1))
    external: dict[str, Any] = {"chargingProfilePurpose": "ChargingStationExternalConstraints"}
    _, pages = report(world, **external)
    assert [(page["chargingLimitSource"], page["evseId"]) for page in pages] == [("EMS", 0), ("SO", 2)]
    found = [profile for page in pages for profile in page["chargingProfile"]]
    assert all(one["id"] < 0 and one["chargingProfilePurpose"] == external["chargingProfilePurpose"] for one in found)
    assert [one["chargingSchedule"][0]["chargingSchedulePeriod"][0]["limit"] for one in found] == [20, 4000]
    assert len(report(world, chargingLimitSource=["SO", "CSO"])[1]) == 2
    for criteria in ({"chargingProfileId": found[0]["id"]}, {"chargingProfileCriteria": {"evseId": 2}},
                     {"chargingProfileCriteria": external}):  # fmt: skip
        assert world.csms_asks(CLEAR, criteria)["status"] == "Unknown"
    assert install(world, 1, profile(found[0]["id"]))["statusInfo"]["reasonCode"] == "InvalidProfile"
    assert world.csms_asks(CLEAR, {})["status"] == "Accepted"
    assert len(report(world)[1]) == 2


@req("K08.FR.04", "SC.01", "K12.FR.01")
def test_the_composite_schedule_is_below_external_limits_of_evse_and_station() -> None:
    world = idle(PAIR, keys=QUIET)
    sets(world, 25.0)
    sets(world, 4140.0, 2, "SO", unit="W")
    assert [rows(ask(world, evse, 60)) for evse in (0, 1, 2)] == [[(0, 25)], [(0, 25)], [(0, 6)]]
    install(world, 1, profile(1, (0, 9.0)))
    assert rows(ask(world, 0, 60, "W")) == [(0, 15 * 690)]


def lapses(world: World) -> tuple[list[tuple[int, float]], list[tuple[int, float]]]:
    """Plan and report of the one limit, asked at once: seconds from the plan's start, and the limit then."""
    plan = ask(world, 1, 1200)
    _, (page,) = report(world, chargingProfilePurpose="ChargingStationExternalConstraints")
    schedule = page["chargingProfile"][0]["chargingSchedule"][0]
    start = plan["schedule"]["scheduleStart"]
    late = round((parse_rfc3339(start) - parse_rfc3339(schedule["startSchedule"])) / 1000)
    return rows(plan), [(max(0, p["startPeriod"] - late), p["limit"]) for p in schedule["chargingSchedulePeriod"]]


@req("K08.FR.04", "K11.FR.06")
@pytest.mark.parametrize("evse", [0, 1])
@pytest.mark.parametrize("step_s", [-3600, 3600])
def test_a_clock_that_is_set_moves_no_external_limit(evse: int, step_s: int) -> None:
    world = charging(keys=QUIET)
    sets(world, 8.0, evse, valid_s=600, fallback=6.0)
    world.clock.steps_by(step_s)
    world.runs(minutes=3)
    assert world.outlets[1].offered == 8
    plan, told_so = lapses(world)
    assert [limit for _, limit in plan] == [limit for _, limit in told_so] == [8, 6]
    assert 405 <= plan[1][0] <= 425 and abs(told_so[1][0] - plan[1][0]) <= 3
    world.runs(minutes=8)
    assert world.outlets[1].offered == 6 and rows(ask(world, 1, 1200)) == [(0, 6)]


@req("K08.FR.04", "K11.FR.06")
def test_the_lapse_of_a_limit_of_before_the_clock_was_known_is_told() -> None:
    world = charging(keys=QUIET)
    sets(world, 9.0, 1, valid_s=900, fallback=7.0)
    world.clock.battery = False
    world.loses_power("all").returns_after(seconds=10)
    world.runs(minutes=2)
    plan, told_so = lapses(world)
    assert [limit for _, limit in plan] == [limit for _, limit in told_so] == [9, 7]
    assert 750 < plan[1][0] < 900 and abs(told_so[1][0] - plan[1][0]) <= 3


@req("K13.FR.02", "K11.FR.02")
def test_what_happened_while_the_csms_was_away_is_told_when_it_is_back() -> None:
    world = charging(keys=QUIET)
    sets(world, 20.0, 0, "EMS")
    sets(world, 21.0, 1, "SO")
    world.csms.vanishes()
    world.runs(minutes=1)
    releases(world, 0, "EMS")
    sets(world, 15.0, 1, "SO")
    sets(world, 17.0, 1, "Other")
    sets(world, 18.0, 0, "Other")
    releases(world, 0, "Other")
    before = len(told(world))
    back_online(world)
    news = told(world)[before:]
    assert sorted(map(str, news)) == sorted(map(str, (
        {"chargingLimitSource": "EMS"},
        {"chargingLimit": {"chargingLimitSource": "SO"}, "evseId": 1},
        {"chargingLimit": {"chargingLimitSource": "Other"}, "evseId": 1},
    )))  # fmt: skip
    assert world.outlets[1].offered == 15


def test_a_notification_that_was_not_answered_is_said_again() -> None:
    world = idle(keys=QUIET)
    world.csms.ignores("NotifyChargingLimit", times=1)
    sets(world, 20.0)
    world.runs(minutes=2)
    assert len(told(world)) == 2


@pytest.mark.parametrize("end", ["power", "kill"])
def test_a_restart_never_lifts_an_external_limit(end: str) -> None:
    """Invariant 5; a limit that rises each second costs no flash."""
    world = charging(keys=QUIET)
    for limit in (20.0, 9.0, 12.0, 13.0, 12.5):
        sets(world, limit, valid_s=300, fallback=7.0)
    assert world.outlets[1].offered in (12, 12.5)
    assert json.loads(world.disk.tables["external"]["EMS@0"])["limit"] == 9
    goes_off(world, end, "all").returns_after(seconds=10)
    seen = {world.runs(seconds=1).outlets[1].offered for _ in range(120)}
    assert max(seen) <= 13 and world.outlets[1].offered == 9
    world.runs(minutes=4)
    assert world.outlets[1].offered == 7
    releases(world)
    world.runs(seconds=20)
    assert world.outlets[1].offered == 32 and world.disk.tables["external"] == {}
    world.settles()


def test_external_signals_can_be_switched_off_and_are_refused_then() -> None:
    world = charging(keys=QUIET)
    sets(world, 10.0)
    assert set_variable(world, "SmartChargingCtrlr.ExternalControlSignalsEnabled", "false") == "Accepted"
    world.runs(seconds=20)
    assert world.outlets[1].offered == 32 and "chargingLimit" not in told(world)[-1]
    sets(world, 10.0)
    assert world.outlets[1].offered == 32
    with pytest.raises(AssertionError, match="ExternalControlSignalsEnabled"):
        world.asks_station("limit.set", limit=10, source="EMS")


@req("K11.FR.01", "K13.FR.01")
def test_the_local_socket_sets_lists_and_releases() -> None:
    world = charging(keys=QUIET)
    world.asks_station("limit.set", limit=10, evse=1, source="Other", valid_s=120, fallback=6)
    world.runs(seconds=2)
    assert world.outlets[1].offered == 10
    (row,) = world.asks_station("limit.list")
    assert (row["source"], row["evse"], row["holds"], row["unit"]) == ("Other", 1, 10, "A") and row["left_s"] > 100
    world.asks_station("limit.release", evse=1, source="Other")
    assert world.asks_station("limit.list") == []


@pytest.mark.parametrize(
    ("args", "says"),
    [({}, "limit"), ({"limit": "10"}, "number"), ({"limit": -1}, "from 0 on"), ({"limit": 10, "evse": 7}, "no EVSE 7"),
     ({"limit": 10, "source": "CSO"}, "source"), ({"limit": 10, "unit": "kW"}, "A or W"),
     ({"limit": 10, "valid_s": 0}, "second"), ({"limit": 10, "evse": "1"}, "number"),
     ({"limit": float("inf")}, "from 0 on"), ({"limit": 10, "valid_s": 1.5}, "seconds")],
)  # fmt: skip
@req("K11.FR.05", "K12.FR.04")
def test_nonsense_is_refused_in_plain_words(args: dict[str, Any], says: str) -> None:
    world = idle()
    with pytest.raises(AssertionError, match=says):
        world.asks_station("limit.set", **args)
    with pytest.raises(AssertionError, match="no limit"):
        world.asks_station("limit.release")
    assert told(world) == []


# ---------------------------------------------------------------------------------------- the person at the charger


def test_a_person_has_a_limit_of_his_own_and_the_lowest_wins() -> None:
    world = charging(keys=QUIET)
    sets(world, 8.0, 1)
    world.asks_station("limit.set", limit=20, evse=1)
    world.runs(seconds=10)
    assert world.outlets[1].offered == 8 and why(world)["owner"] == "external EMS"
    world.asks_station("limit.set", limit=7, evse=1)
    world.runs(seconds=10)
    assert world.outlets[1].offered == 7 and why(world)["owner"] == "operator"
    releases(world, 1)
    assert set_variable(world, "SmartChargingCtrlr.ExternalControlSignalsEnabled", "false") == "Accepted"
    world.loses_power("all").returns_after(seconds=10)
    world.runs(minutes=3)
    assert world.outlets[1].offered == 7 and why(world)["owner"] == "operator"
    world.asks_station("limit.release", evse=1)
    world.runs(seconds=20)
    assert world.outlets[1].offered == 32
    world.settles()


@req("K11.FR.02", "K11.FR.05", "K11.FR.06", "K13.FR.02")
@pytest.mark.parametrize("first", ["Operator", "Other"])
def test_the_csms_hears_of_a_person_as_of_another_system_and_of_the_end_of_both(first: LimitSource) -> None:
    second: LimitSource = "Other" if first == "Operator" else "Operator"
    world = charging(keys={**QUIET, "SmartChargingCtrlr.NotifyChargingLimitWithSchedules": "true"})
    sets(world, 20.0, 1, first)
    sets(world, 15.0, 1, second)
    _, pages = report(world, chargingLimitSource=["Other"])
    found = [profile for page in pages for profile in page["chargingProfile"]]
    assert len({one["id"] for one in found}) == 2 and {page["chargingLimitSource"] for page in pages} == {"Other"}
    releases(world, 1, second)
    releases(world, 1, first)
    news = told(world)
    assert [one["chargingSchedule"][0]["chargingSchedulePeriod"][0]["limit"] for one in news[:-1]] == [20, 15, 20]
    assert all(one["chargingLimit"] == {"chargingLimitSource": "Other"} for one in news[:-1])
    assert news[-1] == {"chargingLimitSource": "Other", "evseId": 1}


def test_what_a_person_takes_back_while_the_csms_is_away_is_cleared_once() -> None:
    world = charging(keys=QUIET)
    sets(world, 20.0, 1, "Operator")
    sets(world, 21.0, 1, "Other")
    world.csms.vanishes()
    world.runs(minutes=1)
    releases(world, 1, "Operator")
    releases(world, 1, "Other")
    before = len(told(world))
    back_online(world)
    assert told(world)[before:] == [{"chargingLimitSource": "Other", "evseId": 1}]
