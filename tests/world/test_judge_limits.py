"""Each check of invariants 1 to 5, 7 and 11 can fail: a station or a device that breaks one is caught."""

from __future__ import annotations

from typing import Any

from agent.core.effects import Effect, Energise, MakeSafe, Persist, Record
from agent.core.events import Event, FrameReceived, Tick
from hal.ports import (
    ContactorReported,
    FaultRaised,
    Offer,
    Permit,
    PilotChanged,
    SetFailsafe,
    SetLock,
    TemperatureMeasured,
    TokenPresented,
    Withdraw,
)
from tests.sim.asks import DEFAULT, plain_profile
from tests.sim.outlet import OutletSpec, raw
from tests.sim.scripted import Reaction, Scripted, scripted
from tests.sim.world import World
from tests.world.test_judge import caught

CARD = "04AABBCC"
TX = Persist((Record(1, "tx", {"evse": 1}),))


def with_a_card(reaction: Reaction, outlet: OutletSpec | None = None, **options: Any) -> World:
    """One EVSE, a car, and somebody with a good card."""
    world = World([outlet or raw(32)], build=scripted(reaction), **options)
    world.ev(1).after(seconds=5).plugs_in(cable_amps=13.0).presents(CARD)
    return world


def charges(amps: float, *more: Effect) -> Reaction:
    """Permit so much when a card is presented, and nothing ever after; whatever is asked is accepted."""

    def react(station: Scripted, event: Event) -> list[Effect]:
        if isinstance(event, TokenPresented):
            return [TX, *more, Energise(Permit(1, station.steps, amps, 3))]
        if isinstance(event, FrameReceived) and station.answers[-1][0] == 2:
            return [station.say([3, station.answers[-1][1], {"status": "Accepted"}])]
        return []

    return react


def test_more_than_the_cable_carries() -> None:
    assert "the cable carries 13.0 A" in caught(with_a_card(charges(16), raw(32, cable="socket")))


def test_more_than_the_installation_has() -> None:
    world = with_a_card(charges(16))
    world.judge.installation_amps = 10
    assert "the installation has 10 A" in caught(world)


def test_more_watts_than_the_csms_allows() -> None:
    world = with_a_card(charges(16)).runs(seconds=20)
    world.csms.sends("SetChargingProfile", plain_profile(7_400, unit="W"))
    assert "invariant 7 watts: when it was accepted: 16 A, 11040 W in total, the CSMS allows 7400 W" in caught(world)


def test_more_than_the_default_of_the_csms() -> None:
    world = with_a_card(charges(16)).runs(seconds=20)
    world.csms.sends("SetChargingProfile", plain_profile(9, purpose=DEFAULT))
    assert "16 A, 11040 W at EVSE 1, the CSMS allows 9 A" in caught(world)


def test_more_than_the_fallback_while_the_csms_is_silent() -> None:
    world = with_a_card(charges(16), keys={"FallbackCtrlr.OfflineGrace": "30"}).runs(seconds=20)
    world.csms.vanishes()
    assert "although the CSMS is silent; at most 6 A" in caught(world, seconds=90)


def test_more_than_the_boot_limit_before_the_csms_has_accepted() -> None:
    world = with_a_card(charges(16))
    world.csms.boots("Pending", 300)
    assert "has not accepted since the start" in caught(world)


def test_full_current_while_the_meter_is_silent() -> None:
    world = with_a_card(charges(16)).runs(seconds=20)
    world.hardware.drivers[1].mute = True
    world.later(40, lambda: world.hear(TemperatureMeasured(1, "pcb", 20.0)))
    assert "although its meter is silent" in caught(world)


def test_full_current_while_derated() -> None:
    world = with_a_card(charges(16)).runs(seconds=20)
    world.outlets[1].breaks("derating")
    assert "although it is derated" in caught(world)


def test_a_failsafe_current_above_the_fallback() -> None:
    assert "would fall to 10 A, the fallback is 6 A" in caught(with_a_card(charges(6, MakeSafe(SetFailsafe(1, 9, 10)))))


def test_a_failsafe_current_that_outlives_the_session() -> None:
    world = with_a_card(charges(6, MakeSafe(SetFailsafe(1, 99, 6))))
    world.ev(1).after(seconds=30).unplugs()
    assert "EVSE 1 would fall to 6 A, and nobody is authorised" in caught(world, seconds=300)


def test_a_permission_while_a_fault_stands() -> None:
    def reckless(station: Scripted, event: Event) -> list[Effect]:
        return [TX, Energise(Permit(1, station.steps, 16, 3))] if isinstance(event, FaultRaised) else []

    world = with_a_card(reckless).runs(seconds=20)
    world.outlets[1].breaks("ground")
    assert "invariant 2 close" in caught(world) and not world.outlets[1].closed


def test_a_permission_or_an_open_lock_at_a_welded_contactor() -> None:
    wrong = {"Permit": Energise(Permit(1, 999, 16, 3)), "SetLock": Energise(SetLock(1, 999, 1, False))}
    for name, effect in wrong.items():

        def reckless(station: Scripted, event: Event, effect: Effect = effect) -> list[Effect]:
            if isinstance(event, ContactorReported) and event.closed:
                station.deadline = station.now.mono_ms + 8000
                return [MakeSafe(Withdraw(1, station.steps, "stop"))]
            if isinstance(event, Tick):
                station.deadline = None
                return [effect]
            return charges(16)(station, event)

        world = with_a_card(reckless)
        world.outlets[1].welded = True
        assert f"invariant 4 weld: {name}" in caught(world)


def test_a_device_that_closes_by_itself_offers_more_or_lets_more_flow() -> None:
    world = World([raw(32)], build=scripted()).runs(seconds=20)
    world.outlets[1].closed = True
    assert "invariant 3 open: EVSE 1 is closed" in caught(world)
    world = with_a_card(charges(6)).runs(seconds=20)
    world.outlets[1].offers(16)
    assert "offers 16 A, 6 A were commanded" in caught(world)
    world = with_a_card(charges(6)).runs(seconds=20)
    car = world.outlets[1].car
    assert car is not None and car.drawn == 6
    car.drawn = 20
    assert "20 A flow, 6 A were commanded" in caught(world)


def test_closing_outside_pilot_c() -> None:
    def permit(station: Scripted, event: Event) -> list[Effect]:
        return [TX, Energise(Permit(1, 99, 16, 3))] if event == PilotChanged(1, "B") else []

    world = with_a_card(permit).runs(seconds=5)
    world.outlets[1].cars.clear()
    world.outlets[1].closed = False
    world.judge.hardware.evses[1].open = True
    world.outlets[1].on_closing, close = world.outlets[1].on_closing, world.outlets[1].on_closing
    world.timeline.after(10, close)
    assert "invariant 2 close: EVSE 1 closed in pilot A" in caught(world)


def test_an_offer_of_a_boot_that_has_seen_nothing() -> None:
    def hasty(station: Scripted, event: Event) -> list[Effect]:
        return [Energise(Offer(1, 99, 6))] if station.steps == 3 else []

    assert "invariant 11 boot" in caught(World([raw(32)], build=scripted(hasty)))
