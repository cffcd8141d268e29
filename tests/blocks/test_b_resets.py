"""B11, B12: resets of the station and of one EVSE, at once and when idle; what is out of service stays so."""

from __future__ import annotations

from typing import Any

import pytest

from hal.ports import ContactorReported, PilotChanged
from tests.blocks.stories import (
    CARD,
    OFFLINE_FOR_ALL,
    OTHER,
    charge,
    charging,
    get_variable,
    heard,
    idle,
    last,
    now_s,
    remote_start,
    set_variable,
    spoken,
    station,
    statuses,
    trail,
)
from tests.marks import req
from tests.sim.outlet import raw, smart
from tests.sim.world import World

TWO = (smart(16), raw(32))
LOCKED = (raw(32, cable="socket"),)


def reset(world: World, type: str, evse: int | None = None) -> str:
    """ResetRequest; its status."""
    return str(world.csms_asks("Reset", {"type": type, **({"evseId": evse} if evse else {})})["status"])


def change(world: World, operative: bool, evse: int | None = None, connector: int | None = None) -> dict[str, Any]:
    """ChangeAvailabilityRequest; the whole answer."""
    payload: dict[str, Any] = {"operationalStatus": "Operative" if operative else "Inoperative"}
    if evse is not None:
        payload["evse"] = {"id": evse, **({"connectorId": connector} if connector else {})}
    return world.csms_asks("ChangeAvailability", payload)


def boots(world: World) -> list[str]:
    """The reasons of all BootNotifications."""
    return [str(boot["reason"]) for _, boot in heard(world, "BootNotification")]


def rebooted(world: World, *, within_s: float = 120) -> float:
    """Let time pass until the station has booted once more; when that was (s)."""
    count = len(boots(world))
    world.until(lambda: len(boots(world)) > count, within_s=within_s)
    at = heard(world, "BootNotification")[-1][0]
    world.runs(seconds=20)
    return at


# ---------------------------------------------------------------------------------------- the idle station


@req("B11.FR.01", "B11.FR.03", "B11.FR.04", "B01.FR.03", "B01.FR.09")
@pytest.mark.parametrize("type", ["OnIdle", "Immediate"])
def test_an_idle_station_resets_at_once_and_boots_as_ever(type: str) -> None:
    world = idle(TWO)
    assert reset(world, type) == "Accepted"
    at = rebooted(world)
    assert boots(world) == ["PowerUp", "RemoteReset"] and world.boots == 2
    assert sorted(statuses(world, at)) == [(1, "Available"), (2, "Available")]
    world.kills_agent().returns_after(seconds=5)
    rebooted(world)
    assert boots(world)[-1] == "Watchdog"
    world.settles()


@req("B11.FR.06")
def test_a_station_that_was_just_reset_refuses_to_be_reset_again() -> None:
    """A CSMS that resets at every boot must not make the service manager give up."""
    world = idle(TWO)
    reset(world, "Immediate")
    world.until(lambda: len(boots(world)) == 2, within_s=60)
    world.runs(seconds=2)
    answer = world.csms_asks("Reset", {"type": "Immediate"})
    assert answer["status"] == "Rejected" and "moment ago" in answer["statusInfo"]["additionalInfo"]
    assert reset(world, "OnIdle", 1) == "Accepted"
    world.runs(seconds=60)
    assert reset(world, "OnIdle") == "Accepted"
    rebooted(world)
    assert boots(world) == ["PowerUp", "RemoteReset", "RemoteReset"]


@req("B12.FR.10")
def test_a_transaction_that_has_just_begun_after_a_reset_is_not_ended_by_another_one() -> None:
    world = idle(TWO)
    reset(world, "Immediate")
    world.until(lambda: len(boots(world)) == 2, within_s=60)
    world.ev(1).plugs_in().presents(CARD)
    world.until(lambda: world.outlets[1].amps > 0, within_s=25)
    assert reset(world, "Immediate") == "Rejected"
    world.runs(minutes=5)
    assert world.outlets[1].amps > 0 and world.boots == 2
    world.settles()


@req("B11.FR.03")
def test_a_reset_while_the_flash_is_full_is_made_all_the_same() -> None:
    world = idle(TWO)
    world.disk.full = True
    exchange = world.csms.sends("Reset", {"type": "Immediate"})
    world.until(lambda: world.boots == 2, within_s=120)
    world.disk.full = False
    world.runs(minutes=1)
    assert exchange.done and len(boots(world)) == 2
    world.settles()


# ---------------------------------------------------------------------------------------- with transactions


@req("B12.FR.02", "B12.FR.04", "E07.FR.06", "B01.FR.09")
def test_an_immediate_reset_ends_every_transaction_first() -> None:
    world = charge(charging(TWO), 2, OTHER)
    assert reset(world, "Immediate") == "Accepted"
    at = rebooted(world)
    assert boots(world)[-1] == "RemoteReset"
    for number in (1, 2):
        transaction = world.csms.transaction(number)
        assert trail(transaction)[-1] == ("Ended", "ResetCommand", "EVConnected")
        assert last(transaction)["transactionInfo"]["stoppedReason"] == "ImmediateReset"
        assert "idToken" not in last(transaction) and not any(transaction.offline)
    assert sorted(statuses(world, at)) == [(1, "Occupied"), (2, "Occupied")]
    assert not any(outlet.closed for outlet in world.outlets.values())
    world.settles()


@req("B12.FR.04")
@pytest.mark.parametrize("points", ["EVConnected", "ParkingBayOccupancy,EVConnected", "EnergyTransfer"])
def test_an_immediate_reset_ends_a_transaction_whatever_the_stop_points_say(points: str) -> None:
    world = charging(TWO, keys={"TxCtrlr.TxStopPoint": points.replace("ParkingBayOccupancy,", "")})
    reset(world, "Immediate")
    rebooted(world)
    assert trail(world.csms.transaction(1))[-1][:2] == ("Ended", "ResetCommand")
    assert [e[:2] for e in trail(world.csms.transaction(1))].count(("Updated", "ResetCommand")) == 0
    world.settles()


@req("B12.FR.05")
def test_an_end_that_is_not_answered_in_time_is_told_after_the_reset() -> None:
    world = charging(TWO)
    world.csms.ignores("TransactionEvent", times=1)
    asked = now_s(world)
    reset(world, "Immediate")
    at = rebooted(world, within_s=200)
    assert 30 <= at - asked <= 60
    ends = [(t, e) for t, e in heard(world, "TransactionEvent") if e["eventType"] == "Ended"]
    assert len(ends) == 2 and ends[0][0] < at < ends[1][0]
    assert ends[0][1]["seqNo"] == ends[1][1]["seqNo"] and ends[1][1]["offline"] is True
    world.settles()


@req("B12.FR.05")
def test_a_reset_does_not_wait_for_a_link_that_is_gone() -> None:
    world = charging(TWO)
    exchange = world.csms.sends("Reset", {"type": "Immediate"})
    world.until(lambda: exchange.done, within_s=5)
    world.csms.vanishes()
    world.until(lambda: world.boots == 2, within_s=40)
    world.csms.returns()
    world.runs(minutes=3)
    assert trail(world.csms.transaction(1))[-1][:2] == ("Ended", "ResetCommand")
    world.settles()


@req("B11.FR.07", "B12.FR.01", "B12.FR.03", "B01.FR.09")
def test_on_idle_waits_for_the_last_transaction_and_lets_nobody_in() -> None:
    world = charging(TWO)
    since = now_s(world)
    assert reset(world, "OnIdle") == "Scheduled"
    world.ev(2).plugs_in().presents(OTHER)
    world.runs(minutes=30)
    assert statuses(world, since) == [(2, "Unavailable"), (2, "Occupied")]
    assert world.boots == 1 and world.outlets[1].amps > 0 and not world.outlets[2].permitted
    assert remote_start(world, evseId=2)["status"] == "Rejected"
    world.ev(1).presents(CARD)
    at = rebooted(world)
    assert boots(world) == ["PowerUp", "ScheduledReset"]
    assert trail(world.csms.transaction(1))[-1][:2] == ("Ended", "StopAuthorized")
    assert at > [t for t, e in heard(world, "TransactionEvent") if e["eventType"] == "Ended"][-1]
    assert sorted(statuses(world, at)) == [(1, "Occupied"), (2, "Occupied")]
    world.ev(1).unplugs()
    world.runs(minutes=1)
    assert statuses(world, at)[-1] == (1, "Available")
    world.settles()


@req("B12.FR.03")
def test_on_idle_waits_until_what_is_queued_is_delivered() -> None:
    world = charging(TWO, keys=OFFLINE_FOR_ALL)
    assert reset(world, "OnIdle") == "Scheduled"
    world.csms.fails("TransactionEvent", times=2)
    world.ev(1).presents(CARD)
    at = rebooted(world, within_s=600)
    assert all(t < at for t, _ in heard(world, "TransactionEvent"))
    world.settles()


@req("B12.FR.02")
def test_an_immediate_reset_overtakes_one_that_waits() -> None:
    world = charging(TWO)
    assert reset(world, "OnIdle") == "Scheduled"
    assert reset(world, "Immediate") == "Accepted"
    assert reset(world, "OnIdle") == "Accepted"
    rebooted(world)
    assert boots(world)[-1] == "RemoteReset"
    world.settles()


@req("B11.FR.03")
@pytest.mark.parametrize(("retries", "least_s", "most_s"), [("0", 28, 50), ("2", 88, 110)])
def test_a_reset_that_a_welded_contactor_holds_up_is_tried_again_as_the_key_says(
    retries: str, least_s: float, most_s: float
) -> None:
    """OCPPCommCtrlr.ResetRetries."""
    world = charging([raw(32)])
    assert set_variable(world, "OCPPCommCtrlr.ResetRetries", retries) == "Accepted"
    world.outlets[1].welded = True
    begun = now_s(world)
    assert reset(world, "Immediate") == "Accepted"
    assert least_s <= rebooted(world) - begun <= most_s


@req("B11.FR.07")
def test_somebody_who_may_charge_and_has_not_plugged_in_is_waited_for() -> None:
    world = idle(TWO, keys={"TxCtrlr.EVConnectionTimeOut": "40"})
    world.ev(1).presents(CARD)
    world.runs(seconds=3)
    assert reset(world, "OnIdle") == "Scheduled"
    world.runs(seconds=20)
    assert world.boots == 1
    rebooted(world)
    world.settles()


@req("B11.FR.07")
def test_a_cable_that_waits_for_its_owner_is_not_idle() -> None:
    """Errata to B11: a cable that is still locked in the station."""
    world = charging(LOCKED, keys={"OCPPCommCtrlr.UnlockOnEVSideDisconnect": "false"})
    outlet = world.outlets[1]
    cable_amps = outlet.cable_amps
    outlet.unplug()
    outlet.cable_amps = cable_amps
    world.runs(minutes=1)
    assert outlet.locked and trail(world.csms.transaction(1))[-1][0] == "Ended"
    assert reset(world, "OnIdle") == "Scheduled"
    world.runs(minutes=5)
    assert world.boots == 1
    world.ev(1).presents(CARD)
    rebooted(world)


# ---------------------------------------------------------------------------------------- one EVSE


@req("B11.FR.08", "B11.FR.10")
@pytest.mark.parametrize("type", ["OnIdle", "Immediate"])
def test_an_idle_evse_is_reset_without_a_reboot(type: str) -> None:
    world = idle(TWO)
    answer = world.csms_asks(
        "GetVariables",
        {"getVariableData": [{"component": {"name": "EVSE", "evse": {"id": 2}}, "variable": {"name": "AllowReset"}}]},
    )
    assert answer["getVariableResult"][0]["attributeValue"] == "true"
    assert reset(world, type, 2) == "Accepted"
    world.runs(seconds=60)
    assert world.boots == 1
    charge(world, 2)
    world.settles()


@req("B12.FR.02", "B12.FR.08")
def test_an_immediate_reset_of_an_evse_leaves_the_other_one_alone() -> None:
    world = charge(charging(TWO), 2, OTHER)
    since = now_s(world)
    assert reset(world, "Immediate", 2) == "Accepted"
    world.runs(seconds=60)
    assert trail(world.csms.transaction(2))[-1] == ("Ended", "ResetCommand", "EVConnected")
    assert last(world.csms.transaction(2))["transactionInfo"]["stoppedReason"] == "ImmediateReset"
    assert world.outlets[1].amps > 0 and world.boots == 1 and statuses(world, since) == []
    world.ev(2).presents(OTHER)
    world.runs(minutes=1)
    assert world.outlets[2].amps > 0 and len(world.csms.transactions) == 3
    world.settles()


@req("B12.FR.01", "B12.FR.07")
def test_on_idle_an_evse_is_reset_when_its_transaction_has_ended() -> None:
    world = charging(TWO)
    assert reset(world, "OnIdle", 1) == "Scheduled"
    charge(world, 2, OTHER)
    world.ev(1).presents(CARD)
    world.runs(seconds=30)
    assert trail(world.csms.transaction(1))[-1][:2] == ("Ended", "StopAuthorized")
    assert world.boots == 1 and world.outlets[2].amps > 0
    world.ev(1).after(seconds=5).presents(CARD)
    world.runs(minutes=1)
    assert world.outlets[1].amps > 0
    world.settles()


@req("B11.FR.08")
def test_the_reset_of_an_evse_clears_a_contactor_fault_that_waits_for_it() -> None:
    world = idle(TWO)
    world.ev(2).plugs_in().presents(CARD)
    world.until(lambda: world.outlets[2].permitted, within_s=30)
    world.runs(seconds=8)
    world.hear(ContactorReported(2, False))
    world.runs(seconds=5)
    assert statuses(world)[-1] == (2, "Faulted")
    assert reset(world, "Immediate", 2) == "Accepted"
    world.runs(seconds=60)
    assert statuses(world)[-1] == (2, "Occupied")


@req("B11.FR.01")
def test_an_evse_that_is_not_there_is_rejected() -> None:
    world = idle(TWO)
    answer = world.csms_asks("Reset", {"type": "Immediate", "evseId": 3})
    assert answer["status"] == "Rejected" and answer["statusInfo"]["reasonCode"] == "UnknownEvse"


# ---------------------------------------------------------------------------------------- what survives


@req("B01.FR.07", "B11.FR.02", "B12.FR.06", "G01.FR.02", "G03.FR.08", "G04.FR.09")
@pytest.mark.parametrize("place", [(1,), (1, 1), ()])
@pytest.mark.parametrize("cut", ["reset", "power", "kill"])
def test_what_the_csms_took_out_of_service_stays_out_without_a_flash_of_available(
    cut: str, place: tuple[int, ...]
) -> None:
    world = idle(TWO)
    change(world, False, *place)
    world.runs(seconds=5)
    if cut == "reset":
        assert reset(world, "Immediate") == "Accepted"
    else:
        (world.loses_power() if cut == "power" else world.kills_agent()).returns_after(seconds=5)
    at = rebooted(world)
    second = "Available" if place else "Unavailable"
    assert sorted(statuses(world, at)) == [(1, "Unavailable"), (2, second)]
    change(world, True, *place)
    world.runs(seconds=5)
    assert world.csms.last_status == {(1, 1): "Available", (2, 1): "Available"}
    world.settles()


@req("B12.FR.06", "G03.FR.05")
def test_an_evse_that_is_to_go_out_of_service_does_so_over_a_reset() -> None:
    world = charging(TWO)
    assert change(world, False, 1)["status"] == "Scheduled"
    reset(world, "Immediate")
    at = rebooted(world)
    assert sorted(statuses(world, at)) == [(1, "Unavailable"), (2, "Available")]
    world.settles()


@req("B11.FR.02")
def test_the_reset_of_an_evse_does_not_put_it_into_service() -> None:
    world = idle(TWO)
    change(world, False, 1)
    world.runs(seconds=5)
    since = now_s(world)
    assert reset(world, "Immediate", 1) == "Accepted"
    world.runs(seconds=30)
    assert statuses(world, since) == []


# ---------------------------------------------------------------------------------------- ChangeAvailability


@req("G03.FR.01", "G03.FR.02", "G03.FR.04", "G03.FR.06", "G03.FR.07")
@req("G04.FR.01", "G04.FR.05", "G04.FR.07", "G04.FR.08")
def test_station_and_evse_keep_their_own_will() -> None:
    world = idle(TWO)
    assert [change(world, False, 1)["status"], change(world, False)["status"]] == ["Accepted", "Accepted"]
    world.runs(seconds=5)
    assert world.csms.last_status == {(1, 1): "Unavailable", (2, 1): "Unavailable"}
    assert get_variable(world, "ChargingStation.AvailabilityState") == "Unavailable"
    assert get_variable(world, "ChargingStation.Enabled") == "false"
    assert change(world, True)["status"] == "Accepted"
    world.runs(seconds=5)
    assert world.csms.last_status == {(1, 1): "Unavailable", (2, 1): "Available"}
    world.ev(1).plugs_in().presents(CARD)
    world.runs(minutes=1)
    assert not world.outlets[1].permitted and not world.csms.transactions
    assert world.csms.last_status[1, 1] == "Unavailable"
    change(world, True, 1)
    world.runs(seconds=5)
    assert world.csms.last_status[1, 1] == "Occupied"
    world.ev(1).presents(CARD)
    world.runs(minutes=1)
    assert world.outlets[1].amps > 0
    world.settles()


@req("G03.FR.03", "G04.FR.04", "G04.FR.02", "G04.FR.03")
def test_what_is_so_already_is_accepted_and_told_again() -> None:
    world = idle(TWO)
    since = now_s(world)
    assert change(world, True, 1, 1)["status"] == "Accepted"
    world.runs(seconds=2)
    assert statuses(world, since) == [(1, "Available")]
    change(world, False)
    assert change(world, False)["status"] == "Accepted"


@req("G01.FR.05", "G01.FR.07", "G03.FR.05", "G03.FR.04", "G04.FR.06")
@pytest.mark.parametrize("place", [(1,), ()])
def test_a_transaction_goes_on_and_the_evse_goes_out_of_service_when_it_has_ended(place: tuple[int, ...]) -> None:
    world = charging(TWO)
    since = now_s(world)
    assert change(world, False, *place)["status"] == "Scheduled"
    world.runs(minutes=5)
    assert world.outlets[1].amps > 0
    world.ev(1).presents(CARD)
    world.runs(minutes=1)
    assert [status for status in statuses(world, since) if status[0] == 1] == [(1, "Occupied"), (1, "Unavailable")]
    world.ev(1).unplugs()
    world.runs(seconds=20)
    assert world.csms.last_status[1, 1] == "Unavailable"
    world.settles()


@req("G01.FR.05")
def test_a_car_that_is_pulled_while_out_of_service_is_scheduled_leaves_it_unavailable() -> None:
    """Never Available in between (libocpp#809)."""
    world = charging(TWO)
    since = now_s(world)
    change(world, False, 1)
    world.ev(1).unplugs()
    world.runs(seconds=30)
    assert statuses(world, since) == [(1, "Occupied"), (1, "Unavailable")]
    world.settles()


@req("G03.FR.05")
def test_what_was_scheduled_is_called_off_by_operative() -> None:
    world = charging(TWO)
    assert [change(world, False, 1)["status"], change(world, True, 1)["status"]] == ["Scheduled", "Accepted"]
    world.ev(1).unplugs()
    world.runs(seconds=30)
    assert world.csms.last_status[1, 1] == "Available"
    world.settles()


@req("G03.FR.02")
@pytest.mark.parametrize(
    ("place", "reason"), [((9,), "UnknownEvse"), ((1, 2), "UnknownConnectorId")]
)
def test_a_place_that_is_not_there_is_rejected(place: tuple[int, ...], reason: str) -> None:
    world = idle(TWO)
    answer = change(world, False, *place)
    assert (answer["status"], answer["statusInfo"]["reasonCode"]) == ("Rejected", reason)


@req("B01.FR.05", "G01.FR.03")
def test_every_connector_of_an_evse_is_told_and_may_go_out_of_service_alone() -> None:
    world = station((smart(16), raw(32)))
    evses = tuple(e._replace(connectors=(*e.connectors, e.connectors[0]._replace(id=2))) for e in world.site.evses)
    world.site = world.site._replace(evses=evses)
    world.loses_power().returns_after(seconds=1)
    world.runs(seconds=30)
    assert set(world.csms.last_status) == {(1, 1), (1, 2), (2, 1), (2, 2)}
    change(world, False, 2, 2)
    world.hear(PilotChanged(2, "B", 1))
    world.runs(seconds=5)
    assert world.csms.last_status[2, 1] == "Occupied" and world.csms.last_status[2, 2] == "Unavailable"


def test_no_status_of_the_whole_station_or_of_an_evse_is_ever_sent() -> None:
    """Bug 25: evse 0 and connector 0 break the CSMS."""
    world = idle(TWO)
    change(world, False)
    world.runs(seconds=5)
    reset(world, "OnIdle")
    rebooted(world)
    told = [(p["evseId"], p["connectorId"]) for _, p in heard(world, "StatusNotification")]
    assert told and all(evse > 0 and connector > 0 for evse, connector in told)
    assert "StatusNotification" in spoken(world)
