"""A Heidelberg Energy Control on a real pty: limits, release, its watchdog, and what it forgets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from hal import profile
from hal.bus import Bus, Quiet
from hal.config import BusConfig
from hal.device import Device
from hal.hardware import mono_ms
from hal.ports import (
    Alive,
    Applied,
    Capabilities,
    ContactorReported,
    DeviceBooted,
    FaultCleared,
    FaultRaised,
    HardwareEvent,
    Nameplate,
    Offer,
    Permit,
    PhasesReported,
    PilotChanged,
    Refused,
    SetFailsafe,
    SetLock,
    SetPhases,
    Silent,
    TemperatureMeasured,
    Withdraw,
)
from hal.power_stage import Pace, SmartController
from tests.hal.wires import RtuDevices, Told, run, until

UNIT = 1
PHASES, PHASES_STATE = 501, 5001
STATE, WATCHDOG, STANDBY, LOCK, SETPOINT, FAILSAFE = 5, 257, 258, 259, 261, 262
FAST = Pace(silent_s=0.8, again_s=0.02, poll_s=0.02, settings_s=0.05)


class Box:
    """The stage under test, its wire and what it told."""

    device = "heidelberg-ec"

    def __init__(self, tmp_path: Path) -> None:
        self.wire = RtuDevices(tmp_path / "rs485")
        self.wire.put(UNIT, 4, 0x0108, 2, 0, 0, 0, 312, 230, 230, 230, 1)
        self.wire.put(UNIT, 100, 16)
        self.wire.put(UNIT, 203, 3721)
        self.power_on()
        self.told = Told()
        self.bus = Bus(
            BusConfig("rs485", "rtu", port=self.wire.pty.path),
            Quiet(after_error_s=0.01, late_s=0.05, turnaround_s=0.0),
        )
        device = Device(self.bus, UNIT, profile.load(self.device))
        self.stage = SmartController(Nameplate(1, 16.0, 3), device, self.told.append, mono_ms, FAST)

    def power_on(self) -> None:
        self.wire.put(UNIT, WATCHDOG, 15000, 0, 1)
        self.wire.put(UNIT, SETPOINT, 160, 0)

    def register(self, address: int) -> int:
        return self.wire.registers[UNIT, address]

    async def hears(self, *events: HardwareEvent) -> None:
        """Wait until all of these were told."""
        try:
            await until(lambda: all(e in self.told for e in events))
        except TimeoutError:
            raise AssertionError(f"expected {events}, told {self.told}") from None


def story(tmp_path: Path, tell: Callable[[Box], Awaitable[None]], made: type[Box] = Box) -> None:
    """Open the box, withdraw and feed as the guard does, then tell."""

    async def whole() -> None:
        box = made(tmp_path)
        await box.bus.open()
        box.stage.withdraw(Withdraw(1, 0, "start"))
        task = asyncio.create_task(box.stage.run())
        box.stage.feed()
        try:
            await tell(box)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await box.bus.close()

    run(whole)


async def ready(box: Box) -> None:
    await box.hears(Alive(1, "controller"), PilotChanged(1, "A"), Applied(1, 0, "withdraw", 0.0))
    await until(lambda: box.register(LOCK) == 1)


async def left_locked(box: Box, setpoint: int) -> None:
    """Another process has locked it and left a setpoint (0.1 A); what is asked from now on is looked at."""
    await ready(box)
    box.wire.put(UNIT, LOCK, 0)
    box.wire.put(UNIT, SETPOINT, setpoint)
    box.wire.asked.clear()


def test_at_start_the_permission_is_withdrawn_and_the_settings_are_written_and_verified(tmp_path: Path) -> None:
    async def tell(box: Box) -> None:
        await ready(box)
        first = next(r for r in box.wire.asked)
        assert first == (UNIT, 6, SETPOINT, 0)
        assert [box.register(a) for a in (WATCHDOG, STANDBY, LOCK, SETPOINT, FAILSAFE)] == [3000, 4, 1, 0, 0]
        capabilities = next(e for e in box.told if isinstance(e, Capabilities))
        assert capabilities.independent
        assert (capabilities.fallback_s, capabilities.max_amps, capabilities.phases) == (3.0, 16.0, 3)
        assert TemperatureMeasured(1, "pcb", 31.2) in box.told
        assert ContactorReported(1, False) in box.told

    story(tmp_path, tell)


def test_permit_offer_pause_and_what_is_read_back(tmp_path: Path) -> None:
    async def tell(box: Box) -> None:
        await ready(box)
        box.stage.permit(Permit(1, 5, 13.05, 3))
        await box.hears(Applied(1, 5, "permit", 13.0))
        assert (box.register(SETPOINT), box.register(LOCK)) == (130, 1)
        box.wire.put(UNIT, STATE, 7)
        await box.hears(PilotChanged(1, "C"), ContactorReported(1, True, 3))
        box.stage.offer(Offer(1, 6, 99.0))
        await box.hears(Applied(1, 6, "offer", 16.0))
        box.stage.offer(Offer(1, 7, 5.9))
        await box.hears(Applied(1, 7, "offer", 0.0))
        assert box.register(SETPOINT) == 0

    story(tmp_path, tell)


def test_withdraw_under_load_locks_the_box_until_it_is_open(tmp_path: Path) -> None:
    async def tell(box: Box) -> None:
        await ready(box)
        box.stage.permit(Permit(1, 5, 16.0, 3))
        box.wire.put(UNIT, STATE, 7, 159)
        await box.hears(Applied(1, 5, "permit", 16.0), ContactorReported(1, True, 3))
        box.wire.asked.clear()
        box.stage.withdraw(Withdraw(1, 6, "fault"))
        await box.hears(Applied(1, 6, "withdraw", 0.0))
        writes = [r[2:] for r in box.wire.asked if r[1] == 6]
        assert writes[:2] == [(SETPOINT, 0), (LOCK, 0)]
        box.told.clear()
        box.wire.put(UNIT, STATE, 10, 0)  # locked: F, which is our own doing and not told
        await box.hears(ContactorReported(1, False))
        await until(lambda: box.register(LOCK) == 1)
        box.wire.put(UNIT, STATE, 4)
        await box.hears(PilotChanged(1, "B"))
        assert PilotChanged(1, "F") not in box.told

    story(tmp_path, tell)


def test_current_that_flows_is_a_closed_contactor_whatever_the_state_says(tmp_path: Path) -> None:
    async def tell(box: Box) -> None:
        await ready(box)
        box.wire.put(UNIT, STATE, 6, 60)
        await box.hears(ContactorReported(1, True, 3))

    story(tmp_path, tell)


def test_an_offer_that_overtakes_a_permit_carries_the_release_along(tmp_path: Path) -> None:
    async def tell(box: Box) -> None:
        await ready(box)
        box.stage.permit(Permit(1, 5, 16.0, 3))
        box.stage.offer(Offer(1, 6, 10.0))
        await box.hears(Applied(1, 5, "permit", 10.0), Applied(1, 6, "offer", 10.0))
        assert box.register(SETPOINT) == 100

    story(tmp_path, tell)


def test_a_withdrawal_that_overtakes_a_permit_wins(tmp_path: Path) -> None:
    async def tell(box: Box) -> None:
        await ready(box)
        box.wire.hold = asyncio.Event()
        box.wire.asked.clear()
        box.stage.permit(Permit(1, 5, 16.0, 3))
        await until(lambda: (UNIT, 6, SETPOINT, 160) in box.wire.asked)
        box.stage.withdraw(Withdraw(1, 6, "unplugged"))
        box.wire.hold.set()
        await box.hears(Refused(1, 5, "permit", "superseded"), Applied(1, 6, "withdraw", 0.0))
        assert (UNIT, 6, LOCK, 1) not in box.wire.asked
        assert box.register(SETPOINT) == 0

    story(tmp_path, tell)


def test_a_box_is_released_only_when_its_setpoint_is_ours(tmp_path: Path) -> None:
    """What another process left in the register is not offered, not even for a moment (invariant 11)."""

    async def tell(box: Box) -> None:
        await left_locked(box, 85)
        box.stage.permit(Permit(1, 5, 6.0, 3))
        await box.hears(Applied(1, 5, "permit", 6.0))
        writes = [r[2:] for r in box.wire.asked if r[1] == 6]
        assert writes.index((SETPOINT, 60)) < writes.index((LOCK, 1))

    story(tmp_path, tell)


def test_a_box_that_does_not_take_its_setpoint_is_not_released(tmp_path: Path) -> None:
    async def tell(box: Box) -> None:
        await left_locked(box, 85)
        box.wire.ignores.add((UNIT, SETPOINT))
        box.stage.permit(Permit(1, 5, 6.0, 3))
        await box.hears(Refused(1, 5, "permit", "the device says 8.5 A"))
        assert (UNIT, 6, LOCK, 1) not in box.wire.asked

    story(tmp_path, tell)


def test_a_box_that_keeps_more_than_it_was_told_is_a_fault(tmp_path: Path) -> None:
    async def tell(box: Box) -> None:
        await ready(box)
        box.stage.permit(Permit(1, 5, 16.0, 3))
        await box.hears(Applied(1, 5, "permit", 16.0))
        box.wire.ignores.add((UNIT, SETPOINT))
        box.stage.offer(Offer(1, 6, 8.0))
        await box.hears(
            Refused(1, 6, "offer", "the device says 16.0 A"),
            FaultRaised(1, "readback_mismatch", "setpoint 16.0 A after 8.0 A"),
        )

    story(tmp_path, tell)


def test_another_master_that_raises_the_limit_is_overruled_and_told(tmp_path: Path) -> None:
    async def tell(box: Box) -> None:
        await ready(box)
        box.stage.permit(Permit(1, 5, 6.0, 3))
        await box.hears(Applied(1, 5, "permit", 6.0))
        box.wire.put(UNIT, SETPOINT, 160)
        await box.hears(FaultRaised(1, "readback_mismatch", "setpoint 16.0 A, ours 6.0 A"))
        await box.hears(FaultCleared(1, "readback_mismatch"))
        assert box.register(SETPOINT) == 60

    story(tmp_path, tell)


def test_a_box_that_restarted_loses_its_permission_and_gets_its_settings_again(tmp_path: Path) -> None:
    async def tell(box: Box) -> None:
        await ready(box)
        box.stage.set_failsafe(SetFailsafe(1, 4, 6.0))
        box.stage.permit(Permit(1, 5, 16.0, 3))
        await box.hears(Applied(1, 4, "setfailsafe", 6.0), Applied(1, 5, "permit", 16.0))
        box.told.clear()
        box.power_on()
        await box.hears(DeviceBooted(1, "its settings are lost"))
        await until(lambda: any(isinstance(e, Capabilities) for e in box.told))
        await until(lambda: box.register(SETPOINT) == 0)
        assert [box.register(a) for a in (WATCHDOG, STANDBY, FAILSAFE)] == [3000, 4, 60]
        await box.hears(PilotChanged(1, "A"), ContactorReported(1, False))

    story(tmp_path, tell)


def test_a_box_that_fell_back_by_itself_waits_for_a_new_decision(tmp_path: Path) -> None:
    async def tell(box: Box) -> None:
        await ready(box)
        box.stage.permit(Permit(1, 5, 16.0, 3))
        await box.hears(Applied(1, 5, "permit", 16.0))
        box.wire.put(UNIT, SETPOINT, 0)
        await box.hears(DeviceBooted(1, "it fell back to 0.0 A"))
        assert box.register(SETPOINT) == 0

    story(tmp_path, tell)


@pytest.mark.parametrize("register", [WATCHDOG, FAILSAFE])
def test_a_box_without_a_working_watchdog_is_no_independent_layer(tmp_path: Path, register: int) -> None:
    async def tell(box: Box) -> None:
        box.wire.ignores.add((UNIT, register))
        if register == FAILSAFE:
            box.wire.put(UNIT, FAILSAFE, 100)
        await until(lambda: any(isinstance(e, Capabilities) for e in box.told))
        capabilities = next(e for e in box.told if isinstance(e, Capabilities))
        assert not capabilities.independent
        await box.hears(FaultRaised(1, "not_independent", "watchdog or failsafe current not kept"))

    story(tmp_path, tell)


def test_resting_the_box_hears_nothing_more_so_that_its_own_watchdog_works(tmp_path: Path) -> None:
    async def tell(box: Box) -> None:
        await ready(box)
        box.wire.put(2, 0, 7)
        box.stage.withdraw(Withdraw(1, 9, "the lease lapsed"))
        box.stage.rest()
        await box.hears(Applied(1, 9, "withdraw", 0.0))
        box.wire.asked.clear()
        for _ in range(10):  # the meter on the same bus goes on
            await box.bus.read(2, 3, 0, 1, profile.load("eastron-sdm630").transport)
        assert {r[0] for r in box.wire.asked} == {2}
        assert Silent(1, "controller") not in box.told
        box.stage.feed()
        await until(lambda: (UNIT, 4, STATE, 9) in box.wire.asked)

    story(tmp_path, tell)


def test_a_silent_box_is_told_and_gets_the_missed_withdrawal_before_it_is_alive_again(tmp_path: Path) -> None:
    async def tell(box: Box) -> None:
        await ready(box)
        box.stage.permit(Permit(1, 5, 16.0, 3))
        await box.hears(Applied(1, 5, "permit", 16.0))
        box.wire.mute = {UNIT}
        while Silent(1, "controller") not in box.told:
            box.stage.feed()
            await asyncio.sleep(0.01)
        box.stage.permit(Permit(1, 6, 16.0, 3))
        await box.hears(Refused(1, 6, "permit", "the controller is silent or not set up yet"))
        box.stage.withdraw(Withdraw(1, 7, "silent"))
        box.told.clear()
        box.wire.mute = set()
        box.stage.feed()
        await box.hears(Applied(1, 7, "withdraw", 0.0), Alive(1, "controller"), PilotChanged(1, "A"))
        kinds = [type(e) for e in box.told]
        assert kinds.index(Applied) < kinds.index(Alive) < kinds.index(PilotChanged)
        assert box.register(SETPOINT) == 0

    story(tmp_path, tell)


def test_errors_and_derating_are_faults_with_the_vendors_code(tmp_path: Path) -> None:
    async def tell(box: Box) -> None:
        await ready(box)
        box.wire.put(UNIT, STATE, 8)
        await box.hears(FaultRaised(1, "derating", "state 8"), PilotChanged(1, "C"))
        box.wire.put(UNIT, STATE, 11)
        await box.hears(FaultRaised(1, "device_error", "state 11"), FaultCleared(1, "derating"))
        box.wire.put(UNIT, STATE, 2)
        await box.hears(FaultCleared(1, "device_error"))
        box.stage.set_lock(SetLock(1, 9, 1, True))
        await box.hears(Refused(1, 9, "setlock", "the device has no lock of ours"))

    story(tmp_path, tell)


class SwitchingBox(Box):
    """One with a register for its phase relay."""

    device = "amperfied-connect"

    def power_on(self) -> None:
        super().power_on()
        self.wire.put(UNIT, PHASES, 3)
        self.wire.put(UNIT, PHASES_STATE, 3)


def test_a_box_with_a_phase_register_tells_where_its_relay_is(tmp_path: Path) -> None:
    async def tell(box: Box) -> None:
        await ready(box)
        assert next(e for e in box.told if isinstance(e, Capabilities)).phase_switch
        await box.hears(PhasesReported(1, 3))
        box.stage.set_phases(SetPhases(1, 4, 1))
        await box.hears(Applied(1, 4, "setphases"))
        assert box.register(PHASES) == 1
        assert PhasesReported(1, 1) not in box.told, "what was written is no feedback"
        box.stage.permit(Permit(1, 5, 16.0, 1))
        await box.hears(Refused(1, 5, "permit", "3 phases are selected"))
        box.wire.put(UNIT, PHASES_STATE, 1)
        await box.hears(PhasesReported(1, 1))
        box.stage.permit(Permit(1, 6, 16.0, 1))
        await box.hears(Applied(1, 6, "permit", 16.0))
        box.wire.put(UNIT, STATE, 7)
        await box.hears(ContactorReported(1, True, 1))
        box.stage.set_phases(SetPhases(1, 7, 3))
        await box.hears(Refused(1, 7, "setphases", "contacts closed"))
        box.wire.put(UNIT, PHASES_STATE, 9)
        await box.hears(PhasesReported(1, 0))

    story(tmp_path, tell, SwitchingBox)


def test_a_box_without_such_a_register_refuses(tmp_path: Path) -> None:
    async def tell(box: Box) -> None:
        await ready(box)
        box.stage.set_phases(SetPhases(1, 4, 1))
        await box.hears(Refused(1, 4, "setphases", "the device cannot switch phases"))

    story(tmp_path, tell)
