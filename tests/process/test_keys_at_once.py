"""Keys that need no reboot take effect at once: the story on the real process, and the same in the world."""

from __future__ import annotations

from pathlib import Path

from hil.real_bench import RealBench
from hil.scenarios.keys_at_once import SLOW, keys_at_once
from tests.marks import req
from tests.process.benches import plan
from tests.sim.outlet import raw, smart
from tests.sim.sim_bench import SimBench


@req("B05.FR.10")
def test_every_key_family_takes_effect_on_the_running_process(tmp_path: Path) -> None:
    with RealBench(plan(tmp_path, **SLOW)) as bench:
        keys_at_once(bench)
        failed = [f"{check.what}: {check.found}" for check in bench.checks if not check.holds]
    assert not failed


@req("B05.FR.10")
def test_every_key_family_takes_effect_in_the_world() -> None:
    bench = SimBench((smart(16), raw(32)), keys=SLOW)
    keys_at_once(bench)
    assert [(what, found) for what, holds, found in bench.checks if not holds] == []
