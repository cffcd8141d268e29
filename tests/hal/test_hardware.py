"""All of it together: a smart EVSE with a meter on one bus, a raw one, a reader, and the guard's lease."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from hal.bus import BusError
from hal.config import BoardRef, BusConfig, DeviceRef, EvseConfig, HardwareConfig, ReaderConfig
from hal.hardware import Found, Hardware, UnknownHardwareError, mono_ms
from hal.ports import (
    Alive,
    Applied,
    Capabilities,
    HardwareEvent,
    Nameplate,
    Permit,
    Reading,
    Refused,
    SetFailsafe,
    TokenPresented,
    Withdraw,
)
from hal.profile import ProfileError
from tests.hal.test_board import FakeBoard
from tests.hal.wires import Pty, RtuDevices, Told, run, until

BOX, METER = 1, 11
SETPOINT, FAILSAFE, STATE = 261, 262, 5


class Station:
    """The wires of a station with two EVSEs, and what its hardware told."""

    def __init__(self, tmp_path: Path, lease_ms: int = 60_000) -> None:
        self.rs485 = RtuDevices(tmp_path / "rs485")
        self.rs485.put(BOX, 4, 0x0108, 2, 0, 0, 0, 312, 230, 230, 230, 1)
        self.rs485.put(BOX, 100, 16)
        self.rs485.put(BOX, 203, 3721)
        self.rs485.put(BOX, 257, 15000, 0, 1)
        self.rs485.put(BOX, SETPOINT, 160, 0)
        self.rs485.put(METER, 0, *[0] * 18)
        self.rs485.put(METER, 0x34, *[0] * 24)
        self.rs485.put(METER, 0x15A, *[0] * 6)
        self.rs485.put(METER, 0xFC00, 0, 42)
        self.board = FakeBoard(tmp_path / "ttyS2")
        self.reader = Pty(tmp_path / "ttyS3", lambda data: None)
        self.told = Told()
        self.hardware = Hardware(self.config(), self.told.append, lease_ms=lease_ms)

    def config(self) -> HardwareConfig:
        return HardwareConfig(
            buses=(BusConfig("rs485", "rtu", port=self.rs485.pty.path, baud=19200, parity="E"),),
            evses=(
                EvseConfig(
                    1,
                    "smart",
                    Nameplate(1, 16.0, 3),
                    controller=DeviceRef("heidelberg-ec", "rs485", BOX),
                    meter=DeviceRef("eastron-sdm630", "rs485", METER),
                ),
                EvseConfig(2, "raw", Nameplate(2, 32.0, 3), board=BoardRef(self.board.pty.path)),
            ),
            readers=(ReaderConfig("front", self.reader.path, evses=(1, 2)),),
        )

    async def hears(self, *events: HardwareEvent) -> None:
        try:
            await until(lambda: all(e in self.told for e in events))
        except TimeoutError:
            raise AssertionError(f"expected {events}, told {self.told}") from None

    def asked(self, unit: int) -> int:
        return sum(r[0] == unit for r in self.rs485.asked)


def story(tmp_path: Path, tell: Callable[[Station], Awaitable[None]], lease_ms: int = 60_000) -> None:
    async def whole() -> None:
        station = Station(tmp_path, lease_ms)
        await station.hardware.open()
        station.hardware.renew_lease(mono_ms())
        try:
            await tell(station)
        finally:
            await station.hardware.close()

    run(whole)


def test_everything_is_withdrawn_first_and_then_of_use(tmp_path: Path) -> None:
    async def tell(station: Station) -> None:
        await station.hears(
            Applied(1, 0, "withdraw", 0.0), Alive(1, "controller"), Alive(1, "meter"),
            Applied(2, 0, "withdraw", 0.0), Alive(2, "board"),
        )  # fmt: skip
        assert next(r for r in station.rs485.asked if r[0] == BOX) == (BOX, 6, SETPOINT, 0)
        assert {e.evse for e in station.told if isinstance(e, Capabilities) and e.independent} == {1, 2}
        assert next(e for e in station.told if isinstance(e, Reading)).serial == "42"
        station.reader.send(b"04AABBCC\r\n")
        await station.hears(TokenPresented("front", "04AABBCC", evses=(1, 2)))

    story(tmp_path, tell)


def test_commands_pass_the_guard_and_closing_withdraws(tmp_path: Path) -> None:
    wires: list[Station] = []

    async def tell(station: Station) -> None:
        wires.append(station)
        await station.hears(Alive(1, "controller"), Alive(2, "board"))
        station.hardware.execute(Permit(1, 5, 99.0, 3))
        station.hardware.execute(Permit(2, 5, 99.0, 3))
        await station.hears(Applied(1, 5, "permit", 16.0), Applied(2, 5, "permit", 32.0))
        station.hardware.execute(Permit(1, 4, 16.0, 3))
        assert Refused(1, 4, "permit", "step 4 is older than 5") in station.told

    story(tmp_path, tell)
    assert wires[0].rs485.registers[BOX, SETPOINT] == 0
    assert Applied(2, 5, "withdraw", 0.0) in wires[0].told


def test_when_the_lease_lapses_the_box_hears_nothing_more_and_the_meter_goes_on(tmp_path: Path) -> None:
    async def tell(station: Station) -> None:
        await station.hears(Alive(1, "controller"))
        station.hardware.execute(SetFailsafe(1, 4, 6.0))
        station.hardware.execute(Permit(1, 5, 16.0, 3))
        await station.hears(Applied(1, 5, "permit", 16.0), Applied(1, 4, "setfailsafe", 6.0))
        await station.hears(Applied(1, 5, "withdraw", 0.0))
        asked, readings = station.asked(BOX), station.asked(METER)
        await until(lambda: station.asked(METER) >= readings + 4)
        assert station.asked(BOX) == asked
        assert (station.rs485.registers[BOX, SETPOINT], station.rs485.registers[BOX, FAILSAFE]) == (0, 60)
        station.hardware.renew_lease(mono_ms())
        await until(lambda: station.asked(BOX) > asked)
        station.hardware.execute(Permit(1, 5, 16.0, 3))
        await station.hears(Refused(1, 5, "permit", "decided before the lease lapsed"))
        station.hardware.execute(Permit(1, 6, 16.0, 3))
        await station.hears(Applied(1, 6, "permit", 16.0))
        station.hardware.execute(Withdraw(1, 7, "end"))

    story(tmp_path, tell, lease_ms=1500)


def test_raw_access_for_people(tmp_path: Path) -> None:
    async def tell(station: Station) -> None:
        found = await station.hardware.scan("rs485", (BOX, 5, METER))
        assert found == [Found(BOX, 2), Found(METER, None)]
        assert await station.hardware.read_raw("rs485", METER, 3, 0xFC00, 2) == [0, 42]
        with pytest.raises(BusError, match="bus 'lan' not found; known are rs485"):
            await station.hardware.scan("lan")
        up, health = station.hardware.health()["rs485"]
        assert up
        assert health.requests > 0

    story(tmp_path, tell)


def test_a_driver_that_ends_by_a_bug_takes_everything_down(tmp_path: Path) -> None:
    async def whole() -> None:
        station = Station(tmp_path)
        bugs: list[BaseException] = []

        def tell(event: HardwareEvent) -> None:
            station.told.append(event)
            if isinstance(event, Reading):
                raise AssertionError("a bug")

        station.hardware = Hardware(station.config(), tell, bug=bugs.append)
        await station.hardware.open()
        station.hardware.renew_lease(mono_ms())
        await until(lambda: bugs)
        station.hardware.renew_lease(mono_ms())
        station.hardware.execute(Permit(2, 5, 16.0, 3))
        await station.hears(Refused(2, 5, "permit", "the lease has lapsed"))
        await station.hardware.close()

    run(whole)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"controller": DeviceRef("heidelberg-ec", "lan", 1)}, "bus 'lan' not found; known are rs485"),
        ({"controller": DeviceRef("eastron-sdm630", "rs485", 1)}, "is a meter profile, expected a controller"),
        ({"controller": None}, "kind smart, but no controller"),
        ({"kind": "raw"}, "kind raw, but no board"),
        ({"kind": "nosuch"}, "kind 'nosuch': neither smart nor raw"),
        ({"meter": DeviceRef("eastron-sdm630", "rs485", 1, signs=True)}, "signs = true, but"),
        ({"meter": DeviceRef("nosuch", "rs485", 1)}, "profile 'nosuch': not found; known are"),
    ],
)
def test_what_cannot_be_built_is_told_before_anything_is_opened(change: dict[str, Any], told: str) -> None:
    smart = EvseConfig(1, "smart", Nameplate(1, 16.0, 3), controller=DeviceRef("heidelberg-ec", "rs485", 1))
    changed = smart._replace(**change)
    config = HardwareConfig((BusConfig("rs485", "rtu", port="/nowhere"),), (changed,))
    with pytest.raises((UnknownHardwareError, ProfileError), match=told):
        Hardware(config, lambda event: None)


def test_a_driver_of_somebody_else_is_found_by_the_name_of_its_kind(tmp_path: Path) -> None:
    (tmp_path / "acme-1.dist-info").mkdir()
    (tmp_path / "acme-1.dist-info" / "METADATA").write_text("Name: acme\nVersion: 1\n")
    (tmp_path / "acme-1.dist-info" / "entry_points.txt").write_text("[chargerd.drivers]\nacme = acme:drive\n")
    (tmp_path / "acme.py").write_text("def drive(evse, emit, clock):\n    raise SystemExit(f'drives {evse.id}')\n")
    code = (
        "import asyncio, sys\n"
        "from hal.config import *\n"
        "from hal.hardware import Hardware\n"
        "heavy = ('pymodbus', 'importlib.metadata', 'serial', 'agent')\n"
        "assert not [m for m in heavy if m in sys.modules]\n"
        "config = HardwareConfig((), (EvseConfig(3, 'acme', Nameplate(3, 16.0, 3)),))\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        "asyncio.run(Hardware(config, print).open())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert done.stderr.strip() == "drives 3"
