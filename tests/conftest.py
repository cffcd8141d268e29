"""What every test shares: the marks, how hypothesis runs, and the options that tell one story of the world again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("chargerd", deadline=None)
settings.load_profile("chargerd")
"""A busy machine is no failure: nothing here is judged by the clock on the wall."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "req(*ids): OCPP requirement ids that the test checks")
    passed: Path | None = config.getoption("--passed")
    if passed is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Passed(passed))
    config.addinivalue_line("markers", "soak: long runs, only in `make soak`")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Ids travel with the report of a test, from the worker that has run it; the order is that of `_mixed`."""
    items[:] = _mixed(items)
    for item in items:
        ids = sorted({id_ for mark in item.iter_markers("req") for id_ in mark.args})
        if ids:
            item.user_properties.append(("req", ids))


WAIT = {"process", "hil", "io", "interop"}
"""Folders whose tests wait for real processes more than they compute."""


def _mixed(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Files that wait and files that compute in turn, so that workers of both kinds share the machine's cores.

    Folders with the longest files come first: none of them may begin when all others are done.
    """
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    waits = [found for path, found in files.items() if path.parent.name in WAIT]
    computes = [found for path, found in files.items() if path.parent.name not in WAIT]
    waits.sort(key=lambda found: found[0].path.parent.name != "process")
    computes.sort(key=lambda found: found[0].path.parent.name != "world")
    return [item for turn in zip_longest(waits, computes, fillvalue=()) for found in turn for item in found]


class Passed:
    """Writes the requirement ids of all tests that have passed, for `python -m docs.generate.requirements --passed`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ids: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed:
            told = [ids for name, ids in report.user_properties if name == "req" and isinstance(ids, list)]
            self._ids.update(id_ for ids in told for id_ in ids)

    def pytest_sessionfinish(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps(sorted(self._ids)), encoding="utf-8")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--passed", type=Path, help="write the requirement ids of the tests that passed to this file")
    world = parser.getgroup("world", "one story of the simulated world (tests/world/test_seed.py)")
    world.addoption("--seed", type=int, help="tell the story of this seed again")
    world.addoption("--hours", type=float, help="its busy hours; without it, it is one of the long runs' lives")
    world.addoption("--days", type=int, help="how long that life is")
    world.addoption("--phases", action="store_true", help="it is one of tests/sim/phase_stories.py")
    world.addoption("--calm", action="store_true", help="it has no faults")
    world.addoption("--plan", type=Path, help="tell a saved trace instead")
    world.addoption("--until", type=int, help="stop after this step and show the last ones")
    world.addoption("--steps", type=Path, help="write every step to this file")
    world.addoption("--shrink", type=Path, help="cut it down while the same invariant breaks, and save it here")
