"""Cuts a failing story down: scenes are left out for as long as the same invariant still breaks."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from tests.sim.stories import Plan, Story

TRIES = 600


@dataclass(frozen=True)
class Broken:
    """What went wrong: the invariant (or the first words of another failure), when, and the whole line."""

    invariant: str
    at_s: float
    text: str


def verdict(plan: Plan) -> Broken | None:
    """Tell it; None when everything holds."""
    story = Story(plan)
    text = story.verdict().split("\n", 1)[0]
    if not text:
        return None
    found = re.search(r"invariant (\d+ \w+)|: (not within|the station broke)", text)
    return Broken((found[1] or found[2]) if found else text[-40:], story.world.now_ms / 1000, text)


class _Search:
    """Looks for a smaller plan that breaks the same invariant."""

    def __init__(self, plan: Plan, broken: Broken, tell: Callable[[str], None]) -> None:
        self.plan, self.broken, self.tell = plan, broken, tell
        self.tries = 0

    def accept(self, plan: Plan) -> bool:
        """Take this one if it still breaks."""
        self.tries += 1
        found = verdict(plan)
        if found is None or found.invariant != self.broken.invariant:
            return False
        self.plan, self.broken = plan, found
        self.tell(f"try {self.tries}: {len(plan.scenes)} scenes, {plan.hours:.2f} h: {found.text[:120]}")
        return True

    def shorter(self) -> None:
        """End the story soon after it breaks."""
        hours = round((self.broken.at_s + 1) / 3600, 4)
        if hours < self.plan.hours:
            scenes = (scene for scene in self.plan.scenes if scene.at_s <= self.broken.at_s)
            self.accept(replace(self.plan.with_scenes(scenes), hours=hours))

    def fewer(self) -> None:
        """Leave out halves, quarters, ... single scenes."""
        size = max(1, len(self.plan.scenes) // 2)
        while self.tries < TRIES:
            at, smaller = 0, False
            while at < len(self.plan.scenes) and self.tries < TRIES:
                scenes = self.plan.scenes[:at] + self.plan.scenes[at + size :]
                if self.accept(self.plan.with_scenes(scenes)):
                    smaller = True
                else:
                    at += size
            if size == 1 and not smaller:
                return
            size = max(1, size // 2)


def shrink(plan: Plan, broken: Broken, tell: Callable[[str], None] = lambda line: None) -> Plan:
    """The smallest plan found that breaks the same invariant."""
    search = _Search(plan, broken, tell)
    search.shorter()
    search.fewer()
    search.shorter()
    return search.plan
