"""E01, G01, G05: several connectors on one EVSE: each has its own status, cable and lock; one is in use at a time."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from hal.ports import TokenPresented
from tests.blocks.stories import CARD, OTHER, QUIET, first, goes_off, heard, idle, last, trail
from tests.marks import req
from tests.sim.outlet import OutletSpec
from tests.sim.transactions import consecutive
from tests.sim.world import World

TWIN = OutletSpec("raw", 32, more=("socket",))
"""A fixed cable and a socket on one power path."""


def twin(**keys: str) -> World:
    """An idle station with one EVSE of two connectors; variables of TxCtrlr by name."""
    return idle([TWIN], keys={**QUIET, **{f"TxCtrlr.{name}": value for name, value in keys.items()}})


def uses(world: World, connector: int, card: str = CARD, **car: Any) -> World:
    """A car comes to a connector and charges there."""
    world.ev(1).plugs_in(connector=connector, **car).presents(card)
    world.until(lambda: world.outlets[1].amps >= 6, within_s=60).runs(seconds=10)
    assert world.outlets[1].connector == connector
    return world


def told(world: World, connector: int) -> list[str]:
    """Every status of a connector."""
    return [p["connectorStatus"] for _, p in heard(world, "StatusNotification") if p["connectorId"] == connector]


@req("G01.FR.01", "G01.FR.08", "E01.FR.14", "E01.FR.16", "B01.FR.05")
@pytest.mark.parametrize("connector", [1, 2])
def test_the_connector_in_use_is_occupied_and_named_and_the_other_stays_available(connector: int) -> None:
    world = uses(twin(), connector, cable_amps=20 if connector == 2 else None)
    assert told(world, connector) == ["Available", "Occupied"] and told(world, 3 - connector) == ["Available"]
    session = world.csms.transaction(1)
    assert first(session)["evse"] == {"id": 1, "connectorId": connector}
    assert world.outlets[1].amps == (20 if connector == 2 else 32)
    assert first(session).get("cableMaxCurrent") == (20 if connector == 2 else None)
    world.ev(1).unplugs()
    world.runs(seconds=20)
    assert told(world, connector)[-1] == "Available"
    world.settles()


@req("E01.FR.14", "C01.FR.23")
def test_a_second_car_waits_and_is_next() -> None:
    world = uses(twin(TxStartPoint="EVConnected"), 1)
    world.ev(1).plugs_in(connector=2, cable_amps=32).presents(OTHER)
    world.runs(minutes=2)
    assert told(world, 2)[-1] == "Occupied" and len(world.csms.transactions) == 1
    assert world.outlets[1].connector == 1 and world.outlets[1].amps > 6
    world.ev(1).unplugs(1)
    world.runs(minutes=1)
    before, after = world.csms.transactions.values()
    assert before.stopped_reason == "EVDisconnected" and trail(before)[-1][2] == "Idle"
    assert trail(after) == [("Started", "CablePluggedIn", "EVConnected")]
    assert first(after)["evse"] == {"id": 1, "connectorId": 2}
    world.ev(1).presents(OTHER)
    world.runs(minutes=1)
    assert world.outlets[1].connector == 2 and world.outlets[1].amps > 6
    world.ev(1).unplugs(2)
    world.settles()


@req("E01.FR.14", "C01.FR.02")
def test_a_card_shown_while_the_last_session_still_ends_is_for_the_car_that_waits() -> None:
    """The next driver does not wait for the last reading of the one before him."""
    world = uses(twin(), 2, cable_amps=32)
    world.ev(1).plugs_in(connector=1)
    world.runs(seconds=10)
    world.csms_asks("RequestStopTransaction", {"transactionId": world.csms.transaction(1).id})
    world.until(lambda: not world.outlets[1].closed, within_s=10).outlets[1].unplug(2)
    world.runs(ms=50).hear(TokenPresented("reader1", OTHER, "ISO14443", (1,)))
    world.until(lambda: world.outlets[1].connector == 1 and world.outlets[1].amps > 6, within_s=60)
    world.runs(seconds=10)
    assert first(world.csms.transaction(2))["evse"] == {"id": 1, "connectorId": 1}
    world.settles()


@req("E06.FR.02")
def test_a_waiting_car_that_leaves_changes_nothing() -> None:
    world = uses(twin(), 2, cable_amps=32)
    world.ev(1).plugs_in(connector=1).after(seconds=30).unplugs(1)
    world.runs(minutes=2)
    assert told(world, 1) == ["Available", "Occupied", "Available"]
    assert world.outlets[1].amps > 6 and not world.csms.transaction(1).ended
    world.settles()


@req("E10.FR.02", "E10.FR.03")
def test_a_kept_authorization_is_not_for_the_car_that_waits_beside() -> None:
    world = uses(twin(StopTxOnEVSideDisconnect="false", TxStopPoint="Authorized"), 1)
    world.ev(1).plugs_in(connector=2, cable_amps=32).after(seconds=10).unplugs(1)
    world.runs(minutes=1)
    assert not world.outlets[1].permitted
    assert trail(world.csms.transaction(1))[-1][1:] == ("EVCommunicationLost", "Idle")
    world.ev(1).plugs_in(connector=1)
    world.runs(minutes=1)
    assert world.outlets[1].connector == 1 and world.outlets[1].amps > 6
    assert len(world.csms.transactions) == 1
    world.ev(1).unplugs(2).unplugs(1)
    world.runs(minutes=3)
    assert world.csms.transaction(1).stopped_reason == "Timeout"


@req("E10.FR.02", "E01.FR.16")
def test_a_kept_authorization_goes_on_at_the_other_connector_when_the_car_is_plugged_in_there() -> None:
    world = uses(twin(StopTxOnEVSideDisconnect="false", TxStopPoint="Authorized"), 1)
    world.ev(1).unplugs().after(seconds=10).plugs_in(connector=2, cable_amps=32)
    world.runs(minutes=1)
    session = world.csms.transaction(1)
    assert world.outlets[1].connector == 2 and world.outlets[1].amps > 6
    assert [e["evse"]["connectorId"] for e in session.events if "evse" in e] == [1, 2]
    world.settles()


@req("E05.FR.11", "E09.FR.03", "E06.FR.10")
def test_each_socket_has_its_own_lock_and_its_own_owner() -> None:
    world = uses(twin(StopTxOnInvalidId="true"), 2, cable_amps=32)
    outlet = world.outlets[1]
    assert outlet.locks == {2}
    world.csms.answers("TransactionEvent", lambda _: {"idTokenInfo": {"status": "Blocked"}})
    world.ev(1).pauses()
    world.runs(seconds=20)
    assert outlet.locks == {2} and not outlet.permitted
    world.csms.answers("TransactionEvent", lambda _: {})
    outlet.unplug(2)
    outlet.cables[2] = 32
    outlet.settle()
    world.runs(seconds=10)
    assert told(world, 2)[-1] == "Occupied"
    uses(world, 1, OTHER)
    assert outlet.locks == {2}
    world.ev(1).presents(CARD)
    world.runs(seconds=20)
    assert outlet.locks == set() and outlet.amps > 6


@req("E01.FR.07", "E01.FR.16")
@pytest.mark.parametrize("end", ["power", "kill"])
def test_the_second_connector_survives_a_restart(end: str) -> None:
    world = uses(twin(), 2, cable_amps=32)
    goes_off(world, end).returns_after(seconds=20)
    world.runs(minutes=2)
    assert world.outlets[1].amps > 6 and len(world.csms.transactions) == 1
    world.ev(1).presents(CARD)
    world.runs(minutes=1)
    assert last(world.csms.transaction(1))["transactionInfo"]["stoppedReason"] == "Local"
    assert world.csms.transaction(1).seq_numbers == consecutive()
    world.settles()


def test_the_status_for_people_names_every_connector() -> None:
    world = uses(twin(), 2, cable_amps=32)
    connectors = world.asks_station("status")["evses"][0]["connectors"]
    assert connectors == [
        {"id": 1, "status": "Available", "cable_amps": None, "locked": None},
        {"id": 2, "status": "Occupied", "cable_amps": 32, "locked": True},
    ]  # fmt: skip


@req("E01.FR.14", "E01.FR.07")
@pytest.mark.parametrize("seed", range(6))
def test_a_random_walk_over_two_evses_with_two_connectors_each(seed: int) -> None:
    """Buyers' K1: no conflicts, whatever is plugged where and when."""
    rng = Random(seed)
    world = World([TWIN, OutletSpec("smart", 16, more=("fixed",))], keys=QUIET, seed=seed).runs(seconds=20)
    for _ in range(60):
        driver, connector = world.ev(rng.choice((1, 2))), rng.choice((1, 2))
        act = rng.choice(("plug", "plug", "unplug", "card", "card", "power"))
        if act == "plug":
            driver.plugs_in(connector=connector, cable_amps=32)
        elif act == "unplug":
            driver.unplugs(connector)
        elif act == "card":
            driver.presents(rng.choice((CARD, OTHER)))
        elif rng.random() < 0.2:
            world.loses_power().returns_after(seconds=10)
        world.runs(seconds=rng.choice((1, 5, 20, 60)))
    for evse in (1, 2):
        world.ev(evse).unplugs(1).unplugs(2)
    world.settles()
    per_evse = [t.evse for t in world.csms.transactions.values()]
    assert len(per_evse) >= 4


def takes_out(world: World, connector: int, status: str = "Inoperative") -> str:
    """ChangeAvailability of one connector; its status."""
    place = {"evse": {"id": 1, "connectorId": connector}}
    return str(world.csms_asks("ChangeAvailability", {"operationalStatus": status, **place})["status"])


@req("G03.FR.05", "G03.FR.06", "G03.FR.07", "G01.FR.08")
def test_a_connector_out_of_service_is_not_used_while_its_sibling_is() -> None:
    world = twin()
    assert takes_out(world, 1) == "Accepted"
    world.ev(1).plugs_in(connector=1).presents(CARD)
    world.runs(minutes=1)
    assert told(world, 1) == ["Available", "Unavailable"] and not world.outlets[1].permitted
    world.ev(1).plugs_in(connector=2, cable_amps=32)
    world.until(lambda: world.outlets[1].amps > 6, within_s=60)
    assert world.outlets[1].connector == 2 and told(world, 2) == ["Available", "Occupied"]
    assert takes_out(world, 2) == "Scheduled"
    world.ev(1).presents(CARD)
    world.runs(minutes=1)
    assert told(world, 2) == ["Available", "Occupied", "Occupied", "Unavailable"]
    assert [takes_out(world, c, "Operative") for c in (1, 2)] == ["Accepted", "Accepted"]
    world.runs(seconds=5)
    assert (told(world, 1)[-1], told(world, 2)[-1]) == ("Occupied", "Occupied")
    world.settles()


@req("G03.FR.05", "G03.FR.08")
def test_what_was_scheduled_waits_for_a_transaction_that_a_power_cut_interrupts() -> None:
    world = uses(twin(), 2, cable_amps=32)
    assert [takes_out(world, 1), takes_out(world, 2)] == ["Accepted", "Scheduled"]
    world.loses_power().returns_after(seconds=5)
    world.until(lambda: world.outlets[1].amps > 6, within_s=300)
    world.runs(seconds=30)
    assert (told(world, 1)[-1], told(world, 2)[-1]) == ("Unavailable", "Occupied")
    world.ev(1).presents(CARD)
    world.runs(minutes=1)
    assert told(world, 2)[-1] == "Unavailable"
    world.settles()


def test_what_a_welded_contactor_keeps_live_stays_locked_whoever_plugs_in_next() -> None:
    """Invariant 4: the judge of the world refuses any release there."""
    world = uses(twin(), 2, cable_amps=32)
    world.outlets[1].welded = True
    world.ev(1).presents(CARD).after(seconds=30).unplugs().after(seconds=10).plugs_in(connector=1)
    world.runs(minutes=1)
    assert world.asks_station("status")["evses"][0]["contactor"] == "welded"
    assert world.csms_asks("UnlockConnector", {"evseId": 1, "connectorId": 2})["status"] != "Unlocked"
    world.runs(minutes=1)
