"""The repair of a damaged store, which a power cut may interrupt anywhere and the next start takes up again.

1. Every row that can still be read goes into `name.new`, in one transaction. A leftover of it is thrown away.
2. `name.new`, complete and on flash, becomes `name.repaired`. From here on the repair only goes forward:
3. the damaged file moves to `name.damaged-N` (its WAL first), read only as a sign that its rows were taken over,
4. and `name.repaired` becomes the store. It is marked as untold until the station has put the damage on record.

Until step 3 the damaged file stays where it is and is only read, so the next start finds it damaged again.
"""

from __future__ import annotations

import contextlib
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agent.io import store_file
from agent.io.durable import sync_directory
from agent.io.store_file import mapping_names, record
from agent.io.values import Values, opened

DAMAGED_KEPT = 3


def repair(path: Path, reserve: Path) -> None:
    """Put a store with all that can still be read in place of the damaged, empty or missing one at `path`.

    Raises OSError or sqlite3.Error, for instance on a full disk; the damaged file is then still there.
    """
    path.touch()
    try:
        _rebuild(path)
    except sqlite3.Error as error:
        if not store_file.is_full(error):
            raise
        reserve.unlink(missing_ok=True)
        _forget(path, keep=0)
        _rebuild(path)
    _beside(path, ".new").rename(_beside(path, ".repaired"))
    sync_directory(path.parent)
    _replace(path)


def resume(path: Path) -> bool:
    """Take up a repair that was cut off: finish it, or return True when it must be made from its beginning."""
    if _beside(path, ".repaired").exists():
        _replace(path)
        return False
    return _beside(path, ".new").exists() or _brought_back(path)


def newest_aside(path: Path) -> str:
    """The name of the file that was set aside last."""
    return _aside(path, max(_numbers(path), default=0)).name


def _rebuild(path: Path) -> None:
    new = _beside(path, ".new")
    new.unlink(missing_ok=True)
    with contextlib.closing(store_file.connect(new, "MEMORY")) as fresh:  # one file, synced by its COMMIT
        fresh.execute("BEGIN")
        _salvage(path, fresh)
        fresh.execute(f"PRAGMA application_id={store_file.UNTOLD}")
        fresh.execute("COMMIT")


def _replace(path: Path) -> None:
    """Steps 3 and 4, from wherever they were left."""
    _set_aside(path)
    _forget(path, keep=DAMAGED_KEPT)
    sync_directory(path.parent)
    _beside(path, ".repaired").rename(path)
    sync_directory(path.parent)


def _set_aside(path: Path) -> None:
    """To the next free number; the WAL of a file that has moved already follows it."""
    target = _aside(path, max(_numbers(path), default=0) + path.exists())
    with contextlib.suppress(FileNotFoundError):
        path.chmod(stat.S_IRUSR)
    _beside(path, "-shm").unlink(missing_ok=True)
    for suffix in ("-wal", ""):
        with contextlib.suppress(FileNotFoundError):
            _beside(path, suffix).rename(_beside(target, suffix))


def _brought_back(path: Path) -> bool:
    """There is no store, but one was set aside and its rows were not taken over: it comes back."""
    newest = _aside(path, max(_numbers(path), default=0))
    if path.exists() or not newest.exists() or not newest.stat().st_mode & stat.S_IWUSR:
        return False
    for suffix in ("-wal", ""):
        with contextlib.suppress(FileNotFoundError):
            _beside(newest, suffix).rename(_beside(path, suffix))
    sync_directory(path.parent)
    return True


def _forget(path: Path, keep: int) -> None:
    """Only the newest few of the files that were set aside are kept."""
    numbers = sorted(_numbers(path))
    for old in numbers[: max(0, len(numbers) - keep)]:
        for suffix in ("-wal", "-shm", ""):
            _beside(_aside(path, old), suffix).unlink(missing_ok=True)


def _salvage(damaged: Path, fresh: sqlite3.Connection) -> None:
    """Copy every readable row of the damaged file into the fresh one."""
    try:
        source = sqlite3.connect(f"file:{damaged}?mode=ro", uri=True, isolation_level=None)
    except sqlite3.Error:
        return
    with contextlib.closing(source):
        source.execute("PRAGMA writable_schema=ON")  # read even a file shorter than its header says
        for name in _readable_names(source):
            try:
                _salvage_table(source, name, fresh)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorname != "SQLITE_ERROR":  # that is: the table's name itself is damaged
                    raise


def _salvage_table(source: sqlite3.Connection, name: str, fresh: sqlite3.Connection) -> None:
    mapping = None if name == "journal" else Values(fresh, name)
    for row in _readable_rows(source, name, "*" if mapping is None else "key, value"):
        with contextlib.suppress(ValueError, TypeError, RecursionError, sqlite3.IntegrityError):
            if mapping is None:
                record(*row)
                store_file.insert(fresh, [row[:3]])
            else:
                mapping[row[0]] = opened(name, *row)


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
        return ["journal", *mapping_names(source)]
    except sqlite3.Error as error:
        if store_file.is_full(error):  # no room for its -shm: its rows are there all the same
            raise
        return []


def _numbers(path: Path) -> Iterator[int]:
    for file in path.parent.glob(f"{path.name}.damaged-*"):
        text = file.name.rsplit("-", 1)[1]
        if text.isdigit():
            yield int(text)


def _aside(path: Path, number: int) -> Path:
    return _beside(path, f".damaged-{number}")


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
