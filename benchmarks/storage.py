"""Bytes to disk per event and per transaction, and how fast a queue drains after an offline period."""

from __future__ import annotations

import asyncio
import sys

from benchmarks.csms import QuickCsms
from benchmarks.figures import Figure
from benchmarks.process import disk_bytes
from benchmarks.workbench import ROOT, Workbench, workbench

WINDOW_S = 30
OFFLINE_S = 60
FAR_S = 0.05
"""The round trip of a CSMS at the end of a mobile link."""


async def _per_event(bench: Workbench) -> Figure:
    """Two EVSEs with an Updated event a second each."""
    events, written = len(bench.csms.events("Updated")), disk_bytes(bench.pid)
    await asyncio.sleep(WINDOW_S)
    count = len(bench.csms.events("Updated")) - events
    per_event = (disk_bytes(bench.pid) - written) / max(1, count)
    return Figure("disk: bytes per event, 1 s samples", per_event, "B", count, below=5000)


async def _replay(bench: Workbench) -> list[Figure]:
    """The CSMS goes for a minute; how fast what was queued arrives afterwards, next to what the link allows."""
    far = f", {1000 * bench.csms.answer_after_s:g} ms round trip" if bench.csms.answer_after_s else ""
    limit = await _limit(bench)
    await bench.csms.stop()
    await asyncio.sleep(OFFLINE_S)
    before = len(bench.csms.calls)
    await bench.csms.start()
    await bench.csms.wait_until(lambda: len(_offline(bench, before)) >= OFFLINE_S, 300)
    await asyncio.sleep(5)
    times = _offline(bench, before)
    rate = (len(times) - 1) / (times[-1] - times[0])
    return [
        Figure(f"replay of queued events{far}", rate, "/s", len(times), above=None if far else 1600),
        Figure(f"replay: one CALL at a time on this link{far}", limit, "/s"),
        Figure(f"replay: share of what the link allows{far}", rate / limit, ""),
    ]


async def _limit(bench: Workbench) -> float:
    """What any client that has one CALL in flight reaches with this CSMS."""
    csms = QuickCsms()
    csms.answer_after_s = bench.csms.answer_after_s
    await csms.start()
    count = 40 if csms.answer_after_s else 2000
    command = (sys.executable, "-m", "benchmarks.link_limit", str(csms.port), str(count))
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, cwd=ROOT)
    output, _ = await process.communicate()
    await csms.stop()
    return float(output)


def _offline(bench: Workbench, since: int) -> list[float]:
    return [at for at, _, payload in bench.csms.calls[since:] if payload.get("offline")]


async def _whole_transaction(bench: Workbench) -> list[Figure]:
    """Plug in, charge for a while, unplug."""
    before, events = disk_bytes(bench.pid), _events(bench)
    await bench.charges(1)
    await asyncio.sleep(WINDOW_S)
    await bench.unplugs(1)
    await asyncio.sleep(5)
    count = _events(bench) - events
    written = disk_bytes(bench.pid) - before
    return [
        Figure("disk: bytes per transaction of half a minute", written, "B"),
        Figure("disk: events in that transaction", count, ""),
    ]


def _events(bench: Workbench) -> int:
    return sum(action == "TransactionEvent" for _, action, _ in bench.csms.calls)


async def measure() -> list[Figure]:
    """A transaction with an event each 10 s, then two EVSEs with one a second."""
    async with workbench(SampledDataCtrlr__TxUpdatedInterval="10") as bench:
        await bench.boots()
        figures = await _whole_transaction(bench)
    async with workbench(SampledDataCtrlr__TxUpdatedInterval="1") as bench:
        await bench.boots()
        await bench.charges(1, 2)
        figures += [await _per_event(bench), *await _replay(bench)]
        bench.csms.answer_after_s = FAR_S
        return [*figures, *await _replay(bench)]
