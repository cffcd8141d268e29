"""Stories about phases: cars that stay, demands that change every few minutes, and every fault of the world.

`python -m tests.sim.phase_stories --moves 1000` tells them until the relays have moved so often, and prints figures.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from random import Random
from typing import NamedTuple

from tests.sim.happenings import VERBS, Scene
from tests.sim.outlet import OutletSpec, switching
from tests.sim.stories import CALM, Plan, Story
from tests.sim.visits import CARDS

HOURS = 2.0
FIRST_SEED = 5_000
SITES: tuple[tuple[OutletSpec, ...], ...] = (
    (switching("raw", 32),),
    (switching("smart", 16),),
    (switching("raw", 32, "socket"), switching("smart", 16)),
)
ASKING = ("csms asks for phases", "csms has little power", "surplus changes", "person chooses phases",
          "csms clears limits")  # fmt: skip


def phase_story(seed: int, *, faults: bool = True) -> Story:
    """Two hours of one station, not yet told."""
    rng = Random(f"phases {seed}")
    site = rng.choice(SITES)
    keys = {
        "PhaseSwitchCtrlr.Mode": rng.choice(("OneWay", "Both", "Both")),
        "PhaseSwitchCtrlr.MinDwell": "60",
        "PhaseSwitchCtrlr.MaxPerSession": rng.choice(("0", "0", "6")),
        "PhaseSwitchCtrlr.MinimumTime[Up]": "20",
        "PhaseSwitchCtrlr.MinimumTime[Down]": rng.choice(("0", "20")),
        "PhaseSwitchCtrlr.PauseTime": rng.choice(("2", "5", "10")),
        "FallbackCtrlr.OfflineGrace": rng.choice(("30", "300")),
        "SampledDataCtrlr.TxUpdatedInterval": "300",
    }
    scenes = [scene for evse in range(1, len(site) + 1) for scene in _stays(rng, evse)]
    scenes += _happens(rng, len(site), ASKING, 150.0)
    if faults:
        drawn = [verb.name for verb in VERBS.values() if verb.weight and verb.name not in ASKING]
        scenes += _happens(rng, len(site), drawn, 400.0)
    ordered = tuple(sorted(scenes, key=lambda scene: scene.at_s))
    drawn_by = f"--seed {seed} --phases{'' if faults else CALM}"
    return Story(Plan(seed, site, keys, HOURS, ordered, merged=rng.random() < 0.8, drawn_by=drawn_by))


def _stays(rng: Random, evse: int) -> list[Scene]:
    """One car after the other, each for half an hour or more."""
    scenes, at = [], rng.uniform(20, 60)
    while at < HOURS * 3600 - 1800:
        bad = ["keeps_s2"] if rng.random() < 0.1 else []
        car = {"evse": evse, "phases": rng.choice((1, 2, 3, 3)), "amps": rng.choice((16.0, 32.0)), "cable_amps": 32.0}
        scenes.append(Scene(at, "plugs in", {**car, "bad": bad}))
        scenes.append(Scene(at + 5, "presents", {"evse": evse, "card": rng.choice(CARDS)}))
        at += rng.uniform(1800, 5400)
        scenes.append(Scene(at, "unplugs", {"evse": evse}))
        at += rng.uniform(5, 90)
    return scenes


def _happens(rng: Random, evses: int, names: Sequence[str], every_s: float) -> list[Scene]:
    scenes, at = [], 60.0
    weights = [VERBS[name].weight for name in names]
    while (at := at + rng.expovariate(1 / every_s)) < HOURS * 3600 - 300:
        verb = VERBS[rng.choices(names, weights)[0]]
        scenes.append(Scene(round(at, 3), verb.name, verb.drawn(rng, range(1, evses + 1))))
    return scenes


class Told(NamedTuple):
    """What one story was."""

    seed: int
    moves: int
    steps: int
    faults: int
    cuts: int
    failure: str


def tell(seed: int) -> Told:
    """Tell one to its end."""
    story = phase_story(seed)
    failure = story.verdict()
    world = story.world
    asked = sum(scene.verb in ASKING for scene in story.plan.scenes)
    return Told(seed, world.judge.phases.total, world.total_steps, len(story.plan.faults) - asked, world.cuts, failure)


def until(moves: int, workers: int) -> Iterator[Told]:
    """Stories in the order of their seeds until the relays have moved so often."""
    seed, seen = FIRST_SEED, 0
    with ProcessPoolExecutor(workers) as pool:
        while seen < moves:
            batch = range(seed, seed + 8 * workers)
            for told in pool.map(tell, batch):
                seen += told.moves
                yield told
            seed = batch.stop


def main(argv: Sequence[str]) -> int:
    """Tell and count; 1 when an invariant broke."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim.phase_stories", description=__doc__)
    parser.add_argument("--moves", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=1)
    wanted = parser.parse_args(argv)
    began, told = time.monotonic(), []
    for one in until(wanted.moves, wanted.workers):
        told.append(one)
        if one.failure:
            print(one.failure, flush=True)
    moves, steps, faults, cuts = (sum(column) for column in list(zip(*told, strict=True))[1:5])
    broken = sum(bool(one.failure) for one in told)
    print(f"{moves} phase switches in {len(told)} stories of {HOURS:g} h: {steps} checked steps, {faults} faults, "
          f"{cuts} cuts, {broken} broken, {time.monotonic() - began:.0f} s")  # fmt: skip
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
