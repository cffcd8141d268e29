"""A mapping of thousands of small rows that starts fast and costs little memory.

Rows are kept in a few hundred pages of JSON text, by a hash of their name: one entry of the store is a page, and a
page is read only when somebody asks for one of its rows. Loading 10,000 rows is loading 509 texts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from agent.core.context import Context

PAGES = 509
"""A prime, so that names that differ in their last characters spread over all pages."""
Row = list[Any]


class Draft(NamedTuple):
    """Pages as they are to be, and by how many rows that is more (of a whole one: how many it has)."""

    pages: Mapping[str, dict[str, Row]]
    growth: int


class Pages:
    """Rows by name, each a JSON list, in the small mapping `table` of the store."""

    def __init__(self, table: str, stored: Mapping[str, Any]) -> None:
        self._table = table
        self._texts: dict[str, str] = {k: v for k, v in stored.items() if k.isdigit() and isinstance(v, str)}

    @property
    def size_bytes(self) -> int:
        """What the rows take in the store, about."""
        return sum(map(len, self._texts.values()))

    def get(self, name: str) -> Row | None:
        """The row of a name, or None."""
        found: Row | None = self._page(_number(name)).get(name)
        return found

    def rows(self) -> Iterator[tuple[str, Row]]:
        """Every row with its name; reads all pages."""
        for number in self._texts:
            yield from self._page(number).items()

    def draft(self, changes: Mapping[str, Row | None], *, whole: bool = False) -> Draft:
        """Rows to set, or to remove where they are None; `whole`: nothing else remains. Nothing happens yet."""
        pages: dict[str, dict[str, Row]] = {number: {} for number in self._texts} if whole else {}
        growth = 0
        for name, row in changes.items():
            number = _number(name)
            page = pages.get(number)
            if page is None:
                page = pages[number] = {} if whole else self._page(number)
            growth += (row is not None) - (name in page)
            if row is None:
                page.pop(name, None)
            else:
                page[name] = row
        return Draft(pages, growth)

    def write(self, cx: Context, draft: Draft) -> None:
        """Let a draft be so; only its pages are written."""
        for number, page in draft.pages.items():
            text = json.dumps(page, separators=(",", ":"), ensure_ascii=False) if page else None
            if text is not None:
                self._texts[number] = text
            elif self._texts.pop(number, None) is None:
                continue
            cx.put(self._table, number, text)

    def _page(self, number: str) -> dict[str, Row]:
        return json.loads(self._texts[number]) if number in self._texts else {}


def _number(name: str) -> str:
    return str(int.from_bytes(name.encode()) % PAGES)
