"""That the station was there, written down when no event of a transaction tells it: cuts are counted from it.

Events may be hours apart: TxUpdatedInterval 0, a car that does not draw, a CSMS that wants no samples.
"""

from __future__ import annotations

from typing import NamedTuple

from agent.core.context import Context
from agent.core.settings import Tables
from agent.core.transaction import Transaction
from config_keys import site

TABLE = "presence"
SHORTEST_MS, LONGEST_MS = 10_000, 600_000
PART = 3
"""Part of ResumeTimeout after which it is written: so much of a cut at most is counted that was none."""


class Told(NamedTuple):
    """How far a transaction was, and when its station is to be heard of again (monotonic ms)."""

    tx: str
    next_seq: int
    due_ms: int


class Presence:
    """Per EVSE, when its running transaction was last known to run."""

    def __init__(self, stored: Tables) -> None:
        self._stored = stored.get(TABLE, {})
        self._told: dict[int, Told] = {}

    def last(self, running: Transaction) -> int:
        """UTC (ms) at which the process of before was still there, after the transaction's last event; else 0."""
        tx, next_seq, utc_ms = self._stored.get(str(running.evse), ("", 0, 0))
        return int(utc_ms) if tx == running.id and next_seq >= running.next_seq else 0

    def follow(self, cx: Context, running: Transaction) -> None:
        """Write the time down when no event has told it for a part of ResumeTimeout; none is resumed after 0 s."""
        timeout_ms = cx.keys[site.RESUME_TIMEOUT] * 1000
        every_ms = min(max(timeout_ms // PART, SHORTEST_MS), LONGEST_MS)
        told = self._told.get(running.evse)
        if told is None or told[:2] != (running.id, running.next_seq):
            self._arm(cx, running, every_ms)
        elif cx.ms >= told.due_ms and timeout_ms:
            utc_ms = cx.utc()
            if utc_ms is not None:
                cx.put(TABLE, str(running.evse), [running.id, running.next_seq, utc_ms])
            self._arm(cx, running, every_ms)

    def _arm(self, cx: Context, running: Transaction, every_ms: int) -> None:
        self._told[running.evse] = Told(running.id, running.next_seq, cx.ms + every_ms)
        cx.after(f"evse{running.evse}.presence", every_ms / 1000)
