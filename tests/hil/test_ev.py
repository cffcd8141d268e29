"""The simulated car keeps to IEC 61851-1."""

from __future__ import annotations

import pytest

from hil.instruments.ev import Car, CarModel, Live
from hil.instruments.pilot import Mains, amps_of_duty, duty_of_amps

DT = 0.02
ALL: Live = (True, True, True)
NONE: Live = (False, False, False)


class Plug:
    """A car at a pilot that the test drives."""

    def __init__(self, model: CarModel) -> None:
        self.car = Car()
        self.car.plug(model)
        self.now = 0.0

    def runs(self, seconds: float, duty: float | None, live: Live = ALL) -> None:
        for _ in range(round(seconds / DT)):
            self.now += DT
            self.car.step(self.now, DT, duty, live, Mains().volts)


@pytest.mark.parametrize(("duty", "amps"), [(100, 0), (5, 0), (8.5, 6), (10, 6), (26.67, 16), (53.33, 32), (90, 65)])
def test_duty_cycles_mean_what_the_standard_says(duty: float, amps: float) -> None:
    assert amps_of_duty(duty) == pytest.approx(amps, abs=0.01)


@pytest.mark.parametrize("tenths", range(0, 800, 7))
def test_no_duty_cycle_offers_more_than_was_asked(tenths: int) -> None:
    offered = amps_of_duty(duty_of_amps(tenths / 10))
    assert offered <= tenths / 10 + 1e-9
    assert tenths >= 60 or offered == 0


def test_the_car_wakes_on_pwm_and_draws_only_when_mains_is_there() -> None:
    plug = Plug(CarModel(wake_s=1))
    loads = []
    for seconds, amps in ((5, 0), (0.9, 16), (0.2, 16)):
        plug.runs(seconds, duty_of_amps(amps), NONE)
        loads.append(plug.car.load)
    assert loads == ["B", "B", "C"]
    assert plug.car.amps == (0, 0, 0)
    plug.runs(3, duty_of_amps(16))
    assert plug.car.amps == pytest.approx((16, 16, 16))


def test_it_follows_a_new_limit_after_its_reaction_time() -> None:
    plug = Plug(CarModel(react_s=2))
    plug.runs(6, duty_of_amps(16))
    plug.runs(1.9, duty_of_amps(10))
    assert plug.car.amps[0] == pytest.approx(16)
    plug.runs(0.6, duty_of_amps(10))
    assert plug.car.amps[0] == pytest.approx(10)


def test_it_stops_and_opens_s2_within_three_seconds_when_the_pwm_goes() -> None:
    plug = Plug(CarModel())
    plug.runs(6, duty_of_amps(16))
    plug.runs(3, duty=100)
    assert plug.car.load == "B"
    assert plug.car.amps == (0, 0, 0)


def test_one_phase_car_and_one_live_phase() -> None:
    single = Plug(CarModel(phases=1, max_amps=32))
    single.runs(8, duty_of_amps(20))
    assert single.car.amps == pytest.approx((20, 0, 0))
    triple = Plug(CarModel())
    triple.runs(8, duty_of_amps(16), (True, False, False))
    assert triple.car.amps == pytest.approx((16, 0, 0))


def test_pause_and_resume_by_the_car() -> None:
    plug = Plug(CarModel())
    plug.runs(6, duty_of_amps(16))
    plug.car.paused = True
    plug.runs(2, duty_of_amps(16))
    assert plug.car.load == "B"
    plug.car.paused = False
    plug.runs(4, duty_of_amps(16))
    assert plug.car.amps[0] == pytest.approx(16)


def test_a_full_battery_ends_the_wish() -> None:
    plug = Plug(CarModel(battery_wh=10))
    plug.runs(12, duty_of_amps(16))
    assert plug.car.full
    assert plug.car.load == "B"


def test_misbehaviours() -> None:
    greedy = Plug(CarModel(max_amps=32, ignores_limit=True))
    greedy.runs(8, duty_of_amps(10))
    assert greedy.car.amps[0] == pytest.approx(32)
    stubborn = Plug(CarModel(keeps_s2_closed=True))
    stubborn.runs(6, duty_of_amps(16))
    stubborn.runs(6, duty=100)
    assert stubborn.car.load == "C"
    assert not Plug(CarModel(diode_ok=False)).car.diode_ok
    assert Plug(CarModel(pilot_short=True)).car.load == "short"
    assert Plug(CarModel(ventilation=True)).car.load == "B"


def test_an_open_pilot_wire_is_an_unplug_for_the_car() -> None:
    plug = Plug(CarModel())
    plug.runs(6, duty_of_amps(16))
    plug.runs(3, duty=None)
    assert not plug.car.s2_closed
