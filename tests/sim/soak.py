"""Many random stories in a row, accumulating: `python -m tests.sim.soak --seeds 500` (also `make soak SEEDS=500`).

Every story keeps every invariant or is a failure with its one line. The tally is kept in a file, the next run goes on
with the next seed. A charger-year is 1,000 sessions (DESIGN.md section 5).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.sim.stories import random_story

TALLY = Path(__file__).resolve().parents[2] / "docs" / "soak.json"
SESSIONS_A_YEAR = 1_000
FIRST_SEED = 1_000_000
HOURS = 24.0


@dataclass
class Tally:
    """What all runs together have seen."""

    next_seed: int = FIRST_SEED
    stories: int = 0
    simulated_hours: float = 0.0
    sessions: int = 0
    steps: int = 0
    boots: int = 0
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)

    @property
    def years(self) -> float:
        """Simulated charger-years."""
        return self.sessions / SESSIONS_A_YEAR

    def line(self) -> str:
        """For people."""
        speed = self.steps / self.seconds if self.seconds else 0.0
        return (
            f"{self.years:.2f} charger-years, {self.sessions} sessions, {self.boots} boots, {self.steps} checked steps "
            f"({speed:.0f}/s a core), {len(self.failures)} failures"
        )


@dataclass(frozen=True)
class Told:
    """What one story was."""

    seed: int
    sessions: int
    steps: int
    boots: int
    seconds: float
    failure: str = ""


def tell(seed: int, hours: float = HOURS) -> Told:
    """One story to its end; a broken invariant comes back as its line."""
    began = time.process_time()
    story = random_story(seed, hours=hours)
    failure = ""
    try:
        story.tell()
    except AssertionError as broken:
        failure = f"seed {seed}: {str(broken).splitlines()[0][:300]}"
    world = story.world
    spent = time.process_time() - began
    return Told(seed, len(world.csms.transactions), world.total_steps, world.boots, spent, failure)


def add(tally: Tally, told: Told, hours: float) -> None:
    """Count one story."""
    tally.stories += 1
    tally.simulated_hours += hours
    tally.sessions += told.sessions
    tally.steps += told.steps
    tally.boots += told.boots
    tally.seconds += told.seconds
    if told.failure:
        tally.failures.append(told.failure)


def load(path: Path) -> Tally:
    """The tally so far."""
    return Tally(**json.loads(path.read_text())) if path.exists() else Tally()


def run(path: Path, seeds: int, hours: float, workers: int) -> Tally:
    """Tell `seeds` more stories; the file is written after each."""
    tally = load(path)
    first, tally.next_seed = tally.next_seed, tally.next_seed + seeds
    with ProcessPoolExecutor(workers) as pool:
        for told in pool.map(tell, range(first, first + seeds), [hours] * seeds):
            add(tally, told, hours)
            print(f"seed {told.seed}: {told.failure or 'kept every invariant'}; {tally.line()}", flush=True)
            path.write_text(json.dumps(asdict(tally), indent=1) + "\n")
    return tally


def main(argv: Sequence[str]) -> int:
    """1 when a story of this run broke an invariant."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim.soak", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--hours", type=float, default=HOURS, help="simulated hours of one story")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--tally", type=Path, default=TALLY)
    options = parser.parse_args(argv)
    before = len(load(options.tally).failures)
    tally = run(options.tally, options.seeds, options.hours, options.workers)
    print(tally.line())
    return int(len(tally.failures) > before)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
