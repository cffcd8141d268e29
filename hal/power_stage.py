"""A smart controller on a Modbus bus: it owns pilot and contactor; we give limit and release and feed it.

What is wanted is kept and written again until the device has it, the newest wish only. Nothing is believed
before it was read back. While the guard does not feed, the device hears nothing from us, so that its own
watchdog works: any telegram to its unit would feed it (those to other units of the bus do not count).
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from decimal import Decimal

from hal.bus import BusError, DeviceRefused, Priority, Superseded
from hal.device import Clock, Device, Faults, Presence, Value
from hal.phase_register import PhaseRegister
from hal.ports import (
    Applied,
    Capabilities,
    ContactorReported,
    DeviceBooted,
    Emit,
    Nameplate,
    Offer,
    Permit,
    Pilot,
    PilotChanged,
    PowerCommand,
    Refused,
    ResetFault,
    SetFailsafe,
    SetLock,
    SetPhases,
    TemperatureMeasured,
    Withdraw,
)
from hal.profile import Meaning

FLOWS = Decimal(1)
"""Amperes from which on current flows, whatever the state register says."""
LOCKED, RELEASED = Decimal(0), Decimal(1)
ZERO = Decimal(0)
GAP_MS = 1500
"""A device not heard for so long may have restarted: its settings are looked at with the next good poll."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Intervals of a smart controller (s)."""

    silent_s: float = 5.0
    again_s: float = 0.3
    """Pause before a wish that failed is written again."""
    poll_s: float = 0.0
    """Overrides the profile's interval of the state group; for tests."""
    settings_s: float = 0.0


@dataclass(frozen=True, eq=False, slots=True)
class _Wish:
    """What the setpoint shall be, for which commands; an offer that overtakes a permit carries it along."""

    commands: tuple[Permit | Offer | Withdraw, ...]
    amps: Decimal
    permits: bool
    withdraws: bool


class SmartController:
    """The power path of one EVSE behind a controller with its own pilot and contactor."""

    def __init__(
        self, nameplate: Nameplate, device: Device, emit: Emit, clock: Clock, pace: Pace | None = None
    ) -> None:
        self.evse = nameplate.evse
        self._nameplate, self._device, self._emit, self._clock = nameplate, device, emit, clock
        self._pace = pace or Pace()
        self._presence = Presence(self.evse, "controller", emit, clock, self._pace.silent_s)
        self._faults = Faults(self.evse, emit)
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._greeted = False
        self._fed_until_ms = 0
        self._settings_due_ms = 0
        self._polled_ms = 0
        # What is wanted, and what the device was last read to have.
        self._wish: _Wish | None = None
        self._failsafe = ZERO
        self._failsafe_wish: SetFailsafe | None = None
        self._setpoint: Decimal | None = None
        self._turn = 0
        self._working = 0
        self._locked = False
        self._pilot: Pilot | None = None
        self._closed: bool | None = None
        self._relay = PhaseRegister(nameplate, device, emit)
        self._celsius: dict[str, float] = {}

    @property
    def feed_every_s(self) -> float:
        """A third of the device's own timeout."""
        watchdog = self._device.profile.watchdog
        return watchdog.timeout_s / 3 if watchdog else 1.0

    @property
    def busy(self) -> bool:
        """Whether a command is on its way to the device."""
        return self._working > 0

    # ------------------------------------------------------------------------------------------- commands

    def permit(self, command: Permit) -> None:
        if not self._presence.alive or not self._greeted:
            self._refuse(command, "the controller is silent or not set up yet")
        elif command.phases != self._relay.selected:
            self._refuse(command, f"{self._relay.selected} phases are selected")
        else:
            self._want(command, self._possible(command.amps))

    def offer(self, command: Offer) -> None:
        self._want(command, self._possible(command.amps))

    def withdraw(self, command: Withdraw) -> None:
        self._want(command, ZERO)

    def set_phases(self, command: SetPhases) -> None:
        """Now or never: a relay that moved later would do so without a decision."""
        if not self._relay.able:
            self._refuse(command, "the device cannot switch phases")
        elif not self._presence.alive or not self._greeted or not self._fed():
            self._refuse(command, "the controller is silent or not set up yet")
        elif self._closed is not False or self._setpoint != ZERO or self._wish is not None:
            self._refuse(command, "contacts closed")
        else:
            self._spawn(self._select(command))

    def set_lock(self, command: SetLock) -> None:
        self._refuse(command, "the device has no lock of ours")

    def set_failsafe(self, command: SetFailsafe) -> None:
        self._failsafe, self._failsafe_wish = self._possible(command.amps), command
        self._spawn(self._write_failsafe(command))

    def reset_fault(self, command: ResetFault) -> None:
        self._refuse(command, "the device resets its faults itself")

    async def _select(self, command: SetPhases) -> None:
        wrong = await self._relay.select(command)
        if wrong:
            self._refuse(command, wrong)
        else:
            self._applied(command)

    def feed(self) -> None:
        """Allow polls (each of which feeds the device) for two feeding intervals."""
        self._fed_until_ms = self._clock() + round(2000 * self.feed_every_s)
        self._wake.set()

    def rest(self) -> None:
        """No more polls: only what makes safe may still go out."""
        self._fed_until_ms = 0
        self._device.bus.drop_polls(self._device.unit)

    def _possible(self, amps: float) -> Decimal:
        """What the device can offer: 0 below its minimum, at most its maximum."""
        wanted = Decimal(str(amps))
        profile = self._device.profile
        return ZERO if wanted < profile.min_amps else min(wanted, profile.max_amps or wanted)

    # ------------------------------------------------------------------------------- the current, and release

    def _want(self, command: Permit | Offer | Withdraw, amps: Decimal) -> None:
        """A new wish for the setpoint; an older one that is not there yet is dropped."""
        carried: tuple[Permit | Offer | Withdraw, ...] = ()
        if self._wish is not None and self._wish.permits and isinstance(command, Offer):
            carried = self._wish.commands
        else:
            self._give_up("superseded")
        self._turn += 1
        permits = isinstance(command, Permit) or bool(carried)
        self._wish = _Wish((*carried, command), amps, permits, isinstance(command, Withdraw))
        self._spawn(self._fulfil(self._wish))

    async def _fulfil(self, wish: _Wish) -> None:
        """Write until the device has it, a newer wish came, or nothing may be sent any more."""
        while wish is self._wish:
            try:
                await self._write_wish(wish)
            except Superseded:
                return
            except BusError as failed:
                refused = isinstance(failed, DeviceRefused) and not wish.withdraws
                if wish is self._wish and (wish.permits or refused):
                    self._give_up(str(failed))
                if not self._fed():
                    return  # silence is what makes the device safe now; the wish stays for later
                await asyncio.sleep(self._pace.again_s)

    async def _write_wish(self, wish: _Wish) -> None:
        """A box is released last: what its setpoint was before (another process may have left it) is never offered."""
        await self._write_amps(wish)
        if wish is self._wish:
            found = await self._device.read("setpoint")
            if wish is self._wish and wish.permits and _is_kept(wish, found):
                await self._release(RELEASED)
            if wish is self._wish:
                self._confirm(wish, found)

    async def _write_amps(self, wish: _Wish) -> None:
        rises = wish.amps > 0 and (self._setpoint is None or wish.amps > self._setpoint)
        try:
            await self._device.write("setpoint", wish.amps, Priority.WRITE if rises else Priority.SAFETY)
        finally:
            if wish is self._wish and wish.withdraws and self._closed is not False:
                await self._release(LOCKED)

    def _confirm(self, wish: _Wish, found: Value) -> None:
        """What the device says is the truth: less than asked is applied, more is a fault."""
        self._setpoint = found if isinstance(found, Decimal) else None
        kept = _is_kept(wish, found)
        self._faults.tell("readback_mismatch", not kept, f"setpoint {found} A after {wish.amps} A")
        if not kept or self._setpoint is None:
            self._give_up(f"the device says {found} A")
            return
        self._wish = None
        for command in wish.commands:
            self._applied(command, float(self._setpoint))

    def _give_up(self, reason: str) -> None:
        wish, self._wish = self._wish, None
        for command in wish.commands if wish is not None else ():
            self._refuse(command, reason)

    async def _release(self, value: Decimal) -> None:
        """Release the box, or lock it, which opens its contactor at once."""
        if "release" in self._device.profile.points:
            self._locked = value == LOCKED
            await self._device.write("release", value, Priority.SAFETY if self._locked else Priority.WRITE)

    async def _write_failsafe(self, command: SetFailsafe) -> None:
        while command is self._failsafe_wish:
            wanted = self._failsafe
            try:
                found = await self._device.write_and_check("failsafe", wanted)
            except BusError as failed:
                if isinstance(failed, DeviceRefused) or (self._greeted and not self._fed()):
                    self._refuse(command, str(failed))
                    return
                if not isinstance(failed, Superseded):
                    await asyncio.sleep(self._pace.again_s)
                continue
            self._faults.tell("readback_mismatch", found != wanted, f"failsafe {found} A after {wanted} A")
            if found == wanted:
                self._applied(command, float(wanted))
            else:
                self._refuse(command, f"the device says {found} A")
            return
        self._refuse(command, "superseded")

    # --------------------------------------------------------------------------------------------- polling

    async def run(self) -> None:
        """Greet the device, then poll it while the guard feeds; ends when cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._presence.watch())
            while True:
                self._wake.clear()
                if not self._greeted:
                    await self._greet()
                    await asyncio.sleep(self._pace.again_s)
                elif self._fed():
                    await self._poll()
                    await asyncio.sleep(self._poll_s)
                else:
                    self._presence.idle()
                    await self._wake.wait()
                    self._presence.heard()

    @property
    def _poll_s(self) -> float:
        every_s = self._device.profile.group("state").every_ms / 1000
        return self._pace.poll_s or min(every_s, self.feed_every_s)

    async def _greet(self) -> None:
        """Write what must be in the device before it may be used, read it back, tell what it is."""
        try:
            identity = await self._identify()
            independent = await self._set_up()
        except BusError:
            return
        self._greeted = True
        watchdog = self._device.profile.watchdog
        most = identity.get("max_amps")
        limit = self._device.profile.max_amps or Decimal(str(self._nameplate.amps))
        if isinstance(most, Decimal) and most > 0:
            limit = min(limit, most)
        self._emit(
            Capabilities(
                self.evse,
                independent=independent,
                max_amps=min(float(limit), self._nameplate.amps),
                phases=self._nameplate.phases,
                phase_switch=self._relay.able,
                fallback_s=watchdog.timeout_s if watchdog and independent else 0.0,
                opens_within_s=float(self._device.profile.opens_within_s),
                vendor=self._device.profile.vendor,
                model=self._device.profile.model,
                serial=_text(identity.get("serial")),
                firmware=_text(identity.get("firmware")),
            )
        )
        self._faults.tell("not_independent", not independent, "watchdog or failsafe current not kept")
        await self._back()

    async def _identify(self) -> dict[str, Value]:
        """The device's own names; an older firmware may refuse some."""
        found: dict[str, Value] = {}
        for role, point in self._device.profile.identity.items():
            try:
                found[role] = await self._device.read(point)
            except DeviceRefused:
                continue
        return found

    async def _set_up(self) -> bool:
        """Settings of the profile, failsafe current, watchdog; True when the last two are as written."""
        profile = self._device.profile
        for point, value in profile.setup:
            found = await self._device.write_and_check(point, Decimal(value))
            self._faults.tell("readback_mismatch", found != value, f"{point} {found} after {value}")
        failsafe = await self._device.write_and_check("failsafe", self._failsafe)
        watchdog = profile.watchdog
        if watchdog is None:
            return False
        timeout = await self._device.write_and_check(watchdog.point, Decimal(watchdog.write))
        return failsafe == self._failsafe and timeout == watchdog.write != watchdog.disabled

    async def _poll(self) -> None:
        try:
            values = await self._device.read_group("state", self._presence.heard)
            if self._clock() - self._polled_ms > GAP_MS:
                self._settings_due_ms = 0
            self._polled_ms = self._clock()
            if not self._presence.alive:
                await self._back()
            self._take_state(values)
            if self._fed() and self._clock() >= self._settings_due_ms:
                await self._check_settings()
        except BusError:
            return
        if self._locked and self._closed is False and self._setpoint == ZERO and not self._working:
            self._spawn(self._unlock(self._turn))

    async def _back(self) -> None:
        """It answers (again): what was wanted meanwhile is written first, then its whole state is told."""
        if self._wish is not None and not self._working:
            await self._fulfil(self._wish)
        self._presence.announce()
        self._pilot = self._closed = None
        self._relay.forget()

    async def _unlock(self, turn: int) -> None:
        """Open is confirmed and the offer is 0 A: release again, so that the pilot is visible."""
        if turn == self._turn:
            try:
                await self._release(RELEASED)
            except BusError:
                self._locked = True

    async def _check_settings(self) -> None:
        """A device that restarted has forgotten its settings; another master may have changed them."""
        changes, busy = self._turn, self._working
        values = await self._device.read_group("settings", self._presence.heard)
        if changes != self._turn or busy or self._working:
            return  # a command came in between: look again at the next poll
        every_s = self._pace.settings_s or self._device.profile.group("settings").every_ms / 1000
        self._settings_due_ms = self._clock() + round(1000 * every_s)
        profile = self._device.profile
        wanted = {point: Decimal(value) for point, value in profile.setup}
        if profile.watchdog is not None:
            wanted[profile.watchdog.point] = Decimal(profile.watchdog.write)
        if any(values.get(point, value) != value for point, value in wanted.items()):
            self._rebooted("its settings are lost")
        elif values.get("failsafe", self._failsafe) != self._failsafe:
            self._rebooted("its failsafe current is not ours")
        else:
            self._compare_setpoint(values.get("setpoint"))

    def _compare_setpoint(self, found: Value) -> None:
        """Lower than ours: it fell back, a new decision is due. Higher: another master; ours again."""
        ours = self._setpoint
        if ours is None or not isinstance(found, Decimal):
            return
        self._faults.tell("readback_mismatch", found > ours, f"setpoint {found} A, ours {ours} A")
        if found < ours:
            self._rebooted(f"it fell back to {found} A")
        elif found > ours:
            self._spawn(self._write_setpoint(self._turn, ours))

    def _rebooted(self, reason: str) -> None:
        """Its permission is gone: 0 A, and everything is written anew."""
        self._emit(DeviceBooted(self.evse, reason))
        self._greeted = False
        self._turn += 1
        self._wish = self._setpoint = None
        self._spawn(self._write_setpoint(self._turn, ZERO))

    async def _write_setpoint(self, turn: int, amps: Decimal) -> None:
        while turn == self._turn and (self._fed() or not self._greeted):
            try:
                found = await self._device.write_and_check("setpoint", amps, Priority.SAFETY)
            except Superseded:
                return
            except BusError:
                await asyncio.sleep(self._pace.again_s)
                continue
            if turn == self._turn and isinstance(found, Decimal):
                self._setpoint = found
            return

    # ----------------------------------------------------------------------------------------------- state

    def _take_state(self, values: dict[str, Value]) -> None:
        self._relay.take(values.get("phases_state"))
        code = values.get("state")
        if isinstance(code, Decimal):
            meaning = self._device.profile.states.get(int(code))
            self._take_meaning(meaning or Meaning("F", True, "device_error"), int(code), values)
        for name, value in values.items():
            if name.startswith("temperature_") and isinstance(value, Decimal):
                self._take_temperature(name.removeprefix("temperature_"), float(value))

    def _take_meaning(self, meaning: Meaning, code: int, values: dict[str, Value]) -> None:
        currents = [v for k, v in values.items() if k.startswith("current_") and isinstance(v, Decimal)]
        closed = meaning.closed or any(v > FLOWS for v in currents)
        codes = {m.fault for m in self._device.profile.states.values() if m.fault} | {"device_error"}
        for fault in codes:
            self._faults.tell(fault, fault == meaning.fault, f"state {code}")
        if closed != self._closed:
            self._closed = closed
            self._tell_contactor()
        if meaning.pilot != self._pilot and not (self._locked and meaning.pilot == "F"):
            self._pilot = meaning.pilot
            self._emit(PilotChanged(self.evse, meaning.pilot, self._nameplate.connectors[0]))

    def _take_temperature(self, where: str, celsius: float) -> None:
        if abs(celsius - self._celsius.get(where, -1000.0)) >= 1.0:
            self._celsius[where] = celsius
            self._emit(TemperatureMeasured(self.evse, where, celsius))

    def _tell_contactor(self) -> None:
        closed = bool(self._closed)
        self._emit(ContactorReported(self.evse, closed, self._relay.closed if closed else 0))

    # ------------------------------------------------------------------------------------------- small things

    def _fed(self) -> bool:
        return self._clock() < self._fed_until_ms

    def _applied(self, command: PowerCommand, amps: float | None = None) -> None:
        self._emit(Applied(self.evse, command.step, type(command).__name__.lower(), amps))

    def _refuse(self, command: PowerCommand, reason: str) -> None:
        """Nobody waits for what the guard did by itself at the start (step 0)."""
        if command.step:
            self._emit(Refused(self.evse, command.step, type(command).__name__.lower(), reason))

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        """Run a piece of work; while any runs, the settings on the device may be in between."""
        task = asyncio.get_running_loop().create_task(work)
        self._working += 1
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._working -= 1
        self._tasks.discard(task)


def _is_kept(wish: _Wish, found: Value) -> bool:
    return isinstance(found, Decimal) and found <= wish.amps


def _text(value: Value) -> str:
    return "" if value is None else str(value)
