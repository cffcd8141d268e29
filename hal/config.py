"""What hardware there is and how it is wired: plain values, built by the agent from board.toml."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hal.ports import Nameplate


@dataclass(frozen=True, slots=True)
class BusConfig:
    """A Modbus bus that several devices share: `rtu` on a serial port, `tcp` to a device or gateway."""

    name: str
    kind: Literal["rtu", "tcp"]
    port: str = ""
    baud: int = 9600
    parity: str = "N"
    stopbits: int = 1
    host: str = ""
    tcp_port: int = 502


@dataclass(frozen=True, slots=True)
class DeviceRef:
    """A device on a bus: the name of its profile, of its bus, and its Modbus unit id."""

    profile: str
    bus: str
    unit: int


@dataclass(frozen=True, slots=True)
class BoardRef:
    """A raw controller board on a serial port of its own (hal/board-protocol.md)."""

    port: str
    baud: int = 115200


@dataclass(frozen=True, slots=True)
class EvseConfig:
    """One EVSE. `kind` smart has a `controller`, raw a `board`; others come from `chargerd.drivers`."""

    id: int
    kind: str
    nameplate: Nameplate
    controller: DeviceRef | None = None
    board: BoardRef | None = None
    meter: DeviceRef | None = None


@dataclass(frozen=True, slots=True)
class ReaderConfig:
    """A card reader on a serial port and the EVSEs it serves."""

    name: str
    port: str
    baud: int = 9600
    evses: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class HardwareConfig:
    """All of it. `profiles` is a directory of more device profiles; they win over ours of the same name."""

    buses: tuple[BusConfig, ...] = ()
    evses: tuple[EvseConfig, ...] = ()
    readers: tuple[ReaderConfig, ...] = ()
    profiles: Path | None = None
