"""Charging profiles as the core sees them (K01, K10)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.profiles import EVER, Period, Profile, Schedule
from tests.marks import req

DAY = 86_400_000
SCHEDULED = {"unit", "periods", "start_ms", "duration_s"}


def profile(**changes: Any) -> Profile:
    """An absolute profile: 10 A for 100 s, then 6 A, from UTC ms 1,000,000 on."""
    told: dict[str, Any] = {"unit": "A", "periods": (Period(0, 10.0), Period(100, 6.0)), "start_ms": 1_000_000}
    schedule = Schedule(**{**told, **{name: changes.pop(name) for name in SCHEDULED & changes.keys()}})
    given_: dict[str, Any] = {
        "id": 1, "evse": 0, "purpose": "TxDefaultProfile", "stack_level": 0, "kind": "Absolute",
        "schedules": (schedule,),
    }  # fmt: skip
    return Profile(**{**given_, **changes})


@req("K01.FR.11", "K01.FR.12", "K01.FR.30")
@pytest.mark.parametrize(
    ("at_s", "limit"), [(-1, None), (0, 10), (99.999, 10), (100, 6), (199.999, 6), (200, None), (10_000, None)]
)
def test_a_period_lasts_to_the_next_or_to_the_end_of_the_duration(at_s: float, limit: float | None) -> None:
    period, _ = profile(duration_s=200).at(1_000_000 + round(at_s * 1000), 0)
    assert (period.limit if period else None) == limit


@req("K01.FR.13")
def test_a_daily_schedule_repeats_and_leaves_its_gap() -> None:
    daily = profile(kind="Recurring", recurrency="Daily", duration_s=200)
    for day in (0, 1, 400):
        at = 1_000_000 + day * DAY
        assert daily.at(at + 150_000, 0)[0] == Period(100, 6.0)
        assert daily.at(at + 200_000, 0) == (None, at + DAY)


@req("K01.FR.42")
def test_a_relative_schedule_counts_from_connected_and_authorised() -> None:
    relative = profile(kind="Relative", start_ms=None)
    assert relative.at(5_000_000, 4_950_000)[0] == Period(0, 10.0)
    assert relative.at(5_000_000, 4_900_000)[0] == Period(100, 6.0)


@req("K01.FR.10", "K01.FR.36", "K01.FR.37")
def test_validity_includes_its_start_and_excludes_its_end() -> None:
    valid = profile(start_ms=0, valid_from_ms=10, valid_to_ms=20)
    assert [valid.at(ms, 0)[0] is not None for ms in (9, 10, 19, 20)] == [False, True, True, False]
    assert [valid.at(ms, 0)[1] for ms in (9, 10, 20)] == [10, 20, EVER]


@given(
    st.sampled_from(["Absolute", "Recurring"]), st.integers(0, 3 * DAY), st.integers(1, 1000), st.integers(1, 100_000)
)
def test_the_change_foretold_is_the_next_moment_at_which_anything_differs(
    kind: str, at_ms: int, second_s: int, duration_s: int
) -> None:
    """Between now and the foretold change the period is the same; so the deadline can be trusted."""
    it = profile(
        kind=kind, recurrency="Daily" if kind == "Recurring" else None,
        periods=(Period(0, 10.0), Period(second_s, 6.0)), duration_s=duration_s,
    )  # fmt: skip
    period, change = it.at(at_ms, 0)
    assert change > at_ms
    end = min(change, at_ms + 2 * DAY)
    for probe in range(at_ms, end, max(1, (end - at_ms) // 7)):
        assert it.at(probe, 0)[0] == period


def test_what_is_kept_of_a_profile_brings_it_back() -> None:
    it = profile(valid_to_ms=5, raw={"id": 1})
    assert Profile.of(it.data()) == it
