"""C01, C09, C15: who may charge, where, and what a slow, refusing or absent CSMS changes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.blocks.stories import (
    CARD,
    OFFLINE_FOR_ALL,
    OTHER,
    QUIET,
    back_online,
    carrying,
    charge,
    charging,
    first,
    heard,
    idle,
    last,
    spoken,
    trail,
)
from tests.marks import req
from tests.sim.outlet import raw, smart
from tests.sim.world import World

TWO = (smart(16), raw(32))


@pytest.fixture
def world() -> World:
    """Two EVSEs, registered and idle."""
    return idle(TWO, keys=QUIET)


def says(world: World, status: str = "Accepted", **more: Any) -> None:
    """The CSMS answers every Authorize like this."""
    world.csms.answers("Authorize", lambda _: {"idTokenInfo": {"status": status, **more}})


def group(name: str) -> dict[str, Any]:
    """groupIdToken as a field of idTokenInfo."""
    return {"groupIdToken": {"idToken": name, "type": "Central"}}


# ---------------------------------------------------------------------------------------- C01


@req("C01.FR.01", "C01.FR.02")
def test_an_accepted_card_charges_and_is_asked_for_once(world: World) -> None:
    world.ev(2).plugs_in()
    world.runs(minutes=2)
    assert not world.outlets[2].permitted
    charge(world, 2)
    assert world.csms.requests("Authorize") == [{"idToken": {"idToken": CARD, "type": "ISO14443"}}]
    world.settles()


@req("C01.FR.01", "C01.FR.02", "E02.FR.20")
@pytest.mark.parametrize("status", ["Blocked", "Unknown", "Expired", "Invalid", "NoCredit", "ConcurrentTx"])
def test_a_card_that_is_not_accepted_gets_no_energy_and_makes_no_event(world: World, status: str) -> None:
    says(world, status)
    world.ev(2).plugs_in().presents(CARD)
    world.runs(minutes=2)
    assert not world.outlets[2].permitted and not world.csms.transactions
    assert heard(world, "TransactionEvent") == []


@req("C01.FR.02")
def test_an_answer_later_than_the_message_timeout_starts_nothing(world: World) -> None:
    """Bug I7: a late Accepted must not energise."""
    world.ev(2).plugs_in().presents(CARD)
    world.csms.latency_ms = (45_000, 45_000)
    world.runs(minutes=3)
    assert not world.outlets[2].permitted and "TransactionEvent" not in spoken(world)


@req("C01.FR.02")
def test_an_answer_within_the_message_timeout_starts(world: World) -> None:
    world.ev(2).plugs_in().presents(CARD)
    world.csms.latency_ms = (20_000, 20_000)
    world.runs(seconds=60)
    assert world.outlets[2].amps > 6


@req("C01.FR.02")
@pytest.mark.parametrize("code", ["InternalError", "NotImplemented", "SecurityError"])
def test_a_call_error_is_no_permission(world: World, code: str) -> None:
    world.csms.fails("Authorize", code=code)
    world.ev(2).plugs_in().presents(CARD)
    world.runs(minutes=1)
    assert not world.outlets[2].permitted


@req("C01.FR.01")
def test_a_car_that_left_while_the_csms_thought_about_it_does_not_authorise_the_next_for_ever(world: World) -> None:
    world.csms.latency_ms = (5_000, 5_000)
    world.ev(2).plugs_in().presents(CARD).unplugs()
    world.runs(minutes=3)
    world.ev(2).plugs_in()
    world.runs(minutes=1)
    assert not world.outlets[2].permitted
    world.settles()


@req("C01.FR.21")
def test_a_card_for_other_evses_only_is_refused_here(world: World) -> None:
    says(world, evseId=[1])
    world.ev(2).plugs_in().presents(CARD)
    world.runs(minutes=1)
    assert not world.outlets[2].permitted


@req("C01.FR.21")
def test_a_common_reader_picks_an_evse_for_which_the_card_is_good(world: World) -> None:
    says(world, evseId=[2])
    world.ev(1).presents(CARD, evses=(1, 2))
    world.ev(2).after(seconds=10).plugs_in()
    world.runs(minutes=1)
    assert world.outlets[2].amps > 6


@req("C01.FR.03", "E07.FR.01", "E07.FR.02")
@pytest.mark.parametrize("shown", [CARD, CARD.lower()])
def test_the_same_card_stops_without_asking_the_csms(world: World, shown: str) -> None:
    charge(world, 2)
    world.ev(2).after(seconds=20).presents(shown)
    world.runs(minutes=1)
    assert world.csms.transaction(1).ended and len(heard(world, "Authorize")) == 1
    assert last(world.csms.transaction(1))["idToken"]["idToken"].upper() == CARD
    world.settles()


@req("C01.FR.02", "C09.FR.05")
def test_another_card_changes_nothing_at_a_busy_evse(world: World) -> None:
    """TC_C_04."""
    charge(world, 2)
    world.ev(2).after(seconds=20).presents(OTHER)
    world.runs(minutes=1)
    assert world.outlets[2].amps > 6 and not world.csms.transaction(1).ended
    world.settles()


@req("C01.FR.03")
def test_a_card_that_lies_on_the_reader_is_one_presentation(world: World) -> None:
    driver = world.ev(2).plugs_in().presents(CARD)
    for _ in range(10):
        driver.presents(CARD)
    world.runs(seconds=40)
    assert len(heard(world, "Authorize")) == 1 and world.outlets[2].amps > 6
    world.settles()


@req("C01.FR.26", "E03.FR.05")
def test_the_card_at_the_wrong_evse_lapses_and_the_right_one_stays_dark(world: World) -> None:
    world.ev(2).plugs_in()
    world.ev(1).after(seconds=3).presents(CARD)
    world.runs(minutes=5)
    assert not world.outlets[2].permitted and not world.outlets[1].permitted
    world.ev(1).plugs_in()
    world.runs(minutes=1)
    assert not world.outlets[1].permitted


@req("C01.FR.01")
def test_two_drivers_at_a_common_reader_each_get_their_own_evse(world: World) -> None:
    world.ev(1).plugs_in().presents(CARD, evses=(1, 2))
    world.ev(2).after(seconds=20).plugs_in().presents(OTHER, evses=(1, 2))
    world.runs(minutes=1)
    assert world.outlets[1].amps > 6 and world.outlets[2].amps > 6
    tokens = {t.evse: first(t)["idToken"]["idToken"] for t in world.csms.transactions.values()}
    assert tokens == {1: CARD, 2: OTHER}
    world.settles()


@req("C01.FR.01")
def test_a_car_that_comes_while_the_csms_is_asked_is_the_one_that_is_meant(world: World) -> None:
    world.csms.latency_ms = (9_000, 9_000)
    world.ev(1).presents(CARD, evses=(1, 2))
    world.ev(2).after(seconds=5).plugs_in()
    world.runs(minutes=1)
    assert world.outlets[2].amps > 6 and not world.outlets[1].permitted
    world.settles()


@req("C01.FR.23")
def test_a_transaction_that_is_over_for_its_card_is_not_taken_by_another() -> None:
    world = charging(keys={**QUIET, "TxCtrlr.TxStopPoint": "EVConnected"})
    world.ev(1).presents(CARD).after(seconds=10).presents(OTHER)
    world.runs(minutes=1)
    assert not world.outlets[1].permitted and len(world.csms.transactions) == 1
    world.ev(1).presents(CARD)
    world.runs(minutes=1)
    assert world.outlets[1].amps > 6 and len(world.csms.transactions) == 1
    world.settles()


# ---------------------------------------------------------------------------------------- C13, C14


def on_the_list(world: World, status: str, **keys: str) -> None:
    """The local list says this of CARD."""
    entry = {"idToken": {"idToken": CARD, "type": "ISO14443"}, "idTokenInfo": {"status": status}}
    answer = world.csms_asks(
        "SendLocalList", {"versionNumber": 1, "updateType": "Full", "localAuthorizationList": [entry]}
    )
    assert answer["status"] == "Accepted"
    for name, value in keys.items():
        world.asks_station("config.set", name=f"AuthCtrlr.{name}", value=value)


@req("C14.FR.02", "C14.FR.03", "C01.FR.02", "C01.FR.05")
@pytest.mark.parametrize(
    ("status", "trusted", "asks"),
    [("Accepted", "true", 0), ("Accepted", "false", 1), ("Blocked", "true", 1), ("Blocked", "false", 1)],
)
def test_online_the_list_spares_the_question_only_when_it_says_yes(
    world: World, status: str, trusted: str, asks: int
) -> None:
    on_the_list(world, status, LocalPreAuthorize=trusted)
    world.ev(2).plugs_in().presents(CARD)
    world.runs(seconds=30)
    assert len(heard(world, "Authorize")) == asks and world.outlets[2].amps > 6
    world.settles()


@req("C13.FR.02", "C13.FR.04", "C15.FR.08")
@pytest.mark.parametrize(
    ("status", "local", "unknown", "charges"),
    [
        ("Accepted", "true", "false", True),
        ("Accepted", "false", "false", False),
        ("Blocked", "true", "true", False),
        ("Blocked", "true", "false", False),
    ],
)
def test_offline_the_list_decides(world: World, status: str, local: str, unknown: str, charges: bool) -> None:
    on_the_list(world, status, LocalAuthorizeOffline=local, OfflineTxForUnknownIdEnabled=unknown)
    world.csms.vanishes()
    world.ev(2).after(seconds=5).plugs_in().presents(CARD)
    world.runs(minutes=1)
    assert (world.outlets[2].amps > 6) is charges


# ---------------------------------------------------------------------------------------- C09


@req("C09.FR.03", "C09.FR.05")
def test_a_card_of_the_same_group_stops_after_asking(world: World) -> None:
    says(world, **group("FLEET"))
    charge(world, 2)
    world.ev(2).after(seconds=20).presents(OTHER)
    world.runs(minutes=1)
    assert [t["idToken"]["idToken"] for t in world.csms.requests("Authorize")] == [CARD, OTHER]
    ended = last(world.csms.transaction(1))
    assert (ended["eventType"], ended["triggerReason"], ended["idToken"]["idToken"]) == (
        "Ended", "StopAuthorized", OTHER,
    )  # fmt: skip
    world.settles()


@req("C09.FR.11")
def test_a_blocked_card_of_the_same_group_stops_nothing(world: World) -> None:
    says(world, **group("FLEET"))
    charge(world, 2)
    says(world, "Blocked", **group("FLEET"))
    world.ev(2).after(seconds=20).presents(OTHER)
    world.runs(minutes=1)
    assert world.outlets[2].amps > 6
    world.settles()


@req("C09.FR.03")
def test_a_card_of_another_group_stops_nothing(world: World) -> None:
    says(world, **group("FLEET"))
    charge(world, 2)
    says(world, **group("TAXI"))
    world.ev(2).after(seconds=20).presents(OTHER)
    world.runs(minutes=1)
    assert world.outlets[2].amps > 6
    world.settles()


@req("C09.FR.03")
def test_two_cars_of_one_fleet_charge_at_a_common_reader(world: World) -> None:
    """The second driver stands in front of a plugged car: the card means that one, not the colleague's."""
    says(world, **group("FLEET"))
    world.ev(1).plugs_in().presents(CARD, evses=(1, 2))
    world.runs(seconds=30)
    world.ev(2).plugs_in().presents(OTHER, evses=(1, 2))
    world.runs(minutes=1)
    assert world.outlets[1].amps > 6 and world.outlets[2].amps > 6
    world.settles()


# ---------------------------------------------------------------------------------------- C15, E05


@req("C15.FR.08", "C15.FR.02", "E04.FR.01", "E04.FR.02", "E04.FR.03")
def test_an_unknown_card_charges_offline_by_key_and_is_told_later() -> None:
    world = idle(keys={**QUIET, **OFFLINE_FOR_ALL})
    world.csms.vanishes()
    world.ev(1).after(seconds=5).plugs_in().presents(CARD)
    world.runs(minutes=3)
    assert world.outlets[1].amps >= 6 and not world.csms.transactions
    back_online(world)
    session = world.csms.transaction(1)
    assert all(session.offline) and first(session)["idToken"]["idToken"] == CARD
    assert world.outlets[1].amps > 6
    world.settles()


@req("C15.FR.08")
def test_an_unknown_card_does_not_charge_offline_by_default() -> None:
    world = idle()
    world.csms.vanishes()
    world.ev(1).after(seconds=5).plugs_in().presents(CARD)
    world.runs(minutes=3)
    assert not world.outlets[1].permitted


OFFLINE_THEN_REFUSED = [
    ("EVConnected", [("Updated", "Deauthorized", "EVConnected")]),
    ("Authorized", [("Ended", "Deauthorized", "EVConnected")]),
    ("PowerPathClosed", [("Ended", "Deauthorized", "EVConnected")]),
    ("EnergyTransfer", [("Ended", "Deauthorized", "EVConnected")]),
]


@req("C15.FR.03", "C15.FR.04", "E05.FR.09", "E05.FR.10", "E06.FR.04")
@pytest.mark.parametrize(("stop_point", "end"), OFFLINE_THEN_REFUSED)
def test_refused_after_the_fact_ends_energy_and_by_stop_point_the_transaction(
    stop_point: str, end: list[tuple[str, str, str]]
) -> None:
    """TC_C_15, TC_E_16: a card accepted offline is blocked in the answer to the Started event."""
    world = idle(keys={**QUIET, **OFFLINE_FOR_ALL, "TxCtrlr.TxStopPoint": stop_point})
    world.csms.vanishes()
    world.ev(1).after(seconds=5).plugs_in().presents(CARD)
    world.runs(minutes=1)
    world.csms.blocked_tokens.add(CARD)
    back_online(world)
    session = world.csms.transaction(1)
    assert trail(session)[-1:] == end and not world.outlets[1].permitted
    world.ev(1).unplugs()
    world.runs(minutes=1)
    assert session.stopped_reason == "DeAuthorized"
    assert session.offline[-1] is False
    world.settles()


@req("C15.FR.06", "E05.FR.02")
def test_refused_with_stop_on_invalid_id_off_suspends() -> None:
    world = idle(keys={**QUIET, "TxCtrlr.StopTxOnInvalidId": "false"})
    world.csms.answers("TransactionEvent", lambda _: {"idTokenInfo": {"status": "Blocked"}})
    world.ev(1).plugs_in().presents(CARD)
    world.runs(minutes=2)
    spoken_of = [
        (e["triggerReason"], e["transactionInfo"]["chargingState"]) for _, e in heard(world, "TransactionEvent")
    ]
    assert spoken_of[-1] == ("ChargingStateChanged", "SuspendedEVSE") and world.outlets[1].amps == 0


@req("C15.FR.07", "E05.FR.03")
def test_refused_with_an_allowance_delivers_that_energy_and_suspends() -> None:
    keys = {**QUIET, "TxCtrlr.StopTxOnInvalidId": "false", "TxCtrlr.MaxEnergyOnInvalidId": "300"}
    world = idle(keys=keys)
    world.csms.answers("TransactionEvent", lambda _: {"idTokenInfo": {"status": "Blocked"}})
    before = world.outlets[1].register.at(world.now_ms)
    world.ev(1).plugs_in().presents(CARD)
    world.runs(minutes=10)
    assert 300 <= world.outlets[1].register.at(world.now_ms) - before < 400 and world.outlets[1].amps == 0


@req("C01.FR.01", "C02.FR.01")
def test_free_charging_needs_no_card_and_says_so() -> None:
    world = idle(keys={**QUIET, "FreeCharging.Enabled": "true"})
    world.ev(1).plugs_in()
    world.runs(minutes=1)
    assert world.outlets[1].amps > 6
    assert first(world.csms.transaction(1))["idToken"] == {"idToken": "", "type": "NoAuthorization"}
    assert carrying(world.csms.transaction(1), "idToken") == [0]
    world.settles()


def test_an_answer_that_comes_after_the_car_has_left_is_not_for_the_next_one(world: World) -> None:
    """The card was for the car that stood there (C01.FR.02; invariant 2)."""
    world.csms.latency_ms = (20_000, 20_000)
    world.ev(1).plugs_in().after(seconds=2).presents(CARD).after(seconds=3).unplugs()
    world.runs(seconds=8)
    world.ev(1).plugs_in()
    world.runs(seconds=60)
    assert not world.outlets[1].permitted
    assert not world.csms.transactions
