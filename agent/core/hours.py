"""Default charging hours and the random delay of starts by schedule (UK SI 2021/1467, regulations 10 and 11)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache

from agent.core.context import Context
from agent.core.delays import Delays
from agent.core.electrics import watts_per_amp
from agent.core.evse import Evse
from agent.core.limits import Claim
from agent.core.schedules import Schedules, wake
from config_keys import limits, site

DAY_MIN = 1_440
MINUTE_MS = 60_000


class Hours:
    """Both are off by default; neither ever raises a limit or holds back a decrease."""

    def __init__(self, schedules: Schedules, delays: Delays) -> None:
        self._schedules = schedules
        self._delays = delays

    def claims(self, cx: Context, evse: Evse) -> Iterable[Claim]:
        """A pause outside the default hours, and during the delay after a schedule's pause; nothing is drawn here."""
        if cx.keys[limits.DEFAULT_HOURS] and not self._told(cx, evse) and self._outside(cx):
            yield Claim("default hours", 0.0, why="ScheduleCtrlr.DefaultHours; no profile says anything")
        if self.delay_ms(cx, evse):
            yield Claim("random delay", 0.0, why="ScheduleCtrlr.RandomDelay")

    def delay_ms(self, cx: Context, evse: Evse) -> int:
        """How long a delay that runs at an EVSE still lasts; 0 when none does."""
        return self._delays.left_ms(cx, _name(evse))

    def follow(self, cx: Context, evses: Iterable[Evse]) -> None:
        """Once before the arbiter, with the phases that are: delays begin where a pause is over, and end."""
        span = cx.keys[limits.RANDOM_DELAY]
        for evse in evses if span or self._delays.any_known else ():
            name = _name(evse)
            if self._pauses(cx, evse):
                self._delays.hold(cx, name, span)
            elif evse.authorization is not None or not evse.is_busy:
                self._delays.release(cx, name, span if evse.authorization is not None else 0)
            self._delays.runs(cx, name)

    def _told(self, cx: Context, evse: Evse) -> list[Claim]:
        return list(self._schedules.claims(cx, evse))

    def _pauses(self, cx: Context, evse: Evse) -> bool:
        """Whether no car may charge there, by any profile, that of the station too, or by the default hours."""
        told = self._told(cx, evse)
        if not told and self._outside(cx):
            return True
        per_amp = {"A": 1.0, "W": watts_per_amp(cx, evse)}
        amps = [*(c.amps for c in told), *(b.limit / per_amp[b.unit] for b in self._schedules.shared(cx))]
        return min(amps, default=math.inf) < float(cx.keys[site.EV_MINIMUM])

    def _outside(self, cx: Context) -> bool:
        """Whether the clock is in none of the hours; without a clock nothing is known, and nothing held back."""
        text, utc = cx.keys[limits.DEFAULT_HOURS], cx.utc()
        if not text or utc is None:
            return False
        inside, change_ms = within(text, utc)
        wake(cx, cx.ms + change_ms)
        return not inside


def within(text: str, utc_ms: int) -> tuple[bool, int]:
    """Whether that moment is in one of the hours (`22:00-08:00,11:00-16:00`), and ms until one begins or ends."""
    now = utc_ms // MINUTE_MS % DAY_MIN
    spans = _spans(text)
    change = min((mark - now - 1) % DAY_MIN + 1 for span in spans for mark in span)
    inside = any((now - begin) % DAY_MIN < (end - begin) % DAY_MIN for begin, end in spans)
    return inside, change * MINUTE_MS - utc_ms % MINUTE_MS


def _name(evse: Evse) -> str:
    return f"schedule {evse.id}"


@lru_cache(maxsize=4)
def _spans(text: str) -> tuple[tuple[int, int], ...]:
    ends = (hours.split("-") for hours in text.split(","))
    return tuple((_minute(begin), _minute(end)) for begin, end in ends)


def _minute(text: str) -> int:
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)
