"""The control pilot wire of IEC 61851-1, as both ends see it (Annex A).

A duty cycle is a percentage: 100 is a steady +12 V (no current offered), 0 is a steady -12 V (state F), and
None is an open wire.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Duty = float | None
Load = Literal["open", "B", "C", "D", "short"]
"""What hangs on the wire: nothing, 2.7 kohm, 880 ohm, 240 ohm, or a short to earth."""

PilotState = Literal["A", "B", "C", "D", "E", "F"]

MIN_AMPS = 6.0


@dataclass(frozen=True)
class Mains:
    """The supply at the bench: volts L1 to L3 and frequency; a power cut is 0 V on all."""

    volts: tuple[float, float, float] = (230.4, 229.7, 231.1)
    hertz: float = 50.01

    @property
    def on(self) -> bool:
        """There is mains voltage."""
        return max(self.volts) > 0


NO_MAINS = Mains((0.0, 0.0, 0.0), 0.0)


def amps_of_duty(duty: Duty) -> float:
    """What the car may draw at this duty cycle (IEC 61851-1 table A.8); 0 where it is no current."""
    if duty is None or duty < 8 or duty > 97:
        return 0.0
    if duty < 10:
        return 6.0
    if duty <= 85:
        return duty * 0.6
    return min((duty - 64) * 2.5, 80.0)


def duty_of_amps(amps: float) -> float:
    """The duty cycle that offers `amps`; below 6 A nothing is offered and the wire is a steady +12 V."""
    if amps < MIN_AMPS:
        return 100.0
    return amps / 0.6 if amps <= 51 else min(amps / 2.5 + 64, 96.0)


def state_of(load: Load, duty: Duty) -> PilotState:
    """The pilot state an EVSE measures with its own drive and this load."""
    if duty == 0:
        return "F"
    if load == "short":
        return "E"
    if load == "open" or duty is None:
        return "A"
    return load
