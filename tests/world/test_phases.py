"""Phase switching, told as stories: F1 to F3 of the buyers' list, invariants 4, 6 and 7."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Any

import pytest

from agent.core.events import LimitSet
from hal.ports import EvNeeds
from state_machines.phase_switch import PHASE_SWITCH
from tests.blocks.stories import heard
from tests.marks import req
from tests.sim.asks import LONG_AGO
from tests.sim.outlet import OutletSpec, switching
from tests.sim.phase_stories import phase_story
from tests.sim.transactions import Transaction
from tests.sim.world import World

QUICK = {"PhaseSwitchCtrlr.MinDwell": "60", "PhaseSwitchCtrlr.MaxPerSession": "0"}
SURPLUS = {
    "PhaseSwitchCtrlr.Mode": "Both", "PhaseSwitchCtrlr.MinimumTime[Up]": "120",
    "PhaseSwitchCtrlr.MinimumTime[Down]": "30",
}  # fmt: skip


def profile(limit: float, *, unit: str = "A", phases: int | None = None, to_use: int | None = None) -> dict[str, Any]:
    """A TxDefaultProfile for ever."""
    period: dict[str, Any] = {"startPeriod": 0, "limit": limit}
    period |= {} if phases is None else {"numberPhases": phases}
    period |= {} if to_use is None else {"phaseToUse": to_use}
    schedule = {"id": 1, "startSchedule": LONG_AGO, "chargingRateUnit": unit, "chargingSchedulePeriod": [period]}
    return {
        "evseId": 0,
        "chargingProfile": {
            "id": 7, "stackLevel": 0, "chargingProfilePurpose": "TxDefaultProfile", "chargingProfileKind": "Absolute",
            "chargingSchedule": [schedule],
        },
    }  # fmt: skip


def charging(spec: OutletSpec | None = None, *, bad: str = "", keys: Mapping[str, str] | None = None) -> World:
    """A world whose EVSE 1 charges on three phases."""
    world = World((spec or switching(),), keys={**QUICK, **(keys or {})})
    world.runs(seconds=20)
    world.ev(1).plugs_in(cable_amps=32.0, bad=frozenset({bad} - {""})).presents("04AABBCC")
    world.until(lambda: on(world, 3), within_s=120, what="charges")
    return world


def sets(world: World, payload: dict[str, Any]) -> str:
    return str(world.csms_asks("SetChargingProfile", payload)["status"])


def on(world: World, phases: int) -> bool:
    """The car draws current on exactly so many phases."""
    outlet = world.outlets[1]
    return outlet.closed_phases == phases and outlet.amps > 5


def state(world: World) -> str:
    return str(world.asks_station("phase")[0]["state"])


def switches(world: World, phases: int) -> None:
    world.until(lambda: on(world, phases), within_s=200, what=f"charges on {phases}")


def only(world: World) -> Transaction:
    """The one transaction that there ever was."""
    (found,) = world.csms.transactions.values()
    return found


def one_transaction(world: World) -> None:
    """Nothing that was done has ended it, or begun another."""
    assert not only(world).ended


# -------------------------------------------------- who asks for it


@pytest.mark.parametrize("spec", [switching("raw"), switching("smart", 16)], ids=["raw", "smart"])
@req("K01.FR.43", "E02.FR.19")
def test_bug_07_number_phases_is_obeyed_and_the_transaction_goes_on(spec: OutletSpec) -> None:
    """Bug 7: numberPhases was ignored although a switch was reported as possible, and a switch ended transactions."""
    world = charging(spec)
    assert sets(world, profile(16, phases=1)) == "Accepted"
    switches(world, 1)
    assert sets(world, profile(16, phases=3)) == "Accepted"
    switches(world, 3)
    one_transaction(world)
    world.runs(seconds=5)
    used = [e["numberOfPhasesUsed"] for e in only(world).events if "numberOfPhasesUsed" in e]
    assert [phases for phases, _ in groupby(used)] == [3, 1, 3]
    assert world.judge.phases.total == 2


def test_phase_switch_keeps_tx() -> None:
    """Bug 7: many times there and back, and it is still one transaction."""
    world = charging()
    for turn in range(14):
        world.hear(LimitSet("EMS", 1, 10.0, phases=3 if turn % 2 else 1))
        switches(world, 3 if turn % 2 else 1)
        world.runs(seconds=45)
    assert world.judge.phases.total == 14
    one_transaction(world)
    world.settles()


@req("K01.FR.19", "K01.FR.20", "K01.FR.48")
def test_phase_to_use_is_the_one_that_l1_is_wired_to_or_none() -> None:
    world = charging()
    assert sets(world, profile(16, phases=1, to_use=2)) == "Rejected"
    assert sets(world, profile(16, phases=1, to_use=1)) == "Accepted"
    switches(world, 1)


def test_what_is_reported_is_what_the_hardware_does() -> None:
    """F2: capability comes from the device, not from a setting."""
    able, fixed = charging(), World((OutletSpec("raw", 32.0),)).runs(seconds=30)
    for world, expected in ((able, "true"), (fixed, "false")):
        for name in ("SmartChargingCtrlr.Phases3to1", "PhaseSwitchCtrlr.Available@1"):
            assert world.asks_station("config.get", name=name)["value"] == expected, name
    assert sets(fixed, profile(16, phases=1)) == "Rejected"


@pytest.mark.parametrize("watts", [1500.0, 4000.0])
def test_a_small_watt_limit_charges_on_one_phase_instead_of_pausing(watts: float) -> None:
    """F1: below 3 x 6 A there is 1 x 6 A; above it with hysteresis and patience there is three again."""
    world = charging(keys=SURPLUS)
    assert sets(world, profile(watts, unit="W")) == "Accepted"
    switches(world, 1)
    assert world.outlets[1].offered == pytest.approx(int(watts / 23) / 10)
    assert sets(world, profile(4_200.0, unit="W")) == "Accepted"
    world.runs(minutes=10)
    assert on(world, 1), "60 W more than three phases need are less than the hysteresis"
    assert sets(world, profile(4_400.0, unit="W")) == "Accepted"
    world.runs(seconds=100)
    assert on(world, 1), "it is not yet enough for long enough"
    switches(world, 3)
    one_transaction(world)


def test_without_hysteresis_the_least_that_three_phases_need_brings_them_back() -> None:
    world = charging(keys=SURPLUS | {"PhaseSwitchCtrlr.Hysteresis": "0"})
    assert sets(world, profile(1_500.0, unit="W")) == "Accepted"
    switches(world, 1)
    assert sets(world, profile(4_200.0, unit="W")) == "Accepted"
    switches(world, 3)


def test_the_relay_rests_before_and_after_its_move_as_long_as_the_keys_say() -> None:
    world = charging(keys={"PhaseSwitchCtrlr.PauseTime": "40", "PhaseSwitchCtrlr.SettleTime": "25"})
    outlet = world.outlets[1]
    sets(world, profile(16, phases=1))
    world.until(lambda: not outlet.closed, within_s=60)
    opened_ms = world.now_ms
    world.until(lambda: outlet.selected == 1, within_s=120)
    moved_ms = world.now_ms
    world.until(lambda: outlet.closed, within_s=120)
    assert 40 <= (moved_ms - opened_ms) / 1000 < 50 and 25 <= (world.now_ms - moved_ms) / 1000 < 35


def test_never_is_a_pause_as_before() -> None:
    world = charging()
    assert sets(world, profile(4_000.0, unit="W")) == "Accepted"
    world.runs(minutes=20)
    assert (world.outlets[1].closed, world.judge.phases.total) == (False, 0)
    one_transaction(world)


def test_an_external_system_and_a_person_choose_too() -> None:
    world = charging()
    world.hear(LimitSet("EMS", 1, 10.0, phases=1))
    switches(world, 1)
    world.asks_station("limit.release", source="EMS", evse=1)
    switches(world, 3)
    world.runs(seconds=60)
    world.asks_station("phase", evse=1, phases="1")
    switches(world, 1)
    world.runs(seconds=60)
    assert world.loses_power().returns_after(seconds=5)
    world.runs(minutes=3)
    assert on(world, 1), "a person's choice outlives a power cut"
    world.asks_station("phase", phases="auto")
    switches(world, 3)


# -------------------------------------------------- what is in the way


def test_dwell_number_and_inhibit_list_hold() -> None:
    world = charging(keys={"PhaseSwitchCtrlr.MinDwell": "600", "PhaseSwitchCtrlr.MaxPerSession": "2"})
    sets(world, profile(16, phases=1))
    switches(world, 1)
    sets(world, profile(16, phases=3))
    world.runs(minutes=9)
    assert on(world, 1), "the dwell is not over, and one phase is allowed"
    world.runs(minutes=2)
    assert on(world, 3)
    sets(world, profile(16, phases=1))
    world.runs(minutes=20)
    assert not world.outlets[1].closed, "no third move: what may not flow on three phases does not flow"
    claims = world.asks_station("why")[0]["claims"]
    assert claims[0]["owner"] == "numberPhases" and "2 moves in this session" in claims[0]["why"]
    world.ev(1).unplugs().after(seconds=5).plugs_in(cable_amps=32.0).presents("04AABBCC")
    world.until(lambda: on(world, 1), within_s=120)


def test_an_ev_on_the_inhibit_list_is_never_switched() -> None:
    world = charging(keys=SURPLUS | {"PhaseSwitchCtrlr.Inhibit": "MAC1,04aabbcc"})
    sets(world, profile(2_000.0, unit="W"))
    world.runs(minutes=30)
    assert (world.outlets[1].closed, world.judge.phases.total) == (False, 0)


def test_a_limit_that_flaps_moves_the_relay_no_more_than_the_dwell_allows() -> None:
    now = {"PhaseSwitchCtrlr.MinimumTime[Up]": "0", "PhaseSwitchCtrlr.MinimumTime[Down]": "0"}
    world = charging(keys=SURPLUS | now)
    for turn in range(200):
        world.hear(LimitSet("EMS", 1, 4_000.0 if turn % 2 else 4_500.0, "W"))
        world.runs(seconds=3)
    assert 2 <= world.judge.phases.total <= 10
    one_transaction(world)


# -------------------------------------------------- what fails


def test_a_contact_that_welds_keeps_the_relay_where_it_is() -> None:
    world = charging()
    world.outlets[1].half_welded = True
    sets(world, profile(16, phases=1))
    world.runs(minutes=5)
    assert (world.outlets[1].selected, world.judge.phases.total) == (3, 0)
    assert world.asks_station("status")["evses"][0]["contactor"] == "welded"


def test_a_relay_that_sticks_charges_on_where_it_is_and_tries_no_more() -> None:
    world = charging(keys=SURPLUS)
    world.outlets[1].relay_stuck = True
    sets(world, profile(2_000.0, unit="W"))
    world.runs(minutes=10)
    assert (state(world), world.outlets[1].closed) == ("failed", False)
    assert told_of_the_relay(world) == ["begins"]
    world.csms_asks("ClearChargingProfile", {"chargingProfileCriteria": {"chargingProfilePurpose": "TxDefaultProfile"}})
    switches(world, 3)
    one_transaction(world)
    world.ev(1).unplugs()
    world.runs(minutes=2)
    assert told_of_the_relay(world) == ["begins", "is over"]


def told_of_the_relay(world: World) -> list[str]:
    """What the CSMS has heard of a switch that failed."""
    told = [event for _, payload in heard(world, "NotifyEvent") for event in payload["eventData"]]
    mine = [event for event in told if event.get("techCode") == "PhaseRelay"]
    return ["is over" if event.get("cleared") else "begins" for event in mine]


def test_a_relay_that_is_already_there_needs_no_switch() -> None:
    """A box whose relay was stuck moves it when it can, whoever asks for it then."""
    world = charging(keys=SURPLUS)
    sets(world, profile(2_000.0, unit="W"))
    world.until(lambda: state(world) == "pausing", within_s=120)
    world.outlets[1].selected = 1
    world.outlets[1].on_change()
    world.runs(minutes=2)
    assert (state(world), world.outlets[1].closed_phases, world.judge.phases.total) == ("steady", 1, 0)
    assert world.outlets[1].amps >= 6
    one_transaction(world)


def test_a_relay_that_does_not_tell_keeps_everything_open() -> None:
    world = charging()
    outlet = world.outlets[1]
    outlet.relay_blind = True
    outlet.on_change()
    world.runs(seconds=30)
    assert (outlet.closed, state(world)) == (False, "unknown")
    outlet.relay_blind = False
    outlet.on_change()
    switches(world, 3)
    one_transaction(world)


def test_a_car_that_keeps_s2_closed_is_cut_off_and_rests_for_a_minute() -> None:
    world = charging(bad="keeps_s2")
    sets(world, profile(16, phases=1))
    world.until(lambda: not world.outlets[1].closed, within_s=20)
    opened = world.now_ms
    world.until(lambda: world.outlets[1].selected == 1, within_s=120)
    assert world.now_ms - opened >= 60_000


def test_a_meter_that_is_silent_proves_nothing() -> None:
    world = charging()
    world.hardware.drivers[1].mute = True
    world.runs(seconds=10)
    sets(world, profile(16, phases=1))
    world.runs(minutes=5)
    assert world.judge.phases.total == 0
    world.hardware.drivers[1].mute = False
    switches(world, 1)


def test_unplugging_in_the_middle_moves_nothing() -> None:
    world = charging(keys={"PhaseSwitchCtrlr.PauseTime": "60"})
    sets(world, profile(16, phases=1))
    world.until(lambda: state(world) == "pausing", within_s=60)
    world.outlets[1].unplug()
    world.csms_asks("ClearChargingProfile", {"chargingProfileCriteria": {"chargingProfilePurpose": "TxDefaultProfile"}})
    world.runs(minutes=5)
    assert (world.judge.phases.total, world.outlets[1].selected) == (0, 3)


UNDER_WAY = [name for name in PHASE_SWITCH.states if name not in ("unknown", "steady", "failed")]


@pytest.mark.parametrize("where", UNDER_WAY)
def test_a_power_cut_in_each_state_ends_in_known_phases(where: str) -> None:
    """Invariants 6 and 11: contactor open first, phases as the relay tells, the transaction goes on."""
    world = charging(keys={"PhaseSwitchCtrlr.SettleTime": "5"})
    sets(world, profile(16, phases=1))
    world.until(lambda: state(world) == where, within_s=90, what=where)
    world.loses_power().returns_after(seconds=5)
    assert not world.outlets[1].closed
    world.runs(seconds=20)
    switches(world, 1)
    one_transaction(world)
    sets(world, profile(16, phases=3))
    switches(world, 3)
    world.settles()


@pytest.mark.parametrize("seed", [0, 3])
def test_two_hours_of_changing_demands_with_every_fault(seed: int) -> None:
    """The long run is `python -m tests.sim.phase_stories`."""
    assert phase_story(seed).verdict() == ""


# -------------------------------------------------- what is told


def plan(world: World, unit: str = "A") -> list[tuple[int, float, int]]:
    """GetCompositeSchedule of the next hour: start, limit and numberPhases of each period."""
    asked = {"duration": 3600, "evseId": 1, "chargingRateUnit": unit}
    schedule = world.csms_asks("GetCompositeSchedule", asked)["schedule"]
    return [(p["startPeriod"], p["limit"], p["numberPhases"]) for p in schedule["chargingSchedulePeriod"]]


@req("K08.FR.02")
def test_the_composite_schedule_tells_the_phases_that_it_counts_with() -> None:
    world = charging()
    assert plan(world) == [(0, 32.0, 3)]
    sets(world, profile(3_680.0, unit="W", phases=1))
    assert plan(world) == [(0, 16.0, 1)]
    assert plan(world, "W") == [(0, 3_680.0, 1)]
    world.until(lambda: state(world) == "switching", within_s=60)
    assert plan(world) == [(0, 16.0, 1)], "a switch under way is no limit of the next hour"
    sets(world, profile(3_680.0, unit="W"))
    assert plan(world) == [(0, 0.0, 3)], "a pause: nobody may choose one phase for it"
    world.asks_station("config.set", name="PhaseSwitchCtrlr.Mode", value="Both")
    assert plan(world) == [(0, 16.0, 1)]
    sets(world, profile(11_040.0, unit="W"))
    assert plan(world) == [(0, 16.0, 3)]


def test_why_tells_the_phases_and_what_the_switch_waits_for() -> None:
    world = charging(keys={"PhaseSwitchCtrlr.PauseTime": "30"})
    assert world.asks_station("why")[0]["phases"] == 3
    sets(world, profile(16, phases=1))
    world.until(lambda: state(world) == "pausing", within_s=60)
    told = world.asks_station("why")[0]
    assert told["claims"][0] == {"owner": "phase switch", "amps": 0.0, "why": "pausing: from 3 to 1 phases"}
    switches(world, 1)
    assert world.asks_station("why")[0]["phases"] == 1
    values = {name: world.asks_station("config.get", name=f"PhaseSwitchCtrlr.{name}@1")["value"]
              for name in ("State", "Phases", "Moves", "Closings[L1]", "Closings[L2L3]")}  # fmt: skip
    assert values == {"State": "steady", "Phases": "1", "Moves": "1", "Closings[L1]": "2", "Closings[L2L3]": "1"}
    world.loses_power().returns_after(seconds=5)
    world.runs(minutes=2)
    assert world.asks_station("config.get", name="PhaseSwitchCtrlr.Moves@1")["value"] == "1", "wear outlives a cut"


def test_an_ev_that_speaks_iso_15118_is_never_switched() -> None:
    """It has reckoned with the phases that it was offered (invariant PS7 of the hardware notes)."""
    world = charging(keys=SURPLUS)
    world.hear(EvNeeds(1, "AC_three_phase"))
    sets(world, profile(2_000.0, unit="W"))
    world.runs(minutes=10)
    assert (world.outlets[1].closed, world.judge.phases.total) == (False, 0)
    assert world.asks_station("phase")[0]["obstacle"] == "the EV speaks ISO 15118"
