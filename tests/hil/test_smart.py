"""The simulated Heidelberg wallbox: its registers, its watchdog, its contactor."""

from __future__ import annotations

import pytest

from hil.instruments.ev import CarModel
from hil.instruments.smart import MAX_CURRENT, PHASES, PHASES_STATE, STANDBY, WATCHDOG_MS, AmperfiedConnect
from hil.modbus import READ_HOLDING, READ_INPUT, IllegalAddress, IllegalValue
from tests.hil.bench_world import Seconds, SmartWorld, World

STATE, L1_CURRENT, POWER, TOTAL_HIGH = 5, 6, 14, 17


def state(world: SmartWorld) -> int:
    return world.box.read(READ_INPUT, STATE, 1)[0]


def fed(world: SmartWorld) -> None:
    world.also = lambda: world.box.write(261, [world.box.holding[261]])


def test_states_through_a_session() -> None:
    world = SmartWorld()
    fed(world)
    world.runs(0.1)
    assert state(world) == 2
    world.plugs()
    world.runs(0.1)
    assert state(world) == 4
    world.box.write(261, [160])
    world.runs(0.1)
    assert state(world) == 5
    world.runs_until(lambda: state(world) == 7, 3)
    world.runs(5)
    assert world.box.contactor.closed
    assert world.box.read(READ_INPUT, L1_CURRENT, 3) == [160, 160, 160]
    assert world.box.read(READ_INPUT, POWER, 1)[0] == pytest.approx(3 * 230 * 16, rel=0.01)
    world.box.write(261, [0])
    world.runs_until(lambda: not world.box.contactor.closed, 3)
    assert state(world) == 4


def test_a_lower_limit_is_followed_by_the_car() -> None:
    world = SmartWorld()
    fed(world)
    world.plugs()
    world.box.write(261, [160])
    world.runs(6)
    world.box.write(261, [100])
    world.runs(3)
    assert world.amps == pytest.approx((10, 10, 10))


@pytest.mark.parametrize("value", [1, 59, 161, 65535])
def test_currents_outside_the_range_are_refused(value: int) -> None:
    world = SmartWorld()
    for register in (261, 262):
        with pytest.raises(IllegalValue):
            world.box.write(register, [value])
    assert world.box.read(READ_HOLDING, 261, 2) == [0, 0]


def test_unknown_registers_are_refused() -> None:
    world = SmartWorld()
    for function, address in ((READ_INPUT, 3), (READ_INPUT, 19), (READ_HOLDING, 5), (READ_HOLDING, 260)):
        with pytest.raises(IllegalAddress):
            world.box.read(function, address, 1)
    with pytest.raises(IllegalAddress):
        world.box.write(263, [0])


def test_the_watchdog_falls_to_the_failsafe_current_and_the_next_telegram_ends_it() -> None:
    world = SmartWorld()
    world.plugs()
    world.box.write(257, [4000])
    world.box.write(262, [60])
    fed(world)
    world.box.write(261, [160])
    world.runs(6)
    assert world.amps[0] == pytest.approx(16)
    world.also = lambda: None
    world.runs_until(lambda: world.box.lapsed, 4.1)
    world.runs(3)
    assert world.amps[0] == pytest.approx(6)
    world.box.read(READ_INPUT, STATE, 1)
    world.runs(3)
    assert world.amps[0] == pytest.approx(16), "any telegram to its unit feeds it, even a read"


def test_failsafe_zero_opens_and_watchdog_zero_never_lapses() -> None:
    world = SmartWorld()
    world.plugs()
    world.box.write(257, [1000])
    world.box.write(261, [160])
    world.runs(8)
    assert not world.box.contactor.closed
    world.box.write(257, [0])
    world.runs(30)
    assert world.box.contactor.closed


def test_remote_lock_is_state_f_and_opens_under_load() -> None:
    world = SmartWorld()
    fed(world)
    world.plugs()
    world.box.write(261, [160])
    world.runs(6)
    world.box.write(259, [0])
    world.runs(0.1)
    assert not world.box.contactor.closed
    assert state(world) == 10


def test_a_stubborn_car_is_opened_under_load_after_six_seconds() -> None:
    world = SmartWorld()
    fed(world)
    world.plugs(CarModel(keeps_s2_closed=True))
    world.box.write(261, [160])
    world.runs(6)
    world.box.write(261, [0])
    assert 5.9 <= world.runs_until(lambda: not world.box.contactor.closed, 7) <= 6.2


def test_a_power_cut_forgets_the_settings_but_not_the_energy() -> None:
    world = SmartWorld()
    world.plugs()
    world.box.write(257, [0])
    world.box.write(261, [160])
    world.runs(10)
    before = world.box.read(READ_INPUT, TOTAL_HIGH, 2)
    world.box.power(False)
    world.runs(0.1)
    assert not world.box.contactor.closed
    assert world.amps == (0, 0, 0)
    world.box.power(True)
    world.runs(0.1)
    assert world.box.read(READ_HOLDING, 257, 1) == [15_000]
    assert world.box.read(READ_HOLDING, 261, 2) == [0, 0]
    assert before[1] > 0
    assert world.box.read(READ_INPUT, TOTAL_HIGH, 2) == before
    assert world.box.read(READ_INPUT, 15, 2) == [0, 0]


def test_faults_show_as_error_and_a_weld_keeps_the_car_live() -> None:
    world = SmartWorld()
    fed(world)
    world.plugs()
    world.box.write(261, [160])
    world.runs(6)
    world.box.raise_fault("contactor_welded")
    world.runs(8)
    assert state(world) == 11
    assert world.box.contactor.closed
    world.box.clear_fault("contactor_welded")
    world.runs(0.1)
    world.outlet.car.unplug()
    world.runs(0.1)
    assert not world.box.contactor.closed
    world.box.raise_fault("over_temperature")
    world.plugs()
    world.runs(5)
    assert state(world) == 8
    assert world.amps[0] == pytest.approx(6)


def test_a_connect_solar_moves_its_relay_only_while_it_is_open() -> None:
    clock = Seconds()
    box = AmperfiedConnect(clock)
    world = World(clock, box)
    box.holding[STANDBY], box.holding[WATCHDOG_MS] = 4, 0
    world.plugs()
    box.write(MAX_CURRENT, [160])
    world.runs_until(lambda: world.amps[2] > 15, 10)
    box.write(PHASES, [1])
    world.runs(1)
    assert box.inputs()[PHASES_STATE] == 3
    box.write(MAX_CURRENT, [0])
    world.runs_until(lambda: box.inputs()[PHASES_STATE] == 1, 8)
    assert not box.contactor.closed
    box.write(MAX_CURRENT, [160])
    world.runs_until(lambda: world.amps[0] > 15, 10)
    assert world.amps[1:] == (0.0, 0.0)
    with pytest.raises(IllegalValue):
        box.write(PHASES, [2])
    box.raise_fault("relay_stuck")
    box.write(MAX_CURRENT, [0])
    box.write(PHASES, [3])
    world.runs(8)
    assert (box.state, box.inputs()[PHASES_STATE]) == (4, 1), "it does not know, so it reports no fault"
