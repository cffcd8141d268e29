"""The hardware as the runner sees it while its drivers are not loaded yet, and what people may ask of it."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Mapping
from typing import Any, Protocol

from agent.io.control import Refused, Verb
from hal.config import HardwareConfig
from hal.ports import Command, Emit


class Hardware(Protocol):
    """`hal.hardware.Hardware`, whose import is what we put off."""

    async def open(self) -> None: ...
    async def close(self) -> None: ...
    def execute(self, command: Command) -> None: ...
    def renew_lease(self, mono_ms: int) -> None: ...
    async def scan(self, bus: str) -> list[dict[str, Any]]: ...
    def health(self) -> list[dict[str, Any]]: ...
    async def read_raw(self, evse: int) -> list[dict[str, Any]]: ...


class LateHardware:
    """Keeps the commands of the first steps (all of them withdrawals) until the drivers take them, in order."""

    def __init__(self) -> None:
        self._hardware: Hardware | None = None
        self._config = HardwareConfig()
        self._early: list[Command] = []

    async def open(self, config: HardwareConfig, emit: Emit) -> None:
        """Load the drivers in a thread of its own, open the devices, hand over what waited."""
        self._config = config
        module = await asyncio.to_thread(importlib.import_module, "hal.hardware")
        hardware: Hardware = module.Hardware(config, emit)
        await hardware.open()
        self._hardware = hardware
        early, self._early = self._early, []
        for command in early:
            hardware.execute(command)

    def execute(self, command: Command) -> None:
        """Pass on, or keep for later."""
        if self._hardware:
            self._hardware.execute(command)
        else:
            self._early.append(command)

    def renew_lease(self, mono_ms: int) -> None:
        """Pass on; a lease of what is not open is none."""
        if self._hardware:
            self._hardware.renew_lease(mono_ms)

    async def close(self) -> None:
        """Let go of every device."""
        if self._hardware:
            await self._hardware.close()

    def verbs(self) -> Mapping[str, Verb]:
        """What the control socket answers beside the station."""
        return {"bus.scan": self._scan, "bus.health": self._health, "meter.read-raw": self._read_raw}

    async def _scan(self, args: Mapping[str, Any]) -> list[dict[str, Any]]:
        names = [bus.name for bus in self._config.buses]
        wanted = args.get("bus")
        if wanted is not None and wanted not in names:
            raise Refused(f"no bus {wanted!r}; expected one of {', '.join(names) or 'none'}")
        hardware = self._open_hardware()
        return [row for name in names if wanted in (None, name) for row in await hardware.scan(name)]

    async def _health(self, args: Mapping[str, Any]) -> list[dict[str, Any]]:
        return self._open_hardware().health()

    async def _read_raw(self, args: Mapping[str, Any]) -> list[dict[str, Any]]:
        metered = [evse.id for evse in self._config.evses if evse.meter]
        wanted = args.get("evse")
        if wanted is not None and wanted not in metered:
            raise Refused(f"EVSE {wanted!r} has no meter; expected one of {', '.join(map(str, metered))}")
        hardware = self._open_hardware()
        return [row for evse in metered if wanted in (None, evse) for row in await hardware.read_raw(evse)]

    def _open_hardware(self) -> Hardware:
        if self._hardware is None:
            raise Refused("the hardware is not open yet; try again in a second")
        return self._hardware
