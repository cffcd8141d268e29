"""The bus over a real pty and a real TCP socket: no reply is ever taken for another request's."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from hal.bus import Bus, BusDown, DeviceRefused, NoReply, Priority, Quiet, Superseded
from hal.config import BusConfig
from hal.profile import Transport
from tests.hal.wires import Request, RtuDevices, rtu, run, until, words

PACE = Transport(min_gap_ms=0, timeout_ms=120, retries=2)
ONCE = Transport(min_gap_ms=0, timeout_ms=120, retries=0)
QUIET = Quiet(after_error_s=0.02, late_s=0.4, reconnect_s=0.02, reconnect_max_s=0.1)


async def wired(tmp_path: Path, quiet: Quiet = QUIET) -> tuple[RtuDevices, Bus]:
    devices = RtuDevices(tmp_path / "rs485")
    devices.put(1, 100, 10, 11, 12, 13)
    devices.put(1, 200, 20, 21)
    devices.put(2, 100, 90, 91)
    bus = Bus(BusConfig("rs485", "rtu", port=devices.pty.path, baud=19200, parity="E"), quiet)
    await bus.open()
    return devices, bus


def test_reads_and_writes(tmp_path: Path) -> None:
    async def story() -> None:
        devices, bus = await wired(tmp_path)
        assert await bus.read(1, 3, 100, 2, PACE) == [10, 11]
        assert await bus.read(2, 4, 100, 1, PACE) == [90]
        await bus.write(1, 6, 200, [77], PACE)
        assert devices.registers[1, 200] == 77
        assert (bus.health.requests, bus.health.errors) == (3, 0)
        await bus.close()
        with pytest.raises(BusDown):
            await bus.read(1, 3, 100, 1, PACE)

    run(story)


HONEST = rtu(1, 3, 4, *words(10, 11))


@pytest.mark.parametrize(
    ("name", "reply"),
    [
        ("another unit", rtu(2, 3, 4, *words(66, 66))),
        ("another function code", rtu(1, 4, 4, *words(66, 66))),
        ("fewer registers", rtu(1, 3, 2, *words(66))),
        ("more registers", rtu(1, 3, 6, *words(66, 66, 66))),
        ("wrong CRC", HONEST[:-1] + b"\x00"),
        ("cut short", HONEST[:5]),
        ("garbage before", b"\x00\xff\x03\x80" + HONEST),
        ("only garbage", b"\xde\xad\xbe\xef" * 4),
        ("nothing", b""),
    ],
)
def test_a_bad_reply_is_never_taken_and_the_next_attempt_is_good(
    tmp_path: Path, name: str, reply: bytes
) -> None:
    async def story() -> None:
        devices, bus = await wired(tmp_path)
        devices.script = [lambda request, honest: [(0.0, reply)]]
        assert await bus.read(1, 3, 100, 2, PACE) == [10, 11], name
        assert bus.health.errors <= 1
        await bus.close()

    run(story)


def test_an_exception_reply_is_told_and_not_repeated(tmp_path: Path) -> None:
    async def story() -> None:
        devices, bus = await wired(tmp_path)
        with pytest.raises(DeviceRefused) as caught:
            await bus.read(1, 3, 999, 1, PACE)
        assert caught.value.code == 2
        assert devices.asked == [(1, 3, 999, 1)]
        await bus.close()

    run(story)


def test_a_late_reply_is_never_the_answer_to_the_next_request(tmp_path: Path) -> None:
    async def story() -> None:
        devices, bus = await wired(tmp_path)
        devices.script = [lambda request, honest: [(0.3, honest)]]
        with pytest.raises(NoReply):
            await bus.read(1, 3, 100, 2, ONCE)
        assert await bus.read(1, 3, 200, 2, ONCE) == [20, 21]
        assert bus.health.late == 1
        assert bus.health.timeouts == 1
        await bus.close()

    run(story)


def test_reading_goes_on_as_soon_as_the_late_reply_has_come(tmp_path: Path) -> None:
    async def story() -> None:
        devices, bus = await wired(tmp_path, replace(QUIET, late_s=60.0))
        devices.script = [lambda request, honest: [(0.13, honest)]]
        with pytest.raises(NoReply):
            await bus.read(1, 3, 100, 2, ONCE)
        assert await bus.read(1, 3, 200, 2, ONCE) == [20, 21]
        await bus.close()

    run(story)


def test_a_late_reply_does_not_hold_up_other_units_or_writes(tmp_path: Path) -> None:
    async def story() -> None:
        devices, bus = await wired(tmp_path)
        devices.script = [lambda request, honest: [(60.0, honest)]]
        with pytest.raises(NoReply):
            await bus.read(1, 3, 100, 2, ONCE)
        again = asyncio.ensure_future(bus.read(1, 3, 200, 2, PACE))
        await bus.write(1, 6, 201, [5], PACE)
        assert await bus.read(2, 4, 100, 1, PACE) == [90]
        assert [r[1:3] for r in devices.asked] == [(3, 100), (6, 201), (4, 100)]
        assert await again == [20, 5]
        await bus.close()

    run(story)


def test_a_read_that_nobody_awaits_any_more_is_not_cut_off_in_flight(tmp_path: Path) -> None:
    async def story() -> None:
        devices, bus = await wired(tmp_path)
        devices.hold = asyncio.Event()
        reading = asyncio.ensure_future(bus.read(1, 3, 100, 2, PACE))
        await until(lambda: devices.asked)
        reading.cancel()
        following = asyncio.ensure_future(bus.read(1, 3, 200, 2, PACE))
        await asyncio.sleep(0)
        devices.hold.set()
        assert await following == [20, 21]
        await bus.close()

    run(story)


def test_a_mute_unit_is_given_up_after_its_retries_and_heard_when_it_is_back(tmp_path: Path) -> None:
    async def story() -> None:
        devices, bus = await wired(tmp_path)
        devices.mute = {1}
        with pytest.raises(NoReply):
            await bus.write(1, 6, 200, [1], PACE)
        assert len(devices.asked) == 1 + PACE.retries
        devices.mute = set()
        assert await bus.read(1, 3, 100, 1, PACE) == [10]
        await bus.close()

    run(story)


def test_safety_writes_go_before_writes_and_writes_before_polls(tmp_path: Path) -> None:
    async def story() -> None:
        devices, bus = await wired(tmp_path)
        devices.hold = asyncio.Event()
        jobs = [asyncio.ensure_future(bus.read(1, 3, 100, 1, PACE))]
        await until(lambda: devices.asked)
        jobs += [asyncio.ensure_future(bus.read(2, 3, 100, 1, PACE)) for _ in range(5)]
        jobs.append(asyncio.ensure_future(bus.read(1, 3, 101, 1, PACE, Priority.WRITE)))
        await asyncio.sleep(0)
        safety = asyncio.ensure_future(bus.write(1, 6, 200, [0], PACE, Priority.SAFETY))
        await asyncio.sleep(0)
        devices.hold.set()
        await asyncio.gather(*jobs, safety)
        assert [r[:3] for r in devices.asked][:3] == [(1, 3, 100), (1, 6, 200), (1, 3, 101)]
        await bus.close()

    run(story)


def test_a_safety_write_waits_out_its_units_gap_but_for_no_poll(tmp_path: Path) -> None:
    async def story() -> None:
        devices, bus = await wired(tmp_path)
        slow = replace(PACE, min_gap_ms=50)
        await bus.read(1, 3, 100, 1, slow)
        safety = asyncio.ensure_future(bus.write(1, 6, 200, [0], slow, Priority.SAFETY))
        poll = asyncio.ensure_future(bus.read(2, 3, 100, 1, PACE))
        await asyncio.gather(safety, poll)
        assert [r[:2] for r in devices.asked] == [(1, 3), (1, 6), (2, 3)]
        await bus.close()

    run(story)


def test_polls_that_are_dropped_are_neither_sent_nor_repeated(tmp_path: Path) -> None:
    async def story() -> None:
        devices, bus = await wired(tmp_path)
        devices.mute = {1}
        flying = asyncio.ensure_future(bus.read(1, 3, 100, 1, PACE))
        queued = asyncio.ensure_future(bus.read(1, 3, 200, 1, PACE))
        await until(lambda: devices.asked)
        bus.drop_polls(1)
        for dropped in (flying, queued):
            with pytest.raises((NoReply, Superseded)):
                await dropped
        assert await bus.read(2, 3, 100, 1, PACE) == [90]
        assert devices.asked == [(1, 3, 100, 1), (2, 3, 100, 1)]
        await bus.close()

    run(story)


def test_a_newer_write_takes_the_place_of_a_queued_one(tmp_path: Path) -> None:
    async def story() -> None:
        devices, bus = await wired(tmp_path)
        devices.hold = asyncio.Event()
        first = asyncio.ensure_future(bus.read(1, 3, 100, 1, PACE))
        await until(lambda: devices.asked)
        old = asyncio.ensure_future(bus.write(1, 6, 200, [160], PACE))
        await asyncio.sleep(0)
        new = asyncio.ensure_future(bus.write(1, 6, 200, [0], PACE, Priority.SAFETY))
        await asyncio.sleep(0)
        devices.hold.set()
        with pytest.raises(Superseded):
            await old
        await asyncio.gather(first, new)
        assert [r for r in devices.asked if r[1] == 6] == [(1, 6, 200, 0)]
        await bus.close()

    run(story)


def test_a_failed_write_is_not_repeated_after_a_newer_one(tmp_path: Path) -> None:
    async def story() -> None:
        devices, bus = await wired(tmp_path)
        devices.script = [lambda request, honest: []]
        old = asyncio.ensure_future(bus.write(1, 6, 200, [160], PACE))
        await until(lambda: devices.asked)
        new = asyncio.ensure_future(bus.write(1, 6, 200, [0], PACE, Priority.SAFETY))
        with pytest.raises(Superseded):
            await old
        await new
        assert [r[3] for r in devices.asked] == [160, 0]
        assert devices.registers[1, 200] == 0
        await bus.close()

    run(story)


def test_the_bus_survives_a_port_that_vanishes_and_comes_back(tmp_path: Path) -> None:
    async def story() -> None:
        devices, bus = await wired(tmp_path)
        assert await bus.read(1, 3, 100, 1, PACE) == [10]
        devices.pty.vanish()
        await until(lambda: not bus.up)
        with pytest.raises(BusDown):
            await bus.read(1, 3, 100, 1, PACE)
        devices.pty.plug()
        await until(lambda: bus.up)
        assert await bus.read(1, 3, 100, 1, PACE) == [10]
        assert bus.health.reconnects >= 1
        await bus.close()

    run(story)


def test_a_port_that_is_not_there_yet(tmp_path: Path) -> None:
    async def story() -> None:
        bus = Bus(BusConfig("rs485", "rtu", port=str(tmp_path / "later")), QUIET)
        await bus.open()
        with pytest.raises(BusDown):
            await bus.read(1, 3, 100, 1, PACE)
        devices = RtuDevices(tmp_path / "later")
        devices.put(1, 100, 10)
        await until(lambda: bus.up)
        assert await bus.read(1, 3, 100, 1, PACE) == [10]
        await bus.close()

    run(story)


class TcpDevice:
    """A Modbus TCP unit that answers each request after a scripted delay, and can be silent."""

    def __init__(self) -> None:
        self.delays: list[float] = []
        self.silent = False
        self.connections = 0
        self.asked: list[Request] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readexactly(12)
                address, count = int.from_bytes(head[8:10], "big"), int.from_bytes(head[10:12], "big")
                self.asked.append((head[6], head[7], address, count))
                if not self.silent:
                    body = bytes((head[6], head[7], 2 * count)) + words(*(address + n for n in range(count)))
                    frame = head[:4] + len(body).to_bytes(2, "big") + body
                    delay = self.delays.pop(0) if self.delays else 0.0
                    asyncio.get_running_loop().call_later(delay, writer.write, frame)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


def test_tcp_a_late_reply_is_dropped_by_its_transaction_id_and_a_dead_link_is_made_anew() -> None:
    async def story() -> None:
        device = TcpDevice()
        server = await asyncio.start_server(device.serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        bus = Bus(BusConfig("lan", "tcp", host="127.0.0.1", tcp_port=port), QUIET)
        await bus.open()
        assert await bus.read(1, 3, 100, 2, PACE) == [100, 101]
        device.delays = [0.17]
        with pytest.raises(NoReply):
            await bus.read(1, 3, 300, 2, ONCE)
        assert await bus.read(1, 3, 500, 2, ONCE) == [500, 501]
        device.silent = True
        for _ in range(2):
            with pytest.raises((NoReply, BusDown)):
                await bus.read(1, 3, 100, 1, PACE)
        device.silent = False
        await until(lambda: device.connections == 2 and bus.up)
        assert await bus.read(1, 3, 700, 1, PACE) == [700]
        await bus.close()
        server.close()

    run(story)


def test_opening_a_bus_loads_neither_a_modbus_server_nor_anything_heavy() -> None:
    code = (
        "import asyncio, sys\n"
        "from hal.bus import Bus\n"
        "from hal.config import BusConfig\n"
        "assert not any(m.startswith('pymodbus') for m in sys.modules), 'imported too early'\n"
        "async def go():\n"
        "    bus = Bus(BusConfig('x', 'rtu', port='/nowhere'))\n"
        "    await bus.open(); await bus.close()\n"
        "asyncio.run(go())\n"
        "heavy = ('pymodbus.server', 'aiohttp', 'agent')\n"
        "assert not [m for m in heavy if m in sys.modules]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
