"""Time in the simulated world: what truly passes, and the two clocks that the board shows."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from agent.core.instant import Instant

EPOCH_MS = round(datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp() * 1000)
"""UTC at the world's beginning."""

Happening = Callable[[], None]


class Life:
    """A process or a device: what it has scheduled happens only while it lives."""

    __slots__ = ("alive",)

    def __init__(self) -> None:
        self.alive = True


@dataclass(slots=True)
class Clock:
    """True milliseconds since the world began, and the board's monotonic clock and UTC made from them."""

    true_ms: int = 0
    booted_ms: int = 0
    """True time at which the board last got power: its monotonic clock counts from here."""
    synchronised: bool = True
    """False: the board does not know UTC (no battery, no NTP yet)."""
    battery: bool = True
    """False: after the next power-up the board does not know UTC."""
    drift_ppm: float = 0.0
    offset_ms: int = 0
    """How far the board's UTC is off; `steps_by` adds to it."""
    _drifts_from_ms: int = 0

    @property
    def mono_ms(self) -> int:
        """The board's monotonic clock (ms since power-up)."""
        return self.true_ms - self.booted_ms

    @property
    def utc_ms(self) -> int:
        """True UTC (ms since 1970): the clock on the CSMS's wall."""
        return EPOCH_MS + self.true_ms

    def instant(self) -> Instant:
        """The moment as the board sees it."""
        return self.instant_at(self.mono_ms)

    def instant_at(self, mono_ms: int) -> Instant:
        """The moment at which the board's monotonic clock showed `mono_ms`."""
        if not self.synchronised:
            return Instant(mono_ms)
        true_ms = self.booted_ms + mono_ms
        drifted = round((true_ms - self._drifts_from_ms) * self.drift_ppm / 1e6)
        return Instant(mono_ms, EPOCH_MS + true_ms + drifted + self.offset_ms)

    def drifts(self, ppm: float) -> None:
        """The board's UTC runs fast by `ppm` from now on."""
        self.offset_ms += round((self.true_ms - self._drifts_from_ms) * self.drift_ppm / 1e6)
        self.drift_ppm, self._drifts_from_ms = ppm, self.true_ms

    def steps_by(self, seconds: float) -> None:
        """The board's UTC jumps (NTP, a person); the monotonic clock does not."""
        self.offset_ms += round(seconds * 1000)


@dataclass(slots=True)
class Timeline:
    """What is going to happen, in the order of true time; what falls on the same moment keeps its order."""

    clock: Clock
    _heap: list[tuple[int, int, Life | None, Happening]] = field(default_factory=list)
    _count: int = 0

    def at(self, true_ms: int, happening: Happening, life: Life | None = None) -> None:
        """Let `happening` run at `true_ms` (never earlier than now), unless `life` has ended by then."""
        self._count += 1
        heapq.heappush(self._heap, (max(true_ms, self.clock.true_ms), self._count, life, happening))

    def after(self, ms: float, happening: Happening, life: Life | None = None) -> None:
        """Let `happening` run `ms` from now."""
        self.at(self.clock.true_ms + round(ms), happening, life)

    def next_due(self) -> int | None:
        """True time of the earliest happening, or None."""
        while self._heap and (life := self._heap[0][2]) is not None and not life.alive:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def run_next(self) -> None:
        """Run the earliest happening."""
        heapq.heappop(self._heap)[3]()
