"""Default charging hours and the random delay of starts by schedule (UK SI 2021/1467, regulations 10 and 11)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from agent.core.context import Context
from agent.core.evse import Evse
from agent.core.limits import Claim
from agent.core.schedules import wake
from config_keys import limits, site

DAY_MIN = 1_440
MINUTE_MS = 60_000


class Hours:
    """Both are off by default; neither ever raises a limit or holds back a decrease."""

    def __init__(self, profiles: Callable[[Context, Evse], Iterable[Claim]]) -> None:
        """`profiles` are the claims of charging profiles for an EVSE."""
        self._profiles = profiles
        self._paused: set[int] = set()
        """EVSEs that a schedule keeps from charging."""
        self._until: dict[int, int] = {}
        """Until when (monotonic ms) an EVSE waits: drawn once for each start."""

    def claims(self, cx: Context, evse: Evse) -> Iterable[Claim]:
        """A pause outside the default hours, and during the delay after a schedule's pause."""
        if not (cx.keys[limits.DEFAULT_HOURS] or cx.keys[limits.RANDOM_DELAY] or self._until):
            self._paused.clear()
            return
        told = list(self._profiles(cx, evse))
        outside = not told and self._outside(cx)
        if outside:
            yield Claim("default hours", 0.0, why="ScheduleCtrlr.DefaultHours; no profile says anything")
        self._draw(cx, evse, outside or any(claim.amps < float(cx.keys[site.EV_MINIMUM]) for claim in told))
        until = self._until.get(evse.id, 0)
        if cx.ms < until:
            wake(cx, until)
            yield Claim("random delay", 0.0, why="ScheduleCtrlr.RandomDelay")

    def _draw(self, cx: Context, evse: Evse, pause: bool) -> None:
        span = cx.keys[limits.RANDOM_DELAY]
        if pause:
            self._paused.add(evse.id)
            self._until.pop(evse.id, None)
        elif evse.id in self._paused:
            self._paused.discard(evse.id)
            if span and evse.authorization is not None:
                self._until[evse.id] = cx.ms + round(cx.rng.uniform(0, span) * 1000)

    def _outside(self, cx: Context) -> bool:
        """Whether the clock is in none of the hours; without a clock nothing is known, and nothing held back."""
        text, utc = cx.keys[limits.DEFAULT_HOURS], cx.utc()
        if not text or utc is None:
            return False
        now = utc // MINUTE_MS % DAY_MIN
        spans = [tuple(_minute(end) for end in hours.split("-")) for hours in text.split(",")]
        change = min((mark - now - 1) % DAY_MIN + 1 for span in spans for mark in span)
        wake(cx, cx.ms + change * MINUTE_MS - utc % MINUTE_MS)
        return not any((now - begin) % DAY_MIN < (end - begin) % DAY_MIN for begin, end in spans)


def _minute(text: str) -> int:
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)
