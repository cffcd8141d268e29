"""Reading and writing variables from outside: OCPP, the command line (B05, B06)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from agent.core.context import Context
from config_keys.key import WO, Key
from config_keys.registry import matches
from config_keys.values import Refusal, Slot, Values, format_name

Status = str
"""Accepted, Rejected, RebootRequired, UnknownComponent, UnknownVariable or NotSupportedAttributeType."""


class Where(NamedTuple):
    """What a CSMS asks about: names as it wrote them."""

    component: str
    variable: str
    instance: str | None = None
    component_instance: str | None = None
    evse: int | None = None
    connector: int | None = None
    attribute: str = "Actual"


class Outcome(NamedTuple):
    """Status, value if one was read, and the reason of a refusal."""

    status: Status
    value: str | None = None
    refusal: Refusal | None = None


class Variables:
    """Every variable of the station, by name."""

    def __init__(
        self,
        keys: Values,
        changed: Callable[[Context, Key[Any]], None],
        live: Callable[[Context, Key[Any], int | None], str | None],
        checks: Mapping[Key[Any], Callable[[str], Refusal | None]],
    ) -> None:
        self._keys = keys
        self._changed = changed
        self._live = live
        self._checks = checks

    def read(self, cx: Context, where: Where) -> Outcome:
        """B06: one variable's value; write-only ones are Rejected (B06.FR.09)."""
        key, status = self.find(where)
        if key is None:
            return Outcome(status)
        if where.attribute != "Actual":
            return Outcome("NotSupportedAttributeType")
        if key.access is WO:
            return Outcome("Rejected", refusal=Refusal("WriteOnly", f"{key.name} is write-only"))
        return Outcome("Accepted", self.text(cx, key, where.evse, where.connector))

    def write(self, cx: Context, where: Where, text: str) -> Outcome:
        """B05: check, then set, keep and put into force one variable."""
        key, status = self.find(where)
        if key is None:
            return Outcome(status)
        if where.attribute != "Actual":
            return Outcome("NotSupportedAttributeType")
        return self._set(cx, key, text, where.evse, where.connector)

    def text(self, cx: Context, key: Key[Any], evse: int | None = None, connector: int | None = None) -> str:
        """The value as text; some are computed when they are asked for."""
        live = self._live(cx, key, evse)
        return self._keys.text(key, evse, connector) if live is None else live

    def by_name(self, cx: Context, name: str) -> Outcome:
        """The same for a scoped name such as `EVSE.Power@1` or a 1.6 name; ValueError names near misses."""
        key, evse, connector = self._keys.parse_name(name)
        if key.access is WO:
            return Outcome("Rejected", refusal=Refusal("WriteOnly", f"{key.name} is write-only"))
        return Outcome("Accepted", self.text(cx, key, evse, connector))

    def set_by_name(self, cx: Context, name: str, text: str) -> Outcome:
        """Write by scoped name; ValueError names near misses."""
        key, evse, connector = self._keys.parse_name(name)
        return self._set(cx, key, text, evse, connector)

    def rows(self, cx: Context, search: str) -> Iterator[dict[str, Any]]:
        """Every key at every place, for the command line."""
        for key in filter(partial(matches, search), self._keys.declared()):
            for evse, connector in self._keys.places(key):
                value = "" if key.access is WO or key.secret else self.text(cx, key, evse, connector)
                yield {
                    "name": format_name(key, evse, connector), "value": value, "unit": key.unit,
                    "type": key.type.name, "access": self._keys.access(key).value, "reboot": key.reboot,
                    "alias16": key.alias16, "doc": key.doc,
                }  # fmt: skip

    def _set(self, cx: Context, key: Key[Any], text: str, evse: int | None, connector: int | None) -> Outcome:
        refusal = self._keys.check(key, text, evse, connector)
        if refusal is None and key in self._checks:
            refusal = self._checks[key](text)
        if refusal is not None:
            return Outcome("Rejected", refusal=refusal)
        self._keys.set(key, text, evse, connector)
        if key.persistent:
            cx.put("keys", format_name(key, evse, connector), key.type.format(key.type.parse(text)))
        cx.note("config", f"{format_name(key, evse, connector)} = {'***' if key.secret else text}")
        self._changed(cx, key)
        return Outcome("RebootRequired" if key.reboot else "Accepted")

    def find(self, where: Where) -> tuple[Key[Any] | None, Status]:
        """The variable of these names when it exists at that place, else why it does not."""
        if not self._keys.has_component(where.component, where.component_instance, where.evse, where.connector):
            return None, "UnknownComponent"
        key = self._keys.find(where.component, where.variable, where.instance, where.component_instance)
        if key is None or not self._keys.has(key, where.evse, where.connector):
            return None, "UnknownVariable"
        return key, "Accepted"


def parts(slot: Slot) -> list[Any]:
    """A variable for records and messages: component, its instance, EVSE, connector, variable, its instance."""
    key, evse, connector = slot
    return [key.component, key.component_instance, evse, connector, key.variable, key.instance]
