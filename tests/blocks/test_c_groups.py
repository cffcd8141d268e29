"""C09 and C16: who else may stop a transaction: somebody of the same group, and a master pass."""

from __future__ import annotations

from typing import Any

import pytest

from tests.blocks.stories import (
    CARD,
    OTHER,
    QUIET,
    charge,
    charging,
    first,
    heard,
    idle,
    last,
    list_entry,
    remote_start,
    send_list,
)
from tests.marks import req
from tests.sim.outlet import raw, smart
from tests.sim.transactions import Payload
from tests.sim.world import World

TWO = (smart(16), raw(32, cable="socket"))
TRUSTING = {**QUIET, "AuthCtrlr.LocalPreAuthorize": "true"}
POLICE = "04900110"
MASTER = {"AuthCtrlr.MasterPassGroupId": "POLICE"}


def info(status: str = "Accepted", group: str | None = None) -> Payload:
    """idTokenInfo as the CSMS says it."""
    return {"status": status} | ({"groupIdToken": {"idToken": group, "type": "Central"}} if group else {})


def asks(world: World) -> int:
    return len(heard(world, "Authorize"))


# ---------------------------------------------------------------------------------------- C09


@req("C09.FR.03", "C09.FR.04", "C09.FR.07", "C01.FR.03")
def test_a_colleague_on_the_local_list_stops_without_a_question() -> None:
    """TC_C_40."""
    world = idle(keys=TRUSTING)
    send_list(world, list_entry(CARD, group="FLEET"), list_entry(OTHER, group="FLEET"))
    charge(world)
    world.ev(1).presents(OTHER)
    world.runs(seconds=30)
    ended = last(world.csms.transaction(1))
    assert (ended["eventType"], ended["triggerReason"], ended["idToken"]["idToken"]) == (
        "Ended", "StopAuthorized", OTHER,
    )  # fmt: skip
    assert asks(world) == 0 and ended["transactionInfo"]["stoppedReason"] == "Local"
    world.settles()


@req("C09.FR.03", "C09.FR.07", "C01.FR.03")
@pytest.mark.parametrize("trusted", ["true", "false"])
def test_a_colleague_in_the_cache_stops_without_a_question(trusted: str) -> None:
    """TC_C_41: stopping is not starting, so LocalPreAuthorize has no say."""
    world = idle(keys={**QUIET, "AuthCtrlr.LocalPreAuthorize": trusted})
    world.csms.token_info["*"] = info(group="Fleet")
    for card in (OTHER, CARD):
        charge(world, card=card)
        world.ev(1).unplugs()
        world.runs(seconds=20)
    before = asks(world)
    charge(world)
    began = asks(world)
    world.ev(1).presents(OTHER)
    world.runs(seconds=30)
    assert world.csms.transaction(3).ended and asks(world) == began
    assert began - before == (trusted == "false")
    world.settles()


@req("C09.FR.07", "C09.FR.11", "C09.FR.05")
@pytest.mark.parametrize("where", ["list", "cache"])
def test_a_colleague_who_is_not_accepted_is_asked_for_and_stops_nothing(where: str) -> None:
    """TC_C_43, TC_C_44."""
    world = idle(keys=TRUSTING)
    world.csms.token_info = {CARD: info(group="FLEET"), OTHER: info("Invalid", "FLEET")}
    if where == "list":
        send_list(world, list_entry(CARD, group="FLEET"), list_entry(OTHER, "Invalid", group="FLEET"))
    else:
        world.ev(1).plugs_in().presents(OTHER).unplugs()
        world.runs(seconds=20)
    charge(world)
    before = asks(world)
    world.ev(1).presents(OTHER)
    world.runs(seconds=30)
    assert world.outlets[1].amps > 6 and asks(world) == before + 1
    world.settles()


@req("C09.FR.03", "C09.FR.05")
def test_groups_are_learnt_from_the_answer_to_an_event_too() -> None:
    """Started offline on the list without a group; the CSMS tells the group when it hears of it."""
    world = idle(keys=TRUSTING)
    send_list(world, list_entry(CARD))
    world.csms.token_info["*"] = info(group="FLEET")
    charge(world)
    world.ev(1).presents(OTHER)
    world.runs(seconds=30)
    assert world.csms.transaction(1).ended and asks(world) == 1


@req("C09.FR.07", "C01.FR.25")
def test_offline_a_known_colleague_stops_and_the_group_itself_is_no_card() -> None:
    world = idle(keys=TRUSTING)
    send_list(world, list_entry(CARD, group="FLEET"), list_entry(OTHER, group="FLEET"))
    charge(world)
    world.csms.vanishes()
    world.runs(seconds=5)
    world.ev(1).presents("FLEET")
    world.runs(seconds=20)
    assert world.outlets[1].amps > 6
    world.ev(1).presents(OTHER)
    world.runs(seconds=20)
    assert not world.outlets[1].permitted


@req("C01.FR.25")
def test_the_type_belongs_to_the_token_and_capitals_do_not() -> None:
    world = charging(keys=QUIET)
    world.csms.known_tokens = {CARD}
    world.ev(1).presents(CARD, kind="Local")
    world.runs(seconds=20)
    assert world.outlets[1].amps > 6, "the same characters as another type are another token"
    world.ev(1).after(seconds=5).presents(CARD.lower())
    world.runs(seconds=20)
    assert world.csms.transaction(1).ended


# ---------------------------------------------------------------------------------------- C16


def two_sessions(keys: dict[str, str]) -> World:
    """Two cars charge, on CARD and OTHER."""
    world = idle(TWO, keys={**QUIET, **MASTER, **keys})
    world.csms.token_info[POLICE] = info(group="police")
    charge(world, 1)
    world.ev(2).plugs_in(cable_amps=32).presents(OTHER)
    return world.until(lambda: world.outlets[2].amps > 6, within_s=60).runs(seconds=10)


@req("C16.FR.02", "C16.FR.06", "C16.FR.07")
def test_a_master_pass_stops_every_transaction() -> None:
    """TC_C_49."""
    world = two_sessions({})
    world.ev(1).presents(POLICE)
    world.runs(seconds=30)
    assert asks(world) == 3
    for session in world.csms.transactions.values():
        ended = last(session)
        assert (ended["eventType"], ended["triggerReason"], session.stopped_reason) == (
            "Ended", "StopAuthorized", "MasterPass",
        )  # fmt: skip
        assert ended["idToken"]["idToken"] == POLICE
    assert not world.outlets[2].locked, "the cable is free"
    world.settles()


@req("C16.FR.04", "C16.FR.05", "C16.FR.02")
@pytest.mark.parametrize("where", ["list", "cache"])
@pytest.mark.parametrize("online", [True, False])
def test_a_master_pass_that_is_known_here_needs_no_csms(where: str, online: bool) -> None:
    """TC_C_14."""
    world = two_sessions({"AuthCtrlr.LocalPreAuthorize": "true"})
    if where == "list":
        send_list(world, list_entry(POLICE, group="POLICE"))
    else:
        world.ev(1).presents(POLICE)
        world.runs(seconds=30)
        world.ev(1).unplugs()
        world.ev(2).unplugs()
        world.runs(seconds=20)
        charge(world, 1)
    if not online:
        world.csms.vanishes()
        world.runs(seconds=5)
    before = asks(world)
    world.ev(1).presents(POLICE)
    world.runs(seconds=30)
    assert not any(outlet.permitted for outlet in world.outlets.values()) and asks(world) == before
    world.settles()


@req("C16.FR.07", "C16.FR.06")
def test_a_transaction_that_outlives_the_master_pass_says_so_when_it_ends() -> None:
    world = idle(keys={**QUIET, **MASTER, "TxCtrlr.TxStopPoint": "EVConnected"})
    world.csms.token_info[POLICE] = info(group="POLICE")
    charge(world)
    world.ev(1).presents(POLICE)
    world.runs(seconds=30)
    session = world.csms.transaction(1)
    stopped = next(event for event in session.events if event["triggerReason"] == "StopAuthorized")
    assert not session.ended and stopped["idToken"]["idToken"] == POLICE
    world.ev(1).unplugs()
    world.runs(seconds=30)
    assert session.stopped_reason == "MasterPass"
    world.settles()


@req("C16.FR.03", "C12.FR.09")
@pytest.mark.parametrize("where", ["asked", "list", "cache", "offline"])
def test_a_master_pass_never_starts(where: str) -> None:
    """TC_C_45."""
    world = idle(keys={**TRUSTING, **MASTER})
    world.csms.token_info[POLICE] = info(group="POLICE")
    if where in ("list", "offline"):
        send_list(world, list_entry(POLICE, group="POLICE"))
    if where == "cache":
        world.ev(1).presents(POLICE)
        world.runs(seconds=20)
    if where == "offline":
        world.csms.vanishes()
    world.ev(1).after(seconds=5).plugs_in().presents(POLICE)
    world.runs(seconds=60)
    assert not world.outlets[1].permitted and not world.csms.transactions


@req("C16.FR.03")
@pytest.mark.parametrize("asks_csms", ["true", "false"])
def test_a_master_pass_never_starts_from_afar_either(asks_csms: str) -> None:
    world = idle(keys={**QUIET, **MASTER, "AuthCtrlr.AuthorizeRemoteStart": asks_csms})
    world.csms.token_info[POLICE] = info(group="POLICE")
    world.ev(1).plugs_in()
    world.runs(seconds=5)
    group: Any = {"idToken": "POLICE", "type": "Central"}
    answer = remote_start(world, 7, POLICE, evseId=1, groupIdToken=group)
    assert (answer["status"], answer["statusInfo"]["reasonCode"]) == ("Rejected", "InvalidIdToken")
    remote_start(world, 8, POLICE, evseId=1)
    world.runs(seconds=60)
    assert world.outlets[1].permitted is (asks_csms == "false"), "nobody told the station of its group"


@req("C16.FR.02")
def test_without_a_master_pass_group_nobody_is_a_master() -> None:
    world = idle(keys=QUIET)
    world.csms.token_info[POLICE] = info(group="")
    charge(world)
    world.ev(1).presents(POLICE)
    world.runs(seconds=30)
    assert world.outlets[1].amps > 6


@req("C15.FR.05", "E05.FR.11", "C16.FR.02")
@pytest.mark.parametrize(("shown", "freed"), [(CARD, True), (OTHER, False), (POLICE, True)])
def test_a_cable_that_is_kept_for_its_owner_is_freed_by_him_or_by_a_master(shown: str, freed: bool) -> None:
    world = idle((raw(32, cable="socket"),), keys={**QUIET, **MASTER})
    world.csms.token_info[POLICE] = info(group="POLICE")
    told = world.csms.token_info
    world.csms.answers("Authorize", lambda p: {"idTokenInfo": told.get(p["idToken"]["idToken"], info())})
    world.csms.blocked_tokens.add(CARD)
    world.ev(1).plugs_in(cable_amps=32).presents(CARD)
    world.runs(seconds=60)
    assert world.csms.transaction(1).stopped_reason == "DeAuthorized" and world.outlets[1].locked
    assert first(world.csms.transaction(1))["idToken"]["idToken"] == CARD
    world.ev(1).presents(shown)
    world.runs(seconds=20)
    assert world.outlets[1].locked is not freed
