"""What hardware there is and how it is wired: plain values, built by the agent from board.toml."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NamedTuple

from hal.ports import Nameplate


class BusConfig(NamedTuple):
    """A Modbus bus that several devices share: `rtu` on a serial port, `tcp` to a device or gateway."""

    name: str
    kind: Literal["rtu", "tcp"]
    port: str = ""
    baud: int = 9600
    parity: str = "N"
    stopbits: int = 1
    host: str = ""
    tcp_port: int = 502


class DeviceRef(NamedTuple):
    """A device on a bus: the name of its profile, of its bus, and its Modbus unit id."""

    profile: str
    bus: str
    unit: int
    signs: bool = False
    """A meter that signs its readings."""


class BoardRef(NamedTuple):
    """A raw controller board on a serial port of its own (hal/board-protocol.md)."""

    port: str
    baud: int = 115200


class EvseConfig(NamedTuple):
    """One EVSE. `kind` smart has a `controller`, raw a `board`; others come from `chargerd.drivers`."""

    id: int
    kind: str
    nameplate: Nameplate
    controller: DeviceRef | None = None
    board: BoardRef | None = None
    meter: DeviceRef | None = None


class ReaderConfig(NamedTuple):
    """A card reader on a serial port and the EVSEs it serves."""

    name: str
    port: str
    baud: int = 9600
    evses: tuple[int, ...] = ()


DISPLAY_FORMATS: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "console": ("ASCII", "UTF8"),
    "html": ("ASCII", "HTML", "URI", "UTF8"),
})  # fmt: skip
"""Kinds of displays (hal/display.py), and the OCPP message formats that each can show."""


class DisplayConfig(NamedTuple):
    """A display for drivers: what kind of file it is shown from (hal/display.py), and which."""

    name: str
    kind: str
    file: Path


class HardwareConfig(NamedTuple):
    """All of it. `profiles` is a directory of more device profiles; they win over ours of the same name."""

    buses: tuple[BusConfig, ...] = ()
    evses: tuple[EvseConfig, ...] = ()
    readers: tuple[ReaderConfig, ...] = ()
    profiles: Path | None = None
    displays: tuple[DisplayConfig, ...] = ()
    main_meter: DeviceRef | None = None
    """Measures what the whole station takes."""

    @property
    def meters(self) -> Mapping[int, DeviceRef]:
        """Every meter by its EVSE; 0 is the main meter."""
        main = {0: self.main_meter} if self.main_meter is not None else {}
        return main | {evse.id: evse.meter for evse in self.evses if evse.meter is not None}
