"""E: how transactions end, and what a cable pulled at the car means."""

from __future__ import annotations

from hil.certification.registry import BOTH, case
from hil.certification.states import EV_TIMEOUT_S, Lab
from hil.certification.talk import CARD, WAIT_S, Json
from hil.csms import TokenAnswer

RECLOSING_S = 8.0
"""Stations space the closings of their contactor."""
PULLED = "after the car's end was pulled"


@case("TC_E_06", "local")
def stopped_locally(lab: Lab) -> None:
    lab.energy_transfer_started()
    lab.stop_authorized("local")
    lab.ev_connected_post_session()
    lab.ev_disconnected()
    lab.parking_bay_unoccupied()


@case("TC_E_07", "local")
def power_path_closed_stopped_locally(lab: Lab) -> None:
    lab.stop_points("PowerPathClosed")
    lab.energy_transfer_started()
    lab.stop_authorized("local")
    lab.check("the transaction still running", lab.running, None)


@case("TC_E_35", "remote")
def power_path_closed_stopped_remotely(lab: Lab) -> None:
    lab.stop_points("PowerPathClosed")
    _stopped_remotely(lab)


@case("TC_E_37", *BOTH)
def power_path_closed_car_gone(lab: Lab) -> None:
    lab.stop_points("PowerPathClosed")
    lab.write("TxCtrlr.StopTxOnEVSideDisconnect", "false")
    lab.energy_transfer_suspended()
    lab.unplug_at_car()
    lab.event(PULLED, kind="Ended", trigger="EVCommunicationLost", state="Idle",
              stopped=("StoppedByEV", "EVDisconnected"))  # fmt: skip


@case("TC_E_08", *BOTH)
def energy_transfer_stop_authorized(lab: Lab) -> None:
    lab.stop_points("EnergyTransfer")
    lab.energy_transfer_started()
    lab.stop_authorized()
    lab.check("the transaction still running", lab.running, None)


@case("TC_E_22", *BOTH)
def energy_transfer_suspended_by_car(lab: Lab) -> None:
    """The errata: it ends. An Updated SuspendedEV may come before."""
    lab.stop_points("EnergyTransfer")
    lab.energy_transfer_started()
    lab.bench.wait(1)
    lab.bench.pause(lab.evse)
    what, states = "after the car's pause", ("EVConnected", "SuspendedEV")
    event = lab.event(what, kind=("Updated", "Ended"), trigger="ChargingStateChanged", state=states)
    if event["eventType"] == "Updated":
        lab.demand(what, event, state="SuspendedEV")
        event = lab.event(what)
    lab.demand(what, event, kind="Ended", stopped="StoppedByEV")


@case("TC_E_14", *BOTH)
def ev_connected_unplugged_at_the_station(lab: Lab) -> None:
    lab.stop_points("EVConnected")
    lab.ev_connected_post_session()
    lab.unplug()
    reasons = ("Remote", "EVDisconnected") if lab.way == "remote" else ("Local", "EVDisconnected", None)
    lab.event("after unplugging", kind="Ended", trigger="EVCommunicationLost", state="Idle", stopped=reasons)


@case("TC_E_20", *BOTH)
def ev_connected_unplugged_at_the_car(lab: Lab) -> None:
    _gone_at_the_car(lab, "EVDisconnected")


@case("TC_E_54", *BOTH)
def ev_connected_unplugged_at_a_car_that_talks(lab: Lab) -> None:
    _gone_at_the_car(lab, "StoppedByEV", "EVDisconnected")


def _gone_at_the_car(lab: Lab, *reasons: str) -> None:
    lab.stop_points("EVConnected")
    lab.write("TxCtrlr.StopTxOnEVSideDisconnect", "false")
    lab.energy_transfer_suspended()
    lab.unplug_at_car()
    lab.event(PULLED, kind="Ended", trigger="EVCommunicationLost", state="Idle", stopped=reasons)


@case("TC_E_15", "local")
def stop_authorized_locally(lab: Lab) -> None:
    lab.stop_points("Authorized")
    lab.energy_transfer_started()
    lab.bench.wait(1)
    lab.present(CARD)
    lab.event("after the card", kind="Ended", trigger="StopAuthorized", stopped="Local")


@case("TC_E_21", "remote")
def stop_authorized_remotely(lab: Lab) -> None:
    lab.stop_points("Authorized")
    _stopped_remotely(lab)


def _stopped_remotely(lab: Lab) -> None:
    """RemoteStop in one of the events, Remote in the last (errata of TC_E_35)."""
    lab.energy_transfer_started()
    lab.call("RequestStopTransaction", {"transactionId": lab.running}, status="Accepted")
    told = [lab.event("after the remote stop")]
    while lab.running is not None:
        told.append(lab.event("until the end"))
    lab.check("RemoteStop was told", "RemoteStop" in [e["triggerReason"] for e in told], True)
    lab.demand("the last event", told[-1], kind="Ended", stopped="Remote")


@case("TC_E_19", *BOTH)
def parking_bay_unoccupied(lab: Lab) -> None:
    lab.stop_points("ParkingBayOccupancy")
    lab.ev_disconnected()
    lab.leave_bay()
    lab.check("the transaction still running", lab.running, None)


@case("TC_E_16", "local")
def deauthorized_by_the_csms(lab: Lab) -> None:
    lab.stop_points("Authorized")
    lab.write("AuthCtrlr.Enabled", "true", if_there=True)
    lab.write("AuthCtrlr.DisableRemoteAuthorization", "false", if_there=True)
    lab.write("TxCtrlr.StopTxOnInvalidId", "true")
    lab.known_to(CARD)
    lab.session_offline(ends=False)
    lab.bench.behaviour.tokens[CARD] = TokenAnswer("Invalid")
    lab.comes_back()
    event = lab.event("from the queue", kind="Started", offline=True)
    while event["triggerReason"] != "Deauthorized":
        event = lab.event("until it is deauthorized")
    lab.demand("deauthorized", event, kind="Ended", stopped="DeAuthorized")


@case("TC_E_17", *BOTH)
def deauthorized_at_the_car(lab: Lab) -> None:
    lab.stop_points("Authorized")
    event = _pulled_and_deauthorized(lab, unlock=False)
    lab.demand(PULLED, event, kind="Ended", stopped="EVDisconnected")


@case("TC_E_24", *BOTH)
def pulled_at_the_car_and_unlocked(lab: Lab) -> None:
    _pulled_and_deauthorized(lab, unlock=True)


@case("TC_E_25", *BOTH)
def pulled_at_the_car_and_kept_locked(lab: Lab) -> None:
    _pulled_and_deauthorized(lab, unlock=False)


def _pulled_and_deauthorized(lab: Lab, *, unlock: bool) -> Json:
    lab.write("TxCtrlr.StopTxOnEVSideDisconnect", "true")
    lab.write("OCPPCommCtrlr.UnlockOnEVSideDisconnect", "true" if unlock else "false")
    lab.energy_transfer_suspended()
    lab.unplug_at_car()
    event = lab.event(PULLED, trigger="EVCommunicationLost", state="Idle")
    if not unlock:
        _retained(lab)
    lab.unplug_at_station(with_card=not unlock)
    return event


def _retained(lab: Lab) -> None:
    """The station's end of a loose cable stays locked (E09.FR.03, E10.FR.01)."""
    if lab.outfit.cable == "socket":
        lab.bench.wait(2)
        lab.check("the plug is retained", lab.bench.locked(lab.evse), True)


@case("TC_E_26", *BOTH)
def suspended_and_resumed(lab: Lab) -> None:
    _pulled_and_suspended(lab)
    lab.bench.wait(RECLOSING_S)
    lab.plug_in()
    lab.event("after the car came back", kind="Updated", trigger="CablePluggedIn", state="EVConnected")
    lab.event("when energy flows", kind="Updated", trigger="ChargingStateChanged", state="Charging")


@case("TC_E_27", *BOTH)
def suspended_for_too_long(lab: Lab) -> None:
    lab.write("TxCtrlr.EVConnectionTimeOut", str(EV_TIMEOUT_S))
    _pulled_and_suspended(lab)
    event = lab.event("after the time-out", EV_TIMEOUT_S + WAIT_S, trigger="EVConnectTimeout")
    if "Authorized" in lab.stops:
        lab.demand("after the time-out", event, kind="Ended", stopped="Timeout")
    else:
        lab.demand("after the time-out", event, kind="Updated")


def _pulled_and_suspended(lab: Lab) -> None:
    lab.stop_points("Authorized", *(["ParkingBayOccupancy"] if lab.outfit.bay_detector else []))
    lab.write("OCPPCommCtrlr.UnlockOnEVSideDisconnect", "false")
    lab.write("TxCtrlr.StopTxOnEVSideDisconnect", "false")
    lab.energy_transfer_suspended()
    lab.unplug_at_car()
    lab.event(PULLED, kind="Updated", trigger="EVCommunicationLost", state="Idle")
    _retained(lab)
    if lab.outfit.cable == "fixed":
        lab.status("Available")


@case("TC_E_46")
def ended_by_iso15118(lab: Lab) -> None:
    lab.energy_transfer_started()
    lab.session_ends_by_iso15118()
    what = "after SessionStopReq"
    event = lab.event(what, trigger="StopAuthorized", state="EVConnected")
    if lab.stops & {"Authorized", "PowerPathClosed", "EnergyTransfer"}:
        lab.demand(what, event, kind="Ended", stopped="StoppedByEV")
    else:
        lab.demand(what, event, kind="Updated")
