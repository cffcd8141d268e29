"""Without a CSMS, or with one that was never reached since the start: exactly what the keys say is allowed."""

from __future__ import annotations

import pytest

from tests.blocks.stories import CARD, OTHER, QUIET, idle, list_entry, send_list
from tests.marks import req
from tests.sim.outlet import raw
from tests.sim.world import World

UNKNOWN, KNOWN, BEFORE = (
    "AuthCtrlr.OfflineTxForUnknownIdEnabled", "AuthCtrlr.LocalAuthorizeOffline", "TxCtrlr.TxBeforeAcceptedEnabled",
)  # fmt: skip
POLICE = "04900110"


def alone(**keys: str) -> World:
    """A board without [network] in its board.toml."""
    return World((raw(32), raw(32)), keys={**QUIET, **keys}, network=False).runs(seconds=20)


def unreached(keys: dict[str, str]) -> World:
    """A station that knew its CSMS, and starts where that cannot be reached. CARD is listed, OTHER was seen before."""
    world = idle((raw(32), raw(32)), keys={**QUIET, **keys, "AuthCtrlr.MasterPassGroupId": "POLICE"})
    world.ev(1).plugs_in().presents(OTHER).after(seconds=20).unplugs()
    world.runs(seconds=50)
    send_list(world, list_entry(CARD), list_entry("04B10C", "Blocked"), list_entry(POLICE, group="POLICE"))
    world.csms.vanishes()
    world.loses_power("all").returns_after(seconds=10)
    return world.runs(seconds=30)


def charges(world: World, card: str, evse: int = 1) -> bool:
    """Whether a card lets energy flow; the driver leaves afterwards."""
    world.ev(evse).plugs_in().presents(card)
    world.runs(seconds=20)
    found = world.outlets[evse].permitted
    world.ev(evse).unplugs()
    world.runs(seconds=20)
    return found


@req("C01.FR.01", "C15.FR.08", "C13.FR.04")
@pytest.mark.parametrize(("key", "allowed"), [("false", False), ("true", True)])
def test_alone_a_card_starts_only_where_unknown_cards_may(key: str, allowed: bool) -> None:
    world = alone(**{UNKNOWN: key})
    assert charges(world, CARD) is allowed
    assert world.network.connects == 0, "nobody was dialled"


@req("C01.FR.03")
def test_alone_the_same_card_stops_and_another_does_not() -> None:
    world = alone(**{UNKNOWN: "true"})
    world.ev(1).plugs_in().presents(CARD)
    world.runs(seconds=30)
    world.ev(1).presents(OTHER)
    world.runs(seconds=10)
    assert world.outlets[1].amps > 6
    world.ev(1).after(seconds=5).presents(CARD)
    world.runs(seconds=30)
    assert not world.outlets[1].permitted


@req("C02.FR.01")
@pytest.mark.parametrize(
    ("keys", "by_plug", "by_button"),
    [
        ({}, False, False),
        ({"FreeCharging.StartButton": "true"}, False, True),
        ({"FreeCharging.Enabled": "true"}, True, True),
        ({"AuthCtrlr.Enabled": "false"}, True, True),
    ],
)
def test_alone_charging_is_as_free_as_the_keys_say(keys: dict[str, str], by_plug: bool, by_button: bool) -> None:
    world = alone(**keys)
    world.ev(1).plugs_in()
    world.runs(seconds=30)
    assert (world.outlets[1].amps > 6) is by_plug
    if not by_plug:
        world.ev(1).presents("", kind="NoAuthorization")
        world.runs(seconds=30)
    assert (world.outlets[1].amps > 6) is by_button


@req("B02.FR.03", "C13.FR.02", "C13.FR.04", "C12.FR.02")
@pytest.mark.parametrize(
    ("keys", "listed", "cached", "stranger"),
    [
        ({}, True, True, False),
        ({KNOWN: "false"}, False, False, False),
        ({UNKNOWN: "true"}, True, True, True),
        ({KNOWN: "false", UNKNOWN: "true"}, False, False, True),
        ({BEFORE: "false"}, False, False, False),
        ({BEFORE: "false", UNKNOWN: "true"}, False, False, False),
        ({"LocalAuthListCtrlr.Enabled": "false"}, False, True, False),
        ({"AuthCacheCtrlr.Enabled": "false"}, True, False, False),
    ],
)
def test_never_reached_list_and_cache_are_used_as_the_keys_say(
    keys: dict[str, str], listed: bool, cached: bool, stranger: bool
) -> None:
    if "LocalAuthListCtrlr.Enabled" in keys:
        world = unreached({})
        world.asks_station("config.set", name="LocalAuthListCtrlr.Enabled", value="false")
    else:
        world = unreached(keys)
    assert charges(world, CARD) is listed
    assert charges(world, OTHER) is cached
    assert charges(world, "04FFFFFF") is stranger
    assert not charges(world, "04B10C"), "a card that is blocked on the list is not an unknown one"


@req("C16.FR.02", "C16.FR.05")
def test_never_reached_a_listed_master_pass_stops_all() -> None:
    world = unreached({})
    world.ev(1).plugs_in().presents(CARD)
    world.ev(2).plugs_in().presents(OTHER)
    world.runs(seconds=30)
    assert all(outlet.amps >= 6 for outlet in world.outlets.values())
    world.ev(1).presents(POLICE)
    world.runs(seconds=30)
    assert not any(outlet.permitted for outlet in world.outlets.values())


@req("C15.FR.02", "E04.FR.01")
def test_what_charged_alone_is_told_when_the_csms_is_reached_at_last() -> None:
    world = unreached({})
    assert charges(world, CARD)
    world.csms.returns()
    world.until(lambda: len(world.csms.transactions) == 2 and world.csms.transaction(2).ended, within_s=600)
    assert all(world.csms.transaction(2).offline)
    world.settles()
