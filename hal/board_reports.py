"""What a raw board reports, as events: what differs from the last report that was told, everything after the first."""

from __future__ import annotations

from typing import cast

from hal import frames
from hal.device import Faults
from hal.frames import FAULT_BITS
from hal.ports import (
    CableRated,
    ContactorReported,
    Emit,
    LockReported,
    Nameplate,
    PhasesReported,
    Pilot,
    PilotChanged,
    TemperatureMeasured,
)

TOLD_TENTHS_C = 10
"""A temperature is told again when it moved by so much."""


class Reports:
    """State reports of the board of one EVSE."""

    def __init__(self, nameplate: Nameplate, faults: Faults, emit: Emit) -> None:
        self._evse, self._nameplate, self._faults, self._emit = nameplate.evse, nameplate, faults, emit
        self._told: frames.State | None = None
        self._celsius: dict[int, int] = {}
        self.connectors = 1
        """How many the board says it has."""
        self.permitted: int | None = None
        """The connector of the newest permission; None before any."""

    def forget(self) -> None:
        """The board was lost: its next report is told whole."""
        self._told = None

    def take(self, state: frames.State) -> None:
        """A report; called while the board is alive."""
        old, self._told = self._told, state
        if old is None or (old.faults, old.flags) != (state.faults, state.flags):
            self._tell_faults(state)
        self._tell_connectors(state)
        if old is None or (old.flags ^ state.flags) & (frames.ONE_PHASE | frames.PHASES_UNKNOWN):
            self._emit(PhasesReported(self._evse, self._selected(state)))
        if old is None or old.contacts != state.contacts:
            phases = (state.contacts & (frames.L1 | frames.L2 | frames.L3)).bit_count()
            self._emit(ContactorReported(self._evse, state.contacts != 0, phases))
        before = {} if old is None else {plug.connector: plug for plug in old.plugs}
        for plug in state.plugs:
            if plug.connector in self._nameplate.connectors:
                self._take_plug(before.get(plug.connector), plug)
        for place, tenths_c in state.temperatures:
            self._take_temperature(place, tenths_c)

    def _take_plug(self, old: frames.Plug | None, plug: frames.Plug) -> None:
        if old is None or old.proximity != plug.proximity:
            known = plug.proximity not in (0, 255)
            self._emit(CableRated(self._evse, plug.connector, float(plug.proximity) if known else None))
        if old is None or (old.flags ^ plug.flags) & frames.LOCKED:
            self._emit(LockReported(self._evse, plug.connector, bool(plug.flags & frames.LOCKED)))
        if old is None or old.pilot != plug.pilot:
            self._emit(PilotChanged(self._evse, cast("Pilot", plug.pilot), plug.connector))

    def _selected(self, state: frames.State) -> int:
        """Where the phase relay is: 1 or 3, or 0 when its feedback does not tell."""
        if state.flags & frames.PHASES_UNKNOWN:
            return 0
        return 1 if state.flags & frames.ONE_PHASE else self._nameplate.phases

    def _tell_faults(self, state: frames.State) -> None:
        for bit, code in enumerate(FAULT_BITS):
            self._faults.tell(code, bool(state.faults >> bit & 1), f"bit {bit}")
        self._faults.tell("emergency_stop", bool(state.flags & frames.EMERGENCY_STOP))
        self._faults.tell("heartbeat_lost", bool(state.flags & frames.HEARTBEAT_LOST))

    def _tell_connectors(self, state: frames.State) -> None:
        """Those of the installer, and power at none but the one that was permitted."""
        wanted, listed = sorted(self._nameplate.connectors), [plug.connector for plug in state.plugs]
        strays = state.contacts != 0 and self.permitted not in (None, state.active)
        wrong = ""
        if self.connectors != len(wanted) or listed != wanted:
            wrong = f"the board has {self.connectors} and reports {listed}, board.toml says {wanted}"
        elif strays:
            wrong = f"closed at {state.active}, permitted at {self.permitted}"
        self._faults.tell("connectors_differ", bool(wrong), wrong)

    def _take_temperature(self, place: int, tenths_c: int) -> None:
        known = self._celsius.get(place)
        if known is None or abs(tenths_c - known) >= TOLD_TENTHS_C:
            self._celsius[place] = tenths_c
            self._emit(TemperatureMeasured(self._evse, frames.name_of(frames.PLACES, place), tenths_c / 10))
