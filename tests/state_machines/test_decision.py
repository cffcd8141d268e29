"""The decision table walked whole, against the procedure of the specification written down once more."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, product
from typing import get_args, get_type_hints

import pytest

from state_machines.decision import ASKS, MAY, MEANING, MEANS, Decision, Facts, Rule, decide
from tests.marks import req

HINTS = get_type_hints(Facts)
VALUES = [get_args(hint) or (False, True) for hint in HINTS.values()]
START, END, END_ALL, ASK, REFUSE = Decision


def everything() -> Iterator[Facts]:
    """All combinations of all facts."""
    return map(Facts._make, product(*VALUES))


def by_the_book(f: Facts) -> Decision:
    """C.0, told as a person would."""
    if f.here == "same" and f.told == "nothing":
        return END  # whoever began may end, always
    good = is_good(f)
    if good is None:
        pointless = f.place == "none" and f.here == "nobody"
        return REFUSE if pointless else ASK
    return what_it_does(f) if good else REFUSE


def is_good(f: Facts) -> bool | None:
    """None: ask the CSMS."""
    if f.told != "nothing":
        return f.told == "accepted"
    if f.kind in ("free", "central"):
        return True
    standing = f.cached if f.listed == "no" else f.listed  # the list always wins
    if standing == "accepted" and f.here == "group":
        return True
    if f.online:
        return online(f, standing)
    if standing == "no":
        return f.unknown_offline
    return standing == "accepted" and f.local_offline


def online(f: Facts, standing: str) -> bool | None:
    if f.never_ask:
        return standing == "accepted"
    if standing == "accepted" and f.pre_authorize:
        return True
    final = f.cache_final if f.listed == "no" else f.list_final
    return False if standing == "refused" and final else None


def what_it_does(f: Facts) -> Decision:
    if f.master:
        return REFUSE if f.kind == "remote" else END_ALL
    if f.here == "group":
        return END
    return START if f.here != "same" and f.place != "none" else REFUSE


@req("C01.FR.02", "C01.FR.03", "C01.FR.04", "C09.FR.05", "C09.FR.07", "C09.FR.11", "C10.FR.03", "C12.FR.02")
@req("C12.FR.05", "C13.FR.01", "C13.FR.02", "C13.FR.04", "C13.FR.05", "C13.FR.06", "C14.FR.01", "C14.FR.02")
@req("C14.FR.03", "C14.FR.04", "C14.FR.05", "C15.FR.08", "C16.FR.02", "C16.FR.03")
def test_every_combination_of_facts_has_the_decision_of_the_specification() -> None:
    wrong = [(f, decide(f).decision) for f in everything() if decide(f).decision is not by_the_book(f)]
    assert wrong[:3] == []


@pytest.mark.parametrize("rules", [MAY, MEANS, ASKS], ids=["may", "means", "asks"])
def test_every_row_is_needed_and_the_last_fits_always(rules: tuple[Rule, ...]) -> None:
    """No row is hidden behind those above it (a sample of all combinations is enough to see that)."""
    used = {next(rule for rule in rules if rule.fits(facts)) for facts in islice(everything(), 0, None, 101)}
    assert used == set(rules) and not rules[-1].when


def test_every_fact_is_explained() -> None:
    assert tuple(MEANING) == Facts._fields


def test_a_row_that_names_no_fact_is_a_mistake() -> None:
    with pytest.raises(AssertionError, match="weather"):
        Rule("yes", "sunshine", weather="fine")
