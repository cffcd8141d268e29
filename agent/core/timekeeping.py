"""The last known time, kept through power cuts: a clock that shows an earlier one was lost (bug 15).

And what time it is, kept through restarts of the process: a board that has had power ever since can tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.core.clock import BUILD_MS
from agent.core.context import Context

TABLE = "clock"
FLOOR, KEPT = "floor", "kept"
TIMER = "clock.floor"
FIRST_S, THEN_S = 300, 6 * 3600
"""When the time is written down: soon after a start, then four times a day, to spare the flash."""


class Floor:
    """It is never earlier than this; a clock that was wrong for hours is forgotten with its next good hours."""

    def __init__(self, stored: Mapping[str, Any]) -> None:
        self._ms = max(BUILD_MS, int(stored.get(FLOOR, 0)))
        self._kept = stored.get(KEPT)

    def start(self, cx: Context) -> None:
        cx.clock.floor_ms = self._ms
        cx.clock.takes_up(self._kept)
        cx.after(TIMER, FIRST_S)

    def struck(self, cx: Context) -> None:
        """Time to write down what time it is, when that is known."""
        utc_ms = cx.utc()
        if utc_ms is not None:
            cx.clock.floor_ms = utc_ms
            cx.put(TABLE, FLOOR, utc_ms, lazy=True)
        cx.after(TIMER, THEN_S)


def keep(cx: Context, before: Mapping[str, Any] | None) -> None:
    """Write down what the CSMS has taught, for the next process, when that is something else than `before`."""
    kept = cx.clock.kept()
    if kept != before:
        cx.put(TABLE, KEPT, kept)
