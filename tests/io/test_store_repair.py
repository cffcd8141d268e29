"""The repair of a damaged store, killed before each of its calls to the system or to SQLite."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from agent.core.effects import Persist, Put, Record
from agent.core.events import StoreReported
from agent.io.journal import Journal
from agent.io.store_file import PAGE_BYTES, Tables
from tests.io.test_journal import Ear, fill, put_on_record, use

Found = tuple[list[Record], Tables, str]


def _open(path: Path) -> Found:
    journal, records, tables, report = Journal.open(path)
    journal.close()
    return records, tables, report.state


def _killed(path: Path, before: int) -> bool:
    """Open the store in a process that is killed before this call, counted from 0; False: it had no such call."""
    child = os.fork()
    if child == 0:
        calls = 0

        def watch(frame: FrameType, event: str, called: Any) -> None:
            nonlocal calls
            if event == "c_call" and _is_step(called):
                if calls == before:
                    os.kill(os.getpid(), signal.SIGKILL)
                calls += 1

        sys.setprofile(watch)
        Journal.open(path)
        sys.setprofile(None)
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def _is_step(called: Any) -> bool:
    """Whatever goes to the system or to SQLite, and is no mere look."""
    if called.__name__ in ("stat", "lstat", "fspath", "scandir", "fetchone", "fetchall"):
        return False
    owner = getattr(called, "__self__", None)
    return getattr(called, "__module__", "") == "posix" or isinstance(owner, sqlite3.Connection | sqlite3.Cursor)


# ------------------------------------------------------------------------------------------------- damages


def _page(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-2048:-1024] = b"\xa5" * 1024
    path.write_bytes(data)


def _row(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("UPDATE journal SET body = '[]' WHERE id = 3")


def _row_in_the_wal(path: Path) -> None:
    """The process dies with the damaged row in its WAL."""
    child = os.fork()
    if child == 0:
        db = sqlite3.connect(path)
        db.execute("UPDATE journal SET body = '[]' WHERE id = 3")
        db.commit()
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert path.with_name(path.name + "-wal").stat().st_size


def _index(path: Path) -> None:
    """One bit in the index of the keys: key4 is not found any more, though its row is whole."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        [(page,)] = db.execute("SELECT rootpage FROM sqlite_master WHERE name LIKE 'sqlite_autoindex_keys%'")
    data = bytearray(path.read_bytes())
    data[data.index(b"key4", (page - 1) * PAGE_BYTES, page * PAGE_BYTES) + 3] ^= 4
    path.write_bytes(data)


def _missing(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("damage", [_page, _row_in_the_wal, _missing], ids=lambda d: d.__name__[1:])
def test_a_repair_cut_off_anywhere_ends_as_one_that_was_not(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    origin = tmp_path / "origin"
    fill(origin / "journal.db", 4)
    damage(origin / "journal.db")
    whole = shutil.copytree(origin, tmp_path / "whole") / "journal.db"
    expected = _open(whole)
    assert expected[2] == "restored"
    assert len(expected[0]) >= (0 if damage is _missing else 3)
    for step in count():
        path = shutil.copytree(origin, tmp_path / str(step)) / "journal.db"
        killed = _killed(path, step)
        if step % 4 == 0:
            _killed(path, step * 7 % 50)
        assert _open(path) == expected, f"cut before call {step}"
        files = {file.name for file in path.parent.iterdir()}
        assert files - {"journal.db.damaged-1-wal"} == {"journal.db", "journal.db.damaged-1", "journal.db.reserve"}
        if not killed:
            break
    assert step > 40
    use(path, put_on_record)
    assert _open(path) == (*expected[:2], "ok")


@pytest.mark.parametrize("moved", [("",), ("", "-wal")], ids=["file", "file and WAL"])
def test_a_file_set_aside_with_nothing_in_its_place_is_repaired(tmp_path: Path, moved: tuple[str, ...]) -> None:
    """What a cut within the repair of an older release leaves."""
    path = tmp_path / "journal.db"
    fill(path, 6)
    _row_in_the_wal(path)
    for suffix in moved:
        path.with_name(f"journal.db{suffix}").rename(tmp_path / f"journal.db.damaged-1{suffix}")
    records, _, state = _open(path)
    assert state == "restored"
    assert [r.id for r in records] == [1, 2, 4, 5, 6]


def test_what_was_taken_over_once_never_comes_back(tmp_path: Path) -> None:
    """An old damaged file is no store: its events were told long ago."""
    path = tmp_path / "journal.db"
    fill(path, 6)
    _row(path)
    _open(path)
    path.unlink()
    assert _open(path) == ([], {}, "restored")


def test_the_damage_is_reported_until_it_is_on_record(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    fill(path, 6)
    _row(path)
    first = Journal.open(path)[3]
    second = use(path, put_on_record).reports
    third = use(path, put_on_record).reports
    detail = "set aside as journal.db.damaged-1, 17 rows saved"
    why = "a row cannot be read: record 3 fails its checksum"
    assert first == StoreReported("restored", f"{why}; {detail}")
    assert second == [StoreReported("restored", detail)]
    assert third == [StoreReported("ok")]


def test_a_damaged_index_costs_no_row_and_hides_none(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    fill(path, 6)
    records, tables, _ = _open(path)
    _index(path)
    assert _open(path) == (records, tables, "restored")

    async def story(journal: Journal, ear: Ear) -> None:
        journal.append(2, Persist(puts=(Put("keys", "key4", None),)))

    use(path, story)
    del tables["keys"]["key4"]
    assert _open(path) == (records, tables, "ok")
