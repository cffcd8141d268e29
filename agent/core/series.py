"""Samples that are told with the Ended event only: TxEndedInterval of sampled and of aligned data (J.0, E06.FR.11)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.core.boundaries import Boundaries
from agent.core.context import Context
from agent.core.evse import Evse
from agent.core.metering import of_boundary, sample
from agent.core.signing import ALIGNED, SIGNATURE, Signing
from config_keys import aligned, sampled

SERIES_ALIGNED = "series.aligned"
BOUND = 120
"""Samples kept of one transaction; when it is reached every second one goes, never the first or last (E06.FR.13)."""
BYTES = 100_000
"""The same for what they make of the Ended event, about: 130 bytes a value, and a signature in Base64 (J02.FR.20)."""
VALUE_BYTES = 130


def series_timer(evse_id: int) -> str:
    """Name of the deadline for an EVSE's next sample that is told at the end."""
    return f"evse{evse_id}.series"


class Series:
    """What each running transaction has gathered for its end; every sample is a record of its own."""

    def __init__(self, signing: Signing) -> None:
        self._signing = signing
        self._kept: dict[str, list[tuple[int, dict[str, Any]]]] = {}
        self.boundaries = Boundaries(SERIES_ALIGNED, aligned.TX_ENDED_INTERVAL)

    def restore(self, found: Mapping[str, list[tuple[int, dict[str, Any]]]]) -> None:
        """What the journal held, by transaction."""
        self._kept = {tx: list(rows) for tx, rows in found.items()}

    def arm(self, cx: Context, evse: Evse) -> None:
        """A transaction runs: its interval counts from now; 0 means none."""
        interval = cx.keys[sampled.TX_ENDED_INTERVAL]
        if interval and evse.tx is not None:
            cx.after(series_timer(evse.id), interval)
        else:
            cx.forget(series_timer(evse.id))

    def interval_passed(self, cx: Context, evse: Evse) -> None:
        """One sample of TxEndedMeasurands."""
        self.arm(cx, evse)
        if evse.tx is None or not evse.tx.takes_samples:
            return
        value = sample(cx, evse, cx.keys[sampled.TX_ENDED_MEASURANDS], "Sample.Periodic")
        if value is not None:
            self._keep(cx, evse, value)

    def clock_struck(self, cx: Context, evses: Mapping[int, Evse]) -> None:
        """One sample of AlignedDataCtrlr.TxEndedMeasurands for every running transaction."""
        due = self.boundaries.struck(cx)
        for evse in evses.values():
            if evse.tx is None or not evse.tx.takes_samples or due is None:
                continue
            value = of_boundary(cx, evse, cx.keys[aligned.TX_ENDED_MEASURANDS], due)
            if value is not None:
                self._keep(cx, evse, value)
                if self._signing.wanted(cx, evse, *ALIGNED):
                    self._signing.ask(cx, evse, "series", value)

    def signed(self, cx: Context, evse: Evse, value: dict[str, Any]) -> None:
        """The same sample, signed: it takes the place of the plain one of this EVSE, if that is still kept."""
        tx = evse.tx.id if evse.tx is not None else ""
        kept = self._kept.get(tx, [])
        for i, (row, plain) in enumerate(kept):
            if plain["utc"] == value["utc"] and plain["mono"] == value["mono"]:
                cx.drop(row)
                kept[i] = (cx.record("sample", {"tx": tx, "value": value}), value)

    def signed_late(self, cx: Context, evse: Evse, value: dict[str, Any]) -> None:
        """Signed too long after its plain sample, it is one of its own (J01.FR.17), while the same transaction runs."""
        kept = self._kept.get(evse.tx.id, []) if evse.tx is not None else []
        if kept and kept[-1][1]["mono"] <= value["mono"]:
            self._keep(cx, evse, value)

    def take(self, cx: Context, tx_id: str) -> list[dict[str, Any]]:
        """All samples of a transaction that ends; their records are no longer needed."""
        kept = self._kept.pop(tx_id, [])
        cx.drop(*(row for row, _ in kept))
        return [value for _, value in kept]

    def _keep(self, cx: Context, evse: Evse, value: dict[str, Any]) -> None:
        assert evse.tx is not None
        kept = self._kept.setdefault(evse.tx.id, [])
        if len(kept) >= BOUND or sum(_bytes(sample) for _, sample in kept) >= BYTES:
            cx.drop(*(row for row, _ in kept[1:-1:2]))
            del kept[1:-1:2]
        kept.append((cx.record("sample", {"tx": evse.tx.id, "value": value}), value))


def _bytes(value: Mapping[str, Any]) -> int:
    """How much a sample adds to the Ended event, about."""
    signed = sum(len(row[SIGNATURE]["data"]) * 4 // 3 for row in value["values"] if len(row) > SIGNATURE)
    return VALUE_BYTES * len(value["values"]) + signed
