"""Bugs 27 and 28 of real chargers (meter values), each against the simulated world."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest

from config_keys.sampled import MEASURANDS
from tests.blocks.stories import (
    CARD,
    OFFLINE_FOR_ALL,
    QUIET,
    back_online,
    charge,
    charging,
    heard,
    idle,
    meter_values,
    set_variable,
)
from tests.marks import req
from tests.sim.outlet import Meter, OutletSpec, raw, smart
from tests.sim.transactions import Payload
from tests.sim.world import World

LINES, TO_NEUTRAL = {"L1", "L2", "L3"}, {"L1-N", "L2-N", "L3-N"}
CANON: dict[str, tuple[str | None, set[str | None]]] = {
    "Energy.Active.Import.Register": ("Wh", {None}),
    "Energy.Active.Export.Register": ("Wh", {None}),
    "Power.Active.Import": ("W", {None, *LINES}),
    "Current.Import": ("A", {*LINES}),
    "Current.Offered": ("A", {None}),
    "Voltage": ("V", {*TO_NEUTRAL}),
    "Frequency": ("Hz", {None}),
    "Power.Factor": (None, {None, *LINES}),
}
"""Measurand: its unit (OCPP's list of units has none for a power factor) and the phases that it is told for."""
REGISTER = "Energy.Active.Import.Register"
EVERYTHING = ",".join(CANON)
USUAL = "Energy.Active.Import.Register,Power.Active.Import,Current.Import,Voltage"


# ---------------------------------------------------------------------------------------- 27


def everywhere(world: World) -> list[Payload]:
    """Every sampled value that the CSMS has heard."""
    messages = [p for action in ("MeterValues", "TransactionEvent") for _, p in heard(world, action)]
    return [sample for value in meter_values(messages) for sample in value["sampledValue"]]


@req("J01.FR.07", "J01.FR.10", "J02.FR.03", "J02.FR.05", "J02.FR.06")
@pytest.mark.parametrize("phases", [1, 3])
@pytest.mark.parametrize("meter", ["rich", "without totals"])
def test_bug_27_sampled_value_canon(meter: Meter, phases: int) -> None:
    """Current on L1-N or N, units nobody knows, no total power: one table says how each measurand is told."""
    wanted = EVERYTHING if meter == "rich" else USUAL
    keys = {"AlignedDataCtrlr.Interval": "60", "SampledDataCtrlr.TxUpdatedInterval": "10"}
    world = idle([replace(raw(32, phases=phases), meter=meter)], keys=keys)
    for name in ("Sampled.TxStarted", "Sampled.TxUpdated", "Sampled.TxEnded", "Aligned."):
        controller, variable = name.split(".")
        assert set_variable(world, f"{controller}DataCtrlr.{variable}Measurands", wanted) == "Accepted"
    world.runs(minutes=3)
    charge(world, phases=phases)
    world.runs(minutes=2)
    world.ev(1).presents(CARD)
    world.runs(minutes=1)
    found: dict[str, set[str | None]] = {name: set() for name in wanted.split(",")}
    for sample in everywhere(world):
        unit, allowed = CANON[sample["measurand"]]
        assert sample.get("unitOfMeasure", {}).get("unit") == unit, sample
        assert sample.get("phase") in allowed and sample.get("location", "Outlet") == "Outlet", sample
        found[sample["measurand"]].add(sample.get("phase"))
    exist: set[str | None] = LINES | TO_NEUTRAL | {None} if phases == 3 else {None, "L1", "L1-N"}
    assert {name: CANON[name][1] & exist for name in found} == found


@req("J02.FR.03", "J01.FR.10")
def test_bug_27_a_measurand_that_no_meter_has_is_refused_when_it_is_asked_for() -> None:
    """Chargers that accept every measurand, and send none of them or restart."""
    world = idle([replace(raw(32), meter="rich")], keys=QUIET)
    for name in MEASURANDS.values_list or ():
        status = set_variable(world, "SampledDataCtrlr.TxUpdatedMeasurands", name)
        assert status == ("Accepted" if name in CANON else "Rejected"), name


# ---------------------------------------------------------------------------------------- 28


def ends(world: World, how: str, during: Callable[[World], object]) -> World:
    """The station goes away, something happens at the meter, and it comes back."""
    outage = world.loses_power() if how == "power" else world.kills_agent()
    during(world)
    outage.returns_after(seconds=20)
    return world.runs(minutes=2)


def by_number(event: Payload) -> int:
    """Where an event stands in its transaction."""
    return int(event["seqNo"])


@req("J02.FR.16", "J02.FR.17", "E01.FR.09")
@pytest.mark.parametrize(("how", "swap"), [
    *((how, swap) for how in ("power", "kill") for swap in ("the same meter", "another meter", "the same anew")),
    ("neither", "the same meter"), ("neither", "another meter"),
])  # fmt: skip
@pytest.mark.parametrize("outlet", [replace(raw(32), meter="counts phases"), smart(16)], ids=["raw", "smart"])
def test_bug_28_register_monotonic_over_reboot_and_meter_swap(outlet: OutletSpec, how: str, swap: str) -> None:
    by_phase = {"SampledDataCtrlr.RegisterValuesWithoutPhases": "false", "SampledDataCtrlr.TxUpdatedInterval": "10"}
    world = charging([outlet], keys={**QUIET, **OFFLINE_FOR_ALL, **by_phase})
    world.runs(minutes=5)

    def at_the_meter(w: World) -> None:
        if swap == "another meter":
            w.outlets[1].register.is_swapped(0.0, w.now_ms)
        if swap == "the same anew":
            w.outlets[1].register.rolls_over(w.now_ms)

    if how == "neither":
        at_the_meter(world)
        world.runs(minutes=2)
    else:
        ends(world, how, at_the_meter)
    world.ev(1).presents(CARD)
    world.runs(minutes=1)
    charge(world)
    world.ev(1).unplugs()
    back_online(world)
    shown = [wh for session in world.csms.transactions.values() for context, wh in session.registers()
             if context != "Transaction.Begin"]  # fmt: skip
    assert len(shown) > 20 and shown == sorted(shown) and min(shown) >= 1_000_000
    assert max(b - a for a, b in pairwise(shown)) < 1_500
    told = [e for session in world.csms.transactions.values() for e in sorted(session.events, key=by_number)]
    samples = [v for value in meter_values(told) for v in value["sampledValue"] if v["context"] != "Transaction.Begin"]
    for line in LINES if outlet.meter == "counts phases" else ():
        counted = [v["value"] for v in samples if (v["measurand"], v.get("phase")) == (REGISTER, line)]
        assert len(counted) > 20 and counted == sorted(counted) and counted[0] > 300_000, line
    world.judge.allow.add("energy")
    world.settles()


@req("E01.FR.09", "E02.FR.21")
def test_bug_28_no_value_rather_than_zero_before_the_first_reading() -> None:
    world = World([raw(32)], keys={**QUIET, "SampledDataCtrlr.TxUpdatedInterval": "10"})
    world.hardware.drivers[1].mute = True
    world.ev(1).after(seconds=10).plugs_in().presents(CARD)
    world.runs(minutes=2)
    assert everywhere(world) == []
    world.hardware.drivers[1].mute = False
    world.runs(minutes=2)
    assert min(s["value"] for s in everywhere(world) if s["measurand"].startswith("Energy")) >= 1_000_000


def test_bug_28_the_same_rounding_in_every_context() -> None:
    """A stop register 1 Wh below the start: no register of a transaction is ever less than one before it."""
    world = charging(keys={**QUIET, "SampledDataCtrlr.TxUpdatedInterval": "1"}, evses=[raw(32)])
    world.ev(1).pauses().after(seconds=30).presents(CARD)
    world.runs(minutes=2)
    shown = [wh for _, wh in world.csms.transaction(1).registers()]
    assert shown[:-2] == sorted(shown[:-2]) and shown[-2] == shown[0] and shown[-1] >= shown[-3]
    assert all(wh == int(wh) for wh in shown)
    world.settles()
