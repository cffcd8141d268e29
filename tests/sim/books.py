"""Invariant 8: what the station recorded, what the CSMS heard, and what truly flowed must be one and the same."""

from __future__ import annotations

import itertools
import json
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.core.effects import Record
from agent.core.instant import parse_rfc3339
from tests.sim.clock import EPOCH_MS
from tests.sim.transactions import Transaction, registers

Fail = Callable[[str, str], None]
Number = tuple[str, int]
"""Transaction and seqNo."""
WH_PER_TRANSACTION = 40.0
"""What may flow between the last good reading and the true end (a smart controller is seen late)."""
STAMP_MS = 15_000
"""How far a timestamp may be off while the board's clock is right: a sample bears the moment it was due."""
WRONG_MS = 7 * 86_400_000
"""So far the clock of a board may be off: a story sets it wrong by a day or so, now and then again."""
AT_THE_END = ("Transaction.End", "Interruption.Begin")
"""Contexts of the registers in an Ended event that are newer than all before; its others are told again there."""


@dataclass(slots=True)
class Made:
    """An event as it was recorded: its kind, and the true moment of it."""

    kind: str
    evse: int
    at_ms: int
    record: tuple[int, int]
    """Boot and record: what is handed over once more is the same, what a cut took and came anew is another."""


@dataclass
class Books:
    """Everything about transactions. `lost` and `doubled` are what the final judgement has found."""

    fail: Fail
    allow: set[str]
    made: dict[Number, Made] = field(default_factory=dict)
    durable: set[Number] = field(default_factory=set)
    aside: set[Number] = field(default_factory=set)
    excused: set[str] = field(default_factory=set)
    """Transactions of which damage has taken records."""
    stepped_ms: list[int] = field(default_factory=list)
    """When the board's clock was changed."""
    untold: dict[int, float] = field(default_factory=dict)
    signed: set[str] = field(default_factory=set)
    """Containers that a meter has signed, as OCPP carries them."""
    boot: int = 0
    lost: int = 0
    doubled: int = 0

    def keeps(self, records: Iterable[Record], now_ms: int) -> None:
        """The station hands records to the store."""
        for record in records:
            if record.kind == "event":
                data = record.data
                number = (str(data["tx"]), int(data["seq"]))
                new = Made(data["type"], data.get("at", 0), now_ms, (self.boot, record.id))
                old = self.made.setdefault(number, new)
                if number not in self.durable and old.record != new.record:
                    self.made[number] = new

    def written(self, records: Iterable[Record]) -> None:
        """They are on flash: from now on they may not be lost."""
        for record in records:
            if record.kind in ("event", "set_aside"):
                number = (str(record.data["tx"]), int(record.data["seq"]))
                (self.durable if record.kind == "event" else self.aside).add(number)

    def signs(self, container: str) -> None:
        """A meter hands out a signed reading, which nobody may touch."""
        self.signed.add(b64encode(container.encode()).decode())

    def says(self, text: str) -> None:
        """A frame leaves the station: what is signed in it is byte for byte what a meter handed out."""
        if '"signedMeterData"' not in text:
            return
        _, _, action, payload = json.loads(text)
        for sample in itertools.chain(*(value["sampledValue"] for value in payload["meterValue"])):
            told = sample.get("signedMeterValue", {}).get("signedMeterData")
            if told is not None and told not in self.signed:
                self.fail("8 signed", f"{action} tells what no meter has signed: {told}")

    # -------------------------------------------------- the end

    def finish(self, transactions: Mapping[str, Transaction], now_ms: int) -> None:
        """All events have come, each transaction is whole, and nothing is told twice."""
        self._delivered(transactions)
        for transaction in transactions.values():
            if transaction.id not in self.excused:
                self._complete(transaction, now_ms)
        for evse in sorted({made.evse for made in self.made.values()}):
            self._apart([t for t in transactions.values() if t.evse == evse and t.id not in self.excused])

    def _delivered(self, transactions: Mapping[str, Transaction]) -> None:
        taken = {(t.id, n) for t in transactions.values() for n in t.seq_numbers if n not in t.refused}
        due = {n for n in self.durable if n[0] not in self.excused}
        if "gaps" in self.allow:
            due = {n for n in due if self.made[n].kind != "Updated"}
        missing = sorted(due - taken - self.aside)
        self.lost += len(missing)
        if missing:
            kinds = [(tx[:8], seq, self.made[tx, seq].kind) for tx, seq in missing[:5]]
            self.fail("8 transactions", f"{len(missing)} events on flash never reached the CSMS: {kinds}")

    def _complete(self, transaction: Transaction, now_ms: int) -> None:
        name = f"transaction {transaction.id}"
        for contradiction in transaction.contradictions:
            self._twice(f"{name}: {contradiction}")
        events = sorted(transaction.events, key=lambda e: int(e["seqNo"]))
        kinds = [event["eventType"] for event in events]
        if kinds.count("Started") > 1 or kinds.count("Ended") > 1:
            self._twice(f"{name}: Started or Ended more than once: {kinds}")
        if kinds[0] != "Started":
            self.fail("8 transactions", f"{name}: Started is not once and first: {kinds}")
        if kinds[-1] != "Ended":
            self.fail("8 transactions", f"{name}: Ended is not once and last: {kinds}")
        numbers = [int(event["seqNo"]) for event in events]
        if "gaps" not in self.allow and numbers != list(range(len(numbers))):
            self.fail("8 transactions", f"{name}: sequence numbers {numbers}")
        self._stamps(transaction.id, events, now_ms)
        self._energy(name, events)

    def _twice(self, text: str) -> None:
        self.doubled += 1
        self.fail("8 transactions", text)

    def _stamps(self, id: str, events: list[dict[str, Any]], now_ms: int) -> None:
        stamps = [parse_rfc3339(event["timestamp"]) for event in events]
        last_ms = EPOCH_MS + now_ms + WRONG_MS
        if not all(EPOCH_MS - WRONG_MS <= stamp <= last_ms for stamp in stamps):
            self.fail("8 transactions", f"transaction {id}: timestamps that cannot be: {stamps}")
        made = [self.made.get((id, int(event["seqNo"]))) for event in events]
        if "clock" in self.allow or self.stepped_ms:
            return
        if stamps != sorted(stamps):
            self.fail("8 transactions", f"transaction {id}: time runs backwards: {[e['timestamp'] for e in events]}")
        for stamp, one in zip(stamps, made, strict=True):
            if one is not None and abs(stamp - EPOCH_MS - one.at_ms) > STAMP_MS:
                off = (stamp - EPOCH_MS - one.at_ms) / 1000
                self.fail("8 transactions", f"transaction {id}: a timestamp is {off:.1f} s off")

    def _energy(self, name: str, events: list[dict[str, Any]]) -> None:
        shown = [wh for event in events[:-1] for context, wh in registers(event)]
        shown += [wh for context, wh in registers(events[-1]) if context in AT_THE_END]
        if shown != sorted(shown):
            self.fail("8 transactions", f"{name}: the import register runs backwards: {shown}")

    def _apart(self, transactions: list[Transaction]) -> None:
        """Of one EVSE: no energy is told in two transactions."""
        spans = sorted((*span, t.id) for t in transactions if (span := t.span_wh) is not None)
        for (_, end, one), (begin, _, other) in itertools.pairwise(spans):
            if begin < end:
                self._twice(f"{end - begin:g} Wh are told by {one} and by {other}")

    # -------------------------------------------------- energy

    def reconcile(self, evse: int, flowed_wh: float, transactions: Iterable[Transaction]) -> None:
        """No energy outside a transaction: the meter's register against the sum of all transactions."""
        told_of = {t.id: t for t in transactions}
        mine = [t for t in told_of.values() if t.evse == evse]
        unheard_of = self.excused - set(told_of)
        if "energy" in self.allow or unheard_of or any(t.id in self.excused for t in mine):
            return
        told = sum(t.energy_wh or 0.0 for t in mine)
        slack = 5.0 + WH_PER_TRANSACTION * len(mine) + self.untold.get(evse, 0.0)
        if abs(flowed_wh - told) > slack:
            per = {t.id[:8]: t.energy_wh for t in mine}
            self.fail("8 transactions", f"EVSE {evse}: {flowed_wh:.0f} Wh flowed, {told:.0f} Wh were told: {per}")
