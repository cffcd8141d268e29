"""The data types of the OCPP device model: how a value is read from text, checked, narrowed and written.

`parse` raises `BadValue` (a ValueError) that says what was expected and carries the OCPP reason code for it.
The types are plain classes, not dataclasses, because every start of the agent pays for their creation.
"""

from __future__ import annotations

import datetime
import decimal
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Final, Generic, Self, TypeVar

T = TypeVar("T")
Bound = int | decimal.Decimal
Number = Bound | float
N = TypeVar("N", int, decimal.Decimal)

_INTEGER = re.compile(r"0|-?[1-9][0-9]*", re.ASCII)
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?", re.ASCII)
_DATE_TIME = r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)"
_CONTROL = "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]"
INT32 = (-(2**31), 2**31 - 1)
MAX_DECIMAL_CHARS = 30
SHOWN_CHARS = 40


class BadValue(ValueError):
    """A text or value that does not fit; `reason_code` is from OCPP's list of statusInfo reason codes."""

    def __init__(self, reason_code: str, expected: str, found: str) -> None:
        shown = found if len(found) <= SHOWN_CHARS else found[:SHOWN_CHARS] + "..."
        super().__init__(f"expected {expected}, found {shown!r}")
        self.reason_code = reason_code
        self.expected = expected


class ValueType(ABC, Generic[T]):
    """One OCPP dataType with its bounds; `min_limit`, `max_limit` and `values_list` go into reports."""

    name: ClassVar[str]

    @property
    @abstractmethod
    def expected(self) -> str:
        """What fits, in words that end a sentence such as "expected ..."."""

    @abstractmethod
    def parse(self, text: str) -> T:
        """The value that the text means; raises BadValue."""

    @abstractmethod
    def format(self, value: T) -> str:
        """The one canonical text of a value."""

    @abstractmethod
    def typed(self, value: object) -> T:
        """The value itself when its Python type is right (bounds are not looked at); raises TypeError."""

    @property
    def min_limit(self) -> Bound | None:
        """OCPP's minLimit of a number."""
        return None

    @property
    def max_limit(self) -> Bound | None:
        """OCPP's maxLimit: the bound of a number, the greatest length of a text or list."""
        return None

    @property
    def values_list(self) -> tuple[str, ...]:
        """OCPP's valuesList; empty when there is none."""
        return ()

    def narrowed(
        self, min: Number | None = None, max: Number | None = None, values: Sequence[str] | None = None
    ) -> Self:
        """The same type with tighter bounds, never wider ones; raises TypeError where that means nothing."""
        raise TypeError(f"{self.name} cannot be narrowed")

    def fit(self, value: T) -> T:
        """The value nearest to `value` that fits."""
        return value

    def _wrong(self, found: object, reason_code: str = "InvalidValue") -> BadValue:
        return BadValue(reason_code, self.expected, str(found))


class Boolean(ValueType[bool]):
    """true or false, upper or lower case when read."""

    name: ClassVar[str] = "boolean"

    @property
    def expected(self) -> str:
        return "true or false"

    def parse(self, text: str) -> bool:
        if text.lower() not in ("true", "false"):
            raise self._wrong(text)
        return text.lower() == "true"

    def format(self, value: bool) -> str:
        return "true" if value else "false"

    def typed(self, value: object) -> bool:
        if not isinstance(value, bool):
            raise TypeError(f"expected a bool, found {value!r}")
        return value


def _between(low: Bound | None, high: Bound | None) -> str:
    if low is None and high is None:
        return ""
    if high is None:
        return f", {low} or more"
    return f", {high} or less" if low is None else f" from {low} to {high}"


def _tighter(own: N | None, given: N | None, which: int) -> N | None:
    """The greater (which = -1) or lesser (which = 0) of two bounds, either of which may be missing."""
    bounds = sorted(bound for bound in (own, given) if bound is not None)
    return bounds[which] if bounds else None


def _clamped(value: N, low: N | None, high: N | None) -> N:
    if low is not None and value < low:
        return low
    return high if high is not None and value > high else value


class Integer(ValueType[int]):
    """A whole number of at most 32 bits, without plus sign or leading zeros."""

    name: ClassVar[str] = "integer"

    def __init__(self, min: int | None = None, max: int | None = None) -> None:
        self.min: Final = min
        self.max: Final = max

    @property
    def expected(self) -> str:
        return "a whole number" + _between(self.min, self.max)

    @property
    def min_limit(self) -> Bound | None:
        return self.min

    @property
    def max_limit(self) -> Bound | None:
        return self.max

    def parse(self, text: str) -> int:
        if not _INTEGER.fullmatch(text):
            raise self._wrong(text)
        if len(text) > len(str(INT32[0])):
            raise self._wrong(text, "ValueTooLow" if text.startswith("-") else "ValueTooHigh")
        value = int(text)
        if value < (INT32[0] if self.min is None else self.min):
            raise self._wrong(text, "ValueTooLow")
        if value > (INT32[1] if self.max is None else self.max):
            raise self._wrong(text, "ValueTooHigh")
        return value

    def format(self, value: int) -> str:
        return str(value)

    def typed(self, value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(f"expected an int, found {value!r}")
        return value

    def narrowed(
        self, min: Number | None = None, max: Number | None = None, values: Sequence[str] | None = None
    ) -> Self:
        if values is not None:
            raise TypeError("an integer has no list of values")
        low = _tighter(self.min, None if min is None else math.ceil(min), -1)
        return type(self)(low, _tighter(self.max, None if max is None else math.floor(max), 0))

    def fit(self, value: int) -> int:
        return _clamped(value, self.min, self.max)


def _exact(number: Number | None) -> decimal.Decimal | None:
    """A number as the Decimal that its shortest text means (0.1 is 0.1)."""
    return None if number is None else decimal.Decimal(str(number))


class Decimal(ValueType[decimal.Decimal]):
    """A decimal number in plain notation; NaN, infinity and exponents are refused."""

    name: ClassVar[str] = "decimal"

    def __init__(self, min: Bound | None = None, max: Bound | None = None) -> None:
        self.min: Final = min
        self.max: Final = max

    @property
    def expected(self) -> str:
        return "a number" + _between(self.min, self.max)

    @property
    def min_limit(self) -> Bound | None:
        return self.min

    @property
    def max_limit(self) -> Bound | None:
        return self.max

    def parse(self, text: str) -> decimal.Decimal:
        if not _DECIMAL.fullmatch(text) or len(text) > MAX_DECIMAL_CHARS:
            raise self._wrong(text)
        value = decimal.Decimal(text)
        if self.min is not None and value < self.min:
            raise self._wrong(text, "ValueTooLow")
        if self.max is not None and value > self.max:
            raise self._wrong(text, "ValueTooHigh")
        return value.copy_abs() if value.is_zero() else value

    def format(self, value: decimal.Decimal) -> str:
        text = f"{value:f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
        return "0" if text == "-0" else text

    def typed(self, value: object) -> decimal.Decimal:
        """A finite Decimal; ints and floats become the Decimal that their shortest text means."""
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = _exact(value)
        if not isinstance(value, decimal.Decimal) or not value.is_finite():
            raise TypeError(f"expected a finite Decimal, found {value!r}")
        return value

    def narrowed(
        self, min: Number | None = None, max: Number | None = None, values: Sequence[str] | None = None
    ) -> Self:
        if values is not None:
            raise TypeError("a decimal has no list of values")
        low = _tighter(_exact(self.min), _exact(min), -1)
        return type(self)(low, _tighter(_exact(self.max), _exact(max), 0))

    def fit(self, value: decimal.Decimal) -> decimal.Decimal:
        return _clamped(value, _exact(self.min), _exact(self.max))


class String(ValueType[str]):
    """Text without control characters. `pattern` binds all but the empty text; `form` says it in words."""

    name: ClassVar[str] = "string"

    def __init__(self, max_len: int = 1000, min_len: int = 0, pattern: str = "", form: str = "") -> None:
        self.max_len: Final = max_len
        self.min_len: Final = min_len
        self.pattern: Final = pattern
        self.form: Final = form

    @property
    def expected(self) -> str:
        size = f"{self.min_len} to {self.max_len}" if self.min_len else f"at most {self.max_len}"
        return f"{self.form + ', ' if self.form else ''}text of {size} characters without control characters"

    @property
    def max_limit(self) -> Bound | None:
        return self.max_len

    @property
    def min_limit(self) -> Bound | None:
        return self.min_len or None

    def parse(self, text: str) -> str:
        if len(text) > self.max_len:
            raise self._wrong(text, "TooLargeElement")
        if len(text) < self.min_len or (not text.isprintable() and re.search(_CONTROL, text)):
            raise self._wrong(text)
        if text and self.pattern and not re.fullmatch(self.pattern, text):
            raise self._wrong(text)
        return text

    def format(self, value: str) -> str:
        return value

    def typed(self, value: object) -> str:
        if not isinstance(value, str):
            raise TypeError(f"expected a str, found {value!r}")
        return value


class DateTime(ValueType[datetime.datetime]):
    """RFC 3339 with a zone; kept in UTC to the millisecond and written with Z."""

    name: ClassVar[str] = "dateTime"

    @property
    def expected(self) -> str:
        return "a date and time such as 2026-11-20T14:32:07Z"

    def parse(self, text: str) -> datetime.datetime:
        if not re.fullmatch(_DATE_TIME, text, re.ASCII):
            raise self._wrong(text)
        try:
            return self.typed(datetime.datetime.fromisoformat(text.upper()))
        except (ValueError, OverflowError):
            raise self._wrong(text) from None

    def format(self, value: datetime.datetime) -> str:
        fraction = f".{value.microsecond // 1000:03d}" if value.microsecond >= 1000 else ""
        return f"{value.replace(microsecond=0, tzinfo=None).isoformat()}{fraction}Z"

    def typed(self, value: object) -> datetime.datetime:
        if not isinstance(value, datetime.datetime) or value.tzinfo is None:
            raise TypeError(f"expected a datetime with a zone, found {value!r}")
        utc = value.astimezone(datetime.UTC)
        return utc.replace(microsecond=utc.microsecond // 1000 * 1000)


def _fewer(values: tuple[str, ...], kept: Sequence[str] | None) -> tuple[str, ...]:
    left = values if kept is None else tuple(v for v in values if v in kept)
    if not left:
        raise ValueError(f"none of {', '.join(values)} would be left")
    return left


class OptionList(ValueType[str]):
    """Exactly one of the listed values."""

    name: ClassVar[str] = "OptionList"

    def __init__(self, values: tuple[str, ...]) -> None:
        self.values: Final = values

    @property
    def expected(self) -> str:
        return "one of " + ", ".join(self.values)

    @property
    def values_list(self) -> tuple[str, ...]:
        return self.values

    def parse(self, text: str) -> str:
        if text not in self.values:
            raise self._wrong(text)
        return text

    def format(self, value: str) -> str:
        return value

    def typed(self, value: object) -> str:
        if not isinstance(value, str) or value not in self.values:
            raise TypeError(f"expected {self.expected}, found {value!r}")
        return value

    def narrowed(
        self, min: Number | None = None, max: Number | None = None, values: Sequence[str] | None = None
    ) -> Self:
        if min is not None or max is not None:
            raise TypeError("an OptionList has no bounds")
        return type(self)(_fewer(self.values, values))

    def fit(self, value: str) -> str:
        return value if value in self.values else self.values[0]


class MemberList(ValueType[tuple[str, ...]]):
    """Any of the listed values, each at most once, separated by commas; spaces around them are tolerated."""

    name: ClassVar[str] = "MemberList"

    def __init__(self, values: tuple[str, ...], min_items: int = 0) -> None:
        self.values: Final = values
        self.min_items: Final = min_items

    @property
    def expected(self) -> str:
        least = f"at least {self.min_items}" if self.min_items else "any"
        return f"a comma separated list of {least} of {', '.join(self.values)}, each once"

    @property
    def max_limit(self) -> Bound | None:
        return len(",".join(self.values))

    @property
    def values_list(self) -> tuple[str, ...]:
        return self.values

    def parse(self, text: str) -> tuple[str, ...]:
        items = tuple(item.strip(" ") for item in text.split(",")) if text.strip(" ") else ()
        if len(set(items)) < len(items) or len(items) < self.min_items:
            raise self._wrong(text)
        for item in items:
            if item not in self.values:
                raise self._wrong(item)
        return items

    def format(self, value: tuple[str, ...]) -> str:
        return ",".join(value)

    def typed(self, value: object) -> tuple[str, ...]:
        if not isinstance(value, tuple) or any(item not in self.values for item in value):
            raise TypeError(f"expected a tuple out of {', '.join(self.values)}, found {value!r}")
        return value

    def narrowed(
        self, min: Number | None = None, max: Number | None = None, values: Sequence[str] | None = None
    ) -> Self:
        if min is not None or max is not None:
            raise TypeError(f"a {self.name} has no bounds")
        return type(self)(_fewer(self.values, values), self.min_items)

    def fit(self, value: tuple[str, ...]) -> tuple[str, ...]:
        kept = tuple(item for item in value if item in self.values)
        return kept if len(kept) >= self.min_items else self.values[: self.min_items]


class SequenceList(MemberList):
    """A MemberList whose order means something, for instance priority."""

    name: ClassVar[str] = "SequenceList"


HOURS = String(
    max_len=200,
    pattern=r"(?!.*(.{5})-\1)(HH-HH(,HH-HH)*)?".replace("HH", r"([01]\d|2[0-3]):[0-5]\d"),
    form="hours such as 22:00-08:00,11:00-16:00 that begin and end at different times, or nothing",
)
