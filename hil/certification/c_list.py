"""C: the local authorization list, online and offline."""

from __future__ import annotations

from hil.certification.c_steps import (
    BAD_CARD,
    asked_for,
    cached,
    has,
    nothing_starts,
    refused_unasked,
    says,
    told_until,
    trusting,
)
from hil.certification.registry import case
from hil.certification.states import TRANSACTION_S, Lab
from hil.certification.talk import CARD, READ
from hil.csms import TokenAnswer

# ------------------------------------------------------------------------------------------ online


@case("TC_C_27", "local")
def accepted(lab: Lab) -> None:
    trusting(lab, listed=True)
    lab.listed({CARD: TokenAnswer()})
    lab.asks = False
    lab.parking_bay_occupied()
    lab.authorized("local")
    lab.ev_connected()
    lab.energy_transfer_started()


@case("TC_C_28", "local")
def invalid(lab: Lab) -> None:
    _asked_for(lab, "Invalid", plugged=False)


@case("TC_C_29", "local")
def blocked(lab: Lab) -> None:
    _asked_for(lab, "Blocked", plugged=True)


@case("TC_C_30", "local")
def expired(lab: Lab) -> None:
    _asked_for(lab, "Expired", plugged=True)


def _asked_for(lab: Lab, status: str, *, plugged: bool) -> None:
    trusting(lab, listed=True)
    lab.listed({BAD_CARD: TokenAnswer(status)})
    says(lab, BAD_CARD, status)
    if plugged:
        lab.ev_connected()
    asked_for(lab, BAD_CARD)
    nothing_starts(lab)


@case("TC_C_31", "local")
def invalid_here_and_accepted_there(lab: Lab) -> None:
    trusting(lab, listed=True)
    lab.listed({CARD: TokenAnswer("Invalid")})
    lab.authorized("local")
    lab.ev_connected()
    lab.energy_transfer_started()


@case("TC_C_58", "local")
def not_asked_for(lab: Lab) -> None:
    trusting(lab, listed=True)
    lab.write("LocalAuthListCtrlr.DisablePostAuthorize", "true")
    lab.listed({BAD_CARD: TokenAnswer("Invalid")})
    refused_unasked(lab, BAD_CARD)
    nothing_starts(lab)


# ------------------------------------------------------------------------------------------ offline


@case("TC_C_21", "local")
def accepted_offline(lab: Lab) -> None:
    _offline_by_list(lab, CARD, "Accepted")
    lab.goes_offline()
    lab.bench.park(lab.evse)
    lab.present(CARD)
    lab.bench.plug(lab.evse)
    lab.bench.wait_until("current flows", lambda: max(lab.bench.amps(lab.evse)) > 0)
    lab.bench.wait(TRANSACTION_S)
    lab.stop_offline(CARD)
    lab.comes_back()
    told = told_until(lab, "from the queue", has("kind", "Ended"))
    stops = [i for i, event in enumerate(told) if READ["trigger"](event) == "StopAuthorized"]
    lab.check("StopAuthorized was told", len(stops) > 0, True)
    lab.check("offline", [READ["offline"](event) for event in told[: stops[0]]], [True] * stops[0])


@case("TC_C_22", "local")
def invalid_offline(lab: Lab) -> None:
    _refused_offline(lab, "Invalid")


@case("TC_C_23", "local")
def blocked_offline(lab: Lab) -> None:
    _refused_offline(lab, "Blocked")


@case("TC_C_24", "local")
def expired_offline(lab: Lab) -> None:
    _refused_offline(lab, "Expired")


def _refused_offline(lab: Lab, status: str) -> None:
    _offline_by_list(lab, BAD_CARD, status)
    lab.stays_away()
    lab.goes_offline()
    lab.bench.park(lab.evse)
    lab.present(BAD_CARD)
    lab.bench.wait(1)
    lab.comes_back()
    lab.bench.wait(5)
    for event in lab.arrived("after the reconnection"):
        lab.demand("after the reconnection", event, trigger="EVDetected", offline=True)


def _offline_by_list(lab: Lab, card: str, status: str) -> None:
    trusting(lab, listed=True)
    lab.write("AuthCtrlr.OfflineTxForUnknownIdEnabled", "false", if_there=True)
    lab.write("AuthCtrlr.LocalAuthorizeOffline", "true")
    lab.listed({card: TokenAnswer(status)})


@case("TC_C_25", "local")
def the_list_wins_over_the_cache(lab: Lab) -> None:
    trusting(lab, cache=True, listed=True)
    lab.write("AuthCtrlr.OfflineTxForUnknownIdEnabled", "true")
    lab.write("AuthCtrlr.LocalAuthorizeOffline", "true")
    lab.write("TxCtrlr.StopTxOnInvalidId", "false")
    lab.stays_away()
    cached(lab)
    lab.listed({CARD: TokenAnswer("Invalid")})
    lab.ev_connected()
    lab.goes_offline()
    lab.present(CARD)
    lab.bench.wait(TRANSACTION_S)
    lab.comes_back()
    nothing_starts(lab)


@case("TC_C_26", "local")
def unknown_offline(lab: Lab) -> None:
    trusting(lab, listed=True)
    lab.write("AuthCtrlr.OfflineTxForUnknownIdEnabled", "true")
    lab.write("AuthCtrlr.LocalAuthorizeOffline", "true")
    lab.write("TxCtrlr.MaxEnergyOnInvalidId", "0", if_there=True)
    lab.write("TxCtrlr.StopTxOnInvalidId", "false")
    lab.goes_offline()
    lab.mark()
    lab.bench.park(lab.evse)
    lab.present(CARD)
    lab.bench.plug(lab.evse)
    lab.bench.wait_until("current flows", lambda: max(lab.bench.amps(lab.evse)) > 0)
    says(lab, CARD, "Invalid")
    lab.comes_back()
    lab.status("Occupied")
    lab.owed["token"] = 1
    told = told_until(lab, "SuspendedEVSE", has("state", "SuspendedEVSE"))
    lab.check("offline", [READ["offline"](event) for event in told[:-1]], [True] * (len(told) - 1))
    lab.parked, lab.plugged, lab.is_authorized, lab.charging = lab.outfit.bay_detector, True, True, True
    lab.stop_authorized("local")
    lab.ev_connected_post_session()
    lab.ev_disconnected()
