"""K08: the composite schedule tells what the station will really allow, in both units and for any window."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from agent.core.instant import parse_rfc3339, rfc3339
from tests.blocks.stories import (
    OTHER,
    QUIET,
    charge,
    charging,
    idle,
    install,
    profile,
    station_maximum,
)
from tests.marks import req
from tests.sim.outlet import raw, smart
from tests.sim.transactions import Payload
from tests.sim.world import World

PAIR = (raw(32), raw(32))


def ask(world: World, evse: int = 1, seconds: int = 400, unit: str | None = "A") -> Payload:
    """GetCompositeSchedule; the whole answer."""
    request: Payload = {"evseId": evse, "duration": seconds}
    return world.csms_asks("GetCompositeSchedule", request | ({"chargingRateUnit": unit} if unit else {}))


def rows(answer: Payload) -> list[tuple[int, float]]:
    """(startPeriod, limit) of an accepted answer."""
    assert answer["status"] == "Accepted"
    periods = answer["schedule"]["chargingSchedulePeriod"]
    return [(p["startPeriod"], p["limit"]) for p in periods]


def shifted(expected: list[tuple[int, float]], answer: Payload, begin_ms: int) -> list[tuple[int, float]]:
    """What is expected of a schedule that began at `begin_ms`, by the clock of the answer."""
    late = (parse_rfc3339(answer["schedule"]["scheduleStart"]) - begin_ms) // 1000
    return [(max(0, start - late), limit) for start, limit in expected]


def at(world: World, seconds: float = 0) -> str:
    """A moment from now, to the second."""
    return rfc3339(world.clock.utc_ms + round(seconds * 1000))


def begin_ms(world: World) -> int:
    return world.clock.utc_ms // 1000 * 1000


@req("K08.FR.02", "K08.FR.03", "K08.FR.06")
@pytest.mark.parametrize(("unit", "one", "two"), [("A", 32, 63), ("W", 22_080, 43_470)])
def test_without_profiles_it_tells_the_local_limits(unit: str, one: float, two: float) -> None:
    """TC_K_39; the installation carries 63 A."""
    world = idle(PAIR)
    assert rows(ask(world, 1, 300, unit)) == [(0, one)]
    whole = ask(world, 0, 300, unit)
    assert rows(whole) == [(0, two)] and whole["schedule"]["evseId"] == 0
    assert (whole["schedule"]["duration"], whole["schedule"]["chargingRateUnit"]) == (300, unit)
    assert rows(ask(world, 1, 0, unit)) == [(0, one)]
    assert ask(world, 1, 60, None)["schedule"]["chargingRateUnit"] == "A"


@req("K08.FR.02", "K08.FR.06", "K01.FR.17", "K01.FR.11", "K01.FR.12")
@pytest.mark.parametrize(("unit", "factor"), [("A", 1), ("W", 690)])
def test_stacked_profiles(unit: str, factor: float) -> None:
    """TC_K_40 with the errata's times: two levels, the upper one ends first."""
    world = idle(keys=QUIET)
    began = begin_ms(world)
    common = {"startSchedule": rfc3339(began), "chargingRateUnit": unit}
    low, high = ((0, 6.0), (100, 8.0), (200, 10.0)), ((0, 7.0), (100, 9.0))
    install(world, 1, profile(1, *((s, a * factor) for s, a in low), **common, duration=400))
    install(world, 1, profile(2, *((s, a * factor) for s, a in high), **common, duration=150, stackLevel=1))
    answer = ask(world, 1, 350, unit)
    expected = [(0, 7 * factor), (100, 9 * factor), (150, 8 * factor), (200, 10 * factor)]
    assert rows(answer) == shifted(expected, answer, began)


@req("K08.FR.04", "K02.FR.04", "K02.FR.08", "K03.FR.03", "K16.FR.01", "SC.01")
@pytest.mark.parametrize(("unit", "factor"), [("A", 1), ("W", 690)])
def test_all_purposes_are_merged(unit: str, factor: float) -> None:
    """TC_K_41 with the errata's completed expectation; then the station really does that."""
    world = charging(keys=QUIET)
    began = begin_ms(world)
    common = {"startSchedule": rfc3339(began), "chargingRateUnit": unit}
    tx = {"chargingProfilePurpose": "TxProfile", "transactionId": world.csms.transaction(1).id}
    default = ((0, 6.0), (60, 10.0), (120, 8.0), (180, 15.0), (260, 8.0))
    own = ((0, 8.0), (50, 11.0), (140, 16.0), (200, 6.0), (240, 12.0))
    install(world, 0, station_maximum(1, (0, 10.0 * factor), **common, duration=86_400))
    install(world, 1, profile(2, *((s, a * factor) for s, a in default), **common, duration=300))
    install(world, 1, profile(3, *((s, a * factor) for s, a in own), **common, **tx, duration=260))
    answer = ask(world, 1, 400, unit)
    expected = [(0, 8), (50, 10), (200, 6), (240, 10), (260, 8), (300, 10)]
    assert rows(answer) == shifted([(s, a * factor) for s, a in expected], answer, began)
    seen = []
    for moment, _ in expected:
        world.runs(ms=max(0, began + (moment + 12) * 1000 - world.clock.utc_ms))
        seen.append(world.outlets[1].offered)
    assert seen == [amps for _, amps in expected]


@req("K01.FR.36", "K08.FR.06", "K01.FR.42")
def test_a_relative_profile_that_becomes_valid_later() -> None:
    """TC_K_21: on an idle EVSE as if a transaction began now."""
    world = idle()
    relative = {"chargingProfileKind": "Relative", "startSchedule": None}
    install(world, 1, profile(1, (0, 6.0), validFrom=at(world, 300), **relative))
    found = rows(ask(world, 1, 400))
    assert found[0] == (0, 32) and found[1][1] == 6 and found[1][0] in (298, 299, 300)


@req("K01.FR.37", "K01.FR.14", "K08.FR.03")
def test_a_default_for_all_evses_counts_once_for_each_in_the_total() -> None:
    """TC_K_22."""
    world = idle(PAIR)
    install(world, 0, profile(1, (0, 6.0), startSchedule=at(world), validTo=at(world, 300)))
    for evse, limit in ((0, 12.0), (1, 6.0), (2, 6.0)):
        found = rows(ask(world, evse, 400))
        assert found[0] == (0, limit) and found[1][0] in (298, 299, 300) and len(found) == 2


@req("K01.FR.30")
def test_a_schedule_that_starts_later_limits_from_then_on() -> None:
    """TC_K_23."""
    world = idle()
    install(world, 1, profile(1, (0, 6.0), startSchedule=at(world, 60)))
    found = rows(ask(world, 1, 300))
    assert found[0] == (0, 32) and found[1][1] == 6 and found[1][0] in (58, 59, 60)


@req("K08.FR.05", "K08.FR.07")
def test_what_cannot_be_told_is_rejected_with_a_reason() -> None:
    """TC_K_42, TC_K_47."""
    world = idle(keys={"SmartChargingCtrlr.RateUnit": "A"})
    for answer, reason in ((ask(world, 2), "UnknownEvse"), (ask(world, 1, 60, "W"), "UnsupportedRateUnit"),
                           (ask(world, 1, -1), "ValueTooLow")):  # fmt: skip
        assert (answer["status"], answer["statusInfo"]["reasonCode"]) == ("Rejected", reason)
        assert "schedule" not in answer and answer["statusInfo"]["additionalInfo"]


@req("K08.FR.02", "K01.FR.13")
def test_a_recurring_profile_over_days_and_a_window_that_is_too_long() -> None:
    """Daily, across month ends and both changes of daylight saving: always the same second of UTC."""
    world = idle(keys=QUIET)
    daily = {"chargingProfileKind": "Recurring", "recurrencyKind": "Daily", "duration": 3600}
    install(world, 1, profile(1, (0, 10.0), **daily, startSchedule="2026-02-20T17:00:00Z"))
    answer = ask(world, 1, 250 * 86_400)
    starts = [start for start, limit in rows(answer) if limit == 10]
    first = 5 * 3600 - (world.clock.utc_ms // 1000 - 12 * 3600) % 86_400
    assert len(starts) == 250 and starts[0] in range(first - 2, first + 3)
    assert {b - a for a, b in pairwise(starts)} == {86_400}
    longest = ask(world, 1, 3_000 * 86_400)
    assert len(rows(longest)) == 1_024 and longest["schedule"]["duration"] < 600 * 86_400


@req("K08.FR.04", "K04.FR.05", "SC.04")
def test_two_that_charge_share_the_maximum_and_each_is_told_its_part() -> None:
    world = idle(PAIR, keys=QUIET)
    install(world, 0, station_maximum(1, (0, 20.0)))
    charge(world, 1)
    assert rows(ask(world, 1)) == [(0, 20)]
    charge(world, 2, OTHER)
    world.runs(seconds=30)
    assert [rows(ask(world, evse)) for evse in (1, 2, 0)] == [[(0, 10)], [(0, 10)], [(0, 20)]]
    assert [world.outlets[evse].offered for evse in (1, 2)] == [10, 10]


@req("SC.04", "K01.FR.50")
@pytest.mark.parametrize(("limit", "told"), [(4.0, 0), (5.9, 0), (0.0, 0), (6.04, 6.0)])
def test_a_limit_below_what_a_car_needs_is_told_as_the_pause_that_it_is(limit: float, told: float) -> None:
    world = idle()
    install(world, 1, profile(1, (0, limit)))
    assert rows(ask(world)) == [(0, told)]


@req("K01.FR.45", "K01.FR.50", "K08.FR.04")
@pytest.mark.parametrize(("outlet", "phases", "amps"), [(raw(32, phases=1), 1, 20.0), (smart(16), 3, 6.6)])
def test_watts_are_told_as_amps_by_the_phases_of_the_evse(outlet: Any, phases: int, amps: float) -> None:
    world = idle([outlet])
    install(world, 1, profile(1, (0, 4600.0), chargingRateUnit="W"))
    answer = ask(world)
    assert rows(answer) == [(0, amps)]
    assert answer["schedule"]["chargingSchedulePeriod"][0]["numberPhases"] == phases
    assert rows(ask(world, 1, 60, "W")) == [(0, 4600)]


@req("K08.FR.04", "K01.FR.07", "K10.FR.05")
def test_the_plan_is_what_happens() -> None:
    """Hours of mixed profiles: whatever the plan says for a moment is offered then."""
    world = charging(keys=QUIET)
    tx = {"chargingProfilePurpose": "TxProfile", "transactionId": world.csms.transaction(1).id}
    relative = {"chargingProfileKind": "Relative", "startSchedule": None}
    daily = {"chargingProfileKind": "Recurring", "recurrencyKind": "Daily", "duration": 5400}
    install(world, 1, profile(1, (0, 14.0), (1800, 9.3), **daily, startSchedule=at(world, -2000)))
    install(world, 1, profile(2, (0, 12.0), (600, 20.0), (1200, 7.0), **relative, **tx, duration=3000))
    install(world, 0, station_maximum(3, (0, 25.0), (2500, 13.0), startSchedule=at(world)))
    answer = ask(world, 1, 9_000)
    begin = world.clock.utc_ms // 1000 * 1000
    for start, limit in rows(answer):
        world.runs(ms=max(0, begin + (start + 8) * 1000 - world.clock.utc_ms))
        assert world.outlets[1].offered == limit, start


@req("K08.FR.04")
def test_the_plan_knows_the_default_hours_where_no_profile_speaks() -> None:
    """The world begins at 12:00 UTC; the total knows them too."""
    world = idle(keys={**QUIET, "ScheduleCtrlr.DefaultHours": "22:00-08:00,13:00-16:00"})
    began = begin_ms(world) // 86_400_000 * 86_400_000 + 43_200_000
    plain = [(0, 0.0), (3600, 32.0), (14_400, 0.0), (36_000, 32.0)]
    for evse in (0, 1):
        answer = ask(world, evse, 43_200)
        assert rows(answer) == shifted(plain, answer, began)
    install(world, 1, profile(1, (0, 12.0), duration=1800))
    install(world, 0, station_maximum(2, (0, 20.0)))
    answer = ask(world, 1, 43_200)
    expected = [(0, 12.0), (1800, 0.0), (3600, 20.0), (14_400, 0.0), (36_000, 20.0)]
    assert rows(answer) == shifted(expected, answer, began)


@req("K08.FR.04")
def test_the_plan_is_nothing_for_the_rest_of_a_random_delay() -> None:
    world = charging(keys={**QUIET, "ScheduleCtrlr.RandomDelay": "1800"})
    relative = {"chargingProfileKind": "Relative", "startSchedule": None}
    install(world, 1, profile(1, (0, 0.0), (60, 16.0), **relative))
    world.runs(seconds=100)
    assert world.outlets[1].offered == 0
    (_, nothing), (left_s, limit) = rows(ask(world, 1, 3600))
    assert (nothing, limit) == (0, 16) and 0 < left_s < 1800
    world.runs(seconds=left_s - 2)
    assert world.outlets[1].offered == 0
    world.runs(seconds=10)
    assert world.outlets[1].offered == 16 and rows(ask(world, 1, 3600)) == [(0, 16)]
