"""An SDM630 on a real pty: what it says is told to the last digit, and nothing else is."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from hal import profile
from hal.bus import Bus, Quiet
from hal.config import BusConfig
from hal.device import Device
from hal.meter import Meter
from hal.ports import Alive, FaultCleared, FaultRaised, HardwareEvent, MeterDescribed, Reading, Silent
from tests.hal.wires import RtuDevices, Told, run, until

UNIT = 11


def f32(value: float) -> tuple[int, int]:
    high, low = struct.unpack(">HH", struct.pack(">f", value))
    return high, low


class Scene:
    """The meter under test on a clock of its own that the story turns."""

    def __init__(self, tmp_path: Path) -> None:
        self.wire = RtuDevices(tmp_path / "rs485")
        self.wire.put(UNIT, 0, *[0] * 18)
        self.wire.put(UNIT, 0x34, *[0] * 24)
        self.wire.put(UNIT, 0x15A, *[0] * 6)
        self.serial(1234)
        for address, value in ((0, 230.2), (2, 229.9), (4, 231.0), (6, 15.98), (0x34, 3678.5), (0x46, 49.99)):
            self.shows(address, value)
        self.energy(12.345)
        self.now = 1_000_000
        self.told = Told()
        self.bus = Bus(
            BusConfig("rs485", "rtu", port=self.wire.pty.path),
            Quiet(after_error_s=0.01, late_s=0.02, turnaround_s=0.0),
        )
        sdm630 = profile.load("eastron-sdm630")
        brisk = replace(
            sdm630,
            transport=replace(sdm630.transport, min_gap_ms=0, timeout_ms=60, retries=0),
            groups=tuple(replace(g, every_ms=100) for g in sdm630.groups),
        )
        device = Device(self.bus, UNIT, brisk)
        self.meter = Meter(1, device, self.told.append, self.clock, grace_s=5.0)

    def clock(self) -> int:
        """Runs on each time somebody looks, so that a story takes no time."""
        self.now += 200
        return self.now

    def shows(self, address: int, value: float) -> None:
        self.wire.put(UNIT, address, *f32(value))

    def energy(self, kwh: float) -> None:
        self.shows(0x48, kwh)

    def serial(self, number: int) -> None:
        self.wire.put(UNIT, 0xFC00, number >> 16, number & 0xFFFF)

    def readings(self) -> list[Reading]:
        return [e for e in self.told if isinstance(e, Reading)]

    async def reads(self) -> Reading:
        """The next reading."""
        count = len(self.readings())
        await until(lambda: len(self.readings()) > count)
        return self.readings()[-1]

    async def hears(self, *events: HardwareEvent) -> None:
        await until(lambda: all(e in self.told for e in events))


def story(tmp_path: Path, tell: Callable[[Scene], Awaitable[None]]) -> None:
    async def whole() -> None:
        scene = Scene(tmp_path)
        await scene.bus.open()
        task = asyncio.create_task(scene.meter.run())
        try:
            await tell(scene)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await scene.bus.close()

    run(whole)


def test_a_reading_holds_what_the_meter_said_in_decimals(tmp_path: Path) -> None:
    async def tell(scene: Scene) -> None:
        reading = await scene.reads()
        described, alive = scene.told[:2]
        assert isinstance(described, MeterDescribed)
        assert {("energy_import_wh", 0), ("current_a", 3), ("energy_import_wh", 2)} <= described.points
        assert alive == Alive(1, "meter")
        assert reading.serial == "1234"
        assert reading.values["energy_import_wh", 0] == Decimal(12345)
        assert str(reading.values["voltage_v", 1]) == "230.2"
        assert str(reading.values["current_a", 1]) == "15.98"
        assert str(reading.values["frequency_hz", 0]) == "49.99"
        assert reading.values["power_w", 0] == Decimal("3678.5")
        assert 1_000_000 < reading.mono_ms < scene.now

    story(tmp_path, tell)


def test_what_cannot_be_read_is_absent_never_zero(tmp_path: Path) -> None:
    async def tell(scene: Scene) -> None:
        await scene.reads()
        scene.wire.put(UNIT, 2, 0x7FC0, 0)  # L2: not a number
        scene.shows(4, 1e6)  # L3: out of any range
        scene.wire.registers.pop((UNIT, 0x34))  # the second request is refused
        await scene.reads()
        values = (await scene.reads()).values
        assert ("voltage_v", 1) in values
        assert ("voltage_v", 2) not in values
        assert ("voltage_v", 3) not in values
        assert ("energy_import_wh", 0) not in values

    story(tmp_path, tell)


def test_a_meter_that_does_not_answer_is_silent_and_then_alive_again(tmp_path: Path) -> None:
    async def tell(scene: Scene) -> None:
        await scene.reads()
        scene.wire.mute = {UNIT}
        await scene.hears(Silent(1, "meter"))
        count = len(scene.readings())
        scene.told.clear()
        scene.wire.mute = set()
        await scene.hears(Alive(1, "meter"))
        assert count > 0

    story(tmp_path, tell)


def test_a_counter_that_goes_back_is_dropped_and_a_fault(tmp_path: Path) -> None:
    async def tell(scene: Scene) -> None:
        await scene.reads()
        scene.energy(12.0)
        told = FaultRaised(1, "meter_implausible", "energy_import_wh 12000 after 12345")
        await scene.hears(told, Silent(1, "meter"))
        assert all(r.values["energy_import_wh", 0] == 12345 for r in scene.readings())
        scene.energy(12.346)
        await scene.hears(FaultCleared(1, "meter_implausible"))
        assert (await scene.reads()).values["energy_import_wh", 0] == 12346

    story(tmp_path, tell)


def test_another_meter_in_its_place_starts_its_own_count(tmp_path: Path) -> None:
    async def tell(scene: Scene) -> None:
        await scene.reads()
        scene.wire.mute = {UNIT}
        await scene.hears(Silent(1, "meter"))
        scene.serial(9999)
        scene.energy(0.5)
        scene.wire.mute = set()
        await until(lambda: scene.readings()[-1].serial == "9999")
        assert scene.readings()[-1].values["energy_import_wh", 0] == 500
        assert not any(isinstance(e, FaultRaised) and e.code == "meter_implausible" for e in scene.told)

    story(tmp_path, tell)


def test_a_counter_that_stands_still_under_load_is_told(tmp_path: Path) -> None:
    async def tell(scene: Scene) -> None:
        await scene.hears(FaultRaised(1, "meter_frozen", "12345 Wh at 3678.5 W"))
        scene.energy(12.4)
        await scene.hears(FaultCleared(1, "meter_frozen"))

    story(tmp_path, tell)
