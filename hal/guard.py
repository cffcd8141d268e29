"""The guard: an independent clamp between whatever decides and the devices. It knows no OCPP.

It clamps to the nameplate, keeps the order of steps, and holds a lease: only a completed step renews it. When
it lapses everything is withdrawn, the devices rest and nobody feeds their watchdogs, so that they fall back
by themselves. Then the old setpoint never comes back: a permission needs a renewed lease and a new step.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from hal.device import Clock, Faults
from hal.ports import (
    Command,
    Emit,
    Nameplate,
    Offer,
    OfferSchedules,
    Permit,
    PowerStage,
    Refused,
    ResetFault,
    SetFailsafe,
    SetLock,
    SetPhases,
    SignMeter,
    SpeaksIso15118,
    Withdraw,
)

LEASE_MS = 3000
RISE_GAP_MS = 1000
"""An increase sooner after the last one is refused: the arbiter spaces its own by 5 s."""
LEAST_AMPS = 6.0


class Fed(PowerStage, Protocol):
    """A power stage that says how often it wants to be fed (s): a third of its own timeout."""

    @property
    def feed_every_s(self) -> float: ...


@dataclass(slots=True)
class _Evse:
    stage: Fed
    nameplate: Nameplate
    faults: Faults
    newest: int = 0
    """Newest step seen."""
    barred: int = -1
    """Permissions up to this step are void: the lease lapsed after it."""
    amps: float = 0.0
    permitted: bool = False
    rose_ms: int = -RISE_GAP_MS
    fed_ms: int = 0


class Guard:
    """Every command passes here. `lease_ms` and `tick_s` are parameters for tests."""

    def __init__(
        self,
        stages: Sequence[Fed],
        nameplates: Mapping[int, Nameplate],
        emit: Emit,
        clock: Clock,
        lease_ms: int = LEASE_MS,
        tick_s: float = 0.1,
    ) -> None:
        self._emit, self._clock, self._lease_ms, self._tick_s = emit, clock, lease_ms, tick_s
        self._evses = {s.evse: _Evse(s, nameplates[s.evse], Faults(s.evse, emit)) for s in stages}
        self._until_ms: int | None = None
        """The lease's end; None before the first renewal and after a lapse."""
        self._timer: asyncio.TimerHandle | None = None
        self._stopped = False

    @property
    def live(self) -> bool:
        """Whether the lease holds now."""
        return self._until_ms is not None and self._clock() < self._until_ms

    def start(self) -> None:
        """First act after the devices are open: withdraw everywhere; then watch the lease."""
        for evse in self._evses.values():
            evse.stage.withdraw(Withdraw(evse.stage.evse, 0, "start"))
        self._tick()

    def stop(self, reason: str) -> None:
        """Withdraw everywhere and feed no more, for good."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._until_ms = None
        self._withdraw_all(reason)

    def renew(self, mono_ms: int) -> None:
        """A step that began at `mono_ms` is complete: the lease runs from that moment."""
        if self._stopped or mono_ms + self._lease_ms <= self._clock():
            return
        if self._until_ms is None:
            for evse in self._evses.values():
                evse.faults.tell("lease_lapsed", False)
        self._until_ms = max(self._until_ms or 0, mono_ms + self._lease_ms)
        self._feed()

    def execute(self, command: Command) -> None:
        """Hand a command to its device, clamped, or refuse it."""
        evse = self._evses.get(command.evse)
        if evse is None:
            self._refuse(command, "no such EVSE")
        elif isinstance(command, Withdraw):  # always safe, whatever its step
            evse.newest = max(evse.newest, command.step)
            evse.permitted, evse.amps = False, 0.0
            evse.stage.withdraw(command)
        elif command.step < evse.newest:
            self._refuse(command, f"step {command.step} is older than {evse.newest}")
        else:
            evse.newest = command.step
            self._checked(evse, command)

    # --------------------------------------------------------------------------------------------- clamping

    def _checked(self, evse: _Evse, command: Command) -> None:
        reason = self._wrong(evse, command)
        if reason:
            self._refuse(command, reason)
            return
        match command:
            case Permit():
                command = command._replace(amps=_clamped(command.amps, evse.nameplate))
                self._note(evse, command.amps)
                evse.permitted = True
                evse.stage.permit(command)
            case Offer():
                command = command._replace(amps=_clamped(command.amps, evse.nameplate))
                self._note(evse, command.amps)
                evse.stage.offer(command)
            case SetFailsafe():
                evse.stage.set_failsafe(command._replace(amps=_clamped(command.amps, evse.nameplate)))
            case SetPhases():
                evse.stage.set_phases(command)
            case SetLock():
                evse.stage.set_lock(command)
            case ResetFault():
                evse.stage.reset_fault(command)
            case SignMeter():
                self._refuse(command, "no meter here signs")
            case OfferSchedules():
                if isinstance(evse.stage, SpeaksIso15118):
                    evse.stage.offer_schedules(command)
                else:
                    self._refuse(command, "nothing here speaks ISO 15118")

    def _wrong(self, evse: _Evse, command: Command) -> str:
        """Why the command may not pass, or nothing."""
        amps = getattr(command, "amps", 0.0)
        phases = getattr(command, "phases", 1)
        if not math.isfinite(amps) or amps < 0:
            return f"{amps} A is no current"
        if phases not in (1, 3) or phases > evse.nameplate.phases:
            return f"{phases} phases, wired for {evse.nameplate.phases}"
        if not isinstance(command, Permit | Offer):
            return ""
        if isinstance(command, Offer) and not evse.permitted:
            return "" if amps < LEAST_AMPS else "nothing is permitted"
        if isinstance(command, Permit) or amps > evse.amps:
            return self._rise_barred(evse, command.step, amps)
        return ""

    def _rise_barred(self, evse: _Evse, step: int, amps: float) -> str:
        if not self.live:
            return "the lease has lapsed"
        if step <= evse.barred:
            return "decided before the lease lapsed"
        if amps > evse.amps > 0 and self._clock() - evse.rose_ms < RISE_GAP_MS:
            return "increases too close together"
        return ""

    def _note(self, evse: _Evse, amps: float) -> None:
        if amps > evse.amps:
            evse.rose_ms = self._clock()
        evse.amps = amps

    # -------------------------------------------------------------------------------------- lease and feeding

    def _tick(self) -> None:
        """Look at the lease and feed who is due; comes back by itself."""
        if self._until_ms is not None and not self.live:
            self._lapse()
        self._feed()
        self._timer = asyncio.get_running_loop().call_later(self._tick_s, self._tick)

    def _lapse(self) -> None:
        self._until_ms = None
        self._withdraw_all("the lease lapsed")
        for evse in self._evses.values():
            evse.faults.tell("lease_lapsed", True)

    def _withdraw_all(self, reason: str) -> None:
        for evse in self._evses.values():
            evse.barred, evse.permitted, evse.amps = evse.newest, False, 0.0
            evse.stage.withdraw(Withdraw(evse.stage.evse, evse.newest, reason))
            evse.stage.rest()

    def _feed(self) -> None:
        now = self._clock()
        for evse in self._evses.values():
            due = now - evse.fed_ms >= 1000 * evse.stage.feed_every_s - 500 * self._tick_s
            if self.live and due:
                evse.fed_ms = now
                evse.stage.feed()

    def _refuse(self, command: Command, reason: str) -> None:
        self._emit(Refused(command.evse, command.step, type(command).__name__.lower(), reason))


def _clamped(amps: float, nameplate: Nameplate) -> float:
    """At most the nameplate; between 0 and 6 A there is only a pause (never rounded up)."""
    return 0.0 if amps < LEAST_AMPS else min(amps, nameplate.amps)
