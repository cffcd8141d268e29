"""What becomes of a token: one total table from the facts to a decision (use cases C01 to C16).

It has two halves. `MAY` says whether the token is good: yes, no, or ask the CSMS. `MEANS` says what a good token
does here: it starts, ends its own or its group's authorization, or ends them all. In both the first row that fits
counts, and the last row fits always.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, Literal, NamedTuple

Verdict = Literal["yes", "no", "ask"]


class Decision(Enum):
    """What is to be done."""

    START = "authorise the EVSE"
    END = "end the authorization that is meant"
    END_ALL = "end every authorization of the station"
    ASK = "ask the CSMS"
    REFUSE = "nothing"


class Facts(NamedTuple):
    """Everything that the decision rests on; what the values mean is in MEANING."""

    kind: Literal["card", "remote", "central", "free"]
    here: Literal["nobody", "same", "group", "others"]
    place: Literal["waiting", "free", "none"]
    told: Literal["nothing", "accepted", "refused"]
    listed: Literal["no", "accepted", "expired", "refused"]
    cached: Literal["no", "accepted", "refused"]
    master: bool
    online: bool
    pre_authorize: bool
    local_offline: bool
    unknown_offline: bool
    never_ask: bool
    list_final: bool
    cache_final: bool


MEANING: Mapping[str, str] = {
    "kind": "card: presented here. remote: of a remote start, to be authorised like a card (F01.FR.01). central: of a "
    "remote start, and the CSMS answers for it (C03, C05). free: nobody is asked (start button, free charging).",
    "here": "Who has an authorization at the EVSEs that may be meant: nobody, this very token, one of its group (where "
    "no car waits for a start), or others.",
    "place": "Where it could start: a car is waiting there, an EVSE is free, or none is.",
    "told": "What the CSMS has answered to Authorize.",
    "listed": "The local authorization list. expired: accepted, but its cacheExpiryDateTime has passed.",
    "cached": "The authorization cache; an entry beyond its lifetime is not there.",
    "master": "Its group, as far as it is known, is AuthCtrlr.MasterPassGroupId.",
    "online": "The CSMS can be asked: connected and accepted.",
    "pre_authorize": "AuthCtrlr.LocalPreAuthorize.",
    "local_offline": "AuthCtrlr.LocalAuthorizeOffline.",
    "unknown_offline": "AuthCtrlr.OfflineTxForUnknownIdEnabled.",
    "never_ask": "AuthCtrlr.DisableRemoteAuthorization.",
    "list_final": "LocalAuthListCtrlr.DisablePostAuthorize.",
    "cache_final": "AuthCacheCtrlr.DisablePostAuthorize.",
}


class Rule:
    """A row: what it gives, why (for the log), the requirements it comes from, and the facts that it fits."""

    def __init__(self, gives: Any, why: str, source: str = "", **when: Any) -> None:
        unknown = when.keys() - set(Facts._fields)
        assert not unknown, f"rule {why!r}: no such facts {sorted(unknown)}"
        self.gives, self.why, self.source, self.when = gives, why, source, when
        self._tests = [
            (Facts._fields.index(name), wanted if isinstance(wanted, tuple) else (wanted,))
            for name, wanted in when.items()
        ]

    def fits(self, facts: Facts) -> bool:
        """Whether every fact that the row names is as it says."""
        return all(facts[index] in wanted for index, wanted in self._tests)


MAY: tuple[Rule, ...] = (
    Rule("yes", "the token that was authorised here", "C01.FR.03, C09.FR.07", here="same", told="nothing"),
    Rule("yes", "the CSMS accepts it", "C01.FR.02", told="accepted"),
    Rule("no", "the CSMS does not accept it", "C01.FR.01, C09.FR.11", told="refused"),
    Rule("yes", "charging is free", "C02.FR.01", kind="free"),
    Rule("yes", "the CSMS answers for it", "C03.FR.01, C05.FR.01", kind="central"),
    Rule("yes", "listed, same group", "C01.FR.03, C09.FR.07", here="group", listed="accepted"),
    Rule("yes", "cached, same group", "C01.FR.03, C09.FR.07", here="group", listed="no", cached="accepted"),
    Rule("yes", "listed", "TC_E_52", online=True, never_ask=True, listed="accepted"),
    Rule("yes", "cached", "TC_E_52", online=True, never_ask=True, listed="no", cached="accepted"),
    Rule("no", "not known here, and by key the CSMS is not asked", "TC_E_52", online=True, never_ask=True),
    Rule("yes", "listed", "C14.FR.02, C14.FR.04, C13.FR.03", online=True, pre_authorize=True, listed="accepted"),
    Rule("no", "listed, not accepted, and by key not asked again", "TC_C_58",
         online=True, listed="refused", list_final=True),
    Rule("yes", "cached", "C12.FR.02, C14.FR.01",
         online=True, pre_authorize=True, listed="no", cached="accepted"),
    Rule("no", "cached, not accepted, and by key not asked again", "TC_C_57",
         online=True, listed="no", cached="refused", cache_final=True),
    Rule("ask", "not known here, or not to be trusted",
         "C01.FR.02, C01.FR.05, C10.FR.03, C12.FR.05, C14.FR.03, C14.FR.05", online=True),
    Rule("yes", "listed", "C13.FR.02, C13.FR.05", local_offline=True, listed="accepted"),
    Rule("no", "offline: listed, but not accepted, expired, or by key not used", "C13.FR.01, C13.FR.06",
         listed=("accepted", "expired", "refused")),
    Rule("yes", "cached", "C12.FR.02", local_offline=True, cached="accepted"),
    Rule("no", "offline: cached, but not accepted or by key not used", "C13.FR.04", cached=("accepted", "refused")),
    Rule("yes", "unknown, allowed offline", "C13.FR.04, C15.FR.08", unknown_offline=True),
    Rule("no", "unknown, not allowed while the CSMS is unreachable", "C13.FR.02"),
)  # fmt: skip
"""Whether the token is good."""

MEANS: tuple[Rule, ...] = (
    Rule(Decision.END, "its own", "C01.FR.03, E07.FR.01", here="same", told="nothing"),
    Rule(Decision.REFUSE, "a master pass never starts", "C16.FR.03, C12.FR.09", master=True, kind="remote"),
    Rule(Decision.END_ALL, "a master pass", "C16.FR.02, C16.FR.04, C16.FR.05", master=True),
    Rule(Decision.REFUSE, "it is authorised here already", "", here="same"),
    Rule(Decision.END, "one of its group", "C09.FR.03", here="group"),
    Rule(Decision.REFUSE, "no EVSE is free for it", "C01.FR.23, C09.FR.03", place="none"),
    Rule(Decision.START, "free", "C12.FR.04"),
)
"""What a good token does here."""

ASKS: tuple[Rule, ...] = (
    Rule(Decision.REFUSE, "no EVSE is free, and nobody charges whom it could end", "C01.FR.04",
         here="nobody", place="none"),
    Rule(Decision.ASK, "it may start or end something", "C01.FR.02, C09.FR.05"),
)  # fmt: skip
"""Whether asking is of any use: Authorize is for authorizing only."""


class Outcome(NamedTuple):
    """The decision, why (for the log), and whether the token is good as far as is known."""

    decision: Decision
    why: str
    good: bool


def decide(facts: Facts) -> Outcome:
    """The decision for these facts."""
    good = _first(MAY, facts)
    if good.gives == "no":
        return Outcome(Decision.REFUSE, good.why, False)
    meant = _first(MEANS if good.gives == "yes" else ASKS, facts)
    return Outcome(meant.gives, f"{good.why}; {meant.why}", good.gives == "yes")


def _first(rules: tuple[Rule, ...], facts: Facts) -> Rule:
    return next(filter(lambda rule: rule.fits(facts), rules))
