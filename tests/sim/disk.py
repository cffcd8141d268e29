"""The flash: what is durable, what is on its way, and what a power cut leaves of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Literal, Protocol

from agent.core.effects import Persist, Record
from tests.sim.clock import Life, Timeline

LAZY_WAIT_MS = 60_000
PATIENCE_MS = 1_500
Keep = Literal["none", "random", "all"]
"""What a power cut leaves of the batches that were on their way: nothing, a random prefix, or all of them."""


class Owner(Protocol):
    """Who writes: told when a batch is on flash, or that it never will be."""

    def committed(self, step: int) -> None: ...
    def failed(self, step: int, reason: str) -> None: ...
    def boundary(self) -> None:
        """A point at which the power may be cut."""


@dataclass(frozen=True, slots=True)
class _Batch:
    step: int
    records: tuple[tuple[int, str, str], ...]
    drop: tuple[int, ...]
    puts: tuple[tuple[str, str, str | None], ...]
    patient: bool


class Disk:
    """The journal and the small mappings. One group commit at a time; everything goes through JSON.

    `latency_ms` is the range of a commit's duration, multiplied by `slow`; `full` makes every commit fail.
    """

    def __init__(self, timeline: Timeline, rng: Random) -> None:
        self.timeline = timeline
        self.rng = rng
        self.rows: dict[int, tuple[str, str]] = {}
        self.tables: dict[str, dict[str, str]] = {}
        self.latency_ms = (2, 25)
        self.slow = 1.0
        self.full = False
        self.commits = 0
        self.bytes_written = 0
        self.life = Life()
        self.owner: Owner | None = None
        self._pending: list[_Batch] = []
        self._in_flight: list[_Batch] = []

    # -------------------------------------------------- the runner's side

    def open(self, life: Life, owner: Owner) -> tuple[list[Record], dict[str, dict[str, Any]]]:
        """A process starts with this disk: its records in the order of their ids, and its tables."""
        self.life, self.owner = life, owner
        records = [Record(id, kind, json.loads(body)) for id, (kind, body) in sorted(self.rows.items())]
        tables = {name: {k: json.loads(v) for k, v in rows.items()} for name, rows in self.tables.items()}
        return records, tables

    def append(self, step: int, persist: Persist) -> None:
        """Take one batch; `committed` or `failed` follows, a lazy or patient one waits for company."""
        self._pending.append(_encoded(step, persist))
        if persist.lazy:
            self.timeline.after(LAZY_WAIT_MS, self._start, self.life)
        elif persist.patient:
            self.timeline.after(PATIENCE_MS, self._start, self.life)
        else:
            self._start()

    def hurry(self) -> None:
        """Something waits that must not: patient batches go now."""
        if any(batch.patient for batch in self._pending):
            self._start()

    # -------------------------------------------------- the world's side

    def cut(self, keep: Keep = "random") -> None:
        """The power goes: what was on its way is lost, but for the prefix that `keep` grants."""
        waiting = self._in_flight + self._pending
        kept = {"none": 0, "all": len(waiting), "random": self.rng.randint(0, len(waiting))}[keep]
        for batch in waiting[:kept]:
            self._write(batch)
        self._pending, self._in_flight = [], []

    @property
    def is_busy(self) -> bool:
        """Something is on its way to the flash."""
        return bool(self._in_flight or self._pending)

    def stored(self, kind: str) -> list[dict[str, Any]]:
        """The bodies of the durable records of a kind, oldest first."""
        return [json.loads(body) for _, (k, body) in sorted(self.rows.items()) if k == kind]

    # -------------------------------------------------- a commit

    def _start(self) -> None:
        if self._in_flight or not self._pending:
            return
        self._in_flight, self._pending = self._pending, []
        latency = self.rng.randint(*self.latency_ms) * self.slow
        self.timeline.after(latency, self._finish, self.life)

    def _finish(self) -> None:
        assert self.owner is not None
        self.owner.boundary()
        batches = self._in_flight
        if self.full:
            self._in_flight = []
            self._each(batches, lambda owner, batch: owner.failed(batch.step, "disk full"))
        else:
            for batch in batches:
                self._write(batch)
            self._in_flight = []
            self.commits += 1
            self.owner.boundary()
            self.owner.committed(batches[-1].step)
        self._start()

    def _each(self, batches: list[_Batch], tell: Callable[[Owner, _Batch], None]) -> None:
        for batch in batches:
            if self.owner is not None and self.life.alive:
                tell(self.owner, batch)

    def _write(self, batch: _Batch) -> None:
        for id, kind, body in batch.records:
            if id in self.rows:
                raise AssertionError(f"record id {id} ({kind}) is already taken by {self.rows[id]}")
            self.rows[id] = (kind, body)
            self.bytes_written += len(body)
        for id in batch.drop:
            self.rows.pop(id, None)
        for table, key, value in batch.puts:
            rows = self.tables.setdefault(table, {})
            if value is None:
                rows.pop(key, None)
            else:
                rows[key] = value
                self.bytes_written += len(value)


def _encoded(step: int, persist: Persist) -> _Batch:
    records = tuple((r.id, r.kind, json.dumps(r.data, allow_nan=False)) for r in persist.records)
    puts = tuple(
        (p.table, p.key, None if p.value is None else json.dumps(p.value, allow_nan=False)) for p in persist.puts
    )
    return _Batch(step, records, persist.drop, puts, persist.patient)
