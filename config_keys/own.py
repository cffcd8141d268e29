"""Variables of one station that are not ours: what its maker has built in and tells in board.toml."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from config_keys.key import Access, Scope, key
from config_keys.registry import REGISTRY, Registry
from config_keys.types import (
    Boolean,
    DateTime,
    Decimal,
    Integer,
    MemberList,
    OptionList,
    SequenceList,
    String,
    ValueType,
)

PLAIN: Mapping[str, Callable[[], ValueType[Any]]] = {
    "boolean": Boolean, "integer": Integer, "decimal": Decimal, "string": String, "dateTime": DateTime,
}  # fmt: skip
LISTED: Mapping[str, Callable[[tuple[str, ...]], ValueType[Any]]] = {
    "OptionList": OptionList, "MemberList": MemberList, "SequenceList": SequenceList,
}  # fmt: skip
TYPES = (*PLAIN, *LISTED)
ACCESSES = tuple(access.value for access in Access)


class OwnVariable(NamedTuple):
    """A variable at one place; `name` is scoped (`Acme[1].FanSpeed@1`), `values` are those of a list type."""

    name: str
    type: str
    value: str = ""
    access: str = "ReadOnly"
    unit: str = ""
    values: tuple[str, ...] = ()
    doc: str = "Told by board.toml."


def registry_of(variables: Iterable[OwnVariable]) -> Registry:
    """Their declarations. ValueError when one is no good or has a name of ours."""
    own = Registry()
    for variable in variables:
        name, _, place = variable.name.partition("@")
        if REGISTRY.by_name(name) is not None:
            raise ValueError(f"{name}: is one of ours; preset it in [keys]")
        if own.by_name(name) is None:
            _declare(variable, name, place, own)
    return own


def _declare(variable: OwnVariable, name: str, place: str, into: Registry) -> None:
    scope: Scope = "connector" if "." in place else "evse" if place else "station"
    access = Access(variable.access)
    key(
        name, _type(variable), access=access, unit=variable.unit, scope=scope, doc=variable.doc, monitored=True,
        secret=access is Access.WO, standard=False, into=into,
    )  # fmt: skip


def _type(variable: OwnVariable) -> ValueType[Any]:
    if variable.type in LISTED:
        if not variable.values:
            raise ValueError(f"{variable.name}: {variable.type} needs values")
        return LISTED[variable.type](variable.values)
    return PLAIN[variable.type]()
