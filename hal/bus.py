"""A Modbus bus, RTU or TCP: one worker, one request in flight, safety writes first, no reply ever mistaken.

pymodbus (3.16) does framing and connection. What it leaves open is done here: it returns a late reply for the
next request, accepts other function codes and register counts, retries with the bus locked, never flushes. So
retries are ours, nothing in flight is cancelled, every reply is checked, and after any error the line must be
quiet and is flushed. On RTU a reply carries no request id: after a time-out a unit is not *read* again until
its late reply has come or can no longer come (writes are safe: their reply repeats address and value).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import termios
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from hal.config import BusConfig
from hal.profile import Transport

if TYPE_CHECKING:
    from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient

_LOG = logging.getLogger("hal.bus")

READ_CODES = (3, 4)
GATEWAY_SILENT = (10, 11)
"""Exception codes by which a gateway says that the device behind it did not answer."""
BUSY = 6
"""Exception code: ask again later."""
DEAD_AFTER = 3
"""Requests in a row without a byte after which a TCP connection is made anew."""


class Priority(IntEnum):
    """Who goes first on the bus."""

    SAFETY = 0
    WRITE = 1
    POLL = 2


class BusError(Exception):
    """A request that did not succeed."""


class NoReply(BusError):
    """No good reply after all retries; the device is silent or the line is disturbed."""


class BusDown(BusError):
    """The port or connection is gone; it is being reopened."""


class Superseded(BusError):
    """A newer write to the same register took this one's place before it was sent."""


class DeviceRefused(BusError):
    """The device answered with a Modbus exception; not repeated, see `code`."""

    def __init__(self, code: int) -> None:
        super().__init__(f"Modbus exception {code}")
        self.code = code


class _BadReplyError(BusError):
    """One attempt failed; `heard` tells whether any byte came."""

    def __init__(self, why: str, heard: bool) -> None:
        super().__init__(why)
        self.heard = heard


@dataclass(slots=True)
class Health:
    """Counters of a bus since start, for `status` and monitors."""

    requests: int = 0
    errors: int = 0
    timeouts: int = 0
    garbled: int = 0
    late: int = 0
    refused: int = 0
    reconnects: int = 0
    latency_ms: float = 0.0
    """Of good replies, smoothed over about sixteen."""


@dataclass(eq=False, slots=True)
class _Job:
    priority: Priority
    number: int
    unit: int
    fc: int
    address: int
    count: int
    words: tuple[int, ...]
    pace: Transport
    future: asyncio.Future[list[int]]
    tries: int = 0

    @property
    def reads(self) -> bool:
        return self.fc in READ_CODES


@dataclass(frozen=True, slots=True)
class Quiet:
    """How the bus recovers (s): silence after an error, how late a reply may come, pauses to reconnect."""

    after_error_s: float = 0.05
    noisy_s: float = 0.5
    """Longest wait for that silence; a line that is never quiet must not stop a safety write."""
    turnaround_s: float = 0.005
    late_s: float = 1.0
    connect_s: float = 2.0
    reconnect_s: float = 0.1
    reconnect_max_s: float = 5.0


@dataclass(slots=True)
class _Unit:
    """What the bus remembers of one unit id (moments on the loop's clock)."""

    free_at: float = 0.0
    readable_at: float = 0.0


class Bus:
    """One bus and its worker. Requests may be queued from any coroutine on the loop."""

    def __init__(self, config: BusConfig, quiet: Quiet | None = None) -> None:
        self.config = config
        self.health = Health()
        self._quiet = quiet or Quiet()
        self._jobs: list[_Job] = []
        self._numbers = 0
        self._units: dict[int, _Unit] = {}
        self._newest: dict[tuple[int, int], int] = {}
        """(unit, address) -> number of the newest write: an older one is never sent (again) after it."""
        self._served: _Job | None = None
        self._flying: _Job | None = None
        """The job whose reply is awaited; None while the line settles after an error."""
        self._free_at = 0.0
        self._heard_at = 0.0
        self._heard = False
        self._mute = 0
        self._wake = asyncio.Event()
        self._closing = False
        self._client: AsyncModbusSerialClient | AsyncModbusTcpClient | None = None
        self.worker: asyncio.Task[None] | None = None
        """Serves the jobs; ends only with `close`, or by a bug."""

    @property
    def up(self) -> bool:
        """Whether the port or connection is open."""
        return self._client is not None and self._client.connected

    async def open(self) -> None:
        """Start the worker; returns when the first attempt to connect succeeded or 0.3 s have passed."""
        logging.getLogger("pymodbus").setLevel(logging.CRITICAL)  # its errors are our counters
        ready = asyncio.Event()
        self.worker = asyncio.create_task(self._work(ready), name=f"bus {self.config.name}")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ready.wait(), 0.3)

    async def close(self) -> None:
        """Let the request in flight end, refuse the rest, close the port."""
        self._closing = True
        self._wake.set()
        if self.worker is not None:
            await self.worker
        self._fail_all(BusDown("bus closed"))
        if self._client is not None:
            self._client.close()

    async def read(
        self,
        unit: int,
        fc: int,
        address: int,
        count: int,
        pace: Transport,
        priority: Priority = Priority.POLL,
    ) -> list[int]:
        """`count` registers from `address` by function code 3 or 4; raises a BusError."""
        return await self._submit(priority, unit, fc, address, count, (), pace)

    async def write(
        self,
        unit: int,
        fc: int,
        address: int,
        words: Sequence[int],
        pace: Transport,
        priority: Priority = Priority.WRITE,
    ) -> None:
        """Write registers by function code 6 or 16; replaces a queued write to the same register."""
        self._newest[unit, address] = self._numbers + 1
        for job in [j for j in self._jobs if self._obsolete(j)]:
            self._jobs.remove(job)
            self._finish(job, Superseded(f"register {address} of unit {unit}"))
        await self._submit(priority, unit, fc, address, len(words), tuple(words), pace)

    def _obsolete(self, job: _Job) -> bool:
        return not job.reads and job.number < self._newest[job.unit, job.address]

    def drop_polls(self, unit: int) -> None:
        """Forget queued polls of a unit: it shall hear nothing more from us."""
        for job in [j for j in self._jobs if j.unit == unit and j.priority is Priority.POLL]:
            self._jobs.remove(job)
            self._finish(job, Superseded("polling stopped"))
        if self._served is not None and self._served.unit == unit and self._served.priority is Priority.POLL:
            self._served.tries = self._served.pace.retries  # not repeated

    def _submit(
        self,
        priority: Priority,
        unit: int,
        fc: int,
        address: int,
        count: int,
        words: tuple[int, ...],
        pace: Transport,
    ) -> asyncio.Future[list[int]]:
        self._numbers += 1
        future: asyncio.Future[list[int]] = asyncio.get_running_loop().create_future()
        job = _Job(priority, self._numbers, unit, fc, address, count, words, pace, future)
        if self.up and not self._closing:
            self._jobs.append(job)
            self._wake.set()
        else:
            self._finish(job, BusDown(f"bus {self.config.name} is down"))
        return future

    # ------------------------------------------------------------------------------------------ the worker

    async def _work(self, ready: asyncio.Event) -> None:
        pause = self._quiet.reconnect_s
        while not self._closing:
            if self.up:
                ready.set()
                pause = self._quiet.reconnect_s
                await self._turn()
                continue
            self._fail_all(BusDown(f"bus {self.config.name} is down"))
            if not await self._connect() and not self._closing:
                self._wake.clear()
                await self._sleep(pause)
                pause = min(2 * pause, self._quiet.reconnect_max_s)

    async def _turn(self) -> None:
        """Serve one job, or wait until there may be one."""
        self._wake.clear()
        now = self._now()
        urgent = [job for job in self._jobs if job.priority is Priority.SAFETY]
        waits = [(self._ready_at(job), job.priority, job.number, job) for job in urgent or self._jobs]
        ready = [w for w in waits if w[0] <= now]
        if ready:
            await self._serve(min(ready, key=lambda w: w[1:3])[3])
        else:
            await self._sleep(min((w[0] for w in waits), default=now + 60.0) - now)

    async def _sleep(self, seconds: float) -> None:
        """Until something is queued or the connection changed, at most so long."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), max(seconds, 0.0))

    def _ready_at(self, job: _Job) -> float:
        unit = self._units.setdefault(job.unit, _Unit())
        return max(self._free_at, unit.free_at, unit.readable_at if job.reads else 0.0)

    async def _serve(self, job: _Job) -> None:
        self._jobs.remove(job)
        if job.future.done():  # whoever asked has gone
            return
        self._served = self._flying = job
        self._heard = False
        self.health.requests += 1
        started = self._now()
        try:
            registers = await self._exchange(job)
        except DeviceRefused as refused:
            self.health.refused += 1
            self._finish(job, refused)
        except _BadReplyError as failed:
            await self._recover(job, started, failed)
        else:
            self._mute = 0
            self.health.latency_ms += ((self._now() - started) * 1000 - self.health.latency_ms) / 16
            if not job.future.done():
                job.future.set_result(registers)
        self._served = self._flying = None
        self._free_at = self._now() + self._quiet.turnaround_s
        self._units.setdefault(job.unit, _Unit()).free_at = self._now() + job.pace.min_gap_ms / 1000

    async def _exchange(self, job: _Job) -> list[int]:
        """One request and its checked reply."""
        from pymodbus.exceptions import ModbusException

        client = self._client
        if client is None:
            raise _BadReplyError("no connection", False)
        client.ctx.comm_params.timeout_connect = job.pace.timeout_ms / 1000
        try:
            reply = await self._call(client, job)
        except (ModbusException, OSError) as failed:
            raise _BadReplyError(str(failed), self._heard) from None
        if reply.isError():
            code = getattr(reply, "exception_code", 0)
            if code in GATEWAY_SILENT or code == BUSY or reply.function_code & 0x7F != job.fc:
                raise _BadReplyError(f"exception {code}", True)
            raise DeviceRefused(code)
        if not _answers(reply, job):
            raise _BadReplyError("the reply is not to this request", True)
        return list(reply.registers)

    @staticmethod
    async def _call(client: AsyncModbusSerialClient | AsyncModbusTcpClient, job: _Job) -> Any:
        match job.fc:
            case 3:
                return await client.read_holding_registers(job.address, count=job.count, device_id=job.unit)
            case 4:
                return await client.read_input_registers(job.address, count=job.count, device_id=job.unit)
            case 6:
                return await client.write_register(job.address, job.words[0], device_id=job.unit)
            case _:
                return await client.write_registers(job.address, list(job.words), device_id=job.unit)

    async def _recover(self, job: _Job, started: float, failed: _BadReplyError) -> None:
        """Count, keep quiet, flush; then queue the job again or give it up."""
        self.health.errors += 1
        if failed.heard:
            self.health.garbled += 1
        else:
            self.health.timeouts += 1
        self._mute = 0 if failed.heard else self._mute + 1
        if self.config.kind == "rtu":
            late = started + job.pace.timeout_ms / 1000 + self._quiet.late_s
            self._units.setdefault(job.unit, _Unit()).readable_at = late
        await self._settle()
        if self.config.kind == "tcp" and self._mute >= DEAD_AFTER and self._client is not None:
            self._mute = 0
            self._client.close()
        job.tries += 1
        if self._obsolete(job):
            self._finish(job, Superseded(f"register {job.address} of unit {job.unit}"))
        elif job.tries <= job.pace.retries and not job.future.done() and self.up:
            self._jobs.append(job)
        else:
            self._finish(job, NoReply(f"unit {job.unit}: {failed}"))

    async def _settle(self) -> None:
        """Wait for a quiet line, then throw away what came."""
        self._flying = None
        self._heard_at = self._now()
        end = self._heard_at + self._quiet.noisy_s
        while (rest := min(self._heard_at + self._quiet.after_error_s, end) - self._now()) > 0:
            await asyncio.sleep(rest)
        if self._client is not None and self._client.connected:
            self._client.ctx.recv_buffer = b""

    # -------------------------------------------------------------------------------------- the connection

    async def _connect(self) -> bool:
        """One attempt; the client is made anew each time so that nothing old is left in it."""
        if self._client is not None:
            self._client.close()
            self.health.reconnects += 1
        self._client = self._make()
        try:
            connected = await self._client.connect()
        except (termios.error, ValueError) as wrong:  # a port that does not take its settings
            _LOG.warning("bus %s: %s: %s", self.config.name, self.config.port, wrong)
            return False
        await asyncio.sleep(0)  # a serial transport sets itself up in the next turn of the loop
        return connected

    def _make(self) -> AsyncModbusSerialClient | AsyncModbusTcpClient:
        from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient

        c, q = self.config, self._quiet
        client: AsyncModbusSerialClient | AsyncModbusTcpClient
        if c.kind == "rtu":
            client = AsyncModbusSerialClient(
                c.port, baudrate=c.baud, parity=_parity(c), stopbits=c.stopbits, retries=0, reconnect_delay=0,
                timeout=q.connect_s, trace_packet=self._packet, trace_connect=self._changed,
            )  # fmt: skip
        else:
            client = AsyncModbusTcpClient(
                c.host, port=c.tcp_port, retries=0, reconnect_delay=0, timeout=q.connect_s,
                trace_packet=self._packet, trace_connect=self._changed,
            )  # fmt: skip
        client.set_max_no_responses(1 << 30)
        return client

    def _packet(self, sending: bool, data: bytes) -> bytes:
        """Every byte on the line passes here."""
        if not sending and data:
            self._heard_at, self._heard = self._now(), True
            if self._flying is None:
                self.health.late += 1
                unit = self._units.get(data[0]) if self.config.kind == "rtu" else None
                if unit is not None:
                    unit.readable_at = 0.0  # what we waited for has come
        return data

    def _changed(self, connected: bool) -> None:
        self._wake.set()

    # ----------------------------------------------------------------------------------------------- ends

    def _fail_all(self, error: BusError) -> None:
        jobs, self._jobs = self._jobs, []
        for job in jobs:
            self._finish(job, error)

    @staticmethod
    def _finish(job: _Job, error: BusError) -> None:
        if not job.future.done():
            job.future.set_exception(error)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _parity(config: BusConfig) -> str:
    """A pty has no parity, and Debian's C library refuses to set one there."""
    return "N" if os.path.realpath(config.port).startswith("/dev/pts/") else config.parity


def _answers(reply: Any, job: _Job) -> bool:
    """Whether the reply is to this request, as far as Modbus lets one tell."""
    if reply.function_code != job.fc or reply.dev_id != job.unit:
        return False
    if job.reads:
        return len(reply.registers) == job.count
    if reply.address != job.address:
        return False
    return bool(reply.registers == list(job.words) if job.fc == 6 else reply.count == job.count)
