"""The failsafe table holds: what stands in a row is what the station does (docs/failsafe.md)."""

from __future__ import annotations

import pytest

from agent.core.failsafe_table import SILENCES, STANDING, Action, blocks
from docs.generate import failsafe as documents
from hal.ports import FaultCleared, FaultRaised
from tests.blocks.stories import CARD, QUIET, charging, idle, install, last, now_s, profile, set_variable, statuses, why
from tests.blocks.test_k_composite import ask, rows
from tests.marks import req
from tests.sim.outlet import raw, smart
from tests.sim.world import World

ALL = tuple(code for code in STANDING if not code.startswith(("store", "reader", "supply")))


def test_the_documents_are_current() -> None:
    assert documents.main(["--check"]) == 0


def test_only_what_lowers_the_current_has_a_current() -> None:
    for row in (*STANDING.values(), *SILENCES.values()):
        lowers = {Action.DERATE, Action.FALLBACK} & {row.action, *row.choices.values()}
        assert row.amps is None or lowers
        assert not row.stopped or max(row.action, *row.choices.values(), Action.NONE) >= Action.STOP


@req("E06.FR.16", "G01.FR.01")
@pytest.mark.parametrize("code", ALL)
def test_bug_30_a_fault_does_what_its_row_says_and_reduced_is_not_faulted(code: str) -> None:
    row = STANDING[code]
    world = charging(keys=QUIET)
    world.hear(FaultRaised(1, code, "0x17"))
    world.runs(ms=300)
    assert world.outlets[1].closed == (row.action is not Action.TRIP)
    world.runs(seconds=30)
    ended = row.action >= Action.STOP and row.stopped
    assert (last(world.csms.transaction(1))["eventType"] == "Ended") == bool(ended)
    assert world.csms.transaction(1).stopped_reason == (row.stopped if ended else None)
    assert world.outlets[1].amps == {Action.NONE: 32, Action.FALLBACK: 6, Action.DERATE: 6}.get(row.action, 0)
    assert statuses(world)[-1] == (1, "Faulted" if blocks(code) else "Occupied")
    world.hear(FaultCleared(1, code))
    world.runs(seconds=40)
    stays = row.clears == "unplug"
    assert (code in {f["code"] for f in world.asks_station("fault.list")}) == stays
    assert statuses(world)[-1] == (1, "Faulted" if stays else "Occupied")
    assert world.outlets[1].amps == (0 if stays or ended else 32)


@pytest.mark.parametrize("leaves", ["before", "after"])
def test_a_latched_fault_survives_a_restart_and_goes_with_the_car(leaves: str) -> None:
    world = charging(keys=QUIET)
    world.hear(FaultRaised(1, "residual_current"))
    world.runs(seconds=10)
    world.hear(FaultCleared(1, "residual_current"))
    world.loses_power().returns_after(seconds=20)
    if leaves == "before":
        world.runs(seconds=10)
        world.ev(1).unplugs()
    world.runs(minutes=1)
    if leaves == "after":
        assert statuses(world)[-1] == (1, "Faulted")
        world.ev(1).unplugs()
        world.runs(seconds=10)
    assert statuses(world)[-1] == (1, "Available") and not world.asks_station("fault.list")
    world.settles()


def test_a_cause_that_still_stands_is_not_cured_by_an_unplug() -> None:
    world = idle(keys=QUIET)
    world.ev(1).plugs_in().presents(CARD)
    world.hear(FaultRaised(1, "residual_current"))
    world.runs(seconds=5)
    world.ev(1).unplugs()
    world.runs(seconds=10)
    assert statuses(world)[-1] == (1, "Faulted")
    world.hear(FaultCleared(1, "residual_current"))
    world.runs(seconds=5)
    assert statuses(world)[-1] == (1, "Available")


# ---------------------------------------------------------------------------------------- the meter, the CSMS


def seconds_until(world: World, amps: float) -> float:
    """How long it takes until no more than `amps` are offered."""
    begun = now_s(world)
    world.until(lambda: world.outlets[1].offered <= amps, within_s=200)
    return now_s(world) - begun


@pytest.mark.parametrize(("action", "amps"), [("Reduce", 9), ("Pause", 0), ("Stop", 0)])
def test_a_silent_meter_acts_by_key_after_its_grace(action: str, amps: float) -> None:
    world = charging([smart(16)], keys=QUIET)
    for name, value in (("SilentGrace", "40"), ("LostLimit", "9"), ("LostAction", action)):
        assert set_variable(world, f"FallbackCtrlr.Meter{name}", value) == "Accepted"
    world.hardware.drivers[1].mute = True
    assert 39 <= seconds_until(world, amps) <= 46
    assert action == "Stop" or why(world)["owner"] == "meter silent"
    world.runs(seconds=20)
    assert statuses(world)[-1] == (1, "Occupied")
    assert (last(world.csms.transaction(1))["eventType"] == "Ended") == (action == "Stop")
    world.hardware.drivers[1].mute = False
    world.runs(minutes=1)
    assert world.outlets[1].offered == (0 if action == "Stop" else 16)
    world.settles()


@pytest.mark.parametrize(("phases", "limits", "amps"), [(3, ("20", "16", "9"), 9), (1, ("20", "16", "9"), 20)])
def test_the_offline_limit_of_each_phase_binds_who_is_wired_to_it(
    phases: int, limits: tuple[str, str, str], amps: float
) -> None:
    """Buyers' I1: `OfflineLimit[L1..3]`."""
    lines = {f"FallbackCtrlr.OfflineLimit[L{n}]": limit for n, limit in enumerate(limits, start=1)}
    keys = {**QUIET, "FallbackCtrlr.OfflineGrace": "60", "FallbackCtrlr.OfflineLimit": "25", **lines}
    world = charging([raw(32, phases=phases)], keys=keys)
    world.csms.vanishes()
    world.runs(seconds=70)
    assert world.outlets[1].offered == amps and world.outlets[1].failsafe_amps == 6
    world.settles()


@req("K04.FR.05", "K08.FR.04")
@pytest.mark.parametrize(("limit", "after"), [("8", 8), ("80", 32)])
def test_the_plan_knows_what_is_left_after_the_limit_of_the_station(limit: str, after: float) -> None:
    world = charging(keys={**QUIET, "FallbackCtrlr.ProfileExpiredLimit": limit})
    install(world, 0, profile(1, (0, 10.0), duration=120, chargingProfilePurpose="ChargingStationMaxProfile"))
    assert [amps for _, amps in rows(ask(world, 1, 600))] == [10, after]
    assert [amps for _, amps in rows(ask(world, 0, 600))] == [10, after]
    world.runs(seconds=130)
    assert world.outlets[1].offered == after
    world.settles()


@req("K02.FR.08", "K08.FR.04")
@pytest.mark.parametrize(("limit", "after"), [("8", 8), ("0", 0), ("80", 32)])
def test_a_profile_whose_time_is_over_leaves_the_limit_of_the_key(limit: str, after: float) -> None:
    """Buyers' G14: documented next limit, ±1 s."""
    world = charging(keys={**QUIET, "FallbackCtrlr.ProfileExpiredLimit": limit})
    assert world.outlets[1].offered == 32
    running = world.csms.transaction(1).id
    relative = {"chargingProfileKind": "Relative", "startSchedule": None, "chargingProfilePurpose": "TxProfile"}
    install(world, 1, profile(1, (0, 10.0), duration=120, transactionId=running, **relative))
    planned = [amps for _, amps in rows(ask(world, 1, 600))]
    assert planned == [10, after]
    world.runs(seconds=80)
    assert world.outlets[1].offered == 10
    world.runs(seconds=30)
    assert world.outlets[1].offered == after
    assert after == 32 or why(world)["owner"] == "profile expired"
    world.settles()
