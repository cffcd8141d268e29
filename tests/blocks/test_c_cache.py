"""C10 to C12: what the station remembers of the CSMS's answers, for how long, and how it is made to forget."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agent.core.events import StoreReported
from tests.blocks.stories import (
    CARD,
    OTHER,
    QUIET,
    first,
    get_variable,
    heard,
    idle,
    remote_start,
    set_variable,
)
from tests.marks import req
from tests.sim.transactions import Payload
from tests.sim.world import World

TRUSTING = {**QUIET, "AuthCtrlr.LocalPreAuthorize": "true"}


def says(world: World, status: str = "Accepted", **more: Any) -> None:
    """What the CSMS says of every token from now on, in both kinds of answer."""
    world.csms.token_info["*"] = {"status": status, **more}


def asks(world: World) -> int:
    """How often the CSMS was asked."""
    return len(heard(world, "Authorize"))


def visit(world: World, card: str = CARD, *, seconds: float = 20) -> bool:
    """Somebody plugs in, shows a card, and leaves; whether energy flowed."""
    world.ev(1).plugs_in().presents(card)
    world.runs(seconds=seconds)
    charged = world.outlets[1].amps > 6
    world.ev(1).unplugs()
    world.runs(seconds=20)
    return charged


def cached(status: str = "Accepted", *, keys: dict[str, str] | None = None, **more: Any) -> World:
    """A station that trusts its cache and has asked for CARD once."""
    world = idle(keys=TRUSTING | (keys or {}))
    says(world, status, **more)
    assert visit(world) is (status == "Accepted") and asks(world) == 1
    return world


# ---------------------------------------------------------------------------------------- used


@req("C12.FR.02", "C12.FR.04", "C10.FR.01", "C10.FR.04")
def test_a_card_that_was_accepted_before_is_not_asked_for_again() -> None:
    world = cached()
    assert visit(world) and asks(world) == 1
    assert first(world.csms.transaction(2))["idToken"]["idToken"] == CARD
    world.settles()


@req("C10.FR.11", "C01.FR.02", "C01.FR.05")
def test_without_local_pre_authorize_the_cache_starts_nothing_online() -> None:
    """TC_C_36."""
    world = cached()
    assert set_variable(world, "AuthCtrlr.LocalPreAuthorize", "false") == "Accepted"
    assert visit(world) and asks(world) == 2


@req("C10.FR.03", "C12.FR.05", "C10.FR.01")
@pytest.mark.parametrize("status", ["Invalid", "Blocked", "Expired", "ConcurrentTx"])
def test_a_card_that_was_refused_before_is_asked_for_again_and_may_be_good_now(status: str) -> None:
    world = cached(status)
    says(world)
    assert visit(world) and asks(world) == 2


@req("C10.FR.03", "C12.FR.05")
def test_by_key_a_card_that_was_refused_before_is_refused_without_asking() -> None:
    """TC_C_57."""
    world = cached("Invalid", keys={"AuthCacheCtrlr.DisablePostAuthorize": "true"})
    says(world)
    assert not visit(world) and asks(world) == 1
    assert visit(world, OTHER) and asks(world) == 2


@req("C12.FR.02", "C13.FR.03")
def test_offline_the_cache_lets_in_whom_it_knows() -> None:
    world = cached()
    world.csms.vanishes()
    world.runs(seconds=5)
    assert visit(world) and not visit(world, OTHER)


@req("C13.FR.04")
@pytest.mark.parametrize(("status", "local", "charges"), [("Blocked", "true", False), ("Accepted", "false", False)])
def test_offline_a_cached_card_is_not_an_unknown_one(status: str, local: str, charges: bool) -> None:
    keys = {"AuthCtrlr.OfflineTxForUnknownIdEnabled": "true", "AuthCtrlr.LocalAuthorizeOffline": local}
    world = cached(status, keys=keys)
    world.csms.vanishes()
    world.runs(seconds=5)
    assert visit(world) is charges and visit(world, OTHER)


@req("C01.FR.21")
def test_the_cache_remembers_for_which_evses_a_card_is_good() -> None:
    world = idle(keys=TRUSTING)
    says(world, evseId=[2])
    visit(world)
    assert not visit(world) and asks(world) == 1


# ---------------------------------------------------------------------------------------- kept up to date


@req("C10.FR.05", "C12.FR.06")
def test_the_answer_to_an_event_is_remembered_too() -> None:
    """TC_C_34: accepted from the cache, refused in the answer to the event; the next time the CSMS is asked."""
    world = cached()
    says(world, "Invalid")
    visit(world)
    assert asks(world) == 1
    visit(world)
    assert asks(world) == 2


@req("C10.FR.05", "C15.FR.01")
def test_a_card_let_in_unknown_is_remembered_only_when_the_csms_has_spoken() -> None:
    world = idle(keys={**TRUSTING, "AuthCtrlr.OfflineTxForUnknownIdEnabled": "true"})
    says(world)
    world.csms.vanishes()
    world.runs(seconds=5)
    assert visit(world) and rows(world) == {}
    world.csms.returns()
    world.until(lambda: bool(rows(world)), within_s=600)
    assert visit(world) and asks(world) == 0


def rows(world: World) -> Payload:
    """What is on flash of the cache: every row of every page."""
    table = world.disk.tables.get("cache", {})
    pages = [json.loads(json.loads(text)) for key, text in table.items() if key != "salt"]
    return {name: row for page in pages for name, row in page.items()}


@req("C10.FR.12", "C04.FR.04")
def test_neither_store_nor_pages_tell_whose_card_it_was() -> None:
    one, other = cached(), idle(keys=TRUSTING, seed=2)
    visit(other)
    text = json.dumps(one.disk.tables["cache"])
    assert CARD not in text and CARD.lower() not in text and len(rows(one)) == 1
    assert rows(one).keys() != rows(other).keys(), "every station has its own salt"


@req("C10.FR.09")
def test_no_text_for_the_driver_is_kept() -> None:
    world = cached(personalMessage={"format": "UTF8", "content": "0.30 EUR/kWh"}, language1="de")
    assert "EUR" not in json.dumps(world.disk.tables["cache"])


@req("C02.FR.03", "C03.FR.02", "C05.FR.02")
def test_buttons_and_tokens_of_the_csms_itself_are_never_kept() -> None:
    world = idle(keys={**TRUSTING, "FreeCharging.Enabled": "true"})
    says(world)
    world.ev(1).plugs_in()
    world.runs(seconds=30)
    assert first(world.csms.transaction(1))["idToken"]["type"] == "NoAuthorization"
    world.ev(1).unplugs()
    world.runs(seconds=20)
    set_variable(world, "FreeCharging.Enabled", "false")
    remote_start(world, 3, "SESSION-1", type="Central", evseId=1)
    world.ev(1).plugs_in()
    world.runs(seconds=30)
    assert first(world.csms.transaction(2))["idToken"]["type"] == "Central" and rows(world) == {}


@req("C10.FR.02", "C04.FR.03")
def test_it_survives_a_power_cut() -> None:
    """TC_C_32."""
    world = cached()
    world.loses_power("all").returns_after(seconds=60)
    world.runs(minutes=3)
    assert visit(world) and asks(world) == 1


# ---------------------------------------------------------------------------------------- how long


@req("C10.FR.08", "C10.FR.10")
def test_the_lifetime_counts_from_the_last_answer() -> None:
    """TC_C_46."""
    world = cached(keys={"AuthCacheCtrlr.LifeTime": "3600"})
    world.runs(minutes=50)
    assert visit(world) and asks(world) == 1
    world.runs(minutes=50)
    assert visit(world) and asks(world) == 1, "the answer to the last event renewed it"
    world.runs(minutes=61)
    assert visit(world) and asks(world) == 2


@req("C10.FR.08")
def test_a_lifetime_of_zero_never_ends() -> None:
    world = cached(keys={"AuthCacheCtrlr.LifeTime": "0"})
    world.runs(hours=30)
    assert visit(world) and asks(world) == 1


@req("C10.FR.13", "C10.FR.10")
def test_a_date_of_the_csms_wins_over_the_lifetime() -> None:
    world = cached(keys={"AuthCacheCtrlr.LifeTime": "60"}, cacheExpiryDateTime="2026-03-01T13:00:00Z")
    world.runs(minutes=30)
    assert visit(world) and asks(world) == 1
    world.runs(minutes=30)
    assert visit(world) and asks(world) == 2


@req("C10.FR.10", "C10.FR.13")
def test_a_date_in_the_past_keeps_a_card_out_and_throws_it_out() -> None:
    world = cached()
    assert len(rows(world)) == 1
    says(world, cacheExpiryDateTime="2026-01-01T00:00:00Z")
    assert visit(world) and rows(world) == {}
    assert visit(world) and asks(world) == 2


@req("C10.FR.10")
def test_without_a_clock_no_lifetime_can_be_trusted() -> None:
    world = cached()
    world.csms.vanishes()
    world.clock.synchronised = False
    world.loses_power("all").returns_after(seconds=60)
    world.runs(minutes=3)
    assert not visit(world)


@req("C10.FR.01")
def test_storage_tells_how_much_is_taken() -> None:
    world = cached()
    taken = int(get_variable(world, "AuthCacheCtrlr.Storage") or 0)
    assert 0 < taken < 300
    visit(world, OTHER)
    assert int(get_variable(world, "AuthCacheCtrlr.Storage") or 0) > taken


@req("C10.FR.07")
@pytest.mark.parametrize(("policy", "gone"), [("FIFO", "0"), ("LRU", "1"), ("LFU", "2")])
def test_in_a_full_cache_the_key_says_who_makes_room(policy: str, gone: str) -> None:
    """0 came first, 1 has been away the longest, 2 comes the least often; each takes a third of all room."""
    world = idle(keys={**TRUSTING, "AuthCacheCtrlr.LifeTime": "0", "AuthCacheCtrlr.Policy": policy})
    says(world, evseId=list(range(1, 12_000)))
    for card in "012" + "111" + "2" + "00" + "3":
        assert visit(world, f"0400000{card}")
    assert asks(world) == 4 and int(get_variable(world, "AuthCacheCtrlr.Storage") or 0) > 150_000
    world.csms.vanishes()
    world.runs(seconds=5)
    assert [card for card in "0123" if not visit(world, f"0400000{card}")] == [gone]


# ---------------------------------------------------------------------------------------- switched off, cleared


@req("C10.FR.11", "C11.FR.04", "C11.FR.02")
def test_switched_off_it_is_neither_read_nor_written_nor_cleared() -> None:
    """TC_C_38."""
    world = cached()
    before = rows(world)
    set_variable(world, "AuthCacheCtrlr.Enabled", "false")
    assert visit(world) and asks(world) == 2
    answer = world.csms_asks("ClearCache", {})
    assert (answer["status"], answer["statusInfo"]["reasonCode"]) == ("Rejected", "NotEnabled")
    assert rows(world) == before, "switching it off changes nothing in it"
    set_variable(world, "AuthCacheCtrlr.Enabled", "true")
    assert visit(world) and asks(world) == 2


@req("C11.FR.01", "C11.FR.02", "C11.FR.03")
def test_cleared_it_knows_nobody() -> None:
    """TC_C_37."""
    world = cached()
    assert world.csms_asks("ClearCache", {})["status"] == "Accepted"
    assert rows(world) == {} and get_variable(world, "AuthCacheCtrlr.Storage") == "0"
    assert visit(world) and asks(world) == 2
    assert visit(world) and asks(world) == 2
    world.settles()


@req("C11.FR.05")
def test_a_cache_that_cannot_be_cleared_says_so() -> None:
    world = cached()
    world.hear(StoreReported("full"))
    assert world.csms_asks("ClearCache", {})["status"] == "Rejected"
    assert len(rows(world)) == 1
