"""Real ptys and hand-written devices at byte level: what the HAL's tests talk to instead of hardware."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tty
from collections.abc import Awaitable, Callable
from pathlib import Path

from hal.ports import HardwareEvent


class Pty:
    """A serial line: the HAL opens `path`, the test holds the other end. It can vanish and come back."""

    def __init__(self, path: Path, received: Callable[[bytes], None]) -> None:
        self.path = str(path)
        self._received = received
        self._fds: tuple[int, int] | None = None
        self.plug()

    def plug(self) -> None:
        """(Re)appear under the same path."""
        master, slave = os.openpty()
        tty.setraw(slave)
        os.set_blocking(master, False)
        self._fds = (master, slave)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        os.symlink(os.ttyname(slave), self.path)
        asyncio.get_running_loop().add_reader(master, self._read, master)

    def vanish(self) -> None:
        """The adapter is pulled out."""
        if self._fds is not None:
            asyncio.get_running_loop().remove_reader(self._fds[0])
            for fd in self._fds:
                os.close(fd)
            os.unlink(self.path)
            self._fds = None

    def send(self, data: bytes) -> None:
        if self._fds is not None:
            os.write(self._fds[0], data)

    def _read(self, master: int) -> None:
        with contextlib.suppress(OSError):
            self._received(os.read(master, 4096))


def crc(data: bytes) -> bytes:
    """Modbus CRC, low byte first."""
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ 0xA001 if value & 1 else value >> 1
    return value.to_bytes(2, "little")


def rtu(unit: int, *body: int) -> bytes:
    """An RTU frame."""
    data = bytes((unit, *body))
    return data + crc(data)


def words(*registers: int) -> bytes:
    return b"".join(r.to_bytes(2, "big") for r in registers)


Request = tuple[int, int, int, int]
"""(unit, function code, address, count or value)"""


class RtuDevices:
    """Units on one RTU wire: register maps, a record of what was asked, and scripted misbehaviour."""

    def __init__(self, path: Path) -> None:
        self.pty = Pty(path, self._bytes)
        self.registers: dict[tuple[int, int], int] = {}
        """(unit, address) -> value; an address that is missing answers exception 2."""
        self.mute: set[int] = set()
        self.script: list[Callable[[Request, bytes], list[tuple[float, bytes]]]] = []
        """Each entry handles one request: (request, honest reply) -> [(delay s, bytes)]."""
        self.hold: asyncio.Event | None = None
        self.ignores: set[tuple[int, int]] = set()
        """(unit, address) of registers that acknowledge writes and do not keep them."""
        self.asked: list[Request] = []
        self._pending = b""
        self._tasks: set[asyncio.Task[None]] = set()

    def put(self, unit: int, address: int, *values: int) -> None:
        for offset, value in enumerate(values):
            self.registers[unit, address + offset] = value

    def _bytes(self, data: bytes) -> None:
        self._pending += data
        while len(self._pending) >= 8:
            frame, self._pending = self._pending[:8], self._pending[8:]
            if crc(frame[:6]) != frame[6:]:
                self._pending = b""
                return
            request = frame[0], frame[1], int.from_bytes(frame[2:4], "big"), int.from_bytes(frame[4:6], "big")
            self._serve(request)

    def _serve(self, request: Request) -> None:
        self.asked.append(request)
        if request[0] in self.mute or not any(unit == request[0] for unit, _ in self.registers):
            return
        honest = self._reply(request)
        replies = self.script.pop(0)(request, honest) if self.script else [(0.0, honest)]
        task = asyncio.ensure_future(self._answer(replies))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, replies: list[tuple[float, bytes]]) -> None:
        if self.hold is not None:
            await self.hold.wait()
        for delay, data in replies:
            await asyncio.sleep(delay)
            self.pty.send(data)

    def _reply(self, request: Request) -> bytes:
        unit, fc, address, number = request
        if fc == 6:
            if (unit, address) not in self.registers:
                return rtu(unit, fc | 0x80, 2)
            if (unit, address) not in self.ignores:
                self.registers[unit, address] = number
            return rtu(unit, fc, *words(address, number))
        found = [self.registers.get((unit, address + n)) for n in range(number)]
        known = [v for v in found if v is not None]
        if len(known) < len(found):
            return rtu(unit, fc | 0x80, 2)
        return rtu(unit, fc, 2 * number, *words(*known))


class Told(list[HardwareEvent]):
    """What was told. Events are tuples, so equality alone would take Silent for Alive."""

    def __contains__(self, event: object) -> bool:
        return any(type(e) is type(event) and e == event for e in self)

    def place(self, event: HardwareEvent) -> int:
        """Where it was told first."""
        return next(n for n, e in enumerate(self) if type(e) is type(event) and e == event)


async def until(condition: Callable[[], object], timeout_s: float = 5.0) -> None:
    """Wait until `condition` holds; fail with its source when it does not in time."""
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.002)


def run(story: Callable[[], Awaitable[None]], timeout_s: float = 20.0) -> None:
    """Run an async test story to its end."""

    async def bounded() -> None:
        async with asyncio.timeout(timeout_s):
            await story()

    asyncio.run(bounded())
