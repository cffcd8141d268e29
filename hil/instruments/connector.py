"""One connector of a raw board: what the board watches of it, whether or not it has the power path."""

from __future__ import annotations

from dataclasses import dataclass

from hal import frames
from hil.instruments.ev import Car
from hil.instruments.pilot import Duty, PilotState, state_of


@dataclass(frozen=True)
class ConnectorMake:
    """How a connector is built."""

    socket: bool = True
    """A socket: lock and proximity pilot; otherwise a fixed cable with neither."""
    cable_amps: int = 32
    """Rating of the plugged cable by its proximity resistor."""


@dataclass
class Connector:
    """Its plug, its lock, and the state of its pilot wire."""

    number: int
    make: ConnectorMake
    locked: bool = False
    cable_left: bool = False
    """The car's end was pulled; the cable still sits in the socket."""
    plugged: bool = False
    pilot: PilotState = "A"

    def look(self, car: Car) -> None:
        """What is in the socket."""
        self.cable_left = self.cable_left and not car.plugged
        self.plugged = car.plugged or self.cable_left

    def sense(self, car: Car, duty: Duty) -> None:
        """What the wire does under this drive."""
        self.pilot = state_of(car.load, duty)

    @property
    def cable_tenths(self) -> int | None:
        """What the cable carries, by its resistor; None: no loose cable."""
        return self.make.cable_amps * 10 if self.make.socket and self.plugged else None

    @property
    def report(self) -> frames.Plug:
        """Its part of a State."""
        proximity = (self.make.cable_amps if self.plugged else 0) if self.make.socket else 255
        flags = frames.PLUG_PRESENT * self.plugged | frames.LOCKED * self.locked
        return frames.Plug(self.number, self.pilot, proximity, flags)
