"""A commit that does not come back in time, or late (issue 3)."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from agent.core.effects import Persist, Put
from agent.io.journal import Journal
from tests.io.test_journal import Ear, batch, record, use
from tests.io.waiting import until


def test_a_commit_that_hangs_is_given_up_and_coming_late_doubles_nothing(tmp_path: Path) -> None:
    """Another connection holds the file, so that the writer stands still, as in an fsync that does not end."""
    path = tmp_path / "journal.db"

    async def story(journal: Journal, ear: Ear) -> None:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            journal.append(1, Persist((record(1),), puts=(Put("keys", "a", "new"),)))
            journal.append(2, batch(2, lazy=True))
            await until(lambda: ear.has_heard(2))
            assert ear.reports[-1].state == "dead"
            journal.append(3, Persist(puts=(Put("keys", "a", "old"),)))
            await until(lambda: ear.has_heard(3))
            other.execute("ROLLBACK")
        await until(lambda: ear.reports[-1].state == "ok")
        journal.append(4, Persist((record(1), record(2)), puts=(Put("keys", "a", "old"),)))
        await until(lambda: ear.has_heard(4))

    ear = use(path, story, commit_within_s=0.2)
    assert ear.heard == [("failed", 1), ("failed", 2), ("failed", 3), ("committed", 4)]
    assert [report.state for report in ear.reports] == ["ok", "dead", "ok"]
    journal, records, tables, _ = Journal.open(path)
    journal.close()
    assert (records, tables) == ([record(1), record(2)], {"keys": {"a": "old"}})


def test_an_id_that_another_record_has_is_still_refused(tmp_path: Path) -> None:
    async def story(journal: Journal, ear: Ear) -> None:
        journal.append(1, batch(1, "one"))
        journal.append(2, batch(1, "another"))
        await until(lambda: ear.has_heard(2))

    assert sorted(use(tmp_path / "journal.db", story).heard) == [("committed", 1), ("failed", 2)]
