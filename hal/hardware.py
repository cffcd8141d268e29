"""All hardware of the station behind one object: buses, devices, readers and the guard before them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, cast

from hal import profile
from hal.board import Board
from hal.bus import Bus, BusError, DeviceRefused, Health, NoReply, Priority
from hal.config import DeviceRef, EvseConfig, HardwareConfig
from hal.device import Clock, Device
from hal.guard import LEASE_MS, Fed, Guard
from hal.meter import Meter
from hal.ports import Command, Emit, SignMeter
from hal.power_stage import SmartController
from hal.profile import Transport
from hal.reader import Reader

DRIVERS = "chargerd.drivers"
"""Entry-point group of drivers for other kinds: name -> callable(EvseConfig, Emit, Clock) -> Stage."""
KINDS = ("smart", "raw")
"""Kinds of EVSE with a driver of ours."""
GOODBYE_S = 1.0
"""How long `close` lets withdrawals go out."""
SCAN = Transport(min_gap_ms=0, timeout_ms=200, retries=0)
RAW = Transport(min_gap_ms=100, timeout_ms=500, retries=1)


class Stage(Fed, Protocol):
    """A power stage with a task of its own; `busy` while a command is on its way to the device."""

    @property
    def busy(self) -> bool: ...

    async def run(self) -> None:
        """Serve the device until cancelled."""


Driver = Callable[[EvseConfig, Emit, Clock], Stage]


class UnknownHardwareError(ValueError):
    """board.toml names a bus, profile or kind that does not exist, or of the wrong sort."""


@dataclass(frozen=True, slots=True)
class Found:
    """A unit that answered a scan; `exception` when it only refused the register that was asked for."""

    unit: int
    exception: int | None


class Hardware:
    """Opens everything, passes commands through the guard, and emits what the devices tell."""

    def __init__(
        self,
        config: HardwareConfig,
        emit: Emit,
        clock: Clock | None = None,
        lease_ms: int = LEASE_MS,
        bug: Callable[[BaseException], None] | None = None,
    ) -> None:
        """`bug` is told when a driver ended by an error of ours; everything has been withdrawn then."""
        self._config, self._emit, self._bug = config, emit, bug
        self._clock = clock or mono_ms
        self._buses = {b.name: b for b in config.buses}
        self._open: dict[str, Bus] = {}
        self._stages: list[Stage] = []
        self._meters: dict[int, Meter] = {}
        self._readers: list[Reader] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._guard: Guard | None = None
        self._lease_ms = lease_ms
        self._check()

    async def open(self) -> None:
        """Open buses and devices, withdraw every permission first, start polling. Raises ProfileError."""
        self._open = {name: Bus(b) for name, b in self._buses.items()}
        meters = self._config.meters.items()
        self._meters = {id: Meter(id, self._device(ref), self._emit, self._clock) for id, ref in meters}
        self._stages = [self._stage(e) for e in self._config.evses]
        self._readers = [Reader(r, self._emit, self._clock) for r in self._config.readers]
        plates = {e.id: e.nameplate for e in self._config.evses}
        self._guard = Guard(self._stages, plates, self._emit, self._clock, self._lease_ms)
        await asyncio.gather(*(bus.open() for bus in self._open.values()))
        self._guard.start()
        parts: list[Stage | Meter] = [*self._stages, *self._meters.values()]
        for part in parts:
            self._tasks.append(asyncio.create_task(part.run(), name=type(part).__name__))
        for task in (*self._tasks, *(bus.worker for bus in self._open.values() if bus.worker)):
            task.add_done_callback(self._ended)
        for reader in self._readers:
            reader.open()

    def execute(self, command: Command) -> None:
        """Hand a command to its device through the guard; the outcome is an event."""
        assert self._guard is not None
        if isinstance(command, SignMeter) and (meter := self._meters.get(command.evse)) is not None:
            meter.sign(command)
        else:
            self._guard.execute(command)

    def renew_lease(self, mono_ms: int) -> None:
        """A step that began at `mono_ms` is complete."""
        if self._guard is not None:
            self._guard.renew(mono_ms)

    async def close(self) -> None:
        """Withdraw everything, let that go out, close."""
        if self._guard is not None:
            self._guard.stop("closing")
            await asyncio.sleep(0)
        await self._flush()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for reader in self._readers:
            reader.close()
        await asyncio.gather(*(bus.close() for bus in self._open.values()))

    def health(self) -> Mapping[str, tuple[bool, Health]]:
        """Bus name -> whether it is up, and its counters."""
        return {name: (bus.up, bus.health) for name, bus in self._open.items()}

    # -------------------------------------------------------------------------------- raw access for people

    async def scan(self, bus: str, units: Iterable[int] = range(1, 248)) -> list[Found]:
        """Units of a bus that answer a read of input register 0; takes 0.2 s for each that does not."""
        found: list[Found] = []
        for unit in units:
            try:
                await self._bus(bus).read(unit, 4, 0, 1, SCAN)
                found.append(Found(unit, None))
            except DeviceRefused as refused:
                found.append(Found(unit, refused.code))
            except NoReply:
                continue
        return found

    async def read_raw(self, bus: str, unit: int, fc: int, address: int, count: int) -> list[int]:
        """Registers as they are; raises a BusError."""
        return await self._bus(bus).read(unit, fc, address, count, RAW, Priority.POLL)

    # ------------------------------------------------------------------------------------------- composition

    def _check(self) -> None:
        """Everything that can be told wrong before anything is opened."""
        for evse in self._config.evses:
            if evse.kind == "smart" and evse.controller is None:
                raise UnknownHardwareError(f"EVSE {evse.id}: kind smart, but no controller")
            if evse.kind == "raw" and evse.board is None:
                raise UnknownHardwareError(f"EVSE {evse.id}: kind raw, but no board")
            if evse.kind not in KINDS:
                _driver(evse.kind)
            if evse.controller is not None:
                self._check_device(f"EVSE {evse.id}", evse.controller, "controller")
        for id, ref in self._config.meters.items():
            self._check_device(f"EVSE {id}" if id else "main meter", ref, "meter")

    def _check_device(self, place: str, ref: DeviceRef, kind: str) -> None:
        if ref.bus not in self._buses:
            known = ", ".join(self._buses) or "none"
            raise UnknownHardwareError(f"{place}: bus {ref.bus!r} not found; known are {known}")
        found = profile.load(ref.profile, self._config.profiles)
        if found.kind != kind:
            raise UnknownHardwareError(f"{place}: {ref.profile} is a {found.kind} profile, expected a {kind}")
        if ref.signs and found.signing is None:
            raise UnknownHardwareError(f"{place}: signs = true, but {ref.profile} tells no way to sign")

    def _bus(self, name: str) -> Bus:
        if name not in self._open:
            raise BusError(f"bus {name!r} not found; known are {', '.join(self._open) or 'none'}")
        return self._open[name]

    def _device(self, ref: DeviceRef) -> Device:
        return Device(self._open[ref.bus], ref.unit, profile.load(ref.profile, self._config.profiles))

    def _stage(self, evse: EvseConfig) -> Stage:
        if evse.kind == "smart" and evse.controller is not None:
            return SmartController(
                evse.nameplate, self._device(evse.controller), self._emit, self._clock
            )
        if evse.kind == "raw" and evse.board is not None:
            return Board(evse.nameplate, evse.board, self._emit, self._clock)
        return _driver(evse.kind)(evse, self._emit, self._clock)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A driver that ends before `close` is a bug: nobody may be fed any more."""
        error = None if task.cancelled() else task.exception()
        if error is None:
            return
        if self._guard is not None:
            self._guard.stop("internal error")
        if self._bug is not None:
            self._bug(error)
        else:
            loop = task.get_loop()
            loop.call_exception_handler({"message": task.get_name(), "exception": error, "task": task})

    async def _flush(self) -> None:
        """Give withdrawals the time to reach their devices."""
        end = time.monotonic() + GOODBYE_S
        while time.monotonic() < end and any(s.busy for s in self._stages):
            await asyncio.sleep(0.02)


def mono_ms() -> int:
    """Milliseconds since boot: the moment in the core's Instant and in readings."""
    return time.monotonic_ns() // 1_000_000


def _driver(kind: str) -> Driver:
    """A driver of somebody else's, by the name of its kind."""
    from importlib.metadata import entry_points

    for entry in entry_points(group=DRIVERS, name=kind):
        return cast("Driver", entry.load())
    raise UnknownHardwareError(f"kind {kind!r}: neither smart nor raw, and no such driver is installed")
