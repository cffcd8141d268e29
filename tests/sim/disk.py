"""The flash: what is durable, what is on its way, and what a power cut leaves of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Literal, Protocol

from agent.core.effects import Persist, Record
from agent.core.events import StoreReported
from agent.io.journal import COMMIT_WITHIN_S, HUNG
from tests.sim.clock import Life, Timeline
from tests.sim.file_store import FileStore

LAZY_WAIT_MS = 60_000
DEADLINE_MS = round(COMMIT_WITHIN_S * 1000)
PATIENCE_MS = 1_500
Keep = Literal["none", "random", "all"]
"""What a power cut leaves of the batches that were on their way: nothing, a random prefix, or all of them."""
Rows = dict[int, tuple[str, str]]
Tables = dict[str, dict[str, str]]


class Owner(Protocol):
    """Who writes: told when a batch is on flash, or that it never will be."""

    def committed(self, step: int) -> None: ...
    def failed(self, step: int, reason: str) -> None: ...
    def reported(self, report: StoreReported) -> None:
        """The store's health has changed."""

    def written(self, persist: Persist) -> None:
        """A batch is on flash."""

    def lost(self, rows: Rows, entries: int) -> None:
        """Damage has taken these records, and so many entries of the small mappings."""

    def boundary(self) -> None:
        """A point at which the power may be cut."""


@dataclass(frozen=True, slots=True)
class _Batch:
    step: int
    persist: Persist
    records: tuple[tuple[int, str, str], ...]
    drop: tuple[int, ...]
    puts: tuple[tuple[str, str, str | None], ...]
    patient: bool


class Disk:
    """The journal and the small mappings. One group commit at a time; everything goes through JSON.

    `latency_ms` is the range of a commit's duration, multiplied by `slow`. On a `full` one every commit fails,
    but for the first when there is a `reserve`; with a `dead` writer each does. One that takes longer than the
    journal's deadline is given up, and everything after it fails until it has come back: late, and on flash. `file` is
    the real store below, if the story has it.
    """

    def __init__(self, timeline: Timeline, rng: Random, file: FileStore | None = None) -> None:
        self.timeline = timeline
        self.rng = rng
        self.rows: Rows = {}
        self.tables: Tables = {}
        self.file = file
        self.latency_ms = (2, 25)
        self.slow = 1.0
        self.full = False
        self.dead = False
        self.reserve = False
        self.hangs_until_ms = 0
        """No commit comes back before (true time)."""
        self.commits = 0
        self.bytes_written = 0
        """Of records: what the journal costs by itself, without the mappings that somebody else fills."""
        self.life = Life()
        self.owner: Owner | None = None
        self._state = "ok"
        self._damages = False
        self._before: tuple[Rows, Tables] = ({}, {})
        """What the last cut would leave if nothing of the last group got through."""
        self._perhaps: list[_Batch] = []
        """That group: whether it did is known at the next start."""
        self._pending: list[_Batch] = []
        self._in_flight: list[_Batch] = []
        self._hung = False
        self._late: set[int] = set()
        """Records of batches that were given up: they may be handed over again."""

    # -------------------------------------------------- the runner's side

    def open(self, life: Life, owner: Owner) -> tuple[list[Record], dict[str, dict[str, Any]], StoreReported]:
        """A process starts with this disk: its records in the order of their ids, its tables, and its health."""
        self.life, self.owner = life, owner
        report = StoreReported("ok")
        if self.file is not None:
            report = self._open_file(self.file)
        elif self._damages:
            report = StoreReported("restored", "a page was damaged")
            self._lose_some()
        self._damages = self._hung = False
        self.hangs_until_ms = 0
        self._late.clear()
        self._state = "ok"
        records = [Record(id, kind, json.loads(body)) for id, (kind, body) in sorted(self.rows.items())]
        tables = {name: {k: json.loads(v) for k, v in rows.items()} for name, rows in self.tables.items()}
        return records, tables, report

    def append(self, step: int, persist: Persist) -> None:
        """Take one batch; `committed` or `failed` follows, a lazy or patient one waits for company."""
        batch = _encoded(step, persist)
        if self._hung:
            self.timeline.after(0, lambda: self._give_up([batch]), self.life)
            return
        self._pending.append(batch)
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
        if self.file is not None and not self.file.is_open:
            pass  # nobody was writing
        elif self.file is not None:
            self._cut_file(self.file, self._in_flight if keep == "random" else waiting[:kept], torn=keep == "random")
        else:
            for batch in waiting[:kept]:
                self._write(batch)
        self._pending, self._in_flight = [], []

    def hangs(self, seconds: float) -> None:
        """The writer does not come back for so long: neither from the commit that it is at, nor from the next."""
        self.hangs_until_ms = max(self.hangs_until_ms, self.timeline.clock.true_ms + round(seconds * 1000))

    def damages_a_page(self) -> None:
        """The next start finds the store damaged."""
        self._damages = True

    @property
    def is_busy(self) -> bool:
        """Something is on its way to the flash."""
        return bool(self._in_flight or self._pending)

    def stored(self, kind: str) -> list[dict[str, Any]]:
        """The bodies of the durable records of a kind, oldest first."""
        return [json.loads(body) for _, (k, body) in sorted(self.rows.items()) if k == kind]

    # -------------------------------------------------- damage

    def _lose_some(self) -> None:
        """A page of a few rows."""
        ids = sorted(self.rows)
        first = self.rng.randrange(len(ids)) if ids else 0
        gone = ids[first : first + self.rng.randint(1, 6)]
        self._tell_lost({id: self.rows.pop(id) for id in gone}, 0)

    def _tell_lost(self, rows: Rows, entries: int) -> None:
        if self.owner is not None:
            self.owner.lost(rows, entries)

    # -------------------------------------------------- the real store below

    def _cut_file(self, file: FileStore, unsynced: list[_Batch], *, torn: bool) -> None:
        """The model keeps both worlds, before and after; the next start shows which one it is."""
        pairs = [(batch.step, batch.persist) for batch in unsynced]
        if torn:
            self._before = (dict(self.rows), {name: dict(rows) for name, rows in self.tables.items()})
            self._perhaps = unsynced
            file.cut(pairs)
        else:
            file.write(pairs)
            file.cut(())
        for batch in unsynced:
            self._write(batch, told=not torn)
        if not torn:
            self._before = (self.rows, self.tables)

    def _open_file(self, file: FileStore) -> StoreReported:
        if self._damages:
            file.damage()
        records, tables, report = file.open()
        rows = {r.id: (r.kind, json.dumps(r.data)) for r in records}
        found = {name: {k: json.dumps(v) for k, v in entries.items()} for name, entries in tables.items()}
        if report.state == "ok":
            self._adopt(rows, found)
        else:
            self._rescue(rows, found)
        for batch in self._perhaps:
            if self.owner is not None and all(id in rows for id, _, _ in batch.records):
                self.owner.written(batch.persist)
        self._perhaps = []
        return report

    def _adopt(self, rows: Rows, tables: Tables) -> None:
        states = ((self.rows, self.tables), self._before)
        if not any(_same(rows, known) and _same(tables, small) for known, small in states):
            raise AssertionError("the store opened with something that is neither before nor after the last commit")
        self.rows, self.tables = rows, tables

    def _rescue(self, rows: Rows, tables: Tables) -> None:
        """After damage: some may be lost, nothing may be invented."""
        for id, row in rows.items():
            if row not in (self.rows.get(id), self._before[0].get(id)):
                raise AssertionError(f"the rescue invented record {id}: {row}")
        whole = self.rows if len(rows.keys() & self.rows.keys()) >= len(rows.keys() & self._before[0].keys()) else {}
        lost = {id: row for id, row in (whole or self._before[0]).items() if id not in rows}
        entries = sum(len(e) for e in self.tables.values()) - sum(len(e) for e in tables.values())
        self.rows, self.tables = rows, tables
        self._tell_lost(lost, max(entries, 0))

    # -------------------------------------------------- a commit

    def _start(self) -> None:
        if self._in_flight or not self._pending:
            return
        self._in_flight, self._pending = self._pending, []
        latency = self.rng.randint(*self.latency_ms) * self.slow
        began_ms = self.timeline.clock.true_ms
        if max(began_ms + latency, self.hangs_until_ms) > began_ms + DEADLINE_MS:
            self._may_be_late(began_ms)
        self.timeline.after(latency, lambda: self._finish(began_ms), self.life)

    def _may_be_late(self, began_ms: int) -> None:
        group = self._in_flight
        self.timeline.at(began_ms + DEADLINE_MS, lambda: self._look(group), self.life)

    def _look(self, group: list[_Batch]) -> None:
        """The commit's time is over: when it still goes on, the store is dead and all that waits is lost."""
        if self._in_flight is group and not self._hung:
            self._hung = True
            self._late.update(id for batch in group for id, _, _ in batch.records)
            waiting, self._pending = self._pending, []
            self._report("dead", HUNG)
            self._give_up(group + waiting)

    def _give_up(self, batches: list[_Batch]) -> None:
        self._each(batches, lambda owner, batch: owner.failed(batch.step, HUNG))

    def _finish(self, began_ms: int) -> None:
        assert self.owner is not None
        if self.timeline.clock.true_ms < self.hangs_until_ms:
            self._may_be_late(began_ms)
            self.timeline.at(self.hangs_until_ms, lambda: self._finish(began_ms), self.life)
            return
        self.owner.boundary()
        if self._hung:
            self._come_back()
            return
        batches, trouble = self._in_flight, self._trouble()
        if trouble:
            self._in_flight = []
            self._report("dead" if self.dead else "full", trouble)
            self._each(batches, lambda owner, batch: owner.failed(batch.step, trouble))
        else:
            self._commit(batches)
            self.owner.boundary()
            self.owner.committed(batches[-1].step)
            self._report("full" if self.full else "ok", "")
        self._start()

    def _come_back(self) -> None:
        """From a commit that was given up: it is on flash unless it failed after all, and nobody waits for it."""
        assert self.owner is not None
        if self._trouble():
            self._in_flight = []
        else:
            self._commit(self._in_flight)
        self._hung = False
        self.owner.boundary()
        self._report("dead" if self.dead else "full" if self.full else "ok", "")
        self._start()

    def _trouble(self) -> str:
        """Why the present group cannot be written, or nothing."""
        if self.dead:
            return "the writer failed"
        if self.full and not self.reserve:
            return "disk full"
        if self.full:
            self.reserve = False
        return ""

    def _commit(self, batches: list[_Batch]) -> None:
        if self.file is not None:
            self.file.write((batch.step, batch.persist) for batch in batches)
        for batch in batches:
            self._write(batch)
        self._in_flight = []
        self.commits += 1

    def _report(self, state: str, detail: str) -> None:
        if state != self._state and self.owner is not None:
            self._state = state
            self.owner.reported(StoreReported(state, detail))

    def _each(self, batches: list[_Batch], tell: Callable[[Owner, _Batch], None]) -> None:
        for batch in batches:
            if self.owner is not None and self.life.alive:
                tell(self.owner, batch)

    def _write(self, batch: _Batch, *, told: bool = True) -> None:
        for id, kind, body in batch.records:
            if id in self.rows and not (id in self._late and self.rows[id] == (kind, body)):
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
        if told and self.owner is not None:
            self.owner.written(batch.persist)


def _encoded(step: int, persist: Persist) -> _Batch:
    records = tuple((r.id, r.kind, json.dumps(r.data, allow_nan=False)) for r in persist.records)
    puts = tuple(
        (p.table, p.key, None if p.value is None else json.dumps(p.value, allow_nan=False)) for p in persist.puts
    )
    return _Batch(step, persist, records, persist.drop, puts, persist.patient)


def _same(one: Rows | Tables, other: Rows | Tables) -> bool:
    """Equal, but for mappings that hold nothing."""
    return {k: v for k, v in one.items() if v} == {k: v for k, v in other.items() if v}
