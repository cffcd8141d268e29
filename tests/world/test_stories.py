"""Random stories: every seed must keep every invariant, and end with every watt-hour told."""

from __future__ import annotations

import pytest

from tests.sim.stories import random_life, random_story


@pytest.mark.parametrize("seed", range(8))
def test_ordinary_days(seed: int) -> None:
    assert random_story(seed, hours=2, faults=False).verdict() == ""


@pytest.mark.parametrize("first", range(0, 160, 20))
def test_bad_half_hours(first: int) -> None:
    """Fault follows on fault."""
    broken = [found for seed in range(first, first + 20) if (found := random_story(seed).verdict())]
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize("seed", range(3))
def test_whole_lives(seed: int) -> None:
    """What the long runs are made of."""
    assert random_life(seed, days=2).verdict() == ""


def test_a_story_replays_identically() -> None:
    assert random_story(101).tell().fingerprint == random_story(101).tell().fingerprint
