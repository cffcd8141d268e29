"""Between the `ocpp` types and the JSON on the wire, and the check of payloads against the official schemas.

Works for any dataclass whose field names are the snake case of the wire names: there is no table of messages,
and `ocpp` is not imported. The validator of a message is loaded when the message is first seen.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from decimal import Decimal
from enum import Enum
from functools import cache, partial
from importlib import import_module
from types import NoneType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from agent.protocol.actions import known, refusal
from agent.protocol.errors import (
    CODE_OF_RULE,
    MAX_DESCRIPTION,
    ErrorCode,
    JsonSchemaValueException,
    Violation,
)

__all__ = ["check_request", "check_response", "from_wire", "known", "refusal", "to_wire"]

T = TypeVar("T")
Convert = Callable[[Any], Any]
Members = dict[str, tuple[str, Convert | None]]
"""Wire name -> field name and what turns its JSON value into the field's (None: nothing to do)."""
Validate = Callable[[Any], Any]

MAX_DROPS = 32
"""Objects of one answer that may hold unknown properties; an answer with more is refused."""

_ATOMS = frozenset((NoneType, str, int, float, bool, Decimal))
_OPAQUE = ("custom_data", "data")
_OPTIONAL: dict[type[Any], frozenset[str]] = {}
_MEMBERS: dict[type[Any], Members] = {}
_IRREGULAR = {"bulk_soc": "bulkSoC", "full_soc": "fullSoC", "responder_url": "responderURL"}


@cache
def wire_name(field_name: str) -> str:
    """The name on the wire of a dataclass field: camel case, but for three names of the schemas."""
    head, *rest = field_name.split("_")
    return _IRREGULAR.get(field_name) or head + "".join(word.capitalize() for word in rest)


def to_wire(message: Any) -> dict[str, Any]:
    """The payload of a message: wire names, None and empty optional parts left out, enumerations as text.

    customData and DataTransfer.data go out as they are. Numbers are not touched.
    """
    kind = type(message)
    optional = _OPTIONAL.get(kind)
    if optional is None:
        optional = _OPTIONAL[kind] = _optional_fields(kind)
    payload = {}
    for name, value in vars(message).items():
        if value is None:
            continue
        plain = value if type(value) in _ATOMS or name in _OPAQUE else _plain(value)
        if plain or name not in optional or plain not in ([], {}):
            payload[wire_name(name)] = plain
    return payload


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    return value if isinstance(value, dict) or not is_dataclass(value) else to_wire(value)


def _optional_fields(kind: type[Any]) -> frozenset[str]:
    """The fields whose empty list or object means no more than leaving it out."""
    return frozenset(f.name for f in fields(kind) if f.default is not MISSING and f.name not in _OPAQUE)


def from_wire(kind: type[T], payload: Mapping[str, Any]) -> T:
    """A message or data type from a payload that its check has passed, nested types included.

    Enumerations stay texts (the `ocpp` enumerations compare equal to them) and 1.0 for an integer becomes 1.
    customData of a nested type, which `ocpp` has no field for, becomes its attribute `custom_data`.
    """
    members = _MEMBERS.get(kind) or _MEMBERS.setdefault(kind, _members_of(kind))
    values = {}
    for wire, value in payload.items():
        if wire in members:
            name, convert = members[wire]
            values[name] = convert(value) if convert else value
    message = kind(**values)
    if "customData" in payload and "customData" not in members:
        message.__dict__["custom_data"] = payload["customData"]
    return message


def _members_of(kind: type[Any]) -> Members:
    hints = get_type_hints(kind)
    return {wire_name(f.name): (f.name, _converter(hints[f.name])) for f in fields(kind)}


def _converter(hint: Any) -> Convert | None:
    chosen = [part for part in get_args(hint) if part is not NoneType]
    if get_origin(hint) is list:
        convert = _converter(chosen[0])
        return None if convert is None else lambda items: [convert(item) for item in items]
    if len(chosen) == 1:
        return _converter(chosen[0])
    if hint is int:
        return int
    return partial(from_wire, hint) if isinstance(hint, type) and is_dataclass(hint) else None


def check_request(action: str, payload: Any) -> Violation | None:
    """The first thing wrong with the request payload of a known action, or None."""
    try:
        _validator(f"{action}Request")(payload)
    except JsonSchemaValueException as wrong:
        return _violation(payload, wrong)
    return None


def check_response(action: str, payload: Any) -> tuple[Any, Violation | None, list[str]]:
    """The response payload without unknown properties, the first thing wrong with it, and the names dropped.

    The payload given is left as it is. The names are for the log: cut, and no more than MAX_DROPS of them.
    """
    validate = _validator(f"{action}Response")
    try:
        validate(payload)
    except JsonSchemaValueException as wrong:
        if wrong.unknown:
            return _without_unknown(validate, copy.deepcopy(payload))
        return payload, _violation(payload, wrong), []
    return payload, None, []


def _without_unknown(validate: Validate, payload: Any) -> tuple[Any, Violation | None, list[str]]:
    dropped: list[str] = []
    for _ in range(MAX_DROPS):
        try:
            validate(payload)
        except JsonSchemaValueException as wrong:
            if not wrong.unknown:
                return payload, _violation(payload, wrong), dropped
            dropped += sorted(name[:50] for name in wrong.unknown)[: MAX_DROPS - len(dropped)]
            for name in wrong.unknown:
                del wrong.where[name]
        else:
            return payload, None, dropped
    return payload, Violation(ErrorCode.FORMAT, "payload has too many unknown properties"), dropped


def _violation(payload: Any, wrong: JsonSchemaValueException) -> Violation:
    if not isinstance(payload, dict):
        return Violation(ErrorCode.FORMAT, "payload must be an object")
    description = str(wrong).replace("data", "payload", 1)
    return Violation(CODE_OF_RULE[wrong.rule], description[:MAX_DESCRIPTION])


@cache
def _validator(message: str) -> Validate:
    """The generated validator of a message such as `ResetRequest`, loaded when first needed."""
    assert known(message.removesuffix("Request").removesuffix("Response")), f"no action {message}"
    validate: Validate = import_module(f"agent.protocol.validators.{message}").validate
    return validate
