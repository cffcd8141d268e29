"""What each data type reads, refuses and writes."""

from __future__ import annotations

import datetime
import decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config_keys.types import (
    BadValue,
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

COLOURS = ("red", "green", "blue")
TYPES: list[ValueType[Any]] = [
    Boolean(),
    Integer(),
    Integer(min=-5, max=80),
    Decimal(),
    Decimal(min=0, max=80),
    String(),
    String(max_len=6, min_len=2, pattern="[a-z]+"),
    DateTime(),
    OptionList(COLOURS),
    MemberList(COLOURS),
    SequenceList(COLOURS, min_items=1),
]


@pytest.mark.parametrize(
    ("type_", "text", "value", "canonical"),
    [
        (Boolean(), "TRUE", True, "true"),
        (Boolean(), "False", False, "false"),
        (Integer(), "-2147483648", -(2**31), "-2147483648"),
        (Integer(min=0, max=80), "80", 80, "80"),
        (Decimal(min=0, max=80), "6.50", decimal.Decimal("6.5"), "6.5"),
        (Decimal(), "-0.0", decimal.Decimal(0), "0"),
        (Decimal(), "100", decimal.Decimal(100), "100"),
        (String(max_len=3), "äöü", "äöü", "äöü"),
        (String(pattern="[0-9]+"), "", "", ""),
        (
            DateTime(),
            "2026-11-20T15:32:07.1204+01:00",
            datetime.datetime(2026, 11, 20, 14, 32, 7, 120000, datetime.UTC),
            "2026-11-20T14:32:07.120Z",
        ),
        (OptionList(COLOURS), "red", "red", "red"),
        (MemberList(COLOURS), " blue , red", ("blue", "red"), "blue,red"),
        (MemberList(COLOURS), "", (), ""),
        (SequenceList(COLOURS), "blue,red", ("blue", "red"), "blue,red"),
    ],
)
def test_reads_a_text_and_writes_it_canonically(
    type_: ValueType[Any], text: str, value: Any, canonical: str
) -> None:
    assert type_.parse(text) == value
    assert type_.format(type_.parse(text)) == canonical


@pytest.mark.parametrize(
    ("type_", "text", "reason"),
    [
        (Boolean(), "1", "InvalidValue"),
        (Boolean(), " true", "InvalidValue"),
        (Integer(), "+1", "InvalidValue"),
        (Integer(), "007", "InvalidValue"),
        (Integer(), "-0", "InvalidValue"),
        (Integer(), "1.0", "InvalidValue"),
        (Integer(), "1e3", "InvalidValue"),
        (Integer(), "٣", "InvalidValue"),
        (Integer(), "1\n", "InvalidValue"),
        (Integer(), "", "InvalidValue"),
        (Integer(), "2147483648", "ValueTooHigh"),
        (Integer(), "-" + "9" * 5000, "ValueTooLow"),
        (Integer(), "9" * 5000, "ValueTooHigh"),
        (Integer(min=1, max=9), "0", "ValueTooLow"),
        (Integer(min=1, max=9), "10", "ValueTooHigh"),
        (Decimal(), "NaN", "InvalidValue"),
        (Decimal(), "Infinity", "InvalidValue"),
        (Decimal(), "1e3", "InvalidValue"),
        (Decimal(), ".5", "InvalidValue"),
        (Decimal(), "1" * 31, "InvalidValue"),
        (Decimal(min=0, max=80), "-0.1", "ValueTooLow"),
        (Decimal(min=0, max=80), "80.001", "ValueTooHigh"),
        (String(max_len=3), "abcd", "TooLargeElement"),
        (String(min_len=3), "ab", "InvalidValue"),
        (String(), "a\x00b", "InvalidValue"),
        (String(), "\ud800", "InvalidValue"),
        (String(pattern="[a-z]+"), "a\n", "InvalidValue"),
        (DateTime(), "2026-11-20", "InvalidValue"),
        (DateTime(), "2026-11-20T14:32:07", "InvalidValue"),
        (DateTime(), "2026-13-20T14:32:07Z", "InvalidValue"),
        (DateTime(), "0001-01-01T00:00:00+23:00", "InvalidValue"),
        (OptionList(COLOURS), "Red", "InvalidValue"),
        (OptionList(COLOURS), "", "InvalidValue"),
        (MemberList(COLOURS), "red,red", "InvalidValue"),
        (MemberList(COLOURS), "red,", "InvalidValue"),
        (MemberList(COLOURS), "red,pink", "InvalidValue"),
        (SequenceList(COLOURS, min_items=1), "", "InvalidValue"),
    ],
)
def test_refuses_with_a_reason_and_what_was_expected(type_: ValueType[Any], text: str, reason: str) -> None:
    with pytest.raises(BadValue) as refused:
        type_.parse(text)
    assert refused.value.reason_code == reason
    assert type_.expected in str(refused.value)
    assert len(str(refused.value)) < 500


@given(st.sampled_from(TYPES), st.text() | st.from_regex(r"-?[0-9]{1,12}(\.[0-9]{1,12})?", fullmatch=True))
def test_any_text_is_refused_or_survives_a_round_trip(type_: ValueType[Any], text: str) -> None:
    try:
        value = type_.parse(text)
    except BadValue:
        return
    canonical = type_.format(value)
    assert type_.parse(canonical) == value
    assert type_.format(type_.parse(canonical)) == canonical
    assert type_.typed(value) == value


@given(st.integers(min_value=-(2**31), max_value=2**31 - 1))
def test_every_32_bit_number_survives(number: int) -> None:
    assert Integer().parse(Integer().format(number)) == number


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=9))
def test_every_decimal_survives(number: decimal.Decimal) -> None:
    assert Decimal().parse(Decimal().format(number)) == number


@given(st.datetimes(timezones=st.timezones()))
def test_every_moment_survives_to_the_millisecond(moment: datetime.datetime) -> None:
    try:
        expected = DateTime().typed(moment)
    except OverflowError:
        return
    assert DateTime().parse(DateTime().format(expected)) == expected


@given(st.lists(st.sampled_from(COLOURS), unique=True))
def test_every_list_survives_in_its_order(items: list[str]) -> None:
    assert SequenceList(COLOURS).parse(SequenceList(COLOURS).format(tuple(items))) == tuple(items)


@given(
    st.integers(-100, 100), st.integers(-100, 100) | st.none(), st.integers(-100, 100) | st.none(), st.data()
)
def test_narrowing_never_widens(value: int, low: int | None, high: int | None, data: st.DataObject) -> None:
    wide = data.draw(st.sampled_from([Integer(min=-50, max=50), Integer(), Integer(min=0)]))
    narrow = wide.narrowed(low, high)
    fits = True
    try:
        narrow.parse(str(value))
    except BadValue:
        fits = False
    if fits:
        assert wide.parse(str(value)) == value
        assert (low is None or value >= low) and (high is None or value <= high)


def test_a_float_bound_is_rounded_to_the_safe_side() -> None:
    narrow = Integer().narrowed(min=1.2, max=7.9)
    assert (narrow.min, narrow.max) == (2, 7)
    assert Decimal(min=0, max=80).narrowed(max=16.1).max == decimal.Decimal("16.1")


def test_what_has_no_bounds_cannot_be_narrowed() -> None:
    cases: list[tuple[ValueType[Any], dict[str, Any]]] = [
        (Boolean(), {"max": 1}),
        (String(), {"max": 1}),
        (DateTime(), {"max": 1}),
        (OptionList(COLOURS), {"max": 1}),
        (MemberList(COLOURS), {"min": 1}),
        (Integer(), {"values": ["1"]}),
        (Decimal(), {"values": ["1"]}),
    ]
    for type_, bounds in cases:
        with pytest.raises(TypeError):
            type_.narrowed(**bounds)
    with pytest.raises(ValueError, match="none of red, green, blue"):
        OptionList(COLOURS).narrowed(values=["pink"])


@pytest.mark.parametrize(
    ("type_", "wrong"),
    [
        (Boolean(), 1),
        (Integer(), True),
        (Integer(), 1.0),
        (Decimal(), "1.5"),
        (Decimal(), float("inf")),
        (Decimal(), decimal.Decimal("NaN")),
        (String(), b"x"),
        (DateTime(), datetime.datetime(2026, 1, 1)),
        (OptionList(COLOURS), "pink"),
        (MemberList(COLOURS), ["red"]),
        (MemberList(COLOURS), ("pink",)),
    ],
)
def test_a_value_of_the_wrong_python_type_is_a_bug(type_: ValueType[Any], wrong: object) -> None:
    with pytest.raises(TypeError):
        type_.typed(wrong)
