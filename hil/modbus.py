"""Simulated Modbus devices behind pymodbus servers: several units on one RTU wire or one TCP port."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import Protocol, cast

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from hil.wire import RtuWire, flip_bit

READ_HOLDING, READ_INPUT = 3, 4


class IllegalAddress(Exception):
    """The device has no such register (exception 2)."""


class IllegalValue(Exception):
    """The device does not take this value or count (exception 3)."""


class Registers(Protocol):
    """What an instrument offers on the bus. It hears only telegrams to its own unit."""

    def read(self, function: int, address: int, count: int) -> list[int]:
        """16-bit words for function 3 or 4; raises IllegalAddress or IllegalValue."""
        ...

    def write(self, address: int, values: list[int]) -> None:
        """Holding registers by function 6 or 16; raises IllegalAddress or IllegalValue."""
        ...


@dataclass
class Unit:
    """One device on a bus: its unit id, its registers and what ails its communication."""

    number: int
    registers: Registers
    muted: bool = False
    garbled: bool = False
    powered: bool = True
    answered: int = 0
    chance: random.Random = field(default_factory=lambda: random.Random(2))

    @property
    def deaf(self) -> bool:
        """It neither hears nor answers."""
        return self.muted or not self.powered

    def device(self) -> SimDevice:
        """The pymodbus device: a span of plain registers, filled from the instrument at each request."""
        span = SimData(0, count=0xFFFF, values=0, datatype=DataType.REGISTERS)
        bits = SimData(0, count=16, values=False, datatype=DataType.BITS)
        return SimDevice(self.number, ([bits], [bits], [span], [span]), action=self._act)

    async def _act(
        self,
        function: int,
        start: int,
        address: int,
        count: int,
        current: list[int],
        new: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        """Called by pymodbus for each request to this unit."""
        if self.deaf:
            return ExcCodes.GATEWAY_NO_RESPONSE
        try:
            if new is not None:
                self.registers.write(address, [int(value) for value in new])
            else:
                at = address - start
                space = (
                    READ_INPUT if function == READ_INPUT else READ_HOLDING
                )  # 6: pymodbus reads back its write
                current[at : at + count] = self.registers.read(space, address, count)
        except IllegalAddress:
            return ExcCodes.ILLEGAL_ADDRESS
        except IllegalValue:
            return ExcCodes.ILLEGAL_VALUE
        self.answered += 1
        return None


class Bus:
    """The units behind one server, and the tap that mutes and garbles their answers."""

    def __init__(self, units: list[Unit], unit_at: int) -> None:
        self.units = {unit.number: unit for unit in units}
        self._unit_at = unit_at
        """Where the unit id stands in a frame: 0 in RTU, 6 in TCP."""

    def devices(self) -> list[SimDevice]:
        """For the server."""
        return [unit.device() for unit in self.units.values()]

    def tap(self, sending: bool, packet: bytes) -> bytes:
        """pymodbus's trace_packet: drop the answers of missing and deaf units, flip a bit of garbled ones."""
        if not sending or len(packet) <= self._unit_at:
            return packet
        unit = self.units.get(packet[self._unit_at])
        if unit is None or unit.deaf:
            return b""
        if unit.garbled:
            return self._garble(packet, unit.chance)
        return packet

    def _garble(self, packet: bytes, chance: random.Random) -> bytes:
        """RTU: any bit, the CRC tells. TCP has no CRC of its own, so the protocol id is spoilt."""
        if self._unit_at == 0:
            return flip_bit(packet, chance)
        return packet[:2] + flip_bit(packet[2:4], chance) + packet[4:]


class RtuBus:
    """Units on an RS-485 wire."""

    def __init__(self, wire: RtuWire, units: list[Unit]) -> None:
        self.wire = wire
        self.bus = Bus(units, 0)
        self._server: ModbusSerialServer | None = None

    async def open(self) -> None:
        """Start serving the far side of the wire."""
        self._server = ModbusSerialServer(
            self.bus.devices(), port=self.wire.server_port, baudrate=115_200, trace_packet=self.bus.tap
        )
        await self._server.serve_forever(background=True)

    async def close(self) -> None:
        """Stop the server and cut the wire."""
        if self._server is not None:
            self._server.close()
        self.wire.close()


class TcpBus:
    """Units behind a Modbus TCP port (0 chooses a free one; `port` tells which after `open`)."""

    def __init__(self, host: str, port: int, units: list[Unit]) -> None:
        self.host, self.port = host, port
        self.bus = Bus(units, 6)
        self._server: ModbusTcpServer | None = None

    async def open(self) -> None:
        """Start listening; raises RuntimeError when the port is taken."""
        self._server = ModbusTcpServer(
            self.bus.devices(), address=(self.host, self.port), trace_packet=self.bus.tap
        )
        await self._server.serve_forever(background=True)
        self.port = cast(asyncio.Server, self._server.transport).sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Close the port and its connections."""
        if self._server is not None:
            self._server.close()
