"""Many random lives in a row, accumulating: `make soak SEEDS=n`, or `python -m tests.sim.soak --seeds n`.

Each life is some days of one station with every fault on (tests/sim/stories.py). All must keep every invariant; one
that does not is a line with its seed. The tally is kept in docs/soak.json and the next run goes on with the next seed.
It belongs to one state of the code: on another one it begins anew, and the old figures stay below `earlier`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.sim.stories import DAYS, random_life

ROOT = Path(__file__).resolve().parents[2]
TALLY = ROOT / "docs" / "soak.json"
JUDGED = (
    "agent/core", "agent/blocks", "agent/protocol", "agent/station.py", "config_keys", "state_machines",
    "agent/io/journal.py", "agent/io/store_file.py", "agent/io/store_repair.py", "agent/io/values.py",
    "hal/ports.py", "hal/frames.py", "hal/guard.py", "hal/faults.py", "hal/device.py", "hal/meter.py", "tests/sim",
)  # fmt: skip
"""What a life consists of: when any of it changes, the tally begins anew."""
HOURS_A_YEAR = 8_760
SESSIONS_A_YEAR = 1_000
FIRST_SEED = 1_000_000
AGAIN_EVERY = 20
"""Each so-manieth life is told twice: the same seed gives the same trace (invariant 12)."""
EARLIER_KEPT = 12


@dataclass(frozen=True)
class Told:
    """What one life was."""

    seed: int
    hours: float
    sessions: int
    steps: int
    faults: int
    cuts: int
    boots: int
    events: int
    lost: int
    doubled: int
    seconds: float
    failure: str = ""


@dataclass
class Tally:
    """What all runs together have seen on one state of the code."""

    code: str
    next_seed: int = FIRST_SEED
    lives: int = 0
    hours: float = 0.0
    sessions: int = 0
    steps: int = 0
    faults: int = 0
    cuts: int = 0
    """Of the power, or SIGKILL: the process ended without a word."""
    boots: int = 0
    events: int = 0
    """Transaction events that were on flash."""
    lost: int = 0
    doubled: int = 0
    seconds: float = 0.0
    """Of one core."""
    failures: list[str] = field(default_factory=list)
    earlier: list[dict[str, Any]] = field(default_factory=list)

    @property
    def years(self) -> float:
        """Simulated charger-years: 8,760 hours of a station's life and 1,000 sessions each, whichever is less."""
        return min(self.hours / HOURS_A_YEAR, self.sessions / SESSIONS_A_YEAR)

    def add(self, told: Told) -> None:
        """Count one life."""
        self.lives += 1
        for name in ("hours", "sessions", "steps", "faults", "cuts", "boots", "events", "lost", "doubled", "seconds"):
            setattr(self, name, getattr(self, name) + getattr(told, name))
        if told.failure:
            self.failures.append(told.failure)

    def line(self) -> str:
        """For people."""
        speed = self.steps / self.seconds if self.seconds else 0.0
        return (
            f"{self.years:.2f} charger-years, {self.sessions} sessions, {self.steps} steps ({speed:.0f}/s a core), "
            f"{self.faults} faults, {self.cuts} cuts, {self.events} events, "
            f"lost {self.lost}, doubled {self.doubled}, {len(self.failures)} failures"
        )


def tell(seed: int, days: int = DAYS) -> Told:
    """One life to its end; a broken invariant comes back as its line."""
    began = time.process_time()
    story = random_life(seed, days=days)
    failure = story.verdict().split("\n", 1)[0][:300]
    if not failure and seed % AGAIN_EVERY == 0 and _fingerprint(seed, days) != story.world.fingerprint:
        failure = f"seed {seed}: invariant 12 replay: told twice, it went another way"
    failure = failure and f"{failure} ({story.plan.again})"
    world, books = story.world, story.world.judge.books
    return Told(
        seed, world.now_ms / 3_600_000, len(world.csms.transactions), world.total_steps, len(story.plan.faults),
        world.cuts, world.boots, len(books.durable), books.lost, books.doubled, time.process_time() - began, failure,
    )  # fmt: skip


def _fingerprint(seed: int, days: int) -> str:
    """Of a life that has been told before and kept everything."""
    return random_life(seed, days=days).tell().fingerprint


def fingerprint() -> str:
    """Of everything that a life consists of, so that a tally is never of two states of the code."""
    digest = hashlib.sha256()
    for path in sorted(_files()):
        digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _files() -> Iterator[Path]:
    for name in JUDGED:
        path = ROOT / name
        yield from [path] if path.is_file() else path.rglob("*.py")


def load(path: Path) -> Tally:
    """The tally so far, if it is of this state of the code; else a new one that remembers the old."""
    code = fingerprint()
    kept = json.loads(path.read_text()) if path.exists() else None
    if kept is not None and kept["code"] == code:
        return Tally(**kept)
    earlier = [] if kept is None else [*kept.pop("earlier"), kept]
    return Tally(code, earlier=earlier[-EARLIER_KEPT:])


def save(path: Path, tally: Tally) -> None:
    """Put the tally in place of the one before, in one act: who is stopped here leaves the old one or the new one."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text(json.dumps(asdict(tally), indent=1) + "\n")
    os.replace(fresh, path)


def run(path: Path, seeds: int, days: int, workers: int) -> Tally:
    """Tell `seeds` more lives; the file is written after each, so that nothing is lost when it is stopped."""
    tally = load(path)
    first = tally.next_seed
    with ProcessPoolExecutor(workers) as pool:
        for told in _told(pool, range(first, first + seeds), days):
            tally.add(told)
            tally.next_seed = told.seed + 1
            save(path, tally)
            print(f"{told.failure or f'seed {told.seed} kept every invariant'}; {tally.line()}", flush=True)
    return tally


def _told(pool: ProcessPoolExecutor, seeds: Iterable[int], days: int) -> Iterator[Told]:
    seeds = list(seeds)
    return iter(pool.map(tell, seeds, [days] * len(seeds)))


def main(argv: Sequence[str]) -> int:
    """1 when a life of this run broke an invariant."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim.soak", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="lives to tell")
    parser.add_argument("--days", type=int, default=DAYS, help="simulated days of one life")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--tally", type=Path, default=TALLY)
    options = parser.parse_args(argv)
    before = len(load(options.tally).failures)
    tally = run(options.tally, options.seeds, options.days, options.workers)
    print(tally.line())
    return int(len(tally.failures) > before)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
