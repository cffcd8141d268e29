"""Default charging hours and the random delay of starts by schedule (UK SI 2021/1467, regulations 10 and 11)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from agent.core.context import Context
from agent.core.delays import Delays
from agent.core.evse import Evse
from agent.core.limits import Claim
from agent.core.schedules import wake
from config_keys import limits, site

DAY_MIN = 1_440
MINUTE_MS = 60_000


class Hours:
    """Both are off by default; neither ever raises a limit or holds back a decrease."""

    def __init__(self, profiles: Callable[[Context, Evse], Iterable[Claim]], delays: Delays) -> None:
        """`profiles` are the claims of charging profiles for an EVSE."""
        self._profiles = profiles
        self._delays = delays

    def claims(self, cx: Context, evse: Evse) -> Iterable[Claim]:
        """A pause outside the default hours, and during the delay after a schedule's pause."""
        told = list(self._profiles(cx, evse))
        outside = not told and self._outside(cx)
        if outside:
            yield Claim("default hours", 0.0, why="ScheduleCtrlr.DefaultHours; no profile says anything")
        name = f"schedule {evse.id}"
        self._draw(cx, evse, name, outside or any(claim.amps < float(cx.keys[site.EV_MINIMUM]) for claim in told))
        if self._delays.runs(cx, name):
            yield Claim("random delay", 0.0, why="ScheduleCtrlr.RandomDelay")

    def _draw(self, cx: Context, evse: Evse, name: str, pause: bool) -> None:
        span = cx.keys[limits.RANDOM_DELAY]
        if pause:
            self._delays.hold(cx, name, span)
        elif evse.authorization is not None or not evse.is_busy:
            self._delays.release(cx, name, span if evse.authorization is not None else 0)

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
    spans = [tuple(_minute(end) for end in hours.split("-")) for hours in text.split(",")]
    change = min((mark - now - 1) % DAY_MIN + 1 for span in spans for mark in span)
    inside = any((now - begin) % DAY_MIN < (end - begin) % DAY_MIN for begin, end in spans)
    return inside, change * MINUTE_MS - utc_ms % MINUTE_MS


def _minute(text: str) -> int:
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)
