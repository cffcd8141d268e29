"""Serial wires of the bench: ptys that are as slow as the baud rate, and that can be disturbed.

A pty ignores its baud rate, so the bench keeps the time: a chunk of n bytes arrives n characters later.
Agents open the stable symlink `path`; the instrument sits on the other side.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import termios
import tty
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Receive = Callable[[bytes], None]
Direction = Literal["to_agent", "to_device"]


@dataclass
class Disturbance:
    """What goes wrong on a wire: `mute` loses all, `garble` and `drop` are shares (0 to 1) of chunks."""

    mute: bool = False
    garble: float = 0.0
    drop: float = 0.0
    delay_s: float = 0.0
    """Added to every chunk in both directions."""
    chance: random.Random = field(default_factory=lambda: random.Random(1))

    def heal(self) -> None:
        """No disturbance any more."""
        self.mute, self.garble, self.drop, self.delay_s = False, 0.0, 0.0, 0.0

    def disturb(self, chunk: bytes) -> bytes:
        """The chunk as it arrives: whole, with one bit flipped, or empty when it is lost."""
        if self.mute or self.chance.random() < self.drop:
            return b""
        if chunk and self.chance.random() < self.garble:
            return flip_bit(chunk, self.chance)
        return chunk


def flip_bit(chunk: bytes, chance: random.Random) -> bytes:
    """`chunk` with one bit inverted."""
    changed = bytearray(chunk)
    changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


@dataclass(frozen=True)
class SerialFormat:
    """How characters go over the wire: 19200 8E1 has 11 bits in a character, 115200 8N1 has 10."""

    baud: int = 19_200
    parity: str = "N"
    stop_bits: int = 1

    @property
    def bits_per_character(self) -> int:
        """Start bit, eight data bits, parity if any, stop bits."""
        return 9 + (self.parity != "N") + self.stop_bits

    def duration_s(self, count: int) -> float:
        """How long `count` characters occupy the wire."""
        return count * self.bits_per_character / self.baud


class PtyEnd:
    """One pty: `device` is the path to open, `receive` gets what its user writes, `write` feeds its reads."""

    def __init__(self, receive: Receive) -> None:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.device = os.ttyname(self._slave)
        self._receive = receive
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._master, self._ready)

    def _ready(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._receive(os.read(self._master, 4096))

    def write(self, data: bytes) -> None:
        """Hand bytes to whoever has the pty open; what nobody fetches is lost once the buffer is full."""
        with contextlib.suppress(BlockingIOError):
            os.write(self._master, data)

    def flush(self) -> None:
        """Forget bytes that nobody has fetched: a UART keeps nothing for a process that is not there."""
        termios.tcflush(self._slave, termios.TCIFLUSH)

    def close(self) -> None:
        """Close both sides."""
        self._loop.remove_reader(self._master)
        os.close(self._master)
        os.close(self._slave)


class SerialLine:
    """A serial line from the agent's port `path` (a symlink to a pty) to the instrument's `receive` callback.

    Half duplex lines share the wire between the directions; both directions keep the order of bytes.
    """

    def __init__(
        self, path: Path, line: SerialFormat, receive: Receive, *, half_duplex: bool = False
    ) -> None:
        self.path = path
        self.line = line
        self.faults = Disturbance()
        self.carried: dict[Direction, int] = {"to_agent": 0, "to_device": 0}
        self.busy_s: dict[Direction, float] = {"to_agent": 0.0, "to_device": 0.0}
        self._receive = receive
        self._free_at: dict[Direction, float] = {"to_agent": 0.0, "to_device": 0.0}
        self._half_duplex = half_duplex
        self._loop = asyncio.get_running_loop()
        self._pending: set[asyncio.TimerHandle] = set()
        self._end = PtyEnd(lambda chunk: self._carry("to_device", chunk, self._receive))
        path.unlink(missing_ok=True)
        path.symlink_to(self._end.device)

    def send(self, data: bytes) -> None:
        """Send from the instrument to the agent."""
        self._carry("to_agent", data, self._end.write)

    def flush(self) -> None:
        """Forget what a dead agent has not fetched."""
        self._end.flush()

    def _carry(self, direction: Direction, chunk: bytes, deliver: Receive) -> None:
        """Occupy the wire for the chunk's characters, then deliver what is left of it."""
        duration = self.line.duration_s(len(chunk))
        self.carried[direction] += len(chunk)
        self.busy_s[direction] += duration
        arrived = self.faults.disturb(chunk)
        free = max(self._free_at.values()) if self._half_duplex else self._free_at[direction]
        at = max(free, self._loop.time()) + duration
        self._free_at[direction] = at
        if arrived:
            self._later(at + self.faults.delay_s, deliver, arrived)

    def _later(self, at: float, deliver: Receive, chunk: bytes) -> None:
        def fire() -> None:
            self._pending.discard(handle)
            deliver(chunk)

        handle = self._loop.call_at(at, fire)
        self._pending.add(handle)

    def close(self) -> None:
        """Cut the line and remove the symlink."""
        for handle in self._pending:
            handle.cancel()
        self._end.close()
        self.path.unlink(missing_ok=True)


class RtuWire:
    """An RS-485 segment: the agent's symlink on one side, a pty for a Modbus server on the other.

    Like a real slave, the far side sees a frame only when the wire has been silent for 3.5 characters and the
    CRC is right (Modbus over serial line V1.02, 2.5.1.1); pymodbus's server would keep noise in its buffer.
    """

    def __init__(self, path: Path, line: SerialFormat) -> None:
        self.serial = SerialLine(path, line, self._gather, half_duplex=True)
        self._far = PtyEnd(self.serial.send)
        self._frame = bytearray()
        self._silence_s = max(line.duration_s(4), 0.002)
        self._silence: asyncio.TimerHandle | None = None
        self.discarded = 0

    @property
    def server_port(self) -> str:
        """The device path that the Modbus server opens."""
        return self._far.device

    @property
    def faults(self) -> Disturbance:
        """What disturbs this wire, in both directions."""
        return self.serial.faults

    def _gather(self, chunk: bytes) -> None:
        self._frame += chunk
        if self._silence is not None:
            self._silence.cancel()
        self._silence = asyncio.get_running_loop().call_later(self._silence_s, self._complete)

    def _complete(self) -> None:
        frame = bytes(self._frame)
        self._frame.clear()
        if len(frame) >= 4 and crc16(frame) == 0:
            self._far.write(frame)
        else:
            self.discarded += 1

    def close(self) -> None:
        """Cut the wire."""
        if self._silence is not None:
            self._silence.cancel()
        self._far.close()
        self.serial.close()


def crc16(data: bytes) -> int:
    """CRC-16/MODBUS; 0 over a whole frame with its CRC means the frame is good."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
    return crc
