"""The driver in front of an EVSE: plugs, presents a card, waits, leaves."""

from __future__ import annotations

from typing import Protocol

from agent.core.events import Event
from hal.ports import TokenKind, TokenPresented
from tests.sim.car import Car
from tests.sim.clock import Timeline
from tests.sim.outlet import Outlet

HURRY_MS = 1_500
"""What a person needs from one act to the next."""


class Around(Protocol):
    """The world around a driver."""

    timeline: Timeline

    def hear(self, event: Event) -> None: ...


class Driver:
    """Verbs happen one after the other with a short human pause between; the story's clock does not wait.

    The world must run for them to happen: `world.ev(1).plugs_in().presents("04AABB"); world.runs(seconds=9)`.
    """

    def __init__(self, world: Around, outlet: Outlet) -> None:
        self._world = world
        self._outlet = outlet
        self._hands_free_ms = 0

    @property
    def car(self) -> Car | None:
        """The car that is plugged in."""
        return self._outlet.car

    @property
    def outlet(self) -> Outlet:
        """The hardware in front of this driver."""
        return self._outlet

    def after(self, *, seconds: float) -> Driver:
        """Wait before the next act."""
        self._hands_free_ms = max(self._hands_free_ms, self._now()) + round(seconds * 1000)
        return self

    def plugs_in(
        self,
        *,
        phases: int = 3,
        amps: float = 32,
        wants: bool = True,
        cable_amps: float | None = None,
        bad: frozenset[str] = frozenset(),
        connector: int = 1,
    ) -> Driver:
        """Plug in a car that takes `amps` per phase on `phases` phases; `cable_amps`: with its own cable."""
        car = Car(phases, amps, wants, bad=bad)
        return self._act(lambda: self._outlet.plug(car, cable_amps, connector))

    def unplugs(self, connector: int | None = None) -> Driver:
        """Pull the plug (None: of the car that has the power path)."""
        return self._act(lambda: self._outlet.unplug(connector))

    def leaves(self) -> Driver:
        """Nothing stays plugged in at any connector, and the bay is free."""

        def all_of_them() -> None:
            self._outlet.parked = False
            for connector in list(self._outlet.cars) or [self._outlet.connector]:
                self._outlet.unplug(connector)

        return self._act(all_of_them)

    def pauses(self) -> Driver:
        """The car wants no more energy for now."""
        return self._act(lambda: self._wish(False))

    def resumes(self) -> Driver:
        """The car wants energy again."""
        return self._act(lambda: self._wish(True))

    def presents(self, uid: str, *, evses: tuple[int, ...] | None = None, kind: TokenKind = "ISO14443") -> Driver:
        """Hold a card to the reader; `evses` are those that the reader serves (this one unless told).

        With another `kind` it is a code, a button, or whatever else hal.ports knows.
        """
        served = (self._outlet.evse,) if evses is None else evses
        event = TokenPresented("front" if len(served) > 1 else f"reader{served[0]}", uid, kind, served)
        return self._act(lambda: self._world.hear(event))

    def _wish(self, wants: bool) -> None:
        if self._outlet.car is not None:
            self._outlet.car.wants = wants
            self._outlet.settle()

    def _act(self, act: object) -> Driver:
        assert callable(act)
        due = max(self._hands_free_ms, self._now())
        self._hands_free_ms = due + HURRY_MS
        self._world.timeline.at(due, act)
        return self

    def _now(self) -> int:
        return self._world.timeline.clock.true_ms
