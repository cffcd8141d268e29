"""What happens around phase relays: who asks for fewer phases, and how relays and half contactors fail."""

from __future__ import annotations

from typing import Any

from agent.core.events import Asked, LimitReleased, LimitSet
from tests.sim.asks import DEFAULT, MAX, plain_profile
from tests.sim.happenings import an_evse, pick, verb
from tests.sim.world import World

ASK = 1_000_000
"""Number of the questions that nobody waits for."""


@verb(weight=3, purpose=pick(MAX, DEFAULT), phases=pick(1, 1, 3), unit=pick("A", "W"))
def csms_asks_for_phases(world: World, purpose: str, phases: int, unit: str) -> None:
    profile = plain_profile(10.0 if unit == "A" else 5_000.0, purpose=purpose, unit=unit)
    periods: list[dict[str, Any]] = profile["chargingProfile"]["chargingSchedule"][0]["chargingSchedulePeriod"]
    periods[0]["numberPhases"] = phases
    world.csms.sends("SetChargingProfile", profile)


@verb(weight=2, watts=pick(1_000.0, 1_500.0, 2_500.0, 4_000.0, 4_200.0, 6_000.0, 40_000.0))
def csms_has_little_power(world: World, watts: float) -> None:
    world.csms.sends("SetChargingProfile", plain_profile(watts, unit="W"))


@verb(weight=1, watts=pick(2_000.0, 4_300.0, 8_000.0), phases=pick(None, 1, 3), seconds=pick(60, 600))
def surplus_changes(world: World, watts: float, phases: int | None, seconds: int) -> None:
    world.hear(LimitSet("EMS", 0, watts, "W", seconds, 1_500.0, phases=phases))
    world.later(seconds * 2, lambda: world.hear(LimitReleased("EMS", 0)))


@verb(weight=1, evse=an_evse, phases=pick("1", "3", "auto"), seconds=pick(90, 900))
def person_chooses_phases(world: World, evse: int, phases: str, seconds: float) -> None:
    world.hear(Asked(ASK, "phase", {"evse": evse, "phases": phases}))
    world.later(seconds, lambda: world.hear(Asked(ASK, "phase", {"evse": evse, "phases": "auto"})))


@verb(weight=1, evse=an_evse, seconds=pick(20, 600))
def phase_relay_sticks(world: World, evse: int, seconds: float) -> None:
    world.outlets[evse].relay_stuck = True
    world.later(seconds, lambda: setattr(world.outlets[evse], "relay_stuck", False))


@verb(weight=1, evse=an_evse, seconds=pick(5, 60))
def phase_relay_does_not_tell(world: World, evse: int, seconds: float) -> None:
    def tells(blind: bool) -> None:
        world.outlets[evse].relay_blind = blind
        world.outlets[evse].on_change()

    tells(True)
    world.later(seconds, lambda: tells(False))


@verb(weight=1, evse=an_evse, seconds=pick(60, 600))
def second_contactor_does_not_close(world: World, evse: int, seconds: float) -> None:
    world.outlets[evse].half_stuck = True
    world.later(seconds, lambda: setattr(world.outlets[evse], "half_stuck", False))


@verb(weight=1, evse=an_evse, seconds=pick(60, 900))
def second_contactor_welds(world: World, evse: int, seconds: float) -> None:
    """A technician comes, cuts the power and replaces it."""

    def repair() -> None:
        world.loses_power().returns_after(seconds=30)
        world.outlets[evse].repaired()

    world.outlets[evse].half_welded = True
    world.later(seconds, repair)
