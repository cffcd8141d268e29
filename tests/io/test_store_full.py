"""The store at a start on a full disk: what it holds is read, wherever the room for reading comes from."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.core.effects import Record
from agent.core.events import StoreReported
from agent.io.journal import Journal
from agent.io.store_file import Tables
from tests.io.test_journal import Ear, batch, fill, record, use
from tests.io.waiting import until
from tests.process.mounts import CHUNK, SmallDisk, small_disk

STEPS = 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "state", "1m") as mounted:
        yield mounted


def _stopped(path: Path) -> None:
    """A store that was closed in order, all of it in one file."""
    fill(path, STEPS)
    assert {file.name for file in path.parent.iterdir()} == {path.name, f"{path.name}.reserve"}


def _cut(path: Path) -> None:
    """What a power cut leaves when the last commits are in the WAL and nothing of `-shm` was on flash."""
    fill(path, 1)
    files = (path, path.with_name(f"{path.name}-wal"))
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("SELECT * FROM journal").fetchall()
        fill(path, STEPS)
        left = [file.read_bytes() for file in files]
    for file, content in zip(files, left, strict=True):
        file.write_bytes(content)


def _read(path: Path) -> tuple[list[Record], Tables, StoreReported]:
    journal, records, tables, report = Journal.open(path)
    journal.close()
    return records, tables, report


def _numbers(records: list[Record], tables: Tables) -> list[tuple[int, ...]]:
    """The steps whose record is there, whose key, and whose entry in the cache."""
    keys = (int(key.removeprefix("key")) for key in tables["keys"])
    cards = (int(key.removeprefix("card")) for key in tables["cache"])
    return [tuple(r.id for r in records), tuple(keys), tuple(cards)]


ALL = [tuple(range(1, STEPS + 1))] * 3
ALL_BUT_3 = (1, 2, *range(4, STEPS + 1))
LEFT = pytest.mark.parametrize("left", [_stopped, _cut], ids=["after a clean stop", "after a cut"])


@LEFT
def test_a_start_on_a_full_disk_reads_all_and_writes_into_the_reserve(
    disk: SmallDisk, left: Callable[[Path], None]
) -> None:
    path = disk.path / "journal.db"
    left(path)
    disk.fill()

    async def story(journal: Journal, ear: Ear) -> None:
        journal.append(1, batch(STEPS + 1))
        await until(lambda: ear.heard)

    ear = use(path, story)
    assert [r.state for r in ear.reports] == ["full"]
    assert ear.heard == [("committed", 1)]
    records, tables, _ = _read(path)
    assert records.pop() == record(STEPS + 1)
    assert _numbers(records, tables) == ALL


@LEFT
def test_a_start_on_a_full_disk_without_the_reserve_reads_all_and_writes_when_there_is_room(
    disk: SmallDisk, left: Callable[[Path], None]
) -> None:
    path = disk.path / "journal.db"
    left(path)
    path.with_name("journal.db.reserve").unlink()
    disk.fill()
    records, tables, report = _read(path)
    assert _numbers(records, tables) == ALL
    assert report.state == "full"
    disk.fill()

    async def story(journal: Journal, ear: Ear) -> None:
        journal.append(1, batch(STEPS + 1, "x" * 40_000))
        await until(lambda: ear.heard)
        disk.empty()
        journal.append(2, batch(STEPS + 1))
        await until(lambda: ear.reports[-1].state == "ok")

    ear = use(path, story)
    assert [r.state for r in ear.reports] == ["full", "ok"]
    assert ear.heard == [("failed", 1), ("committed", 2)]
    assert _read(path)[0][-1] == record(STEPS + 1)
    assert path.with_name("journal.db.reserve").exists()


def _damaged(disk: SmallDisk) -> Path:
    """There is room for an empty store in its place, and none for the `-shm` that its repair reads it with."""
    path = disk.path / "journal.db"
    fill(path, STEPS)
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE journal SET body = '[]' WHERE id = 3")
    path.with_name("journal.db.new").touch()
    disk.fill()
    disk.give_back(4 * CHUNK)
    return path


def test_a_repair_on_a_full_disk_takes_its_room_from_the_reserve(disk: SmallDisk) -> None:
    records, tables, _ = _read(_damaged(disk))
    assert _numbers(records, tables) == [ALL_BUT_3, *ALL[1:]]


def test_a_repair_without_room_waits_for_a_start_with_room(disk: SmallDisk) -> None:
    path = _damaged(disk)
    path.with_name("journal.db.reserve").unlink()
    disk.fill()
    disk.give_back(4 * CHUNK)
    assert _read(path)[2].state == "dead"
    disk.empty()
    records, tables, report = _read(path)
    assert report.state == "restored"
    assert _numbers(records, tables) == [ALL_BUT_3, *ALL[1:]]
