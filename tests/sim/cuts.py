"""A power cut at every boundary between two effects of a reference story."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.sim.disk import Keep
from tests.sim.world import World

Story = Callable[[], World]
"""Makes a world and lets a story happen in it by time alone, whatever the station does."""


def count_boundaries(make: Story, tell: Callable[[World], object]) -> int:
    """How many places there are in the story at which the power can be cut."""
    world = make()
    tell(world)
    return world.boundaries


def cut_points(
    make: Story, tell: Callable[[World], object], *, keep: Keep = "random", outage_s: float = 40, every: int = 1
) -> Iterator[World]:
    """The story once for each boundary (or each `every`-th), told with the power going there and coming back."""
    for number in range(1, count_boundaries(make, tell) + 1, every):
        world = make()
        world.cut_at, world.cut_for_s, world.cut_keeps = number, outage_s, keep
        tell(world)
        yield world
