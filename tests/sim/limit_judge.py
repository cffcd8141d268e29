"""Invariants 1, 5 and 7: what the station commands, against every limit that the world knows of by itself.

It believes no word of the station but its answers: a limit that it accepted is in force, one that it was sent may be.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hal.ports import Offer, Permit
from tests.sim.allowance import Allowance
from tests.sim.outlet import Outlet

Fail = Callable[[str, str], None]
Key = Callable[[str, str], str]
MIN_AMPS = 6.0
ROUNDING = 1e-6
SPACING_MS = 5_000
LAPSE_MS = 2_000
"""After its grace a silent source has this long to take effect (DESIGN.md: one second, and a step)."""
VOLTS = 230.0
NONE = float("inf")
@dataclass(slots=True)
class Commanded:
    """What one EVSE was told."""

    amps: float = 0.0
    since_ms: int = 0
    permitted: bool = False
    decided: float = 0.0
    """Amps as the station last decided them, whether executed yet or not."""
    raised_ms: int = -1_000_000
    meter_lost_ms: int | None = None
    derated: bool = False


class LimitJudge:
    """Watches what is commanded."""

    def __init__(
        self, now_ms: Callable[[], int], fail: Fail, key: Key, outlets: dict[int, Outlet], allowance: Allowance
    ) -> None:
        self.now_ms, self.fail, self.key, self.outlets, self.allowance = now_ms, fail, key, outlets, allowance
        self.installation_amps = NONE
        self.standalone = False
        """There is no CSMS that could be silent."""
        self.silent_since_ms: int | None = 0
        self.accepted_once = False
        self.evses = {evse: Commanded() for evse in outlets}

    def booted(self) -> None:
        """A new process: nothing is commanded, the CSMS is silent, everything else goes on."""
        self.evses = {evse: Commanded(since_ms=self.now_ms()) for evse in self.outlets}
        self.allowance.booted()
        self.silent_since_ms, self.accepted_once = self.now_ms(), False

    # -------------------------------------------------- the CSMS

    def link(self, up: bool) -> None:
        """The station is connected and accepted, or not."""
        if up:
            self.silent_since_ms, self.accepted_once = None, True
        elif self.silent_since_ms is None:
            self.silent_since_ms = self.now_ms()

    def answered(self, action: str, request: Any, status: str) -> None:
        """The station has answered the CSMS: what it accepted is in force already, for it lowers before it speaks."""
        self.allowance.profiles.answered(action, request, status == "Accepted")
        self._allowed("when it was accepted")

    # -------------------------------------------------- decisions and commands

    def decides(self, command: Permit | Offer) -> None:
        """Increases of a flowing current are spaced."""
        state = self.evses[command.evse]
        if command.amps > state.decided:
            gap = self.now_ms() - state.raised_ms
            if state.decided > 0 and gap < SPACING_MS:
                self.fail("1 limit", f"{command}: the last increase was {gap} ms ago")
            state.raised_ms = self.now_ms()
        state.decided = command.amps

    def commands(self, command: Permit | Offer, *, safe: bool) -> None:
        """A current is about to be commanded; `safe`: before anything is on flash."""
        state = self.evses[command.evse]
        self.plate(command.evse, command.amps)
        raises = isinstance(command, Permit) or command.amps > state.amps
        if safe and raises:
            self.fail("1 limit", f"{command} raises {state.amps} A before it is recorded (MAKE_SAFE)")
        if not safe and isinstance(command, Offer) and command.amps < state.amps:
            self.fail("1 limit", f"{command} lowers {state.amps} A but waits for flash")
        if command.amps != state.amps:
            state.since_ms = self.now_ms()
        state.amps = command.amps
        state.permitted = state.permitted or isinstance(command, Permit)
        if isinstance(command, Permit):
            self.allowance.powered(command.evse)
        self._cable(command)
        self._allowed(str(command))

    def withdraws(self, evse: int) -> None:
        """Nothing is permitted any more."""
        state = self.evses[evse]
        if state.amps or state.permitted:
            state.since_ms = self.now_ms()
        state.amps, state.permitted = 0.0, False
        self.allowance.profiles.interrupted(evse)

    def plate(self, evse: int, amps: float) -> None:
        """Neither above the nameplate nor below the EV minimum."""
        if 0 < amps < MIN_AMPS:
            self.fail("1 limit", f"EVSE {evse}: {amps} A is below the EV minimum; it must be a pause")
        spec = self.outlets[evse].spec
        if amps > spec.max_amps or amps < 0:
            self.fail("1 limit", f"EVSE {evse}: {amps} A commanded, nameplate {spec.max_amps} A")

    def _cable(self, command: Permit | Offer) -> None:
        outlet = self.outlets[command.evse]
        connector = command.connector if isinstance(command, Permit) else outlet.connector
        cable = outlet.cables.get(connector)
        if cable is not None and outlet.cable_at(connector) == "socket" and command.amps > cable:
            self.fail("1 limit", f"{command}: the cable carries {cable} A")

    @property
    def total(self) -> float:
        """A per phase of all EVSEs."""
        return sum(state.amps for state in self.evses.values())

    @property
    def watts(self) -> float:
        """What all that was commanded amounts to."""
        return sum(self.watts_at(evse) for evse in self.evses)

    def watts_at(self, evse: int) -> float:
        """On every phase that may carry current there: where the relay is, and what contacts are closed."""
        return self.evses[evse].amps * self.outlets[evse].may_carry * VOLTS

    def _allowed(self, when: str) -> None:
        total = self.total
        if total > self.installation_amps + ROUNDING:
            self.fail("1 limit", f"{when}: {total} A in total, the installation has {self.installation_amps} A")
        if not self.allowance.profiles.slips or self.key("SmartChargingCtrlr.Enabled", "true") == "false":
            return
        self._fits(when, 0, total, self.watts)
        for evse, state in self.evses.items():
            self._fits(when, evse, state.amps, self.watts_at(evse))

    def _fits(self, when: str, evse: int, amps: float, watts: float) -> None:
        most = self.allowance.refuses(evse, amps, watts) if amps else ""
        if most:
            where = f"at EVSE {evse}" if evse else "in total"
            name = "7 watts" if most.endswith(" W") else "1 limit"
            self.fail(name, f"{when}: {amps:g} A, {watts:g} W {where}, the CSMS allows {most}")

    # -------------------------------------------------- sources that fall silent

    def stepped(self) -> None:
        """5: each silent source has reached its own fallback; 1 and 7: what the CSMS allows changes with the time."""
        self.allowance.stepped()
        if any(state.amps for state in self.evses.values()):
            self._allowed("now")
        for evse, state in self.evses.items():
            if state.amps > MIN_AMPS:
                self._lapsed(evse, state)

    def _lapsed(self, evse: int, state: Commanded) -> None:
        grace_ms = 1000 * float(self.key("FallbackCtrlr.MeterSilentGrace", "10"))
        if state.meter_lost_ms is not None and self.now_ms() - state.meter_lost_ms > grace_ms + LAPSE_MS:
            self._at_most(evse, state, "FallbackCtrlr.MeterLostLimit", "its meter is silent")
        if state.derated:
            self._at_most(evse, state, "", "it is derated")
        if self.standalone:
            return
        if not self.accepted_once:
            self._at_most(evse, state, "FallbackCtrlr.BootLimit", "the CSMS has not accepted since the start")
        if self.silent_since_ms is not None and not self.allowance.may_speak(evse):
            grace_ms = 1000 * float(self.key("FallbackCtrlr.OfflineGrace", "300"))
            if self.now_ms() - self.silent_since_ms > grace_ms + LAPSE_MS:
                self._at_most(evse, state, "FallbackCtrlr.OfflineLimit", "the CSMS is silent")

    def _at_most(self, evse: int, state: Commanded, key: str, why: str) -> None:
        most = float(self.key(key, "6"))
        if state.amps > most + ROUNDING:
            self.fail("5 lapse", f"EVSE {evse}: {state.amps} A although {why}; at most {most:g} A")
