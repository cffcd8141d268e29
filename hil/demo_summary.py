"""The end of the demo: what the CSMS heard, what the journal kept and what really flowed, to the watt-hour.

The CSMS's record comes from the bench CSMS, the journal is read from its file after the agent has ended, and the
truth is the bench's own meter before any register rounds it.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from hil.csms import Transaction
from hil.demo_story import LIMIT_AMPS, SLACK_AMPS, Findings
from hil.demo_text import BAD, BOLD, DIM, GOOD, Line, Piece, rule, table
from hil.demo_watch import LOOK_EVERY_S

REGISTER = "Energy.Active.Import.Register"
TOLERANCE_WH = 1.0
"""Registers are told in whole Wh: begin and end may each be half a Wh off."""


@dataclass(frozen=True)
class Told:
    """A transaction as the CSMS knows it; None where it was not told."""

    id: str
    evse: int | None
    begin_wh: Decimal | None
    end_wh: Decimal | None
    numbers: tuple[int, ...]
    kinds: tuple[str, ...]


@dataclass(frozen=True)
class Kept:
    """An ended transaction in the journal; `waiting` events of it have no answer of the CSMS yet."""

    id: str
    evse: int
    begin_wh: Decimal | None
    end_wh: Decimal | None
    events: int
    waiting: int


@dataclass(frozen=True)
class Metered:
    """The truth at one EVSE: the meter before the first and after the last car."""

    evse: int
    begin_wh: float
    end_wh: float


@dataclass(frozen=True)
class Evidence:
    """All that the verdict rests on. `told` is None with a CSMS that is not the bench's."""

    told: Sequence[Told] | None
    kept: Sequence[Kept]
    metered: Sequence[Metered]
    violations: Sequence[str]
    frames: int
    set_aside: int
    findings: Findings = field(default_factory=Findings)
    peak_after_limit: float | None = None


# ---------------------------------------------------------------------------------------------- gathering


def told_of(transaction: Transaction) -> Told:
    """From the record of the bench CSMS."""
    events = transaction.ordered()
    registers = transaction.registers_wh()
    evse = next((event["evse"]["id"] for event in events if "evse" in event), None)
    return Told(
        transaction.transaction_id, evse, registers[0] if registers else None,
        registers[-1] if len(registers) > 1 else None, tuple(transaction.seq_numbers),
        tuple(event["eventType"] for event in events),
    )  # fmt: skip


def read_journal(path: Path) -> tuple[list[Kept], int]:
    """The ended transactions in the journal of an agent that has ended, and how many events were set aside."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        rows = connection.execute("SELECT kind, body FROM journal ORDER BY id").fetchall()
    records = [(kind, json.loads(body)) for kind, body in rows]
    waiting = [body["tx"] for kind, body in records if kind == "event"]
    kept = [_kept(body, waiting.count(body["tx"])) for kind, body in records if kind == "ended"]
    return kept, sum(kind == "set_aside" for kind, _ in records)


def _kept(body: Mapping[str, Any], waiting: int) -> Kept:
    began = (body["began"] or {}).get("values", ())
    begin = next((row[3] for row in began if row[0] == REGISTER and row[1] is None), None)
    return Kept(body["tx"], body["evse"], _wh(begin), _wh(body.get("end_wh")), body["next_seq"], waiting)


def _wh(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


# ---------------------------------------------------------------------------------------------- judging


def contradictions(evidence: Evidence) -> list[str]:
    """Everything that does not fit together, as sentences; empty when all reconciles."""
    return list(_contradictions(evidence))


def _contradictions(evidence: Evidence) -> Iterator[str]:
    for violation in evidence.violations:
        yield f"the CSMS recorded a violation: {violation}"
    if evidence.set_aside:
        yield f"{evidence.set_aside} events were not taken by the CSMS and set aside"
    for metered in evidence.metered:
        kept = [one for one in evidence.kept if one.evse == metered.evse]
        if len(kept) != 1:
            yield f"EVSE {metered.evse}: {len(kept)} transactions in the journal, expected 1"
        else:
            yield from _against_meter(kept[0], metered)
    if evidence.told is not None:
        yield from _against_csms(evidence.told, evidence.kept)
    yield from (f"{_name(one)}: {one.waiting} events never answered" for one in evidence.kept if one.waiting)
    yield from _of_the_story(evidence)


def _name(one: Kept | Told) -> str:
    return f"EVSE {one.evse} transaction {one.id[:8]}"


def _against_meter(kept: Kept, metered: Metered) -> Iterator[str]:
    if kept.begin_wh is None or kept.end_wh is None:
        yield f"{_name(kept)}: registers {kept.begin_wh} to {kept.end_wh}, expected both"
        return
    for what, mine, true in (
        ("begin", float(kept.begin_wh), metered.begin_wh), ("end", float(kept.end_wh), metered.end_wh),
        ("energy", float(kept.end_wh - kept.begin_wh), metered.end_wh - metered.begin_wh),
    ):  # fmt: skip
        if abs(mine - true) > TOLERANCE_WH:
            yield f"{_name(kept)}: {what} {mine:.0f} Wh in the journal, {true:.1f} Wh at the meter"


def _against_csms(told: Sequence[Told], kept: Sequence[Kept]) -> Iterator[str]:
    """Both know the same transactions, with the same registers and every event."""
    known = {one.id: one for one in told}
    for mine in kept:
        heard = known.pop(mine.id, None)
        if heard is None:
            yield f"{_name(mine)}: the CSMS never heard of it"
            continue
        if (heard.begin_wh, heard.end_wh) != (mine.begin_wh, mine.end_wh):
            yield (
                f"{_name(mine)}: the CSMS has {heard.begin_wh} to {heard.end_wh} Wh, "
                f"the journal {mine.begin_wh} to {mine.end_wh} Wh"
            )
        if heard.numbers != tuple(range(mine.events)):
            yield f"{_name(mine)}: the CSMS has the events {list(heard.numbers)}, the journal counts {mine.events}"
        if heard.kinds != ("Started", *["Updated"] * (len(heard.kinds) - 2), "Ended"):
            yield f"{_name(mine)}: not one Started first and one Ended last: {', '.join(heard.kinds)}"
    yield from (f"{_name(one)}: the journal does not know it" for one in known.values())


def _of_the_story(evidence: Evidence) -> Iterator[str]:
    peak, found = evidence.peak_after_limit, evidence.findings
    if peak is not None and peak > LIMIT_AMPS + SLACK_AMPS:
        yield f"{peak:.2f} A flowed after the limit of {LIMIT_AMPS:g} A"
    if found.before_cut != found.after_cut:
        yield f"other transactions after the power cut: {found.before_cut}, then {found.after_cut}"


# ---------------------------------------------------------------------------------------------- telling


def summary(evidence: Evidence, wrong: Sequence[str], columns: int) -> list[Line]:
    """The table, what was measured on the way, and the verdict."""
    lines: list[Line] = [rule("reconciliation, Wh", columns), *_table(evidence), []]
    lines += [rule("on the way", columns), *_wrapped(_measured(evidence), columns), []]
    if wrong:
        lines += [[Piece("✗ does not reconcile", BAD)], *([Piece(f"  {text}")] for text in wrong)]
    else:
        judges = "journal and meter" if evidence.told is None else "CSMS, journal and meter"
        lines.append([Piece("✓ ", GOOD), Piece(f"{judges} agree to the watt-hour", BOLD)])
    return lines


def _table(evidence: Evidence) -> list[Line]:
    told = None if evidence.told is None else {one.id: one for one in evidence.told}
    metered = {one.evse: one for one in evidence.metered}
    kept = sorted(evidence.kept, key=lambda one: one.evse)
    head = ("EVSE", "transaction", "begin", "end", "CSMS", "journal", "meter", "events")
    rows = [list(_row(one, told, metered[one.evse])) for one in kept if one.evse in metered]
    return [[Piece("  "), *line] for line in table(head, rows)]


def _row(kept: Kept, told: Mapping[str, Told] | None, metered: Metered) -> Iterator[Piece]:
    """One transaction; what the CSMS has stands in red where it is not what the journal has."""
    mine, answered, tone = _energy(kept), kept.events - kept.waiting, BOLD
    theirs = "-"
    if told is not None:
        heard = told.get(kept.id)
        theirs, answered = (_energy(heard), len(heard.numbers)) if heard else ("none", 0)
        tone = BOLD if theirs == mine else BAD
    yield Piece(str(kept.evse), BOLD)
    yield Piece(kept.id[:8])
    yield from (Piece(str(register)) for register in (kept.begin_wh, kept.end_wh))
    yield Piece(theirs, tone)
    yield Piece(mine, BOLD)
    yield Piece(f"{metered.end_wh - metered.begin_wh:.2f}", BOLD)
    yield Piece(f"{answered} of {kept.events}")


def _energy(one: Kept | Told) -> str:
    return "-" if one.begin_wh is None or one.end_wh is None else f"{one.end_wh - one.begin_wh:f}"


def _wrapped(facts: Iterable[tuple[str, str]], columns: int) -> Iterator[Line]:
    """A name and a text in a column of its own."""
    for name, text in facts:
        for n, part in enumerate(textwrap.wrap(text, columns - 13)):
            yield [Piece(f"  {name if n == 0 else '':10}", DIM), Piece(part)]


def _measured(evidence: Evidence) -> Iterator[tuple[str, str]]:
    found = evidence.findings
    if found.limited_after_s is not None and evidence.peak_after_limit is not None:
        never = f"never above {evidence.peak_after_limit:.2f} A again"
        yield ("limit", f"{LIMIT_AMPS:g} A measured {found.limited_after_s:.1f} s after the CSMS asked, {never}")
    if found.outage_s is not None and found.drained_after_s is not None:
        soon = f"within {max(LOOK_EVERY_S, found.drained_after_s):.1f} s of the return"
        drained = f"{found.queued} events waited, all answered {soon}"
        yield ("network", f"{found.outage_s:.1f} s without a CSMS; {drained}")
    if found.dark_s is not None and found.resumed_after_s:
        went_on = ", ".join(f"EVSE {n} after {s:.1f} s" for n, s in found.resumed_after_s.items())
        same = "the same transactions" if found.before_cut == found.after_cut else "other transactions"
        yield ("power", f"{found.dark_s:.1f} s dark; charging again: {went_on}; {same}")
    if evidence.told is None:
        yield ("CSMS", "yours: its record was not looked at, and no limit was asked of it")
    else:
        yield ("protocol", f"{len(evidence.violations)} violations in {evidence.frames} frames, judged by the schemas")

