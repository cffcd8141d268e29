"""J01 at evseId 0: the meter at the station's inlet speaks for the whole station."""

from __future__ import annotations

from tests.blocks.stories import QUIET, charge, get_variable, heard, idle, set_variable, utc_s
from tests.marks import req
from tests.sim.outlet import raw, smart
from tests.sim.transactions import Payload
from tests.sim.world import World

TWO = (smart(16), raw(32))
EVERYTHING = "Energy.Active.Import.Register,Power.Active.Import,Current.Import,Voltage,Current.Offered"
REGISTER = "Energy.Active.Import.Register"


def of_the_station(world: World) -> list[Payload]:
    """Every meterValue that was told of evseId 0."""
    return [v for _, p in heard(world, "MeterValues") if p["evseId"] == 0 for v in p["meterValue"]]


def register(value: Payload) -> float:
    """The energy register of a meterValue."""
    return next(float(s["value"]) for s in value["sampledValue"] if s["measurand"] == REGISTER and "phase" not in s)


def main_wh(world: World) -> int:
    """What the main meter shows now."""
    return world.main_meter.wh


@req("J01.FR.02", "J01.FR.03", "J01.FR.04", "J01.FR.09", "J01.FR.14")
def test_aligned_values_of_evse_0_come_from_the_main_meter_and_say_so() -> None:
    keys = {**QUIET, "AlignedDataCtrlr.Interval": "60"}
    world = idle(TWO, keys=keys, main_meter=True)
    assert set_variable(world, "AlignedDataCtrlr.Measurands", EVERYTHING) == "Accepted"
    charge(world, 2)
    world.runs(minutes=5)
    told = of_the_station(world)
    assert len(told) >= 4 and all(utc_s(v) % 60 == 0 for v in told)
    samples = [s for v in told for s in v["sampledValue"]]
    assert {s["location"] for s in samples} == {"Inlet"}
    assert "Current.Offered" not in {s["measurand"] for s in samples}
    assert abs(register(told[-1]) - main_wh(world)) < 2000 < register(told[-1]) - 1_000_000
    flowed, car_wh = register(told[-1]) - register(told[-3]), 2 / 60 * 32 * 230 * 3
    assert car_wh < flowed < car_wh * 1.05, "what the car took, and a little for the cabinet"
    others = [s for _, p in heard(world, "MeterValues") if p["evseId"] == 1 for v in p["meterValue"]
              for s in v["sampledValue"]]  # fmt: skip
    assert all("location" not in s for s in others)
    world.settles()


@req("J01.FR.03", "J01.FR.04", "J01.FR.19")
def test_the_main_meter_is_asked_for_and_kept_back_like_any_other() -> None:
    world = idle(TWO, keys=QUIET, main_meter=True)
    asked = world.csms_asks("TriggerMessage", {"requestedMessage": "MeterValues", "evse": {"id": 0}})
    world.runs(seconds=2)
    assert asked["status"] == "Accepted" and len(heard(world, "MeterValues")) == len(of_the_station(world)) == 1
    for driver in world.hardware.drivers.values():
        driver.meter.read()
    world.csms_asks("TriggerMessage", {"requestedMessage": "MeterValues"})
    world.runs(seconds=2)
    assert sorted(p["evseId"] for _, p in heard(world, "MeterValues")) == [0, 0, 1, 2]
    set_variable(world, "AlignedDataCtrlr.SendDuringIdle", "true")
    charge(world, 1)
    set_variable(world, "AlignedDataCtrlr.Interval", "60")
    world.runs(minutes=3)
    assert len(of_the_station(world)) == 2
    world.settles()


@req("J01.FR.04")
def test_a_main_meter_that_falls_silent_is_a_problem_and_says_nothing_old() -> None:
    world = idle(TWO, keys={**QUIET, "AlignedDataCtrlr.Interval": "60"}, main_meter=True)
    assert get_variable(world, "MainMeter.Problem") == "false"
    assert get_variable(world, "MainMeter.EnergyImportRegister") == str(main_wh(world))
    assert get_variable(world, "ChargingStation.ACVoltage[L1]") == "230"
    world.main_meter.mute = True
    world.runs(minutes=2)
    before = len(of_the_station(world))
    world.runs(minutes=3)
    assert len(of_the_station(world)) == before
    assert get_variable(world, "MainMeter.Problem") == get_variable(world, "ChargingStation.Problem") == "true"
    assert world.asks_station("status")["main_meter"]["silent"] is True
    assert world.asks_station("meter.read")[0]["reading"]["silent"] is True
    world.main_meter.mute = False
    world.runs(minutes=2)
    assert get_variable(world, "MainMeter.Problem") == "false" and len(of_the_station(world)) > before


@req("J01.FR.04", "J02.FR.16")
def test_the_main_meters_register_goes_on_after_a_power_cut() -> None:
    world = idle(TWO, keys={**QUIET, "AlignedDataCtrlr.Interval": "60"}, main_meter=True)
    charge(world, 1)
    world.runs(minutes=2)
    world.loses_power().returns_after(seconds=30)
    world.runs(minutes=5)
    told = [register(v) for v in of_the_station(world)]
    assert told == sorted(told) and abs(told[-1] - main_wh(world)) < 400
    world.settles()


@req("J01.FR.03")
def test_a_station_without_a_main_meter_tells_nothing_of_evse_0() -> None:
    world = idle(TWO, keys={**QUIET, "AlignedDataCtrlr.Interval": "60"})
    world.ev(1).plugs_in()
    world.runs(minutes=3)
    assert heard(world, "MeterValues") and not of_the_station(world)
    asked = world.csms_asks("TriggerMessage", {"requestedMessage": "MeterValues", "evse": {"id": 0}})
    assert asked["status"] == "Rejected" and get_variable(world, "MainMeter.Problem") is None
