"""What the random stories have found, told as short stories of their own."""

from __future__ import annotations

from typing import Any

from tests.sim.asks import station_maximum
from tests.sim.outlet import raw
from tests.sim.world import World

CARD = "04AABBCC"


def charging() -> World:
    """A car that charges with 32 A."""
    world = World([raw(32)]).runs(seconds=20)
    world.ev(1).plugs_in().presents(CARD)
    world.until(lambda: world.outlets[1].amps == 32, within_s=60)
    return world.runs(seconds=10)


def test_a_device_that_does_not_take_less_is_opened() -> None:
    world = charging()
    world.hardware.drivers[1].refuses = 1
    world.csms_asks("SetChargingProfile", station_maximum(10))
    world.until(lambda: not world.outlets[1].closed, within_s=1)
    world.until(lambda: world.outlets[1].amps == 10, within_s=60)
    world.settles()
    assert len(world.csms.transactions) == 1


def test_a_meter_that_was_silent_at_the_start_gives_its_begin_register_when_it_is_back() -> None:
    world = World([raw(32)], keys={"SampledDataCtrlr.TxUpdatedInterval": "0", "AlignedDataCtrlr.Interval": "0"})
    world.runs(seconds=20)
    world.hardware.drivers[1].mute = True
    world.runs(seconds=20)
    world.ev(1).plugs_in().presents(CARD)
    world.runs(minutes=1)
    world.hardware.drivers[1].mute = False
    world.runs(seconds=5)
    back_wh = world.outlets[1].register.at(world.now_ms)
    world.runs(minutes=10)
    world.settles()
    begin = [wh for context, wh in world.csms.transaction(1).registers() if context == "Transaction.Begin"]
    assert begin and begin[0] <= back_wh


def test_a_meter_that_is_silent_at_the_end_leaves_what_it_had_counted_with_the_time_of_that() -> None:
    world = charging()
    world.runs(minutes=4)
    known_wh = world.outlets[1].register.at(world.now_ms)
    world.hardware.drivers[1].mute = True
    world.runs(minutes=1)
    world.ev(1).presents(CARD).after(seconds=10).unplugs()
    world.runs(seconds=30)
    world.settles()
    last = world.csms.transaction(1).events[-1]["meterValue"][-1]
    assert {s["context"] for s in last["sampledValue"]} == {"Interruption.Begin"}
    assert last["timestamp"] < "2026-03-01T12:05" and abs(registers_of(last) - known_wh) < 50


def registers_of(meter_value: dict[str, Any]) -> float:
    """Its import register (Wh)."""
    return float(next(s["value"] for s in meter_value["sampledValue"] if "phase" not in s))
