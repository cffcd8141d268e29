"""A car at the end of the cable: IEC 61851-1 as cars do it, and as bad cars do it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from tests.sim.clock import Life, Timeline

MIN_AMPS = 6.0
Misbehaviour = str
"""keeps_s2 (never opens S2 by itself), ignores_limit (draws its maximum whatever is offered), overdraws (a fifth more
than it is offered)."""
OVERDRAWS = 1.2


@dataclass(slots=True)
class Car:
    """`wants` energy, can take `amps` per phase on `phases`; `room_wh` is what still fits (None: endless)."""

    phases: int = 3
    amps: float = 32.0
    wants: bool = True
    room_wh: float | None = None
    bad: frozenset[Misbehaviour] = frozenset()
    s2: bool = False
    drawn: float = 0.0
    """Current per phase that flows now (A)."""


class Behaviour:
    """Moves a car: S2 after the pilot's offer, current after mains and offer (IEC 61851-1, annex A).

    The owner calls `look` after each change of `offered` or `mains`; `changed` is called after each change of
    the car. A car takes at most 5 s to follow a new offer and at most 3 s to open S2 after the offer is gone.
    """

    def __init__(self, timeline: Timeline, rng: Random, car: Car, changed: Callable[[], None]) -> None:
        self.timeline = timeline
        self.rng = rng
        self.car = car
        self.changed = changed
        self.life = Life()
        self.offered = 0.0
        self.mains = False
        self._s2_wish = False
        self._aim = 0.0
        self._turn = 0

    def leaves(self) -> None:
        """The plug is pulled: nothing of this car happens any more."""
        self.life.alive = False
        self.car.s2, self.car.drawn = False, 0.0

    def look(self, offered: float, mains: bool) -> None:
        """The pilot offers `offered` A per phase (0: no PWM), and mains is there or not."""
        self.offered, self.mains = offered, mains
        if not mains:
            self.car.drawn = 0.0
        self._consider_s2()
        self._consider_current()

    def _consider_s2(self) -> None:
        car = self.car
        wish = car.wants and self.offered >= MIN_AMPS
        if not wish and "keeps_s2" in car.bad:
            return
        if wish != self._s2_wish:
            self._s2_wish = wish
            delay = self.rng.randint(300, 3000) if wish else self.rng.randint(200, 2500)
            self.timeline.after(delay, self._move_s2, self.life)

    def _move_s2(self) -> None:
        if self.car.s2 != self._s2_wish:
            self.car.s2 = self._s2_wish
            self.car.drawn = self.car.drawn if self.car.s2 else 0.0
            self.changed()

    def _consider_current(self) -> None:
        car = self.car
        most = self.offered * (OVERDRAWS if "overdraws" in car.bad else 1.0)
        limit = car.amps if "ignores_limit" in car.bad else min(most, car.amps)
        aim = limit if self.mains and car.s2 and car.wants and self.offered >= MIN_AMPS else 0.0
        if aim != self._aim:
            self._aim = aim
            self._turn += 1
            self._ramp(self._turn, self.rng.randint(200, 3000), halves=1)

    def _ramp(self, turn: int, delay_ms: int, halves: int) -> None:
        def move() -> None:
            if turn != self._turn:
                return
            car = self.car
            reach = self._aim if not halves else round((car.drawn + self._aim) / 2, 1)
            car.drawn = reach if self.mains and car.s2 else 0.0
            if halves:
                self._ramp(turn, self.rng.randint(200, 1500), halves - 1)
            self.changed()

        self.timeline.after(delay_ms, move, self.life)
