"""What the CSMS allows is told by the judge alone: a current above any kind of charging profile is caught."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import pytest

from agent.core.effects import Effect, Energise
from agent.core.events import Event, FrameReceived
from hal.ports import Permit, PilotChanged, TokenPresented
from tests.sim.asks import DEFAULT, MAX, TX, csms_schedules_limits
from tests.sim.outlet import raw
from tests.sim.scripted import Reaction, Scripted, scripted
from tests.sim.world import World
from tests.world.test_judge import TX as KEPT
from tests.world.test_judge import caught

BEGAN_S, SLACK_S = 30, 12
"""When profiles are sent, and how far the station's time may be off."""
PLAIN: dict[str, Any] = {
    "purpose": DEFAULT, "evse": 1, "everywhere": True, "level": 0, "kind": "Absolute", "unit": "A", "phases": None,
    "step_s": 60, "started_s": -60, "duration_s": None, "valid_s": None,
}  # fmt: skip


def charges(amps: float, again: float | None = None) -> Reaction:
    """Accepts everything and heeds nothing: so much from the card on, `again` after a restart."""

    def react(station: Scripted, event: Event) -> list[Effect]:
        if isinstance(event, TokenPresented):
            return [KEPT, Energise(Permit(1, station.steps, amps, 3))]
        if again is not None and station.recovered and isinstance(event, PilotChanged):
            return [Energise(Permit(1, station.steps, again, 3))]
        if isinstance(event, FrameReceived) and station.answers[-1][0] == 2:
            return [station.say([3, station.answers[-1][1], {"status": "Accepted"}])]
        return []

    return react


def charging(*profiles: dict[str, Any], reaction: Reaction | None = None) -> World:
    """A transaction with 16 A on three phases, to which the CSMS sends these at `BEGAN_S`."""
    world = World([raw(32)], build=scripted(reaction or charges(16)), ticking=True)
    world.ev(1).after(seconds=5).plugs_in().presents("04AABBCC")
    for number, profile in enumerate(profiles):
        world.later(BEGAN_S + number, partial(csms_schedules_limits, world, **{**PLAIN, **profile}))
    return world


ABOVE: dict[str, tuple[tuple[dict[str, Any], ...], int, str]] = {
    "a lower level when the higher one's validity is over": (
        ({"level": 1, "limits": [20.0], "valid_s": (-30, 90)}, {"limits": [10.0]}), 90, "10 A"),
    "a lower level when the higher one's duration is over": (
        ({"level": 1, "limits": [20.0], "duration_s": 150}, {"limits": [10.0]}), 90, "10 A"),
    "a level that is valid from then on": (
        ({"limits": [20.0]}, {"level": 2, "limits": [8.0], "valid_s": (90, 900)}), 91, "8 A"),
    "a period of every day": (
        ({"kind": "Daily", "limits": [32.0, 10.0], "step_s": 3690, "started_s": -90_000},), 90, "10 A"),
    "a period of every week": (
        ({"kind": "Weekly", "limits": [32.0, 10.0], "step_s": 690, "started_s": -7 * 86_400 - 600},), 90, "10 A"),
    "a period since the transaction began": (
        ({"kind": "Relative", "limits": [32.0, 10.0], "step_s": 120},), 95, "10 A"),
    "a profile of the transaction": (({"limits": [20.0]}, {"purpose": TX, "limits": [10.0]}), 1, "10 A"),
    "a profile of the EVSE": (({"limits": [20.0]}, {"everywhere": False, "level": 1, "limits": [10.0]}), 1, "10 A"),
    "a later period of the station's maximum": (
        ({"purpose": MAX, "limits": [32.0, 20.0, 9.0], "step_s": 75},), 90, "in total, the CSMS allows 9 A"),
    "watts": (({"unit": "W", "limits": [20.0, 10.0], "step_s": 150, "phases": 3},), 90, "7 watts"),
}  # fmt: skip


@pytest.mark.parametrize("name", ABOVE)
def test_a_current_above(name: str) -> None:
    """Caught, and not before the limit holds."""
    profiles, after_s, text = ABOVE[name]
    found = caught(charging(*profiles), seconds=200)
    at = re.search(r"([\d.]+) s: ", found)
    assert text in found and at and 0 <= float(at[1]) - BEGAN_S - after_s <= SLACK_S + 1, found


@pytest.mark.parametrize(
    "profiles",
    [
        ({"purpose": TX, "limits": [20.0]}, {"limits": [10.0]}),
        ({"level": 1, "limits": [16.0]}, {"limits": [0.0]}),
        ({"limits": [0.0], "valid_s": (-90, -30)},),
        ({"limits": [0.0], "started_s": 300},),
        ({"kind": "Relative", "limits": [16.0, 0.0], "step_s": 300},),
        ({"purpose": MAX, "limits": [16.0], "level": 2}, {"purpose": MAX, "limits": [6.0]}),
    ],
)  # fmt: skip
def test_what_another_profile_allows_is_no_break(profiles: tuple[dict[str, Any], ...]) -> None:
    charging(*profiles).runs(seconds=150)


def test_more_than_before_a_restart_without_a_clock() -> None:
    """Invariant 5: that a level was over is not forgotten with the time; what was allowed stays so."""
    lower, over = {"limits": [6.0]}, {"level": 1, "limits": [20.0], "valid_s": (-30, 5)}
    for again, breaks in ((16.0, True), (6.0, False)):
        world = charging(over, lower, reaction=charges(6, again)).runs(seconds=80)
        world.judge.limits.standalone = True
        world.clock.battery = False
        world.loses_power().returns_after(seconds=10)
        if breaks:
            assert "16 A, 11040 W at EVSE 1, the CSMS allows 6 A" in caught(world, seconds=30)
        else:
            world.runs(seconds=30)
            assert world.judge.limits.evses[1].amps == 6


def test_what_may_have_been_taken_away_binds_no_more() -> None:
    """A request whose answer is lost was done or not."""
    world = charging({"limits": [16.0]}).runs(seconds=60)
    judge = world.judge.allowance
    assert judge.refuses(1, 17, 11_730) == "16 A"
    judge.asked("ClearChargingProfile", {"chargingProfileCriteria": {"stackLevel": 0}})
    assert judge.refuses(1, 17, 11_730) == ""
    judge.profiles.answered("ClearChargingProfile", {"chargingProfileCriteria": {"stackLevel": 0}}, False)
    assert judge.refuses(1, 17, 11_730) == "16 A"
    judge.asked("ClearChargingProfile", {"chargingProfileId": 2})
    judge.profiles.unheard()
    assert judge.refuses(1, 17, 11_730) == ""
