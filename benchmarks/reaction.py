"""From a SetChargingProfile frame to the Modbus write that obeys it, seen on the wallbox's RS-485 wire."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from benchmarks.calls import profile
from benchmarks.figures import Figure, spread
from benchmarks.workbench import Workbench, workbench
from hil.instruments.smart import MAX_CURRENT
from hil.wire import PtyEnd

STEPS = 80
HIGHEST_AMPS = 15.0


class Tap:
    """A pty in front of the bench's wire: forwards all bytes, notes when the agent wrote what (Modbus, unless told)."""

    def __init__(self, wire: Path, parse: Callable[[bytes], Iterable[tuple[int, int]]] | None = None) -> None:
        self.writes: list[tuple[float, int, int]] = []
        """perf_counter, register, value."""
        self._parse = parse or writes_in
        self.wrote = asyncio.Event()
        self._far = os.open(wire, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        self._near = PtyEnd(self._from_agent)
        self.path = Path(self._near.device)
        asyncio.get_running_loop().add_reader(self._far, self._from_wire)

    def _from_agent(self, chunk: bytes) -> None:
        now = time.perf_counter()
        os.write(self._far, chunk)
        self.writes += [(now, register, value) for register, value in self._parse(chunk)]
        self.wrote.set()

    def _from_wire(self) -> None:
        self._near.write(os.read(self._far, 4096))

    async def wait_for(self, found: Callable[[tuple[float, int, int]], bool]) -> float:
        """When the first write that fits was issued (perf_counter); raises TimeoutError after 10 s."""
        async with asyncio.timeout(10):
            while True:
                self.wrote.clear()
                for write in self.writes:
                    if found(write):
                        return write[0]
                await self.wrote.wait()

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._far)
        os.close(self._far)
        self._near.close()


def writes_in(frame: bytes) -> Iterator[tuple[int, int]]:
    """Register and value of each word that a Modbus RTU request writes (functions 6 and 16)."""
    register = int.from_bytes(frame[2:4])
    if len(frame) == 8 and frame[1] == 6:
        yield register, int.from_bytes(frame[4:6])
    elif len(frame) > 9 and frame[1] == 16:
        words = frame[7 : 7 + frame[6]]
        yield from ((register + i // 2, int.from_bytes(words[i : i + 2])) for i in range(0, len(words), 2))


async def _step(bench: Workbench, tap: Tap, amps: float) -> float:
    """Lower the limit to `amps`; milliseconds from the frame to the write being issued."""
    tap.writes.clear()
    wanted = (MAX_CURRENT, round(10 * amps))
    sent, _, answer = await bench.csms.exchange("SetChargingProfile", profile(amps))
    assert answer.get("status") == "Accepted", answer
    return 1000 * (await tap.wait_for(lambda write: write[1:] == wanted) - sent)


async def measure() -> list[Figure]:
    """80 decreases of 0.1 A at different moments of the poll cycle; increases wait by design.

    The car is a small one: of one that follows so many offers late the agent says that it draws too much.
    """
    async with workbench(SampledDataCtrlr__TxUpdatedInterval="60") as bench:
        tap = Tap(bench.home / "rs485")
        try:
            bench.point_at(bench.csms.port, rs485=tap.path)
            await bench.boots()
            await bench.charges(1, amps=6.0)
            samples = []
            for step in range(STEPS):
                samples.append(await _step(bench, tap, HIGHEST_AMPS - step / 10))
                await asyncio.sleep(0.1 + 0.037 * (step % 10))
        finally:
            bench.kill_agent()
            tap.close()
    return spread("SetChargingProfile to Modbus write issued", samples, "ms", p99=20)
