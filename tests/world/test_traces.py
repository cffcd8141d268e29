"""Stories that once broke an invariant, cut down by tests/sim/shrink.py; each is a file in traces/."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sim.stories import Plan, Story

TRACES = sorted((Path(__file__).parent / "traces").glob("*.json"))


@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.stem)
def test_what_once_broke_holds(path: Path) -> None:
    Story(Plan.load(path)).tell()
