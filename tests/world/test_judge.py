"""Each check of the simulated world can fail: a station that breaks a rule is caught, and told which one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agent.core.effects import Effect, Energise, MakeSafe, Persist, Record
from agent.core.events import Event, FrameReceived
from hal.ports import Capabilities, ContactorReported, Offer, Permit, PilotChanged, TokenPresented
from tests.sim.asks import station_maximum
from tests.sim.invariants import Violation
from tests.sim.outlet import raw
from tests.sim.scripted import Reaction, Scripted, boot, scripted
from tests.sim.world import World

TX = Persist((Record(1, "tx", {"evse": 1}),))


def story(reaction: Reaction, **options: Any) -> World:
    """One raw EVSE, a car that wants energy, nobody with a card."""
    world = World([raw(32)], build=scripted(reaction), **options)
    world.ev(1).after(seconds=5).plugs_in()
    return world


def on_pilot_b(*effects: Effect) -> Reaction:
    """Do this when the car is plugged in."""

    def react(station: Scripted, event: Event) -> list[Effect]:
        return list(effects) if event == PilotChanged(1, "B") else []

    return react


def answered(station: Scripted) -> int:
    """How many frames the CSMS has sent."""
    return len(station.answers)


def caught(world: World, seconds: float = 60) -> str:
    """The violation that the story leads to."""
    with pytest.raises(Violation) as caught:
        world.runs(seconds=seconds)
    return str(caught.value)


def test_current_above_the_nameplate() -> None:
    assert "invariant 1 limit" in caught(story(on_pilot_b(Energise(Permit(1, 99, 33, 3)))))


def test_current_below_the_ev_minimum() -> None:
    assert "must be a pause" in caught(story(on_pilot_b(Energise(Offer(1, 99, 5.5)))))


def test_a_raise_that_does_not_wait_for_flash() -> None:
    assert "before it is recorded" in caught(story(on_pilot_b(MakeSafe(Offer(1, 99, 10)))))


def test_a_decrease_that_waits_for_flash() -> None:
    wrong = on_pilot_b(Energise(Offer(1, 99, 16)), Energise(Offer(1, 99, 10)))
    assert "waits for flash" in caught(story(wrong))


def test_increases_too_close_together() -> None:
    wrong = on_pilot_b(Energise(Permit(1, 98, 6, 3)), Energise(Offer(1, 99, 16)))
    assert "the last increase was 0 ms ago" in caught(story(wrong))


def test_accepting_a_limit_that_is_not_in_force() -> None:
    def deaf(station: Scripted, event: Event) -> list[Effect]:
        if event == PilotChanged(1, "B"):
            return [Energise(Offer(1, 99, 16))]
        if not isinstance(event, FrameReceived) or station.answers[-1][0] != 2:
            return []
        return [station.say([3, station.answers[-1][1], {"status": "Accepted"}])]

    world = story(deaf).runs(seconds=20)
    world.csms.sends("SetChargingProfile", station_maximum(10))
    assert "when it was accepted: 16 A, 11040 W in total, the CSMS allows 10 A" in caught(world)


def test_closing_without_anybody_valid() -> None:
    assert "nobody valid" in caught(story(on_pilot_b(TX, Energise(Permit(1, 99, 16, 3)))))


def test_closing_for_a_token_that_the_csms_blocks() -> None:
    world = story(on_pilot_b(TX, Energise(Permit(1, 99, 16, 3))))
    world.csms.blocked_tokens.add("DEADBEEF")
    world.ev(1).presents("DEADBEEF")
    assert "nobody valid" in caught(world)


def test_closing_without_a_transaction_on_flash() -> None:
    def permit(station: Scripted, event: Event) -> list[Effect]:
        return [Energise(Permit(1, station.steps, 16, 3))] if isinstance(event, TokenPresented) else []

    world = story(permit)
    world.ev(1).presents("04AABBCC")
    assert "no transaction of it is on flash" in caught(world)


def test_a_permission_before_the_contactor_was_seen_open() -> None:
    def hasty(station: Scripted, event: Event) -> list[Effect]:
        return [Energise(Permit(1, 99, 16, 3))] if isinstance(event, Capabilities) else []

    assert "invariant 11 boot" in caught(World([raw(32)], build=scripted(hasty)))


def test_a_frame_that_the_official_schema_refuses() -> None:
    def wrong(station: Scripted, event: Event) -> list[Effect]:
        return [station.call("Heartbeat", {"when": "now"})] if isinstance(event, FrameReceived) else []

    assert "HeartbeatRequest" in caught(story(wrong))


def test_two_calls_in_flight() -> None:
    def hasty(station: Scripted, event: Event) -> list[Effect]:
        if answered(station) != 1 or not isinstance(event, FrameReceived):
            return []
        return [station.call("Heartbeat", {}, "a"), station.call("Heartbeat", {}, "b")]

    assert "Heartbeat sent while Heartbeat is in flight" in caught(story(hasty))


def test_speaking_before_being_accepted() -> None:
    def loud(station: Scripted, event: Event) -> list[Effect]:
        return [station.call("Heartbeat", {})] if isinstance(event, FrameReceived) else []

    world = story(loud)
    world.csms.boots("Pending", 60)
    assert "Heartbeat while Pending" in caught(world)


def test_booting_again_too_early_while_rejected() -> None:
    def impatient(station: Scripted, event: Event) -> list[Effect]:
        return [station.call("BootNotification", boot())] if isinstance(event, FrameReceived) else []

    world = story(impatient)
    world.csms.boots("Rejected", 60)
    assert "while Rejected and before the interval" in caught(world)


def test_a_call_that_is_never_answered() -> None:
    world = story(lambda station, event: [])
    world.csms.first_words.append(("GetBaseReport", {"requestId": 1, "reportBase": "FullInventory"}))
    assert "waits for its answer" in caught(world, seconds=600)


def test_a_call_that_is_answered_twice() -> None:
    def twice(station: Scripted, event: Event) -> list[Effect]:
        if not isinstance(event, FrameReceived) or station.answers[-1][0] != 2:
            return []
        answer = station.say([3, station.answers[-1][1], {"status": "Accepted"}])
        return [answer, answer]

    world = story(twice)
    world.csms.first_words.append(("ClearCache", {}))
    assert "not waiting for one" in caught(world)


def test_energy_that_no_transaction_tells() -> None:
    def charges(station: Scripted, event: Event) -> list[Effect]:
        return [TX, Energise(Permit(1, 99, 16, 3))] if isinstance(event, TokenPresented) else []

    world = story(charges)
    world.ev(1).presents("04AABBCC")
    world.runs(minutes=5)
    with pytest.raises(Violation, match=r"Wh flowed, 0 Wh were told"):
        world.judge.finish()


def event(number: int, kind: str, **more: Any) -> dict[str, Any]:
    """A TransactionEventRequest of transaction t."""
    return {
        "eventType": kind,
        "timestamp": f"2026-03-01T12:00:{number:02d}Z",
        "triggerReason": "Authorized",
        "seqNo": number,
        "transactionInfo": {"transactionId": "t"},
        **more,
    }


def finish(*events: dict[str, Any]) -> str:
    """The verdict on a transaction of these events."""
    world = World([raw(32)], build=scripted())
    for one in events:
        world.csms.receives(1, json.dumps([2, "x", "TransactionEvent", one]))
    with pytest.raises(Violation) as caught:
        world.judge.finish()
    return str(caught.value)


def test_transactions_with_a_gap_an_early_end_or_two_faces() -> None:
    begin, middle, end = event(0, "Started"), event(1, "Updated"), event(2, "Ended")
    assert "sequence numbers [0, 2]" in finish(begin, end)
    assert "Ended is not once and last" in finish(begin, event(1, "Ended"), event(2, "Updated"))
    assert "Ended is not once and last" in finish(begin, middle)
    assert "seqNo 1 differs in a repeat" in finish(begin, middle, event(1, "Updated", cableMaxCurrent=13), end)
    assert "time runs backwards" in finish(begin, event(1, "Updated", timestamp="2026-03-01T11:00:00Z"), end)


def test_a_deadline_that_is_never_cleared() -> None:
    def stuck(station: Scripted, event: Event) -> list[Effect]:
        station.deadline = 5000
        return []

    assert "never cleared" in caught(story(stuck))


def test_a_boot_forgets_what_was_seen_before() -> None:
    def once(station: Scripted, event: Event) -> list[Effect]:
        late = isinstance(event, ContactorReported) and station.now.mono_ms > 20_000
        return [Energise(Offer(1, 99, 10))] if late else []

    world = story(once)
    world.runs(seconds=30)
    world.loses_power().returns_after(seconds=5)
    world.runs(seconds=10)
    assert world.boots == 2
