"""One story told again, step by step: what `pytest --seed N [--until STEP] [--steps FILE] [--shrink FILE]` does.

Which story a seed means: a life of `--days`, a short story of `--hours`, or one about `--phases`; `--calm`: no faults.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.sim.phase_stories import phase_story
from tests.sim.shrink import shrink, verdict
from tests.sim.stories import DAYS, Plan, Story, random_life, random_story

SHOWN = 12
"""Steps that are shown before the one asked for."""


def drawn(
    seed: int, *, hours: float | None = None, days: int | None = None, phases: bool = False, calm: bool = False
) -> Story:
    """The story that these options mean, not yet told. ValueError for a life without faults: there is none."""
    if phases:
        return phase_story(seed, faults=not calm)
    if hours is not None:
        return random_story(seed, hours=hours, faults=not calm)
    if calm:
        raise ValueError("a life has faults; a calm story needs --hours or --phases")
    return random_life(seed, days=days or DAYS)


class Reached(BaseException):
    """The step that was asked for has been made."""


def retell(plan: Plan, *, until: int | None = None, steps: Path | None = None) -> tuple[Story, str]:
    """Tell the story, up to a step at most; every step goes to `steps`. Returns it and what broke ("": nothing)."""
    story = Story(plan)
    lines: list[str] = []

    def watch(step: int, line: str) -> None:
        lines.append(f"step {step}: {line}")
        if step == until:
            raise Reached

    story.world.watch = watch
    broken = ""
    with suppress(Reached):
        broken = story.verdict()
    if steps is not None:
        steps.write_text("\n".join(lines) + "\n")
    return story, broken


def shrunk(plan: Plan, path: Path, tell: Callable[[str], None]) -> Plan:
    """Cut the story down to what still breaks the same invariant, and save it; `tell` hears of progress."""
    broken = verdict(plan)
    assert broken is not None, "it breaks nothing: there is nothing to shrink"
    tell(broken.text)
    small = shrink(plan, broken, tell)
    small.save(path, broken.invariant)
    return small
