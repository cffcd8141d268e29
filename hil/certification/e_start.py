"""E: how transactions start."""

from __future__ import annotations

from hil.certification.registry import BOTH, case
from hil.certification.states import EV_TIMEOUT_S, Lab
from hil.certification.talk import CARD, READ, SIGNATURE, WAIT_S

REST_S = 90.0
"""How long a station may look at a car that does not take what is offered until it is SuspendedEV."""
STRANGER = "04DEADBEEF0708"


@case("TC_E_01", *BOTH)
def power_path_closed(lab: Lab) -> None:
    lab.start_points("PowerPathClosed")
    lab.authorized()
    lab.ev_connected()
    lab.energy_transfer_started()


@case("TC_E_02", *BOTH)
def energy_transfer(lab: Lab) -> None:
    lab.start_points("EnergyTransfer")
    lab.authorized()
    lab.plug_in()
    triggers = ("RemoteStart",) if lab.way == "remote" else ("ChargingStateChanged", "Authorized")
    lab.event("when energy flows", kind="Started", trigger=triggers, token=CARD, state="Charging")


@case("TC_E_09", *BOTH)
def ev_connected(lab: Lab) -> None:
    lab.start_points("EVConnected")
    lab.parking_bay_occupied()
    lab.plug_in()
    triggers = ("CablePluggedIn", "ChargingStateChanged")
    lab.event("after plugging in", kind="Started", trigger=triggers, state="EVConnected")
    lab.authorized()
    lab.energy_transfer_started()


@case("TC_E_10", "local")
def authorized_locally(lab: Lab) -> None:
    lab.start_points("Authorized")
    _asks_the_csms(lab)
    lab.authorized("local")
    lab.check("a transaction runs", lab.running is not None, True)
    lab.ev_connected()
    lab.energy_transfer_started()


@case("TC_E_13", "remote")
def authorized_remotely(lab: Lab) -> None:
    lab.start_points("Authorized")
    _asks_the_csms(lab)
    lab.authorized("remote")
    lab.check("a transaction runs", lab.running is not None, True)
    lab.ev_connected()
    lab.energy_transfer_started()


@case("TC_E_11", *BOTH)
def data_signed(lab: Lab) -> None:
    lab.start_points("DataSigned")
    lab.write("SampledDataCtrlr.SignReadings", "true")
    lab.authorized()
    lab.plug_in()
    event = lab.next_event("when the meter has signed")
    triggers = ("RemoteStart", "SignedDataReceived") if lab.way == "remote" else ("SignedDataReceived",)
    lab.demand("when the meter has signed", event, kind="Started", trigger=triggers, token=CARD)
    samples = [sample for value in event.get("meterValue", ()) for sample in value["sampledValue"]]
    begins = [s for s in samples if s.get("context") == "Transaction.Begin"]
    lab.check("samples of Transaction.Begin", bool(begins), True)
    signed = [s["signedMeterValue"].keys() for s in begins if "signedMeterValue" in s]
    lab.check("signed samples", bool(signed) and all(fields >= SIGNATURE for fields in signed), True)
    lab.energy_transfer_started()


@case("TC_E_12", *BOTH)
def parking_bay_occupied(lab: Lab) -> None:
    lab.start_points("ParkingBayOccupancy")
    lab.parking_bay_occupied()
    lab.check("a transaction runs", lab.running is not None, True)
    lab.authorized()
    lab.ev_connected()
    lab.energy_transfer_started()


@case("TC_E_03", "local")
def cable_first(lab: Lab) -> None:
    _asks_the_csms(lab)
    lab.ev_connected()
    lab.authorized("local")
    lab.energy_transfer_started()


@case("TC_E_04", "local")
def authorization_first(lab: Lab) -> None:
    _asks_the_csms(lab)
    lab.parking_bay_occupied()
    lab.authorized("local")
    lab.energy_transfer_started()


@case("TC_E_05", "local")
def authorization_first_and_no_car(lab: Lab) -> None:
    """Played with a transaction to end: TxStartPoint Authorized."""
    lab.start_points("Authorized")
    lab.write("TxCtrlr.EVConnectionTimeOut", str(EV_TIMEOUT_S))
    _asks_the_csms(lab)
    lab.authorized("local")
    _no_car_came(lab)
    lab.authorized("local")
    lab.energy_transfer_started()


@case("TC_E_39", *BOTH)
def deauthorized_by_timeout(lab: Lab) -> None:
    lab.start_points("Authorized")
    lab.stop_points("Authorized")
    lab.write("TxCtrlr.EVConnectionTimeOut", str(EV_TIMEOUT_S))
    _asks_the_csms(lab)
    lab.authorized()
    _no_car_came(lab)
    lab.plug_in()
    lab.bench.wait(EV_TIMEOUT_S)
    told = [(e["triggerReason"], e["transactionInfo"].get("chargingState")) for e in lab.waiting_events()]
    for trigger, state in told:
        lab.check("trigger after the late car", trigger, "CablePluggedIn")
        lab.check("the late car charges", state == "Charging", False)
    lab.check("current into the late car", max(lab.bench.amps(lab.evse)), 0)


def _no_car_came(lab: Lab) -> None:
    event = lab.event("after the time-out", EV_TIMEOUT_S + WAIT_S, trigger="EVConnectTimeout")
    if "Authorized" in lab.stops:
        lab.demand("after the time-out", event, kind="Ended", stopped="Timeout")
    else:
        lab.demand("after the time-out", event, kind="Updated")
    lab.is_authorized = False


@case("TC_E_38", *BOTH)
def ev_not_ready(lab: Lab) -> None:
    lab.authorized()
    lab.ev_connected(ready=False)
    what, event = "while the car rests", None
    while event is None or event["transactionInfo"].get("chargingState") == "SuspendedEVSE":
        states = ("SuspendedEVSE", "SuspendedEV")
        event = lab.event(what, REST_S, trigger="ChargingStateChanged", state=states)


@case("TC_E_52", "local")
def no_remote_authorization(lab: Lab) -> None:
    lab.write("AuthCtrlr.DisableRemoteAuthorization", "true")
    lab.parking_bay_occupied()
    asked = len(lab.bench.calls("Authorize"))
    lab.present(STRANGER)
    lab.bench.wait(5)
    lab.ev_connected()
    lab.bench.wait(5)
    lab.check("Authorize requests", len(lab.bench.calls("Authorize")) - asked, 0)
    lab.check("current into the car", max(lab.bench.amps(lab.evse)), 0)
    states = [READ["state"](event) for event in lab.events()]
    lab.check("Charging was told", "Charging" in states, False)


def _asks_the_csms(lab: Lab) -> None:
    lab.write("AuthCtrlr.Enabled", "true", if_there=True)
    lab.write("AuthCtrlr.DisableRemoteAuthorization", "false", if_there=True)
