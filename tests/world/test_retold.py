"""A story is told again by the command that its verdict names, and the long runs go on where they were stopped."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sim import soak
from tests.sim.invariants import Violation
from tests.sim.phase_stories import phase_story
from tests.sim.replay import drawn, retell
from tests.sim.stories import Story, random_life, random_story

ROOT = Path(__file__).resolve().parents[2]
KINDS = {
    "short": random_story(3),
    "calm": random_story(3, hours=2, faults=False),
    "life": random_life(3, days=2),
    "phases": phase_story(3),
    "calm phases": phase_story(3, faults=False),
}
STEPS = 60


@pytest.mark.parametrize("kind", KINDS)
def test_the_command_tells_the_same_story(kind: str, tmp_path: Path) -> None:
    plan, here, there = KINDS[kind].plan, tmp_path / "here", tmp_path / "there"
    retell(plan, until=STEPS, steps=here)
    options = ["-p", "no:cacheprovider", "--until", str(STEPS), "--steps", str(there)]
    subprocess.run([sys.executable, "-m", *plan.again.split(), *options], cwd=ROOT, check=True, capture_output=True)
    assert len(_steps(here)) == STEPS and _steps(there) == _steps(here)


def _steps(path: Path) -> list[str]:
    """Every step; in which order a process shows the members of a set is its own."""
    return [re.sub(r"frozenset\(\{.*?\}\)", "a set", line) for line in path.read_text().splitlines()]


def test_a_broken_story_names_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(story: Story) -> None:
        raise Violation("seed 3, step 1: invariant 8 transactions: lost")

    monkeypatch.setattr(Story, "tell", breaks)
    last = random_story(3, hours=2, faults=False).verdict().splitlines()[-1]
    assert last == "pytest tests/world/test_seed.py --seed 3 --hours 2 --calm -s"
    assert soak.tell(3, days=4).failure.endswith("(pytest tests/world/test_seed.py --seed 3 --days 4 -s)")
    cut_down = random_story(3).plan.with_scenes(())
    assert Story(cut_down).verdict().endswith("(no seed tells it again)")


def test_there_is_no_calm_life() -> None:
    with pytest.raises(ValueError, match="a life has faults"):
        drawn(3, calm=True)


def test_the_tally_of_the_long_runs_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "soak.json"
    first = soak.run(path, 1, 1, 1)
    assert soak.load(path) == first and first.lives == 1 and not first.failures
    second = soak.run(path, 1, 1, 1)
    assert (second.lives, second.next_seed) == (2, soak.FIRST_SEED + 2) and second.steps > first.steps
    assert soak.load(path) == second and list(tmp_path.iterdir()) == [path]


def test_a_tally_of_other_code_begins_anew_and_remembers(tmp_path: Path) -> None:
    path = tmp_path / "soak.json"
    for number in range(soak.EARLIER_KEPT + 2):
        tally = soak.load(path)
        tally.code = f"code {number}"
        soak.save(path, tally)
    kept = [tally["code"] for tally in soak.load(path).earlier]
    assert len(kept) == soak.EARLIER_KEPT and kept[-1] == f"code {soak.EARLIER_KEPT + 1}"
