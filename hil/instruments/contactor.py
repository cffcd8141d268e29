"""Contactors with mirror contacts in the three wirings of one-phase and three-phase chargers, and how they fail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Poles = tuple[bool, bool, bool, bool]
"""L1, L2, L3, N."""
OPEN: Poles = (False, False, False, False)
Wiring = Literal["simultaneous", "serial", "mutual"]
"""How the two contactors are wired (chargebyte, hardware notes 2.1).

simultaneous: the first switches N and L1, the second L2 and L3, both together. serial: the first switches all four
poles, the second is in series with it for L2 and L3; it closes before the first and opens after it. mutual: one of two
poles for one phase and one of four for three, in parallel; never both.
"""
WIRINGS: tuple[Wiring, ...] = get_args(Wiring)


@dataclass
class Contactor:
    """The poles follow the coil after `travel_s`; the mirror contacts show the poles, never the coil."""

    travel_s: float = 0.02
    coil: bool = False
    phases: int = 3
    """Lines that the coil connects: 1 or 3, and neutral."""
    wiring: Wiring = "simultaneous"
    poles: Poles = OPEN
    """What the mirror contacts show: a pole is set when any contact of it is closed."""
    welded: bool = False
    """A pole that is or gets closed does not open any more."""
    stuck: bool = False
    """The poles do not close, or fall open although the coil pulls."""
    second_welded: bool = False
    """Only the second contactor does not open any more."""
    second_stuck: bool = False
    """Only the second contactor does not close."""
    closings: int = 0
    first: bool = False
    second: bool = False
    """The contacts of each."""
    _since: float | None = None

    @property
    def closed(self) -> bool:
        """Any line pole is closed."""
        return any(self.poles[:3])

    @property
    def live(self) -> tuple[bool, bool, bool]:
        """The lines that are connected."""
        both = self.first and self.second
        return {
            "simultaneous": (self.first, self.second, self.second),
            "serial": (self.first, both, both),
            "mutual": (self.first or self.second, self.second, self.second),
        }[self.wiring]

    def _wanted(self) -> tuple[bool, bool]:
        """Where the two contactors go, whatever the way."""
        pulls = self.coil and not self.stuck
        three = self.phases == 3
        first = pulls and not (self.wiring == "mutual" and three)
        second = pulls and three and not self.second_stuck
        return (
            first or (self.first and self.welded),
            second or (self.second and (self.welded or self.second_welded)),
        )

    def _next(self) -> tuple[bool, bool]:
        """The next step on that way: in series the second moves without load."""
        first, second = self._wanted()
        if self.wiring == "serial" and (first, second) != (self.first, self.second):
            if second and not self.second:
                first = self.first
            elif self.first and not first:
                second = self.second
        return first, second

    def step(self, now: float) -> None:
        """Let the poles travel."""
        target = self._next()
        if target == (self.first, self.second):
            self._since = None
            return
        self._since = now if self._since is None else self._since
        if now - self._since >= self.travel_s:
            self._go(*target)
            self._since = None

    def _go(self, first: bool, second: bool) -> None:
        before = any(self.live)
        self.first, self.second = first, second
        main = first or (second and self.wiring == "mutual")
        self.poles = (main, second, second, main)
        self.closings += any(self.live) and not before

    def drop(self) -> None:
        """The coil has lost its supply."""
        self.coil, self._since = False, None
        self._go(*self._wanted())
