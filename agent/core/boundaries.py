"""Moments of the clock on the wall, as many seconds apart as a key says, counted from midnight UTC (J01.FR.14)."""

from __future__ import annotations

from agent.core.context import Context
from config_keys import aligned
from config_keys.key import Key

DAY_MS = 86_400_000
EARLY_MS = 1_000
LATE_MS = 5_000
"""What is told so much before or after a boundary may stand for it; further away it belongs to none."""


class Boundaries:
    """The next boundary of one interval of aligned data, and the last that was told: that one is never told again."""

    def __init__(self, timer: str, interval: Key[int]) -> None:
        self._timer = timer
        self._interval = interval
        self._due: int | None = None
        self._told: int | None = None
        self._offset: int | None = None
        """Of UTC to the monotonic clock, when the deadline was set."""

    def arm(self, cx: Context) -> None:
        """Set the deadline at the next boundary; none without a clock."""
        interval_ms = cx.keys[self._interval] * 1000 if cx.keys[aligned.ENABLED] else 0
        utc, self._offset = cx.utc(), _offset(cx)
        self._due = None
        cx.forget(self._timer)
        if interval_ms and utc is not None:
            self._due = self._untold(utc, interval_ms)
            cx.timers.set(self._timer, cx.ms + self._due - utc)

    def _untold(self, utc: int, interval_ms: int) -> int:
        due = next_boundary(utc, interval_ms)
        return next_boundary(due, interval_ms) if due == self._told and due - utc < LATE_MS else due

    def follow(self, cx: Context) -> None:
        """The clock on the wall was set, or drifts: the deadline goes with it. What was stepped over strikes now."""
        if _offset(cx) == self._offset:
            return
        utc, due = cx.utc(), self._due
        if utc is not None and due is not None and due <= utc:
            self._offset = _offset(cx)
            cx.timers.set(self._timer, cx.ms)
        else:
            self.arm(cx)

    def struck(self, cx: Context) -> int | None:
        """The deadline has passed, and the next is set: the boundary (UTC ms) that it is time for, if it is."""
        utc, due = cx.utc(), self._due
        if utc is None or due is None or not -EARLY_MS <= utc - due < LATE_MS:
            due = None
        self._told = self._told if due is None else due
        self.arm(cx)
        return due


def next_boundary(utc_ms: int, interval_ms: int) -> int:
    """The next multiple of the interval since midnight UTC; midnight itself always is one."""
    midnight = utc_ms // DAY_MS * DAY_MS
    passed = (utc_ms - midnight) // interval_ms * interval_ms
    return midnight + min(DAY_MS, passed + interval_ms)


def _offset(cx: Context) -> int | None:
    return cx.clock.utc_of(cx.now, 0)
