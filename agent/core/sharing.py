"""A bound that several EVSEs share: who gets how much. Fair (the least served first), stable, and a pure function.

A bound is in A, and then holds on every phase of the installation, or in W, and then for the sum. An EVSE gets
nothing or at least what its car needs to charge; where it is too little for all, those of higher chargingPriority
(K03.FR.04) and then those who came first are served.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby, pairwise
from typing import NamedTuple

from agent.core.context import Context
from agent.core.electrics import ALL
from config_keys import limits

SLACK = 1e-6
"""A, by which floating point may be off."""
BEHIND = 1 << 62
"""Place in the queue of who has not come yet; the same at every moment, so that nothing is divided anew for it."""
ROTATE = "limits.rotate"
"""Name of the deadline at which cars take turns."""


class Lapse(NamedTuple):
    """Until when a limit holds (monotonic ms; None: no end is known), and what it becomes then."""

    until_ms: int | None
    then: float


class Shared(NamedTuple):
    """A bound for the sum of all EVSEs, in A on each phase or in W."""

    owner: str
    limit: float
    why: str = ""
    unit: str = "A"
    loads: tuple[tuple[int, frozenset[int]], ...] | None = None
    """Where only some EVSEs count: these, and the phases of the installation on which they do."""
    phases: frozenset[int] = ALL
    """The phases of the installation that a bound in A holds for."""
    lapse: Callable[[], Lapse] | None = None
    """Where it has an end: asked when somebody wants to know, so that a limit said anew is the same bound."""


class Taker(NamedTuple):
    """An EVSE that wants a part: at most `ceiling` A per phase, at least `least`, better `efficient`."""

    id: int
    ceiling: float
    least: float
    phases: frozenset[int]
    watts_per_amp: float
    efficient: float = 0.0
    """minChargingRate (K01.FR.21): with less it is served last."""
    priority: int = 0
    turn: int = 0
    """Who came first has the lowest."""
    resting: bool = False
    """Its car takes nothing: the others may have what is beyond `least`."""


@dataclass(slots=True)
class _Resource:
    """Something of which there is `left`; one ampere of EVSE n uses `weights[n]`."""

    left: float
    weights: dict[int, float]


@lru_cache(maxsize=64)
def split(bound: Shared, takers: tuple[Taker, ...]) -> Mapping[int, float]:
    """A per phase for every taker; 0 for those who have to wait."""
    resources = _resources(bound, takers)
    given = {taker.id: 0.0 for taker in takers}
    for _, equals in groupby(sorted(takers, key=_rank), key=lambda taker: taker.priority):
        served = _serve(tuple(equals), resources)
        for resource in resources:
            resource.left -= _used(resource, served)
        given.update(served)
    return given


def _serve(group: Sequence[Taker], resources: Sequence[_Resource]) -> dict[int, float]:
    """Takers of one priority: first those whose cars take something, then all of them with what is left."""
    floors = _admit(group, resources)
    active = [taker for taker in group if taker.id in floors]
    modest = {t.id: floors[t.id] if t.resting else t.ceiling for t in active}
    return _fill(active, _fill(active, floors, modest, resources), {t.id: t.ceiling for t in active}, resources)


def room(bound: Shared, taker: Taker, drawn: Mapping[int, float], others: Iterable[Taker]) -> float:
    """A per phase that the others, who may be drawing `drawn`, leave of a bound."""
    members = (taker, *others)
    left = math.inf
    for resource in _resources(bound, members):
        if taker.id in resource.weights:
            used = sum(drawn[t.id] * resource.weights.get(t.id, 0.0) for t in members if t.id != taker.id)
            left = min(left, (resource.left - used) / resource.weights[taker.id])
    return max(0.0, left)


def _rank(taker: Taker) -> tuple[int, int, int]:
    return (-taker.priority, taker.turn, taker.id)


def _resources(bound: Shared, takers: Sequence[Taker]) -> list[_Resource]:
    """In A every phase is one, in W the sum is."""
    loads = dict(bound.loads) if bound.loads is not None else {taker.id: taker.phases for taker in takers}
    if bound.unit == "W":
        return [_Resource(bound.limit, {t.id: t.watts_per_amp for t in takers if t.id in loads})]
    return [
        _Resource(bound.limit, {t.id: 1.0 for t in takers if phase in loads.get(t.id, ())})
        for phase in sorted(bound.phases)
    ]


def _admit(group: Sequence[Taker], resources: Sequence[_Resource]) -> dict[int, float]:
    """Who gets anything, with the least that each must get: efficient ones first, the others with what is left."""
    admitted: dict[int, float] = {}
    for efficient in (True, False):
        for taker in group:
            least = max(taker.least, min(taker.efficient, taker.ceiling)) if efficient else taker.least
            if taker.id in admitted or taker.ceiling + SLACK < taker.least:
                continue
            if all(_fits(resource, {**admitted, taker.id: least}) for resource in resources):
                admitted[taker.id] = least
    return admitted


def _fits(resource: _Resource, amps: Mapping[int, float]) -> bool:
    return _used(resource, amps) <= resource.left + SLACK


def _used(resource: _Resource, amps: Mapping[int, float]) -> float:
    return sum(resource.weights.get(id_, 0.0) * value for id_, value in amps.items())


def _fill(
    takers: Sequence[Taker],
    floors: Mapping[int, float],
    ceilings: Mapping[int, float],
    resources: Sequence[_Resource],
) -> dict[int, float]:
    """Raise all from their floors to one level, until a resource or a ceiling stops them; then the others go on."""
    given: dict[int, float] = {}
    active = {taker.id for taker in takers}
    while active:
        levels = [_level(resource, active, floors, ceilings, given) for resource in resources]
        level = min(levels)
        stopped = {i for r, at in zip(resources, levels, strict=True) if at == level for i in active & r.weights.keys()}
        stopped = stopped if level < math.inf else set(active)
        given.update({i: min(max(level, floors[i]), max(ceilings[i], floors[i])) for i in stopped})
        active -= stopped
    return given


def _level(
    resource: _Resource,
    active: set[int],
    floors: Mapping[int, float],
    ceilings: Mapping[int, float],
    given: Mapping[int, float],
) -> float:
    """The level (A) at which `active` have used up the resource; infinite when their ceilings come first."""
    parts = [
        (resource.weights[i], floors[i], max(ceilings[i], floors[i])) for i in sorted(active & resource.weights.keys())
    ]
    left = resource.left - _used(resource, given)
    marks = sorted({mark for _, low, high in parts for mark in (low, high)})
    used = sum(weight * low for weight, low, _ in parts)
    if marks and used >= left:
        return marks[0]
    for here, above in pairwise(marks):
        slope = sum(weight for weight, low, high in parts if low <= here and high >= above)
        if used + slope * (above - here) > left + SLACK:
            return here + (left - used) / slope
        used += slope * (above - here)
    return math.inf


class Turns:
    """Who is served first where a bound is too small for all: who came first, then whoever has waited long enough."""

    def __init__(self) -> None:
        self._turn: dict[int, int] = {}
        self._waits: dict[int, int] = {}
        """Since when (monotonic ms) an EVSE gets nothing because others do."""

    def of(self, evse_id: int) -> int:
        """Its place in the queue: the lowest is first, who does not wait is behind all."""
        return self._turn.get(evse_id, BEHIND)

    def follow(self, cx: Context, taking: Mapping[int, Taker], bounds: Iterable[Shared]) -> None:
        """Note who has come and gone, and who waits; after RotationInterval the first served goes to the back."""
        self._turn = {i: self._turn.get(i, cx.ms) for i in taking}
        parts = [split(bound, tuple(taking.values())) for bound in bounds]
        out = [i for i, t in taking.items() if t.ceiling >= t.least and any(part[i] == 0 for part in parts)]
        self._waits = {i: self._waits.get(i, cx.ms) for i in out}
        interval_ms = cx.keys[limits.ROTATION_INTERVAL] * 1000
        if self._waits and interval_ms:
            self._rotate(cx, taking, interval_ms)

    def _rotate(self, cx: Context, taking: Mapping[int, Taker], interval_ms: int) -> None:
        longest = min(self._waits, key=lambda i: (self._waits[i], i))
        due = self._waits[longest] + interval_ms
        if cx.ms < due:
            cx.timers.set(ROTATE, due)
            return
        del self._waits[longest]
        same = [t for t in taking.values() if t.priority == taking[longest].priority and t.ceiling >= t.least]
        served = [t.id for t in same if t.id not in self._waits and t.id != longest]
        self._turn[min(served, key=self._turn.__getitem__, default=longest)] = cx.ms
        cx.timers.set(ROTATE, cx.ms + 1)
