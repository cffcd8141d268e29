"""E01 to E07: every start point with every stop point, cable or card first, stopped by card, CSMS or plug."""

from __future__ import annotations

import pytest

from tests.blocks.stories import CARD, QUIET, carrying, first, idle, last, trail
from tests.marks import req
from tests.sim.transactions import Transaction, consecutive
from tests.sim.world import World

POINTS = ("EVConnected", "Authorized", "PowerPathClosed", "EnergyTransfer")
USUAL = [
    ("EVConnected", "EVConnected"),
    ("EVConnected,Authorized", "EVConnected"),
    ("PowerPathClosed", "PowerPathClosed"),
    ("PowerPathClosed", "EVConnected,Authorized"),
]
ALL = [(start, stop) for start in POINTS for stop in POINTS] + USUAL
STARTED = {
    ("EVConnected", "cable"): "CablePluggedIn",
    ("EVConnected", "card"): "CablePluggedIn",
    ("Authorized", "cable"): "Authorized",
    ("Authorized", "card"): "Authorized",
    ("PowerPathClosed", "cable"): "Authorized",
    ("PowerPathClosed", "card"): "CablePluggedIn",
    ("EnergyTransfer", "cable"): "ChargingStateChanged",
    ("EnergyTransfer", "card"): "ChargingStateChanged",
    ("EVConnected,Authorized", "cable"): "CablePluggedIn",
    ("EVConnected,Authorized", "card"): "Authorized",
}


def begins(start: str, stop: str, order: str) -> World:
    """A session under these points, charging."""
    world = idle(keys={**QUIET, "TxCtrlr.TxStartPoint": start, "TxCtrlr.TxStopPoint": stop})
    driver = world.ev(1)
    if order == "cable":
        driver.plugs_in().after(seconds=10).presents(CARD)
    else:
        driver.presents(CARD).after(seconds=10).plugs_in()
    return world.runs(minutes=1)


def whole(world: World) -> Transaction:
    """The one transaction of the story, complete."""
    world.settles()
    assert len(world.csms.transactions) == 1
    session = world.csms.transaction(1)
    assert session.seq_numbers == consecutive()
    kinds = [kind for kind, _, _ in trail(session)]
    assert kinds == ["Started", *["Updated"] * (len(kinds) - 2), "Ended"]
    assert carrying(session, "stoppedReason") == [len(kinds) - 1]
    assert carrying(session, "idToken")[0] in (0, 1)
    assert {"Charging"} <= {state for _, _, state in trail(session)}
    return session


def told_before_energy_ends(told: list[tuple[str, str, str]], trigger: str) -> bool:
    """A transaction that outlives its authorization tells the stop at once and the end of energy after it."""
    at = told.index(("Updated", trigger, "Charging"))
    return told[at + 1] == ("Updated", "ChargingStateChanged", "EVConnected")


@req(
    "E01.FR.02",
    "E01.FR.03",
    "E01.FR.05",
    "E01.FR.06",
    "E01.FR.07",
    "E01.FR.10",
    "E01.FR.15",
    "E01.FR.16",
    "E02.FR.13",
    "E06.FR.02",
    "E06.FR.03",
    "E06.FR.06",
    "E06.FR.07",
    "E06.FR.15",
    "E07.FR.02",
    "E07.FR.05",
)
@pytest.mark.parametrize("order", ["cable", "card"])
@pytest.mark.parametrize(("start", "stop"), ALL)
def test_stopped_by_the_card_that_started_it(start: str, stop: str, order: str) -> None:
    world = begins(start, stop, order)
    world.ev(1).presents(CARD).after(seconds=20).unplugs()
    world.runs(minutes=1)
    session = whole(world)
    assert first(session)["triggerReason"] == STARTED[start, order]
    ended = last(session)
    assert ended["transactionInfo"]["stoppedReason"] == "Local"
    if stop == "EVConnected":
        assert (ended["triggerReason"], trail(session)[-1][2]) == ("EVCommunicationLost", "Idle")
        assert told_before_energy_ends(trail(session), "StopAuthorized")
    else:
        assert (ended["triggerReason"], trail(session)[-1][2]) == ("StopAuthorized", "EVConnected")
    assert ended.get("idToken", {"idToken": CARD})["idToken"] == CARD


@req("E01.FR.15", "E06.FR.02", "E06.FR.06", "E06.FR.08", "E06.FR.15", "E09.FR.01", "E09.FR.04")
@pytest.mark.parametrize("order", ["cable", "card"])
@pytest.mark.parametrize(("start", "stop"), ALL)
def test_the_plug_is_pulled_while_energy_flows(start: str, stop: str, order: str) -> None:
    world = begins(start, stop, order)
    world.ev(1).unplugs()
    world.runs(minutes=1)
    session = whole(world)
    ended = last(session)
    assert ended["transactionInfo"]["stoppedReason"] == "EVDisconnected"
    assert (ended["triggerReason"], trail(session)[-1][2]) == ("EVCommunicationLost", "Idle")
    world.ev(1).plugs_in()
    world.runs(minutes=1)
    assert not world.outlets[1].permitted


@req("F03.FR.02", "F03.FR.03", "F03.FR.07", "F03.FR.09", "E06.FR.15", "E06.FR.08")
@pytest.mark.parametrize(("start", "stop"), [("PowerPathClosed", stop) for stop in POINTS] + USUAL)
def test_stopped_by_the_csms(start: str, stop: str) -> None:
    world = begins(start, stop, "cable")
    id = world.csms.transaction(1).id
    assert world.csms_asks("RequestStopTransaction", {"transactionId": id})["status"] == "Accepted"
    world.runs(seconds=20)
    told = trail(world.csms.transaction(1))
    if stop == "EVConnected":
        assert told_before_energy_ends(told, "RemoteStop")
    else:
        assert ("Ended", "RemoteStop", "EVConnected") in told
    assert world.outlets[1].amps == 0
    assert whole(world).stopped_reason == "Remote"


@req("E06.FR.07", "E01.FR.19")
def test_with_energy_transfer_as_stop_point_a_pause_of_the_car_ends_it() -> None:
    """TC_E_22."""
    world = begins("EVConnected", "EnergyTransfer", "cable")
    world.ev(1).pauses()
    world.runs(minutes=1)
    ended = last(world.csms.transaction(1))
    assert (ended["eventType"], ended["triggerReason"]) == ("Ended", "ChargingStateChanged")
    assert trail(world.csms.transaction(1))[-1][2] == "SuspendedEV"
    assert ended["transactionInfo"]["stoppedReason"] == "StoppedByEV"


@req("E01.FR.19", "E02.FR.13", "E01.FR.18")
def test_a_pause_of_the_car_is_told_and_the_transaction_goes_on() -> None:
    world = begins("PowerPathClosed", "EVConnected,Authorized", "cable")
    world.ev(1).pauses().after(seconds=60).resumes()
    world.runs(minutes=3)
    states = [state for _, _, state in trail(world.csms.transaction(1))]
    assert states[-3:] == ["Charging", "SuspendedEV", "Charging"]
    assert len(whole(world).events) == len(states) + 1


@req("E01.FR.18", "E02.FR.13")
def test_a_car_that_is_not_ready_is_told_as_suspended_ev_in_time() -> None:
    """TC_E_38."""
    world = idle(keys=QUIET)
    world.ev(1).plugs_in(wants=False).presents(CARD).after(seconds=90).resumes()
    world.runs(minutes=3)
    states = [state for _, _, state in trail(world.csms.transaction(1))]
    assert states == ["EVConnected", "SuspendedEV", "Charging"]
    world.settles()
