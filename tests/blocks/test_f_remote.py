"""F01 to F03: started and stopped by the CSMS; what is refused, and why."""

from __future__ import annotations

from typing import Any

import pytest

from tests.blocks.stories import (
    CARD,
    OTHER,
    QUIET,
    carrying,
    charge,
    charging,
    first,
    heard,
    idle,
    profile,
    remote_start,
    spoken,
    station,
    trail,
)
from tests.marks import req
from tests.sim.outlet import raw, smart

ALONE = {**QUIET, "AuthCtrlr.AuthorizeRemoteStart": "false"}
TWO = (smart(16), raw(32))


def tx_profile(limit: float, **changed: Any) -> dict[str, Any]:
    """A TxProfile for a transaction that is yet to start."""
    options = {"chargingProfilePurpose": "TxProfile", "chargingProfileKind": "Relative", "startSchedule": None}
    return profile(9, (0, limit), **{**options, **changed})


def reason(answer: dict[str, Any]) -> str:
    """Rejected, and why."""
    assert answer["status"] == "Rejected"
    return str(answer["statusInfo"]["reasonCode"])


@req("F01.FR.02", "F01.FR.03", "F01.FR.04", "F01.FR.05", "F01.FR.19", "F01.FR.25", "F02.FR.01")
def test_plugged_then_started_from_afar_without_asking_again() -> None:
    """TC_F_01."""
    world = idle(keys=ALONE)
    world.ev(1).plugs_in()
    world.runs(seconds=5)
    assert remote_start(world, 7, evseId=1)["status"] == "Accepted"
    world.runs(minutes=1)
    started = first(world.csms.transaction(1))
    assert (started["eventType"], started["triggerReason"]) == ("Started", "RemoteStart")
    assert started["transactionInfo"]["remoteStartId"] == 7 and started["idToken"]["idToken"] == CARD
    assert world.outlets[1].amps > 6 and "Authorize" not in spoken(world)
    assert carrying(world.csms.transaction(1), "remoteStartId") == [0]
    world.settles()


@req("F01.FR.01", "F02.FR.09")
@pytest.mark.parametrize("accepted", [True, False])
def test_with_authorize_remote_start_the_csms_is_asked_after_our_answer(accepted: bool) -> None:
    """TC_F_02."""
    world = idle(keys=QUIET)
    if not accepted:
        world.csms.blocked_tokens.add(CARD)
    world.ev(1).plugs_in()
    world.runs(seconds=5)
    assert remote_start(world, 7, evseId=1)["status"] == "Accepted"
    world.runs(minutes=1)
    assert [p["idToken"]["idToken"] for p in world.csms.requests("Authorize")] == [CARD]
    assert (world.outlets[1].amps > 6) is accepted and bool(world.csms.transactions) is accepted
    order = [f.message[0] if f.message[0] == 3 else f.message[2] for f in world.csms.frames if f.direction == "<"]
    assert order.index(3) < order.index("Authorize")


@req("C05.FR.01", "C03.FR.01", "C05.FR.03", "C05.FR.05")
def test_a_central_token_is_never_asked_for() -> None:
    world = idle(keys=QUIET)
    world.ev(1).plugs_in()
    remote_start(world, 7, "PAY-1", type="Central", evseId=1)
    world.runs(minutes=1)
    assert world.outlets[1].amps > 6 and "Authorize" not in spoken(world)
    assert first(world.csms.transaction(1))["idToken"] == {"idToken": "PAY-1", "type": "Central"}
    world.settles()


@req("F02.FR.01", "F02.FR.05", "F02.FR.10", "F02.FR.13", "F02.FR.21")
@pytest.mark.parametrize(
    ("start", "first_event"),
    [
        ("Authorized", ("Started", "RemoteStart", "Idle")),
        ("EVConnected", ("Started", "RemoteStart", "EVConnected")),
        ("PowerPathClosed", ("Started", "RemoteStart", "EVConnected")),
    ],
)
def test_started_from_afar_then_plugged(start: str, first_event: tuple[str, str, str]) -> None:
    """TC_F_03: whatever the start point, the next event after the request is about the request."""
    world = idle(keys={**ALONE, "TxCtrlr.TxStartPoint": start})
    remote_start(world, 8, evseId=1)
    world.ev(1).after(seconds=20).plugs_in()
    world.runs(minutes=1)
    session = world.csms.transaction(1)
    assert trail(session)[0] == first_event and world.outlets[1].amps > 6
    assert first(session)["transactionInfo"]["remoteStartId"] == 8 and carrying(session, "remoteStartId") == [0]
    world.settles()


@req("F02.FR.07", "E03.FR.05")
@pytest.mark.parametrize("stop", ["Authorized", "EVConnected"])
def test_started_from_afar_and_nobody_plugs_in(stop: str) -> None:
    """TC_F_04: always Ended."""
    keys = {"TxCtrlr.TxStartPoint": "Authorized", "TxCtrlr.TxStopPoint": stop, "TxCtrlr.EVConnectionTimeOut": "30"}
    world = idle(keys={**ALONE, **keys})
    remote_start(world, 8, evseId=1)
    world.runs(minutes=2)
    session = world.csms.transaction(1)
    assert trail(session)[-1] == ("Ended", "EVConnectTimeout", "Idle") and session.stopped_reason == "Timeout"
    world.settles()


@req("F01.FR.13", "F01.FR.25")
def test_an_unauthorised_transaction_is_named_in_the_answer() -> None:
    world = idle(keys={**ALONE, "TxCtrlr.TxStartPoint": "EVConnected"})
    world.ev(1).plugs_in()
    world.runs(seconds=10)
    id = world.csms.transaction(1).id
    assert remote_start(world, 7, evseId=1) == {"status": "Accepted", "transactionId": id}
    world.runs(minutes=1)
    assert world.csms.transaction(1).events[1]["transactionInfo"]["remoteStartId"] == 7
    assert world.csms.transaction(1).events[1]["triggerReason"] == "RemoteStart"
    world.settles()


@req("F01.FR.06", "F01.FR.20", "F02.FR.22")
def test_without_an_evse_the_plugged_one_is_picked() -> None:
    world = idle(TWO, keys=ALONE)
    world.ev(2).plugs_in()
    world.runs(seconds=5)
    assert remote_start(world)["status"] == "Accepted"
    world.runs(minutes=1)
    assert world.outlets[2].amps > 6
    world.settles()


@req("F01.FR.24", "F02.FR.26", "F01.FR.07", "F02.FR.15")
def test_what_is_refused_says_why() -> None:
    world = idle(TWO, keys=ALONE)
    charge(world, 1)
    assert reason(remote_start(world, 2, OTHER, evseId=1)) == "TxInProgress"
    assert reason(remote_start(world, 3, OTHER, evseId=5)) == "UnknownEvse"
    remote_start(world, 4, OTHER, evseId=2)
    assert reason(remote_start(world, 5, "THIRD", evseId=2)) == "TxInProgress"
    assert reason(remote_start(world, 6, "THIRD")) == "NotFound"


@req("C01.FR.23", "F01.FR.24")
def test_a_transaction_that_another_card_began_is_not_taken_over_from_afar() -> None:
    world = charging(keys={**ALONE, "TxCtrlr.TxStopPoint": "EVConnected"})
    world.ev(1).presents(CARD)
    world.runs(seconds=30)
    assert reason(remote_start(world, 3, OTHER, evseId=1)) == "TxInProgress"
    assert remote_start(world, 4, CARD, evseId=1)["status"] == "Accepted"
    world.runs(seconds=30)
    assert world.outlets[1].amps > 6 and len(world.csms.transactions) == 1
    world.settles()


@req("F01.FR.19", "E01.FR.07")
def test_started_from_afar_right_after_a_stop_without_replugging() -> None:
    """Buyers' J3: restart after a remote stop is a transaction of its own."""
    world = charging(keys=ALONE)
    id = world.csms.transaction(1).id
    world.csms_asks("RequestStopTransaction", {"transactionId": id})
    answer = remote_start(world, 12, OTHER, evseId=1)
    assert answer.get("transactionId") is None or answer["status"] == "Rejected"
    world.runs(minutes=1)
    if answer["status"] == "Accepted":
        assert world.outlets[1].amps > 6 and len(world.csms.transactions) == 2
        assert first(world.csms.transaction(2))["transactionInfo"]["remoteStartId"] == 12
    world.settles()


def test_of_two_requests_while_a_session_ends_only_one_is_accepted() -> None:
    world = charging(keys=ALONE)
    world.ev(1).presents(CARD)
    world.runs(ms=1600)
    answers = [remote_start(world, n, token, evseId=1)["status"] for n, token in ((1, OTHER), (2, "THIRD"))]
    assert answers.count("Accepted") <= 1
    world.runs(minutes=1)
    assert len(world.csms.transactions) == 1 + answers.count("Accepted")
    world.settles()


# ---------------------------------------------------------------------------------------- with a profile


@req("F01.FR.09", "F01.FR.10", "F02.FR.17", "F02.FR.18", "K05.FR.02", "K05.FR.03")
@pytest.mark.parametrize("authorize", ["true", "false"])
@pytest.mark.parametrize("order", ["plugged", "later"])
def test_the_profile_of_the_request_holds_from_the_first_ampere(order: str, authorize: str) -> None:
    """TC_K_37; the same when the CSMS is asked for the token first."""
    world = idle(keys={**QUIET, "AuthCtrlr.AuthorizeRemoteStart": authorize})
    if order == "plugged":
        world.ev(1).plugs_in()
        world.runs(seconds=5)
    assert remote_start(world, 7, evseId=1, chargingProfile=tx_profile(8))["status"] == "Accepted"
    if order == "later":
        world.ev(1).after(seconds=20).plugs_in()
    world.until(lambda: world.outlets[1].offered > 0, within_s=60)
    assert world.outlets[1].offered == 8
    world.runs(minutes=2)
    assert world.outlets[1].offered == 8
    world.ev(1).presents(CARD).after(seconds=10).presents(CARD)
    world.runs(minutes=1)
    assert world.outlets[1].offered == 32
    world.settles()


@req("F01.FR.10", "K02.FR.05")
def test_the_profile_of_a_request_made_while_the_last_session_ends_is_not_lost() -> None:
    world = charging(keys=ALONE)
    world.ev(1).presents(CARD)
    world.runs(ms=100)
    answer = remote_start(world, 12, OTHER, evseId=1, chargingProfile=tx_profile(8))
    world.runs(minutes=1)
    if answer["status"] == "Accepted":
        assert world.outlets[1].offered == 8 and len(world.csms.transactions) == 2
    world.settles()


@req("F01.FR.10", "K05.FR.03")
@pytest.mark.parametrize("start", ["EVConnected", "Authorized", "EnergyTransfer"])
def test_the_profile_holds_under_every_start_point(start: str) -> None:
    world = idle(keys={**ALONE, "TxCtrlr.TxStartPoint": start})
    world.ev(1).plugs_in()
    world.runs(seconds=5)
    remote_start(world, 7, evseId=1, chargingProfile=tx_profile(8))
    world.until(lambda: world.outlets[1].offered > 0, within_s=60)
    assert world.outlets[1].offered == 8
    world.runs(minutes=1)
    assert world.outlets[1].offered == 8
    world.settles()


@req("F01.FR.10")
def test_the_profile_of_a_request_that_came_to_nothing_does_not_bind_the_next_driver() -> None:
    world = idle(keys={**ALONE, "TxCtrlr.EVConnectionTimeOut": "30"})
    remote_start(world, 7, evseId=1, chargingProfile=tx_profile(8))
    world.runs(minutes=1)
    charge(world, 1, OTHER)
    assert world.outlets[1].offered == 32
    world.settles()


@req("F01.FR.26", "F02.FR.27", "K05.FR.05", "F01.FR.09", "F01.FR.11", "F02.FR.17", "F02.FR.19")
@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"chargingProfilePurpose": "TxDefaultProfile"}, "InvalidProfile"),
        ({"transactionId": "abc"}, "InvalidProfile"),
        ({"chargingProfileKind": "Absolute"}, "InvalidSchedule"),
        ({"startSchedule": "2026-03-01T12:00:00Z"}, "InvalidSchedule"),
    ],
)
def test_a_bad_profile_refuses_the_start(changed: dict[str, Any], code: str) -> None:
    world = idle(keys=ALONE)
    assert reason(remote_start(world, 7, evseId=1, chargingProfile=tx_profile(8, **changed))) == code
    world.ev(1).plugs_in()
    world.runs(minutes=1)
    assert not world.outlets[1].permitted


# ---------------------------------------------------------------------------------------- F03


@req("F03.FR.08")
def test_a_stop_of_something_that_does_not_run_is_rejected() -> None:
    """TC_F_09."""
    world = charging(keys=QUIET)
    assert world.csms_asks("RequestStopTransaction", {"transactionId": "nothing"})["status"] == "Rejected"
    assert world.outlets[1].amps > 6
    id = world.csms.transaction(1).id
    world.ev(1).presents(CARD)
    world.runs(minutes=1)
    assert world.csms_asks("RequestStopTransaction", {"transactionId": id})["status"] == "Rejected"


@req("B02.FR.05")
def test_nothing_is_started_from_afar_while_pending() -> None:
    world = station(keys=ALONE)
    world.csms.boots("Pending", 60)
    world.ev(1).plugs_in()
    world.runs(seconds=20)
    assert reason(remote_start(world, 7, evseId=1)) == "CSNotAccepted"
    assert not heard(world, "TransactionEvent")
