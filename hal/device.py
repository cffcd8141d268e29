"""One Modbus device: its profile, its unit on a bus, and whether it answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal

from hal.bus import Bus, BusError, DeviceRefused, NoReply, Priority
from hal.ports import Alive, Emit, FaultCleared, FaultRaised, Silent
from hal.profile import Profile

Value = Decimal | str | None
Clock = Callable[[], int]
"""Monotonic milliseconds, the same as in the core's Instant."""
WATCH_S = 0.25


class Device:
    """Reads and writes a device's points by name."""

    def __init__(self, bus: Bus, unit: int, profile: Profile) -> None:
        self.bus, self.unit, self.profile = bus, unit, profile

    async def read_group(self, name: str, arrived: Callable[[], None]) -> dict[str, Value]:
        """The points of a group; what could not be read is absent. `arrived` is called after each answer.

        Raises NoReply when nothing at all could be read.
        """
        found: dict[str, Value] = {}
        for span in self.profile.group(name).spans:
            try:
                registers = await self.bus.read(
                    self.unit, span.fc, span.address, span.count, self.profile.transport
                )
            except DeviceRefused:
                continue
            except BusError:
                break  # it will not answer the next one either
            arrived()
            found |= span.decode(registers)
        if not found:
            raise NoReply(f"unit {self.unit}: nothing of group {name} could be read")
        return found

    async def read(self, point: str, priority: Priority = Priority.WRITE) -> Value:
        """One point; raises a BusError."""
        p = self.profile.points[point]
        registers = await self.bus.read(
            self.unit, p.fc, p.address, p.encoding.size, self.profile.transport, priority
        )
        return p.decode(registers)

    async def read_words(self, fc: int, address: int, count: int) -> list[int]:
        """Registers as they are, in as many requests as it takes; raises a BusError."""
        pace = self.profile.transport
        found: list[int] = []
        while len(found) < count:
            part = min(count - len(found), pace.max_read)
            found += await self.bus.read(self.unit, fc, address + len(found), part, pace, Priority.POLL)
        return found

    async def write_words(self, point: str, words: list[int]) -> None:
        """Registers as they are, from the point's on; raises a BusError."""
        p = self.profile.points[point]
        await self.bus.write(self.unit, p.write_fc, p.address, words, self.profile.transport)

    async def write(self, point: str, value: Decimal, priority: Priority = Priority.WRITE) -> None:
        """Write one point, rounded down to its step; raises a BusError."""
        p = self.profile.points[point]
        await self.bus.write(
            self.unit, p.write_fc, p.address, p.encoding.encode(value), self.profile.transport, priority
        )

    async def write_and_check(self, point: str, value: Decimal, priority: Priority = Priority.WRITE) -> Value:
        """Write a point and return what the device then says it is; raises a BusError."""
        await self.write(point, value, priority)
        return await self.read(point)


class Presence:
    """Tells Silent when a device was not heard for its grace, and Alive when it answers (again)."""

    def __init__(self, evse: int, device: str, emit: Emit, clock: Clock, grace_s: float) -> None:
        self._evse, self._device = evse, device
        self._emit, self._clock, self._grace_ms = emit, clock, grace_s * 1000
        self._heard_ms: int | None = clock()
        self.alive: bool | None = None
        """None before the first word either way."""

    def heard(self) -> None:
        """It answered just now; says nothing yet, so that settings can be written first."""
        self._heard_ms = self._clock()

    def idle(self) -> None:
        """Nothing is asked, so silence says nothing until it is heard again."""
        self._heard_ms = None

    def announce(self) -> None:
        """It is of use again: tell Alive, once."""
        self.heard()
        if not self.alive:
            self.alive = True
            self._emit(Alive(self._evse, self._device))

    def check(self) -> None:
        """Tell Silent, once, when the grace is over."""
        heard_ms = self._heard_ms
        if self.alive is not False and heard_ms is not None and self._clock() - heard_ms > self._grace_ms:
            self.alive = False
            self._emit(Silent(self._evse, self._device))

    async def watch(self) -> None:
        """Check for ever, however long a request takes."""
        while True:
            await asyncio.sleep(WATCH_S)
            self.check()


class Faults:
    """The set of faults a device has now; tells each when it comes and when it goes."""

    def __init__(self, evse: int, emit: Emit) -> None:
        self._evse, self._emit = evse, emit
        self._standing: set[str] = set()

    def tell(self, code: str, stands: bool, detail: str = "") -> None:
        """One fault stands or does not."""
        if stands and code not in self._standing:
            self._standing.add(code)
            self._emit(FaultRaised(self._evse, code, detail))
        elif not stands and code in self._standing:
            self._standing.discard(code)
            self._emit(FaultCleared(self._evse, code))
