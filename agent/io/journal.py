"""The durable store: what the station must still know after a power cut (DESIGN.md section 3).

One sqlite3 connection in WAL mode with synchronous=FULL, owned by one writer thread; the event loop only
hands batches over and hears of them again. Batches that come during a commit share the next one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

from agent.core.effects import Persist, Put, Record
from agent.core.events import StoreReported
from agent.io import store_file, store_repair
from agent.io.store_file import Damaged, Tables
from agent.io.values import Values, to_json

COMPANION_WAIT_S = 0.005
"""Under load (a batch came during the previous commit) a commit waits this long for more to join it."""
LAZY_WAIT_S = 60.0
PATIENCE_S = 1.5
"""How long a patient batch may wait for others, unless something hurries the store."""
GROUP_MOST = 64
COMMIT_WITHIN_S = 10.0
"""A commit that takes longer is given up. Worn cards collect garbage for seconds; a CSMS waits 30 s for an answer."""
LOOKS = 10
"""So often within that time the writer is looked at: one late look, as after SIGSTOP, gives nothing up."""
HUNG = "the flash does not answer"
RESERVE_BYTES = 256 * 1024
"""Preallocated next to the store and given up when the disk is full, so that what matters still fits."""
SIZE_LIMIT_BYTES = 64 * 1024 * 1024
START_STEP = 1
"""The first step of a start; the store's report is heard in the one after it."""
_UNUSABLE = {"SQLITE_NOTADB", "SQLITE_CORRUPT"}


class Outcomes(Protocol):
    """Who hears what became of the batches; every call is made on the event loop."""

    def committed(self, step: int) -> None: ...
    def failed(self, step: int, reason: str) -> None: ...
    def reported(self, report: StoreReported) -> None: ...


class _Batch(NamedTuple):
    """One Persist, already as text, so that nothing of the core is touched on the writer thread."""

    step: int
    rows: tuple[tuple[int, str, str], ...]
    drop: tuple[tuple[int], ...]
    puts: tuple[Put, ...]
    lazy: bool
    patient: bool
    due: float


class Journal:
    """`open` (blocking) before anything else, `start` on the loop, `append` per step, `close` at the end."""

    def __init__(
        self,
        path: Path,
        connection: sqlite3.Connection | None,
        size_limit: int,
        lazy_wait_s: float,
        commit_within_s: float,
    ) -> None:
        self.commits = 0
        """Commits since start, for the flash budget."""
        self._path = path
        self._reserve = path.with_name(path.name + ".reserve")
        self._connection = connection
        self._pages = size_limit // store_file.PAGE_BYTES
        self._mappings: dict[str, Values] = {}
        self._state = "ok" if connection else "dead"
        self._trouble = ""
        self._untold = False
        """The file is marked as repaired, until that is on record."""
        self._lazy_wait_s = lazy_wait_s
        self._look_every_s = commit_within_s / LOOKS
        self._wake = threading.Condition()
        self._pending: deque[_Batch] = deque()
        self._closing = self._hurried = False
        self._crowded = False
        self._groups = self._in_hand = 0
        """Groups so far, and the one that the writer is at (0: none)."""
        self._hung = False
        """The group in hand was given up; nothing is taken until the writer has come back from it."""
        self._out: set[int] = set()
        """Steps whose outcome was not told yet. Only the loop's thread uses this and the next three."""
        self._seen = self._looks = 0
        self._looking = False
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._outcomes: Outcomes | None = None

    @classmethod
    def open(
        cls,
        path: Path,
        size_limit: int = SIZE_LIMIT_BYTES,
        lazy_wait_s: float = LAZY_WAIT_S,
        commit_within_s: float = COMMIT_WITHIN_S,
    ) -> tuple[Journal, list[Record], Tables, StoreReported]:
        """Open, check and read the store. A bad one does not raise: the report is restored, full or dead.

        `size_limit` (bytes) bounds the file; at the bound the store behaves as on a full disk.
        `lazy_wait_s` is how long a lazy batch may wait for another commit, `commit_within_s` how long a commit may
        take before it is given up.
        """
        try:
            connection, records, tables, report = _open(path, path.with_name(path.name + ".reserve"))
        except (OSError, sqlite3.Error, Damaged) as error:
            journal = cls(path, None, size_limit, lazy_wait_s, commit_within_s)
            journal._trouble = f"{path}: {error}"
            return journal, [], {}, StoreReported("dead", journal._trouble)
        journal = cls(path, connection, size_limit, lazy_wait_s, commit_within_s)
        journal._untold = report.state == "restored"
        if not journal._reserve_made():
            journal._state = "full"
            report = StoreReported("full", report.detail or "no room for the reserve file")
        return journal, records, tables, report

    def start(self, outcomes: Outcomes) -> None:
        """Begin writing. Call on the event loop's thread; `outcomes` is called there too."""
        self._loop = asyncio.get_running_loop()
        self._outcomes = outcomes
        self._thread = threading.Thread(target=self._write, name="journal", daemon=True)
        self._thread.start()

    def append(self, step: int, persist: Persist) -> None:
        """Hand over the batch of a step; returns at once. Raises TypeError or ValueError for no JSON."""
        rows = tuple((r.id, r.kind, to_json(r.data)) for r in persist.records)
        puts = tuple(_copy(put) for put in persist.puts)
        wait_s = self._lazy_wait_s if persist.lazy else PATIENCE_S if persist.patient else 0.0
        due = time.monotonic() + wait_s
        drop = tuple((number,) for number in persist.drop)
        with self._wake:
            hung = self._hung
            if not hung:
                self._pending.append(_Batch(step, rows, drop, puts, persist.lazy, persist.patient, due))
                self._wake.notify()
        if self._loop is not None:
            self._out.add(step)
            if hung:
                self._loop.call_soon(self._give_up, [step])
            else:
                self._look_later()

    def hurry(self) -> None:
        """Patient batches wait no longer."""
        with self._wake:
            if any(batch.patient for batch in self._pending):
                self._hurried = True
                self._wake.notify()

    def close(self) -> None:
        """Write what is pending, then close. Blocks until the writer is done (at most 10 s)."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        if self._thread:
            self._thread.join(10.0)
        elif self._connection:
            self._connection.close()

    # ------------------------------------------------------------------------------- a writer that hangs

    def _look_later(self) -> None:
        if not self._looking and self._loop is not None:
            self._looking = True
            self._loop.call_later(self._look_every_s, self._look)

    def _look(self) -> None:
        """Is the writer still at the same group? After so many looks all that is out is given up."""
        assert self._outcomes is not None
        self._looking = False
        with self._wake:
            self._looks = self._looks + 1 if self._in_hand and self._in_hand == self._seen else 0
            self._seen = self._in_hand
            self._hung = self._hung or self._looks >= LOOKS
            hung = self._hung
            if hung:
                self._pending.clear()
                self._hurried = False
        if hung:
            self._outcomes.reported(StoreReported("dead", HUNG))
            self._give_up(sorted(self._out))
        elif self._out:
            self._look_later()

    def _give_up(self, steps: list[int]) -> None:
        """For the core these are lost, whatever the flash makes of them: it hands them over again."""
        assert self._outcomes is not None
        for step in steps:
            self._out.discard(step)
            self._outcomes.failed(step, HUNG)

    # ------------------------------------------------------------------------------- on the writer thread

    def _write(self) -> None:
        while group := self._next_group():
            try:
                self._store(group)
            except Exception as error:  # the charger must hear of it, and the thread must outlive it
                reason = f"the writer failed: {error!r}"
                self._report("dead", reason)
                self._tell([], [(batch.step, reason) for batch in group])
            self._come_back()
        if self._connection:
            self._connection.close()

    def _come_back(self) -> None:
        """The group is out of its hands, in time or late: batches are taken again."""
        with self._wake:
            self._in_hand, late, self._hung = 0, self._hung, False
        if late:
            report = StoreReported(self._state, "the flash answers again")
            self._on_loop(lambda outcomes: outcomes.reported(report))

    def _next_group(self) -> list[_Batch]:
        """Wait until something is due; return what is pending, oldest first. Empty: closing, nothing left."""
        with self._wake:
            while not (self._closing or self._hurried):
                due = min((b.due for b in self._pending), default=None)
                wait = None if due is None else due - time.monotonic()
                if wait is not None and wait <= 0:
                    break
                self._wake.wait(wait)
            if self._crowded and not self._closing and len(self._pending) < GROUP_MOST:
                self._wake.wait_for(self._enough, COMPANION_WAIT_S)
            self._hurried = False
            self._groups += 1
            self._in_hand = self._groups
            return [self._pending.popleft() for _ in range(min(GROUP_MOST, len(self._pending)))]

    def _enough(self) -> bool:
        return self._closing or len(self._pending) >= GROUP_MOST

    def _store(self, group: list[_Batch]) -> None:
        try:
            refused = self._commit(group)
        except sqlite3.Error as error:
            refused = self._second_try(group, error)
        good = [b.step for b in group if b.step not in refused]
        with self._wake:
            self._crowded = any(not (b.lazy or b.patient) for b in self._pending)
        self._tell(good, sorted(refused.items()))
        if good and self._state != "ok":
            if self._recovered():
                self._report("ok", "the store takes records again")
            elif self._state == "dead":
                self._report("full", "the store takes records again, but there is no room for the reserve")

    def _second_try(self, group: list[_Batch], error: sqlite3.Error) -> dict[int, str]:
        """After a failed commit: on a full disk give the reserve up and try once more; else all is lost."""
        full = store_file.is_full(error)
        if full and self._reserve.exists():
            self._reserve.unlink(missing_ok=True)
            try:
                refused = self._commit(group)
            except sqlite3.Error as again:
                error = again
            else:
                self._report("full", "no room; the reserve was used for the last records")
                return refused
        self._report("full" if full else "dead", str(error))
        return {b.step: str(error) for b in group}

    def _commit(self, group: list[_Batch]) -> dict[int, str]:
        """One transaction for all; only a batch with an id that exists is left out. Raises sqlite3.Error."""
        if self._connection is None:
            raise sqlite3.OperationalError(self._trouble)
        refused: dict[int, str] = {}
        tells = self._untold and group[-1].step > START_STEP
        self._bound_size()
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for batch in group:
                self._connection.execute("SAVEPOINT batch")
                try:
                    self._apply(batch)
                except sqlite3.IntegrityError as error:
                    self._connection.execute("ROLLBACK TO batch")
                    self._mappings.clear()
                    refused[batch.step] = str(error)
                self._connection.execute("RELEASE batch")
            if tells:
                self._connection.execute("PRAGMA application_id=0")
            self._connection.execute("COMMIT")
        except BaseException:
            self._mappings.clear()
            with contextlib.suppress(sqlite3.Error):
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
            raise
        self.commits += 1
        self._untold = self._untold and not tells
        return refused

    def _apply(self, batch: _Batch) -> None:
        assert self._connection is not None
        if batch.rows:
            store_file.insert(self._connection, batch.rows)
        if batch.drop:
            self._connection.executemany("DELETE FROM journal WHERE id = ?", batch.drop)
        for put in batch.puts:
            if put.table not in self._mappings:
                self._mappings[put.table] = Values(self._connection, put.table)
            self._mappings[put.table].put(put.key, put.value)

    def _bound_size(self) -> None:
        assert self._connection is not None
        spare = 0 if self._reserve.exists() else RESERVE_BYTES // store_file.PAGE_BYTES
        self._connection.execute(f"PRAGMA max_page_count={self._pages + spare}")

    def _recovered(self) -> bool:
        """After trouble: is there room again, so that the reserve can be put back?"""
        assert self._connection is not None
        with contextlib.suppress(sqlite3.Error):
            used = int(self._connection.execute("PRAGMA page_count").fetchone()[0])
            free = int(self._connection.execute("PRAGMA freelist_count").fetchone()[0])
            return used - free < self._pages and self._reserve_made()
        return False

    def _reserve_made(self) -> bool:
        return self._reserve.exists() or _preallocated(self._reserve)

    def _report(self, state: str, detail: str) -> None:
        if state == self._state:
            return
        self._state = state
        self._on_loop(lambda outcomes: outcomes.reported(StoreReported(state, detail)))

    def _tell(self, good: list[int], lost: list[tuple[int, str]]) -> None:
        def tell(outcomes: Outcomes) -> None:
            for step, reason in lost:
                if step in self._out:
                    outcomes.failed(step, reason)
            for step in good:
                if step in self._out:
                    outcomes.committed(step)
            self._out.difference_update(good, (step for step, _ in lost))

        self._on_loop(tell)

    def _on_loop(self, call: Callable[[Outcomes], None]) -> None:
        assert self._loop is not None
        assert self._outcomes is not None
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to hear it
            self._loop.call_soon_threadsafe(call, self._outcomes)


def _copy(put: Put) -> Put:
    """The entry as it is now, whatever the core does to its value before the writer gets there."""
    if put.table == "journal" or put.table.startswith("sqlite_"):
        raise ValueError(f"{put.table!r} cannot be the name of a mapping")
    return Put(put.table, put.key, json.loads(to_json(put.value)))


Opened = tuple[sqlite3.Connection, list[Record], Tables, StoreReported]


def _open(path: Path, reserve: Path) -> Opened:
    """The healthy path, or a fresh store with what could be saved of a damaged one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        if store_repair.resume(path):
            raise Damaged("its repair was cut off")
        if reserve.exists() and (not path.exists() or path.stat().st_size == 0):
            raise Damaged("the file is missing or empty although it was in use")
        return _read(path, reserve)
    except Damaged as damage:
        store_repair.repair(path, reserve)
        connection, records, tables, report = _read(path, reserve)
        return connection, records, tables, report._replace(detail=f"{damage}; {report.detail}")


def _read(path: Path, reserve: Path) -> Opened:
    connection = _connect(path, reserve)
    try:
        records, tables = store_file.load(connection)
        repaired = store_file.is_untold(connection)
    except Damaged:
        connection.close()
        raise
    if not repaired:
        return connection, records, tables, StoreReported("ok")
    saved = len(records) + sum(map(len, tables.values()))
    detail = f"set aside as {store_repair.newest_aside(path)}, {saved} rows saved"
    return connection, records, tables, StoreReported("restored", detail)


def _connect(path: Path, reserve: Path, shared: bool = True) -> sqlite3.Connection:
    """On a full disk without the reserve; if there is no room even then, without `-shm`, so that it can be read."""
    try:
        return store_file.connect(path, shared=shared)
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorname", "") in _UNUSABLE:
            raise Damaged(str(error)) from error
        if not shared or not store_file.is_full(error):
            raise
        reserved = reserve.exists()
        reserve.unlink(missing_ok=True)
        return _connect(path, reserve, shared=reserved)


def _preallocated(reserve: Path) -> bool:
    """Make the reserve file unless the disk has no room for twice its size."""
    try:
        disk = os.statvfs(reserve.parent)
        if disk.f_bavail * disk.f_frsize < 2 * RESERVE_BYTES:
            return False
        with open(reserve, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, RESERVE_BYTES)
    except OSError:
        reserve.unlink(missing_ok=True)
        return False
    return True
