"""Bug 29: the station changes hands, and nothing of one operator reaches, or is used for, another."""

from __future__ import annotations

import pytest

from agent.core.events import LimitReleased, LimitSet
from tests.blocks.stories import CARD, QUIET, charge, install, list_entry, profile, send_list
from tests.blocks.test_b_network import HERE, order, other_csms, write
from tests.marks import req
from tests.sim.csms import Csms
from tests.sim.outlet import raw
from tests.sim.transactions import Payload, consecutive
from tests.sim.world import World

THERE = "there.example"
KEYS = {
    **QUIET, "OCPPCommCtrlr.RetryBackOffWaitMinimum": "1", "OCPPCommCtrlr.RetryBackOffRandomRange": "0",
    "OCPPCommCtrlr.NetworkProfileConnectionAttempts": "1", "AuthCacheCtrlr.Enabled": "true",
}  # fmt: skip


def between_two(there: str = THERE, **keys: str) -> tuple[World, Csms, Csms]:
    """A station with the profiles of two operators, at the first one's CSMS; the second cannot be reached."""
    world = World((raw(32),), keys={**KEYS, **keys}).runs(seconds=20)
    first, second = world.csms, other_csms(world, there)
    world.network.elsewhere[there] = None
    assert write(world, url=f"ws://{there}/ocpp")["status"] == "Accepted"
    assert order(world, "0,1")[0] == "RebootRequired"
    boots = world.boots
    world.csms_asks("Reset", {"type": "OnIdle"})
    world.until(lambda: world.boots > boots, within_s=60).runs(seconds=30)
    assert first.connection is not None
    return world, first, second


def hands_over(world: World, host: str, csms: Csms) -> World:
    """Only this CSMS can be reached from now on; the station finds it, and the story speaks with it."""
    for other in {HERE, THERE, host}:
        world.network.elsewhere[other] = csms if other == host else None
    world.network.vanishes()
    world.network.returns()
    world.csms = csms
    return world.until(lambda: csms.connection is not None, within_s=900).runs(minutes=2)


def settle_in(world: World, version: int, amps: float, text: str) -> None:
    """What an operator leaves at a station: a list, a profile and a message."""
    assert send_list(world, list_entry(CARD), version=version)["status"] == "Accepted"
    assert install(world, 1, profile(version, (0, amps)))["status"] == "Accepted"
    info = {"id": version, "priority": "NormalCycle", "message": {"format": "UTF8", "content": text}}
    assert world.csms_asks("SetDisplayMessage", {"message": info})["status"] == "Accepted"


def furniture(world: World) -> tuple[int, str, list[str]]:
    """The list's version, whether there are profiles, and what the display shows."""
    version = world.csms_asks("GetLocalListVersion", {})["versionNumber"]
    asked = {"requestId": 1, "chargingProfile": {}}
    profiles = world.csms_asks("GetChargingProfiles", asked)["status"]
    return version, profiles, [page.text for page in world.screens["front"].pages]


def told(csms: Csms) -> list[Payload]:
    """Every transaction event that a CSMS has heard."""
    return csms.requests("TransactionEvent")


@req("B10.FR.01", "D01.FR.10", "O01.FR.10")
def test_csms_migration_keeps_the_data_of_two_operators_apart() -> None:
    """Bug 29: queue, list, cache, profiles and messages of the old one are not the new one's, and are back with it."""
    world, first, second = between_two()
    settle_in(world, 7, 10.0, "Welcome at the first")
    charge(world)
    assert world.outlets[1].amps == 10
    hands_over(world, THERE, second)
    assert furniture(world) == (0, "NoProfiles", [])
    assert world.outlets[1].amps == 32, "the first one's limit is not the second one's"
    world.ev(1).unplugs()
    world.runs(minutes=1)
    assert not told(second), "whose transaction it was is to be told, and nobody else"
    settle_in(world, 3, 8.0, "Now with the second")
    charge(world, card="04999999")
    assert [p["idToken"]["idToken"] for p in second.requests("Authorize")] == ["04999999"]
    assert world.outlets[1].amps == 8 and told(second)
    world.loses_power().returns_after(seconds=30)
    world.runs(minutes=3)
    assert furniture(world) == (3, "Accepted", ["Now with the second"])
    count = len(told(second))
    hands_over(world, HERE, first)
    assert furniture(world) == (7, "Accepted", ["Welcome at the first"])
    world.runs(minutes=2)
    assert len(told(second)) == count
    mine, theirs = {e["transactionInfo"]["transactionId"] for e in told(first)}, first.transaction(1)
    assert len(mine) == 1 and theirs.events[-1]["eventType"] == "Ended"
    assert theirs.seq_numbers == consecutive() and theirs.events[-1]["offline"] is True
    assert mine.isdisjoint(e["transactionInfo"]["transactionId"] for e in told(second))


def test_a_limit_from_elsewhere_holds_on_and_is_gone_when_it_is_released() -> None:
    """It is nobody's: not kept among the profiles of the operator that it met."""
    world, _, second = between_two()
    charge(world)
    world.hear(LimitSet("EMS", 1, 9.0))
    hands_over(world, THERE, second)
    assert world.outlets[1].offered == 9
    world.hear(LimitReleased("EMS", 1))
    world.runs(seconds=20)
    assert world.outlets[1].offered == 32
    world.kills_agent().returns_after(seconds=5)
    world.runs(minutes=2)
    assert furniture(world)[1] == "NoProfiles"


@req("C10.FR.01")
def test_what_one_operator_said_of_a_card_is_nothing_to_the_other() -> None:
    world, first, second = between_two(**{"AuthCtrlr.LocalPreAuthorize": "true"})
    charge(world)
    world.ev(1).unplugs()
    world.runs(seconds=30)
    count = len(first.requests("Authorize"))
    hands_over(world, THERE, second)
    second.blocked_tokens.add(CARD)
    world.ev(1).plugs_in().presents(CARD)
    world.runs(minutes=1)
    assert world.outlets[1].amps == 0 and len(second.requests("Authorize")) == 1
    world.ev(1).unplugs()
    hands_over(world, HERE, first)
    charge(world)
    assert len(first.requests("Authorize")) == count, "its own cache is back"


def test_what_is_left_behind_is_dropped_when_the_key_says_so() -> None:
    world, first, second = between_two(**{"OperatorCtrlr.LeftData": "Drop"})
    settle_in(world, 7, 10.0, "Welcome at the first")
    charge(world)
    world.network.vanishes()
    world.ev(1).unplugs()
    world.runs(minutes=1)
    assert world.asks_station("status")["queue"]["events"]
    hands_over(world, THERE, second)
    status = world.asks_station("status")
    assert status["queue"]["events"] == 0 and status["operator"] == {"name": THERE, "events_for_others": 0}
    world.loses_power().returns_after(seconds=30)
    world.runs(minutes=2)
    before = len(told(first))
    hands_over(world, HERE, first)
    assert furniture(world) == (0, "NoProfiles", []) and len(told(first)) == before and not told(second)


@pytest.mark.parametrize(
    ("by", "there", "apart"), [("Nothing", THERE, False), ("Domain", f"b.{HERE}", False), ("Host", f"b.{HERE}", True)]
)
def test_one_operator_may_have_several_addresses(by: str, there: str, apart: bool) -> None:
    world, _, second = between_two(there, **{"OperatorCtrlr.SeparateBy": by})
    settle_in(world, 7, 10.0, "Welcome")
    charge(world)
    hands_over(world, there, second)
    assert furniture(world) == ((0, "NoProfiles", []) if apart else (7, "Accepted", ["Welcome"]))
    world.ev(1).unplugs()
    world.runs(minutes=1)
    assert bool(told(second)) is not apart
