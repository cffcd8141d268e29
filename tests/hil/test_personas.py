"""Backends as they are found in the field, each with its story, in virtual time."""

from __future__ import annotations

import pytest

from hil.personas import PERSONAS
from tests.sim.outlet import raw, smart
from tests.sim.sim_bench import SimBench

RARELY_MS = 60_000
"""How often meters are read where a story takes half a day."""


@pytest.mark.parametrize("name", sorted(PERSONAS))
def test_a_station_gets_along_with_it(name: str) -> None:
    bench = SimBench((smart(16), raw(32)))
    if name == "cloud-gateway":
        for driver in bench.world.hardware.drivers.values():
            driver.meter_idle_ms = driver.meter_plugged_ms = RARELY_MS
    PERSONAS[name].behave(bench.behaviour)
    PERSONAS[name].story(bench)
    assert [(what, found) for what, holds, found in bench.checks if not holds] == []
    assert len(bench.checks) >= 5
