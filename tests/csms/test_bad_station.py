"""Each rule of the bench CSMS names the station that breaks it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from websockets.exceptions import InvalidHandshake

from hil.csms import BenchCsms
from tests.csms.station import BOOT, TOKEN, Wire, event, station, with_csms


def rules_broken_by(*frames: Any, behaviour: dict[str, Any] | None = None) -> list[str]:
    """Send frames after an accepted boot without waiting for answers; returns the rules broken."""

    async def story(csms: BenchCsms) -> None:
        csms.behaviour.update(behaviour or {})
        async with station(csms.port) as wire:
            await wire.calls("BootNotification", BOOT)
            for frame in frames:
                await wire.says(frame)
            received = len(frames) + 1
            await csms.wait_until(lambda: sum(f.direction == "in" for f in csms.frames) == received)

    return [v.rule for v in with_csms(story).violations]


@pytest.mark.parametrize(
    ("rule", "frame"),
    [
        ("frame", "{not json"),
        ("frame", b"\x00\x01"),
        ("frame", "[" * 5000),
        ("frame", '[2,"a","Heartbeat",{"x":NaN}]'),
        ("frame", {"not": "a list"}),
        ("frame", [9, "a", "Heartbeat", {}]),
        ("frame", [2, "a", "Heartbeat"]),
        ("frame", [2, 7, "Heartbeat", {}]),
        ("frame", [2, "a", ["Heartbeat"], {}]),
        ("frame", [2, "x" * 37, "Heartbeat", {}]),
        ("frame", [4, "a", "InternalError", "no details"]),
        ("known-action", [2, "a", "Reset", {"type": "Immediate"}]),
        ("schema", [2, "a", "Heartbeat", {"extra": 1}]),
        ("schema", [2, "a", "Authorize", {"idToken": {"idToken": 4, "type": "ISO14443"}}]),
        ("schema", [2, "a", "TransactionEvent", event(0, timestamp="yesterday")]),
        ("schema", [2, "a", "TransactionEvent", event(0, timestamp="2026-01-31T12:00:00")]),
        ("unsolicited", [3, "a", {}]),
    ],
)
def test_a_bad_frame(rule: str, frame: Any) -> None:
    assert rules_broken_by(frame) == [rule]


def test_two_calls_in_flight() -> None:
    two = ([2, "a", "Heartbeat", {}], [2, "b", "Authorize", {"idToken": TOKEN}])
    assert rules_broken_by(*two, behaviour={"delays": {"Heartbeat": 5}}) == ["one-call-in-flight"]


def test_an_id_used_twice_unless_it_is_the_same_message_again() -> None:
    slow = {"message_timeout_s": 0}
    assert rules_broken_by([2, "a", "Heartbeat", {}], [2, "a", "Heartbeat", {}], behaviour=slow) == []
    other = [2, "a", "Authorize", {"idToken": TOKEN}]
    assert rules_broken_by([2, "a", "Heartbeat", {}], other, behaviour=slow) == ["unique-id"]


def test_an_event_repeated_with_other_content() -> None:
    first, slow = [2, "a", "TransactionEvent", event(0)], {"message_timeout_s": 0}
    again = [2, "b", "TransactionEvent", event(0, offline=True)]
    other = [2, "c", "TransactionEvent", event(0, cableMaxCurrent=13)]
    assert rules_broken_by(first, again, behaviour=slow) == []
    assert rules_broken_by(first, other, behaviour=slow) == ["transaction"]


def test_who_is_not_accepted_may_only_boot_and_only_in_time() -> None:
    async def story(csms: BenchCsms) -> None:
        csms.behaviour.update({"boot": ["Rejected"], "retry_s": 60})
        async with station(csms.port) as wire:
            assert (await wire.calls("Heartbeat", {}))[2] == "SecurityError"
            await wire.calls("BootNotification", BOOT)
            assert (await wire.calls("Heartbeat", {}))[2] == "SecurityError"
            await wire.calls("BootNotification", BOOT)

    rules = [v.rule for v in with_csms(story).violations]
    assert rules == ["boot-first", "not-accepted", "retry-interval"]


@pytest.mark.parametrize(
    ("rule", "answer"),
    [("schema", [3, "ID", {"status": "Perhaps"}]), ("error-code", [4, "ID", "Whatever", "", {}])],
)
def test_a_bad_answer_to_a_call(rule: str, answer: list[Any]) -> None:
    async def story(csms: BenchCsms) -> None:
        async with station(csms.port) as wire:
            await wire.calls("BootNotification", BOOT)
            call = asyncio.create_task(csms.call("CD-1", "ClearCache", {}))
            answer[1] = (await wire.hears())[1]
            await wire.says(answer)
            await asyncio.wait([call])
            assert call.exception() is None or rule == "error-code"
            await wire.says(answer)
            await csms.wait_until(lambda: csms.violations[-1].rule == "unsolicited")

    assert [v.rule for v in with_csms(story).violations] == [rule, "unsolicited"]


def test_answers_to_hostile_frames_are_not_held_against_the_station() -> None:
    async def story(csms: BenchCsms) -> None:
        async with station(csms.port) as wire:
            await wire.calls("BootNotification", BOOT)
            await csms.send_text("CD-1", '[2,"h1","NoSuchAction",{}]')
            assert await wire.hears() == [2, "h1", "NoSuchAction", {}]
            await wire.says([4, "h1", "NotImplemented", "", {}])
            await csms.send_text("CD-1", "[[[")
            await wire.says([4, "-1", "RpcFrameworkError", "", {}])
            await csms.wait_until(lambda: csms.frames[-1].id == "-1")

    assert with_csms(story).violations == []


@pytest.mark.parametrize(
    ("rule", "how"),
    [
        ("basic-auth", {}),
        ("basic-auth", {"password": "wrong"}),
        ("subprotocol", {"subprotocol": "ocpp1.6", "password": "secret"}),
    ],
)
def test_a_bad_handshake(rule: str, how: dict[str, str]) -> None:
    async def connects(csms: BenchCsms, **how: str) -> Wire:
        async with station(csms.port, **how) as wire:
            return wire

    async def story(csms: BenchCsms) -> None:
        csms.behaviour.passwords = {"CD-1": "secret"}
        with pytest.raises(InvalidHandshake):
            await connects(csms, **how)
        await connects(csms, password="secret")
        csms.behaviour.refuse = 503
        with pytest.raises(InvalidHandshake):
            await connects(csms, password="secret")

    assert [v.rule for v in with_csms(story).violations] == [rule]
