"""The file of the journal: opening it, checking it, and setting a damaged one aside.

A store that fails its check is moved to `name.damaged-N` together with its WAL, every row that can still be
read is copied into a fresh file, and the caller is told. Nothing here is ever unpickled or executed.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agent.core.effects import Record
from agent.io.values import Values

PAGE_BYTES = 512
"""Measured with four records of 740 B a commit: 3.2 KB to the device for each, against 4.3 KB at 1024."""
CHECKPOINT_PAGES = 512
WAL_KEPT_BYTES = 512 * 1024
DAMAGED_KEPT = 3
FORMAT = 1
_JOURNAL = "CREATE TABLE IF NOT EXISTS journal (id INTEGER PRIMARY KEY, kind TEXT, body TEXT)"

Tables = dict[str, dict[str, Any]]


class Damaged(Exception):
    """The file is not, or not wholly, a store; the text says what was found."""


def connect(path: Path) -> sqlite3.Connection:
    """Open or create the store. Raises sqlite3.Error; transactions are begun and ended explicitly."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=64)
    try:
        connection.execute(f"PRAGMA page_size={PAGE_BYTES}")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
        connection.execute(f"PRAGMA journal_size_limit={WAL_KEPT_BYTES}")
        connection.execute(_JOURNAL)
        if connection.execute("PRAGMA user_version").fetchone()[0] < FORMAT:
            connection.execute(f"PRAGMA user_version={FORMAT}")
    except BaseException:
        connection.close()
        raise
    return connection


def load(connection: sqlite3.Connection) -> tuple[list[Record], Tables]:
    """Check the whole file, then read all of it. Raises Damaged for anything that is not as we wrote it."""
    try:
        verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise Damaged(str(verdict))
        rows = connection.execute("SELECT id, kind, body FROM journal ORDER BY id").fetchall()
        records = [_record(*row) for row in rows]
        return records, {name: dict(Values(connection, name).items()) for name in _mappings(connection)}
    except (ValueError, TypeError, RecursionError) as error:
        raise Damaged(f"a row cannot be read: {error}") from error
    except sqlite3.DatabaseError as error:
        raise Damaged(str(error)) from error


def set_aside(path: Path) -> Path:
    """Move the store and its WAL to the next free `name.damaged-N`; only the newest few are kept."""
    numbers = sorted(_damaged_numbers(path))
    number = numbers[-1] + 1 if numbers else 1
    target = path.with_name(f"{path.name}.damaged-{number}")
    for suffix in ("", "-wal"):
        with contextlib.suppress(FileNotFoundError):
            _beside(path, suffix).rename(_beside(target, suffix))
    _beside(path, "-shm").unlink(missing_ok=True)
    for old in numbers[: max(0, len(numbers) + 1 - DAMAGED_KEPT)]:
        for suffix in ("", "-wal", "-shm"):
            path.with_name(f"{path.name}.damaged-{old}{suffix}").unlink(missing_ok=True)
    return target


def salvage(damaged: Path, fresh: sqlite3.Connection) -> int:
    """Copy every readable row of the damaged file into the fresh one; return how many rows that were."""
    try:
        source = sqlite3.connect(f"file:{damaged}?mode=ro", uri=True, isolation_level=None)
    except sqlite3.Error:
        return 0
    copied = 0
    with contextlib.closing(source):
        source.execute("PRAGMA writable_schema=ON")  # read even a file shorter than its header says
        fresh.execute("BEGIN")
        for name in _readable_names(source):
            copied += _salvage_table(source, name, fresh)
        fresh.execute("COMMIT")
    return copied


def _salvage_table(source: sqlite3.Connection, name: str, fresh: sqlite3.Connection) -> int:
    copied = 0
    mapping = None if name == "journal" else Values(fresh, name)
    for row in _readable_rows(source, name, "id, kind, body" if mapping is None else "key, value"):
        with contextlib.suppress(ValueError, TypeError, RecursionError, sqlite3.IntegrityError):
            if mapping is None:
                _record(*row)
                fresh.execute("INSERT INTO journal VALUES (?, ?, ?)", row)
            else:
                mapping[row[0]] = json.loads(row[1])
            copied += 1
    return copied


def _readable_rows(source: sqlite3.Connection, name: str, columns: str) -> Iterator[tuple[Any, ...]]:
    """Rows from the front up to the damage, then from the back down to it."""
    quoted = name.replace('"', '""')
    seen: set[int] = set()
    for order in ("ASC", "DESC"):
        try:
            for row in source.execute(f'SELECT rowid, {columns} FROM "{quoted}" ORDER BY rowid {order}'):
                if row[0] not in seen:
                    seen.add(row[0])
                    yield row[1:]
        except (sqlite3.Error, ValueError):
            continue


def _readable_names(source: sqlite3.Connection) -> list[str]:
    try:
        return ["journal", *_mappings(source)]
    except sqlite3.Error:
        return []


def _mappings(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return sorted(name for (name,) in rows if name != "journal" and not name.startswith("sqlite_"))


def _record(number: Any, kind: Any, body: Any) -> Record:
    data = json.loads(body)
    if not isinstance(kind, str) or not isinstance(data, dict):
        raise ValueError(f"record {number} is no object with a kind")
    return Record(number, kind, data)


def _damaged_numbers(path: Path) -> Iterator[int]:
    for file in path.parent.glob(f"{path.name}.damaged-*"):
        text = file.name.rsplit("-", 1)[1]
        if text.isdigit():
            yield int(text)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
