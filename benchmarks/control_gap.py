"""The longest silence of the control loop on the wallbox's RS-485 wire, while the CSMS keeps the agent busy.

Meter and wallbox are asked in turn, at 19,200 baud and full polling; what lies between two telegrams is the answer of
the device, the rest until the next round, and whatever kept the agent from asking on.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Iterator

from benchmarks.figures import Figure
from benchmarks.reaction import Tap
from benchmarks.workbench import Workbench, workbench
from hil.pki import root

SECONDS = 10.0
REPORT_BYTES = 500_000
ROOTS = 6


def _telegrams(chunk: bytes) -> Iterator[tuple[int, int]]:
    """Whatever the agent writes at once is one telegram."""
    yield len(chunk), 0


async def _report(bench: Workbench, number: int) -> None:
    """One full inventory, to its last page."""
    await bench.csms.exchange("GetBaseReport", {"requestId": number, "reportBase": "FullInventory"})
    await bench.csms.wait_until(lambda: any(not page.get("tbc", False) for page in _pages(bench, number)))


def _pages(bench: Workbench, number: int) -> list[dict[str, object]]:
    return [p for _, action, p in bench.csms.calls if action == "NotifyReport" and p["requestId"] == number]


async def _certificate(bench: Workbench, number: int) -> None:
    """A root is checked and stored; elliptic curves and RSA in turn."""
    pem = root(f"Root {number % ROOTS}", kind="rsa" if number % 2 else "ec").pem
    wanted = {"certificateType": "V2GRootCertificate", "certificate": pem}
    _, _, answer = await bench.csms.exchange("InstallCertificate", wanted)
    assert answer.get("status") == "Accepted", answer


async def _nothing(bench: Workbench, number: int) -> None:
    await asyncio.sleep(0.1)


async def _gaps(bench: Workbench, tap: Tap, work: Callable[[Workbench, int], Awaitable[None]]) -> list[float]:
    """Milliseconds between telegrams while `work` is done again and again."""
    tap.writes.clear()
    numbers, until = itertools.count(1), time.perf_counter() + SECONDS
    while time.perf_counter() < until:
        await work(bench, next(numbers))
    return [1000 * (after[0] - before[0]) for before, after in itertools.pairwise(tap.writes)]


async def measure() -> list[Figure]:
    """Ten seconds each of nothing, of full reports, and of certificates."""
    figures = []
    jobs = {"nothing else": _nothing, "full reports": _report, "checks of certificates": _certificate}
    async with workbench(SampledDataCtrlr__TxUpdatedInterval="60") as bench:
        tap = Tap(bench.home / "rs485", _telegrams)
        try:
            bench.point_at(bench.csms.port, rs485=tap.path)
            await bench.boots()
            await bench.charges(1)
            for name, work in jobs.items():
                gaps = await _gaps(bench, tap, work)
                figures.append(Figure(f"longest control gap, {name}", max(gaps), "ms", len(gaps)))
        finally:
            bench.kill_agent()
            tap.close()
    told = sum(len(str(p)) for _, action, p in bench.csms.calls if action == "NotifyReport")
    assert told > REPORT_BYTES, f"only {told} bytes of reports"
    return [*figures, Figure("reports in that time", told / 1e6, "MB")]
