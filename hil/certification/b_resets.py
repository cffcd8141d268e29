"""B: resets, and what survives them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hil.certification.registry import case
from hil.certification.states import OTHER_CARD, Lab
from hil.certification.talk import CARD, CARD_TYPE, NotApplicable, statuses_in
from hil.csms import CallFailed

BOOT_S = 120.0
"""How long a station may take to be back."""
STARTUPS = ("StartupOfTheDevice", "ResetOrReboot")


# ---------------------------------------------------------------------------------------------- words


def _reset(lab: Lab, type: str, status: str, evse: int | None = None) -> int:
    """ResetRequest; how many BootNotifications there were before."""
    before = len(lab.bench.calls("BootNotification"))
    place = {} if evse is None else {"evseId": evse}
    lab.call("Reset", {"type": type, **place}, status=status)
    return before


def _booted(lab: Lab, before: int, reason: str | None = None) -> None:
    """The station is back, and says why it was away."""
    boot = lab.next_call("BootNotification", before, BOOT_S)
    if reason is not None:
        lab.check("reason of BootNotification", boot["reason"], reason)


def _told_since(lab: Lab, before: int) -> list[tuple[int, int, str]]:
    """EVSE, connector and status of every connector status after BootNotification number `before`."""
    frames = lab.bench.calls("BootNotification", "StatusNotification", "NotifyEvent")
    boots = [n for n, frame in enumerate(frames) if frame.action == "BootNotification"]
    later = [frame for frame in frames[boots[before] :] if frame.action != "BootNotification"]
    return [told for frame in later for told in statuses_in(frame)]


def _connectors(lab: Lab, before: int, wanted: Mapping[int, Sequence[str]]) -> None:
    """Every connector has told its status after the boot, and no other than these."""
    what = "the status of every connector"
    each = lab.everywhere(wanted, ("Available", *wanted[lab.evse]))
    lab.bench.wait_until(what, lambda: {(evse, number) for evse, number, _ in _told_since(lab, before)} == set(each))
    lab.bench.wait(2)
    for evse, number, status in _told_since(lab, before):
        lab.check(f"status of connector {number} of EVSE {evse}", status, tuple(each[evse, number]))


def _all(lab: Lab, status: str, **others: str) -> dict[int, Sequence[str]]:
    return {evse: (others.get("here", status) if evse == lab.evse else status,) for evse in lab.bench.outfits()}


def _startup_told(lab: Lab, security_events: int) -> None:
    """A station that reports its startups at all has reported this one."""
    if security_events:
        event = lab.next_call("SecurityEventNotification", security_events)
        lab.check("type of SecurityEventNotification", event["type"], STARTUPS)


def _out_of_the_bay(lab: Lab) -> None:
    """From the stop on, until the transaction has ended."""
    lab.stop_authorized()
    for step in (lab.ev_connected_post_session, lab.ev_disconnected, lab.parking_bay_unoccupied):
        if lab.running is not None:
            step()


# ---------------------------------------------------------------------------------------------- the station


@case("TC_B_20")
def idle(lab: Lab) -> None:
    before = _reset(lab, "OnIdle", "Accepted")
    _booted(lab, before)
    _connectors(lab, before, _all(lab, "Available"))


@case("TC_B_21")
def on_idle_with_a_transaction(lab: Lab) -> None:
    lab.energy_transfer_started()
    events = len(lab.bench.calls("SecurityEventNotification"))
    before = _reset(lab, "OnIdle", "Scheduled")
    _out_of_the_bay(lab)
    plugged = lab.plugged
    _booted(lab, before, "ScheduledReset")
    _connectors(lab, before, _all(lab, "Available", here="Occupied" if plugged else "Available"))
    _startup_told(lab, events)


@case("TC_B_22")
def immediate_with_a_transaction(lab: Lab) -> None:
    lab.energy_transfer_started()
    before = _reset(lab, "Immediate", "Accepted")
    event = lab.event("after the reset", kind="Ended", trigger="ResetCommand", state="EVConnected",
                      stopped="ImmediateReset")  # fmt: skip
    lab.check("idToken of the last event", event.get("idToken"), None)
    _booted(lab, before, "RemoteReset")
    _connectors(lab, before, _all(lab, "Available", here="Occupied"))


@case("TC_B_23")
def unavailable_stays_so(lab: Lab) -> None:
    lab.mark()
    place = {"id": lab.evse, "connectorId": lab.connector}
    lab.call("ChangeAvailability", {"operationalStatus": "Inoperative", "evse": place}, status="Accepted")
    lab.status("Unavailable")
    before = _reset(lab, "OnIdle", "Accepted")
    _booted(lab, before, "RemoteReset")
    _connectors(lab, before, _all(lab, "Available", here="Unavailable"))


@case("TC_B_24")
def reserved_stays_so(lab: Lab) -> None:
    lab.mark()
    expiry = "2099-01-01T00:00:00Z"
    token = {"idToken": CARD, "type": CARD_TYPE}
    request = {"id": 7, "expiryDateTime": expiry, "idToken": token, "evseId": lab.evse}
    try:
        lab.call("ReserveNow", request, status="Accepted")
    except CallFailed as refused:
        raise NotApplicable(f"no reservations: ReserveNow is answered with {refused.code}") from None
    lab.status("Reserved")
    before = _reset(lab, "Immediate", "Accepted")
    _booted(lab, before, "RemoteReset")
    _connectors(lab, before, _all(lab, "Available", here="Reserved"))


@case("TC_B_41")
def on_idle_with_several_transactions(lab: Lab) -> None:
    cards = dict(zip(lab.bench.outfits(), (CARD, OTHER_CARD), strict=False))
    for evse, card in cards.items():
        lab.charges(evse, card)
    before = _reset(lab, "OnIdle", "Scheduled")
    first, last = cards
    lab.stops_and_leaves(first, cards[first])
    lab.bench.wait(5)
    lab.check("BootNotifications while a transaction runs", len(lab.bench.calls("BootNotification")), before)
    lab.stops_and_leaves(last, cards[last])
    _booted(lab, before, "ScheduledReset")
    _connectors(lab, before, _all(lab, "Available") | {last: ("Available", "Occupied")})


# ---------------------------------------------------------------------------------------------- one EVSE


@case("TC_B_25")
def evse_without_a_transaction(lab: Lab) -> None:
    before = _reset(lab, "OnIdle", "Accepted", lab.evse)
    lab.bench.wait(10)
    lab.check("BootNotifications", len(lab.bench.calls("BootNotification")), before)


@case("TC_B_26")
def evse_on_idle(lab: Lab) -> None:
    lab.energy_transfer_started()
    before = _reset(lab, "OnIdle", "Scheduled", lab.evse)
    _out_of_the_bay(lab)
    lab.bench.wait(10)
    lab.check("BootNotifications", len(lab.bench.calls("BootNotification")), before)


@case("TC_B_27")
def evse_immediate(lab: Lab) -> None:
    lab.energy_transfer_started()
    before = _reset(lab, "Immediate", "Accepted", lab.evse)
    lab.event("after the reset", kind="Ended", trigger="ResetCommand", state="EVConnected", stopped="ImmediateReset")
    lab.bench.wait(10)
    lab.check("BootNotifications", len(lab.bench.calls("BootNotification")), before)


@case("TC_B_28")
def evse_that_cannot(lab: Lab) -> None:
    _reset(lab, "OnIdle", "Rejected", lab.evse)


@case("TC_B_29")
def evse_that_cannot_with_a_transaction(lab: Lab) -> None:
    lab.energy_transfer_started()
    _reset(lab, "OnIdle", "Rejected", lab.evse)
