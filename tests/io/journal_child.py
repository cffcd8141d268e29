"""A process that writes to a journal and acknowledges each durable step on stdout, until it is killed."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from agent.core.effects import Persist, Put, Record
from agent.core.events import StoreReported
from agent.io.journal import Journal


class Acknowledge:
    """Says each durable step on stdout."""

    def committed(self, step: int) -> None:
        sys.stdout.write(f"{step}\n")
        sys.stdout.flush()

    def failed(self, step: int, reason: str) -> None:
        sys.stdout.write(f"failed {step} {reason}\n")

    def reported(self, report: StoreReported) -> None:
        sys.stdout.write(f"report {report.state}\n")


async def write(path: Path, first: int) -> None:
    """Each step records itself, names itself in two mappings, and drops the record of ten steps before."""
    journal = Journal.open(path)[0]
    journal.start(Acknowledge())
    step = first
    while True:
        puts = (Put("keys", "last", str(step)), Put("cache", "last", {"step": step}))
        journal.append(step, Persist((Record(step, "step", {"n": step}),), (step - 10,), puts))
        step += 1
        await asyncio.sleep(0.0005)


if __name__ == "__main__":
    asyncio.run(write(Path(sys.argv[1]), int(sys.argv[2])))
