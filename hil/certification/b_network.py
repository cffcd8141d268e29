"""B: network profiles, the move to another one, and the way back."""

from __future__ import annotations

from hil.certification.registry import case
from hil.certification.states import BACK_OFF_S, Lab
from hil.certification.talk import Json

BACK_S = 120.0
"""How long a station may take to reset and to connect."""
TOO_EARLY_S = 0.3
"""What a clock or a slow machine may take from a wait."""


# ---------------------------------------------------------------------------------------------- words


def _connection(url: str) -> Json:
    return {
        "ocppVersion": "OCPP20", "ocppTransport": "JSON", "ocppCsmsUrl": url, "messageTimeout": 30,
        "securityProfile": 1, "ocppInterface": "Wired0",
    }  # fmt: skip


def _set_profile(lab: Lab, slot: int, url: str, status: str) -> None:
    request = {"configurationSlot": slot, "connectionData": _connection(url)}
    lab.call("SetNetworkProfile", request, status=status)


def _moves(lab: Lab) -> tuple[str, str, int]:
    """The other address goes into a free slot and to the front, then the station resets.

    Returns the present address, the other one, and how many BootNotifications there were.
    """
    present, other = lab.bench.urls()
    active = lab.read("OCPPCommCtrlr.ActiveNetworkProfile")
    slot = "1" if active == "0" else "0"
    _set_profile(lab, int(slot), other, "Accepted")
    lab.write("OCPPCommCtrlr.NetworkConfigurationPriority", f"{slot},{active}")
    before = len(lab.bench.calls("BootNotification"))
    lab.call("Reset", {"type": "OnIdle"}, status="Accepted")
    return present, other, before


def _attempts(lab: Lab, count: int) -> None:
    lab.write("OCPPCommCtrlr.NetworkProfileConnectionAttempts", str(count))


def _gone(lab: Lab) -> None:
    lab.bench.wait_until("the old connection is closed", lambda: not lab.bench.connected(), BACK_S)


def _booted(lab: Lab, before: int) -> None:
    lab.next_call("BootNotification", before, BACK_S)
    lab.drained()


# ---------------------------------------------------------------------------------------------- profiles


@case("TC_B_43")
def a_profile_that_is_none(lab: Lab) -> None:
    present, _ = lab.bench.urls()
    _set_profile(lab, 999, present, "Rejected")


@case("TC_B_45")
def a_new_profile(lab: Lab) -> None:
    _, other, before = _moves(lab)
    knocks = lab.bench.knocks(other)
    _gone(lab)
    _booted(lab, before)
    lab.check("connections at the new address", lab.bench.knocks(other) > knocks, True)


@case("TC_B_46")
def back_after_the_attempts(lab: Lab) -> None:
    _attempts(lab, 2)
    lab.stays_away()
    _, other = lab.bench.urls()
    lab.bench.refuse(other)
    _, _, before = _moves(lab)
    knocks = lab.bench.knocks(other)
    _gone(lab)
    _booted(lab, before)
    lab.check("attempts at the new address", lab.bench.knocks(other) - knocks, 2)
    lab.bench.refuse(other, False)


@case("TC_B_49")
def back_to_the_last_good_one(lab: Lab) -> None:
    _attempts(lab, 1)
    lab.stays_away()
    lab.write("OCPPCommCtrlr.RetryBackOffRepeatTimes", "0")
    present, other = lab.bench.urls()
    lab.bench.refuse(other)
    _, _, before = _moves(lab)
    _gone(lab)
    lab.bench.refuse(present)
    knocks = lab.bench.knocks(present)
    lab.bench.wait_until("an attempt at the old address", lambda: lab.bench.knocks(present) > knocks, BACK_S)
    refused_at = lab.bench.now()
    lab.bench.refuse(present, False)
    _booted(lab, before)
    lab.check("waited before the next attempt", lab.bench.now() - refused_at >= BACK_OFF_S - TOO_EARLY_S, True)
