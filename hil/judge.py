"""What must hold of a bench run, whatever happened in it: DESIGN.md invariants 1, 2, 8, 9 and 11 from the records.

The CSMS's record says what was told and promised, the bench's own recording says what was on the wires and what
flowed. Neither knows the agent.
"""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import Any

from hil.csms import Frame, Transaction
from hil.outlet import Sample
from hil.real_bench import RealBench

FOLLOWS_S = 6.0
"""From an accepted limit to the car keeping it: 5 s by IEC 61851-1 and one of the wires."""
ON_THE_WIRE_S = 1.5
"""From an accepted limit to the devices having it, on a busy machine; the design aims at 0.5 s."""
FALLS_BACK_S = 6.0
"""After this time without the agent every device of the bench lives on what was written for that case."""
WITHDRAWN_S = 20.0
"""From the start of the process to open contacts and no offer, its own start-up included."""
IN_FLIGHT_S = 0.3
"""What the killed process had written is still executed; the next one needs longer to its first telegram."""
STAMP_S = 2.0
"""Timestamps are whole seconds, and a clock is not corrected for less than one."""
FLOWS_AMPS, SLACK_AMPS = 0.5, 0.1
ROUNDING_WH = 1.0
REGISTER = "Energy.Active.Import.Register"


@dataclass(frozen=True)
class Span:
    """What the CSMS was told of one transaction; moments on the bench's clock (s)."""

    transaction: Transaction
    evse: int
    begins: float
    ends: float
    token: str | None
    begin_wh: float | None
    end_wh: float | None

    @property
    def name(self) -> str:
        return f"EVSE {self.evse} transaction {self.transaction.transaction_id[:8]}"

    def covers(self, t: float) -> bool:
        return self.begins - STAMP_S <= t <= self.ends + STAMP_S


@dataclass(frozen=True)
class Limit:
    """A current that may have been in force from `since` to `until` (s)."""

    amps: float
    since: float
    until: float


def broken(bench: RealBench) -> list[str]:
    """Every invariant that did not hold, as a sentence; call it when all sessions are over."""
    return list(_Judge(bench).verdict())


class _Judge:
    """The two records of a run, side by side on one clock."""

    def __init__(self, bench: RealBench) -> None:
        self._bench = bench
        self._offset = time.time() - time.monotonic()
        history = list(bench.rig.history)
        self._samples = {n: [s for s in history if s.evse == n] for n in bench.rig.outlets}
        self._moments = {n: [s.t for s in samples] for n, samples in self._samples.items()}
        self._limits = {n: list(self._limits_of(n)) for n in self._samples}
        self._spans: list[Span] = []
        self._boot_amps = float(bench.plan.keys.get("FallbackCtrlr.BootLimit", 6)) + SLACK_AMPS

    def verdict(self) -> Iterator[str]:
        yield from self._bench.violations()
        for transaction in self._bench.transactions():
            wrong = list(_whole(transaction))
            yield from wrong
            if not wrong:
                self._spans.append(self._span(transaction))
        for evse in self._samples:
            spans = [span for span in self._spans if span.evse == evse]
            yield from self._energy(evse, spans)
            yield from self._starts(evse)
            yield from self._closings(evse, spans)
            yield from self._currents(evse, spans)

    # ------------------------------------------------------------------------------------------ reading

    def _span(self, transaction: Transaction) -> Span:
        events = transaction.ordered()
        begin = [wh for event in events for wh in _registers(event, "Transaction.Begin")]
        end = list(_registers(events[-1], "Transaction.End"))
        tokens = [event["idToken"]["idToken"] for event in events if "idToken" in event]
        return Span(
            transaction, next(e["evse"]["id"] for e in events if "evse" in e),
            self._moment(events[0]["timestamp"]), self._moment(events[-1]["timestamp"]),
            tokens[0] if tokens else None, begin[0] if begin else None, end[0] if end else None,
        )  # fmt: skip

    def _moment(self, timestamp: str) -> float:
        return datetime.fromisoformat(timestamp).timestamp() - self._offset

    def _frames(self, way: str, kind: str, action: str) -> list[Frame]:
        found = self._bench.csms.frames
        return [f for f in found if (f.direction, f.kind, f.action) == (way, kind, action)]

    def _limits_of(self, evse: int) -> Iterator[Limit]:
        """The nameplate until the first accepted profile, then each profile until the next one is accepted."""
        answers = {f.id: f for f in self._frames("in", "result", "SetChargingProfile")}
        calls = [f for f in self._frames("out", "call", "SetChargingProfile") if f.payload["evseId"] in (0, evse)]
        taken: list[tuple[Frame, float | None]] = []
        for call in calls:
            answer = answers.get(call.id)
            if answer is None or answer.payload["status"] == "Accepted":
                taken.append((call, None if answer is None else answer.ts - self._offset))
        ends = [next((t for _, t in taken[i:] if t is not None), float("inf")) for i in range(len(taken) + 1)]
        plate = next(plan.max_amps for plan in self._bench.plan.evses if plan.id == evse)
        yield Limit(plate, 0.0, ends[0])
        for (call, _), end in zip(taken, ends[1:], strict=True):
            period = call.payload["chargingProfile"]["chargingSchedule"][0]["chargingSchedulePeriod"][0]
            yield Limit(min(plate, float(period["limit"])), call.ts - self._offset, end)

    def _allowed(self, evse: int, t: float, grace_s: float) -> float:
        """The highest limit that may have been in force in the `grace_s` before `t`."""
        return max(x.amps for x in self._limits[evse] if x.since <= t and x.until > t - grace_s)

    def _energy_at(self, evse: int, t: float) -> float:
        """Wh that had flowed by then, by the nearest sample before."""
        samples = self._samples[evse]
        return samples[max(0, bisect_right(self._moments[evse], t) - 1)].energy_wh

    # ------------------------------------------------------------------------------------------ judging

    def _energy(self, evse: int, spans: Sequence[Span]) -> Iterator[str]:
        """Each transaction tells what the meter's register was, and all of them what flowed (to the Wh)."""
        for span in spans:
            if span.begin_wh is None or span.end_wh is None:
                yield f"{span.name}: registers {span.begin_wh}, {span.end_wh}; expected one at begin and end"
                continue
            if span.end_wh < span.begin_wh:
                yield f"{span.name}: ended at {span.end_wh} Wh, began at {span.begin_wh} Wh"
            yield from self._register(span, "end", span.end_wh, span.ends)
        told = sum(s.end_wh - s.begin_wh for s in spans if s.end_wh is not None and s.begin_wh is not None)
        flowed = self._bench.energy_wh(evse)
        if abs(told - flowed) > ROUNDING_WH * max(1, len(spans)):
            yield f"EVSE {evse}: {told:.1f} Wh told in {len(spans)} transactions, {flowed:.3f} Wh flowed"

    def _register(self, span: Span, what: str, told_wh: float, t: float) -> Iterator[str]:
        """The register that was told is the meter's of that moment."""
        outlet = self._bench.rig.outlet(span.evse)
        before = outlet.meter.total_wh - outlet.energy_wh
        least, most = (before + self._energy_at(span.evse, t + s) for s in (-STAMP_S, STAMP_S))
        if not least - ROUNDING_WH <= told_wh <= most + ROUNDING_WH:
            yield f"{span.name}: register at {what} {told_wh} Wh, the meter's was {least:.1f} to {most:.1f} Wh"

    def _starts(self, evse: int) -> Iterator[str]:
        """After each start what was permitted before it ends first; then the boot limit holds (invariant 11)."""
        for start in self._bench.rig.agent.started:
            end = min((t for t in self._bench.rig.agent.killed if t > start), default=float("inf"))
            at, life = f"after the start at {start:.2f} s", self._between(evse, start, end)
            told = [s for s in life if s.t < start + IN_FLIGHT_S]
            withdrawn = takewhile(lambda s: any(s.contacts) or s.offered > 0, life[len(told) :])
            inherited = told + list(withdrawn)
            permitted = max((s.commanded for s in told or life), default=0.0)
            if any(s.commanded > permitted + SLACK_AMPS for s in inherited):
                yield f"EVSE {evse}: current raised before the old permission was withdrawn {at}"
            if inherited and inherited[-1].t - start > WITHDRAWN_S:
                yield f"EVSE {evse}: old permission withdrawn only {inherited[-1].t - start:.1f} s {at}"
            accepted = self._accepted_at(start)
            unknown = [s for s in life[len(inherited) :] if s.t < accepted and s.offered > self._boot_amps]
            if unknown:
                yield f"EVSE {evse}: {unknown[0].offered} A offered {at}, before the CSMS had accepted it"

    def _between(self, evse: int, since: float, until: float) -> list[Sample]:
        moments = self._moments[evse]
        return self._samples[evse][bisect_left(moments, since) : bisect_left(moments, until)]

    def _accepted_at(self, start: float) -> float:
        """When the CSMS first accepted the process that was started then (s)."""
        boots = self._frames("out", "result", "BootNotification")
        times = [f.ts - self._offset for f in boots if f.payload["status"] == "Accepted"]
        return next((t for t in times if t >= start), float("inf"))

    def _closings(self, evse: int, spans: Sequence[Span]) -> Iterator[str]:
        """The contactor closes in a transaction whose token was accepted before (invariant 2)."""
        accepted = self._accepted()
        closed = False
        for sample in self._samples[evse]:
            if any(sample.contacts) and not closed:
                span = next((s for s in spans if s.covers(sample.t)), None)
                since = accepted.get((span.token or "").casefold()) if span is not None else None
                if since is None or since > sample.t:
                    token = "no transaction" if span is None else f"token {span.token}"
                    yield f"EVSE {evse}: contactor closed at {sample.t:.2f} s with {token}, not accepted"
            closed = any(sample.contacts)

    def _accepted(self) -> dict[str, float]:
        """Since when each token is accepted, by the CSMS's answers to Authorize."""
        answers = {f.id: f for f in self._frames("out", "result", "Authorize")}
        since: dict[str, float] = {}
        for call in self._frames("in", "call", "Authorize"):
            answer = answers.get(call.id)
            if answer is not None and answer.payload["idTokenInfo"]["status"] == "Accepted":
                since.setdefault(call.payload["idToken"]["idToken"].casefold(), answer.ts - self._offset)
        return since

    def _currents(self, evse: int, spans: Sequence[Span]) -> Iterator[str]:
        """Never above the lowest limit (invariant 1), never without a transaction (8). The worst of each is told."""
        over: dict[str, tuple[float, Sample]] = {}
        for sample in self._samples[evse]:
            for what, amps, grace_s in self._flows(sample):
                excess = amps - self._allowed(evse, sample.t, grace_s)
                if excess > SLACK_AMPS and excess > over.get(what, (0.0, sample))[0]:
                    over[what] = (excess, sample)
            if max(sample.amps) > FLOWS_AMPS and not any(span.covers(sample.t) for span in spans):
                over.setdefault("current outside a transaction", (max(sample.amps), sample))
        for what, (excess, sample) in over.items():
            yield f"EVSE {evse}: {what}: {excess:.1f} A over at {sample.t:.2f} s: {sample}"

    def _flows(self, sample: Sample) -> Iterator[tuple[str, float, float]]:
        """What is said, the amps, and how long an older limit still counts for them."""
        killed = self._bench.rig.agent.killed
        gone = any(t <= sample.t <= t + FALLS_BACK_S + FOLLOWS_S for t in killed)
        yield "measured current", max(sample.amps), FOLLOWS_S + (FALLS_BACK_S if gone else 0.0)
        yield "offered current", sample.offered, FALLS_BACK_S if gone else ON_THE_WIRE_S


def _whole(transaction: Transaction) -> Iterator[str]:
    """Invariant 8 without the meter: one Started first, one Ended last, no number missing."""
    name, events = f"transaction {transaction.transaction_id[:8]}", transaction.ordered()
    kinds = [event["eventType"] for event in events]
    if kinds[:1] != ["Started"] or kinds.count("Started") != 1:
        yield f"{name}: expected one Started first: {kinds}"
    if kinds[-1:] != ["Ended"] or kinds.count("Ended") != 1:
        yield f"{name}: expected one Ended last: {kinds}"
    if transaction.seq_numbers != list(range(len(events))):
        yield f"{name}: numbers missing: {transaction.seq_numbers}"
    if not any("evse" in event for event in events):
        yield f"{name}: no event names its EVSE"


def _registers(event: dict[str, Any], context: str) -> Iterator[float]:
    """The total import register in an event under that reading context (Wh)."""
    for value in event.get("meterValue", ()):
        for sample in value["sampledValue"]:
            total = sample.get("measurand", REGISTER) == REGISTER and "phase" not in sample
            if total and sample.get("context") == context:
                yield float(sample["value"])
