"""N: what the station keeps about a customer (N09, N10)."""

from __future__ import annotations

from hil.certification.registry import case
from hil.certification.states import Lab
from hil.certification.talk import CARD, CARD_TYPE, Json

TOKEN: Json = {"idToken": CARD, "type": CARD_TYPE}


def _ask(lab: Lab, report: bool, clear: bool, **who: object) -> str:
    """CustomerInformation, and the text of all messages that follow."""
    before = len(lab.bench.calls("NotifyCustomerInformation"))
    request = {"requestId": 100 + before, "report": report, "clear": clear, **who}
    lab.call("CustomerInformation", request, status="Accepted")

    def parts() -> list[Json]:
        return [frame.payload for frame in lab.bench.calls("NotifyCustomerInformation")[before:]]

    lab.bench.wait_until("the last NotifyCustomerInformation", lambda: parts() and not parts()[-1].get("tbc"))
    lab.check("requestIds", {part["requestId"] for part in parts()}, {request["requestId"]})
    return "".join(part["data"] for part in parts())


def _has_charged(lab: Lab) -> None:
    """Token in the memory of the station, by list and by a session that is over."""
    lab.known_to(CARD)
    lab.authorized("local")
    lab.parking_bay_unoccupied()


def _not_told(lab: Lab) -> None:
    asked = {"requestId": 1, "report": True, "clear": False}
    lab.call("CustomerInformation", asked, status="Invalid")


@case("TC_N_27")
def data_is_told(lab: Lab) -> None:
    _has_charged(lab)
    lab.check("data", bool(_ask(lab, True, False, idToken=TOKEN)), True)


@case("TC_N_28")
def no_data_is_told(lab: Lab) -> None:
    _ask(lab, False, True, idToken=TOKEN)
    _ask(lab, True, False, idToken=TOKEN)


@case("TC_N_29")
def nobody_is_named(lab: Lab) -> None:
    _not_told(lab)


@case("TC_N_30")
def data_is_cleared_and_told(lab: Lab) -> None:
    _has_charged(lab)
    before = _ask(lab, True, True, idToken=TOKEN)
    lab.check("data", bool(before), True)
    lab.check("less than before", len(_ask(lab, True, False, idToken=TOKEN)) < len(before), True)


@case("TC_N_31")
def no_data_is_cleared_and_told(lab: Lab) -> None:
    _ask(lab, True, True, idToken=TOKEN)


@case("TC_N_32")
def data_is_cleared_untold(lab: Lab) -> None:
    lab.check("confirmation", bool(_ask(lab, False, True, idToken=TOKEN)), True)


@case("TC_N_33")
def nobody_is_named_to_clear(lab: Lab) -> None:
    _not_told(lab)


@case("TC_N_62")
def data_of_an_identifier_is_cleared(lab: Lab) -> None:
    """The station knows customers by their tokens: a session stores the identifier."""
    lab.energy_transfer_started()
    lab.parking_bay_unoccupied()
    lab.drained()
    lab.check("data", bool(_ask(lab, True, True, customerIdentifier=CARD)), True)
    lab.check("data afterwards", _ask(lab, True, False, customerIdentifier=CARD), "")


@case("TC_N_63")
def data_of_a_certificate_is_cleared(lab: Lab) -> None:
    lab.ev_connected()
    lab.session_ends_by_iso15118()
