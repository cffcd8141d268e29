"""What every test shares: the marks, how hypothesis runs, and the options that tell one story of the world again."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("chargerd", deadline=None)
settings.load_profile("chargerd")
"""A busy machine is no failure: nothing here is judged by the clock on the wall."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "req(*ids): OCPP requirement ids that the test checks")
    config.addinivalue_line("markers", "soak: long runs, only in `make soak`")


def pytest_addoption(parser: pytest.Parser) -> None:
    world = parser.getgroup("world", "one story of the simulated world (tests/world/test_seed.py)")
    world.addoption("--seed", type=int, help="tell the story of this seed again")
    world.addoption("--hours", type=float, help="its busy hours; without it, it is one of the long runs' lives")
    world.addoption("--plan", type=Path, help="tell a saved trace instead")
    world.addoption("--until", type=int, help="stop after this step and show the last ones")
    world.addoption("--steps", type=Path, help="write every step to this file")
    world.addoption("--shrink", type=Path, help="cut it down while the same invariant breaks, and save it here")
