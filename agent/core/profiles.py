"""A charging profile: which limit it gives at which moment (block K). The core's own type; times are UTC ms."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

RECURRENCE_MS = {"Daily": 86_400_000, "Weekly": 604_800_000}
"""K01.FR.13: a recurrence is counted in seconds of UTC, so that the local hour moves with daylight saving."""
MAX = "ChargingStationMaxProfile"
DEFAULT = "TxDefaultProfile"
TX = "TxProfile"
EXTERNAL = "ChargingStationExternalConstraints"
OPERATOR = "CSO"
"""chargingLimitSource of what the CSMS installs."""
EVER = 1 << 62


class Period(NamedTuple):
    """From `start_s` on: `limit` in the schedule's unit, on `phases` phases (None: three)."""

    start_s: int
    limit: float
    phases: int | None = None
    phase_to_use: int | None = None


@dataclass(frozen=True, slots=True)
class Schedule:
    """One chargingSchedule: limits in A per phase or in W, from `start_ms` (UTC) or, None, from a relative start."""

    unit: str
    periods: tuple[Period, ...]
    start_ms: int | None = None
    duration_s: int | None = None
    min_rate: float | None = None
    """minChargingRate in `unit`: charging with less is inefficient."""
    id: int = 1

    def at(self, elapsed_ms: int) -> tuple[Period | None, int]:
        """The period in force so long after the start, and when that ends, counted from the start too."""
        end = EVER if self.duration_s is None else self.duration_s * 1000
        if elapsed_ms >= end:
            return None, EVER
        following = bisect_right(self.periods, elapsed_ms // 1000, key=_start)
        if following < len(self.periods):
            end = min(end, self.periods[following].start_s * 1000)
        return self.periods[following - 1], end

    @property
    def lowest(self) -> Period:
        """Its most cautious period."""
        return min(self.periods, key=_limit)

    def data(self) -> list[Any]:
        """What is kept of it."""
        rows = [list(period) for period in self.periods]
        return [self.unit, rows, self.start_ms, self.duration_s, self.min_rate, self.id]

    @classmethod
    def of(cls, data: list[Any]) -> Schedule:
        """From what was kept; raises TypeError or ValueError when it is none."""
        unit, rows, *rest = data
        return cls(unit, tuple(Period(*row) for row in rows), *rest)


def _start(period: Period) -> int:
    return period.start_s


def _limit(period: Period) -> float:
    return period.limit


@dataclass(frozen=True, slots=True)
class Profile:
    """One installed charging profile. Several schedules are alternatives for an ISO 15118 EV (K15.FR.07)."""

    id: int
    evse: int
    purpose: str
    stack_level: int
    kind: str
    schedules: tuple[Schedule, ...]
    recurrency: str | None = None
    valid_from_ms: int | None = None
    valid_to_ms: int | None = None
    tx_id: str | None = None
    source: str = OPERATOR
    """chargingLimitSource: who set it."""
    chosen: int = 0
    """Which of its schedules the EV has chosen."""
    raw: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """The profile as it came, for reports."""

    def data(self) -> dict[str, Any]:
        """What is kept of it."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        return {**plain, "schedules": [schedule.data() for schedule in self.schedules]}

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Profile:
        """From what was kept; raises TypeError, ValueError or KeyError when it is not one."""
        return cls(**{**data, "schedules": tuple(Schedule.of(schedule) for schedule in data["schedules"])})

    @property
    def schedule(self) -> Schedule:
        """The schedule that holds."""
        return self.schedules[self.chosen]

    @property
    def validity(self) -> tuple[int, int]:
        """From and to (UTC ms), open ends made finite."""
        start, end = self.valid_from_ms, self.valid_to_ms
        return (0 if start is None else start, EVER if end is None else end)

    def at(self, utc_ms: int, relative_ms: int, which: int | None = None) -> tuple[Period | None, int]:
        """The period in force at `utc_ms` and the next moment at which anything about it may change.

        K01.FR.10, FR.36, FR.37: validFrom <= now < validTo. `relative_ms` is when a Relative schedule began; `which`
        asks for another of its schedules than the chosen one, the last for numbers beyond.
        """
        start, end = self.validity
        if not start <= utc_ms < end:
            return None, start if utc_ms < start else EVER
        schedule = self.schedule if which is None else self.schedules[min(which, len(self.schedules) - 1)]
        period, change = self._scheduled(schedule, utc_ms, relative_ms)
        return period, min(end, change)

    def is_over(self, utc_ms: int, relative_ms: int) -> bool:
        """Whether its time is over for good (K01.FR.37, the duration of its schedule)."""
        schedule, end = self.schedule, self.validity[1]
        if self.recurrency is None and schedule.duration_s is not None:
            start = relative_ms if schedule.start_ms is None else schedule.start_ms
            end = min(end, start + schedule.duration_s * 1000)
        return utc_ms >= end

    def is_endless(self, since_ms: int) -> bool:
        """Whether it is in force at every moment from `since_ms` (UTC) on; a Relative one once somebody charges."""
        schedule, (start, end) = self.schedule, self.validity
        begun = max(start, schedule.start_ms or 0) <= since_ms
        return begun and end == EVER and schedule.duration_s is None

    def _scheduled(self, schedule: Schedule, utc_ms: int, relative_ms: int) -> tuple[Period | None, int]:
        start = relative_ms if schedule.start_ms is None else schedule.start_ms
        if utc_ms < start:
            return None, start
        turn = RECURRENCE_MS[self.recurrency] if self.recurrency is not None else EVER
        start += (utc_ms - start) // turn * turn
        period, end = schedule.at(utc_ms - start)
        return period, min(EVER, start + min(end, turn))
