"""How a bound is shared: never exceeded, fair, stable, nothing wasted (K04.FR.05, K03.FR.04)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.context import Context, Durable
from agent.core.instant import Instant
from agent.core.sharing import Shared, Taker, Turns, room, split
from config_keys.values import Values
from tests.marks import req

ALL = frozenset((0, 1, 2))


def taker(id: int, ceiling: float = 32.0, phases: frozenset[int] = ALL, **more: Any) -> Taker:
    """An EVSE at 230 V."""
    return Taker(id, ceiling, 6.0, phases, 230.0 * len(phases), **more)


def shares(limit: float, *takers: Taker, unit: str = "A") -> list[float]:
    parts = split(Shared("test", limit, unit=unit), takers)
    return [parts[t.id] for t in takers]


@req("K04.FR.01", "K04.FR.05")
def test_equal_parts_and_what_one_does_not_want_goes_to_the_others() -> None:
    assert shares(30, taker(1), taker(2)) == [15, 15]
    assert shares(40, taker(1, 8.0), taker(2), taker(3)) == [8, 16, 16]
    assert shares(100, taker(1), taker(2)) == [32, 32]
    assert shares(5, taker(1)) == [0]


@req("K03.FR.04", "K03.FR.06")
def test_where_it_is_too_little_for_all_priority_counts_then_who_came_first() -> None:
    assert shares(11, taker(1, turn=50), taker(2, turn=10)) == [0, 11]
    assert shares(11, taker(1, turn=50, priority=1), taker(2, turn=10)) == [11, 0]
    assert shares(40, taker(1, priority=2), taker(2)) == [32, 8]
    assert shares(13, taker(1, turn=1), taker(2, turn=2), taker(3, turn=3)) == [6.5, 6.5, 0]


@req("K01.FR.21", "K02.FR.06", "K03.FR.07", "K04.FR.04")
def test_charging_with_less_than_its_minimum_rate_is_given_only_what_nobody_else_can_use() -> None:
    assert shares(15, taker(1, efficient=10.0, turn=1), taker(2, turn=2)) == [15, 0]
    assert shares(15, taker(1, turn=1), taker(2, efficient=10.0, turn=2)) == [7.5, 7.5]
    assert shares(7, taker(1, efficient=10.0)) == [7]


def test_a_car_that_takes_nothing_holds_its_least_while_others_want_more() -> None:
    assert shares(26, taker(1, resting=True), taker(2)) == [6, 20]
    assert shares(60, taker(1, resting=True), taker(2)) == [28, 32]


def test_amps_bound_each_phase_and_watts_the_sum() -> None:
    r, s = frozenset({0}), frozenset({1})
    assert shares(20, taker(1, phases=r), taker(2, phases=s)) == [20, 20]
    assert shares(20, taker(1, phases=r), taker(2, phases=r)) == [10, 10]
    assert shares(20, taker(1, phases=r), taker(2), taker(3, phases=s)) == [10, 10, 10]
    assert shares(9200, taker(1, phases=r), taker(2, phases=s), unit="W") == [20, 20]
    assert shares(13_800, taker(1), taker(2, phases=r), unit="W") == [15, 15]


def test_a_bound_may_be_for_some_only() -> None:
    bound = Shared("imbalance", 20, loads=((1, frozenset({0})),))
    assert split(bound, (taker(1), taker(2))) == {1: 20, 2: 32}
    assert room(bound, taker(2), {1: 30, 2: 0}, (taker(1),)) == float("inf")


def test_what_others_may_draw_is_never_given_away() -> None:
    bound = Shared("installation", 40)
    assert room(bound, taker(1), {1: 32, 2: 25}, (taker(2),)) == 15
    assert room(bound, taker(1), {1: 32, 2: 45}, (taker(2),)) == 0
    watts = Shared("maximum", 9200, unit="W")
    assert room(watts, taker(1), {1: 0, 2: 10}, (taker(2, phases=frozenset({1})),)) == pytest.approx(10)


PHASES = st.sampled_from([ALL, frozenset({0}), frozenset({1}), frozenset({2}), frozenset({0, 1})])
TAKERS = st.lists(
    st.tuples(
        st.floats(0, 63), PHASES, st.integers(-1, 1), st.integers(0, 3), st.sampled_from([0.0, 8.0]), st.booleans()
    ),
    min_size=1,
    max_size=5,
)


@req("K04.FR.05", "SC.01")
@given(TAKERS, st.floats(0, 120), st.sampled_from([("A", 1.0), ("W", 230.0)]))
def test_no_bound_is_exceeded_nobody_gets_too_little_and_nothing_is_left_that_somebody_could_use(
    drawn: list[Any], amps: float, unit: tuple[str, float]
) -> None:
    takers = tuple(
        taker(i, ceiling, phases, priority=priority, turn=turn, efficient=efficient, resting=resting)
        for i, (ceiling, phases, priority, turn, efficient, resting) in enumerate(drawn, start=1)
    )
    limit = amps * unit[1]
    parts = split(Shared("test", limit, unit=unit[0]), takers)
    sums = [sum(parts[t.id] for t in takers if phase in t.phases) for phase in range(3)]
    watts = sum(parts[t.id] * t.watts_per_amp for t in takers)
    assert (watts if unit[0] == "W" else max(sums)) <= limit + 1e-3
    for t in takers:
        assert parts[t.id] == 0 or 6 - 1e-6 <= parts[t.id] <= t.ceiling + 1e-6
        bound = Shared("test", limit, unit=unit[0])
        left = room(bound, t, dict(parts), tuple(o for o in takers if o != t)) - parts[t.id]
        served = parts[t.id] >= t.ceiling - 1e-3 or t.ceiling < 6
        assert left < 1e-3 or served or (parts[t.id] == 0 and left < 6 + 1e-3)


@given(TAKERS, st.floats(0, 120))
def test_among_equals_nobody_is_given_more_while_another_wants_it(drawn: list[Any], limit: float) -> None:
    takers = tuple(taker(i, ceiling) for i, (ceiling, *_) in enumerate(drawn, start=1))
    parts = split(Shared("test", limit), takers)
    served = [t for t in takers if parts[t.id] > 0]
    for one in served:
        for other in served:
            assert parts[one.id] <= parts[other.id] + 1e-3 or parts[other.id] >= other.ceiling - 1e-3


# ---------------------------------------------------------------------------------------- taking turns


class Queue:
    """Cars that want a bound of 8 A, and who is served at which minute."""

    def __init__(self, **keys: str) -> None:
        presets = {name.replace("__", "."): value for name, value in keys.items()}
        self.durable = Durable(Values({1: [1], 2: [1], 3: [1]}, presets))
        self.turns = Turns()
        self.bounds = (Shared("installation", 8.0),)

    def at(self, minute: float, *ids: int) -> list[int]:
        cx = Context(self.durable, Instant(round(minute * 60_000)), 1)
        for _ in range(2):
            takers = {i: taker(i, turn=self.turns.of(i)) for i in ids}
            self.turns.follow(cx, takers, self.bounds)
        takers = {i: taker(i, turn=self.turns.of(i)) for i in ids}
        parts = split(self.bounds[0], tuple(takers.values()))
        return [i for i in ids if parts[i] > 0]


def test_who_came_first_goes_on_and_the_others_get_their_turn() -> None:
    queue = Queue(LimitCtrlr__RotationInterval="600")
    assert queue.at(0, 2) == [2]
    assert [queue.at(minute, 1, 2) for minute in (1, 5, 10.9)] == [[2], [2], [2]]
    assert [queue.at(minute, 1, 2) for minute in (11, 15, 20.9, 21, 31)] == [[1], [1], [1], [2], [1]]
    assert queue.at(31.5, 2) == [2]


def test_without_an_interval_nobody_is_sent_away() -> None:
    queue = Queue(LimitCtrlr__RotationInterval="0")
    queue.at(0, 2)
    assert [queue.at(hour * 60, 1, 2) for hour in range(1, 30)] == [[2]] * 29
