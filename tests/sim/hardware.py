"""Between the core's commands and the outlets: guard, wires, polls, and the events that come back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from random import Random
from typing import assert_never

from hal.device import Faults, Presence
from hal.guard import Guard
from hal.ports import (
    Applied,
    BayChanged,
    CableRated,
    Capabilities,
    Command,
    ContactorReported,
    DeviceBooted,
    FaultCleared,
    FaultRaised,
    HardwareEvent,
    LockReported,
    MeterSigned,
    Nameplate,
    Offer,
    OfferSchedules,
    Permit,
    PhasesReported,
    PilotChanged,
    PowerCommand,
    Refused,
    ResetFault,
    SetFailsafe,
    SetLock,
    SetPhases,
    SignMeter,
    Withdraw,
)
from tests.sim.clock import Life, Timeline
from tests.sim.high_level import Talk
from tests.sim.meter import Meter, Wire
from tests.sim.outlet import Outlet

Hear = Callable[[HardwareEvent], None]
SILENT_AFTER_MS = 3_000
"""Without an answer of the device for so long the host calls it silent."""


class Driver:
    """The host's end of one outlet: writes commands in order, and tells what has changed.

    To the guard it is a power stage. Feeding is not simulated telegram by telegram: the world says when the
    process no longer feeds.
    """

    feed_every_s = 1.0

    def __init__(self, outlet: Outlet, timeline: Timeline, rng: Random, hear: Hear, life: Life, wire: Wire) -> None:
        self.outlet = outlet
        self.evse = outlet.evse
        self.timeline = timeline
        self.rng = rng
        self.hear = hear
        self.life = life
        self.meter = Meter(outlet, timeline, rng, hear, life, wire)
        self.talk = Talk(outlet.evse, timeline, rng, hear, life)
        self.slow = 1
        """Commands take so many times their usual time."""
        self.refuses = 0
        """So many permissions and offers are refused by the device."""
        kind = "board" if outlet.spec.kind == "raw" else "controller"
        self._presence = Presence(outlet.evse, kind, hear, lambda: timeline.clock.mono_ms, SILENT_AFTER_MS / 1000)
        self._faults = Faults(outlet.evse, hear)
        self._heard = False
        self._missed: dict[str, PowerCommand] = {}
        """What it is told when it is back, by what it is about."""
        self._pilots: dict[int, str] = {}
        self._parked = False
        """A vehicle in the bay was told."""
        self._closed: int | None = None
        """Phases that were told closed."""
        self._relay: int | None = None
        self._cables: dict[int, float | None] = {}
        self._known: set[str] = set()
        self._looking = False
        self._wire_free_ms = 0

    @property
    def mute(self) -> bool:
        """The meter does not answer."""
        return self.meter.wire.mute

    @mute.setter
    def mute(self, mute: bool) -> None:
        self.meter.wire.mute = mute

    @property
    def meter_idle_ms(self) -> int:
        """Between readings while nothing is plugged in and nothing changes."""
        return self.meter.idle_ms

    @meter_idle_ms.setter
    def meter_idle_ms(self, ms: int) -> None:
        self.meter.idle_ms = ms

    @property
    def meter_plugged_ms(self) -> int:
        """Between readings while a car is plugged in and nothing changes."""
        return self.meter.plugged_ms

    @meter_plugged_ms.setter
    def meter_plugged_ms(self, ms: int) -> None:
        self.meter.plugged_ms = ms

    # -------------------------------------------------- start

    def starts(self) -> None:
        """The process has opened its lines."""
        raw = self.outlet.spec.kind == "raw"
        delay = self.rng.randint(20, 150) if raw else self.rng.randint(100, 900)
        self._wire_free_ms = self.timeline.clock.true_ms + delay
        self.timeline.after(delay, self._greet, self.life)
        self.timeline.after(SILENT_AFTER_MS + 100, self._presence.check, self.life)
        self.meter.starts()

    def _greet(self) -> None:
        """Tell what the device is; again and again until it answers."""
        if self.outlet.deaf:
            self.timeline.after(1_000, self._greet, self.life)
            return
        spec, evse = self.outlet.spec, self.outlet.evse
        self.outlet.greeted()
        self._heard = True
        self.hear(
            Capabilities(
                evse,
                True,
                spec.max_amps,
                spec.phases,
                spec.switches,
                lock=spec.has_lock,
                fallback_s=spec.fallback_ms / 1000,
                vendor="Simulated",
                model=spec.kind,
                serial=f"D{evse}",
                firmware="1",
                iso15118=spec.iso15118,
            )
        )
        self.answers_again()

    # -------------------------------------------------- what goes wrong

    def falls_silent(self) -> None:
        """The device neither hears nor answers; not fed, it soon acts alone."""
        self._presence.heard()
        self.timeline.after(SILENT_AFTER_MS + 100, self._presence.check, self.life)

    def answers_again(self) -> None:
        """It is back: what was wanted meanwhile is written first, then its whole state is told."""
        if self._heard:
            missed, self._missed = self._missed, {}
            for command in missed.values():
                self._write(command)
            self.timeline.at(self._wire_free_ms + 1, self._back, self.life)

    def _back(self) -> None:
        if not self.outlet.deaf:
            self._tell_alive()
            self._pilot = self._closed = self._relay = None
            self.changed()

    def _tell_alive(self) -> None:
        """It answers; polls are not simulated, so silence counts from when it begins."""
        self._presence.announce()
        self._presence.idle()

    def reboots(self) -> None:
        """The device alone starts anew: its permission is gone, and it is greeted again."""
        self.outlet.reboots()
        if self._heard and not self.outlet.deaf:
            self._heard = False
            self._missed.clear()
            self.hear(DeviceBooted(self.evse, "watchdog"))
            self._pilot = self._closed = self._relay = None
            self.timeline.after(self.rng.randint(200, 1500), self._greet, self.life)

    # -------------------------------------------------- commands

    def permit(self, command: Permit) -> None:
        self._write(command)

    def offer(self, command: Offer) -> None:
        self._write(command)

    def withdraw(self, command: Withdraw) -> None:
        self._write(command)

    def set_phases(self, command: SetPhases) -> None:
        self._write(command)

    def set_lock(self, command: SetLock) -> None:
        self._write(command)

    def set_failsafe(self, command: SetFailsafe) -> None:
        self._write(command)

    def reset_fault(self, command: ResetFault) -> None:
        self._write(command)

    def offer_schedules(self, command: OfferSchedules) -> None:
        self.talk.offered(command)

    def feed(self) -> None:
        """The guard is content."""

    def rest(self) -> None:
        """The guard's lease has lapsed."""

    def _write(self, command: PowerCommand) -> None:
        """Put a command on the wire, after those before it and after the greeting."""
        raw = self.outlet.spec.kind == "raw"
        latency = self.slow * (self.rng.randint(4, 25) if raw else self.rng.randint(20, 120))
        due = max(self._wire_free_ms, self.timeline.clock.true_ms) + latency
        self._wire_free_ms = self.outlet.hears_by_ms = due
        self.timeline.at(due, lambda: self._arrive(command), self.life)

    def _arrive(self, command: PowerCommand) -> None:
        if self.outlet.deaf or (isinstance(command, Permit | SetPhases) and not self._heard):
            self._lost(command)
        elif (wrong := self._wrong(command)) is not None:
            self._answer(Refused(command.evse, command.step, _name(command), wrong))
        elif self.refuses and isinstance(command, Permit | Offer):
            self.refuses -= 1
            self._answer(Refused(command.evse, command.step, _name(command), "the device says no"))
        else:
            self._answer(Applied(command.evse, command.step, _name(command), self._apply(command)))

    def _lost(self, command: PowerCommand) -> None:
        """Nobody is there: what is for now or never is refused, everything else waits for the device."""
        if isinstance(command, Permit | SetPhases):
            self._answer(Refused(command.evse, command.step, _name(command), "the device is silent"))
            return
        about = "power" if isinstance(command, Offer | Withdraw) else _name(command)
        if isinstance(command, Offer) and isinstance(self._missed.get("power"), Withdraw):
            return
        self._missed[about] = command

    def _wrong(self, command: PowerCommand) -> str | None:
        """What the device itself refuses: other phases than are selected, and to move the relay of closed contacts."""
        if isinstance(command, Permit) and self.outlet.spec.switches and command.phases != self.outlet.selected:
            return "out of range"
        if isinstance(command, SetPhases) and not self.outlet.selects(command.phases):
            return "contacts closed"
        if isinstance(command, ResetFault) and command.code in self.outlet.faults - self.outlet.latched:
            return "fault latched"
        return None

    def _apply(self, command: PowerCommand) -> float | None:
        outlet = self.outlet
        match command:
            case Permit():
                outlet.permits(command.amps, command.connector)
                return outlet.offered
            case Offer():
                outlet.offers(command.amps)
                return outlet.offered
            case Withdraw():
                outlet.withdraws()
            case SetFailsafe():
                outlet.failsafe_amps = command.amps
                return command.amps
            case SetLock():
                if not outlet.lock_sticks:
                    (outlet.locks.add if command.locked else outlet.locks.discard)(command.connector)
                self._answer(LockReported(command.evse, command.connector, command.connector in outlet.locks))
            case ResetFault():
                outlet.forgets({command.code})
            case SetPhases():
                pass
            case _:
                assert_never(command)
        return None

    def _answer(self, event: HardwareEvent) -> None:
        self.timeline.after(self.rng.randint(3, 30), lambda: self.hear(event), self.life)

    # -------------------------------------------------- what has changed

    def changed(self) -> None:
        """Something at the outlet may look different: look soon, and read the meter often for a while."""
        if not self._heard:
            return
        self.meter.changed()
        if not self._looking:
            self._looking = True
            raw = self.outlet.spec.kind == "raw"
            delay = self.rng.randint(15, 60) if raw else self.rng.randint(50, 1000)
            self.timeline.after(delay, self._look, self.life)

    def _look(self) -> None:
        """Tell what has changed, after a reading of the last second: a real meter is never left for a minute."""
        self._looking = False
        if self.outlet.deaf or not self._heard:
            return
        outlet = self.outlet
        self.meter.refresh()
        self._tell_faults()
        if outlet.spec.bay_detector and outlet.parked != self._parked:
            self._parked = outlet.parked
            self.hear(BayChanged(outlet.evse, outlet.parked))
        connectors = range(1, 2 + len(outlet.spec.more))
        for connector in connectors:
            if (cable := outlet.cables.get(connector)) != self._cables.get(connector):
                self._cables[connector] = cable
                self.hear(CableRated(outlet.evse, connector, cable))
        relay = 0 if outlet.relay_blind else outlet.selected
        if outlet.spec.switches and relay != self._relay:
            self._relay = relay
            self.hear(PhasesReported(outlet.evse, relay))
        if outlet.closed_phases != self._closed:
            self._closed = outlet.closed_phases
            self.hear(ContactorReported(outlet.evse, outlet.closed, outlet.closed_phases))
        for connector in connectors:
            if (pilot := outlet.pilot_at(connector)) != self._pilots.get(connector):
                self._pilots[connector] = pilot
                self.hear(PilotChanged(outlet.evse, pilot, connector))

    def _tell_faults(self) -> None:
        """Those that have come and gone since the last look."""
        faults = self.outlet.faults
        for code in sorted(faults | self._known):
            self._faults.tell(code, code in faults)
        self._known = set(faults)

    # -------------------------------------------------- signed values

    def signs(self, command: SignMeter) -> None:
        """The meter signs what it counts when it comes to it; a mute one never does."""
        self.timeline.after(self.rng.randint(300, 1500), lambda: self._signed(command), self.life)

    def _signed(self, command: SignMeter) -> None:
        if not self.mute:
            now_ms, wh = self.timeline.clock.mono_ms, self.outlet.values()[("energy_import_wh", 0)]
            data = ocmf(command.moment, wh)
            asked = (command.evse, command.step, command.moment)
            self.hear(MeterSigned(*asked, now_ms, wh, data, "OCMF", public_key=PUBLIC_KEY))


PUBLIC_KEY = "oca:base16:asn1:3059301306072A8648CE3D020106082A8648CE3D030107034200AA"


TX_OF = {"begin": "B", "end": "E", "now": "C"}


def ocmf(moment: str, wh: Decimal) -> str:
    """A container as a meter may write it: its own white space and order, which nobody may touch."""
    reading = f'{{"TX":"{TX_OF[moment]}", "RV":{wh},"RU":"Wh"}}'
    return f'OCMF|{{"FV" : "1.0",  "PG":"T1","RD":[{reading}]}}|{{"SD":"3045"}}'


class Hardware:
    """All outlets of the station; a new process gets a new guard and new drivers."""

    def __init__(
        self,
        outlets: Mapping[int, Outlet],
        timeline: Timeline,
        rng: Random,
        hear: Hear,
        untold: Callable[[int, float], None] = lambda evse, wh: None,
    ) -> None:
        self.outlets = outlets
        self.timeline = timeline
        self.rng = rng
        self.hear = hear
        self.untold = untold
        """Hears what flowed at an EVSE (Wh) while its meter could not tell."""
        self._alone_wh: dict[int, float] = {}
        """What had flowed when a device began to act alone: nobody can end what it does then."""
        self.wires = {evse: Wire(partial(untold, evse)) for evse in outlets}
        self.meter_idle_ms, self.meter_plugged_ms = 60_000, 5_000
        self.merges = False
        self.drivers: dict[int, Driver] = {}
        self.life = Life()
        self.guard = self._guard()

    def starts(self, life: Life) -> None:
        """A process opens its devices; it lives as long as `life`."""
        self.life = life
        for evse, outlet in self.outlets.items():
            driver = Driver(outlet, self.timeline, self.rng, self.hear, life, self.wires[evse])
            meter = driver.meter
            meter.idle_ms, meter.plugged_ms, meter.merges = self.meter_idle_ms, self.meter_plugged_ms, self.merges
            self.drivers[evse] = driver
            outlet.on_change = driver.changed
            driver.starts()
            driver.withdraw(Withdraw(evse, 0, "start"))
        self.guard = self._guard()

    def merges_readings(self, *, idle_ms: int, plugged_ms: int) -> None:
        """Leave out readings that nothing can depend on (tests/sim/meter.py), now and after each start."""
        self.meter_idle_ms, self.meter_plugged_ms, self.merges = idle_ms, plugged_ms, True
        for driver in self.drivers.values():
            meter = driver.meter
            meter.idle_ms, meter.plugged_ms, meter.merges = idle_ms, plugged_ms, True

    def merge(self) -> None:
        """The station is about to hear of something: what the meters would have told by now comes first."""
        for driver in self.drivers.values():
            driver.meter.merge()

    def _guard(self) -> Guard:
        """The real one. Its timer never runs here, so `lapsed` says what it would have noticed."""
        plates = {e: Nameplate(e, o.spec.max_amps, o.spec.phases) for e, o in self.outlets.items()}
        return Guard(list(self.drivers.values()), plates, self._soon, lambda: self.timeline.clock.mono_ms)

    def _soon(self, event: HardwareEvent) -> None:
        self.timeline.after(1, lambda: self.hear(event), self.life)

    def execute(self, command: Command) -> None:
        """Give a command to the guard, and through it to the device. The process has just made a step."""
        self.guard.renew(self.timeline.clock.mono_ms)
        driver = self.drivers[command.evse]
        if isinstance(command, SignMeter) and driver.outlet.spec.signs:
            driver.signs(command)
        else:
            self.guard.execute(command)

    def lapsed(self) -> None:
        """The process slept longer than the lease: the guard withdraws everything, then it lives on."""
        self.guard.stop("the lease lapsed")
        self.guard = self._guard()
        for evse in self.outlets:
            self._soon(FaultRaised(evse, "lease_lapsed"))
            self.timeline.after(20, partial(self.hear, FaultCleared(evse, "lease_lapsed")), self.life)

    def slow_down(self, evse: int, times: int) -> None:
        """Commands to a device take so many times their usual time."""
        self.drivers[evse].slow = times

    def falls_silent(self, evse: int) -> None:
        """A device neither hears nor answers; not fed, it soon acts alone."""
        outlet = self.outlets[evse]
        if not outlet.deaf:
            outlet.deaf = True
            self._alone_wh[evse] = outlet.register.at(self.timeline.clock.true_ms)
            outlet.starves()
            self.drivers[evse].falls_silent()

    def answers_again(self, evse: int) -> None:
        """It is back."""
        outlet = self.outlets[evse]
        if outlet.deaf:
            outlet.deaf = False
            self.untold(evse, outlet.register.at(self.timeline.clock.true_ms) - self._alone_wh.pop(evse))
            outlet.fed()
            self.drivers[evse].answers_again()

    def heals(self) -> None:
        """Every line and every meter is as it should be."""
        for evse, driver in self.drivers.items():
            self.answers_again(evse)
            driver.slow, driver.refuses = 1, 0
            self.wires[evse].mute, self.wires[evse].garbled, self.wires[evse].late_ms = False, 0.0, 0
            self.outlets[evse].register.thaws(self.timeline.clock.true_ms)

    def starves(self) -> None:
        """Nobody feeds the watchdogs any more."""
        for outlet in self.outlets.values():
            outlet.starves()

    def fed(self) -> None:
        """The host lives again and feeds."""
        for outlet in self.outlets.values():
            if not outlet.deaf:
                outlet.fed()


def _name(command: Command) -> str:
    return type(command).__name__.lower()
