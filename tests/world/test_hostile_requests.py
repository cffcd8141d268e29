"""Whatever a CSMS may say by the schemas, with the worst of values: the station lives, obeys the rules, and charges."""

from __future__ import annotations

import pytest

from hil.hostile_requests import ENDS_CHARGING, Json, actions, requests
from tests.blocks.stories import CARD, charge, charging, idle
from tests.marks import req
from tests.sim.outlet import raw, smart
from tests.sim.world import World


def asked(world: World, seed: int, each: int, leave_out: frozenset[str] = frozenset()) -> list[str]:
    """Send them one after the other; how each was answered."""
    outcomes = []
    for action, payload in requests(seed, each, leave_out):
        world.until(lambda: world.csms.connection is not None, within_s=3600)
        outcomes.append(outcome(world, action, payload))
    return outcomes


def outcome(world: World, action: str, payload: Json) -> str:
    exchange = world.csms.sends(action, payload)
    world.until(lambda: exchange.done or world.csms.connection is None, within_s=120)
    return f"{action} {exchange.error[0]}" if exchange.error else action


@req("FR.02", "FR.03")
def test_hostile_values_do_not_touch_a_car_that_charges() -> None:
    world = charging([smart(16), raw(32)])
    outcomes = asked(world, seed=1, each=8, leave_out=ENDS_CHARGING)
    assert len(set(outcomes)) > len(actions()) - len(ENDS_CHARGING) - 8
    assert not [outcome for outcome in outcomes if "InternalError" in outcome]
    assert world.outlets[1].amps >= 6 and world.boots == 1
    world.settles()


@pytest.mark.parametrize("seed", [2, 3])
def test_after_any_hostile_request_the_station_charges_again(seed: int) -> None:
    world = idle([smart(16), raw(32)])
    asked(world, seed, each=5)
    world.heals()
    world.loses_power().returns_after(seconds=10)
    world.until(lambda: world.csms.connection is not None, within_s=6 * 3600)
    world.runs(minutes=5)
    for evse in (None, {"id": 1}):
        where = {} if evse is None else {"evse": evse}
        world.csms_asks("ChangeAvailability", {"operationalStatus": "Operative", **where})
    world.csms_asks("ClearChargingProfile", {"chargingProfileCriteria": {}})
    charge(world, card=CARD)
    assert world.outlets[1].amps >= 6
    world.ev(1).unplugs()
    world.settles()
