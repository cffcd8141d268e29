"""Flash wear: bytes that the agent sends to the storage layer in an hour of charging, with every key at its default."""

from __future__ import annotations

import asyncio

from benchmarks.figures import Figure
from benchmarks.process import disk_bytes
from benchmarks.workbench import workbench

SETTLE_S = 20
WINDOW_S = 240
"""Four samples a minute apart, and two times the drop of answered events."""
EVSES = (1, 2)
BUDGET = 1_000_000
"""Bytes for each EVSE and hour (docs/flash-wear.md)."""


async def measure() -> list[Figure]:
    """Two EVSEs charge; the file system's own journal is not counted."""
    async with workbench(SampledDataCtrlr__TxUpdatedInterval="60") as bench:
        await bench.boots()
        await bench.charges(*EVSES)
        await asyncio.sleep(SETTLE_S)
        before = disk_bytes(bench.pid)
        await asyncio.sleep(WINDOW_S)
        hourly = (disk_bytes(bench.pid) - before) * 3600 / WINDOW_S / len(EVSES)
    return [Figure("flash: bytes per charging hour, default keys", hourly, "B", below=BUDGET)]
