"""Memory and CPU of the agent, idle and with two EVSEs charging."""

from __future__ import annotations

import asyncio

from benchmarks.figures import Figure
from benchmarks.process import cpu_s, rss_mb
from benchmarks.workbench import Workbench, workbench

SETTLE_S = 10
WINDOW_S = 30


async def _look(
    bench: Workbench, name: str, rss_below: float | None, cpu_below: float | None
) -> list[Figure]:
    await asyncio.sleep(SETTLE_S)
    before = cpu_s(bench.pid)
    await asyncio.sleep(WINDOW_S)
    used = (cpu_s(bench.pid) - before) * 60 / WINDOW_S
    return [
        Figure(f"{name}: RSS", rss_mb(bench.pid), "MB", below=rss_below),
        Figure(f"{name}: CPU", used, "s/min", below=cpu_below),
    ]


async def measure() -> list[Figure]:
    """Two windows of 30 s in one life of the agent; an Updated event a minute."""
    async with workbench(SampledDataCtrlr__TxUpdatedInterval="60") as bench:
        await bench.boots()
        figures = await _look(bench, "idle", None, None)
        await bench.charges(1, 2)
        return figures + await _look(bench, "two EVSEs charging", 36, 0.5)
