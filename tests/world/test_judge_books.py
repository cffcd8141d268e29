"""Each check of invariants 8, 9 and 10 that looks at what is kept and told can fail."""

from __future__ import annotations

import json
from base64 import b64encode
from decimal import Decimal
from typing import Any

import pytest

from agent.core.effects import Effect, Persist, Put, Record
from agent.core.events import Event, LinkUp, Tick
from hal.ports import MeterSigned
from tests.sim.invariants import Violation
from tests.sim.outlet import raw
from tests.sim.scripted import Scripted, scripted
from tests.sim.world import World
from tests.world.test_judge import caught


def told(*payloads: dict[str, Any], kept: bool = True, allow: str = "") -> str:
    """The verdict on transaction events that the CSMS hears, each recorded by the station before."""
    world = World([raw(32)], build=scripted())
    world.runs(seconds=10)
    for row, payload in enumerate(payloads, start=1):
        body = {"tx": payload["transactionInfo"]["transactionId"], "seq": payload["seqNo"],
                "type": payload["eventType"], "at": 1}  # fmt: skip
        if kept:
            world.judge.keeps(Persist((Record(row, "event", body),)))
            world.judge.written(Persist((Record(row, "event", body),)))
        world.csms.receives(1, json.dumps([2, f"m{row}", "TransactionEvent", payload]))
    world.judge.allow |= {allow} - {""}
    with pytest.raises(Violation) as caught:
        world.judge.finish()
    return str(caught.value)


def event(number: int, kind: str, tx: str = "t", wh: float | None = None, **more: Any) -> dict[str, Any]:
    """A TransactionEventRequest of some seconds after the world began."""
    context = {"Started": "Transaction.Begin", "Ended": "Transaction.End"}.get(kind, "Sample.Periodic")
    meter = [{"timestamp": "2026-03-01T12:00:09Z", "sampledValue": [{"value": wh, "context": context}]}]
    return {
        "eventType": kind,
        "timestamp": f"2026-03-01T12:00:{10 + number}Z",
        "triggerReason": "Authorized",
        "seqNo": number,
        "transactionInfo": {"transactionId": tx},
        "evse": {"id": 1},
        **({"meterValue": meter} if wh is not None else {}),
        **more,
    }


def test_an_event_that_is_on_flash_and_never_arrives() -> None:
    def keeps_silent(station: Scripted, event: Event) -> list[Effect]:
        data = {"tx": "lost", "seq": 0, "type": "Started", "at": 1}
        return [Persist((Record(1, "event", data),))] if isinstance(event, LinkUp) else []

    world = World([raw(32)], build=scripted(keeps_silent)).runs(seconds=30)
    with pytest.raises(Violation, match=r"1 events on flash never reached the CSMS: \[\('lost', 0, 'Started'\)\]"):
        world.judge.finish()
    assert world.judge.books.lost == 1


@pytest.mark.parametrize("action", ["TransactionEvent", "MeterValues"])
def test_a_signed_reading_that_no_meter_has_made(action: str) -> None:
    """Byte for byte as it was handed out, and in Base64: white space counts."""
    world = World([raw(32)], build=scripted()).runs(seconds=10)
    world.judge.hears(MeterSigned(1, 1, "begin", 9_000, Decimal(7), 'OCMF|{"FV" : "1.0"}', "OCMF"))
    world.judge.books.says(signed(action, 'OCMF|{"FV" : "1.0"}'))
    with pytest.raises(Violation, match=f"8 signed: {action} tells what no meter has signed"):
        world.judge.books.says(signed(action, 'OCMF|{"FV": "1.0"}'))


def signed(action: str, container: str) -> str:
    """A CALL with this signed reading."""
    data = b64encode(container.encode()).decode()
    value = {"timestamp": "2026-03-01T12:00:09Z", "sampledValue": [{"signedMeterValue": {"signedMeterData": data}}]}
    return json.dumps([2, "m1", action, {"meterValue": [value]}])


def test_an_event_that_is_neither_taken_nor_set_aside() -> None:
    world = World([raw(32)], build=scripted()).runs(seconds=10)
    one = {"tx": "t", "seq": 0, "type": "Started", "at": 1}
    world.judge.keeps(Persist((Record(1, "event", one),)))
    world.judge.written(Persist((Record(1, "event", one),)))
    world.csms.fails("TransactionEvent")
    world.csms.receives(1, json.dumps([2, "m", "TransactionEvent", event(0, "Started")]))
    with pytest.raises(Violation, match="never reached the CSMS"):
        world.judge.finish()


def test_a_start_or_an_end_that_is_told_twice() -> None:
    assert "more than once" in told(event(0, "Started"), event(1, "Started"), event(2, "Ended"))
    assert "more than once" in told(event(0, "Started"), event(1, "Ended"), event(2, "Ended"))


def test_energy_that_two_transactions_tell() -> None:
    one = (event(0, "Started", "a", 1_000_000), event(1, "Ended", "a", 1_000_500))
    other = (event(0, "Started", "b", 1_000_400), event(1, "Ended", "b", 1_000_900))
    assert "100 Wh are told by a and by b" in told(*one, *other)


def test_a_register_that_runs_backwards() -> None:
    events = (event(0, "Started", wh=1_000_000), event(1, "Updated", wh=1_000_100), event(2, "Ended", wh=1_000_050))
    assert "the import register runs backwards" in told(*events)


def test_timestamps_that_are_off_or_of_1970() -> None:
    late = event(0, "Started", timestamp="2026-03-01T12:05:00Z")
    assert "a timestamp is 290.0 s off" in told(late, event(1, "Ended", timestamp="2026-03-01T12:05:01Z"))
    assert "cannot be" in told(event(0, "Started", timestamp="1970-01-01T00:00:00Z"), event(1, "Ended"), allow="clock")


def test_energy_while_a_transaction_tells_less() -> None:
    world = World([raw(32)], build=scripted())
    world.outlets[1].register.wh += 500
    for number, kind in enumerate(("Started", "Ended")):
        text = json.dumps([2, kind, "TransactionEvent", event(number, kind, wh=1_000_000 + 100 * number)])
        world.csms.receives(1, text)
    with pytest.raises(Violation, match="500 Wh flowed, 100 Wh were told"):
        world.judge.finish()


def test_a_transaction_that_is_still_on_flash_as_running() -> None:
    def keeps(station: Scripted, event: Event) -> list[Effect]:
        return [Persist((Record(1, "tx", {"evse": 1}),))] if isinstance(event, LinkUp) else []

    world = World([raw(32)], build=scripted(keeps)).runs(seconds=10)
    with pytest.raises(Violation, match="still on flash as running"):
        world.judge.finish()


def test_too_many_bytes_or_entries() -> None:
    def chatty(station: Scripted, event: Event) -> list[Effect]:
        station.deadline = station.now.mono_ms + 1000
        record = Record(station.steps, "n", {"text": "x" * 5_000})
        return [Persist((record,), (station.steps - 2,))] if isinstance(event, Tick) else []

    def hoarder(station: Scripted, event: Event) -> list[Effect]:
        station.deadline = station.now.mono_ms + 1000
        puts = tuple(Put("cache", f"{station.steps} {n}", 1) for n in range(100))
        return [Persist(puts=puts)] if isinstance(event, Tick) else []

    assert "bytes to the flash in the last hour" in caught(World([raw(32)], build=scripted(chatty)), 3600)
    assert "entries in the small mappings" in caught(World([raw(32)], build=scripted(hoarder)), 3600)


def test_a_word_to_a_server_that_speaks_another_protocol() -> None:
    def deaf(station: Scripted, event: Event) -> list[Effect]:
        return []

    world = World([raw(32)], build=scripted(deaf))
    world.network.speaks = "ocpp1.6"
    with pytest.raises(AssertionError, match="speaks no protocol of ours"):
        world.runs(seconds=20)
