"""The composite schedule: what an EVSE, or the whole station, may be expected to draw from now on (K08)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import reduce
from typing import NamedTuple

from agent.core.context import Context
from agent.core.electrics import closed_phases, grid_phases
from agent.core.evse import Evse
from agent.core.hours import Hours, within
from agent.core.limits import Limits
from agent.core.profiles import EVER, MAX
from agent.core.schedules import Leading, Schedules
from agent.core.sharing import Shared, Taker, split
from config_keys import limits as keys

MOST_SLICES = 1_024
"""What one answer can hold; a longer plan ends earlier and says so."""
MOST_MOMENTS = 4_096
"""Changes that are looked at, so that no question takes long."""


class Slice(NamedTuple):
    """From `start_s` on: `limit` in the plan's unit, on `phases` phases (None: several EVSEs)."""

    start_s: int
    limit: float
    phases: int | None


class Plan(NamedTuple):
    """A composite schedule of `duration_s` from `start_ms` (UTC) on."""

    start_ms: int
    duration_s: int
    unit: str
    slices: tuple[Slice, ...]


class Foreseen(NamedTuple):
    """The phases of one EVSE: `now`, and where it has a relay those that it would choose `free`ly, the better first.

    `lines` are the phases of the installation that it then loads, by their number; none without a relay.
    """

    now: int
    free: tuple[int, ...] = ()
    lines: Mapping[int, frozenset[int]] = {}


class Outlook(NamedTuple):
    """What stays the same in a look ahead: the EVSEs with what holds there whatever the time, and shared bounds."""

    evse: int
    unit: str
    takers: tuple[Taker, ...]
    phases: Mapping[int, Foreseen]
    began_ms: Mapping[int, int]
    fixed: tuple[Shared, ...]
    which: int | None
    expired: float
    """A per phase after the time of a profile is over."""
    hours: str
    """In which cars charge where no profile says anything."""
    delayed_ms: Mapping[int, int]
    """Until when (UTC) a random delay runs, by EVSE."""


class Moment(NamedTuple):
    """What is allowed from a moment (UTC ms) on, and until when at least."""

    at_ms: int
    until_ms: int
    limit: float
    phases: int | None


class Composite:
    """Looks ahead with the same rules by which the arbiter judges now."""

    def __init__(
        self,
        evses: Mapping[int, Evse],
        schedules: Schedules,
        limits: Limits,
        hours: Hours,
        fixed: Sequence[Callable[[Context], Iterable[Shared]]],
    ) -> None:
        """`fixed` are the shared bounds that follow no schedule."""
        self.ev: Callable[[int, int], Leading] = _says_nothing
        """What the EV at an EVSE has said that it will take at a moment (K15.FR.14)."""
        self._evses = evses
        self._schedules = schedules
        self._limits = limits
        self._hours = hours
        self._fixed = tuple(fixed)
        self.refresh: Callable[[Context], None] = lambda cx: None
        """Brings what follows the monotonic clock to that on the wall, before it is looked at."""
        self.free_phases: Callable[[Context, Evse], tuple[int, ...]] = lambda cx, evse: (3,)
        """What an EVSE with a phase relay would charge on when nobody asks for fewer phases, the better first."""

    def plan(self, cx: Context, evse_id: int, duration_s: int, unit: str, which: int | None = None) -> Plan:
        """What to expect of an EVSE, or (0) of the station; UTC has to be known.

        `which` asks for the n-th schedules of TxProfiles that have several (K15.FR.22).
        """
        now = cx.utc()
        assert now is not None, "a plan needs a clock"
        self.refresh(cx)
        end, covered = now + duration_s * 1000, now
        slices: list[Slice] = []
        for moment in self._moments(self._outlook(cx, evse_id, unit, now, which), now, end):
            _add(slices, moment, now)
            covered = min(end, moment.until_ms)
            if len(slices) == MOST_SLICES:
                break
        return Plan(now, (covered - now) // 1000, unit, tuple(slices))

    # ---------------------------------------------------------------------------------------- looking

    def _outlook(self, cx: Context, evse_id: int, unit: str, now: int, which: int | None) -> Outlook:
        """For one EVSE those that take part now count, and it itself as if it did (K08.FR.06); for 0 all do."""
        chosen = set(self._evses) if evse_id == 0 else self._limits.taking(cx) | {evse_id}
        evses = [self._evses[i] for i in sorted(chosen)]
        return Outlook(
            evse_id,
            unit,
            tuple(self._limits.taker(cx, evse, self._limits.local(cx, evse)) for evse in evses),
            {evse.id: self._foreseen(cx, evse) for evse in evses},
            {evse.id: self._schedules.began_ms(cx, evse.id, now) for evse in evses},
            tuple(bound for source in self._fixed for bound in source(cx)),
            which,
            self._schedules.expired_limit(cx),
            cx.keys[keys.DEFAULT_HOURS],
            {evse.id: now + self._hours.delay_ms(cx, evse) for evse in evses},
        )

    def _foreseen(self, cx: Context, evse: Evse) -> Foreseen:
        if evse.relay is None:
            return Foreseen(closed_phases(evse))
        lines = {phases: grid_phases(cx, evse, range(1, phases + 1)) for phases in (1, 3)}
        return Foreseen(closed_phases(evse), self.free_phases(cx, evse), lines)

    def _moments(self, outlook: Outlook, at_ms: int, end_ms: int) -> Iterator[Moment]:
        for _ in range(MOST_MOMENTS):
            moment = self._moment(outlook, at_ms)
            yield moment
            at_ms = moment.until_ms
            if at_ms >= end_ms:
                return

    def _moment(self, outlook: Outlook, at_ms: int) -> Moment:
        leads = {
            t.id: self._schedules.leading_for_tx(t.id, at_ms, outlook.began_ms[t.id], outlook.which)
            for t in outlook.takers
        }
        station = self._schedules.leading(MAX, 0, at_ms, at_ms)
        outer, change = self._schedules.external(0, at_ms)
        bounds = [*outlook.fixed, *_bound(MAX, station), *(b for lead in outer for b in _bound("external", lead))]
        until = min(change, station.until_ms, *(lead.until_ms for lead in leads.values()))
        over: dict[int, tuple[Leading, ...]] = {}
        bases: list[Taker] = []
        for taker in outlook.takers:
            base, change = self._base(outlook, taker, leads[taker.id], station, at_ms)
            bases.append(base)
            until = min(until, change)
            inner, change = self._schedules.external(taker.id, at_ms)
            wish = self.ev(taker.id, at_ms)
            until = min(until, change, wish.until_ms)
            over[taker.id] = (leads[taker.id], *inner, wish)
        demanded = {i: _fewest(outlook.phases[i], (station, *outer, *found)) for i, found in over.items()}
        phases, takers, amps = _best(outlook._replace(takers=tuple(bases)), over, demanded, bounds)
        if outlook.evse == 0:
            return Moment(at_ms, until, _total(takers, outlook.unit, amps), None)
        taker = next(t for t in takers if t.id == outlook.evse)
        limit = amps[taker.id] * (taker.watts_per_amp if outlook.unit == "W" else 1.0)
        return Moment(at_ms, until, _tenths(limit), phases)

    def _base(
        self, outlook: Outlook, taker: Taker, lead: Leading, station: Leading, at_ms: int
    ) -> tuple[Taker, int]:
        """An EVSE without its profiles, and until when: nothing during a random delay that runs."""
        delayed_ms = outlook.delayed_ms[taker.id]
        if at_ms < delayed_ms:
            return taker._replace(ceiling=0.0), delayed_ms
        if station.profile is None and self._schedules.has_expired(0, at_ms, at_ms, (MAX,)):
            taker = taker._replace(ceiling=min(taker.ceiling, outlook.expired))
        return (taker, EVER) if lead.profile is not None else self._unled(outlook, taker, at_ms)

    def _unled(self, outlook: Outlook, taker: Taker, at_ms: int) -> tuple[Taker, int]:
        """Where no profile says anything: FallbackCtrlr.ProfileExpiredLimit after one, else the default hours."""
        if outlook.expired < EVER and self._schedules.has_expired(taker.id, at_ms, outlook.began_ms[taker.id]):
            return taker._replace(ceiling=min(taker.ceiling, outlook.expired)), EVER
        if not outlook.hours:
            return taker, EVER
        inside, change_ms = within(outlook.hours, at_ms)
        return taker if inside else taker._replace(ceiling=0.0), at_ms + change_ms


def _says_nothing(evse_id: int, at_ms: int) -> Leading:
    return Leading(None, None, EVER)


def _bound(owner: str, lead: Leading) -> Iterable[Shared]:
    if lead.profile is not None and lead.period is not None:
        yield Shared(owner, lead.period.limit, unit=lead.profile.schedule.unit)


def _under(taker: Taker, lead: Leading) -> Taker:
    """A taker whose ceiling is what its transaction's profile leaves of it."""
    if lead.profile is None or lead.period is None:
        return taker
    limit = lead.period.limit / (taker.watts_per_amp if lead.profile.schedule.unit == "W" else 1.0)
    return taker._replace(ceiling=min(taker.ceiling, limit))


def _allot(takers: Sequence[Taker], bounds: Iterable[Shared]) -> dict[int, float]:
    """A per phase for everyone; what is less than the EV minimum is nothing."""
    parts = [split(bound, tuple(takers)) for bound in bounds]
    lowest = {t.id: min([t.ceiling, *(part[t.id] for part in parts)]) for t in takers}
    return {t.id: lowest[t.id] if lowest[t.id] + 1e-6 >= t.least else 0.0 for t in takers}


def _fewest(foreseen: Foreseen, leads: Iterable[Leading]) -> tuple[int, ...]:
    """Phases that an EVSE may be on, the better first: where it can choose, fewer when a period asks for fewer."""
    asked = [lead.period.phases for lead in leads if lead.period is not None and lead.period.phases is not None]
    least = min(asked, default=3)
    if not foreseen.lines:
        return (min(foreseen.now, least),)
    return (1,) if least < 3 else foreseen.free


def _best(
    outlook: Outlook, over: Mapping[int, tuple[Leading, ...]], demanded: Mapping[int, tuple[int, ...]],
    bounds: Sequence[Shared],
) -> tuple[int, list[Taker], dict[int, float]]:  # fmt: skip
    """Everybody's amps; the EVSE that is meant is on one phase where three would be a pause and that may be."""
    for phases in demanded.get(outlook.evse, (3,)):
        on = {i: phases if i == outlook.evse else choices[0] for i, choices in demanded.items()}
        placed = [_placed(outlook.phases[t.id], t, on[t.id]) for t in outlook.takers]
        takers = [reduce(_under, over[taker.id], taker) for taker in placed]
        amps = _allot(takers, bounds)
        if amps.get(outlook.evse, 1.0) > 0:
            break
    return phases, takers, amps


def _placed(foreseen: Foreseen, taker: Taker, phases: int) -> Taker:
    """A taker as if its phase relay were there."""
    if phases not in foreseen.lines:
        return taker
    per_phase = taker.watts_per_amp / foreseen.now
    return taker._replace(phases=foreseen.lines[phases], watts_per_amp=per_phase * phases)


def _total(takers: Sequence[Taker], unit: str, amps: Mapping[int, float]) -> float:
    """All EVSEs together: their watts, or the amperes of the most loaded phase of the installation."""
    if unit == "W":
        return _tenths(sum(amps[t.id] * t.watts_per_amp for t in takers))
    return _tenths(max(sum(amps[t.id] for t in takers if phase in t.phases) for phase in range(3)))


def _tenths(limit: float) -> float:
    """Rounded down to the one decimal that a limit may have."""
    return math.floor(limit * 10 + 1e-6) / 10


def _add(slices: list[Slice], moment: Moment, start_ms: int) -> None:
    """Join what is alike; of two limits within a second the lower one is told."""
    start_s = (moment.at_ms - start_ms // 1000 * 1000) // 1000 if slices else 0
    new = Slice(start_s, moment.limit, moment.phases)
    if slices and slices[-1].start_s == start_s:
        new = min(slices.pop(), new, key=lambda s: s.limit)
    if not slices or slices[-1][1:] != new[1:]:
        slices.append(new)
