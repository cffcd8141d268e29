"""Ended transactions that are kept, for people and for customers who ask; how long is for the keys to say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from agent.core.context import Context
from config_keys import site
from config_keys.key import Key

KEYS: tuple[Key[int], ...] = (site.KEPT_TRANSACTIONS, site.KEPT_DAYS)
DAY_MS = 86_400_000
Entry = tuple[int, dict[str, Any]]
"""Its record, and what is known of it."""


class Ledger:
    """The oldest go first, and none of which an event still waits for the CSMS."""

    def __init__(self, waits: Callable[[str], int]) -> None:
        self._waits = waits
        self._entries: list[Entry] = []

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    def restore(self, entries: list[Entry]) -> None:
        """What the journal held."""
        self._entries = entries

    def add(self, cx: Context, row: int, data: dict[str, Any]) -> None:
        """A transaction has ended."""
        self._entries.append((row, data))
        self.tidy(cx)

    def replace(self, index: int, entry: Entry) -> None:
        """Something of an entry is no longer to be known."""
        self._entries[index] = entry

    def tidy(self, cx: Context) -> None:
        """Drop what is more, or older, than the keys say."""
        while self._entries and self._is_over(cx) and not self._waits(self._entries[0][1]["tx"]):
            cx.drop(self._entries.pop(0)[0])

    def _is_over(self, cx: Context) -> bool:
        if len(self._entries) > cx.keys[site.KEPT_TRANSACTIONS]:
            return True
        days, utc, ended = cx.keys[site.KEPT_DAYS], cx.utc(), self._entries[0][1].get("at", {}).get("utc")
        return bool(days) and utc is not None and ended is not None and utc - ended > days * DAY_MS
