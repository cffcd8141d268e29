"""What the bench CSMS saw: frames, violations and transactions, all of it plain data."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any, Literal, TextIO

Json = dict[str, Any]
Direction = Literal["in", "out"]
Kind = Literal["call", "result", "error", "bad"]


@dataclass(frozen=True, slots=True)
class Frame:
    """One text frame. `direction` is seen from the CSMS; `bad` could not be understood (payload: its text).

    `ts` is UTC seconds. The action of a result or an error is that of its call. An error's payload is
    {"code", "description", "details"}.
    """

    ts: float
    identity: str
    connection: int
    direction: Direction
    kind: Kind
    id: str | None
    action: str | None
    payload: Any

    def to_json(self) -> Json:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule of OCPP-J, or the schema, that the station broke. `frame` is an index into the frames."""

    ts: float
    identity: str
    rule: str
    detail: str
    frame: int | None = None

    def to_json(self) -> Json:
        return asdict(self)


@dataclass(slots=True)
class Transaction:
    """A transaction as its TransactionEvents tell it; repeats of a (transactionId, seqNo) count once."""

    transaction_id: str
    identity: str
    events: dict[int, Json] = field(default_factory=dict)
    """The first event that arrived with each seqNo."""
    arrivals: list[int] = field(default_factory=list)
    """Every seqNo in the order of arrival, repeats included."""

    def add(self, event: Json) -> str | None:
        """Take one event; says what is wrong when it contradicts an earlier one.

        An event whose answer was lost with the connection comes again as an offline one (E04.FR.03).
        """
        seq_no = event["seqNo"]
        self.arrivals.append(seq_no)
        first = self.events.setdefault(seq_no, event)
        same = {**first, "offline": True} == {**event, "offline": True}
        return None if same else f"{self.transaction_id} seqNo {seq_no} repeated with other content"

    @property
    def repeats(self) -> list[int]:
        """Each seqNo that arrived once more, as often as it did."""
        return [n for i, n in enumerate(self.arrivals) if n in self.arrivals[:i]]

    @property
    def seq_numbers(self) -> list[int]:
        """The different seqNos, ascending."""
        return sorted(self.events)

    def ordered(self) -> list[Json]:
        """The different events by seqNo."""
        return [self.events[n] for n in self.seq_numbers]

    @property
    def ended(self) -> bool:
        return any(e["eventType"] == "Ended" for e in self.events.values())

    def registers_wh(self) -> list[Decimal]:
        """Every Energy.Active.Import.Register total of the transaction in Wh, by seqNo."""
        return [wh for event in self.ordered() for wh in _registers(event)]

    def energy_wh(self) -> Decimal | None:
        """Last register minus first, in Wh; None when fewer than two were reported."""
        registers = self.registers_wh()
        return registers[-1] - registers[0] if len(registers) > 1 else None

    def to_json(self) -> Json:
        energy = self.energy_wh()
        return {
            "transactionId": self.transaction_id,
            "identity": self.identity,
            "ended": self.ended,
            "seqNumbers": self.seq_numbers,
            "repeats": self.repeats,
            "energyWh": None if energy is None else float(energy),
            "events": self.ordered(),
        }


def _registers(event: Json) -> Iterator[Decimal]:
    for meter_value in event.get("meterValue", ()):
        for sample in meter_value["sampledValue"]:
            measurand = sample.get("measurand", "Energy.Active.Import.Register")
            if measurand == "Energy.Active.Import.Register" and "phase" not in sample:
                unit = sample.get("unitOfMeasure", {})
                scale = Decimal(1000 if unit.get("unit", "Wh") == "kWh" else 1)
                yield Decimal(str(sample["value"])) * scale * Decimal(10) ** unit.get("multiplier", 0)


class Book:
    """The record: grows only. With `stream`, every line is also written there as JSON."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.frames: list[Frame] = []
        self.violations: list[Violation] = []
        self.transactions: dict[str, Transaction] = {}
        self._stream = stream

    def frame(self, frame: Frame) -> None:
        self.frames.append(frame)
        self._write("frame", frame.to_json())

    def violation(
        self, ts: float, identity: str, rule: str, detail: str, about_last_frame: bool = True
    ) -> None:
        index = len(self.frames) - 1 if about_last_frame and self.frames else None
        violation = Violation(ts, identity, rule, detail, index)
        self.violations.append(violation)
        self._write("violation", violation.to_json())

    def event(self, identity: str, event: Json) -> str | None:
        """Keep a TransactionEvent; returns what is wrong with it beside its schema."""
        name = event["transactionInfo"]["transactionId"]
        transaction = self.transactions.setdefault(name, Transaction(name, identity))
        return transaction.add(event)

    def _write(self, what: str, body: Json) -> None:
        if self._stream is not None:
            self._stream.write(json_line({"what": what, **body}))
            self._stream.flush()


def json_line(value: Any) -> str:
    """One line of compact JSON with its newline."""
    return json.dumps(value, separators=(",", ":"), default=str) + "\n"
