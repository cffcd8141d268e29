"""UTC at the edge: what time it is, when that is known, and never 1970 (bugs 14 and 15 of real chargers)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agent.core.instant import Instant

BUILD_MS = 1_767_225_600_000
"""No moment before 2026-01-01 is believed."""
LATEST_MS = 4_102_444_800_000
"""Nor one from 2100 on."""
LEAP_MS = 1_000
"""A CSMS answers in whole seconds; smaller differences are not corrections."""


def credible(utc_ms: int) -> bool:
    """Whether a moment can be now: clocks that were never set, and jokers, show others."""
    return BUILD_MS <= utc_ms < LATEST_MS


class Clock:
    """Offset of UTC to the monotonic clock: learned from the CSMS (B01.FR.06, G02.FR.06), else the system's."""

    def __init__(self) -> None:
        self._offset_ms: int | None = None
        self.source = "none"
        self.floor_ms = BUILD_MS
        """The last time that was known before this start."""
        self._board = ("", 0)

    def utc(self, now: Instant) -> int | None:
        """UTC ms of `now`, or None while unknown."""
        return self.utc_of(now, now.mono_ms)

    def utc_of(self, now: Instant, mono_ms: int) -> int | None:
        """UTC ms of another monotonic moment of this boot."""
        if self._offset_ms is not None:
            return mono_ms + self._offset_ms
        if now.utc_ms is not None and credible(now.utc_ms):
            return now.utc_ms - now.mono_ms + mono_ms
        return None

    def prefers_system(self, now: Instant, sources: Sequence[str]) -> bool:
        """Whether the board's own clock is good and goes before the CSMS (ClockCtrlr.TimeSource)."""
        return sources[0] == "RealTimeClock" and now.utc_ms is not None and credible(now.utc_ms)

    def forget(self) -> None:
        """From now on the system's clock counts."""
        self._offset_ms, self.source = None, "none"

    def runs_on(self, kernel_boot: str, up_ms: int) -> None:
        """The board's monotonic clock showed `up_ms` at 0 of this process's, since that boot of the kernel."""
        self._board = (kernel_boot, up_ms)

    def kept(self) -> dict[str, Any] | None:
        """What holds for as long as the board has power, whatever becomes of the process: UTC ms at its boot."""
        boot, up_ms = self._board
        return {"boot": boot, "utc_ms": self._offset_ms - up_ms} if boot and self._offset_ms is not None else None

    def takes_up(self, kept: Mapping[str, Any] | None) -> None:
        """A process of before has heard the time from the CSMS; it counts when the board has had power ever since."""
        boot, up_ms = self._board
        if kept and boot and kept["boot"] == boot:
            self._offset_ms, self.source = int(kept["utc_ms"]) + up_ms, "csms"

    def learn(self, now: Instant, utc_ms: int, round_trip_ms: int = 0) -> int:
        """The CSMS says it is `utc_ms`, in an answer that took `round_trip_ms`: it may be older by so much.

        Returns the correction in ms (0 when it was no news or not credible).
        """
        if not credible(utc_ms):
            return 0
        before = self.utc(now)
        if before is not None and -LEAP_MS <= before - utc_ms <= LEAP_MS + round_trip_ms:
            return 0
        likely = utc_ms + round_trip_ms // 2
        self._offset_ms, self.source = likely - now.mono_ms, "csms"
        return likely - before if before is not None else 0
