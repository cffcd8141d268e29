"""Reading and writing variables from outside: OCPP, the command line (B05, B06)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

from agent.core.context import Context
from agent.core.settings import Settings, Wish
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
        settings: Settings,
        live: Callable[[Context, Key[Any], int | None], str | None],
    ) -> None:
        self._keys = keys
        self._settings = settings
        self._live = live

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
        """B05: one variable."""
        return self.write_all(cx, [(where, text)])[0]

    def write_all(self, cx: Context, wanted: Sequence[tuple[Where, str]]) -> list[Outcome]:
        """B05: check all of them together, then put those into force that are good. One outcome each, in order."""
        found = [self.find(where) for where, _ in wanted]
        wishes = {
            n: Wish((key, where.evse, where.connector), text)
            for n, ((where, text), (key, _)) in enumerate(zip(wanted, found, strict=True))
            if key is not None and where.attribute == "Actual"
        }
        made = dict(zip(wishes, self._make(cx, list(wishes.values())), strict=True))
        return [
            made[n] if n in made else Outcome("NotSupportedAttributeType" if key is not None else status)
            for n, (key, status) in enumerate(found)
        ]

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
        return self._make(cx, [Wish((key, evse, connector), text)])[0]

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

    def _make(self, cx: Context, wishes: Sequence[Wish]) -> list[Outcome]:
        refusals = self._settings.refusals(wishes)
        self._settings.apply(cx, [w for w, refusal in zip(wishes, refusals, strict=True) if refusal is None])
        return [
            Outcome("Rejected", refusal=refusal) if refusal is not None
            else Outcome("RebootRequired" if wish.slot[0].reboot else "Accepted")
            for wish, refusal in zip(wishes, refusals, strict=True)
        ]  # fmt: skip

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
