"""C: what the station remembers of the CSMS's answers."""

from __future__ import annotations

from hil.certification.c_steps import (
    BAD_CARD,
    MASTER_CARD,
    MASTER_GROUP,
    asked_for,
    authorization_on,
    cached,
    ends_by,
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

LIFETIME_S = 5
MUCH_WH, LITTLE_WH = 10_000, 500


# ------------------------------------------------------------------------------------------ a known card


@case("TC_C_08", "local")
def accepted(lab: Lab) -> None:
    trusting(lab, cache=True)
    cached(lab)
    lab.asks = False
    lab.ev_connected()
    lab.authorized("local")
    lab.energy_transfer_started()


@case("TC_C_13", "local")
def accepted_before_the_cable(lab: Lab) -> None:
    trusting(lab, cache=True)
    cached(lab)
    _known_card_first(lab)


@case("TC_C_32", "local")
def kept_over_a_reboot(lab: Lab) -> None:
    trusting(lab, cache=True)
    cached(lab)
    lab.reboots()
    _known_card_first(lab)


def _known_card_first(lab: Lab) -> None:
    lab.asks = False
    lab.parking_bay_occupied()
    lab.authorized("local")
    lab.ev_connected()
    lab.energy_transfer_started()


@case("TC_C_14", "local")
def a_master_pass_in_the_cache(lab: Lab) -> None:
    trusting(lab, cache=True)
    lab.write("AuthCtrlr.MasterPassGroupId", MASTER_GROUP)
    cached(lab, MASTER_CARD, group=MASTER_GROUP)
    lab.energy_transfer_started()
    asked = len(lab.bench.calls("Authorize"))
    ends_by(lab, MASTER_CARD, master=True)
    lab.check("Authorize requests", len(lab.bench.calls("Authorize")) - asked, 0)


# ------------------------------------------------------------------------------------------ a card that was refused


@case("TC_C_09", "local")
def invalid_and_still_invalid(lab: Lab) -> None:
    _asked_again(lab, "Invalid")


@case("TC_C_10", "local")
def blocked(lab: Lab) -> None:
    _asked_again(lab, "Blocked")


@case("TC_C_11", "local")
def expired(lab: Lab) -> None:
    _asked_again(lab, "Expired")


def _asked_again(lab: Lab, status: str) -> None:
    trusting(lab, cache=True)
    cached(lab, BAD_CARD, status)
    lab.ev_connected()
    asked_for(lab, BAD_CARD)
    nothing_starts(lab)


@case("TC_C_12", "local")
def invalid_and_accepted_by_now(lab: Lab) -> None:
    trusting(lab, cache=True)
    cached(lab, CARD, "Invalid")
    lab.ev_connected()
    says(lab, CARD)
    lab.authorized("local")
    lab.energy_transfer_started()


@case("TC_C_57", "local")
def not_asked_again(lab: Lab) -> None:
    trusting(lab, cache=True)
    lab.write("AuthCacheCtrlr.DisablePostAuthorize", "true")
    cached(lab, BAD_CARD, "Invalid")
    lab.ev_connected()
    refused_unasked(lab, BAD_CARD)
    nothing_starts(lab)


# ------------------------------------------------------------------------------------------ refused afterwards


@case("TC_C_15", "local")
def refused_later_with_an_allowance(lab: Lab) -> None:
    _starts_offline(lab, stops=False, allowance_wh=MUCH_WH)
    _reconnects_refused(lab)
    lab.bench.wait(10)
    told = lab.arrived("after the refusal")
    lab.check("Deauthorized was told", any(map(has("trigger", "Deauthorized"), told)), False)
    lab.check("SuspendedEVSE was told", any(map(has("state", "SuspendedEVSE"), told)), False)
    lab.check("current flows", max(lab.bench.amps(lab.evse)) > 0, True)


@case("TC_C_16", "local")
def refused_later_and_stopped(lab: Lab) -> None:
    _starts_offline(lab, stops=True, allowance_wh=0)
    _reconnects_refused(lab)
    told_until(lab, "Deauthorized", has("trigger", "Deauthorized"))
    _no_current(lab)


@case("TC_C_17", "local")
def refused_later_and_suspended(lab: Lab) -> None:
    _starts_offline(lab, stops=False, allowance_wh=0)
    _reconnects_refused(lab)
    told = told_until(lab, "SuspendedEVSE", has("state", "SuspendedEVSE"))
    lab.demand("when refused", told[-1], kind="Updated", trigger="ChargingStateChanged")
    _no_current(lab)


@case("TC_C_18", "local")
def refused_later_and_stopped_whatever_the_allowance(lab: Lab) -> None:
    _starts_offline(lab, stops=True, allowance_wh=LITTLE_WH)
    _reconnects_refused(lab)
    told = told_until(lab, "Deauthorized", has("trigger", "Deauthorized"))
    lab.demand("when refused", told[-1], offline=False)
    _no_current(lab)


def _starts_offline(lab: Lab, *, stops: bool, allowance_wh: int) -> None:
    """A card of cache and list starts a session while the CSMS is away, which does not know it any longer."""
    trusting(lab, cache=True, listed=True)
    lab.write("AuthCtrlr.LocalAuthorizeOffline", "true")
    lab.write("AuthCtrlr.OfflineTxForUnknownIdEnabled", "true", if_there=True)
    lab.write("TxCtrlr.StopTxOnInvalidId", str(stops).lower())
    lab.write("TxCtrlr.MaxEnergyOnInvalidId", str(allowance_wh), if_there=True)
    lab.stays_away()
    lab.listed({CARD: TokenAnswer()})
    lab.asks = False
    cached(lab)
    lab.ev_connected()
    lab.goes_offline()
    lab.present(CARD)
    lab.bench.wait_until("current flows", lambda: max(lab.bench.amps(lab.evse)) > 0)
    lab.bench.wait(TRANSACTION_S)


def _reconnects_refused(lab: Lab) -> None:
    says(lab, CARD, "Invalid")
    lab.comes_back()
    lab.owed["token"] = 1
    told = told_until(lab, "from the queue", has("state", "Charging"))
    lab.check("offline", [READ["offline"](event) for event in told], [True] * len(told))


def _no_current(lab: Lab) -> None:
    lab.bench.wait_until("no current", lambda: max(lab.bench.amps(lab.evse)) == 0)


# ------------------------------------------------------------------------------------------ kept up to date


@case("TC_C_33", "local")
def learnt_from_authorize(lab: Lab) -> None:
    trusting(lab, cache=True, listed=True)
    lab.ev_connected()
    lab.authorized("local")
    lab.energy_transfer_started()
    lab.parking_bay_unoccupied()
    lab.fresh()
    lab.asks = False
    lab.parking_bay_occupied()
    lab.ev_connected()
    says(lab, CARD, "Invalid")
    lab.authorized("local")


@case("TC_C_34", "local")
def learnt_from_an_event(lab: Lab) -> None:
    trusting(lab, cache=True, listed=True)
    lab.write("TxCtrlr.StopTxOnInvalidId", "true")
    lab.write("TxCtrlr.MaxEnergyOnInvalidId", "0", if_there=True)
    cached(lab)
    lab.asks = False
    lab.ev_connected()
    says(lab, CARD, "Invalid")
    lab.authorized("local")
    told_until(lab, "Deauthorized", has("trigger", "Deauthorized"))
    _no_current(lab)
    lab.unplug_at_car()
    lab.unplug_at_station(with_card=True)
    lab.bench.park(lab.evse, False)
    lab.bench.wait(TRANSACTION_S)
    lab.arrived("after unplugging")
    lab.fresh()
    lab.ev_connected()
    asked_for(lab, CARD)
    nothing_starts(lab)


@case("TC_C_46", "local")
def the_lifetime_is_over(lab: Lab) -> None:
    trusting(lab, cache=True)
    lab.write("AuthCacheCtrlr.LifeTime", str(LIFETIME_S))
    cached(lab)
    lab.ev_connected()
    lab.bench.wait(LIFETIME_S + 1)
    lab.authorized("local")


# ------------------------------------------------------------------------------------------ off, and cleared


@case("TC_C_36", "local")
def not_to_be_used(lab: Lab) -> None:
    authorization_on(lab)
    lab.write("AuthCacheCtrlr.Enabled", "true", if_there=True)
    lab.write("AuthCtrlr.LocalPreAuthorize", "false")
    cached(lab)
    says(lab, CARD, "Invalid")
    asked_for(lab, CARD)
    nothing_starts(lab)


@case("TC_C_37", "local")
def cleared(lab: Lab) -> None:
    trusting(lab, cache=True)
    cached(lab)
    lab.call("ClearCache", {}, status="Accepted")
    lab.parking_bay_occupied()
    lab.ev_connected()
    lab.authorized("local")
    lab.energy_transfer_started()


@case("TC_C_38", "local")
def not_cleared_while_it_is_off(lab: Lab) -> None:
    trusting(lab, cache=True)
    cached(lab)
    lab.write("AuthCacheCtrlr.Enabled", "false")
    lab.call("ClearCache", {}, status="Rejected")
