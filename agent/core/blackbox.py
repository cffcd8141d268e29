"""What an EVSE was like in the last minute, for the log of the moment in which something goes wrong."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from agent.core.context import Context
from agent.core.evse import Evse

SPAN_MS = 60_000
MOST = 64
"""Samples per EVSE: a meter is read once a second."""
SHOWN = (("current_a", "A"), ("voltage_v", "V"), ("power_w", "W"))


class _Sample(NamedTuple):
    at_ms: int
    pilot: str | None
    offered: float | None
    tx: str | None
    values: Mapping[Any, Decimal]
    temperatures: tuple[tuple[str, float], ...]


class Blackbox:
    """A sample with each reading of the meter; told with a fault."""

    def __init__(self, evses: Iterable[int]) -> None:
        self._samples: dict[int, deque[_Sample]] = {evse: deque(maxlen=MOST) for evse in evses}

    def sample(self, cx: Context, evse: Evse) -> None:
        """The meter was read."""
        assert evse.reading is not None
        tx = evse.tx.id if evse.tx is not None else None
        self._samples[evse.id].append(_Sample(
            cx.ms, evse.pilot, evse.commanded_amps, tx, evse.reading.values, tuple(evse.temperatures.items())
        ))  # fmt: skip

    def tell(self, cx: Context, evse: Evse, fault: str) -> None:
        """Into the station's log: the last minute before `fault`, as JSON (seconds count back from it)."""
        samples = [self._told(cx, one) for one in self._samples[evse.id] if one.at_ms >= cx.ms - SPAN_MS]
        cx.note("context", json.dumps({"evse": evse.id, "fault": fault, "samples": samples}), "trace")

    def _told(self, cx: Context, sample: _Sample) -> dict[str, Any]:
        told: dict[str, Any] = {"s": (sample.at_ms - cx.ms) / 1000, "pilot": sample.pilot, "offered_a": sample.offered}
        for quantity, unit in SHOWN:
            found = {phase: value for (name, phase), value in sample.values.items() if name == quantity}
            told |= {f"{unit}{phase or ''}": float(found[phase]) for phase in sorted(found)}
        if sample.temperatures:
            told["celsius"] = dict(sample.temperatures)
        return told | ({"tx": sample.tx} if sample.tx is not None else {})
