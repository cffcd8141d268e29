"""One connector of an EVSE: what is plugged into it, whichever of them is in use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from agent.core.site import Connector
from hal.ports import Pilot


@dataclass(slots=True)
class Plug:
    """What is known of one connector. Only one of an EVSE is in use at a time (E01.FR.14, G01.FR.08)."""

    site: Connector
    pilot: Pilot | None = None
    connected: bool = False
    """A car is plugged in; pilot E and F say nothing about that, so the last word holds."""
    cable_amps: float | None = None
    """Rating of the loose cable in the socket; None: no cable, or one that does not tell."""
    tells: bool = False
    """It has told the rating of a cable before: then one that it does not tell is not there."""
    locked: bool | None = None
    closed: bool = False
    """Out of service by the CSMS; what was going on there when it said so has ended."""
    lock_fails: bool = False
    """Its lock was told to move and has not (G05)."""

    @property
    def id(self) -> int:
        return self.site.id

    @property
    def cable(self) -> Literal["fixed", "socket"]:
        return self.site.cable

    @property
    def max_amps(self) -> float:
        return self.site.max_amps

    @property
    def is_occupied(self) -> bool:
        """A car is plugged in, or a cable was left behind in the socket."""
        return self.connected or (self.cable == "socket" and self.cable_amps is not None)

    def sees(self, pilot: Pilot) -> None:
        """The control pilot has reached a state."""
        self.pilot = pilot
        if pilot in ("A", "B", "C", "D"):
            self.connected = pilot != "A"
