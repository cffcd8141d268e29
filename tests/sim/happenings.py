"""Whatever may happen in the world, as data: a scene is a moment, the name of a verb and its arguments.

Everything random about a scene is drawn when a story is planned, so that a story can be printed, saved, cut down to
the few scenes that matter, and told again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.sim.world import World

Draw = Callable[[Random, Sequence[int]], Any]
"""One argument, drawn for a station with these EVSEs; the result is JSON."""
Act = Callable[..., object]


@dataclass(frozen=True, slots=True)
class Verb:
    """Something that may happen. `weight` is how often it is drawn among the faults; 0: never by itself."""

    name: str
    act: Act
    weight: int
    draws: Mapping[str, Draw]

    def drawn(self, rng: Random, evses: Sequence[int]) -> dict[str, Any]:
        """Its arguments."""
        return {name: draw(rng, evses) for name, draw in self.draws.items()}


VERBS: dict[str, Verb] = {}
"""Every verb by its name."""


def verb(weight: int = 0, **draws: Draw) -> Callable[[Act], Act]:
    """Declare a verb: a function of the world and of JSON arguments, named after what happens."""

    def declare(act: Act) -> Act:
        name = act.__name__.replace("_", " ")
        VERBS[name] = Verb(name, act, weight, draws)
        return act

    return declare


@dataclass(frozen=True, slots=True)
class Scene:
    """`verb` happens at `at_s` (s since the story's beginning)."""

    at_s: float
    verb: str
    args: Mapping[str, Any] = field(default_factory=dict)

    def happens(self, world: World) -> None:
        """Let it happen now."""
        VERBS[self.verb].act(world, **self.args)

    def __str__(self) -> str:
        args = ", ".join(f"{name} {value}" for name, value in self.args.items())
        return f"{self.at_s:10.1f} s  {self.verb}: {args}".rstrip(": ")


# -------------------------------------------------- draws


def pick(*options: Any) -> Draw:
    """One of these."""
    return lambda rng, evses: rng.choice(options)


def several(least: int, most: int, *options: Any) -> Draw:
    """A list of so many of these, repeats and all."""
    return lambda rng, evses: rng.choices(options, k=rng.randint(least, most))


def between(low: float, high: float) -> Draw:
    """A number in this range."""
    return lambda rng, evses: round(rng.uniform(low, high), 1)


def whole(low: int, high: int) -> Draw:
    """A whole number in this range."""
    return lambda rng, evses: rng.randint(low, high)


def chance(probability: float) -> Draw:
    """True with this probability."""
    return lambda rng, evses: rng.random() < probability


def an_evse(rng: Random, evses: Sequence[int]) -> int:
    """One of the station's EVSEs."""
    return rng.choice(evses)
