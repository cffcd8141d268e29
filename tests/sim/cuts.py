"""A power cut at every boundary between two effects of a reference story."""

from __future__ import annotations

import gc
import os
import pickle
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

from tests.sim.disk import Keep
from tests.sim.world import World

Story = Callable[[], World]
"""Makes a world and lets a story happen in it by time alone, whatever the station does."""


def cut_points(
    make: Story,
    tell: Callable[[World], object],
    judge: Callable[[World], Any],
    *,
    keep: Keep = "random",
    outage_s: float = 40,
    every: int = 1,
) -> list[Any]:
    """What `judge` returns for each boundary (or each `every`-th), the power going there and coming back.

    The story is told once. At each boundary a child process branches off, in which the power goes, the story is told to
    its end and judged. An AssertionError names the boundary and has the child's traceback.
    """
    world = make()
    world.cut_for_s, world.cut_keeps = outage_s, keep
    branches = _Branches(world, every)
    world.at_boundary = branches.branch
    try:
        tell(world)
        if branches.parent is not None:
            branches.ends((judge(world), ""))
    except BaseException:  # in a child nobody above may see it: it would run the rest of the tests
        if branches.parent is None:
            raise
        branches.ends((None, traceback.format_exc()))
    return branches.told


class _Branches:
    """The children of one story; `parent` is where a child tells its end, None in the story itself."""

    def __init__(self, world: World, every: int) -> None:
        self.parent: int | None = None
        self.told: list[Any] = []
        self._world = world
        self._every = every

    def branch(self) -> None:
        """A child in which the power goes here; the story itself waits for its end."""
        if self.parent is not None or (self._world.boundaries - 1) % self._every:
            return
        reads, writes = os.pipe()
        child = os.fork()
        if not child:
            gc.freeze()  # what the parent has made is not looked through, and so not copied
            self.parent, self._world.cut_at = writes, self._world.boundaries
            return
        os.close(writes)
        with open(reads, "rb") as told:
            ended = told.read()
        _, status = os.waitpid(child, 0)
        assert ended and not status, f"the process of the cut at boundary {self._world.boundaries} died: {status}"
        value, failure = pickle.loads(ended)
        assert not failure, f"cut at boundary {self._world.boundaries}:\n{failure}"
        self.told.append(value)

    def ends(self, end: tuple[Any, str]) -> NoReturn:
        """The child's last deed; whatever happens, it never goes on with what its parent is about to do."""
        assert self.parent is not None
        status = 1
        try:
            with open(self.parent, "wb") as parent:
                parent.write(pickle.dumps(end))
            status = 0
        finally:
            os._exit(status)
