"""C: a card that the CSMS does not accept starts nothing."""

from __future__ import annotations

from hil.certification.c_steps import BAD_CARD, asked_for, authorization_on, nothing_starts, says, stays_on
from hil.certification.registry import case
from hil.certification.states import Lab


@case("TC_C_02", "local")
def invalid(lab: Lab) -> None:
    _refused(lab, "Invalid")


@case("TC_C_05", "local")
def invalid_before_the_socket_opens(lab: Lab) -> None:
    """The cable cannot be plugged in before authorization."""
    authorization_on(lab)
    says(lab, BAD_CARD, "Invalid")
    asked_for(lab, BAD_CARD)
    nothing_starts(lab)


@case("TC_C_06", "local")
def blocked(lab: Lab) -> None:
    _refused(lab, "Blocked")


@case("TC_C_07", "local")
def expired(lab: Lab) -> None:
    _refused(lab, "Expired")


@case("TC_C_56", "local")
def unknown(lab: Lab) -> None:
    _refused(lab, "Unknown")


@case("TC_C_04", "local")
def another_card_stops_nothing(lab: Lab) -> None:
    authorization_on(lab)
    lab.energy_transfer_started()
    asked_for(lab, BAD_CARD)
    stays_on(lab)


def _refused(lab: Lab, status: str) -> None:
    authorization_on(lab)
    says(lab, BAD_CARD, status)
    lab.ev_connected()
    asked_for(lab, BAD_CARD)
    nothing_starts(lab)
