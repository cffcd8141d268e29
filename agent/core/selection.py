"""Which variables a report lists, and in which order (B07, B08)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from agent.core.context import Context
from agent.core.variables import Variables
from config_keys.key import Key
from config_keys.values import Slot, Values

TROUBLES = frozenset({"Problem", "Tripped", "Overload", "Fallback"})
"""Variables that are told in a summary while they are true (B07.FR.09)."""
ABSENT_MEANS_YES = frozenset({"Active", "Available", "Enabled"})
"""Criteria that a component without the variable meets (B08.FR.07-09)."""


class Filter(NamedTuple):
    """A componentVariable of GetReport; None means any."""

    component: str
    component_instance: str | None = None
    evse: int | None = None
    connector: int | None = None
    variable: str | None = None
    instance: str | None = None


class Selection:
    """Selects slots; what they hold is looked at when a page is made."""

    def __init__(self, keys: Values, variables: Variables) -> None:
        self._keys = keys
        self._variables = variables
        self._bases: dict[str, Callable[[Context], Iterator[Slot]]] = {
            "FullInventory": self._full,
            "ConfigurationInventory": self._configuration,
            "SummaryInventory": self._summary,
        }

    def base(self, cx: Context, report_base: str) -> list[Slot]:
        """B07: one of the three reports that are known by name."""
        return list(self._bases[report_base](cx))

    def custom(self, cx: Context, criteria: Sequence[str], filters: Sequence[Filter]) -> list[Slot]:
        """B08: what a filter lists (all of it without filters), of components that meet a criterion."""
        chosen = list(self.listed(filters)) if filters else list(self._full(cx))
        if not criteria:
            return chosen
        known: dict[tuple[str, str | None, int | None, int | None], bool] = {}
        for slot in chosen:
            if _owner(slot) not in known:
                known[_owner(slot)] = any(self._meets(cx, criterion, slot) for criterion in criteria)
        return [slot for slot in chosen if known[_owner(slot)]]

    def _full(self, cx: Context) -> Iterator[Slot]:
        for key in self._keys.declared():
            yield from ((key, evse, connector) for evse, connector in self._keys.places(key))

    def _configuration(self, cx: Context) -> Iterator[Slot]:
        """B07.FR.07: what the operator can set here."""
        return (slot for slot in self._full(cx) if self._keys.is_writable(slot[0]))

    def _summary(self, cx: Context) -> Iterator[Slot]:
        """B07.FR.09: whether one can charge, and what is wrong."""
        for slot in self._full(cx):
            told = slot[0].variable == "AvailabilityState"
            if told or (slot[0].variable in TROUBLES and self._is_true(cx, slot)):
                yield slot

    def listed(self, filters: Sequence[Filter]) -> Iterator[Slot]:
        """Every slot that a filter lists, each once, filter by filter."""
        seen: set[Slot] = set()
        for wanted in filters:
            for slot in self._of(wanted):
                if slot not in seen:
                    seen.add(slot)
                    yield slot

    def _of(self, wanted: Filter) -> Iterator[Slot]:
        """B08.FR.20-25: what is left out in a filter matches all."""
        for key in self._keys.declared():
            if _names(wanted, key):
                yield from ((key, *place) for place in self._keys.places(key) if _lies(wanted, *place))

    def _meets(self, cx: Context, criterion: str, slot: Slot) -> bool:
        """Whether the component of a variable meets a criterion."""
        of, evse, connector = slot
        key = self._keys.find(of.component, criterion, None, of.component_instance)
        if key is None or not self._keys.has(key, evse, connector):
            return criterion in ABSENT_MEANS_YES
        return self._is_true(cx, (key, evse, connector))

    def _is_true(self, cx: Context, slot: Slot) -> bool:
        return self._variables.text(cx, *slot) == "true"


def _owner(slot: Slot) -> tuple[str, str | None, int | None, int | None]:
    """The component of a variable: its name, instance and place."""
    return slot[0].component, slot[0].component_instance, slot[1], slot[2]


def _names(wanted: Filter, key: Key[Any]) -> bool:
    owner = _same(wanted.component, key.component) and _same(wanted.component_instance, key.component_instance)
    return owner and _same(wanted.variable, key.variable) and _same(wanted.instance, key.instance)


def _same(wanted: str | None, name: str | None) -> bool:
    return wanted is None or wanted.lower() == (name or "").lower()


def _lies(wanted: Filter, evse: int | None, connector: int | None) -> bool:
    return wanted.evse in (None, evse) and wanted.connector in (None, connector)
