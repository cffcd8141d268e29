"""Random delays that are running, by name: drawn once, and not ended by a restart (UK SI 2021/1467, regulation 11)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.core.context import Context

TABLE = "delays"


class Delays:
    """Each is kept with its end in UTC; without a clock at the start it runs anew in its whole length."""

    def __init__(self, stored: Mapping[str, Any]) -> None:
        self._stored = stored
        self._until: dict[str, int] = {}
        """When each is over (monotonic ms)."""
        self._held: set[str] = set()
        """Those that begin when a pause is over."""

    def start(self, cx: Context) -> None:
        """Those of before the restart go on."""
        utc = cx.utc()
        for name, kept in self._stored.items():
            if "held" in kept:
                self._held.add(name)
                continue
            left_ms, end = int(kept["left_ms"]), kept["utc"]
            if utc is not None and end is not None:
                left_ms = min(left_ms, max(0, end - utc))
            self._until[name] = cx.ms + left_ms

    @property
    def any_known(self) -> bool:
        """Whether one runs, or waits for the end of a pause."""
        return bool(self._until or self._held)

    def hold(self, cx: Context, name: str, span_s: int) -> None:
        """There is a pause, after which one of up to `span_s` is to begin; one that runs is over."""
        if name in self._held:
            return
        ran = self._until.pop(name, None) is not None
        self._held.add(name)
        if span_s or ran:
            cx.put(TABLE, name, {"held": True} if span_s else None)

    def release(self, cx: Context, name: str, span_s: int) -> None:
        """There is no pause any more; nothing happens when there was none."""
        if name not in self._held:
            return
        self._held.discard(name)
        if span_s:
            self.draw(cx, name, span_s)
        else:
            cx.put(TABLE, name, None, lazy=True)

    def draw(self, cx: Context, name: str, span_s: int) -> None:
        """Begin one of up to `span_s`."""
        left_ms, utc = round(cx.rng.uniform(0, span_s) * 1000), cx.utc()
        self._until[name] = cx.ms + left_ms
        cx.put(TABLE, name, {"left_ms": left_ms, "utc": None if utc is None else utc + left_ms})

    def left_ms(self, cx: Context, name: str) -> int:
        """How long it still runs; 0 when it does not."""
        return max(0, self._until.get(name, cx.ms) - cx.ms)

    def runs(self, cx: Context, name: str) -> bool:
        """Whether it still runs; the step in which it is over is woken."""
        until = self._until.get(name)
        if until is None:
            return False
        if cx.ms >= until:
            self.drop(cx, name)
            return False
        cx.timers.set(f"delay.{name}", until)
        return True

    def drop(self, cx: Context, name: str) -> None:
        """It is over, or no longer wanted."""
        if self._until.pop(name, None) is not None:
            cx.put(TABLE, name, None, lazy=True)
