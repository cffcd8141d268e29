"""What belongs to an operator stays with it: nothing of one is sent to, or used for, another (bug 29).

The operator is known by the host of the CSMS that is connected (OperatorCtrlr.SeparateBy). Its local list, cache,
charging profiles, costs, display messages and reservations are small mappings of its own, and events of its
transactions wait for it. They are put aside when another operator's CSMS is connected and are back when it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from agent.core.context import Context
from agent.core.outbox import Outbox
from agent.core.partition import FIRST, OWNED, is_owned, place
from config_keys import site

TABLE = "operators"
HOST = re.compile(r"wss?://(\[[^]]*\]|[^:/?#]+)")
NOW = "now"
"""Entry: the number of the operator whose data are in use; the others are numbers and names."""


class Owned:
    """A part whose data are an operator's: `BELONGINGS` names its attributes that hold them."""

    TABLES: ClassVar[tuple[str, ...]]
    BELONGINGS: ClassVar[tuple[str, ...]]

    def load(self, *stored: Mapping[str, Any]) -> None:
        """Take what was kept of the operator, one mapping for each of TABLES."""
        raise NotImplementedError

    def parked(self, cx: Context) -> Mapping[str, Any]:
        """Everything that goes aside with the operator."""
        return {name: getattr(self, name) for name in self.BELONGINGS}

    def unpark(self, parked: Mapping[str, Any]) -> None:
        """It is back."""
        for name, value in parked.items():
            setattr(self, name, value)

    def adopted(self, cx: Context) -> None:
        """Another operator's data are in use since this step."""


class Operators:
    """Who there is, and whose data are in use."""

    def __init__(self, stored: Mapping[str, Mapping[str, Any]]) -> None:
        self._stored = stored
        known = stored.get(TABLE, {})
        self._names: dict[str, str] = {number: str(name) for number, name in known.items() if number != NOW}
        self.now = str(known.get(NOW, FIRST))
        self._parts: Sequence[Owned] = ()
        self._parked: dict[str, list[Mapping[str, Any]]] = {}
        self._outbox: Outbox | None = None

    @property
    def tables(self) -> Mapping[str, Mapping[str, Any]]:
        """The small mappings as the operator in use has them."""
        mine = {table: self._stored.get(place(table, self.now), {}) for table in OWNED}
        return {**self._stored, **mine}

    @property
    def name(self) -> str:
        """The operator in use; empty before the first CSMS was met."""
        return self._names.get(self.now or "0", "")

    def entries(self) -> dict[str, set[str]]:
        """What is in every operator's mappings, by their names in the store."""
        return {table: set(rows) for table, rows in self._stored.items() if is_owned(table)}

    def take_care_of(self, outbox: Outbox, *parts: Owned) -> None:
        """The parts that hold an operator's data."""
        self._outbox, self._parts = outbox, parts
        outbox.operator = self.now

    # ---------------------------------------------------------------------------------------- a change

    def connected(self, cx: Context, url: str) -> None:
        """A CSMS is connected: its operator's data are the ones in use from now on."""
        name = _operator(url, cx.keys[site.SEPARATE_BY])
        if not self._names:
            self._names["0"] = name
            cx.put(TABLE, "0", name)
        number = next((n for n, known in self._names.items() if known == name), None)
        if cx.keys[site.SEPARATE_BY] == "Nothing":
            number = self.now or "0"
        if number is None:
            number = str(max(map(int, self._names)) + 1)
            self._names[number] = name
            cx.put(TABLE, number, name)
        number = FIRST if number == "0" else number
        if number != self.now:
            self._change(cx, number)

    def accepted(self, cx: Context) -> None:
        """The CSMS has taken the station in: what others have left is dropped if the key says so."""
        if cx.keys[site.LEFT_DATA] == "Drop" and len(self._names) > 1 and self._outbox is not None:
            for number in [n for n in self._names if n != (self.now or "0")]:
                self._drop(cx, FIRST if number == "0" else number)

    def _change(self, cx: Context, number: str) -> None:
        assert self._outbox is not None
        cx.note("operator", f"{self._names[number or '0']} instead of {self.name}: each has its own data", "warning")
        self._parked[self.now] = [part.parked(cx) for part in self._parts]
        self.now = cx.operator = self._outbox.operator = number
        cx.put(TABLE, NOW, number)
        back = self._parked.pop(number, None)
        for at, part in enumerate(self._parts):
            if back is not None:
                part.unpark(back[at])
            else:
                part.load(*(self._stored.get(place(table, number), {}) for table in part.TABLES))
            part.adopted(cx)

    def _drop(self, cx: Context, number: str) -> None:
        """Nothing of an operator that has gone is kept; its transactions are not told any more."""
        assert self._outbox is not None
        for table in sorted(OWNED):
            for key in sorted(cx.entries(place(table, number))):
                cx.drop_entry(place(table, number), key)
        self._parked.pop(number, None)
        self._stored = {name: rows for name, rows in self._stored.items() if name not in _all_of(number)}
        dropped = self._outbox.forget(cx, number)
        del self._names[number or "0"]
        cx.put(TABLE, number or "0", None)
        if dropped:
            cx.note("operator", f"{dropped} events for the operator before were dropped", "error")


def _all_of(number: str) -> set[str]:
    return {place(table, number) for table in OWNED}


def _operator(url: str, by: str) -> str:
    """What an operator is known by."""
    found = HOST.match(url.lower())
    host = found[1] if found else url
    labels = host.split(".")
    return ".".join(labels[-2:]) if by == "Domain" and not labels[-1].isdigit() else host
