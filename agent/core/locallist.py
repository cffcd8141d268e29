"""The local authorization list: whole or differential updates, all or nothing (D01, D02)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from agent.core.context import Context
from agent.core.evse import Token
from config_keys import local_list

TABLE = "local_list"
VERSION = "version"
Entry = dict[str, Any]


class Update(NamedTuple):
    """What the CSMS sends: an entry of None removes the token (D01.FR.17)."""

    version: int
    full: bool
    entries: tuple[tuple[Token, Entry | None], ...]


class LocalList:
    """Tokens and what is known of them; survives restarts (D01.FR.10)."""

    def __init__(self, stored: Mapping[str, Any]) -> None:
        self._entries: dict[str, Entry] = {k: v for k, v in stored.items() if k != VERSION and isinstance(v, dict)}
        self.version = int(stored.get(VERSION, 0))

    def entry(self, token: Token) -> Entry | None:
        """What the list says of a token, or None."""
        return self._entries.get(_name(token))

    def __len__(self) -> int:
        return len(self._entries)

    def update(self, cx: Context, update: Update) -> str:
        """Accepted, Failed or VersionMismatch; unless Accepted nothing changes (D01.FR.02, FR.19)."""
        names = [_name(token) for token, _ in update.entries]
        if update.version <= 0 or len(set(names)) != len(names):
            return "Failed"
        if not update.full and update.version <= self.version:
            return "VersionMismatch"
        after = {} if update.full else dict(self._entries)
        for name, (_, entry) in zip(names, update.entries, strict=True):
            if entry is None:
                after.pop(name, None)
            else:
                after[name] = entry
        capacity = cx.keys.type_of(local_list.ENTRIES).max_limit
        if capacity is not None and len(after) > capacity:
            return "Failed"
        self._become(cx, after, update.version)
        return "Accepted"

    def put(self, cx: Context, token: Token, entry: Entry | None) -> None:
        """One entry set or removed by a person at the charger; the version stays the CSMS's."""
        after = {**self._entries, _name(token): entry} if entry is not None else dict(self._entries)
        if entry is None:
            after.pop(_name(token), None)
        self._become(cx, {k: v for k, v in after.items() if v is not None}, self.version)

    def _become(self, cx: Context, after: dict[str, Entry], version: int) -> None:
        for name in self._entries.keys() - after.keys():
            cx.put(TABLE, name, None)
        for name, entry in after.items():
            if self._entries.get(name) != entry:
                cx.put(TABLE, name, entry)
        cx.put(TABLE, VERSION, version)
        self._entries, self.version = after, version
        cx.keys.put(local_list.ENTRIES, len(after))


def _name(token: Token) -> str:
    return f"{token.kind}:{token.value.lower()}"
