"""One story told again: `pytest tests/world/test_seed.py --seed 1000007 --until 4711 -s`. Skipped without options."""

from __future__ import annotations

import pytest

from tests.sim.replay import SHOWN, drawn, retell, shrunk
from tests.sim.stories import Plan


def _plan(config: pytest.Config) -> Plan:
    path, seed = config.getoption("--plan"), config.getoption("--seed")
    if path is not None:
        return Plan.load(path)
    if seed is None:
        pytest.skip("no --seed and no --plan")
    options = {name: config.getoption(f"--{name}") for name in ("hours", "days", "phases", "calm")}
    return drawn(seed, **options).plan


def test_the_story_of_the_command_line(pytestconfig: pytest.Config) -> None:
    plan = _plan(pytestconfig)
    until, shrink = pytestconfig.getoption("--until"), pytestconfig.getoption("--shrink")
    if shrink is not None:
        plan = shrunk(plan, shrink, print)
        print(f"\nsaved as {shrink}; seed {plan.seed}, {plan.site}, {dict(plan.keys)}\n{plan}")
    story, broken = retell(plan, until=until, steps=pytestconfig.getoption("--steps"))
    if until is not None:
        print(f"\n{story.world.tail(SHOWN)}")
    assert not broken, broken
