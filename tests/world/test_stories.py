"""Random stories: every seed must keep every invariant, and end with every watt-hour told."""

from __future__ import annotations

import pytest

from tests.sim.stories import random_story


@pytest.mark.parametrize("seed", range(8))
def test_ordinary_days(seed: int) -> None:
    random_story(seed, faults=False).tell()


@pytest.mark.parametrize("seed", range(100, 136))
def test_bad_days(seed: int) -> None:
    random_story(seed).tell()


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10_000, 11_000))
def test_many_bad_days(seed: int) -> None:
    random_story(seed, hours=4).tell()


def test_a_story_replays_identically() -> None:
    assert random_story(101).tell().fingerprint == random_story(101).tell().fingerprint
