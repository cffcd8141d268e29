"""Faults of hardware and what they do to energy, transaction and status (DESIGN.md invariants 2 to 4)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from hal.ports import (
    Alive,
    Capabilities,
    ContactorReported,
    DeviceBooted,
    FaultCleared,
    FaultRaised,
    PilotChanged,
    Refused,
    Silent,
    TemperatureMeasured,
)
from tests.blocks.stories import (
    CARD,
    OTHER,
    QUIET,
    charge,
    charging,
    idle,
    last,
    remote_start,
    station,
    statuses,
    trail,
    why,
)
from tests.marks import req
from tests.sim.outlet import raw, smart
from tests.sim.world import World

TWO = (smart(16), raw(32))


def faults(world: World) -> list[str]:
    """Codes of the faults that stand."""
    return [f["code"] for f in world.asks_station("fault.list")]


# ---------------------------------------------------------------------------------------- faults of the board


@req("E06.FR.16")
@pytest.mark.parametrize("code", ["over_temperature", "over_voltage", "pilot", "over_current"])
def test_where_the_end_of_energy_ends_it_a_fault_is_told_as_one(code: str) -> None:
    world = charging(keys={**QUIET, "TxCtrlr.TxStopPoint": "EnergyTransfer"})
    world.hear(FaultRaised(1, code, "0x17"))
    world.runs(seconds=30)
    assert last(world.csms.transaction(1))["triggerReason"] == "AbnormalCondition"
    world.settles()


@req("E06.FR.16", "E06.FR.08", "E06.FR.15")
@pytest.mark.parametrize(
    ("code", "reason"),
    [("ground", "GroundFault"), ("residual_current", "GroundFault"), ("over_current", "OvercurrentFault"),
     ("emergency_stop", "EmergencyStop"), ("diode", "Other"), ("power_loss", "PowerLoss")],
)  # fmt: skip
def test_a_grave_fault_opens_at_once_and_ends_the_transaction_with_its_reason(code: str, reason: str) -> None:
    world = charging(keys=QUIET)
    world.hear(FaultRaised(1, code, "0x17"))
    world.runs(ms=300)
    assert not world.outlets[1].closed
    world.runs(seconds=20)
    session = world.csms.transaction(1)
    assert (last(session)["eventType"], last(session)["triggerReason"]) == ("Ended", "AbnormalCondition")
    assert session.stopped_reason == reason and statuses(world)[-1] == (1, "Faulted")
    assert remote_start(world, evseId=1)["status"] == "Rejected"
    world.ev(1).unplugs()
    world.runs(seconds=10)
    world.hear(FaultCleared(1, code))
    world.runs(seconds=10)
    assert statuses(world)[-1] == (1, "Available")
    charge(world, 1, OTHER)
    world.settles()


@req("E06.FR.16", "F03.FR.02")
def test_a_grave_fault_with_ev_connected_as_stop_point_keeps_the_transaction_until_unplug() -> None:
    world = charging(keys={**QUIET, "TxCtrlr.TxStopPoint": "EVConnected"})
    world.hear(FaultRaised(1, "ground"))
    world.runs(seconds=20)
    assert trail(world.csms.transaction(1))[-1] == ("Updated", "AbnormalCondition", "EVConnected")
    world.hear(FaultCleared(1, "ground"))
    world.runs(minutes=1)
    assert not world.outlets[1].permitted
    world.ev(1).unplugs()
    world.runs(seconds=20)
    assert world.csms.transaction(1).stopped_reason == "GroundFault"
    world.settles()


@req("E01.FR.18", "G01.FR.01")
@pytest.mark.parametrize("code", ["over_temperature", "over_voltage", "under_voltage", "lease_lapsed"])
def test_a_passing_fault_suspends_and_the_session_goes_on_by_itself(code: str) -> None:
    """Over-temperature that left transactions hanging (OpenEVSE 880)."""
    world = charging(keys=QUIET)
    world.hear(FaultRaised(1, code))
    world.runs(seconds=30)
    assert world.outlets[1].amps == 0 and trail(world.csms.transaction(1))[-1][2] == "SuspendedEVSE"
    assert statuses(world)[-1] == (1, "Faulted")
    world.hear(FaultCleared(1, code))
    world.runs(seconds=60)
    assert world.outlets[1].amps == 32 and trail(world.csms.transaction(1))[-1][2] == "Charging"
    assert statuses(world)[-1] == (1, "Occupied") and len(world.csms.transactions) == 1
    world.settles()


@req("C01.FR.01", "E02.FR.05")
def test_nothing_begins_at_a_faulted_evse_and_the_other_one_works() -> None:
    """Buyers' K2."""
    world = idle(TWO, keys=QUIET)
    world.hear(FaultRaised(1, "over_voltage"))
    world.ev(1).plugs_in().presents(CARD)
    charge(world, 2, OTHER)
    assert not world.outlets[1].permitted and world.outlets[2].amps > 6
    world.hear(FaultCleared(1, "over_voltage"))
    world.runs(minutes=1)
    assert not world.outlets[1].permitted
    world.settles()


@req("C01.FR.26")
def test_a_fault_while_a_driver_walks_to_his_car_does_not_lose_his_authorization() -> None:
    world = idle(keys=QUIET)
    world.ev(1).presents(CARD)
    world.runs(seconds=10)
    world.hear(FaultRaised(1, "over_voltage"))
    world.runs(seconds=5)
    world.hear(FaultCleared(1, "over_voltage"))
    world.ev(1).plugs_in()
    world.runs(seconds=30)
    assert world.outlets[1].amps == 32
    world.settles()


def test_a_latched_fault_stays_until_unplug_even_when_its_cause_has_gone() -> None:
    world = charging(keys=QUIET)
    world.hear(FaultRaised(1, "residual_current"))
    world.runs(seconds=5)
    world.hear(FaultCleared(1, "residual_current"))
    world.ev(1).presents(CARD)
    world.runs(minutes=1)
    assert not world.outlets[1].permitted and faults(world) == ["residual_current"]
    world.ev(1).unplugs()
    world.runs(seconds=10)
    assert faults(world) == [] and statuses(world)[-1] == (1, "Available")
    world.settles()


def test_a_board_that_latches_is_told_to_clear_once_the_car_has_left() -> None:
    """The raw board keeps a residual current until it is told to reset it, and refuses while the cause stands."""
    world = charging(keys=QUIET)
    for outlasts_the_car in (False, True):
        world.outlets[1].breaks("residual_current")
        if not outlasts_the_car:
            world.outlets[1].recovers("residual_current")
        world.runs(minutes=2)
        assert faults(world) == ["residual_current"], "not while the car is here"
        world.ev(1).unplugs()
        world.runs(seconds=90)
        if outlasts_the_car:
            assert faults(world) == ["residual_current"]
            world.outlets[1].recovers("residual_current")
            world.runs(minutes=1)
        assert faults(world) == [] and statuses(world)[-1] == (1, "Available")
        charge(world, 1)
    world.settles()


def test_a_reset_of_the_evse_clears_what_the_board_latched_of_its_contactor() -> None:
    world = charging(keys=QUIET)
    for code in ("contactor_failed", "residual_current"):
        world.outlets[1].breaks(code)
        world.outlets[1].recovers(code)
    world.runs(seconds=10)
    assert world.csms_asks("Reset", {"type": "Immediate", "evseId": 1})["status"] == "Accepted"
    world.runs(seconds=30)
    assert faults(world) == ["residual_current"]
    world.ev(1).unplugs()
    world.runs(seconds=10)
    assert faults(world) == []
    world.settles()


# ---------------------------------------------------------------------------------------- the contactor


@pytest.mark.parametrize("kind", ["smart", "raw"])
def test_a_welded_contactor_is_found_latched_and_never_permitted_again(kind: str) -> None:
    """Invariant 4."""
    world = charging([smart(16) if kind == "smart" else raw(16)], keys=QUIET)
    world.outlets[1].welded = True
    world.ev(1).presents(CARD)
    world.runs(minutes=1)
    assert "contactor_welded" in faults(world) and statuses(world)[-1] == (1, "Faulted")
    world.judge.allow.add("energy")
    world.ev(1).unplugs().plugs_in().presents(OTHER)
    world.runs(minutes=2)
    assert not world.outlets[1].permitted and "contactor_welded" in faults(world)
    assert remote_start(world, evseId=1)["status"] == "Rejected"


def test_a_weld_is_found_anew_after_a_reboot() -> None:
    world = charging(keys=QUIET)
    world.outlets[1].welded = True
    world.judge.allow.add("energy")
    world.loses_power().returns_after(seconds=5)
    world.runs(minutes=1)
    assert "contactor_welded" in faults(world) and not world.outlets[1].permitted


def test_a_contactor_that_does_not_close_is_latched_until_unplug() -> None:
    world = idle(keys=QUIET)
    outlet = world.outlets[1]
    outlet._move_contacts = lambda: None  # type: ignore[method-assign]
    world.ev(1).plugs_in().presents(CARD)
    world.runs(minutes=1)
    assert faults(world) == ["contactor_failed"] and not outlet.permitted
    del outlet._move_contacts
    world.ev(1).unplugs()
    world.runs(seconds=10)
    assert faults(world) == []
    charge(world, 1)
    world.settles()


def test_a_contactor_that_opens_by_itself_is_latched_until_unplug() -> None:
    world = charging(keys=QUIET)
    world.hear(ContactorReported(1, False))
    world.runs(seconds=10)
    assert faults(world) == ["contactor_dropped"]
    world.ev(1).unplugs()
    world.runs(seconds=10)
    assert faults(world) == []
    world.settles()


# ---------------------------------------------------------------------------------------- devices


@pytest.mark.parametrize("device", ["board", "controller"])
def test_a_silent_device_is_withdrawn_faulted_and_comes_back_into_the_session(device: str) -> None:
    world = charging(keys=QUIET)
    world.hear(Silent(1, device))
    world.runs(seconds=30)
    assert statuses(world)[-1] == (1, "Faulted") and world.outlets[1].amps == 0
    assert trail(world.csms.transaction(1))[-1][2] == "SuspendedEVSE"
    world.hear(Alive(1, device))
    world.hear(ContactorReported(1, False))
    world.runs(minutes=1)
    assert world.outlets[1].amps == 32 and len(world.csms.transactions) == 1
    world.settles()


def test_a_board_that_restarts_by_itself_gets_its_permission_anew() -> None:
    world = charging(keys=QUIET)
    world.outlets[1].withdraws()
    world.outlets[1].failsafe_amps = 0.0
    world.hear(DeviceBooted(1, "brown-out"))
    world.runs(minutes=1)
    assert world.outlets[1].amps == 32 and world.outlets[1].failsafe_amps == 6
    assert len(world.csms.transactions) == 1
    world.settles()


def test_hardware_without_a_layer_of_its_own_never_charges_and_says_so() -> None:
    """DESIGN.md section 5: without an independent layer the agent refuses to energise."""
    world = station(keys=QUIET)
    hear = world.hear

    def without(event: Any) -> None:
        hear(event._replace(independent=False) if isinstance(event, Capabilities) else event)

    for driver in world.hardware.drivers.values():
        driver.hear = without
    world.ev(1).after(seconds=10).plugs_in().presents(CARD)
    world.runs(minutes=1)
    assert not world.outlets[1].permitted and not world.csms.transactions
    assert world.csms.last_status == {(1, 1): "Unavailable"}
    assert remote_start(world, evseId=1)["status"] == "Rejected"


def test_a_smaller_device_than_the_nameplate_wins() -> None:
    world = charging(keys=QUIET)
    before = world.hardware.drivers[1].outlet.spec
    world.hear(Capabilities(1, True, 20.0, before.phases, vendor="Simulated"))
    world.runs(seconds=2)
    assert world.outlets[1].offered == 20 and why(world)["owner"] == "hardware"
    world.settles()


def test_a_permission_that_the_hardware_refuses_is_asked_for_again_without_haste() -> None:
    world = idle(keys=QUIET)
    passes = world.hardware.execute
    tries: list[int] = []

    def refuse(command: Any) -> None:
        if type(command).__name__ == "Permit" and len(tries) < 3:
            tries.append(world.now_ms)
            world.timeline.after(5, lambda: world.hear(Refused(1, command.step, "permit", "not now")))
        else:
            passes(command)

    world.hardware.execute = refuse  # type: ignore[method-assign]
    world.ev(1).plugs_in().presents(CARD)
    world.runs(minutes=2)
    assert world.outlets[1].amps == 32 and len(tries) == 3
    assert min(b - a for a, b in pairwise(tries)) >= 9_000
    world.settles()


@pytest.mark.parametrize("amps", [13.0, 20.0, 32.0])
def test_the_cable_of_a_socket_bounds_the_current(amps: float) -> None:
    world = idle([raw(32, cable="socket")], keys=QUIET)
    charge(world, 1, cable_amps=amps)
    assert world.outlets[1].offered == amps
    world.ev(1).unplugs()
    world.runs(seconds=10)
    charge(world, 1, OTHER, cable_amps=20.0)
    assert world.outlets[1].offered == 20
    world.settles()


def test_a_cable_that_does_not_tell_its_rating_gets_the_smallest() -> None:
    world = idle([raw(32, cable="socket")], keys=QUIET)
    charge(world, 1)
    assert world.outlets[1].offered == 13
    world.settles()


# ---------------------------------------------------------------------------------------- odd but legal


def test_events_of_places_that_do_not_exist_change_nothing() -> None:
    world = charging(keys=QUIET)
    for evse in (0, 9):
        for event in (
            FaultRaised(evse, "ground"), FaultCleared(evse, "ground"), Silent(evse, "reader", "front"),
            Alive(evse, "reader", "front"), TemperatureMeasured(evse, "ambient", 20.0),
            Refused(evse, 1, "permit", "who?"),
        ):  # fmt: skip
            world.hear(event)
    world.runs(seconds=20)
    assert world.outlets[1].amps == 32
    world.settles()


def test_pilot_d_asks_for_ventilation_that_is_not_there() -> None:
    world = charging(keys=QUIET)
    world.hear(PilotChanged(1, "D"))
    world.runs(ms=200)
    assert not world.outlets[1].permitted


def test_contact_bounce_and_repeated_reports_are_nothing() -> None:
    world = charging(keys=QUIET)
    for closed in (True, True, False, True, False, True, True):
        world.hear(ContactorReported(1, closed, 3 if closed else 0))
        world.runs(ms=40)
    world.runs(seconds=30)
    assert world.outlets[1].amps == 32 and faults(world) == []
    world.settles()
