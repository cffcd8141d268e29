"""Between the core's commands and the outlets: guard, wires, polls, and the events that come back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from random import Random
from typing import assert_never

from hal.guard import Guard
from hal.ports import (
    Alive,
    Applied,
    CableRated,
    Capabilities,
    Command,
    ContactorReported,
    FaultCleared,
    FaultRaised,
    HardwareEvent,
    LockReported,
    MeterDescribed,
    MeterSigned,
    Nameplate,
    Offer,
    Permit,
    PilotChanged,
    PowerCommand,
    Reading,
    ResetFault,
    SetFailsafe,
    SetLock,
    SetPhases,
    SignMeter,
    Silent,
    Withdraw,
)
from tests.sim.clock import Life, Timeline
from tests.sim.outlet import Outlet

Hear = Callable[[HardwareEvent], None]
METER_BUSY_MS = 10_000
"""How long after a change the meter is read once a second."""
METER_GRACE_MS = 3_000


class Driver:
    """The host's end of one outlet: writes commands in order, polls, and tells what has changed.

    To the guard it is a power stage. Feeding is not simulated telegram by telegram: the world says when the
    process no longer feeds.
    """

    feed_every_s = 1.0

    def __init__(self, outlet: Outlet, timeline: Timeline, rng: Random, hear: Hear, life: Life) -> None:
        self.outlet = outlet
        self.evse = outlet.evse
        self.timeline = timeline
        self.rng = rng
        self.hear = hear
        self.life = life
        self.meter_idle_ms = 60_000
        self.meter_plugged_ms = 5_000
        """Between readings while a car is plugged in and nothing changes."""
        self.mute = False
        """The meter does not answer."""
        self._heard = False
        self._pilot: str | None = None
        self._closed: bool | None = None
        self._cable: float | None = None
        self._looking = False
        self._wire_free_ms = 0
        self._busy_until_ms = 0
        self._poll_turn = 0
        self._poll_due_ms = 0
        self._polled_ms = 0
        self._meter_seen: bool | None = None
        self._meter_failed_ms: int | None = None

    # -------------------------------------------------- start

    def starts(self) -> None:
        """The process has opened its lines."""
        raw = self.outlet.spec.kind == "raw"
        delay = self.rng.randint(20, 150) if raw else self.rng.randint(100, 900)
        self._wire_free_ms = self.timeline.clock.true_ms + delay
        self.timeline.after(delay, self._greet, self.life)

    def _greet(self) -> None:
        spec, evse = self.outlet.spec, self.outlet.evse
        self.outlet.greeted()
        self._heard = True
        self.hear(
            Capabilities(
                evse,
                True,
                spec.max_amps,
                spec.phases,
                lock=spec.has_lock,
                fallback_s=spec.fallback_ms / 1000,
                vendor="Simulated",
                model=spec.kind,
                serial=f"D{evse}",
                firmware="1",
            )
        )
        self.hear(Alive(evse, "board" if spec.kind == "raw" else "controller"))
        self.changed()
        self._poll_in(self.rng.randint(100, 800))

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

    def feed(self) -> None:
        """The guard is content."""

    def rest(self) -> None:
        """The guard's lease has lapsed."""

    def _write(self, command: PowerCommand) -> None:
        """Put a command on the wire, after those before it and after the greeting."""
        latency = self.rng.randint(4, 25) if self.outlet.spec.kind == "raw" else self.rng.randint(20, 120)
        due = max(self._wire_free_ms, self.timeline.clock.true_ms) + latency
        self._wire_free_ms = due
        self.timeline.at(due, lambda: self._arrive(command), self.life)

    def _arrive(self, command: PowerCommand) -> None:
        amps = self._apply(command)
        self._answer(Applied(command.evse, command.step, _name(command), amps))

    def _apply(self, command: PowerCommand) -> float | None:
        outlet = self.outlet
        match command:
            case Permit():
                outlet.permits(command.amps)
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
                outlet.locked = command.locked
                self._answer(LockReported(command.evse, command.connector, command.locked))
            case SetPhases() | ResetFault():
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
        self._busy_until_ms = self.timeline.clock.true_ms + METER_BUSY_MS
        if self._poll_due_ms > self.timeline.clock.true_ms + 1_000:
            self._poll_in(1_000)
        if not self._looking:
            self._looking = True
            raw = self.outlet.spec.kind == "raw"
            delay = self.rng.randint(15, 60) if raw else self.rng.randint(50, 1000)
            self.timeline.after(delay, self._look, self.life)

    def _look(self) -> None:
        """Tell what has changed, after a reading of the last second: a real meter is never left for a minute."""
        self._looking = False
        outlet = self.outlet
        if self._meter_seen and self.timeline.clock.true_ms - self._polled_ms > 1_000:
            self._poll()
        if outlet.cable_amps != self._cable:
            self._cable = outlet.cable_amps
            self.hear(CableRated(outlet.evse, 1, outlet.cable_amps))
        if outlet.pilot != self._pilot:
            self._pilot = outlet.pilot
            self.hear(PilotChanged(outlet.evse, outlet.pilot))
        if outlet.closed != self._closed:
            self._closed = outlet.closed
            phases = outlet.spec.phases if outlet.closed else 0
            self.hear(ContactorReported(outlet.evse, outlet.closed, phases))

    # -------------------------------------------------- the meter

    def _poll_in(self, ms: int) -> None:
        self._poll_turn += 1
        turn = self._poll_turn
        self._poll_due_ms = self.timeline.clock.true_ms + ms

        def due() -> None:
            if turn == self._poll_turn:
                self._poll()

        self.timeline.after(ms, due, self.life)

    def _poll(self) -> None:
        clock = self.timeline.clock
        self._polled_ms = clock.true_ms
        if self.mute:
            self._meter_fails(clock.true_ms)
        else:
            self._meter_failed_ms = None
            if not self._meter_seen:
                self._meter_seen = True
                points = frozenset(self.outlet.values())
                self.hear(MeterDescribed(self.outlet.evse, points, self.outlet.spec.signs))
                self.hear(Alive(self.outlet.evse, "meter"))
            serial = f"{self.outlet.meter_serial}{self.outlet.evse}"
            self.hear(Reading(self.outlet.evse, clock.mono_ms, self.outlet.values(), serial))
        busy = self.mute or clock.true_ms < self._busy_until_ms
        calm = self.meter_idle_ms if self.outlet.car is None else self.meter_plugged_ms
        self._poll_in(1_000 if busy else calm)

    def signs(self, command: SignMeter) -> None:
        """The meter signs what it counts when it comes to it; a mute one never does."""
        self.timeline.after(self.rng.randint(300, 1500), lambda: self._signed(command), self.life)

    def _signed(self, command: SignMeter) -> None:
        if not self.mute:
            now_ms, wh = self.timeline.clock.mono_ms, self.outlet.values()[("energy_import_wh", 0)]
            data = ocmf(command.moment, wh)
            asked = (command.evse, command.step, command.moment)
            self.hear(MeterSigned(*asked, now_ms, wh, data, "OCMF", public_key=PUBLIC_KEY))

    def _meter_fails(self, now_ms: int) -> None:
        self._meter_failed_ms = now_ms if self._meter_failed_ms is None else self._meter_failed_ms
        if self._meter_seen is not False and now_ms - self._meter_failed_ms >= METER_GRACE_MS:
            self._meter_seen = False
            self.hear(Silent(self.outlet.evse, "meter"))


PUBLIC_KEY = "oca:base16:asn1:3059301306072A8648CE3D020106082A8648CE3D030107034200AA"


TX_OF = {"begin": "B", "end": "E", "now": "C"}


def ocmf(moment: str, wh: Decimal) -> str:
    """A container as a meter may write it: its own white space and order, which nobody may touch."""
    reading = f'{{"TX":"{TX_OF[moment]}", "RV":{wh},"RU":"Wh"}}'
    return f'OCMF|{{"FV" : "1.0",  "PG":"T1","RD":[{reading}]}}|{{"SD":"3045"}}'


class Hardware:
    """All outlets of the station; a new process gets a new guard and new drivers."""

    def __init__(self, outlets: Mapping[int, Outlet], timeline: Timeline, rng: Random, hear: Hear) -> None:
        self.outlets = outlets
        self.timeline = timeline
        self.rng = rng
        self.hear = hear
        self.drivers: dict[int, Driver] = {}
        self.life = Life()
        self.guard = self._guard()

    def starts(self, life: Life) -> None:
        """A process opens its devices; it lives as long as `life`."""
        self.life = life
        muted = {evse for evse, driver in self.drivers.items() if driver.mute}
        for evse, outlet in self.outlets.items():
            driver = Driver(outlet, self.timeline, self.rng, self.hear, life)
            driver.mute = evse in muted
            self.drivers[evse] = driver
            outlet.on_change = driver.changed
            driver.starts()
            driver.withdraw(Withdraw(evse, 0, "start"))
        self.guard = self._guard()

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

    def starves(self) -> None:
        """Nobody feeds the watchdogs any more."""
        for outlet in self.outlets.values():
            outlet.starves()

    def fed(self) -> None:
        """The host lives again and feeds."""
        for outlet in self.outlets.values():
            outlet.fed()


def _name(command: Command) -> str:
    return type(command).__name__.lower()
