"""H: an EVSE is kept for somebody."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Any

from hil.certification.registry import BOTH, case
from hil.certification.states import GROUP, OTHER_CARD, Lab
from hil.certification.talk import CARD, CARD_TYPE, Json
from hil.csms import TokenAnswer

NUMBER = 4700
"""The id of the reservation; further ones count on from it."""
GROUP_TOKEN: Json = {"idToken": GROUP, "type": "Central"}
LONG_S, SHORT_S = 600.0, 60.0
"""How long a reservation lasts, and one that is to expire."""
WATCH_S = 10.0
"""How long the station is watched for what it must not do."""


# ---------------------------------------------------------------------------------------------- words


def _reserve(lab: Lab, status: str = "Accepted", number: int = NUMBER, **more: Any) -> None:
    """ReserveNow for `card`, with whatever else is named; `lasts_s` from now on the station's clock."""
    lab.write("ReservationCtrlr.Enabled", "true", if_there=True)
    _ask(lab, status, number, **more)


def _ask(lab: Lab, status: str, number: int, card: str = CARD, lasts_s: float = LONG_S, **more: Any) -> None:
    expires = datetime.fromisoformat(lab.read("ClockCtrlr.DateTime")) + timedelta(seconds=lasts_s)
    token = {"idToken": card, "type": CARD_TYPE}
    request = {"id": number, "expiryDateTime": expires.isoformat(), "idToken": token, **more}
    lab.call("ReserveNow", request, status=status)


def _reserved(lab: Lab, **more: Any) -> None:
    """Reusable state Reserved: the EVSE is kept, and that is told."""
    lab.mark()
    _reserve(lab, evseId=lab.evse, **more)
    lab.status("Reserved")


def _all_reserved(lab: Lab) -> None:
    """Every EVSE of the station is kept for somebody of its own."""
    for evse in lab.bench.outfits():
        _reserve(lab, number=NUMBER + evse, card=f"{OTHER_CARD[:-2]}{evse:02}", evseId=evse)


def _availability(lab: Lab, status: str, evse: int | None = None) -> None:
    place = {"evse": {"id": evse}} if evse else {}
    lab.call("ChangeAvailability", {"operationalStatus": status, **place}, status="Accepted")


def _alone(lab: Lab) -> None:
    """The other EVSEs are out of service: what is kept for somebody can only be this one."""
    for evse in lab.bench.outfits():
        if evse != lab.evse:
            _availability(lab, "Inoperative", evse)
    lab.statuses({evse: "Available" if evse == lab.evse else "Unavailable" for evse in lab.bench.outfits()})


def _updated(lab: Lab, status: str) -> None:
    """ReservationStatusUpdate, once."""
    told = lab.next_call("ReservationStatusUpdate", 0)
    lab.check("ReservationStatusUpdate", told, {"reservationId": NUMBER, "reservationUpdateStatus": status})


def _comes(lab: Lab, card: str = CARD, group: str | None = None, *, reserved: bool) -> None:
    """The driver with this token comes and charges; whether the transaction names the reservation."""
    lab.card, lab.group = card, group
    lab.bench.behaviour.tokens[card] = TokenAnswer(group=group)
    lab.mark()
    lab.authorized()
    if reserved:
        lab.status("Available")
    lab.energy_transfer_started()
    named = [event["reservationId"] for event in lab.events() if "reservationId" in event]
    lab.check("reservationIds of the transaction", named, [NUMBER] if reserved else [])


def _connector_type(lab: Lab) -> str:
    component = {"name": "Connector", "evse": {"id": lab.evse, "connectorId": lab.connector}}
    asked = {"getVariableData": [{"component": component, "variable": {"name": "ConnectorType"}}]}
    (result,) = lab.bench.call("GetVariables", asked)["getVariableResult"]
    return str(result["attributeValue"])


# ---------------------------------------------------------------------------------------------- one EVSE


@case("TC_H_01", *BOTH)
def the_one_comes(lab: Lab) -> None:
    _reserved(lab)
    _comes(lab, reserved=True)


@case("TC_H_02", *BOTH)
def another_comes(lab: Lab) -> None:
    """The car is there before anybody is known: that is no reason to tell the connector Occupied."""
    _reserved(lab)
    lab.mark()
    lab.bench.park(lab.evse)
    lab.bench.plug(lab.evse)
    lab.bench.wait(1)
    if lab.way == "local":
        lab.present(OTHER_CARD)
    else:
        token = {"idToken": OTHER_CARD, "type": CARD_TYPE}
        request = {"idToken": token, "remoteStartId": 1, "evseId": lab.evse}
        lab.call("RequestStartTransaction", request, status="Rejected")
    lab.bench.wait(WATCH_S)
    states = [event["transactionInfo"].get("chargingState") for event in lab.arrived("of the stranger")]
    lab.check("a charging state", "Charging" in states, False)
    lab.check("current", max(lab.bench.amps(lab.evse)), 0)
    lab.statuses({evse: "Reserved" if evse == lab.evse else "Available" for evse in lab.bench.outfits()})


@case("TC_H_03")
def it_is_reserved(lab: Lab) -> None:
    _reserved(lab)
    _reserve(lab, "Occupied", NUMBER + 1, card=OTHER_CARD, evseId=lab.evse)


@case("TC_H_04")
def it_is_occupied(lab: Lab) -> None:
    lab.energy_transfer_started()
    _reserve(lab, "Occupied", card=OTHER_CARD, evseId=lab.evse)


@case("TC_H_06")
def it_is_unavailable(lab: Lab) -> None:
    _availability(lab, "Inoperative", lab.evse)
    lab.status("Unavailable")
    _reserve(lab, "Unavailable", card=OTHER_CARD, evseId=lab.evse)


@case("TC_H_07", *BOTH)
def nobody_comes(lab: Lab) -> None:
    _reserved(lab, lasts_s=SHORT_S)
    lab.mark()
    lab.status("Available", SHORT_S + 10)
    _updated(lab, "Expired")
    _comes(lab, OTHER_CARD, reserved=False)


@case("TC_H_19", *BOTH)
def one_of_the_group_comes(lab: Lab) -> None:
    _reserved(lab, groupIdToken=GROUP_TOKEN)
    _comes(lab, OTHER_CARD, GROUP, reserved=True)


@case("TC_H_22")
def reservations_are_off(lab: Lab) -> None:
    lab.write("ReservationCtrlr.Enabled", "false", if_there=True)
    _ask(lab, "Rejected", NUMBER, evseId=lab.evse)


@case("TC_H_23", *BOTH)
def a_reservation_is_replaced(lab: Lab) -> None:
    _reserved(lab)
    _reserve(lab, card=OTHER_CARD, evseId=lab.evse)
    _comes(lab, OTHER_CARD, reserved=True)


# ---------------------------------------------------------------------------------------------- any EVSE


@case("TC_H_08", *BOTH)
def any_evse(lab: Lab) -> None:
    _alone(lab)
    lab.mark()
    _reserve(lab)
    lab.status("Reserved")
    _comes(lab, reserved=True)


@case("TC_H_09")
def all_are_reserved(lab: Lab) -> None:
    _all_reserved(lab)
    _reserve(lab, "Occupied")


@case("TC_H_10")
def all_are_occupied(lab: Lab) -> None:
    for evse in lab.bench.outfits():
        lab.bench.park(evse)
        lab.bench.plug(evse)
        lab.bench.present(f"{OTHER_CARD[:-2]}{evse:02}", evse)
        lab.bench.wait_until(f"EVSE {evse} is on", partial(lab.bench.closed, evse))
    _reserve(lab, "Occupied")


@case("TC_H_12")
def all_are_unavailable(lab: Lab) -> None:
    _availability(lab, "Inoperative")
    lab.statuses(dict.fromkeys(lab.bench.outfits(), "Unavailable"))
    _reserve(lab, "Unavailable")


@case("TC_H_13")
def no_evse_is_named(lab: Lab) -> None:
    _reserve(lab, "Rejected")


@case("TC_H_14")
def as_many_as_evses(lab: Lab) -> None:
    for evse in lab.bench.outfits():
        _reserve(lab, number=NUMBER + evse, card=f"{OTHER_CARD[:-2]}{evse:02}")
    lab.statuses(dict.fromkeys(lab.bench.outfits(), "Reserved"))


@case("TC_H_24", *BOTH)
def any_evse_for_a_group(lab: Lab) -> None:
    _alone(lab)
    lab.mark()
    _reserve(lab, groupIdToken=GROUP_TOKEN)
    lab.status("Reserved")
    _comes(lab, OTHER_CARD, GROUP, reserved=True)


# ---------------------------------------------------------------------------------------------- a type


@case("TC_H_15", *BOTH)
def a_connector_of_a_type(lab: Lab) -> None:
    _alone(lab)
    lab.mark()
    _reserve(lab, connectorType=_connector_type(lab))
    lab.status("Reserved")
    _comes(lab, reserved=True)


@case("TC_H_16")
def all_of_a_type_are_reserved(lab: Lab) -> None:
    _all_reserved(lab)
    _reserve(lab, "Occupied", connectorType=_connector_type(lab))


# ---------------------------------------------------------------------------------------------- its end


@case("TC_H_17")
def it_is_cancelled(lab: Lab) -> None:
    _reserved(lab)
    lab.mark()
    lab.call("CancelReservation", {"reservationId": NUMBER}, status="Accepted")
    lab.status("Available")


@case("TC_H_18")
def nothing_to_cancel(lab: Lab) -> None:
    lab.call("CancelReservation", {"reservationId": 1}, status="Rejected")


@case("TC_H_21", *BOTH)
def it_is_taken_out_of_service(lab: Lab) -> None:
    _reserved(lab)
    lab.mark()
    _availability(lab, "Inoperative", lab.evse)
    lab.status("Unavailable")
    _updated(lab, "Removed")
    lab.mark()
    _availability(lab, "Operative", lab.evse)
    lab.status("Available")
    _comes(lab, OTHER_CARD, reserved=False)
