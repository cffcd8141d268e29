"""The file of the journal: opening it, checking it and reading it. Nothing here is ever unpickled or executed."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from agent.core.effects import Record
from agent.io.values import Values, checksum

PAGE_BYTES = 512
"""Measured with four records of 740 B a commit: 3.2 KB to the device for each, against 4.3 KB at 1024."""
CHECKPOINT_PAGES = 512
WAL_KEPT_BYTES = 512 * 1024
FORMAT = 1
WITHOUT_CRC = 3
"""Columns of a journal made before there were checksums; its rows are taken as they are."""
UNTOLD = 0x52455041
"""The application_id of a repaired store until the station has put on record that it was damaged."""
_FULL = {"SQLITE_FULL", "SQLITE_IOERR_SHMSIZE"}
"""No room for a write, and none for the 32 KB of `-shm`, which a clean stop or a power cut takes away."""
_JOURNAL = "CREATE TABLE IF NOT EXISTS journal (id INTEGER PRIMARY KEY, kind TEXT, body TEXT, crc INTEGER)"
_INSERT = """INSERT INTO journal (id, kind, body, crc) SELECT ?1, ?2, ?3, ?4
    WHERE NOT EXISTS (SELECT 1 FROM journal WHERE id = ?1 AND kind = ?2 AND body = ?3)"""

Tables = dict[str, dict[str, Any]]


class Damaged(Exception):
    """The file is not, or not wholly, a store; the text says what was found."""


def connect(path: Path, journal_mode: str = "WAL", shared: bool = True) -> sqlite3.Connection:
    """Open or create the store. Raises sqlite3.Error; transactions are begun and ended explicitly.

    When it is not `shared` there is no `-shm`, and no other process can read the file (chargerctl doctor does).
    """
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=64)
    try:
        if not shared:
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        connection.execute(f"PRAGMA page_size={PAGE_BYTES}")
        connection.execute(f"PRAGMA journal_mode={journal_mode}")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
        connection.execute(f"PRAGMA journal_size_limit={WAL_KEPT_BYTES}")
        connection.execute(_JOURNAL)
        if len(connection.execute("PRAGMA table_info(journal)").fetchall()) == WITHOUT_CRC:
            connection.execute("ALTER TABLE journal ADD COLUMN crc INTEGER")
        if connection.execute("PRAGMA user_version").fetchone()[0] < FORMAT:
            connection.execute(f"PRAGMA user_version={FORMAT}")
    except BaseException:
        connection.close()
        raise
    return connection


def load(connection: sqlite3.Connection) -> tuple[list[Record], Tables]:
    """Check the whole file, then read all of it. Raises Damaged for anything that is not as we wrote it."""
    try:
        verdict = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if verdict != "ok":
            raise Damaged(str(verdict))
        rows = connection.execute("SELECT * FROM journal ORDER BY id").fetchall()
        records = [record(*row) for row in rows]
        return records, {name: dict(Values(connection, name).items()) for name in mapping_names(connection)}
    except (ValueError, TypeError, RecursionError) as error:
        raise Damaged(f"a row cannot be read: {error}") from error
    except sqlite3.DatabaseError as error:
        raise Damaged(str(error)) from error


def is_untold(connection: sqlite3.Connection) -> bool:
    """This store was repaired, and no start since then has put that on record. Raises sqlite3.Error."""
    return bool(connection.execute("PRAGMA application_id").fetchone()[0] == UNTOLD)


def is_full(error: sqlite3.Error) -> bool:
    """There is no room on the disk, or within the bound of the file."""
    return getattr(error, "sqlite_errorname", "") in _FULL


def mapping_names(connection: sqlite3.Connection) -> list[str]:
    """The tables that are mappings. Raises sqlite3.Error."""
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return sorted(name for (name,) in rows if name != "journal" and not name.startswith("sqlite_"))


def insert(connection: sqlite3.Connection, rows: Iterable[tuple[int, str, str]]) -> None:
    """Records (id, kind, JSON) into the journal, with their checksums. Raises sqlite3.Error.

    The very same record may be there: its commit was given up, came to its end, and the core hands it over again.
    """
    checked = ((*row, checksum(*row)) for row in rows)
    connection.executemany(_INSERT, checked)


def record(number: Any, kind: Any, body: Any, crc: Any = None) -> Record:
    """A row of the journal as a record. Raises ValueError, TypeError or RecursionError when it is none."""
    if crc is not None and crc != checksum(number, kind, body):
        raise ValueError(f"record {number} fails its checksum")
    data = json.loads(body)
    if not isinstance(kind, str) or not isinstance(data, dict):
        raise ValueError(f"record {number} is no object with a kind")
    return Record(number, kind, data)
