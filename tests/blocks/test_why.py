"""Why this current, now and at any second of the recorded past."""

from __future__ import annotations

import pytest

from agent.core.instant import rfc3339
from agent.core.recorder import KEPT
from tests.blocks.stories import QUIET, charging, idle, profile, why
from tests.sim.outlet import raw
from tests.sim.world import World


def at(world: World, seconds_ago: float) -> str:
    return rfc3339(round(world.clock.utc_ms - seconds_ago * 1000))


def recorded(world: World, seconds_ago: float) -> tuple[float, str]:
    """Amps and winner at a moment of the past."""
    told = world.asks_station("why", evse=1, at=at(world, seconds_ago))[0]
    return told["amps"], told["owner"]


def limited(world: World, amps: float) -> None:
    asked = {"evseId": 1, "chargingProfile": profile(1, (0, amps))}
    assert world.csms_asks("SetChargingProfile", asked)["status"] == "Accepted"


def test_the_past_is_told_to_the_second() -> None:
    world = charging(keys=QUIET)
    limited(world, 10)
    world.runs(seconds=60)
    limited(world, 8)
    world.runs(seconds=60)
    assert why(world)["amps"] == recorded(world, 0)[0] == recorded(world, 58)[0] == 8
    assert recorded(world, 62)[0] == recorded(world, 115)[0] == 10
    amps, owner = recorded(world, 125)
    assert amps == 32 and "profile" not in owner.lower()
    past = world.asks_station("why", evse=1, at=at(world, 90))[0]
    assert past["session"] == "powered" and len(past["claims"]) >= 3


def refused(world: World, moment: str, reason: str) -> None:
    with pytest.raises(AssertionError, match=reason):
        world.asks_station("why", evse=1, at=moment)


def test_what_is_not_recorded_is_refused_with_the_reason() -> None:
    world = idle()
    refused(world, at(world, 86_400), "the record begins at")
    refused(world, at(world, -60), "nothing is recorded")
    refused(world, "noon", "expected RFC 3339")


def test_the_record_is_bounded_and_keeps_the_newest() -> None:
    world = charging((raw(32),), keys=QUIET)
    for number in range(KEPT + 50):
        limited(world, 10 + number % 2)
        world.runs(seconds=2)
    assert recorded(world, 0)[0] in (10, 11)
    refused(world, at(world, 2 * (KEPT + 49)), "the record begins at")
