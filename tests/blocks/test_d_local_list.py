"""D01 and D02: the local authorization list, whole or in parts, all or nothing, up to its 10,000 tokens."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agent.core.events import StoreReported
from tests.blocks.stories import CARD, OTHER, QUIET, get_variable, heard, idle, list_entry, send_list, set_variable
from tests.marks import req
from tests.sim.transactions import Payload
from tests.sim.world import World

TRUSTING = {**QUIET, "AuthCtrlr.LocalPreAuthorize": "true"}


@pytest.fixture
def world() -> World:
    """A station that lets in whom its list names."""
    return idle(keys=TRUSTING)


def version(world: World) -> int:
    """GetLocalListVersion."""
    return int(world.csms_asks("GetLocalListVersion", {})["versionNumber"])


def entries(world: World) -> int:
    return int(get_variable(world, "LocalAuthListCtrlr.Entries") or -1)


def removed(card: str) -> Payload:
    """An entry without idTokenInfo."""
    return {"idToken": {"idToken": card, "type": "ISO14443"}}


def listed(world: World, card: str) -> bool:
    """Whether the card is let in, offline, by the list alone."""
    if world.csms.connection is not None:
        world.csms.vanishes()
        world.runs(seconds=5)
    world.ev(1).plugs_in().presents(card)
    world.runs(seconds=20)
    found = world.outlets[1].permitted
    world.ev(1).unplugs()
    world.runs(seconds=20)
    return found


def reason(answer: Payload) -> tuple[str, str]:
    return answer["status"], answer["statusInfo"]["reasonCode"]


# ---------------------------------------------------------------------------------------- D02


@req("D02.FR.01", "D02.FR.02", "D01.FR.15", "D01.FR.02")
def test_the_version_is_zero_until_there_is_a_list(world: World) -> None:
    assert version(world) == 0
    assert send_list(world, list_entry(CARD), version=7) == {"status": "Accepted"}
    assert version(world) == 7 and entries(world) == 1


@req("D02.FR.03", "D01.FR.13")
def test_switched_off_there_is_no_list_and_it_takes_nothing(world: World) -> None:
    """TC_D_10."""
    send_list(world, list_entry(CARD), version=7)
    set_variable(world, "LocalAuthListCtrlr.Enabled", "false")
    assert version(world) == 0
    assert reason(send_list(world, list_entry(OTHER), version=8)) == ("Failed", "NotEnabled")
    assert not listed(world, CARD)
    world.csms.returns()
    world.until(lambda: world.csms.connection is not None, within_s=600)
    set_variable(world, "LocalAuthListCtrlr.Enabled", "true")
    assert version(world) == 7 and listed(world, CARD)


# ---------------------------------------------------------------------------------------- D01


@req("D01.FR.15", "D01.FR.02")
def test_a_full_list_replaces_the_old_one_whatever_its_version(world: World) -> None:
    send_list(world, list_entry(CARD), version=7)
    assert send_list(world, list_entry(OTHER), version=3)["status"] == "Accepted"
    assert version(world) == 3 and entries(world) == 1
    assert listed(world, OTHER) and not listed(world, CARD)


@req("D01.FR.04")
def test_a_full_list_without_entries_empties_it(world: World) -> None:
    """TC_D_04."""
    send_list(world, list_entry(CARD), version=1)
    assert send_list(world, version=2)["status"] == "Accepted"
    assert (version(world), entries(world)) == (2, 0) and not listed(world, CARD)


@req("D01.FR.16", "D01.FR.17")
def test_a_differential_one_adds_changes_and_removes(world: World) -> None:
    """TC_D_02, TC_D_03."""
    send_list(world, list_entry(CARD), list_entry(OTHER), version=1)
    change = (list_entry("04A0"), list_entry(OTHER, "Blocked"), removed(CARD), removed("04B0"))
    assert send_list(world, *change, version=2, kind="Differential")["status"] == "Accepted"
    assert (version(world), entries(world)) == (2, 2)
    assert listed(world, "04A0") and not listed(world, OTHER) and not listed(world, CARD)


@req("D01.FR.05")
def test_a_differential_one_without_entries_only_changes_the_version(world: World) -> None:
    """TC_D_05."""
    send_list(world, list_entry(CARD), version=1)
    assert send_list(world, version=2, kind="Differential")["status"] == "Accepted"
    assert (version(world), entries(world)) == (2, 1) and listed(world, CARD)


@req("D01.FR.19", "D01.FR.02")
@pytest.mark.parametrize("late", [5, 4])
def test_a_differential_one_for_another_version_changes_nothing(world: World, late: int) -> None:
    """TC_D_06."""
    send_list(world, list_entry(CARD), version=5)
    answer = send_list(world, list_entry(OTHER), version=late, kind="Differential")
    assert answer["status"] == "VersionMismatch"
    assert (version(world), entries(world)) == (5, 1) and not listed(world, OTHER)


def many(count: int, first: int = 0) -> list[Payload]:
    """That many different entries."""
    return [list_entry(f"04{i:012X}") for i in range(first, first + count)]


WRONG: list[tuple[str, list[Payload], Payload]] = [
    ("InvalidValue", [list_entry(OTHER), list_entry(OTHER.lower())], {}),
    ("InvalidValue", [list_entry(OTHER), removed(OTHER)], {"kind": "Differential"}),
    ("MissingParam", [list_entry(OTHER), removed(CARD)], {}),
    ("TooManyElements", many(101), {}),
    ("ValuePositiveOnly", [list_entry(OTHER)], {"version": 0}),
    ("ValuePositiveOnly", [list_entry(OTHER)], {"version": -3, "kind": "Differential"}),
]


@req("D01.FR.02", "D01.FR.06", "D01.FR.18", "D01.FR.11")
@pytest.mark.parametrize(("why", "sent", "options"), WRONG, ids=[f"{i}-{why}" for i, (why, *_) in enumerate(WRONG)])
def test_a_wrong_update_fails_as_a_whole(world: World, why: str, sent: list[Payload], options: Any) -> None:
    send_list(world, list_entry(CARD), version=5)
    assert reason(send_list(world, *sent, **{"version": 6, **options})) == ("Failed", why)
    assert (version(world), entries(world)) == (5, 1)
    assert listed(world, CARD) and not listed(world, OTHER)


@req("D01.FR.11")
def test_a_message_larger_than_it_says_is_refused(world: World) -> None:
    most = int(get_variable(world, "LocalAuthListCtrlr.BytesPerMessage") or 0)
    text = {"format": "UTF8", "content": "x" * 500}
    sent = [list_entry(f"04{i:034X}", personalMessage=text, language1="de") for i in range(100)]
    assert len(json.dumps(sent)) > most
    request = {"versionNumber": 1, "updateType": "Full", "localAuthorizationList": sent}
    exchange = world.csms.sends("SendLocalList", request)
    world.until(lambda: exchange.done, within_s=10)
    assert exchange.error is not None and exchange.error[0] == "FormatViolation"
    assert (version(world), entries(world)) == (0, 0)


@req("D01.FR.02")
def test_a_list_that_cannot_be_stored_fails(world: World) -> None:
    world.hear(StoreReported("full"))
    assert reason(send_list(world, list_entry(CARD))) == ("Failed", "OutOfStorage")
    assert version(world) == 0


@req("D01.FR.09", "C10.FR.05")
def test_what_the_csms_says_of_a_token_elsewhere_does_not_change_the_list() -> None:
    world = idle(keys=TRUSTING)
    send_list(world, list_entry(CARD))
    world.csms.token_info["*"] = {"status": "Blocked"}
    world.ev(1).plugs_in().presents(CARD)
    world.runs(seconds=30)
    assert world.csms.transaction(1).stopped_reason is None or world.csms.transaction(1).ended
    world.ev(1).unplugs()
    world.runs(seconds=30)
    assert listed(world, CARD)


@req("D01.FR.10")
def test_it_survives_a_power_cut_together_with_its_version(world: World) -> None:
    """TC_D_07: an update is on flash as a whole when its answer is out, and not at all when it was cut off."""
    send_list(world, list_entry(CARD), version=4)
    world.disk.latency_ms = (10_000, 10_000)
    world.csms.sends("SendLocalList", {"versionNumber": 5, "updateType": "Full"})
    world.runs(seconds=1)
    world.loses_power("none").returns_after(seconds=30)
    world.disk.latency_ms = (2, 25)
    world.runs(minutes=2)
    assert (version(world), entries(world)) == (4, 1) and listed(world, CARD)


# ---------------------------------------------------------------------------------------- expiry, precedence


@req("C13.FR.05", "C13.FR.06")
@pytest.mark.parametrize("unknown", ["false", "true"])
def test_offline_a_listed_card_is_good_until_its_date(unknown: str) -> None:
    world = idle(keys={**QUIET, "AuthCtrlr.OfflineTxForUnknownIdEnabled": unknown})
    send_list(world, list_entry(CARD, cacheExpiryDateTime="2026-03-01T13:00:00Z"))
    assert listed(world, CARD)
    world.runs(hours=1)
    assert not listed(world, CARD) and listed(world, OTHER) is (unknown == "true")


@req("C14.FR.04", "C14.FR.05")
def test_online_a_listed_card_is_asked_for_after_its_date(world: World) -> None:
    send_list(world, list_entry(CARD, cacheExpiryDateTime="2026-03-01T13:00:00Z"))
    for visits, asked in ((1, 0), (2, 1)):
        world.ev(1).plugs_in().presents(CARD)
        world.runs(seconds=30)
        assert world.outlets[1].amps > 6 and len(heard(world, "Authorize")) == asked, visits
        world.ev(1).unplugs()
        world.runs(hours=1)


@req("C13.FR.05")
def test_without_a_clock_a_card_with_a_date_cannot_be_trusted(world: World) -> None:
    send_list(world, list_entry(CARD, cacheExpiryDateTime="2030-01-01T00:00:00Z"), list_entry(OTHER))
    world.csms.vanishes()
    world.clock.synchronised = False
    world.loses_power("all").returns_after(seconds=30)
    world.runs(minutes=2)
    assert not listed(world, CARD) and listed(world, OTHER)


@req("C13.FR.01", "C14.FR.01")
@pytest.mark.parametrize("online", [True, False])
def test_the_list_wins_over_the_cache(online: bool) -> None:
    """TC_C_25: accepted in the cache, Invalid on the list."""
    world = idle(keys={**TRUSTING, "AuthCtrlr.OfflineTxForUnknownIdEnabled": "true"})
    world.ev(1).plugs_in().presents(CARD).after(seconds=20).unplugs()
    world.runs(minutes=1)
    assert len(heard(world, "Authorize")) == 1
    send_list(world, list_entry(CARD, "Invalid"))
    if online:
        world.csms.blocked_tokens.add(CARD)
        world.ev(1).plugs_in().presents(CARD)
        world.runs(seconds=30)
        assert not world.outlets[1].permitted and len(heard(world, "Authorize")) == 2
    else:
        assert not listed(world, CARD)


@req("C14.FR.03")
@pytest.mark.parametrize(("final", "asked"), [("true", 0), ("false", 1)])
def test_by_key_a_listed_card_that_is_not_accepted_is_refused_without_asking(final: str, asked: int) -> None:
    """TC_C_58, TC_C_31."""
    world = idle(keys={**TRUSTING, "LocalAuthListCtrlr.DisablePostAuthorize": final})
    send_list(world, list_entry(CARD, "Invalid"))
    world.ev(1).plugs_in().presents(CARD)
    world.runs(seconds=30)
    assert len(heard(world, "Authorize")) == asked and (world.outlets[1].amps > 6) is bool(asked)


@req("C01.FR.21")
def test_a_list_entry_is_good_for_its_evses_only(world: World) -> None:
    send_list(world, list_entry(CARD, evseId=[2]), list_entry(OTHER, evseId=[1]))
    assert not listed(world, CARD) and listed(world, OTHER)


# ---------------------------------------------------------------------------------------- 10,000


@req("D01.FR.12", "D01.FR.16", "D01.FR.11", "D01.FR.10")
def test_ten_thousand_tokens_fit_and_the_next_does_not(world: World) -> None:
    """Sent as a CSMS has to: a hundred in each message."""
    first, *rest = (many(100, 100 * i) for i in range(100))
    assert send_list(world, *first, version=1)["status"] == "Accepted"
    for number, part in enumerate(rest, start=2):
        assert send_list(world, *part, version=number, kind="Differential")["status"] == "Accepted"
    assert (version(world), entries(world)) == (100, 10_000)
    assert reason(send_list(world, *many(1, 10_000), version=101, kind="Differential")) == ("Failed", "OutOfStorage")
    taken = int(get_variable(world, "LocalAuthListCtrlr.Storage") or 0)
    assert 10_000 * 30 < taken < 1_000_000
    world.loses_power("all").returns_after(seconds=30)
    world.runs(minutes=2)
    assert (version(world), entries(world)) == (100, 10_000)
    assert listed(world, f"04{9_999:012X}") and not listed(world, f"04{10_000:012X}")
