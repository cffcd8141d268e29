"""E01 to E03, E09, E10: time-outs, EV-side disconnects, and what is sent once."""

from __future__ import annotations

import pytest

from tests.blocks.stories import (
    CARD,
    OTHER,
    QUIET,
    carrying,
    charging,
    first,
    heard,
    idle,
    last,
    statuses,
    trail,
    utc_s,
)
from tests.marks import req

SUSPEND = {**QUIET, "TxCtrlr.StopTxOnEVSideDisconnect": "false", "TxCtrlr.TxStopPoint": "Authorized"}


# ---------------------------------------------------------------------------------------- E03


@req("E03.FR.05", "C01.FR.26")
def test_a_card_without_a_car_times_out_and_ends_the_transaction() -> None:
    """TC_E_05."""
    points = {"TxCtrlr.TxStartPoint": "Authorized", "TxCtrlr.TxStopPoint": "Authorized"}
    world = idle(keys={**QUIET, **points, "TxCtrlr.EVConnectionTimeOut": "40"})
    world.ev(1).presents(CARD)
    world.runs(minutes=2)
    session = world.csms.transaction(1)
    assert trail(session) == [("Started", "Authorized", "Idle"), ("Ended", "EVConnectTimeout", "Idle")]
    assert session.stopped_reason == "Timeout"
    assert utc_s(last(session)) - utc_s(first(session)) == pytest.approx(40, abs=1)


@req("E03.FR.05", "C01.FR.26", "E06.FR.04")
@pytest.mark.parametrize("stop", ["EVConnected", "EnergyTransfer"])
def test_a_transaction_that_never_saw_a_car_does_not_stay_open(stop: str) -> None:
    """The danger of unmatched points: nobody else could ever charge there."""
    points = {"TxCtrlr.TxStartPoint": "Authorized", "TxCtrlr.TxStopPoint": stop}
    world = idle(keys={**QUIET, **points, "TxCtrlr.EVConnectionTimeOut": "40"})
    world.ev(1).presents(CARD)
    world.runs(minutes=2)
    assert "EVConnectTimeout" in [trigger for _, trigger, _ in trail(world.csms.transaction(1))]
    world.ev(1).plugs_in().presents(OTHER)
    world.runs(minutes=1)
    assert world.outlets[1].amps > 6
    world.settles()


@req("E03.FR.05", "C01.FR.26")
def test_without_a_transaction_a_time_out_makes_no_event_and_frees_the_evse() -> None:
    """TC_E_39."""
    world = idle(keys={**QUIET, "TxCtrlr.EVConnectionTimeOut": "40"})
    world.ev(1).presents(CARD).after(seconds=60).plugs_in()
    world.runs(minutes=2)
    assert not heard(world, "TransactionEvent") and not world.outlets[1].permitted
    world.ev(1).presents(CARD)
    world.runs(minutes=1)
    assert world.outlets[1].amps > 6
    world.settles()


@req("E03.FR.01", "E03.FR.06", "E01.FR.16", "E02.FR.05")
def test_card_first_then_the_cable() -> None:
    """TC_E_04."""
    world = idle(keys={**QUIET, "TxCtrlr.TxStartPoint": "Authorized"})
    world.ev(1).presents(CARD).after(seconds=20).plugs_in()
    world.runs(minutes=1)
    session = world.csms.transaction(1)
    assert trail(session)[:2] == [("Started", "Authorized", "Idle"), ("Updated", "CablePluggedIn", "EVConnected")]
    assert first(session)["idToken"]["idToken"] == CARD and carrying(session, "idToken") == [0]
    assert session.events[1]["evse"] == {"id": 1, "connectorId": 1}
    assert statuses(world)[-1] == (1, "Occupied")
    world.settles()


# ---------------------------------------------------------------------------------------- E02, E.2


@req("E02.FR.01", "E02.FR.06", "E02.FR.20", "E02.FR.15", "E01.FR.16")
def test_cable_first_under_ev_connected_is_authorised_later() -> None:
    """TC_E_03, TC_E_09."""
    world = idle(keys={**QUIET, "TxCtrlr.TxStartPoint": "EVConnected"})
    world.ev(1).plugs_in().after(seconds=20).presents(CARD)
    world.runs(minutes=1)
    session = world.csms.transaction(1)
    assert trail(session) == [
        ("Started", "CablePluggedIn", "EVConnected"),
        ("Updated", "Authorized", "EVConnected"),
        ("Updated", "ChargingStateChanged", "Charging"),
    ]
    assert carrying(session, "evse") == [0] and carrying(session, "idToken") == [1]
    assert "numberOfPhasesUsed" not in session.events[0] and session.events[2]["numberOfPhasesUsed"] == 3
    world.settles()


@req("E02.FR.20", "C01.FR.02")
def test_a_refused_card_leaves_an_unauthorised_transaction_alone() -> None:
    world = idle(keys={**QUIET, "TxCtrlr.TxStartPoint": "EVConnected"})
    world.csms.blocked_tokens.add(OTHER)
    world.ev(1).plugs_in().presents(OTHER)
    world.runs(minutes=1)
    assert len(world.csms.transaction(1).events) == 1 and not world.outlets[1].permitted
    world.ev(1).presents(CARD)
    world.runs(minutes=1)
    assert world.outlets[1].amps > 6
    world.settles()


@req("E01.FR.07", "E01.FR.08", "E06.FR.14")
def test_start_stop_start_without_replugging_makes_transactions_of_their_own() -> None:
    """Bug 24 and buyers' J3: start soon after stop is a normal case."""
    world = charging(keys=QUIET)
    for _ in range(4):
        world.ev(1).presents(CARD).after(seconds=4).presents(CARD)
        world.runs(seconds=40)
        assert world.outlets[1].amps > 6
    world.settles()
    sessions = list(world.csms.transactions.values())
    assert len(sessions) == 5 and all(s.seq_numbers[0] == 0 and s.stopped_reason for s in sessions)


@req("E01.FR.10", "E06.FR.08")
def test_authorised_again_in_the_same_transaction_the_first_stop_is_forgotten() -> None:
    world = charging(keys={**QUIET, "TxCtrlr.TxStopPoint": "EVConnected"})
    world.ev(1).presents(CARD).after(seconds=10).presents(CARD)
    world.runs(minutes=1)
    assert world.outlets[1].amps > 6
    session = world.csms.transaction(1)
    assert trail(session)[-2][:2] == ("Updated", "Authorized")
    assert carrying(session, "idToken")[-1] == session.events[-2]["seqNo"]
    world.ev(1).unplugs()
    world.runs(minutes=1)
    assert session.stopped_reason == "EVDisconnected"
    world.settles()


# ---------------------------------------------------------------------------------------- E09, E10


@req("E10.FR.02", "E10.FR.03")
def test_an_ev_side_disconnect_suspends_and_a_replug_goes_on() -> None:
    """TC_E_26."""
    world = charging(keys=SUSPEND)
    world.ev(1).unplugs().after(seconds=30).plugs_in()
    world.runs(minutes=2)
    session = world.csms.transaction(1)
    assert trail(session)[-3:] == [
        ("Updated", "EVCommunicationLost", "Idle"),
        ("Updated", "CablePluggedIn", "EVConnected"),
        ("Updated", "ChargingStateChanged", "Charging"),
    ]
    assert session.events[-2]["evse"] == {"id": 1, "connectorId": 1}
    assert [s for _, s in statuses(world)][-2:] == ["Available", "Occupied"]
    world.ev(1).presents(CARD)
    world.runs(minutes=1)
    assert session.stopped_reason == "Local"
    world.settles()


@req("E10.FR.02", "E06.FR.08")
def test_nobody_plugs_in_again_in_time() -> None:
    """TC_E_27."""
    world = charging(keys={**SUSPEND, "TxCtrlr.EVConnectionTimeOut": "40"})
    world.ev(1).unplugs()
    world.runs(minutes=2)
    session = world.csms.transaction(1)
    assert trail(session)[-1] == ("Ended", "EVConnectTimeout", "Idle") and session.stopped_reason == "Timeout"
    world.settles()


@req("E06.FR.02", "E10.FR.02")
def test_the_stop_point_ev_connected_ends_it_whatever_the_key_says() -> None:
    world = charging(keys={**SUSPEND, "TxCtrlr.TxStopPoint": "EVConnected"})
    world.ev(1).unplugs()
    world.runs(seconds=20)
    session = world.csms.transaction(1)
    assert trail(session)[-1] == ("Ended", "EVCommunicationLost", "Idle")
    assert session.stopped_reason == "EVDisconnected"
    world.settles()


@req("E09.FR.01")
def test_by_default_an_unplugged_car_needs_a_new_card() -> None:
    world = charging(keys={**QUIET, "TxCtrlr.TxStopPoint": "Authorized"})
    world.ev(1).unplugs().after(seconds=10).plugs_in()
    world.runs(minutes=1)
    session = world.csms.transaction(1)
    assert session.stopped_reason == "EVDisconnected" and not world.outlets[1].permitted
    world.settles()
