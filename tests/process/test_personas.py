"""The real process and a backend of the field; the tests of the world play all of them."""

from __future__ import annotations

from pathlib import Path

from hil.personas import PERSONAS
from hil.real_bench import RealBench
from tests.process.benches import plan


def test_home_assistant_takes_stock_and_charges_a_car(tmp_path: Path) -> None:
    bench = RealBench(plan(tmp_path))
    PERSONAS["home-assistant"].behave(bench.behaviour)
    with bench:
        PERSONAS["home-assistant"].brief(bench)
        failed = [f"{check.what}: {check.found}" for check in bench.checks if not check.holds]
    assert not failed and bench.rig.agent.exit_code == 0
