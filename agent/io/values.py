"""The small mappings (key values, authorisation cache, local list ...): one table each, JSON values.

`SqliteDict` gives the mapping API; everything else of it is replaced. The stock class keeps a thread and a
connection per table, hard-wires synchronous=OFF, unpickles what it reads and hangs for ever when a commit
fails. Here all tables share the journal's connection, so that one commit spans records and mappings, errors
are raised where they happen, and nothing is ever unpickled.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, MutableMapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # sqlitedict ships no types; this is the part of its interface that is used here.
    class SqliteDict(MutableMapping[str, Any]):
        def __init__(self, filename: str, tablename: str, **options: Any) -> None: ...
        def __getitem__(self, key: str) -> Any: ...
        def __setitem__(self, key: str, value: Any) -> None: ...
        def __delitem__(self, key: str) -> None: ...
        def __iter__(self) -> Iterator[str]: ...
        def __len__(self) -> int: ...
        def iteritems(self) -> Iterator[tuple[str, Any]]: ...
else:
    from sqlitedict import SqliteDict


CRC_BYTES = 4


def to_json(value: Any) -> str:
    """Compact JSON text; raises TypeError or ValueError for what JSON cannot say (NaN included)."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def checksum(*parts: str | int) -> int:
    """CRC-32 of the parts of a row, as a signed number: SQLite keeps it in 4 bytes."""
    return zlib.crc32("\0".join(map(str, parts)).encode()) - 2**31


def opened(table: str, key: str, stored: str | bytes) -> Any:
    """The value in a stored entry. Raises ValueError when it is not what was written for this key.

    Text is what was written before there were checksums: JSON, taken as it is.
    """
    if isinstance(stored, str):
        return json.loads(stored)
    text = stored[CRC_BYTES:].decode()
    if int.from_bytes(stored[:CRC_BYTES], signed=True) != checksum(table, key, text):
        raise ValueError(f"the entry {key} of {table} fails its checksum")
    return json.loads(text)


class SharedConnection:
    """What SqliteDict expects of its connection, done at once on the connection given.

    Commit and close do nothing: only the journal decides when a batch is complete.
    """

    autocommit = False

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, statement: str, values: tuple[Any, ...] = ()) -> None:
        self._connection.execute(statement, values)

    def executemany(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
        self._connection.executemany(statement, rows)

    def select(self, statement: str, values: tuple[Any, ...] = ()) -> Iterator[Any]:
        return iter(self._connection.execute(statement, values))

    def select_one(self, statement: str, values: tuple[Any, ...] = ()) -> Any:
        return self._connection.execute(statement, values).fetchone()

    def commit(self, blocking: bool = True) -> None:
        """Nothing: see the class."""

    def close(self, force: bool = False) -> None:
        """Nothing: see the class."""


class Values(SqliteDict):
    """One small mapping on a shared connection. Keys are text, values are whatever JSON can hold.

    An entry is stored as the checksum of table, key and JSON, followed by the JSON.
    Raises sqlite3.Error from every operation, and ValueError when an entry is not what was written.
    """

    def __init__(self, connection: sqlite3.Connection, table: str) -> None:
        self._shared = SharedConnection(connection)
        self._table = table
        super().__init__("", table, encode=bytes, decode=_as_stored, outer_stack=False)

    def _new_conn(self) -> SharedConnection:
        return self._shared

    def __getitem__(self, key: str) -> Any:
        return opened(self._table, key, super().__getitem__(key))

    def __setitem__(self, key: str, value: Any) -> None:
        text = to_json(value)
        crc = checksum(self._table, key, text).to_bytes(CRC_BYTES, signed=True)
        super().__setitem__(key, crc + text.encode())

    def iteritems(self) -> Iterator[tuple[str, Any]]:
        """Key and value of each entry, in the order of their making."""
        for key, stored in super().iteritems():
            yield key, opened(self._table, key, stored)

    def itervalues(self) -> Iterator[Any]:
        """The value of each entry."""
        return (value for _, value in self.iteritems())

    def update(self, *others: Any, **entries: Any) -> None:
        """As a mapping does: entry by entry."""
        MutableMapping.update(self, *others, **entries)

    def put(self, key: str, value: Any) -> None:
        """Set one entry, or remove it when `value` is None."""
        if value is not None:
            self[key] = value
        elif key in self:
            del self[key]


def _as_stored(entry: str | bytes) -> str | bytes:
    return entry
