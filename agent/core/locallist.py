"""The local authorization list: whole or differential updates, all or nothing (D01, D02)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from agent.core.context import Context
from agent.core.evse import Token
from agent.core.operators import Owned
from agent.core.pages import Pages, Row
from config_keys import local_list
from config_keys.values import Values

TABLE = "local_list"
HEAD = "head"
Info = dict[str, Any]


class Update(NamedTuple):
    """What the CSMS sends: an info of None removes the token (D01.FR.17)."""

    version: int
    full: bool
    entries: tuple[tuple[Token, Info | None], ...]


class Outcome(NamedTuple):
    """SendLocalListStatus, and OCPP's reasonCode with a plain sentence unless it was accepted."""

    status: str
    reason: str | None = None
    info: str = ""


class LocalList(Owned):
    """Tokens and what is known of them; survives restarts (D01.FR.10). Only the CSMS changes it (D01.FR.09)."""

    TABLES, BELONGINGS = (TABLE,), ("_pages", "_version", "_count")

    def __init__(self, stored: Mapping[str, Any], keys: Values) -> None:
        self.load(stored)
        self._describe(keys)

    def load(self, *tables: Mapping[str, Any]) -> None:
        """What was kept."""
        [stored] = tables
        self._pages = Pages(TABLE, stored)
        head = stored.get(HEAD, {})
        self._version = int(head.get("version", 0))
        self._count = int(head.get("entries", 0))

    def adopted(self, cx: Context) -> None:
        """The keys tell of the list in use."""
        self._describe(cx.keys)

    def version(self, cx: Context) -> int:
        """D02: 0 when there never was a list, or when it is not in use."""
        return self._version if cx.keys[local_list.ENABLED] else 0

    def info(self, cx: Context, token: Token) -> Info | None:
        """What the list says of a token, or None. An info that has expired is still there."""
        row = self._pages.get(token.name) if cx.keys[local_list.ENABLED] else None
        return None if row is None else dict(zip(("status", "group", "evses", "expires"), row, strict=True))

    def update(self, cx: Context, update: Update) -> Outcome:
        """Take an update; unless it is accepted nothing changes (D01.FR.02, FR.06, FR.18, FR.19)."""
        refusal = self._refuse(cx, update)
        if refusal is not None:
            return refusal
        draft = self._pages.draft({token.name: _row(info) for token, info in update.entries}, whole=update.full)
        count = draft.growth if update.full else self._count + draft.growth
        most = cx.keys.type_of(local_list.ENTRIES).max_limit
        if most is not None and count > most:
            return Outcome("Failed", "OutOfStorage", f"{count} entries; at most {most}")
        self._pages.write(cx, draft)
        self._version, self._count = update.version, count
        cx.put(TABLE, HEAD, {"version": update.version, "entries": count})
        self._describe(cx.keys)
        return Outcome("Accepted")

    def _refuse(self, cx: Context, update: Update) -> Outcome | None:
        names = {token.name for token, _ in update.entries}
        most = cx.keys[local_list.ITEMS_PER_MESSAGE]
        if not cx.keys[local_list.ENABLED]:
            return Outcome("Failed", "NotEnabled", "LocalAuthListCtrlr.Enabled is false")
        if update.version <= 0:
            return Outcome("Failed", "ValuePositiveOnly", f"versionNumber {update.version}")
        if not update.full and update.version <= self._version:
            return Outcome("VersionMismatch", "ValueTooLow", f"the list has version {self._version}")
        if len(update.entries) > most:
            return Outcome("Failed", "TooManyElements", f"{len(update.entries)} entries; at most {most}")
        if len(names) < len(update.entries):
            return Outcome("Failed", "InvalidValue", "a token is there twice")
        if update.full and any(info is None for _, info in update.entries):
            return Outcome("Failed", "MissingParam", "a full list needs idTokenInfo with every token")
        return None

    def _describe(self, keys: Values) -> None:
        keys.put(local_list.ENTRIES, self._count)
        keys.put(local_list.STORAGE, self._pages.size_bytes)


def _row(info: Info | None) -> Row | None:
    return None if info is None else [info["status"], info["group"], info["evses"], info["expires"]]
