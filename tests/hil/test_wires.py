"""The bench's wires and devices, read by independent clients over real ptys and sockets."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import struct
import subprocess
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.exceptions import ModbusIOException
from pymodbus.pdu import ModbusPDU

from hil.instruments.meter import EastronSdm630
from hil.instruments.pilot import Mains
from hil.instruments.reader import RfidReader
from hil.instruments.smart import HeidelbergEnergyControl
from hil.modbus import RtuBus, TcpBus, Unit
from hil.wire import RtuWire, SerialFormat, SerialLine, crc16
from tests.hil.bench_world import Seconds

FAST = SerialFormat(baud=115_200, parity="E")
SLOW = SerialFormat(baud=19_200, parity="E")


class RtuRig:
    """A wallbox (unit 1) and a meter (unit 11) on one wire."""

    def __init__(self, path: Path, line: SerialFormat) -> None:
        self.clock = Seconds()
        self.box = HeidelbergEnergyControl(self.clock)
        self.meter = EastronSdm630(serial=0x00BC614E, import_kwh=1234.5)
        self.units = {1: Unit(1, self.box), 11: Unit(11, self.meter)}
        self.wire = RtuWire(path, line)
        self.bus = RtuBus(self.wire, list(self.units.values()))
        self.client = AsyncModbusSerialClient(
            str(path), baudrate=19_200, timeout=0.15, retries=0, reconnect_delay_max=1
        )

    async def floats(self, address: int, count: int = 1) -> list[float]:
        answer = await self.client.read_input_registers(address, count=2 * count, device_id=11)
        assert not answer.isError()
        words = struct.pack(f">{2 * count}H", *answer.registers)
        return list(struct.unpack(f">{count}f", words))


@asynccontextmanager
async def rtu(tmp_path: Path, line: SerialFormat = FAST) -> AsyncIterator[RtuRig]:
    rig = RtuRig(tmp_path / "rs485", line)
    await rig.bus.open()
    assert await rig.client.connect()
    try:
        yield rig
    finally:
        rig.client.close()
        await rig.bus.close()


async def silent(read: Awaitable[ModbusPDU]) -> bool:
    """No answer came that the client could take."""
    try:
        answer = await read
    except ModbusIOException:
        return True
    return answer.isError()


def test_two_devices_answer_on_one_rtu_wire(tmp_path: Path) -> None:
    async def story() -> None:
        async with rtu(tmp_path) as rig:
            layout = await rig.client.read_input_registers(4, count=1, device_id=1)
            assert layout.registers == [0x0108]
            written = await rig.client.write_register(261, 100, device_id=1)
            assert not written.isError()
            back = await rig.client.read_holding_registers(261, count=2, device_id=1)
            assert back.registers == [100, 0]
            assert await rig.floats(0x0048) == [pytest.approx(1234.5)]
            serial = await rig.client.read_holding_registers(0xFC00, count=2, device_id=11)
            assert serial.registers == [0x00BC, 0x614E]

    asyncio.run(story())


def test_refused_values_and_addresses_are_exceptions_not_silence(tmp_path: Path) -> None:
    async def story() -> None:
        async with rtu(tmp_path) as rig:
            answer = await rig.client.write_register(261, 59, device_id=1)
            assert answer.isError() and answer.exception_code == 3
            answer = await rig.client.read_input_registers(3, count=1, device_id=1)
            assert answer.isError() and answer.exception_code == 2
            answer = await rig.client.read_input_registers(0, count=82, device_id=11)
            assert answer.isError() and answer.exception_code == 3

    asyncio.run(story())


def test_missing_mute_and_garbled_units_do_not_disturb_their_neighbour(tmp_path: Path) -> None:
    async def story() -> None:
        async with rtu(tmp_path) as rig:
            assert await silent(rig.client.read_input_registers(0, count=2, device_id=99))
            rig.units[1].muted = True
            assert await silent(rig.client.write_register(261, 100, device_id=1))
            assert rig.box.holding[261] == 0, "a mute device hears nothing either"
            rig.units[1].muted, rig.units[1].garbled = False, True
            assert await silent(rig.client.read_input_registers(5, count=1, device_id=1))
            assert len(await rig.floats(0)) == 1
            rig.units[1].garbled = False
            assert not await silent(rig.client.read_input_registers(5, count=1, device_id=1))

    asyncio.run(story())


def test_the_watchdog_is_fed_only_by_telegrams_to_its_own_unit(tmp_path: Path) -> None:
    async def story() -> None:
        async with rtu(tmp_path) as rig:
            await rig.client.write_register(257, 1000, device_id=1)
            rig.clock.now += 1.5
            await rig.floats(0)
            assert rig.box.lapsed
            await rig.client.read_input_registers(5, count=1, device_id=1)
            assert not rig.box.lapsed

    asyncio.run(story())


def test_noise_on_the_wire_does_not_jam_the_next_request(tmp_path: Path) -> None:
    async def story() -> None:
        async with rtu(tmp_path) as rig:
            port = os.open(tmp_path / "rs485", os.O_WRONLY | os.O_NOCTTY)
            os.write(port, bytes((1, 4, 0)))
            os.close(port)
            async with asyncio.timeout(5):
                while not rig.wire.discarded:
                    await asyncio.sleep(0.01)
            assert len(await rig.floats(0)) == 1

    asyncio.run(story())


def test_the_wire_is_as_slow_as_its_baud_rate(tmp_path: Path) -> None:
    assert SLOW.bits_per_character == 11
    assert SerialFormat(115_200).bits_per_character == 10

    async def story() -> None:
        async with rtu(tmp_path, SLOW) as rig:
            await rig.floats(0, 5)
            carried = rig.wire.serial.carried
            assert carried == {"to_device": 8, "to_agent": 25}
            busy = rig.wire.serial.busy_s
            assert busy["to_device"] + busy["to_agent"] == pytest.approx(33 * 11 / 19_200)

    asyncio.run(story())


def test_wire_faults_mute_garble_and_heal(tmp_path: Path) -> None:
    async def story() -> None:
        async with rtu(tmp_path) as rig:
            rig.wire.faults.mute = True
            assert await silent(rig.client.read_input_registers(5, count=1, device_id=1))
            rig.wire.faults.heal()
            rig.wire.faults.garble = 1.0
            assert await silent(rig.client.read_input_registers(5, count=1, device_id=1))
            rig.wire.faults.heal()
            assert not await silent(rig.client.read_input_registers(5, count=1, device_id=1))

    asyncio.run(story())


def test_the_meter_counts_what_flows_and_shows_each_phase(tmp_path: Path) -> None:
    async def story() -> None:
        async with rtu(tmp_path) as rig:
            mains = Mains((230.0, 231.0, 229.0), 49.98)
            for _ in range(3600):
                rig.meter.measure(1.0, mains, (10.0, 5.0, 0.0))
            assert await rig.floats(0x0000, 6) == pytest.approx([230, 231, 229, 10, 5, 0])
            watts = [2300 * 0.99, 1155 * 0.99, 0]
            assert await rig.floats(0x000C, 3) == pytest.approx(watts)
            assert await rig.floats(0x0034) == pytest.approx([sum(watts)])
            assert await rig.floats(0x0046) == pytest.approx([49.98])
            assert await rig.floats(0x0048) == pytest.approx([1234.5 + sum(watts) / 1000])
            assert await rig.floats(0x015A, 3) == pytest.approx([411.5 + w / 1000 for w in watts])
            assert await rig.floats(0x001E, 3) == pytest.approx([0.99, 0.99, 1])

    asyncio.run(story())


def test_meter_faults_freeze_jump_rollover_and_nan() -> None:
    meter = EastronSdm630(serial=1, import_kwh=1000)

    def shown() -> float:
        return float(struct.unpack(">f", struct.pack(">2H", *meter.read(4, 0x0048, 2)))[0])

    meter.freeze(True)
    meter.measure(3600, Mains(), (10.0, 10.0, 10.0))
    assert shown() == 1000
    meter.freeze(False)
    assert shown() > 1006
    meter.jump(5000)
    assert shown() > 1011
    meter.rollover()
    assert shown() == 0
    meter.nan = True
    assert shown() != shown()


def test_a_device_behind_modbus_tcp(tmp_path: Path) -> None:
    async def story() -> None:
        unit = Unit(12, EastronSdm630(serial=7, import_kwh=10))
        bus = TcpBus("127.0.0.1", 0, [unit])
        await bus.open()
        client = AsyncModbusTcpClient("127.0.0.1", port=bus.port, timeout=0.15, retries=0)
        assert await client.connect()
        answer = await client.read_input_registers(0x0048, count=2, device_id=12)
        assert struct.pack(">2H", *answer.registers) == struct.pack(">f", 10.0)
        unit.muted = True
        assert await silent(client.read_input_registers(0x0048, count=2, device_id=12))
        unit.muted, unit.garbled = False, True
        assert await silent(client.read_input_registers(0x0048, count=2, device_id=12))
        client.close()
        await bus.close()

    asyncio.run(story())


def test_the_reader_sends_the_uid_and_a_carriage_return(tmp_path: Path) -> None:
    async def story() -> None:
        reader = RfidReader()
        reader.line = SerialLine(tmp_path / "reader", SerialFormat(9600), reader.receive)
        port = os.open(tmp_path / "reader", os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
        reader.present("04a1b2c3d4e5f6")
        got = b""
        async with asyncio.timeout(5):
            while not got.endswith(b"\r"):
                await asyncio.sleep(0.005)
                with contextlib.suppress(BlockingIOError):
                    got += os.read(port, 100)
        assert got == b"04A1B2C3D4E5F6\r"
        os.close(port)
        reader.line.close()
        assert not (tmp_path / "reader").is_symlink()

    asyncio.run(story())


def test_crc_of_the_modbus_specification() -> None:
    assert crc16(b"123456789") == 0x4B37
    assert crc16(bytes((0x02, 0x07, 0x41, 0x12))) == 0, "the example of the specification"


@pytest.mark.skipif(shutil.which("mbpoll") is None, reason="mbpoll is not installed (Debian package mbpoll)")
def test_mbpoll_reads_the_simulated_meter(tmp_path: Path) -> None:
    def poll(path: Path) -> str:
        command = ["mbpoll", "-m", "rtu", "-a", "11", "-b", "19200", "-P", "none", "-t", "3:float", "-B"]
        command += ["-0", "-r", "72", "-c", "1", "-1", "-o", "1", str(path)]
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout

    async def story() -> str:
        async with rtu(tmp_path, SLOW) as rig:
            rig.client.close()
            return await asyncio.to_thread(poll, tmp_path / "rs485")

    assert "1234.5" in asyncio.run(story())
