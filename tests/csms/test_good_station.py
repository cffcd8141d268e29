"""A station that keeps the rules is answered sensibly and leaves no violation."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from hil.csms import BenchCsms, CallFailed, ErrorAnswer, TokenAnswer
from hil.csms.schemas import FROM_STATION, complaints
from tests.csms.station import BOOT, TOKEN, event, station, with_csms


def test_a_session_is_recorded_and_reconciled() -> None:
    async def story(csms: BenchCsms) -> None:
        csms.behaviour.tokens = {"04aabbcc": TokenAnswer(group="FAMILY")}
        async with station(csms.port) as wire:
            boot = await wire.calls("BootNotification", BOOT)
            assert boot[2]["status"] == "Accepted" and boot[2]["interval"] == 300
            answer = await wire.calls("Authorize", {"idToken": TOKEN})
            assert answer[2]["idTokenInfo"]["groupIdToken"]["idToken"] == "FAMILY"
            started = await wire.calls("TransactionEvent", event(0, "Started", 1000, idToken=TOKEN))
            assert started[2]["idTokenInfo"]["status"] == "Accepted"
            assert (await wire.calls("TransactionEvent", event(1, wh=1500)))[2] == {}
            await wire.calls("TransactionEvent", event(1, wh=1500))
            await wire.calls("TransactionEvent", event(2, "Ended", 1501.5))

    csms = with_csms(story)
    assert csms.violations == []
    transaction = csms.transactions["T1"]
    assert transaction.seq_numbers == [0, 1, 2] and transaction.repeats == [1] and transaction.ended
    assert transaction.energy_wh() == Decimal("501.5")
    assert [f.action for f in csms.calls("TransactionEvent")] == ["TransactionEvent"] * 4


REQUESTS: dict[str, dict[str, Any]] = {
    "Authorize": {"idToken": TOKEN},
    "BootNotification": BOOT,
    "DataTransfer": {"vendorId": "com.example"},
    "Get15118EVCertificate": {"iso15118SchemaVersion": "v", "action": "Install", "exiRequest": ""},
    "TransactionEvent": event(0, idToken=TOKEN),
}


@pytest.mark.parametrize("action", sorted(FROM_STATION))
def test_every_answer_is_valid_by_the_schema(action: str) -> None:
    async def story(csms: BenchCsms) -> None:
        csms.behaviour.known = ["CD-1"]
        answer = csms._answers.to("CD-1", action, REQUESTS.get(action, {}))
        assert complaints(action, "Response", answer) == []

    with_csms(story)


def test_the_csms_calls_the_station() -> None:
    async def story(csms: BenchCsms) -> None:
        async with station(csms.port) as wire:
            await wire.calls("BootNotification", BOOT)
            call = asyncio.create_task(csms.call("CD-1", "ClearCache", {}))
            frame = await wire.hears()
            assert frame[0] == 2 and frame[2:] == ["ClearCache", {}]
            await wire.says([3, frame[1], {"status": "Accepted"}])
            assert await call == {"status": "Accepted"}

            refused = asyncio.create_task(csms.call("CD-1", "ClearCache", {}))
            await wire.says([4, (await wire.hears())[1], "NotSupported", "no cache", {}])
            with pytest.raises(CallFailed, match="NotSupported"):
                await refused

            lost = asyncio.create_task(csms.call("CD-1", "ClearCache", {}))
            await wire.hears()
        with pytest.raises(ConnectionError):
            await lost
        with pytest.raises(ConnectionError):
            await csms.call("CD-1", "ClearCache", {})

    assert with_csms(story).violations == []


def test_pending_then_accepted_and_what_is_asked_for_while_pending() -> None:
    async def story(csms: BenchCsms) -> None:
        csms.behaviour.update({"boot": ["Pending", "Accepted"], "retry_s": 0})
        async with station(csms.port) as wire:
            assert (await wire.calls("BootNotification", BOOT))[2]["status"] == "Pending"
            trigger = {"requestedMessage": "Heartbeat"}
            asked = asyncio.create_task(csms.call("CD-1", "TriggerMessage", trigger))
            await wire.says([3, (await wire.hears())[1], {"status": "Accepted"}])
            await asked
            assert "currentTime" in (await wire.calls("Heartbeat", {}))[2]
            assert (await wire.calls("BootNotification", BOOT))[2]["status"] == "Accepted"
            assert csms.registration("CD-1") == "Accepted"

    assert with_csms(story).violations == []


def test_told_to_fail_to_be_slow_and_to_be_silent() -> None:
    async def story(csms: BenchCsms) -> None:
        csms.behaviour.known = ["CD-1"]
        csms.behaviour.errors = {"Heartbeat": ErrorAnswer("InternalError", "broken", times=1)}
        csms.behaviour.message_timeout_s = 0
        async with station(csms.port) as wire:
            assert (await wire.calls("Heartbeat", {}))[0] == 4
            assert (await wire.calls("Heartbeat", {}))[0] == 3
            csms.behaviour.silent_actions = ["StatusNotification"]
            status = {"timestamp": "2026-01-31T12:00:00Z", "connectorStatus": "Available"}
            await wire.says([2, "quiet", "StatusNotification", status | {"evseId": 1, "connectorId": 1}])
            assert (await wire.calls("Heartbeat", {}))[1] != "quiet"
            csms.behaviour.delays = {"Authorize": 0.05}
            await wire.says([2, "slow", "Authorize", {"idToken": TOKEN}])
            await wire.says([2, "fast", "Heartbeat", {}])
            assert [(await wire.hears())[1], (await wire.hears())[1]] == ["fast", "slow"]

    assert with_csms(story).violations == []


def test_a_dropped_connection_and_a_csms_that_comes_back_on_its_port() -> None:
    async def story(csms: BenchCsms) -> None:
        async with station(csms.port) as wire:
            await wire.calls("BootNotification", BOOT)
            await csms.drop("CD-1")
            with pytest.raises(ConnectionClosed):
                await wire.hears()
        await csms.wait_until(lambda: not csms.identities)
        port = csms.port
        await csms.stop()
        assert await csms.start() == port
        async with station(csms.port) as wire:
            assert (await wire.calls("Heartbeat", {}))[0] == 3

    assert with_csms(story).violations == []
