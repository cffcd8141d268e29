"""What the cases of block C have in common: what the CSMS thinks of tokens, and what a station remembers of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hil.certification.states import OTHER_CARD, Lab
from hil.certification.talk import CARD, CARD_TYPE, READ, WAIT_S, Json
from hil.csms import TokenAnswer

BAD_CARD, MASTER_CARD = "04BADBAD010203", "04A1A1A1A1A1A1"
MASTER_GROUP = "MASTERS"
QUIET_S = 10.0
"""How long the station is watched for what it must not do."""


def authorization_on(lab: Lab) -> None:
    """Configuration: somebody has to be asked."""
    lab.write("AuthCtrlr.Enabled", "true", if_there=True)
    lab.write("AuthCtrlr.DisableRemoteAuthorization", "false", if_there=True)


def trusting(lab: Lab, *, cache: bool = False, listed: bool = False) -> None:
    """Configuration: what is known here may start a session without the CSMS."""
    authorization_on(lab)
    lab.write("AuthCtrlr.LocalPreAuthorize", "true", if_there=True)
    if cache:
        lab.write("AuthCacheCtrlr.Enabled", "true", if_there=True)
        lab.write("AuthCacheCtrlr.DisablePostAuthorize", "false", if_there=True)
    if listed:
        lab.write("LocalAuthListCtrlr.Enabled", "true", if_there=True)
        lab.write("LocalAuthListCtrlr.DisablePostAuthorize", "false", if_there=True)


def says(lab: Lab, card: str, status: str = "Accepted", group: str | None = None) -> None:
    """What the CSMS answers from now on."""
    lab.bench.behaviour.tokens[card] = TokenAnswer(status, group=group)


def asked_for(lab: Lab, card: str) -> None:
    """The card is shown, and the CSMS is asked."""
    before = len(lab.bench.calls("Authorize"))
    lab.present(card)
    told = lab.next_call("Authorize", before)["idToken"]
    lab.check("idToken of Authorize", told, {"idToken": card, "type": CARD_TYPE})


def refused_unasked(lab: Lab, card: str) -> None:
    """The card is shown, and nobody is asked."""
    before = len(lab.bench.calls("Authorize"))
    lab.present(card)
    lab.bench.wait(QUIET_S)
    lab.check("Authorize requests", len(lab.bench.calls("Authorize")) - before, 0)


def cached(lab: Lab, card: str = CARD, status: str = "Accepted", group: str | None = None) -> None:
    """Memory state IdTokenCached: the CSMS was asked for the card once, and a session with it is over."""
    says(lab, card, status, group)
    if status == "Accepted" and card == CARD:
        lab.authorized("local")
        lab.energy_transfer_started()
        lab.parking_bay_unoccupied()
    else:
        asked_for(lab, card)
        lab.bench.wait(1)
    lab.fresh()


def nothing_starts(lab: Lab) -> None:
    """For a while: no event of a session, no current."""
    lab.bench.wait(QUIET_S)
    lab.check("events", [(READ["kind"](e), READ["trigger"](e)) for e in lab.waiting_events()], [])
    lab.check("current", max(lab.bench.amps(lab.evse)), 0)


def stays_on(lab: Lab) -> None:
    """For a while: the session goes on, and no event carries a token or ends it."""
    lab.bench.wait(QUIET_S)
    for event in lab.waiting_events():
        lab.check("eventType", event["eventType"], "Updated")
        lab.check("idToken", event.get("idToken"), None)
    lab.check("current flows", max(lab.bench.amps(lab.evse)) > 0, True)


def ends_by(lab: Lab, card: str, *, master: bool = False) -> None:
    """The session is stopped by that card; everybody leaves."""
    lab.stop_authorized("local", card=card, master=master)
    lab.ev_connected_post_session()
    lab.ev_disconnected()
    lab.parking_bay_unoccupied()


def told_until(lab: Lab, what: str, found: Callable[[Json], bool], within_s: float = WAIT_S) -> list[Json]:
    """Take events up to one that fits; all of them."""
    events: list[Json] = []
    while not events or not found(events[-1]):
        events.append(lab.next_event(what, within_s))
    return events


def has(name: str, wanted: Any) -> Callable[[Json], bool]:
    """Whether an event has this value; names as in READ."""
    return lambda event: bool(READ[name](event) == wanted)


def second_driver(lab: Lab, status: str = "Accepted") -> None:
    """The CSMS knows two tokens of one group; the second has this status."""
    says(lab, CARD, "Accepted", "CERTIFIED")
    says(lab, OTHER_CARD, status, "CERTIFIED")
