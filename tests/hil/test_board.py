"""The simulated raw board keeps to hal/board-protocol.md (the test is the host)."""

from __future__ import annotations

import pytest

from hal import frames
from hil.instruments.board import BoardMake
from hil.instruments.connector import ConnectorMake
from hil.instruments.contactor import WIRINGS, Wiring
from hil.instruments.ev import CarModel
from tests.hil.bench_world import BoardWorld

CABLE = ConnectorMake(socket=False)


def bit(code: str) -> int:
    return frames.FAULT_BITS.index(code)


def test_boot_is_repeated_until_hello_and_says_what_the_board_can() -> None:
    world = BoardWorld()
    world.runs(2)
    assert len(world.boots) == 4
    assert world.boots[0].capabilities == 0x3F
    assert world.boots[0].max_tenths == 320
    world.greets()
    world.runs(2)
    assert len(world.boots) == 5
    assert len(world.states) >= 2, "State at once and every second"
    assert BoardMake(connectors=(CABLE,)).capabilities & (frames.CAN_LOCK | frames.HAS_PROXIMITY) == 0


def test_before_hello_everything_but_withdraw_is_refused() -> None:
    world = BoardWorld()
    assert world.sends(frames.Permit(1, 160, 3)) == frames.NO_HELLO
    assert world.sends(frames.Withdraw(1, "start")) == frames.OK


def test_a_session_and_its_reports() -> None:
    world = BoardWorld()
    world.charges(16)
    state = world.states[-1]
    assert (state.pilot, state.duty, state.offered_tenths, state.contacts) == ("C", 2667, 160, 0x0F)
    assert state.flags == frames.PERMITTED | frames.PLUG_PRESENT
    assert world.sends(frames.Offer(8, 0)) == frames.OK
    world.runs_until(lambda: world.states[-1].contacts == 0, 3)
    assert world.states[-1].pilot == "B"
    assert world.states[-1].flags & frames.PERMITTED
    assert world.sends(frames.Offer(9, 100)) == frames.OK
    world.runs_until(lambda: world.amps[0] > 9.9, 6)


def test_offer_decreases_and_what_is_asked_too_much_is_clamped() -> None:
    world = BoardWorld(BoardMake(connectors=(ConnectorMake(cable_amps=20),)))
    world.charges(16)
    assert world.sends(frames.Offer(8, 320)) == frames.OK
    assert world.acks[-1].offered_tenths == 200
    assert world.sends(frames.Offer(9, 40)) == frames.OUT_OF_RANGE
    assert world.sends(frames.Offer(9, 60)) == frames.OK
    world.runs(3)
    assert world.amps == pytest.approx((6, 6, 6))


def test_older_steps_are_refused_but_withdraw_is_always_done() -> None:
    world = BoardWorld()
    world.charges(16, step=7)
    assert world.sends(frames.Offer(6, 100)) == frames.OLD_STEP
    assert world.sends(frames.Withdraw(3, "fault")) == frames.OK
    world.runs(0.1)
    assert world.states[-1].contacts == 0
    assert world.states[-1].step == 7


def test_a_repeated_frame_is_acknowledged_again_but_not_executed_again() -> None:
    world = BoardWorld()
    world.greets()
    frame = frames.encode(frames.Lock(1, 1, 1), 44)
    world.board.receive(frame)
    first = world.acks[-1]
    lock = world.board.connectors[1]
    assert lock.locked
    lock.locked = False
    world.board.receive(frame)
    assert world.acks[-1] == first
    assert not lock.locked


@pytest.mark.parametrize("cause", ["residual_current", "emergency_stop", "diode", "pilot", "ground", "board_internal"])
def test_it_opens_within_100_ms_by_itself(cause: str) -> None:
    world = BoardWorld()
    world.charges(16)
    world.board.raise_fault(cause)
    assert world.runs_until(lambda: not world.board.contactor.closed, 1) <= 0.1
    world.runs(0.04)
    state = world.states[-1]
    assert not state.flags & frames.PERMITTED
    if cause == "emergency_stop":
        assert state.flags & frames.EMERGENCY_STOP
    else:
        assert state.faults == 1 << bit(cause)


def test_leaving_c_opens_within_100_ms() -> None:
    world = BoardWorld()
    world.charges(16)
    world.outlet.car.s2_closed = False
    world.outlet.car.paused = True
    assert world.runs_until(lambda: not world.board.contactor.closed, 1) <= 0.1
    unplugged = BoardWorld()
    unplugged.charges(16)
    unplugged.outlet.car.unplug()
    assert unplugged.runs_until(lambda: not unplugged.board.contactor.closed, 1) <= 0.1
    unplugged.runs(0.04)
    assert not unplugged.states[-1].flags & frames.PERMITTED


def test_ventilation_is_refused_where_there_is_none() -> None:
    world = BoardWorld()
    world.greets()
    world.plugs(CarModel(ventilation=True))
    world.runs(0.1)
    assert world.sends(frames.Permit(1, 160, 3)) == frames.OK
    world.runs(5)
    assert world.states[-1].pilot == "D"
    assert not world.board.contactor.closed


@pytest.mark.parametrize(("failsafe", "amps"), [(0, 0.0), (60, 6.0)])
def test_lost_heartbeats_fall_back_and_raise_nothing_on_return(failsafe: int, amps: float) -> None:
    world = BoardWorld()
    world.charges(16)
    assert world.sends(frames.Failsafe(8, failsafe)) == frames.OK
    world.beats = False
    assert world.runs_until(lambda: world.board.lapsed, 4) <= 3.1
    assert world.states[-1].flags & frames.HEARTBEAT_LOST
    world.runs(3.2)
    assert world.amps[0] == pytest.approx(amps)
    assert world.board.contactor.closed == bool(failsafe)
    assert world.sends(frames.Offer(9, 160)) == frames.NOT_ARMED
    world.beats = True
    world.runs(3)
    assert not world.states[-1].flags & frames.HEARTBEAT_LOST
    assert world.amps[0] == pytest.approx(amps)
    assert world.sends(frames.Permit(8, 160, 3)) == frames.NOT_ARMED, "the setpoint of before the lapse"
    assert world.sends(frames.Permit(10, 160, 3)) == frames.OK
    world.runs(8)
    assert world.amps[0] == pytest.approx(16)


def test_commands_do_not_replace_heartbeats() -> None:
    world = BoardWorld()
    world.charges(16)
    world.beats = False
    world.also = lambda: world.board.receive(frames.encode(frames.Offer(9, 160), 9))
    world.runs_until(lambda: world.board.lapsed, 3.1)


def test_latched_faults_need_a_reset_after_the_cause_has_gone() -> None:
    world = BoardWorld()
    world.charges(16)
    world.board.raise_fault("residual_current")
    world.runs(0.1)
    assert world.sends(frames.Reset(8, bit("residual_current"))) == frames.FAULT_LATCHED
    world.board.clear_fault("residual_current")
    world.runs(0.1)
    assert world.states[-1].faults
    assert world.sends(frames.Permit(9, 160, 3)) == frames.FAULT_LATCHED
    assert world.sends(frames.Reset(9, bit("residual_current"))) == frames.OK
    assert world.sends(frames.Permit(10, 160, 3)) == frames.OK


def test_weld_stuck_and_dropped_contacts_are_seen_by_the_mirrors() -> None:
    welded = BoardWorld()
    welded.charges(16)
    welded.board.raise_fault("contactor_welded")
    assert welded.sends(frames.Withdraw(8, "stop")) == frames.OK
    welded.runs(0.4)
    assert welded.states[-1].faults == 1 << bit("contactor_welded")
    assert welded.states[-1].contacts == 0x0F
    stuck = BoardWorld()
    stuck.greets()
    stuck.board.raise_fault("contactor_failed")
    stuck.plugs()
    stuck.runs(0.1)
    assert stuck.sends(frames.Permit(1, 160, 3)) == frames.OK
    stuck.runs(3)
    assert stuck.states[-1].faults == 1 << bit("contactor_failed")
    dropped = BoardWorld()
    dropped.charges(16)
    dropped.board.raise_fault("contactor_dropped")
    dropped.runs(0.4)
    assert dropped.states[-1].faults == 1 << bit("contactor_dropped")


def test_a_bench_that_stands_still_while_the_contacts_travel_welds_nothing() -> None:
    world = BoardWorld()
    world.charges(16)
    assert world.sends(frames.Withdraw(8, "stop")) == frames.OK
    for pause in (0.02, 0.01, 0.4):
        world.clock.now += pause
        world.outlet.step(world.clock.now, pause)
    world.runs(0.4)
    assert world.states[-1].faults == 0 and world.states[-1].contacts == 0


def test_phases_change_only_with_open_contacts() -> None:
    world = BoardWorld()
    world.charges(16)
    assert world.sends(frames.Phases(8, 1)) == frames.CONTACTS_CLOSED
    assert world.sends(frames.Offer(9, 0)) == frames.OK
    world.runs(3)
    assert world.sends(frames.Phases(10, 1)) == frames.OK
    assert world.sends(frames.Permit(11, 160, 1)) == frames.OUT_OF_RANGE, "the relay is on its way"
    world.runs(0.1)
    assert world.states[-1].flags & (frames.ONE_PHASE | frames.PHASES_UNKNOWN) == frames.ONE_PHASE
    assert world.sends(frames.Permit(11, 160, 3)) == frames.OUT_OF_RANGE
    assert world.sends(frames.Permit(11, 160, 1)) == frames.OK
    world.runs(6)
    assert world.amps == pytest.approx((16, 0, 0))
    assert world.states[-1].contacts == frames.L1 | frames.NEUTRAL


@pytest.mark.parametrize("wiring", WIRINGS)
def test_the_three_wirings_close_and_open_all_and_show_each_failure(wiring: Wiring) -> None:
    world = BoardWorld(BoardMake(wiring=wiring))
    world.charges(16)
    assert (world.states[-1].contacts, world.board.contactor.live) == (0x0F, (True, True, True))
    assert world.sends(frames.Withdraw(8, "")) == frames.OK
    world.runs(0.2)
    assert world.states[-1].contacts == 0
    world.board.raise_fault("second_stuck")
    assert world.sends(frames.Permit(9, 160, 3)) == frames.OK
    world.runs(3)
    mutual = wiring == "mutual"
    assert world.board.contactor.live == (not mutual, False, False), "mutual: the three-phase contactor is alone"
    world.board.clear_fault("second_stuck")
    assert world.sends(frames.Withdraw(10, "")) == frames.OK
    world.runs(0.5)
    assert world.sends(frames.Reset(10, bit("contactor_failed"))) == frames.OK


@pytest.mark.parametrize("wiring", WIRINGS)
def test_a_second_contactor_that_welds_is_a_weld_and_holds_the_relay(wiring: Wiring) -> None:
    world = BoardWorld(BoardMake(wiring=wiring))
    world.charges(16)
    world.board.raise_fault("second_welded")
    assert world.sends(frames.Withdraw(8, "")) == frames.OK
    world.runs(0.5)
    assert world.states[-1].contacts & (frames.L2 | frames.L3) == frames.L2 | frames.L3
    assert world.states[-1].faults == 1 << bit("contactor_welded")
    assert world.sends(frames.Phases(9, 1)) == frames.CONTACTS_CLOSED
    assert world.sends(frames.Permit(10, 160, 3)) == frames.FAULT_LATCHED


def test_a_phase_relay_tells_where_it_is_not_where_it_was_told_to_be() -> None:
    world = BoardWorld()
    world.greets()
    world.board.raise_fault("relay_stuck")
    assert world.sends(frames.Phases(1, 1)) == frames.OK
    world.runs(0.2)
    assert world.states[-1].flags & (frames.ONE_PHASE | frames.PHASES_UNKNOWN) == 0
    world.board.clear_fault("relay_stuck")
    world.board.raise_fault("relay_silent")
    assert world.sends(frames.Phases(2, 1)) == frames.OK
    world.runs(0.2)
    assert world.states[-1].flags & frames.PHASES_UNKNOWN
    world.board.clear_fault("relay_silent")
    world.board.restart()
    world.greets()
    world.runs(0.1)
    assert world.states[-1].flags & frames.ONE_PHASE, "it stays where it is through a reset"


def test_lock_and_pilot_modes() -> None:
    world = BoardWorld()
    world.charges(16)
    assert world.sends(frames.Lock(8, 1, 1)) == frames.OK
    assert world.sends(frames.Lock(9, 1, 0)) == frames.CONTACTS_CLOSED
    assert world.sends(frames.Pilot(9, 1)) == frames.CONTACTS_CLOSED
    assert world.sends(frames.Withdraw(10, "")) == frames.OK
    world.runs(0.1)
    assert world.sends(frames.Lock(11, 1, 0)) == frames.OK
    assert world.sends(frames.Pilot(12, 2)) == frames.OK
    world.runs(0.1)
    assert world.states[-1].pilot == "F"
    assert world.states[-1].flags & frames.PILOT_OFF


def test_bad_payloads_and_unknown_types_are_answered() -> None:
    world = BoardWorld()
    body = bytes((0x10, 5, 1, 0))
    world.board.receive(b"\0" + frames.cobs(body + frames.crc16(body).to_bytes(2, "little")) + b"\0")
    assert world.acks[-1].result == frames.MALFORMED
    body = bytes((0x70, 6, 0))
    world.board.receive(b"\0" + frames.cobs(body + frames.crc16(body).to_bytes(2, "little")) + b"\0")
    assert world.acks[-1].result == frames.UNKNOWN_TYPE


def test_a_reset_drops_everything_and_reports_the_reason() -> None:
    world = BoardWorld()
    world.charges(16)
    world.board.restart("watchdog")
    world.runs(0.1)
    assert not world.board.contactor.closed
    assert frames.RESET_REASONS[world.boots[-1].reset] == "watchdog"
    assert world.sends(frames.Permit(9, 160, 3)) == frames.NO_HELLO


TWO = BoardMake(connectors=(CABLE, ConnectorMake(cable_amps=20)))
"""A fixed cable and a socket on one power path."""


def test_a_board_with_two_connectors_lists_both_and_obeys_for_the_named_one() -> None:
    world = BoardWorld(TWO)
    world.greets()
    world.outlet.cars[2].plug(CarModel())
    world.runs(0.1)
    assert world.boots[-1].connectors == 2
    assert world.states[-1].pilot == "A" and world.states[-1].proximity == 255
    assert world.states[-1].plugs == (frames.Plug(1, "A", 255, 0), frames.Plug(2, "B", 20, frames.PLUG_PRESENT))
    assert world.sends(frames.Lock(1, 1, 1)) == frames.NOT_CAPABLE
    assert world.sends(frames.Lock(1, 3, 1)) == frames.OUT_OF_RANGE
    assert world.sends(frames.Lock(1, 2, 1)) == frames.OK
    assert world.sends(frames.Permit(1, 320, 3, 3)) == frames.OUT_OF_RANGE
    assert world.sends(frames.Permit(2, 320, 3, 2)) == frames.OK
    assert world.acks[-1].offered_tenths == 200, "what its cable carries"
    world.runs_until(lambda: world.amps[0] > 15.9, 10)
    state = world.states[-1]
    assert (state.active, state.contacts, state.offered_tenths) == (2, 0x0F, 200)
    assert state.plugs == (frames.Plug(1, "A", 255, 0), frames.Plug(2, "C", 20, frames.PLUG_PRESENT | frames.LOCKED))
    assert world.sends(frames.Lock(3, 2, 0)) == frames.CONTACTS_CLOSED
    assert world.outlet.locks == {2}


def test_a_second_car_waits_and_nothing_is_permitted_there_when_the_first_has_left() -> None:
    world = BoardWorld(TWO)
    world.charges(16)
    world.outlet.cars[2].plug(CarModel())
    world.runs(5)
    assert world.states[-1].plugs[1].pilot == "B" and world.outlet.cars[2].amps == (0, 0, 0)
    assert world.sends(frames.Permit(8, 160, 3, 2)) == frames.CONTACTS_CLOSED
    assert world.sends(frames.Lock(9, 2, 1)) == world.sends(frames.Lock(9, 2, 0)) == frames.OK, "nobody charges there"
    world.outlet.cars[2].unplug()
    world.runs(1)
    assert world.states[-1].flags & frames.PERMITTED and world.outlet.amps[0] > 15.9, "the one in use does not notice"
    world.outlet.cars[2].plug(CarModel())
    world.outlet.cars[1].unplug()
    world.runs(3)
    state = world.states[-1]
    assert (state.active, state.contacts, state.flags & frames.PERMITTED) == (1, 0, 0)
    assert world.sends(frames.Permit(10, 160, 3, 2)) == frames.OK
    world.runs_until(lambda: world.outlet.cars[2].amps[0] > 15.9, 10)
    world.greets()
    world.runs(0.2)
    assert world.states[-1].active == 2 and not world.states[-1].contacts
