"""H02 and H04: a reservation ends without its driver; and what a restart leaves of it."""

from __future__ import annotations

import pytest

from hal.ports import FaultRaised
from tests.blocks.reservations import (
    THIRD,
    TWO,
    cancel,
    inoperative,
    one_evse,
    reserve,
    status_of,
    updates,
    used,
)
from tests.blocks.stories import (
    CARD,
    OFFLINE_FOR_ALL,
    OTHER,
    QUIET,
    back_online,
    charge,
    goes_off,
    heard,
    idle,
    now_s,
    statuses,
)
from tests.marks import req
from tests.sim.world import World


@pytest.fixture
def world() -> World:
    """Two EVSEs, registered and idle."""
    return idle(TWO, keys=QUIET)


# ---------------------------------------------------------------------------------------- H02: cancelled


@req("H02.FR.01", "H02.FR.02", "H02.FR.03", "H02.FR.04")
def test_a_cancelled_reservation_frees_its_evse(world: World) -> None:
    reserve(world, 12, evseId=1)
    assert status_of(world) == ["Reserved", "Available"]
    assert cancel(world, 13) == "Rejected" and cancel(world, 12) == "Accepted" and cancel(world, 12) == "Rejected"
    assert status_of(world) == ["Available", "Available"] and updates(world) == []
    charge(world, 1, OTHER)
    world.settles()


@req("H02.FR.05")
def test_cancelling_one_of_any_evse_frees_what_is_not_named(world: World) -> None:
    reserve(world, 1, CARD)
    reserve(world, 2, OTHER, evseId=2)
    assert status_of(world) == ["Reserved", "Reserved"]
    cancel(world, 1)
    assert status_of(world) == ["Available", "Reserved"]
    charge(world, 1, THIRD)
    world.settles()


# ---------------------------------------------------------------------------------------- H04: expired


@req("H04.FR.01", "H04.FR.02", "H04.FR.03")
def test_a_reservation_that_nobody_used_expires(world: World) -> None:
    began = now_s(world)
    reserve(world, 21, minutes=1, evseId=1)
    world.runs(seconds=60)
    assert status_of(world)[0] == "Available" and updates(world) == [(21, "Expired")]
    (at,) = [at for at, _ in heard(world, "ReservationStatusUpdate")]
    assert 58 <= at - began <= 62 and (1, "Available") in statuses(world, began + 58)
    charge(world, 1, OTHER)
    world.settles()


@req("H04.FR.01", "H04.FR.02")
def test_what_expires_offline_is_told_afterwards_even_after_a_power_cut(world: World) -> None:
    reserve(world, 21, minutes=1, evseId=1)
    reserve(world, 22, OTHER, minutes=600, evseId=2)
    world.csms.vanishes()
    world.runs(minutes=2)
    world.loses_power("none").returns_after(seconds=30)
    world.runs(minutes=2)
    back_online(world)
    assert updates(world) == [(21, "Expired")] and status_of(world)[1] == "Reserved"
    world.runs(minutes=5)
    assert updates(world) == [(21, "Expired")]


def test_a_csms_that_does_not_want_to_know_is_left_alone(world: World) -> None:
    world.csms.fails("ReservationStatusUpdate", 9)
    reserve(world, 21, minutes=1, evseId=1)
    world.runs(minutes=10)
    assert len(heard(world, "ReservationStatusUpdate")) == 1
    world.csms.heals()
    world.csms.ignores("ReservationStatusUpdate", 9)
    reserve(world, 22, minutes=1, evseId=1)
    world.runs(minutes=20)
    assert len(heard(world, "ReservationStatusUpdate")) == 4


# ---------------------------------------------------------------------------------------- lost


@req("H01.FR.16")
def test_a_fault_removes_the_reservation(world: World) -> None:
    reserve(world, 31, evseId=1)
    reserve(world, 32, OTHER)
    world.hear(FaultRaised(1, "ground"))
    world.runs(seconds=5)
    assert updates(world) == [(31, "Removed")] and status_of(world) == ["Faulted", "Reserved"]
    world.hear(FaultRaised(2, "ground"))
    world.runs(seconds=5)
    assert updates(world) == [(31, "Removed"), (32, "Removed")]


@req("H01.FR.17")
def test_taking_it_out_of_service_removes_the_reservation(world: World) -> None:
    reserve(world, 31, evseId=1)
    inoperative(world, evse={"id": 1})
    assert updates(world) == [(31, "Removed")] and status_of(world) == ["Unavailable", "Available"]
    world.csms_asks("ChangeAvailability", {"operationalStatus": "Operative", "evse": {"id": 1}})
    assert status_of(world) == ["Available", "Available"]
    charge(world, 1, OTHER)
    world.settles()


@req("H01.FR.16", "H01.FR.17")
@pytest.mark.parametrize("how", ["fault", "service"])
def test_of_two_for_any_evse_the_younger_goes(world: World, how: str) -> None:
    reserve(world, 1, CARD)
    reserve(world, 2, OTHER)
    if how == "fault":
        world.hear(FaultRaised(2, "ground"))
        world.runs(seconds=2)
    else:
        inoperative(world, evse={"id": 2})
    assert updates(world) == [(2, "Removed")] and status_of(world)[0] == "Reserved"
    charge(world, 1, CARD)


# ---------------------------------------------------------------------------------------- restarts


@req("B01.FR.13", "B11.FR.05", "H04.FR.01")
@pytest.mark.parametrize("end", ["power", "kill"])
def test_reservations_survive_a_restart_without_a_flash_of_available(world: World, end: str) -> None:
    reserve(world, 1, CARD, evseId=1)
    reserve(world, 2, OTHER, minutes=5)
    goes_off(world, end, "none").returns_after(seconds=5)
    restarted = now_s(world)
    world.runs(seconds=60)
    assert status_of(world) == ["Reserved", "Reserved"]
    assert {status for _, status in statuses(world, restarted)} == {"Reserved"}
    world.runs(minutes=5)
    assert updates(world) == [(2, "Expired")] and status_of(world) == ["Reserved", "Available"]
    charge(world, 1, CARD)
    assert [id for _, id in used(world.csms.transaction(1))] == [1]
    world.settles()


@req("H01.FR.15", "E02.FR.03")
def test_the_reservation_of_a_transaction_is_told_after_a_power_cut_too() -> None:
    world = one_evse(OFFLINE_FOR_ALL)
    reserve(world, 17, evseId=1)
    world.csms.vanishes()
    world.runs(seconds=30)
    charge(world, 1, CARD)
    world.loses_power("none").returns_after(seconds=30)
    world.runs(minutes=2)
    back_online(world)
    assert used(world.csms.transaction(1)) == [(0, 17)]
    world.settles()
