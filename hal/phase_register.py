"""The phase relay of a smart controller: one register that moves it, and one that tells where it is."""

from __future__ import annotations

from decimal import Decimal

from hal.bus import BusError
from hal.device import Device, Value
from hal.ports import Emit, Nameplate, PhasesReported, SetPhases


class PhaseRegister:
    """Where a device's profile names both points; without them the phases are those of the nameplate."""

    def __init__(self, nameplate: Nameplate, device: Device, emit: Emit) -> None:
        self._nameplate, self._device, self._emit = nameplate, device, emit
        self.able = {"phases", "phases_state"} <= device.profile.points.keys() and nameplate.phases == 3
        self._told: int | None = None
        """Where the relay is; 0: it does not tell; None: not read yet."""

    @property
    def selected(self) -> int:
        """Phases of the next closing; 0 while the relay does not tell."""
        return self._told or 0 if self.able else self._nameplate.phases

    @property
    def closed(self) -> int:
        """Phases that a closed contactor connects, as far as is known."""
        return self.selected or self._nameplate.phases

    def forget(self) -> None:
        """It is told again with the next poll."""
        self._told = None

    def take(self, found: Value) -> None:
        """What a poll has read; anything but 1 or 3 does not tell."""
        phases = int(found) if isinstance(found, Decimal) and found in (1, 3) else 0
        if self.able and phases != self._told:
            self._told = phases
            self._emit(PhasesReported(self._nameplate.evse, phases))

    async def select(self, command: SetPhases) -> str:
        """Write it once and read it back; the answer is why not, or nothing. Where it then is comes with a poll."""
        try:
            found = await self._device.write_and_check("phases", Decimal(command.phases))
        except BusError as failed:
            return str(failed)
        return "" if found == command.phases else f"the device says {found} phases"
