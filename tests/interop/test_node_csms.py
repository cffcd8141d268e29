"""The Node CSMS itself, with a hand-written station: it accepts what is right and reports what is wrong."""

from __future__ import annotations

import asyncio

from tests.csms.station import BOOT, TOKEN, Wire, event, station
from tests.interop.node_csms import NodeCsms, node_csms


def test_a_good_session_and_a_command() -> None:
    async def story(csms: NodeCsms) -> None:
        async with station(csms.port) as wire:
            assert (await wire.calls("BootNotification", BOOT))[2]["status"] == "Accepted"
            assert (await wire.calls("Authorize", {"idToken": TOKEN}))[2] == {
                "idTokenInfo": {"status": "Accepted"}
            }
            assert (await wire.calls("TransactionEvent", event(0, "Started", 1000.5)))[2] == {}
            call = asyncio.create_task(asyncio.to_thread(csms.call, "ClearCache"))
            await wire.says([3, (await wire.hears())[1], {"status": "Accepted"}])
            assert (await call)["payload"] == {"status": "Accepted"}

    with node_csms() as csms:
        asyncio.run(story(csms))
    actions = [line["action"] for line in csms.seen("call")]
    assert actions == ["BootNotification", "Authorize", "TransactionEvent"]
    assert csms.violations == []


def test_what_breaks_the_rules_is_reported() -> None:
    async def bad_answer(csms: NodeCsms, wire: Wire) -> None:
        call = asyncio.create_task(asyncio.to_thread(csms.call, "ClearCache"))
        await wire.says([3, (await wire.hears())[1], {"status": "Perhaps"}])
        assert "error" in await call

    async def story(csms: NodeCsms) -> None:
        async with station(csms.port) as wire:
            assert (await wire.calls("Heartbeat", {"extra": 1}))[0] == 4
            assert (await wire.calls("Reset", {"type": "Immediate"}))[0] == 4
            await wire.says("{not json")
            await wire.hears()
            await bad_answer(csms, wire)

    with node_csms() as csms:
        asyncio.run(story(csms))
    assert [line["rule"] for line in csms.violations] == ["schema", "unknown-action", "frame", "schema"]
