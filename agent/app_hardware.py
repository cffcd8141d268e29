"""The hardware as the rest of the process sees it: its drivers are loaded after the first words to the CSMS."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from agent.io.control import Refused, Verb
from hal.config import DeviceRef, HardwareConfig
from hal.ports import Command, Emit

if TYPE_CHECKING:
    from hal.hardware import Hardware


SCANNED_LAST = 32
"""Chargers and their meters have low addresses; the whole range takes most of a minute."""
LAST_UNIT = 247


class LateHardware:
    """Keeps the commands of the first steps (all of them withdrawals) until the drivers take them, in order.

    `bug` is told when a driver ended by an error of ours.
    """

    def __init__(self, config: HardwareConfig, bug: Callable[[BaseException], None]) -> None:
        self._config, self._bug = config, bug
        self._hardware: Hardware | None = None
        self._early: list[Command] = []

    async def open(self, emit: Emit, mono_ms: Callable[[], int]) -> None:
        """Load the drivers in a thread, open the devices, hand over what waited.

        Raises ValueError when the configuration names what does not exist.
        """
        await asyncio.to_thread(importlib.import_module, "hal.hardware")
        hardware = checked_hardware(self._config, emit, mono_ms, self._bug)
        try:
            await hardware.open()
        except BaseException:  # told to end while opening, too: nothing may stay open
            await hardware.close()
            raise
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
        """Pass on; there is no lease before the hardware is open."""
        if self._hardware:
            self._hardware.renew_lease(mono_ms)

    async def close(self) -> None:
        """Let go of every device."""
        if self._hardware:
            await self._hardware.close()

    # ------------------------------------------------------------------------------------------ for people

    def verbs(self) -> Mapping[str, Verb]:
        """What the control socket answers beside the station."""
        return {"bus.scan": self._scan, "bus.health": self._health, "meter.read-raw": self._read_raw}

    async def _scan(self, args: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Which of the units `first` to `last` answer, per bus."""
        units = _units(args)
        names = [bus.name for bus in self._config.buses]
        wanted = args.get("bus")
        if wanted is not None and wanted not in names:
            raise Refused(f"no bus {wanted!r}; expected one of {', '.join(names) or 'none'}")
        from hal.bus import BusError

        hardware = self._opened()
        rows = []
        for name in names:
            if wanted in (None, name):
                try:
                    rows += [{"bus": name, **asdict(unit)} for unit in await hardware.scan(name, units)]
                except BusError as error:
                    raise Refused(f"{name}: {error}") from error
        return rows

    async def _health(self, args: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Counters of each bus."""
        health = self._opened().health()
        return [{"bus": name, "up": up, **asdict(counters)} for name, (up, counters) in health.items()]

    async def _read_raw(self, args: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Every point of the meters' profiles, read from the devices now."""
        meters = self._config.meters
        wanted = args.get("evse")
        if wanted is not None and wanted not in meters:
            raise Refused(f"EVSE {wanted!r} has no meter; those with one: {', '.join(map(str, meters))}")
        rows = []
        for evse, ref in meters.items():
            if wanted in (None, evse):
                rows += [{"evse": evse, **row} for row in await self._points(ref)]
        return rows

    async def _points(self, ref: DeviceRef) -> list[dict[str, Any]]:
        from hal import profile
        from hal.bus import BusError

        rows = []
        for group in profile.load(ref.profile, self._config.profiles).groups:
            for span in group.spans:
                try:
                    words = await self._opened().read_raw(ref.bus, ref.unit, span.fc, span.address, span.count)
                except BusError as error:
                    raise Refused(f"{ref.bus} unit {ref.unit}: {error}") from error
                values = span.decode(words)
                rows += [
                    {"point": p.name, "fc": p.fc, "address": p.address, "value": values[p.name], "unit": p.unit}
                    for p in span.points
                ]
        return rows

    def _opened(self) -> Hardware:
        if self._hardware is None:
            raise Refused("the hardware is not open yet; try again in a second")
        return self._hardware


def _units(args: Mapping[str, Any]) -> range:
    """The addresses to scan; raises Refused for such as Modbus does not have (1 to 247)."""
    first, last = args.get("first", 1), args.get("last", SCANNED_LAST)
    if not all(isinstance(n, int) for n in (first, last)) or not 1 <= first <= last <= LAST_UNIT:
        raise Refused(f"units {first!r} to {last!r}; expected 1 to {LAST_UNIT}, the first not above the last")
    return range(first, last + 1)


def checked_hardware(
    config: HardwareConfig,
    emit: Emit = lambda event: None,
    mono_ms: Callable[[], int] = lambda: 0,
    bug: Callable[[BaseException], None] | None = None,
) -> Hardware:
    """The hardware, not open yet. Raises ValueError for a bus, profile or kind that does not exist."""
    from hal.hardware import Hardware

    return Hardware(config, emit, mono_ms, bug=bug)


def known_kinds() -> set[str]:
    """The kinds of EVSE that there are drivers for: ours and those that others have installed."""
    from importlib.metadata import entry_points

    from hal.hardware import DRIVERS

    return {"smart", "raw", *entry_points(group=DRIVERS).names}
