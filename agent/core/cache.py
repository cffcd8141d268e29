"""The authorization cache: what the CSMS last said of each token, by salted hash (C10, C11, C12).

Nothing of it says whose token it was: names are hashes with a salt that this station drew for itself (C10.FR.12).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from agent.core.context import Context
from agent.core.evse import Token
from agent.core.operators import Owned
from agent.core.pages import Pages, Row
from config_keys import auth_cache
from config_keys.values import Values

TABLE = "cache"
SALT = "salt"
NEVER_CACHED = ("NoAuthorization", "Central")
"""Types of token that are not kept (C02.FR.03, C03.FR.02, C05.FR.02)."""
Info = Mapping[str, Any]


class Entry(NamedTuple):
    """idTokenInfo without anything that is not needed to decide (no tariff text: C10.FR.09). Times are UTC ms."""

    status: str
    group: str | None
    evses: list[int] | None
    expires: int | None
    """cacheExpiryDateTime."""
    updated: int
    since: int
    used: int
    uses: int

    @property
    def info(self) -> dict[str, Any]:
        """As the CSMS said it."""
        return {"status": self.status, "group": self.group, "evses": self.evses, "expires": self.expires}


class Cache(Owned):
    """Survives restarts (C10.FR.02). Without a clock nothing is known to be valid, and nothing is taken in."""

    TABLES, BELONGINGS = (TABLE,), ("_pages", "_salt")

    def __init__(self, stored: Mapping[str, Any], keys: Values) -> None:
        self.load(stored)
        keys.put(auth_cache.STORAGE, self._pages.size_bytes)

    def load(self, *tables: Mapping[str, Any]) -> None:
        """What was kept."""
        [stored] = tables
        self._pages = Pages(TABLE, stored)
        salt = stored.get(SALT)
        self._salt = salt if isinstance(salt, str) else ""

    def adopted(self, cx: Context) -> None:
        """The keys tell of the cache in use."""
        cx.keys.put(auth_cache.STORAGE, self._pages.size_bytes)

    def info(self, cx: Context, token: Token) -> Info | None:
        """What the CSMS last said, while that is valid and the cache is in use."""
        row = self._pages.get(self._name(token)) if self._salt and cx.keys[auth_cache.ENABLED] else None
        entry = Entry(*row) if row is not None else None
        return entry.info if entry is not None and self._is_valid(cx, entry) else None

    def entry(self, token: Token) -> dict[str, Any] | None:
        """Everything that is kept of a token, valid or not."""
        row = self._pages.get(self._name(token)) if self._salt else None
        return Entry(*row)._asdict() if row is not None else None

    def forget(self, cx: Context, token: Token) -> None:
        """N10: nothing of a token is kept any more."""
        if self.entry(token) is not None:
            self._change(cx, {self._name(token): None})

    def learn(self, cx: Context, token: Token, info: Info) -> None:
        """The CSMS said this of a token, whatever it is (C10.FR.01, FR.04, FR.05, C12.FR.06)."""
        utc = cx.utc()
        if token.kind in NEVER_CACHED or utc is None or not cx.keys[auth_cache.ENABLED]:
            return
        self._draw_salt(cx)
        name, expires = self._name(token), info.get("expires")
        if expires is not None and expires <= utc:
            self._change(cx, {name: None})
            return
        old = self._pages.get(name)
        since, used, uses = Entry(*old)[-3:] if old is not None else (utc, utc, 0)
        entry = Entry(info["status"], info.get("group"), info.get("evses"), expires, utc, since, used, uses)
        self._change(cx, {name: list(entry)})
        self._make_room(cx, name)

    def used(self, cx: Context, token: Token) -> None:
        """A token was let in on what is cached of it: it is not the next to make room."""
        name, utc = self._name(token), cx.utc()
        row = self._pages.get(name)
        if row is not None and utc is not None:
            entry = Entry(*row)
            self._change(cx, {name: list(entry._replace(used=utc, uses=entry.uses + 1))})

    def clear(self, cx: Context) -> None:
        """C11.FR.01: forget everybody."""
        self._salt = ""
        cx.put(TABLE, SALT, None)
        self._change(cx, {}, whole=True)

    # ---------------------------------------------------------------------------------------- inside

    def _is_valid(self, cx: Context, entry: Entry) -> bool:
        """C10.FR.08, C10.FR.10, C10.FR.13: cacheExpiryDateTime, else the lifetime since the last answer (0: none)."""
        utc, life_ms = cx.utc(), cx.keys[auth_cache.LIFE_TIME] * 1000
        if entry.expires is None and not life_ms:
            return True
        until = entry.expires if entry.expires is not None else entry.updated + life_ms
        return utc is not None and utc < until

    def _make_room(self, cx: Context, newest: str) -> None:
        """C10.FR.07: first what is not valid or not accepted goes, then by AuthCacheCtrlr.Policy."""
        most = int(cx.keys.type_of(auth_cache.STORAGE).max_limit or 0)
        while self._pages.size_bytes > most:
            others = [(self._worth(cx, Entry(*row)), name) for name, row in self._pages.rows() if name != newest]
            if not others:
                return
            self._change(cx, {min(others)[1]: None})

    def _worth(self, cx: Context, entry: Entry) -> tuple[bool, int, int]:
        """The lowest goes first."""
        good = entry.status == "Accepted" and self._is_valid(cx, entry)
        match cx.keys[auth_cache.POLICY]:
            case "LFU":
                return good, entry.uses, entry.used
            case "FIFO":
                return good, entry.since, 0
            case _:
                return good, entry.used, 0

    def _change(self, cx: Context, changes: Mapping[str, Row | None], *, whole: bool = False) -> None:
        self._pages.write(cx, self._pages.draft(changes, whole=whole))
        cx.keys.put(auth_cache.STORAGE, self._pages.size_bytes)

    def _draw_salt(self, cx: Context) -> None:
        if not self._salt:
            self._salt = f"{cx.rng.getrandbits(128):032x}"
            cx.put(TABLE, SALT, self._salt)

    def _name(self, token: Token) -> str:
        named = f"{self._salt}:{token.name}"
        return hashlib.sha256(named.encode()).hexdigest()[:32]
