"""Phase switching, told as stories: F1 to F3 of the buyers' list, invariants 4, 6 and 7."""

from __future__ import annotations

from typing import Any

from tests.sim.asks import LONG_AGO
from tests.sim.outlet import OutletSpec, switching
from tests.sim.world import World

QUICK = {"PhaseSwitchCtrlr.MinDwell": "60", "PhaseSwitchCtrlr.MaxPerSession": "0"}


def profile(limit: float, *, unit: str = "A", phases: int | None = None, evse: int = 0) -> dict[str, Any]:
    """A TxDefaultProfile for ever."""
    period: dict[str, Any] = {"startPeriod": 0, "limit": limit}
    if phases is not None:
        period["numberPhases"] = phases
    schedule = {"id": 1, "startSchedule": LONG_AGO, "chargingRateUnit": unit, "chargingSchedulePeriod": [period]}
    return {
        "evseId": evse,
        "chargingProfile": {
            "id": 7, "stackLevel": 0, "chargingProfilePurpose": "TxDefaultProfile", "chargingProfileKind": "Absolute",
            "chargingSchedule": [schedule],
        },
    }  # fmt: skip


def charging(spec: OutletSpec, seed: int = 1, **keys: str) -> World:
    """A world whose EVSE 1 charges on three phases."""
    world = World((spec,), seed=seed, keys={**QUICK, **keys})
    world.runs(seconds=20)
    world.ev(1).plugs_in(cable_amps=32.0).presents("04AABBCC")
    world.until(lambda: world.outlets[1].amps > 5, within_s=120, what="charges")
    assert world.outlets[1].closed_phases == 3
    return world


def sets(world: World, payload: dict[str, Any]) -> None:
    assert world.csms_asks("SetChargingProfile", payload)["status"] == "Accepted"


def on(world: World, phases: int) -> bool:
    outlet = world.outlets[1]
    return outlet.closed_phases == phases and outlet.amps > 5


def test_number_phases_switches_and_keeps_the_transaction() -> None:
    world = charging(switching())
    sets(world, profile(16, phases=1))
    world.until(lambda: on(world, 1), within_s=90, what="one phase")
    sets(world, profile(16, phases=3))
    world.until(lambda: on(world, 3), within_s=180, what="three phases")
    assert len(world.csms.transactions) == 1
    world.settles()
