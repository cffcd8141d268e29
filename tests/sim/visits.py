"""Drivers and their cars: what ordinary visitors do, in order, and what rude ones do at any moment."""

from __future__ import annotations

from random import Random
from typing import Any

from hal.ports import TokenPresented
from tests.sim.car import Car
from tests.sim.happenings import Scene, an_evse, between, pick, verb, whole
from tests.sim.world import World

CARDS = ("04AABBCC", "04DDEEFF00", "0411223344556677")
BLOCKED = "DEADBEEF"
MISBEHAVIOURS = (("keeps_s2", 0.05), ("ignores_limit", 0.08), ("overdraws", 0.11))
"""What is wrong with a car, and the share of cars up to it."""


@verb()
def plugs_in(
    world: World, evse: int, phases: int, amps: float, cable_amps: float, bad: list[str], connector: int = 1
) -> None:
    world.outlets[evse].plug(Car(phases, amps, bad=frozenset(bad)), cable_amps, connector)


@verb()
def parks(world: World, evse: int, there: bool) -> None:
    world.outlets[evse].parked = there
    world.outlets[evse].settle()


@verb()
def presents(world: World, evse: int, card: str) -> None:
    world.hear(TokenPresented(f"reader{evse}", card, evses=(evse,)))


@verb()
def pauses(world: World, evse: int) -> None:
    _wish(world, evse, False)


@verb()
def resumes(world: World, evse: int) -> None:
    _wish(world, evse, True)


@verb()
def unplugs(world: World, evse: int) -> None:
    world.outlets[evse].unplug()


def _wish(world: World, evse: int, wants: bool) -> None:
    outlet = world.outlets[evse]
    if outlet.car is not None:
        outlet.car.wants = wants
        outlet.settle()


# -------------------------------------------------- an ordinary visit


def visit(rng: Random, evse: int, at_s: float, *, overnight: bool = False) -> list[Scene]:
    """One driver comes, does what drivers do, and leaves; the last scene frees the bay."""
    card = rng.choice((*CARDS, *CARDS, BLOCKED))
    scenes: list[Scene] = []

    def add(after_s: float, what: str, **args: object) -> None:
        before = scenes[-1].at_s if scenes else at_s
        scenes.append(Scene(round(before + after_s, 3), what, {"evse": evse, **args}))

    manners = rng.random()
    bad = [name for name, until in MISBEHAVIOURS if manners < until][:1]
    car: dict[str, Any] = {"phases": rng.choice((1, 2, 3)), "amps": rng.choice((6.0, 10.0, 16.0, 32.0)), "bad": bad}
    car["cable_amps"] = rng.choice((13.0, 20.0, 32.0))
    arrival: list[tuple[str, dict[str, Any]]] = [("plugs in", car), ("presents", {"card": card})]
    for what, args in arrival if rng.random() < 0.6 else reversed(arrival):
        add(rng.uniform(0.5, 20), what, **args)
    if rng.random() < 0.15:
        add(rng.uniform(0.2, 6), "presents", card=card)
    for _ in range(rng.choice((0, 0, 1, 2))):
        add(rng.uniform(5, 600), "pauses")
        add(rng.uniform(1, 300), "resumes")
    stay_s = rng.uniform(4, 10) * 3600 if overnight else rng.uniform(10, 1800)
    if rng.random() < 0.6:
        stopping = card if rng.random() < 0.9 else rng.choice(CARDS)
        add(stay_s, "presents", card=stopping)
        stay_s = 1.0
    add(stay_s + rng.uniform(0.1, 60), "unplugs")
    return scenes


# -------------------------------------------------- at any moment


@verb(weight=2, evse=an_evse)
def pulls_the_plug(world: World, evse: int) -> None:
    world.outlets[evse].unplug()


@verb(weight=1, evse=an_evse, seconds=between(0.1, 8), phases=pick(1, 3), amps=pick(6.0, 16.0, 32.0))
def swaps_the_car(world: World, evse: int, seconds: float, phases: int, amps: float) -> None:
    world.outlets[evse].unplug()
    world.later(seconds, lambda: world.outlets[evse].plug(Car(phases, amps), 20.0))


@verb(weight=2, evse=an_evse, card=pick(*CARDS, BLOCKED))
def shows_any_card(world: World, evse: int, card: str) -> None:
    presents(world, evse, card)


@verb(weight=1, evse=an_evse, card=pick(*CARDS), times=whole(2, 6), apart_s=pick(0.2, 1.0, 3.1, 5.0))
def taps_again_and_again(world: World, evse: int, card: str, times: int, apart_s: float) -> None:
    for number in range(times):
        world.later(number * apart_s, lambda: presents(world, evse, card))


@verb(weight=1, evse=an_evse, one=pick(*CARDS), other=pick(*CARDS), apart_s=pick(0.1, 2.0, 10.0))
def swaps_cards(world: World, evse: int, one: str, other: str, apart_s: float) -> None:
    presents(world, evse, one)
    world.later(apart_s, lambda: presents(world, evse, other))


@verb(weight=1, evse=an_evse, times=whole(1, 5), apart_s=pick(0.3, 1.5, 7.0))
def car_cannot_decide(world: World, evse: int, times: int, apart_s: float) -> None:
    for number in range(times):
        world.later(2 * number * apart_s, lambda: pauses(world, evse))
        world.later((2 * number + 1) * apart_s, lambda: resumes(world, evse))
