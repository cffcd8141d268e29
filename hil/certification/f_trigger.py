"""F: messages that the CSMS asks for."""

from __future__ import annotations

from typing import Any

from hil.certification.registry import BOTH, case
from hil.certification.states import OTHER_CARD, Lab
from hil.certification.talk import CARD_TYPE, READ, Json


def _trigger(lab: Lab, message: str, status: str = "Accepted", place: Json | None = None) -> None:
    lab.call("TriggerMessage", {"requestedMessage": message} | ({"evse": place} if place else {}), status=status)


def _sent(lab: Lab, message: str, place: Json | None = None) -> Json:
    """The message that follows when it is asked for."""
    before = len(lab.bench.calls(message))
    _trigger(lab, message, place=place)
    return lab.next_call(message, before)


def _context(payload: Json) -> Any:
    return payload["meterValue"][0]["sampledValue"][0].get("context")


@case("TC_F_11")
def meter_values_of_one(lab: Lab) -> None:
    told = _sent(lab, "MeterValues", {"id": lab.evse})
    lab.check("evseId", told["evseId"], lab.evse)
    lab.check("context", _context(told), "Trigger")


@case("TC_F_12")
def meter_values_of_all(lab: Lab) -> None:
    before = len(lab.bench.calls("MeterValues"))
    _trigger(lab, "MeterValues")

    def told() -> list[Json]:
        return [frame.payload for frame in lab.bench.calls("MeterValues")[before:]]

    everywhere = lab.bench.outfits().keys()
    lab.bench.wait_until("MeterValues of every EVSE", lambda: {one["evseId"] for one in told()} >= everywhere)
    lab.check("contexts", {_context(one) for one in told()}, {"Trigger"})


@case("TC_F_13", *BOTH)
def transaction_of_one(lab: Lab) -> None:
    lab.energy_transfer_started()
    _trigger(lab, "TransactionEvent", place={"id": lab.evse})
    event = lab.event("that was asked for", trigger="Trigger", state="Charging")
    lab.check("evse.id", event.get("evse", {}).get("id", lab.evse), lab.evse)
    lab.check("context", _context(event), "Trigger")


@case("TC_F_14", *BOTH)
def transactions_of_all(lab: Lab) -> None:
    lab.energy_transfer_started()
    others = [evse for evse in lab.bench.outfits() if evse != lab.evse]
    for evse in others:
        _charges(lab, evse)
    _trigger(lab, "TransactionEvent")
    places = {lab.evse, *others}
    lab.bench.wait_until("an event of every EVSE", lambda: {e["evse"]["id"] for e in _asked_for(lab)} == places)
    lab.check("charging states", {READ["state"](e) for e in _asked_for(lab)}, {"Charging"})
    lab.check("contexts", {_context(e) for e in _asked_for(lab)}, {"Trigger"})


def _charges(lab: Lab, evse: int) -> None:
    """A second car, started from afar, charges at another EVSE."""
    before = _charging(lab)
    lab.bench.plug(evse)
    token = {"idToken": f"{OTHER_CARD[:-2]}{evse:02}", "type": CARD_TYPE}
    start = {"idToken": token, "remoteStartId": 900 + evse, "evseId": evse}
    lab.call("RequestStartTransaction", start, status="Accepted")
    lab.bench.wait_until(f"a transaction that charges at EVSE {evse}", lambda: _charging(lab) > before)


def _charging(lab: Lab) -> set[str]:
    return {e["transactionInfo"]["transactionId"] for e in lab.events() if READ["state"](e) == "Charging"}


def _asked_for(lab: Lab) -> list[Json]:
    return [event for event in lab.events() if event["triggerReason"] == "Trigger"]


@case("TC_F_20")
def heartbeat(lab: Lab) -> None:
    _sent(lab, "Heartbeat")


@case("TC_F_23")
def status_available(lab: Lab) -> None:
    lab.mark()
    _trigger(lab, "StatusNotification", place={"id": lab.evse, "connectorId": lab.connector})
    lab.status("Available")


@case("TC_F_24")
def status_occupied(lab: Lab) -> None:
    lab.ev_connected()
    lab.mark()
    _trigger(lab, "StatusNotification", place={"id": lab.evse, "connectorId": lab.connector})
    lab.status("Occupied")


@case("TC_F_26")
def boot(lab: Lab) -> None:
    _trigger(lab, "BootNotification", status="Rejected")


@case("TC_F_27")
def not_implemented(lab: Lab) -> None:
    _trigger(lab, "SignCombinedCertificate", status="NotImplemented")


@case("TC_F_15")
def no_log(lab: Lab) -> None:
    told = _sent(lab, "LogStatusNotification")
    lab.check("status", told["status"], "Idle")


@case("TC_F_16")
def log_on_its_way(lab: Lab) -> None:
    where = {"remoteLocation": lab.bench.file_url("stalls")}
    lab.call("GetLog", {"logType": "DiagnosticsLog", "requestId": 31, "log": where}, status="Accepted")
    lab.check("status", lab.next_call("LogStatusNotification", 0)["status"], "Uploading")
    told = _sent(lab, "LogStatusNotification")
    lab.check("status that was asked for", told["status"], "Uploading")
    lab.check("its requestId", told.get("requestId"), 31)


@case("TC_F_18")
def firmware_at_rest(lab: Lab) -> None:
    told = _sent(lab, "FirmwareStatusNotification")
    lab.check("status", told["status"], "Idle")
    lab.check("requestId", told.get("requestId"), None)


@case("TC_F_17")
def firmware_of_an_evse(lab: Lab) -> None:
    """The EVSE is of no meaning for it, and changes nothing."""
    told = _sent(lab, "FirmwareStatusNotification", {"id": lab.evse})
    lab.check("status", told["status"], "Idle")
