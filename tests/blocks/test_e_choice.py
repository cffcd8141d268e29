"""E01, E03: one reader for several EVSEs: the card comes before the choice, and the transaction before its EVSE."""

from __future__ import annotations

import pytest

from tests.blocks.stories import CARD, OTHER, QUIET, carrying, first, heard, last, meter_values, station, trail
from tests.marks import req
from tests.sim.outlet import raw, smart
from tests.sim.world import World

THREE = (smart(16), raw(32), raw(32))
BOTH = (1, 2)
EARLY = {**QUIET, "TxCtrlr.TxStartPoint": "Authorized"}


def shown(keys: dict[str, str] | None = None) -> World:
    """A card was held to the reader of EVSE 1 and 2; no car is there yet. Meters are read each second."""
    world = station(THREE, keys={**EARLY, **(keys or {})})
    for driver in world.hardware.drivers.values():
        driver.meter_idle_ms = 1_000
    world.runs(seconds=20)
    world.ev(1).presents(CARD, evses=BOTH)
    return world.runs(seconds=10)


@req("E01.FR.17", "E02.FR.21", "E03.FR.11", "E04.FR.11", "E05.FR.08", "E01.FR.16")
@pytest.mark.parametrize("evse", [1, 2])
def test_the_evse_and_the_begin_register_are_told_when_the_car_has_chosen(evse: int) -> None:
    """TC_J_08."""
    world = shown()
    session = world.csms.transaction(1)
    assert trail(session) == [("Started", "Authorized", "Idle")]
    assert "evse" not in first(session) and "meterValue" not in first(session)
    world.ev(evse).plugs_in()
    world.runs(minutes=1)
    assert world.outlets[evse].amps > 6 and len(world.csms.transactions) == 1
    assert trail(session)[1] == ("Updated", "CablePluggedIn", "EVConnected")
    assert session.events[1]["evse"] == {"id": evse, "connectorId": 1} and carrying(session, "evse") == [1]
    assert [context for context, _ in session.registers()] == ["Transaction.Begin"]
    assert carrying(session, "idToken") == [0]
    world.ev(evse).presents(CARD)
    world.runs(minutes=1)
    assert session.ended and session.stopped_reason == "Local"
    world.settles()


@req("J02.FR.22", "E01.FR.17")
def test_no_meter_values_of_an_evse_that_nobody_has_chosen() -> None:
    keys = {"AlignedDataCtrlr.Interval": "60", "SampledDataCtrlr.TxUpdatedInterval": "10",
            "SampledDataCtrlr.TxEndedInterval": "10"}  # fmt: skip
    world = shown(keys)
    world.runs(seconds=80)
    assert meter_values(world.csms.transaction(1).events) == []
    assert {message["evseId"] for _, message in heard(world, "MeterValues")} == {1, 2, 3}
    world.ev(2).plugs_in()
    world.runs(minutes=2)
    assert {"MeterValuePeriodic", "MeterValueClock"} <= set(world.csms.transaction(1).triggers)
    world.settles()


@req("E03.FR.05", "C01.FR.26")
def test_nobody_chooses_in_time() -> None:
    world = shown({"TxCtrlr.EVConnectionTimeOut": "40"})
    world.runs(minutes=1)
    session = world.csms.transaction(1)
    assert trail(session) == [("Started", "Authorized", "Idle"), ("Ended", "EVConnectTimeout", "Idle")]
    assert session.stopped_reason == "Timeout" and not carrying(session, "evse") and not session.registers()
    for evse in BOTH:
        world.ev(evse).plugs_in()
    world.runs(minutes=1)
    assert not world.outlets[1].permitted and not world.outlets[2].permitted


@req("E01.FR.02", "E01.FR.14", "E01.FR.16")
def test_a_choice_makes_no_second_transaction_whatever_else_starts_one() -> None:
    world = shown({"TxCtrlr.TxStartPoint": "Authorized,EVConnected"})
    world.ev(2).plugs_in()
    world.runs(minutes=1)
    assert len(world.csms.transactions) == 1 and world.outlets[2].amps > 6
    world.ev(1).plugs_in()
    world.runs(seconds=20)
    assert len(world.csms.transactions) == 2 and not world.outlets[1].permitted
    world.settles()


@req("E03.FR.01", "E01.FR.14")
def test_two_drivers_show_their_cards_before_they_choose() -> None:
    world = shown()
    world.ev(1).presents(OTHER, evses=BOTH).after(seconds=5).plugs_in()
    world.ev(2).after(seconds=30).plugs_in()
    world.runs(minutes=1)
    assert world.outlets[1].amps > 6 and world.outlets[2].amps > 6
    assert sorted(first(t)["idToken"]["idToken"] for t in world.csms.transactions.values()) == [CARD, OTHER]
    world.settles()


@req("E06.FR.03", "E07.FR.01")
def test_the_card_again_takes_it_back_before_any_choice() -> None:
    world = shown()
    world.ev(1).presents(CARD, evses=BOTH)
    world.runs(seconds=20)
    session = world.csms.transaction(1)
    assert trail(session)[-1] == ("Ended", "StopAuthorized", "Idle") and not carrying(session, "evse")
    world.settles()


@req("E06.FR.08")
@pytest.mark.parametrize("plugged", [False, True])
def test_a_power_cut_before_the_choice(plugged: bool) -> None:
    world = shown()
    world.loses_power().returns_after(seconds=20)
    if plugged:
        world.ev(2).after(seconds=5).plugs_in()
    world.runs(minutes=2)
    session = world.csms.transaction(1)
    assert session.ended and session.stopped_reason == "PowerLoss" and "evse" not in last(session)
    assert not world.outlets[2].permitted
    world.settles()
