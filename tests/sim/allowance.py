"""When the CSMS's profiles are looked at: what the station may hold for the time, and when a Relative one began."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.sim.clock import Clock
from tests.sim.profile_judge import Moment, ProfileJudge, Rates, Span, allows, shown

SLACK_MS = 10_000
"""The station's time may be off by this: a CSMS tells whole seconds, and over a slow link."""
LEAP_MS = 1_000
"""Clocks that differ by less are one."""


@dataclass(slots=True)
class Session:
    """Since when somebody is at an EVSE, and when power was permitted first (true ms; None: unknown)."""

    since_ms: int | None = None
    powered_ms: int | None = None
    shaky: bool = False
    """The station was started anew in it, and its clock was set in this world: it may count from any moment."""


NOBODY = Session()


class Allowance:
    """What the CSMS allows now, of all that the station may rightly believe."""

    def __init__(self, now_ms: Callable[[], int], clock: Clock, evses: list[int], over: Callable[[str], bool]) -> None:
        self.now_ms, self.clock = now_ms, clock
        self.profiles = ProfileJudge(over)
        self.sessions = {evse: Session() for evse in evses}
        self.lost = False
        """Profiles were lost with the store, or another CSMS was called: older ones may be back."""
        self._clock_changed = False
        self._stepped: tuple[int, bool] = (0, True)
        """When the last step was, and whether the board knew the time."""
        self._before: dict[int, Rates] = {}
        """What held at each EVSE, and (0) for all, when the station's process ended, as long as that matters."""

    # -------------------------------------------------- what happens

    def booted(self) -> None:
        """A new process: no answer comes any more; without a clock it must not allow more than before (invariant 5)."""
        at_ms, knew = self._stepped
        self.profiles.unheard()
        if knew:
            self._before = {evse: self._timed(evse, at_ms) for evse in (0, *self.sessions)}
        for evse, session in self.sessions.items():
            session.powered_ms, session.shaky = None, session.shaky or self._clock_changed
            self.profiles.interrupted(evse)

    def clock_changed(self) -> None:
        """The board's UTC is not the true one from now on."""
        self._clock_changed = True

    def stepped(self) -> None:
        """The station has seen what time it is."""
        self._stepped = (self.now_ms(), self.clock.synchronised)

    def plugged(self, evse: int) -> None:
        """A car is there: a Relative schedule begins not before it, or before its driver is."""
        session = self.sessions[evse]
        session.since_ms = self.now_ms() if session.since_ms is None else session.since_ms

    def comes(self, evse: int) -> None:
        """A card: somebody begins or ends."""
        self.plugged(evse)
        self.may_end(evse)

    def goes(self, evse: int) -> None:
        """The car has left."""
        self.sessions[evse] = Session()
        self.may_end(evse)

    def may_end(self, evse: int) -> None:
        """A transaction may end here, and another begin."""
        self.sessions[evse].powered_ms = None
        self.profiles.interrupted(evse)
        self._before.pop(evse, None)

    def powered(self, evse: int) -> None:
        """Power is permitted: what is Relative has begun."""
        session = self.sessions[evse]
        if session.powered_ms is None:
            session.powered_ms = self.now_ms()

    def asked(self, action: str, request: object) -> None:
        """A CALL of the CSMS."""
        if action in ("RequestStartTransaction", "RequestStopTransaction"):
            for evse in self.sessions:
                self.comes(evse)
        elif "ChargingProfile" in action:
            self._before.clear()
        self.profiles.asked(action, request)

    # -------------------------------------------------- what is allowed

    def refuses(self, evse: int, amps: float, watts: float) -> str:
        """What is allowed at an EVSE, or (0) in total, when so much is not; empty when it is."""
        if self.lost or not self.profiles.slips:
            return ""
        timed = self._timed(evse, self.now_ms())
        if allows(timed, amps, watts):
            return ""
        if not self.clock.synchronised:
            timeless = self.profiles.timeless(evse, Moment(None, self._elapsed(evse, self.now_ms())))
            if allows(timeless, amps, watts) and allows(self._before.get(evse), amps, watts):
                return ""
        return shown(timed or ())

    def may_speak(self, evse: int) -> bool:
        """Whether any profile may say something for the transaction at an EVSE, or for all of them."""
        if self.lost or not self.clock.synchronised:
            return bool(self.lost or self.profiles.slips)
        return any(self.profiles.may_speak(at, m) for at in (0, evse) for m in self._moments(at, self.now_ms()))

    def _timed(self, evse: int, at_ms: int) -> Rates:
        found = [self.profiles.at(evse, moment) for moment in self._moments(evse, at_ms)]
        return None if None in found else tuple(rate for rates in found for rate in rates or ())

    def _moments(self, evse: int, at_ms: int) -> Iterator[Moment]:
        """By the true time, which the CSMS tells, and by the board's own."""
        elapsed, true_ms = self._elapsed(evse, at_ms), self.clock.utc_ms - self.now_ms() + at_ms
        yield Moment(Span(true_ms - SLACK_MS, true_ms + SLACK_MS), elapsed)
        board_ms = self.clock.instant_at(at_ms - self.clock.booted_ms).utc_ms
        if board_ms is not None and abs(board_ms - true_ms) > LEAP_MS:
            yield Moment(Span(board_ms - SLACK_MS, board_ms + SLACK_MS), elapsed)

    def _elapsed(self, evse: int, at_ms: int) -> Span:
        session = self.sessions.get(evse, NOBODY)
        if session.shaky:
            return Span(0, at_ms)
        first = 0 if session.powered_ms is None else max(0, at_ms - session.powered_ms - SLACK_MS)
        return Span(first, at_ms - (session.since_ms or 0) + SLACK_MS)
