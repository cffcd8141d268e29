"""K01: what charging profiles amount to without a clock, after their time, and with a meter on a dead output."""

from __future__ import annotations

import pytest

from agent.core.instant import rfc3339
from tests.blocks.stories import CARD, QUIET, charging, idle, install, profile, station_maximum, why
from tests.marks import req
from tests.sim.outlet import raw
from tests.sim.world import World

LATE_BOOT = {
    **QUIET, "FallbackCtrlr.BootLimit": "16", "AuthCtrlr.OfflineTxForUnknownIdEnabled": "true",
}  # fmt: skip
"""A transaction that was cut waits for a clock; the cars of these stories come after the cut."""


def without_a_clock(world: World) -> float:
    """What is offered to a car that comes after a power cut, with no CSMS and no clock."""
    world.csms.vanishes()
    world.clock.synchronised = False
    world.loses_power().returns_after(seconds=10)
    world.runs(seconds=30)
    world.ev(1).plugs_in().presents(CARD)
    return world.runs(minutes=1).outlets[1].offered


def soon(world: World, seconds: int) -> str:
    """A moment ahead (RFC 3339)."""
    return rfc3339(world.clock.utc_ms + 1000 * seconds)


@req("K01.FR.36")
def test_without_a_clock_a_profile_counts_with_its_lowest_period() -> None:
    world = idle(keys=LATE_BOOT)
    install(world, 1, profile(1, (0, 20.0), (3600, 9.0), (7200, 25.0)))
    assert without_a_clock(world) == 9


@req("K01.FR.36", "K01.FR.37")
@pytest.mark.parametrize("evse", [0, 1])
def test_without_a_clock_a_profile_that_may_be_over_hides_none_below_it(evse: int) -> None:
    world = idle(keys=LATE_BOOT)
    purpose = "TxDefaultProfile" if evse else "ChargingStationMaxProfile"
    install(world, evse, profile(1, (0, 8.0), chargingProfilePurpose=purpose))
    high = profile(2, (0, 20.0), chargingProfilePurpose=purpose, stackLevel=5, validTo=soon(world, 5))
    install(world, evse, high)
    world.runs(seconds=40)
    assert without_a_clock(world) == 8


@req("K01.FR.36")
def test_without_a_clock_a_profile_that_surely_holds_hides_those_below_it() -> None:
    world = idle(keys=LATE_BOOT)
    install(world, 1, profile(1, (0, 8.0)))
    install(world, 1, profile(2, (0, 12.0), stackLevel=5))
    world.runs(minutes=6)
    assert without_a_clock(world) == 12


@req("K01.FR.37")
def test_without_a_clock_what_holds_after_a_profile_holds_on() -> None:
    world = idle(keys={**LATE_BOOT, "FallbackCtrlr.ProfileExpiredLimit": "6"})
    install(world, 1, profile(1, (0, 10.0), validTo=soon(world, 60)))
    world.runs(minutes=2)
    assert without_a_clock(world) == 6


@req("K01.FR.37")
def test_after_a_station_maximum_the_limit_of_the_key_holds_as_after_any_profile() -> None:
    world = charging(keys={**QUIET, "FallbackCtrlr.ProfileExpiredLimit": "8"})
    install(world, 0, station_maximum(1, (0, 10.0), validTo=soon(world, 60)))
    assert world.runs(seconds=30).outlets[1].offered == 10
    assert world.runs(minutes=1).outlets[1].offered == 8 and why(world)["owner"] == "profile expired"


@req("K01.FR.50")
def test_a_dead_output_is_no_measured_voltage() -> None:
    world = idle([raw(32, phases=3)], keys={**QUIET, "LimitCtrlr.WattVoltage": "Measured"})
    install(world, 1, profile(1, (0, 4200.0), chargingRateUnit="W"))
    world.outlets[1].volts = 20.0
    world.runs(seconds=15)
    world.ev(1).plugs_in(cable_amps=32.0).presents(CARD)
    world.until(lambda: world.outlets[1].offered > 0, within_s=30)
    assert world.outlets[1].offered == 6
