"""The real journal's file under the simulated flash: torn by a power cut at any byte, and damaged at any page.

Only some stories use it: a commit costs more than in memory. What a cut leaves must be the state before or after the
group that was on its way, nothing in between; of a damaged file whatever the journal's own rescue brings back.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterable
from pathlib import Path
from random import Random

from agent.core.effects import Persist, Record
from agent.core.events import StoreReported
from agent.io.journal import Journal
from agent.io.store_file import PAGE_BYTES, Tables

Batch = tuple[int, Persist]
"""The step and what it wants kept."""


class _Direct(Journal):
    """The journal without its thread: what was appended is written when told."""

    def flush(self) -> None:
        """Commit everything appended so far as one group."""
        group = list(self._pending)
        self._pending.clear()
        refused = self._commit(group) if group else {}
        assert not refused, f"the store refused {refused}"

    def leave(self) -> None:
        """Let go of the file as it is."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class FileStore:
    """A folder in memory (where the machine has one) with the store in it; gone with the last user."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        memory = Path("/dev/shm")
        self._root = Path(tempfile.mkdtemp(prefix="chargerd-world-", dir=memory if memory.is_dir() else None))
        self._tidy = weakref.finalize(self, shutil.rmtree, self._root, ignore_errors=True)
        self._number = 0
        self._journal: _Direct | None = None

    @property
    def _path(self) -> Path:
        return self._root / str(self._number) / "store.db"

    @property
    def is_open(self) -> bool:
        """A process uses it."""
        return self._journal is not None

    def open(self) -> tuple[list[Record], Tables, StoreReported]:
        """A process starts: what the journal makes of the file."""
        self._path.parent.mkdir(exist_ok=True)
        journal, records, tables, report = _Direct.open(self._path)
        assert isinstance(journal, _Direct)
        self._journal = journal
        return records, tables, report

    def write(self, batches: Iterable[Batch]) -> None:
        """One group commit."""
        assert self._journal is not None
        for step, persist in batches:
            self._journal.append(step, persist)
        self._journal.flush()

    def cut(self, unsynced: Iterable[Batch]) -> None:
        """The power goes while this group is being written: any part of its bytes may be on flash."""
        assert self._journal is not None
        before = self._bytes()
        self.write(unsynced)
        after = self._bytes()
        self._journal.leave()
        self._journal = None
        old, self._number = self._path.parent, self._number + 1
        self._path.parent.mkdir()
        main, wal = after
        if main == before[0]:  # else a checkpoint had moved it: that only begins when the WAL is safe
            wal = self._torn(before[1], wal)
        self._path.write_bytes(main)
        self._path.with_name("store.db-wal").write_bytes(wal)
        self._path.with_name("store.db.reserve").write_bytes(b"\0")
        shutil.rmtree(old)

    def _torn(self, before: bytes, after: bytes) -> bytes:
        first = next((i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), len(before))
        written = self.rng.randint(first, len(after)) if first < len(after) else len(after)
        return after[:written] + before[written:]

    def damage(self) -> None:
        """A page of the file, cut before, becomes unreadable."""
        data = bytearray(self._path.read_bytes())
        pages = len(data) // PAGE_BYTES
        at = self.rng.randrange(pages) * PAGE_BYTES if pages else 0
        data[at : at + PAGE_BYTES] = self.rng.randbytes(min(PAGE_BYTES, len(data)))
        self._path.write_bytes(data)

    def _bytes(self) -> tuple[bytes, bytes]:
        wal = self._path.with_name("store.db-wal")
        return self._path.read_bytes(), wal.read_bytes() if wal.exists() else b""
