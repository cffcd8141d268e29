"""Why this current, now and at any second of the recorded past."""

from __future__ import annotations

from typing import Any

import pytest

from agent.core.instant import parse_rfc3339, rfc3339
from agent.core.recorder import KEPT
from tests.blocks.stories import OTHER, QUIET, charge, charging, idle, profile, why
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


def claim(world: World, owner: str, **asked: Any) -> dict[str, Any]:
    """What one of those who bound EVSE 1 says."""
    (told,) = world.asks_station("why", evse=1, **asked)
    (found,) = [dict(claim) for claim in told["claims"] if claim["owner"] == owner]
    return found


def until_s(found: dict[str, Any], world: World) -> float:
    """How long from now it still holds."""
    return (parse_rfc3339(found["until"]) - world.clock.utc_ms) / 1000


def test_a_limit_says_until_when_it_holds_and_what_it_becomes() -> None:
    world = charging(keys=QUIET)
    world.asks_station("limit.set", limit=20, evse=1, source="EMS", valid_s=60, fallback=8)
    world.asks_station("limit.set", limit=25, evse=1)
    world.runs(seconds=10)
    found = claim(world, "external EMS")
    assert (found["amps"], found["then"]) == (20, 8) and 48 <= until_s(found, world) <= 51
    assert {"until", "then"}.isdisjoint(claim(world, "operator")), "it has no end"
    world.runs(seconds=55)
    lapsed, past = claim(world, "external EMS"), claim(world, "external EMS", at=at(world, 30))
    assert lapsed["amps"] == 8 and "until" not in lapsed
    assert (past["then"], past["until"]) == (8, found["until"])


def test_of_a_limit_of_the_station_the_part_that_will_be_left_is_told() -> None:
    world = charging((raw(32), raw(32)), keys=QUIET)
    charge(world, 2, OTHER)
    said = {"source": "EMS", "limit": 40, "valid_s": 60, "fallback": 14}
    world.asks_station("limit.set", **said)
    world.runs(seconds=30)
    found = claim(world, "external EMS")
    assert (found["amps"], found["then"]) == (20, 7) and 28 <= until_s(found, world) <= 31
    world.asks_station("limit.set", **said)
    world.runs(seconds=1)
    assert 57 <= until_s(claim(world, "external EMS"), world) <= 60, "it was said again"
    world.runs(seconds=40)
    assert "until" not in claim(world, "external EMS", at=at(world, 5)), "not the end that it had at first"
    world.runs(seconds=40)
    assert claim(world, "external EMS")["amps"] == 7


def test_without_a_clock_the_end_is_told_in_seconds() -> None:
    world = World(network=False)
    world.clock.synchronised = False
    world.runs(seconds=5)
    world.asks_station("limit.set", limit=20, evse=1, source="EMS", valid_s=60, fallback=8)
    world.runs(seconds=10)
    found = claim(world, "external EMS")
    assert "until" not in found and (found["left_s"], found["then"]) in ((49, 8), (50, 8))
