"""Scenarios on real wires: the agent's process, ptys, sockets and the bench CSMS."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hil.plan import DEFAULT, BenchPlan, load
from hil.real_bench import RealBench
from hil.scenarios.charging_session import charging_session
from hil.scenarios.over_current import over_current
from tests.marks import req
from tests.sim.sim_bench import SimBench

LIVELY = {"wake_s": 0.2, "react_s": 0.2, "ramp_up": 50.0, "stop_s": 0.2}
QUICK_KEYS = {
    "SampledDataCtrlr.TxUpdatedInterval": "1",
    "OCPPCommCtrlr.RetryBackOffWaitMinimum": "1",
    "OCPPCommCtrlr.RetryBackOffRandomRange": "0",
}


def quick(directory: Path) -> BenchPlan:
    plan = load(DEFAULT)
    evses = tuple(replace(evse, car=LIVELY) for evse in plan.evses)
    return replace(plan, directory=directory, evses=evses, keys={**plan.keys, **QUICK_KEYS})


@req("E01.FR.07", "E02.FR.05", "E04.FR.01", "E04.FR.02")
@pytest.mark.parametrize("evse", [1, 2], ids=["smart wallbox", "raw board"])
def test_a_charging_session(tmp_path: Path, evse: int) -> None:
    with RealBench(quick(tmp_path / "bench")) as bench:
        charging_session(bench, evse)
        failed = [f"{check.what}: {check.found}" for check in bench.checks if not check.holds]
    assert not failed
    assert bench.rig.agent.exit_code == 0


@req("E06.FR.16")
def test_a_car_that_draws_too_much(tmp_path: Path) -> None:
    """The same story in the world and on real Modbus and serial lines."""
    world = SimBench()
    over_current(world)
    assert not [what for what, holds, _ in world.checks if not holds]
    with RealBench(quick(tmp_path / "bench")) as bench:
        over_current(bench)
        failed = [f"{check.what}: {check.found}" for check in bench.checks if not check.holds]
    assert not failed
