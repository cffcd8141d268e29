"""Frames as they are on the wire, good and hostile, and the conversation of one connection."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.protocol.errors import ErrorCode
from agent.protocol.rpc import (
    Call,
    Error,
    Malformed,
    Pending,
    Result,
    Session,
    decode,
    encode_call,
    encode_error,
    encode_result,
)
from tests.marks import req

RPC, FORMAT, TYPE_NUMBER = ErrorCode.RPC_FRAMEWORK, ErrorCode.FORMAT, ErrorCode.MESSAGE_TYPE


@pytest.mark.parametrize(
    ("text", "frame"),
    [
        ('[2,"19223201","Reset",{"type":"OnIdle"}]', Call("19223201", "Reset", {"type": "OnIdle"})),
        (' [ 2 , "i" , "ClearCache" , { } ]\n', Call("i", "ClearCache", {})),
        ('[2,"i","Nonsense",{}]', Call("i", "Nonsense", {})),
        ('[3,"i",{"status":"Accepted"}]', Result("i", {"status": "Accepted"})),
        ('[4,"i","NotSupported","no",{"a":1}]', Error("i", "NotSupported", "no", {"a": 1})),
        ('[4,"i","NotSupported","",{}]', Error("i", "NotSupported")),
        ('[4,"-1","RpcFrameworkError","",{}]', Error("-1", "RpcFrameworkError")),
        ('[4,"i","Own","no"]', Error("i", "Own", "no")),
        ('[4,"i","Own",null,null]', Error("i", "Own")),
        (r'[3,"i",{"name":"caf\u00e9 \ud83d\ude00"}]', Result("i", {"name": "café 😀"})),
    ],
)
def test_frames_that_are_understood(text: str, frame: Any) -> None:
    assert decode(text) == frame


@req("FR.03")
@pytest.mark.parametrize(
    ("text", "id_", "code"),
    [
        (None, "-1", RPC),
        ("", "-1", RPC),
        ("banana", "-1", RPC),
        ("{}", "-1", RPC),
        ("[]", "-1", RPC),
        ("null", "-1", RPC),
        ("[2]", "-1", RPC),
        ('["2","i","Reset",{}]', "i", RPC),
        ('[true,"i","Reset",{}]', "i", RPC),
        ('[2.0,"i","Reset",{}]', "i", RPC),
        ('[2,"i"]', "i", RPC),
        ('[2,"i","Reset"]', "i", RPC),
        ('[2,"i","Reset",{},{}]', "i", RPC),
        ('[2,7,"Reset",{}]', "-1", RPC),
        ('[2,null,"Reset",{}]', "-1", RPC),
        ('[2,["i"],"Reset",{}]', "-1", RPC),
        ('[2,"","Reset",{}]', "-1", RPC),
        (f'[2,"{"i" * 37}","Reset",{{}}]', "-1", RPC),
        ('[2,"i",["Reset"],{}]', "i", RPC),
        ('[2,"i",5,{}]', "i", RPC),
        ('[2,"i","",{}]', "i", RPC),
        ('[2,"i","Reset",null]', "i", FORMAT),
        ('[2,"i","Reset",[]]', "i", FORMAT),
        ('[2,"i","Reset","{}"]', "i", FORMAT),
        ('[2,"i","Reset",{', "i", RPC),
        ('[2,"i","Reset",{}] trailing', "i", RPC),
        ('[2,"i","Reset",{"a":NaN}]', "i", RPC),
        ('[2,"i","Reset",{"a":-Infinity}]', "i", RPC),
        ('[2,"i","Reset",{"a":1e999}]', "i", FORMAT),
        ('[2,"i","Reset",{"a":1,"a":2}]', "i", FORMAT),
        (r'[2,"i","Reset",{"a":"\ud800"}]', "i", FORMAT),
        (r'[2,"\ud800","Reset",{}]', "-1", RPC),
        (f'[2,"i","Reset",{{"a":{"1" * 5000}}}]', "i", FORMAT),
        (f'[2,"i","Reset",{{"a":{"[" * 1000}{"]" * 1000}}}]', "i", FORMAT),
        (f'[2,"i","Reset",{{"a":"{"x" * 262144}"}}]', "i", FORMAT),
        ("[" * 200_000, "-1", RPC),
        ('{"a":' * 40_000, "-1", RPC),
        ('[2,"i","Reset",{"a":"b\nc"}]', "i", RPC),
        ('[5,"i",{}]', "i", TYPE_NUMBER),
        ('[6,"i","NotifyPeriodicEventStream",{}]', "i", TYPE_NUMBER),
        ("[99]", "-1", TYPE_NUMBER),
        ("[99,5]", "-1", TYPE_NUMBER),
        ('[-2,"i","Reset",{}]', "i", TYPE_NUMBER),
        ('[99,"i",{"a":', "i", TYPE_NUMBER),
    ],
)
def test_hostile_frames_get_the_right_call_error(text: str | None, id_: str, code: ErrorCode) -> None:
    frame = decode(text)
    assert isinstance(frame, Malformed)
    assert (frame.id, frame.code, frame.answerable) == (id_, code, True)


@req("FR.03")
@pytest.mark.parametrize(
    "text",
    [
        '[3,"i"]',
        '[3,"i",null]',
        '[3,"i",{},{}]',
        "[3,7,{}]",
        '[3,"i",{"a":NaN}]',
        '[3,"i",{',
        '[4,"i"]',
        '[4,"i",5,"",{}]',
        '[4,null,"GenericError","",{}]',
        f'[4,"i","GenericError","",{{"a":{"1" * 5000}}}]',
    ],
)
def test_a_broken_answer_is_not_answered(text: str) -> None:
    frame = decode(text)
    assert isinstance(frame, Malformed) and not frame.answerable


def test_brackets_inside_texts_are_not_nesting() -> None:
    text = "[{" * 500 + '\\"' + "]" * 100
    frame = decode(f'[2,"i","DataTransfer",{{"vendorId":"{text}"}}]')
    assert isinstance(frame, Call) and frame.payload["vendorId"] == text.replace("\\", "")


def test_wide_payloads_are_not_deep() -> None:
    wide: list[Any] = [{"a": []}] * 1000
    assert decode(encode_call("i", "DataTransfer", {"data": wide})) == Call(
        "i", "DataTransfer", {"data": wide}
    )


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=5),
    max_leaves=20,
)
frames = st.one_of(
    st.text(),
    json_values.map(json.dumps),
    st.lists(json_values, max_size=6).map(json.dumps),
    st.tuples(st.integers(-1, 6), st.text(max_size=40), json_values, json_values, json_values).map(
        json.dumps
    ),
)


@settings(max_examples=400, deadline=None)
@given(
    frames,
    st.integers(0, 200),
    st.sampled_from(["", '"', "[", "}", "\\u", "\ud800", "\x00", "1e9999", "NaN,"]),
)
def test_nothing_received_raises(text: str, at: int, garbage: str) -> None:
    for received in (text, text[:at], text[:at] + garbage + text[at:]):
        frame = decode(received)
        if isinstance(frame, Malformed) and frame.answerable:
            answer = json.loads(encode_error(frame.id, frame.code, frame.description))
            assert answer[0] == 4 and 0 < len(answer[1]) <= 36 and len(answer[3]) <= 255


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60).map(lambda b: b.decode("utf-8", "surrogateescape")))
def test_noise_inside_a_call_raises_nothing(noise: str) -> None:
    for place in ("[2,{},1,2]", '[2,"i",{},1]', '[2,"i","Reset",{}]', '[2,"i","Reset",{{"a":"{}"}}]'):
        decode(place.replace("{}", noise, 1))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("12345.678"), "12345.678"),
        (Decimal("0.10"), "0.10"),
        (Decimal("1E+3"), "1000"),
        (Decimal("1E-7"), "0.0000001"),
        (1e-7, "0.0000001"),
        (1e22, "10000000000000000000000"),
        (230.1, "230.1"),
        (-0.5, "-0.5"),
        (16, "16"),
        (True, "true"),
        (None, "null"),
        (ErrorCode.TYPE, '"TypeConstraintViolation"'),
        ("é\n😀", '"\\u00e9\\n\\ud83d\\ude00"'),
        ((1, [2]), "[1,[2]]"),
        ({}, "{}"),
    ],
)
def test_values_are_written_plainly(value: Any, text: str) -> None:
    assert encode_result("i", {"v": value}) == f'[3,"i",{{"v":{text}}}]'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), Decimal("NaN"), Decimal("-Infinity")])
def test_a_number_that_json_cannot_hold_is_not_written(value: Any) -> None:
    with pytest.raises(ValueError, match="no JSON form"):
        encode_result("i", {"v": value})


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])),
        st.floats(allow_nan=False, allow_infinity=False, min_value=-1e15, max_value=1e15)
        | st.integers(-(2**63), 2**63)
        | st.text(st.characters(exclude_categories=["Cs"])),
    )
)
def test_what_is_written_reads_back(payload: dict[str, Any]) -> None:
    assert json.loads(encode_call("i", "DataTransfer", payload)) == [2, "i", "DataTransfer", payload]


def test_golden_frames() -> None:
    assert encode_call("i", "Heartbeat", {}) == '[2,"i","Heartbeat",{}]'
    assert encode_error("i", ErrorCode.NOT_IMPLEMENTED) == '[4,"i","NotImplemented","",{}]'
    assert (
        encode_error("-1", "GenericError", "x" * 300, {"a": 1})
        == f'[4,"-1","GenericError","{"x" * 255}",{{"a":1}}]'
    )


def boot(sent_ms: int = 1000) -> Pending:
    return Pending("b1", "BootNotification", sent_ms)


@req("FR.01")
def test_only_one_call_is_in_flight() -> None:
    session = Session()
    assert session.call(boot(), {}) == '[2,"b1","BootNotification",{}]'
    with pytest.raises(AssertionError):
        session.call(Pending("h1", "Heartbeat", 1001), {})
    assert session.accept(Result("b1", {})) == boot()
    assert session.pending is None
    assert session.call(Pending("h1", "Heartbeat", 1001), {}) == '[2,"h1","Heartbeat",{}]'


@req("FR.01")
@pytest.mark.parametrize("answer", [Result("b1", {}), Error("b1", "InternalError"), decode('[3,"b1",null]')])
def test_result_error_and_broken_answer_end_the_call(answer: Any) -> None:
    session = Session()
    session.call(boot(), {})
    assert session.accept(answer) == boot()
    assert session.accept(answer) is None


@pytest.mark.parametrize("answer", [Result("x", {}), Error("-1", "GenericError"), decode('[2,"b1","Reset"]')])
def test_unsolicited_answers_change_nothing(answer: Any) -> None:
    session = Session()
    assert session.accept(answer) is None
    session.call(boot(), {})
    assert session.accept(answer) is None
    assert session.pending == boot()


@req("FR.01")
def test_a_call_expires_and_its_late_answer_matches_nothing() -> None:
    session = Session()
    assert session.due(30_000) is None
    session.call(boot(sent_ms=1000), {})
    assert session.due(30_000) == 31_000
    assert session.expired(30_999, 30_000) is None
    assert session.expired(31_000, 30_000) == boot()
    assert session.expired(31_000, 30_000) is None
    assert session.accept(Result("b1", {})) is None


def read_call(text: str) -> Call:
    frame = decode(text)
    assert isinstance(frame, Call)
    return frame


RESET = '[2,"r1","Reset",{"type":"OnIdle"}]'


def test_a_repeated_call_gets_the_same_answer_on_the_same_connection_only() -> None:
    session = Session()
    assert session.answered(read_call(RESET)) is None
    session.remember(read_call(RESET), '[3,"r1",{"status":"Scheduled"}]')
    assert session.answered(read_call(RESET)) == '[3,"r1",{"status":"Scheduled"}]'
    session.call(boot(), {})
    assert session.drop() == boot()
    assert session.drop() is None
    assert session.answered(read_call(RESET)) is None


def test_another_call_with_a_used_id_is_not_taken_for_a_repetition() -> None:
    session = Session()
    session.remember(read_call(RESET), "first")
    other = read_call('[2,"r1","Reset",{"type":"Immediate"}]')
    assert session.answered(other) is None
    session.remember(other, "second")
    assert session.answered(other) == "second"


def test_the_memory_of_answers_is_bounded() -> None:
    session = Session()
    calls = [read_call(f'[2,"{n}","Heartbeat",{{}}]') for n in range(100)]
    for call in calls:
        session.remember(call, "a")
    assert sum(session.answered(call) is not None for call in calls) == Session.ANSWERS
    for call in calls:
        session.remember(call, "a" * 50_000)
    assert sum(session.answered(call) is not None for call in calls) == 2
    assert session.answered(calls[-1]) is not None
