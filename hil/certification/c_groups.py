"""C: two tokens of one group, and the master pass."""

from __future__ import annotations

from functools import partial

from hil.certification.c_steps import (
    MASTER_CARD,
    MASTER_GROUP,
    asked_for,
    cached,
    ends_by,
    nothing_starts,
    says,
    second_driver,
    stays_on,
    trusting,
)
from hil.certification.registry import case
from hil.certification.states import GROUP, OTHER_CARD, Lab
from hil.certification.talk import CARD, CARD_TYPE, READ, NotApplicable
from hil.csms import TokenAnswer


@case("TC_C_39", "local")
def one_of_the_group(lab: Lab) -> None:
    second_driver(lab)
    _charges(lab)
    _ends_asked(lab)


@case("TC_C_40", "local")
def one_of_the_group_on_the_list(lab: Lab) -> None:
    trusting(lab, listed=True)
    second_driver(lab)
    lab.listed({CARD: TokenAnswer(group=GROUP), OTHER_CARD: TokenAnswer(group=GROUP)})
    lab.asks = False
    _charges(lab)
    _ends_unasked(lab)


@case("TC_C_41", "local")
def one_of_the_group_in_the_cache(lab: Lab) -> None:
    trusting(lab, cache=True)
    _both_cached(lab)
    lab.asks = False
    _charges(lab)
    _ends_unasked(lab)


@case("TC_C_42", "local")
def one_of_the_group_who_is_not_accepted(lab: Lab) -> None:
    second_driver(lab, "Invalid")
    _charges(lab)
    asked_for(lab, OTHER_CARD)
    stays_on(lab)


@case("TC_C_43", "local")
def one_of_the_group_who_is_not_accepted_by_the_list(lab: Lab) -> None:
    trusting(lab, listed=True)
    second_driver(lab, "Invalid")
    lab.listed({CARD: TokenAnswer(group=GROUP), OTHER_CARD: TokenAnswer("Invalid", group=GROUP)})
    lab.asks = False
    _charges(lab)
    asked_for(lab, OTHER_CARD)
    stays_on(lab)


@case("TC_C_44", "local")
def one_of_the_group_who_is_not_accepted_by_the_cache(lab: Lab) -> None:
    trusting(lab, cache=True)
    _both_cached(lab, "Invalid")
    lab.asks = False
    _charges(lab)
    asked_for(lab, OTHER_CARD)
    stays_on(lab)


def _both_cached(lab: Lab, status: str = "Accepted") -> None:
    """The second token while the session of the first is running: with the same group it ends it, else nothing."""
    second_driver(lab, status)
    cached(lab, CARD, group=GROUP)
    if status == "Accepted":
        lab.asks = False
        _charges(lab)
        _ends_asked(lab)
        lab.fresh()
    else:
        asked_for(lab, OTHER_CARD)
        lab.bench.wait(1)


def _ends_asked(lab: Lab) -> None:
    """A token that is not known here yet is asked for, and ends the session of its group."""
    asked = len(lab.bench.calls("Authorize"))
    ends_by(lab, OTHER_CARD)
    told = lab.next_call("Authorize", asked)["idToken"]
    lab.check("idToken of Authorize", told, {"idToken": OTHER_CARD, "type": CARD_TYPE})


def _charges(lab: Lab) -> None:
    lab.ev_connected()
    lab.authorized("local")
    lab.energy_transfer_started()


def _ends_unasked(lab: Lab) -> None:
    asked = len(lab.bench.calls("Authorize"))
    ends_by(lab, OTHER_CARD)
    lab.check("Authorize requests", len(lab.bench.calls("Authorize")) - asked, 0)


# ------------------------------------------------------------------------------------------ master pass


@case("TC_C_45", "local")
def a_master_pass_starts_nothing(lab: Lab) -> None:
    lab.start_points("PowerPathClosed")
    _masters(lab)
    asked_for(lab, MASTER_CARD)
    lab.plug_in()
    nothing_starts(lab)


@case("TC_C_47", "local")
def a_master_pass_with_a_choice(lab: Lab) -> None:
    raise NotApplicable("nobody of this bench can choose at a user interface")


@case("TC_C_48", "local")
def a_master_pass_with_a_choice_of_one(lab: Lab) -> None:
    raise NotApplicable("nobody of this bench can choose at a user interface")


@case("TC_C_49", "local")
def a_master_pass_stops_all(lab: Lab) -> None:
    _masters(lab)
    bench, evses = lab.bench, list(lab.bench.outfits())[:2]
    for evse, card in zip(evses, (CARD, OTHER_CARD), strict=False):
        bench.park(evse)
        bench.plug(evse)
        bench.present(card, evse)
        bench.wait_until(f"EVSE {evse} is on", partial(bench.closed, evse))
    bench.wait_until("current flows at all", lambda: all(max(bench.amps(evse)) > 0 for evse in evses))
    bench.wait(2)
    asked_for(lab, MASTER_CARD)
    bench.wait_until("no EVSE is on", lambda: not any(bench.closed(evse) for evse in evses))
    bench.wait_until("no plug is locked", lambda: not any(bench.locked(evse) for evse in evses))
    for evse in evses:
        bench.unplug(evse)
        bench.park(evse, False)
    bench.wait_until("all ended", lambda: all(t.ordered()[-1]["eventType"] == "Ended" for t in bench.transactions()))
    lab.check("transactions", len(bench.transactions()), len(evses))
    for transaction in bench.transactions():
        lab.check("stoppedReason", READ["stopped"](transaction.ordered()[-1]), "MasterPass")
        tokens = [READ["token"](event) for event in transaction.ordered() if "idToken" in event]
        lab.check("idTokens", tokens.count(MASTER_CARD) <= 1 and len(tokens) <= 2, True)


def _masters(lab: Lab) -> None:
    lab.write("AuthCtrlr.MasterPassGroupId", MASTER_GROUP)
    says(lab, MASTER_CARD, "Accepted", MASTER_GROUP)
