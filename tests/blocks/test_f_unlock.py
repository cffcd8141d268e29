"""F05, G05: the CSMS asks for a plug to be released, and a lock that does not do what it is told."""

from __future__ import annotations

from typing import Any

from tests.blocks.monitors import events
from tests.blocks.stories import CARD, QUIET, SOCKET, charge, heard, idle, now_s, statuses
from tests.marks import req
from tests.sim.outlet import smart
from tests.sim.world import World


def unlock(world: World, evse: int = 1, connector: int = 1) -> dict[str, Any]:
    """UnlockConnector; the whole answer."""
    return world.csms_asks("UnlockConnector", {"evseId": evse, "connectorId": connector})


def problems(world: World) -> list[str]:
    """What was told of the lock's Problem."""
    told = [e for e in events(world) if e["component"]["name"] == "ConnectorPlugRetentionLock"]
    assert all(e["trigger"] == "Delta" and e["variable"]["name"] == "Problem" for e in told)
    return [e["actualValue"] for e in told]


@req("F05.FR.01", "F05.FR.04")
def test_a_plug_that_was_kept_for_its_owner_is_released_by_the_csms() -> None:
    """TC_F_06."""
    world = charge(idle((SOCKET,), keys=QUIET))
    world.csms.answers("TransactionEvent", lambda _: {"idTokenInfo": {"status": "Blocked"}})
    world.ev(1).pauses()
    world.runs(minutes=1)
    assert world.outlets[1].locked and not world.outlets[1].closed
    assert unlock(world) == {"status": "Unlocked"} and not world.outlets[1].locked
    world.runs(minutes=1)
    assert not world.outlets[1].locked


@req("F05.FR.06")
def test_it_is_tried_without_a_cable_as_well() -> None:
    """TC_F_07."""
    assert unlock(idle((SOCKET,))) == {"status": "Unlocked"}


@req("F05.FR.02")
def test_nobody_is_unlocked_while_charging_or_about_to() -> None:
    """TC_F_05; a transaction without authorization keeps no plug."""
    world = idle((SOCKET,), keys={**QUIET, "TxCtrlr.TxStopPoint": "EVConnected"})
    charge(world)
    assert unlock(world)["status"] == "OngoingAuthorizedTransaction"
    assert world.outlets[1].locked and world.outlets[1].amps > 6
    world.ev(1).presents(CARD)
    world.runs(seconds=30)
    assert unlock(world)["status"] == "Unlocked" and world.csms.transaction(1).stopped_reason is None
    world.settles()


@req("F05.FR.03")
def test_a_connector_that_is_not_there_is_unknown() -> None:
    """TC_F_10."""
    world = idle((SOCKET,))
    assert [unlock(world, *place)["status"] for place in ((1, 2), (7, 1))] == ["UnknownConnector"] * 2


@req("F05.FR.05")
def test_a_lock_that_sticks_is_told_as_it_is_and_freed_when_it_moves_again() -> None:
    world = charge(idle((SOCKET,), keys=QUIET))
    world.outlets[1].lock_sticks = True
    world.ev(1).presents(CARD)
    world.runs(seconds=20)
    asked = now_s(world)
    answer = unlock(world)
    assert (answer["status"], answer["statusInfo"]["reasonCode"]) == ("UnlockFailed", "InternalError")
    assert 4 <= now_s(world) - asked <= 10 and problems(world) == ["true"]
    assert [fault["code"] for fault in world.asks_station("fault.list")] == ["lock"], "at the charger too"
    world.outlets[1].lock_sticks = False
    assert unlock(world) == {"status": "Unlocked"}
    world.runs(seconds=10)
    assert problems(world) == ["true", "false"]


@req("F05.FR.05")
def test_a_fixed_cable_is_never_unlocked() -> None:
    answer = unlock(idle((smart(16),)))
    assert (answer["status"], answer["statusInfo"]["reasonCode"]) == ("UnlockFailed", "FixedCable")


@req("F05.FR.01", "F05.FR.05")
def test_a_device_that_is_gone_gives_an_answer_all_the_same() -> None:
    world = idle((SOCKET,))
    world.hardware.falls_silent(1)
    world.runs(seconds=20)
    assert unlock(world)["status"] == "UnlockFailed"


@req("F05.FR.01")
def test_two_requests_at_once_are_both_answered() -> None:
    world = idle((SOCKET,))
    world.outlets[1].lock_sticks = True
    world.outlets[1].locks.add(1)
    exchanges = [world.csms.sends("UnlockConnector", {"evseId": 1, "connectorId": 1}) for _ in range(2)]
    world.until(lambda: all(e.done for e in exchanges), within_s=30)
    assert [e.answer for e in exchanges if e.answer] and all(e.error is None for e in exchanges)


@req("G05.FR.01", "G05.FR.02")
def test_a_plug_that_does_not_lock_gets_no_current_until_it_does() -> None:
    """TC_G_20: the driver pushes it in after a while, and charging begins by itself."""
    world = idle((SOCKET,), keys=QUIET)
    world.outlets[1].lock_sticks = True
    since = now_s(world)
    world.ev(1).plugs_in().presents(CARD)
    world.runs(seconds=40)
    assert problems(world) == ["true"] and world.outlets[1].amps == 0 and not world.outlets[1].closed
    assert statuses(world, since) == [(1, "Occupied")]
    world.outlets[1].lock_sticks = False
    world.until(lambda: world.outlets[1].amps > 6, within_s=30)
    world.runs(seconds=5)
    assert problems(world) == ["true", "false"]
    world.settles()


@req("G05.FR.01")
def test_a_lock_that_sticks_for_hours_is_tried_less_and_less_often() -> None:
    world = idle((SOCKET,), keys=QUIET)
    world.outlets[1].lock_sticks = True
    world.ev(1).plugs_in().presents(CARD)
    world.runs(minutes=1)
    soon = sum(topic == "lock" for _, _, topic, _ in world.notes)
    world.notes.clear()
    world.runs(hours=1)
    assert 3 <= soon <= 8 and 55 <= sum(topic == "lock" for _, _, topic, _ in world.notes) <= 70


@req("G05.FR.01")
def test_who_gives_up_at_a_lock_that_fails_has_no_transaction_with_energy() -> None:
    world = idle((SOCKET,), keys=QUIET)
    world.outlets[1].lock_sticks = True
    world.ev(1).plugs_in().presents(CARD)
    world.runs(seconds=20)
    world.ev(1).unplugs()
    world.runs(seconds=20)
    states = [p["transactionInfo"]["chargingState"] for _, p in heard(world, "TransactionEvent")]
    assert "Charging" not in states and problems(world) == ["true", "false"]
    world.settles()
