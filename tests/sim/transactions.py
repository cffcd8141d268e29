"""Transactions as the CSMS heard of them, repeats and all."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Payload = dict[str, Any]


class Consecutive:
    """Equal to 0, 1, 2, ... of any length above zero."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, list) and bool(other) and other == list(range(len(other)))

    def __hash__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return "0, 1, 2, ... without a gap"


def consecutive() -> Consecutive:
    """What the sequence numbers of a complete transaction equal."""
    return Consecutive()


@dataclass
class Transaction:
    """One transaction. `events` holds each event once, in the order of first arrival."""

    id: str
    events: list[Payload] = field(default_factory=list)
    arrivals_ms: list[int] = field(default_factory=list)
    repeats: int = 0
    refused: set[int] = field(default_factory=set)
    """Sequence numbers that the CSMS answered with an error or not at all, and has not accepted since."""
    contradictions: list[str] = field(default_factory=list)
    _by_number: dict[int, Payload] = field(default_factory=dict)

    def hears(self, payload: Payload, now_ms: int, *, refused: bool) -> None:
        """Another TransactionEventRequest. What is sent again after a lost link is offline then (E04.FR.03)."""
        number = payload["seqNo"]
        known = self._by_number.get(number)
        if known is None:
            self._by_number[number] = payload
            self.events.append(payload)
            self.arrivals_ms.append(now_ms)
        else:
            self.repeats += 1
            if payload not in (known, {**known, "offline": True}):
                self.contradictions.append(f"seqNo {number} differs in a repeat: {_difference(known, payload)}")
        (self.refused.add if refused else self.refused.discard)(number)

    @property
    def seq_numbers(self) -> list[int]:
        """Sequence numbers without repeats, in the order of first arrival."""
        return [event["seqNo"] for event in self.events]

    @property
    def started(self) -> bool:
        """Its Started event has arrived."""
        return any(event["eventType"] == "Started" for event in self.events)

    @property
    def ended(self) -> bool:
        """Its Ended event has arrived."""
        return any(event["eventType"] == "Ended" for event in self.events)

    @property
    def stopped_reason(self) -> str | None:
        """Why it ended, as far as known."""
        return next(
            (
                str(e["transactionInfo"]["stoppedReason"])
                for e in reversed(self.events)
                if "stoppedReason" in e["transactionInfo"]
            ),
            None,
        )

    @property
    def evse(self) -> int | None:
        """The EVSE it took place at."""
        return next((int(e["evse"]["id"]) for e in self.events if "evse" in e), None)

    @property
    def triggers(self) -> list[str]:
        """Trigger reasons in the order of first arrival."""
        return [str(event["triggerReason"]) for event in self.events]

    @property
    def charging_states(self) -> list[str]:
        """Charging states in the order of first arrival."""
        states = (event["transactionInfo"].get("chargingState") for event in self.events)
        return [str(state) for state in states if state is not None]

    @property
    def offline(self) -> list[bool]:
        """The offline flag of each event."""
        return [bool(event.get("offline", False)) for event in self.events]

    def registers(self) -> list[tuple[str, float]]:
        """Import registers (context, Wh) in the order of their events."""
        ordered = sorted(self.events, key=lambda event: int(event["seqNo"]))
        return [pair for event in ordered for pair in registers(event)]

    @property
    def span_wh(self) -> tuple[float, float] | None:
        """Register at the beginning and at the end, or the last told of a meter that fell silent; None: not told."""
        pairs = self.registers()
        begin = [wh for context, wh in pairs if context == "Transaction.Begin"]
        ends = [wh for context, wh in pairs if context == "Transaction.End"] or [wh for _, wh in pairs]
        return (begin[0], ends[-1]) if begin else None

    @property
    def energy_wh(self) -> float | None:
        """What was told of it in all (Wh); None without a register of its beginning."""
        span = self.span_wh
        return None if span is None else span[1] - span[0]


def registers(event: Payload) -> list[tuple[str, float]]:
    """The total import registers in an event, as (context, Wh)."""
    found = []
    for meter_value in event.get("meterValue", ()):
        for sample in meter_value["sampledValue"]:
            measurand = sample.get("measurand", "Energy.Active.Import.Register")
            if measurand == "Energy.Active.Import.Register" and "phase" not in sample:
                found.append((str(sample.get("context", "Sample.Periodic")), _wh(sample)))
    return found


def _wh(sample: Payload) -> float:
    unit = sample.get("unitOfMeasure", {})
    factor: float = 1000 if unit.get("unit", "Wh") == "kWh" else 1
    return float(sample["value"]) * factor * float(10 ** unit.get("multiplier", 0))


def _difference(one: Payload, other: Payload) -> str:
    names = [name for name in sorted(one.keys() | other.keys()) if one.get(name) != other.get(name)]
    return "; ".join(f"{name}: {one.get(name)!r} then {other.get(name)!r}" for name in names)[:300]
