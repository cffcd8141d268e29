"""What goes wrong: the link, the CSMS, the flash, the power, the process, the clock and the hardware.

Each fault is a verb that ends by itself; `draws` are what a story draws for it (docs/reliability.md lists them all).
"""

from __future__ import annotations

from typing import Any, get_args

from agent.core.failsafe_table import row
from agent.core.registers import STEP_WH
from hal.frames import FAULT_BITS
from tests.sim.csms import LATENCY_MS as USUAL_MS
from tests.sim.disk import Keep
from tests.sim.happenings import an_evse, between, chance, pick, verb, whole
from tests.sim.network import LATENCY_MS, Break
from tests.sim.world import World

LONGEST_S = 1_260
"""After this every fault has ended."""
LOST_WH = STEP_WH + 400
"""What a meter has counted since the register was written last, at most: a step, and the minute to the next reading."""

# -------------------------------------------------- the link


@verb(weight=4, half_open=chance(0.4), seconds=pick(0.5, 20, 200, 1200))
def link_is_lost(world: World, half_open: bool, seconds: float) -> None:
    world.csms.vanishes(half_open=half_open)
    world.later(seconds, world.csms.returns)


@verb(weight=2, most_ms=pick(800, 4000), seconds=between(20, 300))
def link_is_slow(world: World, most_ms: int, seconds: float) -> None:
    world.network.latency_ms = (200, most_ms)
    world.later(seconds, lambda: setattr(world.network, "latency_ms", LATENCY_MS))


@verb(weight=3, up=chance(0.5), whole=chance(0.5))
def link_breaks_within_a_frame(world: World, up: bool, whole: bool) -> None:
    world.network.breaks = Break(up, whole)


@verb(weight=1, subprotocol=pick("", "ocpp1.6", "mqtt"), seconds=pick(20, 200))
def server_speaks_another_subprotocol(world: World, subprotocol: str, seconds: float) -> None:
    world.network.speaks = subprotocol
    world.csms.vanishes()
    world.later(1, world.csms.returns)
    world.later(seconds, lambda: setattr(world.network, "speaks", None))


@verb(weight=1, status=pick(301, 400, 401, 403, 404, 429, 500, 502, 503, 504), seconds=pick(20, 200))
def server_refuses_with_http(world: World, status: int, seconds: float) -> None:
    world.network.refuses = status
    world.csms.vanishes()
    world.later(1, world.csms.returns)
    world.later(seconds, lambda: setattr(world.network, "refuses", None))


# -------------------------------------------------- the CSMS


@verb(weight=2, action=pick("*", "TransactionEvent", "Authorize"), times=whole(1, 9), acts=chance(0.5))
def csms_does_not_answer(world: World, action: str, times: int, acts: bool) -> None:
    world.csms.ignores(action, times, acts=acts)


@verb(
    weight=2,
    action=pick("*", "TransactionEvent", "Authorize", "BootNotification"),
    times=whole(1, 9),
    code=pick("InternalError", "FormatViolation", "GenericError", "SomethingElse"),
    acts=chance(0.2),
)
def csms_answers_with_an_error(world: World, action: str, times: int, code: str, acts: bool) -> None:
    world.csms.fails(action, times, code, acts=acts)


@verb(weight=2, action=pick("*", "TransactionEvent", "Heartbeat", "BootNotification"), times=whole(1, 9))
def csms_talks_nonsense(world: World, action: str, times: int) -> None:
    world.judge.protocol.sloppy_csms = True
    world.csms.talks_nonsense(action, times)


GARBAGE = ("", "null", "[]", "[2]", '[2,"x"]', "[3,1,{}]", '[4,"x"]', "{}", '[2,"x","Reset",[]]', "\x00", "[" * 200)


@verb(weight=1, text=pick(*GARBAGE))
def csms_says_garbage(world: World, text: str) -> None:
    world.judge.protocol.sloppy_csms = True
    world.csms.says(text)


@verb(weight=2, status=pick("Pending", "Rejected"), interval=pick(0, 5, 60), seconds=between(10, 300))
def csms_hesitates_to_accept(world: World, status: str, interval: int, seconds: float) -> None:
    """The agent starts anew and asks; who is registered already would not."""
    world.csms.boots(status, interval)
    agent_is_killed(world, 1)
    world.later(seconds, lambda: world.csms.boots("Accepted", world.csms.usual_interval))


@verb(weight=1, most_ms=pick(2000, 15_000, 40_000), seconds=between(20, 300))
def csms_is_slow(world: World, most_ms: int, seconds: float) -> None:
    world.csms.latency_ms = (most_ms // 4, most_ms)
    world.later(seconds, lambda: setattr(world.csms, "latency_ms", USUAL_MS))


# -------------------------------------------------- power and process


@verb(weight=3, seconds=pick(0.3, 5, 60, 400), keep=pick(*get_args(Keep)))
def power_is_cut(world: World, seconds: float, keep: Keep) -> None:
    world.loses_power(keep).returns_after(seconds=seconds)


@verb(weight=4, effects=whole(1, 60), seconds=pick(2, 30))
def power_is_cut_within_the_next_effects(world: World, effects: int, seconds: float) -> None:
    world.cut_at, world.cut_for_s = world.boundaries + effects, seconds


@verb(weight=2, seconds=pick(0.5, 5, 60))
def agent_is_killed(world: World, seconds: float) -> None:
    world.kills_agent().returns_after(seconds=seconds)


@verb(weight=2, seconds=pick(0.5, 4, 60))
def agent_is_frozen(world: World, seconds: float) -> None:
    world.freezes_agent().returns_after(seconds=seconds)


@verb(weight=2, seconds=pick(12, 60))
def agent_is_restarted(world: World, seconds: float) -> None:
    world.stops_agent().returns_after(seconds=seconds)


# -------------------------------------------------- the flash


@verb(weight=2, times=pick(5.0, 40.0), seconds=between(5, 100))
def disk_is_slow(world: World, times: float, seconds: float) -> None:
    world.disk.slow = times
    world.later(seconds, lambda: setattr(world.disk, "slow", 1.0))


@verb(weight=2, seconds=pick(0.1, 3, 60), reserve=chance(0.5))
def disk_is_full(world: World, seconds: float, reserve: bool) -> None:
    world.disk.full, world.disk.reserve = True, reserve
    world.later(seconds, lambda: setattr(world.disk, "full", False))


@verb(weight=1, seconds=pick(1, 20))
def disk_writer_is_dead(world: World, seconds: float) -> None:
    world.disk.dead = True
    world.later(seconds, lambda: setattr(world.disk, "dead", False))


@verb(weight=1, seconds=pick(5, 15, 90, 600))
def disk_writer_hangs(world: World, seconds: float) -> None:
    world.disk.hangs(seconds)


@verb(weight=1, seconds=pick(1, 60))
def disk_page_is_damaged(world: World, seconds: float) -> None:
    """Found at the next start: the power is cut now."""
    world.disk.damages_a_page()
    world.loses_power().returns_after(seconds=seconds)


# -------------------------------------------------- the clock


@verb(weight=1, seconds=pick(-4000, -30, 2, 30, 90000))
def clock_is_set(world: World, seconds: float) -> None:
    world.judge.clock_changed()
    world.clock.steps_by(seconds)


@verb(weight=1, ppm=pick(-200, -20, 50, 500), hours=pick(1, 12))
def clock_drifts(world: World, ppm: float, hours: float) -> None:
    world.judge.clock_changed()
    world.clock.drifts(ppm)
    world.later(hours * 3600, lambda: world.clock.drifts(0))


@verb(weight=1, seconds=pick(5, 400), until_s=pick(0, 100, 800))
def clock_is_lost(world: World, seconds: float, until_s: float) -> None:
    """A power cut, and no battery: UTC is unknown to the board until NTP brings it."""

    def found() -> None:
        world.clock.battery = world.clock.synchronised = True

    world.judge.clock_changed()
    world.clock.battery = False
    world.loses_power().returns_after(seconds=seconds)
    world.later(seconds + 5 + until_s, found)


# -------------------------------------------------- the meter and its bus


@verb(weight=2, evse=an_evse, seconds=pick(1, 20, 200))
def meter_is_silent(world: World, evse: int, seconds: float) -> None:
    world.hardware.wires[evse].mute = True
    world.later(seconds, lambda: setattr(world.hardware.wires[evse], "mute", False))


@verb(weight=1, evse=an_evse, share=pick(0.2, 0.7), seconds=pick(20, 200))
def meter_is_garbled(world: World, evse: int, share: float, seconds: float) -> None:
    world.hardware.wires[evse].garbled = share
    world.later(seconds, lambda: setattr(world.hardware.wires[evse], "garbled", 0.0))


@verb(weight=1, evse=an_evse, ms=pick(200, 900), seconds=pick(20, 200))
def meter_is_late(world: World, evse: int, ms: int, seconds: float) -> None:
    world.hardware.wires[evse].late_ms = ms
    world.later(seconds, lambda: setattr(world.hardware.wires[evse], "late_ms", 0))


@verb(weight=1, evse=an_evse, seconds=pick(30, 600))
def meter_counter_is_frozen(world: World, evse: int, seconds: float) -> None:
    register = world.outlets[evse].register
    before = register.at(world.now_ms)
    register.freezes(world.now_ms)

    def thaws() -> None:
        world.judge.untold(evse, register.at(world.now_ms) - before)
        register.thaws(world.now_ms)

    world.later(seconds, thaws)


@verb(weight=1, evse=an_evse, seconds=pick(10, 600))
def meter_counter_rolls_over(world: World, evse: int, seconds: float) -> None:
    """It starts again at zero; the host does not believe it until it was started anew.

    What was counted since the last record is lost with the old process.
    """
    world.judge.untold(evse, LOST_WH)
    world.outlets[evse].register.rolls_over(world.now_ms)
    world.later(seconds, lambda: agent_is_killed(world, 1))


@verb(weight=1, evse=an_evse, shown_wh=pick(0.0, 4_711.0, 9_999_999.0))
def meter_is_swapped(world: World, evse: int, shown_wh: float) -> None:
    """A technician, who cuts the power for it: what was counted since the last record of the old one is lost."""
    world.judge.untold(evse, LOST_WH)
    world.loses_power().returns_after(seconds=120)
    world.outlets[evse].register.is_swapped(shown_wh, world.now_ms)


# -------------------------------------------------- the supply


@verb(weight=1, evse=an_evse, volts=pick(150.0, 190.0, 275.0), seconds=pick(1, 20, 300))
def mains_voltage_is_wrong(world: World, evse: int, volts: float, seconds: float) -> None:
    def becomes(volts: float) -> None:
        world.outlets[evse].volts = volts
        world.outlets[evse].settle()

    becomes(volts)
    world.later(seconds, lambda: becomes(230.0))


# -------------------------------------------------- board, controller, contactor


@verb(weight=2, evse=an_evse, seconds=pick(1, 10, 200))
def device_is_silent(world: World, evse: int, seconds: float) -> None:
    world.hardware.falls_silent(evse)
    world.later(seconds, lambda: world.hardware.answers_again(evse))


@verb(weight=1, evse=an_evse, times=pick(5, 20), seconds=pick(10, 100))
def device_is_slow(world: World, evse: int, times: int, seconds: float) -> None:
    world.hardware.slow_down(evse, times)
    world.later(seconds, lambda: world.hardware.slow_down(evse, 1))


@verb(weight=1, evse=an_evse)
def device_reboots(world: World, evse: int) -> None:
    world.hardware.drivers[evse].reboots()


@verb(weight=1, evse=an_evse, times=whole(1, 3))
def device_refuses(world: World, evse: int, times: int) -> None:
    world.hardware.drivers[evse].refuses = times


FOUND = (*FAULT_BITS, "emergency_stop", "derating")
BREAKING = tuple(code for code in FOUND if row(code).clears in ("gone", "unplug"))


@verb(weight=3, evse=an_evse, code=pick(*BREAKING), seconds=pick(2, 60, 600))
def device_finds_a_fault(world: World, evse: int, code: str, seconds: float) -> None:
    world.outlets[evse].breaks(code)
    world.later(seconds, lambda: world.outlets[evse].recovers(code))


@verb(weight=1, evse=an_evse, pilot=pick("E", "F"), seconds=pick(1, 60))
def pilot_line_breaks(world: World, evse: int, pilot: Any, seconds: float) -> None:
    world.outlets[evse].pilot_breaks(pilot)
    world.later(seconds, lambda: world.outlets[evse].pilot_breaks(None))


@verb(weight=1, evse=an_evse, seconds=pick(3, 60, 600))
def lock_sticks(world: World, evse: int, seconds: float) -> None:
    world.outlets[evse].lock_sticks = True
    world.later(seconds, lambda: setattr(world.outlets[evse], "lock_sticks", False))


@verb(weight=1, evse=an_evse)
def contactor_drops_out(world: World, evse: int) -> None:
    world.outlets[evse].drops_out()


@verb(weight=1, evse=an_evse, seconds=pick(60, 600))
def contactor_does_not_close(world: World, evse: int, seconds: float) -> None:
    world.outlets[evse].stuck = True
    world.later(seconds, lambda: setattr(world.outlets[evse], "stuck", False))


@verb(weight=1, evse=an_evse, seconds=pick(60, 900))
def contactor_welds(world: World, evse: int, seconds: float) -> None:
    """A technician comes, cuts the power and replaces it."""

    def repair() -> None:
        world.loses_power().returns_after(seconds=30)
        world.outlets[evse].repaired()

    world.outlets[evse].welded = True
    world.later(seconds, repair)
