"""JSON as OCPP-J needs it: bounded and strict when read, and numbers written plainly.

The standard library alone would recurse into deep nesting, take NaN and repeated names, and write 1e-07.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from json.encoder import encode_basestring_ascii as _quote
from math import isfinite
from typing import Any

MAX_CHARS = 256 * 1024
"""Longest text that is read."""
MAX_DEPTH = 32
"""Deepest nesting that is read; the deepest official message has 10 levels, the rest is for customData."""
MAX_DIGITS = 40
"""Longest number that is read, in characters."""


class BeyondLimits(ValueError):
    """The text may be JSON, but not such as is read here; the argument says why, without quoting it."""


def read(text: str) -> Any:
    """The value of a JSON text; raises BeyondLimits, or another ValueError when it is not JSON."""
    if len(text) > MAX_CHARS:
        raise BeyondLimits("the frame is too large")
    if text.count("[") + text.count("{") > MAX_DEPTH and _too_deep(text):
        raise BeyondLimits(f"nested deeper than {MAX_DEPTH} levels, or brackets that do not match")
    value = _DECODER.decode(text)
    if _ESCAPED_SURROGATE.search(text) and not _encodable(value):
        raise BeyondLimits("an unpaired surrogate in a text")
    return value


_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_NO_BRACKETS = re.compile(r"[^\[\]]+")
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def _too_deep(text: str) -> bool:
    """Whether brackets outside strings nest too deep or do not match. Each round removes one level."""
    brackets = _NO_BRACKETS.sub("", _STRING.sub("", text).replace("{", "[").replace("}", "]"))
    for _ in range(MAX_DEPTH):
        outer = brackets.replace("[]", "")
        if outer == brackets:
            break
        brackets = outer
    return bool(brackets)


def _encodable(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Two values under one name could mean two different currents: refused."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise BeyondLimits("a name occurs twice in an object")
    return members


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise BeyondLimits(f"a number of more than {MAX_DIGITS} characters")
    return int(text)


def _decimal(text: str) -> float:
    if len(text) > MAX_DIGITS:
        raise BeyondLimits(f"a number of more than {MAX_DIGITS} characters")
    value = float(text)
    if not isfinite(value):
        raise BeyondLimits("a number that is too large")
    return value


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_decimal, parse_int=_integer, parse_constant=_constant
)


_QUICK = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode
_EXPONENT = re.compile(r"[0-9]e[+-][0-9]+[],}]")


def write(value: Any) -> str:
    """Compact ASCII JSON. Decimals keep all their digits, no number has an exponent.

    Raises ValueError for NaN and infinities and TypeError for what JSON cannot hold.
    """
    try:
        text = _QUICK(value)
    except (TypeError, ValueError):  # a Decimal, most likely
        return _write(value)
    doubtful = ("e-" in text or "e+" in text) and _EXPONENT.search(text)
    return _write(value) if doubtful else text


def _write(value: Any) -> str:
    """The same, value by value."""
    if isinstance(value, str):
        return _quote(value)
    kind = type(value)
    if kind is dict:
        return "{" + ",".join([f"{_quote(name)}:{_write(member)}" for name, member in value.items()]) + "}"
    if kind is list or kind is tuple:
        return "[" + ",".join([_write(item) for item in value]) + "]"
    if kind is bool:
        return "true" if value else "false"
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float | Decimal):
        return _decimal_text(value)
    if isinstance(value, Mapping):
        return _write(dict(value))
    if value is None:
        return "null"
    raise TypeError(f"{kind.__name__} has no JSON form")


def _decimal_text(value: float | Decimal) -> str:
    if not isfinite(value):
        raise ValueError("NaN and infinities have no JSON form")
    text = float.__repr__(value) if isinstance(value, float) else str(value)
    return format(Decimal(text), "f") if "e" in text or "E" in text else text
