"""The state before the power cut, folded from the journal. One owner: nothing is derived from a second table.

Record kinds: `tx` (a running transaction; the newest of an id holds), `event` (a transaction event without an
answer), `sample` (told when its transaction ends), `ended` (an ended transaction; the ledger), `set_aside` (an event
the CSMS never took), `notice` (an event of a monitor or of the hardware without an answer). Kinds that this release
does not know are kept and left alone, so that a newer release finds them after a rollback.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from agent.core.effects import Record
from agent.core.transaction import Transaction


@dataclass(slots=True)
class Recovered:
    """What the journal held."""

    next_record: int = 1
    running: list[Transaction] = field(default_factory=list)
    events: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    ledger: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    set_aside: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    notices: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    series: dict[str, list[tuple[int, dict[str, Any]]]] = field(default_factory=dict)
    superseded: list[int] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def readings(self) -> Iterator[tuple[int, list[dict[str, Any]]]]:
        """EVSE and meter values of every record that has any: told, set aside, or to be told at an end."""
        for _, event in (*self.events, *self.set_aside):
            yield event["at"], event.get("meter", [])
        for running in self.running:
            yield running.evse, [running.began or {}, *(value for _, value in self.series.get(running.id, ()))]


def fold(records: Iterable[Record]) -> Recovered:
    """Fold the records, oldest first; a record that cannot be read is complained of and skipped."""
    found = Recovered()
    running: dict[str, Transaction] = {}
    for record in sorted(records, key=lambda r: r.id):
        found.next_record = max(found.next_record, record.id + 1)
        try:
            _take(found, running, record)
        except (KeyError, TypeError, ValueError) as error:
            found.complaints.append(f"record {record.id} ({record.kind}) is unreadable: {error!r}")
    for _, event in (*found.events, *found.set_aside):
        if event["tx"] in running:
            running[event["tx"]].follow(event)
    found.running = list(running.values())
    return found


def _take(found: Recovered, running: dict[str, Transaction], record: Record) -> None:
    data = dict(record.data)
    if record.kind == "tx":
        transaction = Transaction.of(data, record.id)
        old = running.get(transaction.id)
        if old is not None:
            found.superseded.append(old.row)
        running[transaction.id] = transaction
    elif record.kind == "ended":
        old = running.pop(data["tx"], None)
        if old is not None:
            found.superseded.append(old.row)
        found.ledger.append((record.id, data))
    elif record.kind == "event":
        _ = data["tx"], data["seq"], data["type"], data["state"], data["utc"], data["mono"], data["boot"]
        found.events.append((record.id, data))
    elif record.kind == "sample":
        found.series.setdefault(data["tx"], []).append((record.id, data["value"]))
    elif record.kind == "notice":
        _ = data["id"], data["severity"], data["where"]
        found.notices.append((record.id, data))
    elif record.kind == "set_aside":
        found.set_aside.append((record.id, data))
