"""K15 to K17: what an EV that speaks ISO 15118 and the CSMS agree on, through the hardware's port."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hal.ports import AcNeeds, DcNeeds, EvNeeds, EvSchedule
from tests.blocks.stories import QUIET, back_online, charging, heard, install, profile
from tests.blocks.test_k_composite import ask, rows
from tests.marks import req
from tests.sim.high_level import Talk
from tests.sim.outlet import raw
from tests.sim.transactions import Payload
from tests.sim.world import World

SPEAKS = replace(raw(32), iso15118=True)
TX = {"chargingProfilePurpose": "TxProfile", "chargingProfileKind": "Relative", "startSchedule": None}


def talking(status: str = "Accepted", **options: Any) -> tuple[World, Talk]:
    """A car that charges and has just said what it needs; the CSMS answers with `status`."""
    world = charging([SPEAKS], keys=QUIET, **options)
    world.csms.answers("NotifyEVChargingNeeds", lambda needs: {"status": status})
    talk = world.hardware.drivers[1].talk
    talk.needs()
    return world.runs(seconds=2), talk


def schedule(world: World, id: int, *alternatives: tuple[float, ...], level: int = 0) -> Payload:
    """A TxProfile for the transaction; alternatives are limits of consecutive quarters of an hour."""
    given = profile(id, **TX, stackLevel=level, transactionId=world.csms.transaction(1).id)
    given["chargingSchedule"] = [
        {"id": 10 * id + number, "chargingRateUnit": "A",
         "chargingSchedulePeriod": [{"startPeriod": 900 * n, "limit": amps} for n, amps in enumerate(limits)]}
        for number, limits in enumerate(alternatives, start=1)
    ]  # fmt: skip
    return install(world, 1, given)


def told(world: World, action: str = "NotifyEVChargingSchedule") -> list[Payload]:
    """What the CSMS was told."""
    return [payload for _, payload in heard(world, action)]


def limits(payload: Payload) -> list[float]:
    return [period["limit"] for period in payload["chargingSchedule"]["chargingSchedulePeriod"]]


@req("K15.FR.01", "K15.FR.06", "K15.FR.09", "K15.FR.10", "K16.FR.03", "K16.FR.05")
def test_needs_go_up_a_schedule_comes_down_and_the_choice_goes_up() -> None:
    world, talk = talking()
    (needs,) = told(world, "NotifyEVChargingNeeds")
    assert needs == {"evseId": 1, "maxScheduleTuples": 12, "chargingNeeds": {
        "requestedEnergyTransfer": "AC_three_phase",
        "acChargingParameters": {"energyAmount": 20_000, "evMinCurrent": 6, "evMaxCurrent": 16, "evMaxVoltage": 400},
    }}  # fmt: skip
    world.runs(seconds=10)
    assert not talk.offers
    assert schedule(world, 1, (10.0, 20.0))["status"] == "Accepted"
    world.runs(seconds=5)
    (offer,) = talk.offers
    assert [row[1] for row in offer.schedules[0].periods] == [10, 20] and not offer.again
    (choice,) = told(world)
    assert (choice["evseId"], choice["chargingSchedule"]["id"], limits(choice)) == (1, 11, [10, 16])
    assert world.outlets[1].offered == 10
    world.settles()


@req("K15.FR.06")
def test_dc_parameters_go_up_as_they_are() -> None:
    world = charging([SPEAKS], keys=QUIET)
    world.csms.answers("NotifyEVChargingNeeds", lambda needs: {"status": "Processing"})
    world.hear(EvNeeds(1, "DC", dc=DcNeeds(200, 500, state_of_charge=40, full_soc=100, bulk_soc=80),
                       departure_utc_ms=1_772_400_000_000))  # fmt: skip
    world.runs(seconds=2)
    (needs,) = told(world, "NotifyEVChargingNeeds")
    assert needs["chargingNeeds"] == {
        "requestedEnergyTransfer": "DC", "departureTime": "2026-03-01T21:20:00Z",
        "dcChargingParameters": {"evMaxCurrent": 200, "evMaxVoltage": 500, "stateOfCharge": 40, "fullSoC": 100,
                                 "bulkSoC": 80},
    }  # fmt: skip


@req("K15.FR.22")
def test_the_ev_chooses_one_of_three_and_that_holds() -> None:
    world, talk = talking()
    talk.takes, talk.amps = 1, None
    assert schedule(world, 1, (10.0,), (8.0,), (7.0,))["status"] == "Accepted"
    world.runs(seconds=15)
    assert [[row[1] for row in offer.periods] for offer in talk.offers[0].schedules] == [[10], [8], [7]]
    assert world.outlets[1].offered == 8 and told(world)[-1]["chargingSchedule"]["id"] == 12
    assert schedule(world, 2, (9.0,), (9.0,), (6.0,), level=1)["status"] == "Accepted"
    world.runs(seconds=10)
    assert [[row[1] for row in offer.periods] for offer in talk.offers[1].schedules] == [[9], [9], [6]]
    world.settles()


@req("K15.FR.19", "K16.FR.13", "K17.FR.16")
def test_an_ev_without_a_schedule_of_its_own_is_told_as_following_the_offer() -> None:
    world, talk = talking()
    talk.amps = None
    schedule(world, 1, (10.0, 20.0))
    world.runs(seconds=5)
    assert limits(told(world)[0]) == [10, 20]


@req("K15.FR.15", "K17.FR.15", "K17.FR.01", "K17.FR.06", "K17.FR.10")
@pytest.mark.parametrize("why", ["Rejected", "Processing", "error", "offline"])
def test_without_a_profile_of_the_csms_the_ev_gets_what_holds_here(why: str) -> None:
    world = charging([SPEAKS], keys=QUIET)
    install(world, 0, profile(1, (0, 12.0)))
    world.csms.answers("NotifyEVChargingNeeds", lambda needs: {"status": why})
    if why == "error":
        world.csms.fails("NotifyEVChargingNeeds", 1, "InternalError")
    elif why == "offline":
        world.csms.vanishes()
        world.runs(seconds=5)
    talk = world.hardware.drivers[1].talk
    talk.needs()
    world.runs(seconds=6)
    assert [row[1] for row in talk.offers[0].schedules[0].periods] == [12]
    back_online(world)
    assert limits(told(world)[-1]) == [12] and len(told(world, "NotifyEVChargingNeeds")) == (why != "offline")
    world.settles()


@req("K15.FR.01")
def test_a_profile_that_was_announced_and_does_not_come_is_awaited_for_50_seconds() -> None:
    world, talk = talking()
    world.runs(seconds=45)
    assert not talk.offers
    world.runs(seconds=10)
    assert len(talk.offers) == 1


@req("K16.FR.01", "K16.FR.02", "K16.FR.04", "K16.FR.09", "K16.FR.11")
def test_a_new_profile_of_the_csms_renegotiates_at_once_and_needs_are_not_said_again() -> None:
    world, talk = talking()
    schedule(world, 1, (16.0,))
    world.runs(seconds=10)
    assert schedule(world, 1, (9.0,))["status"] == "Accepted"
    world.runs(seconds=10)
    assert [offer.again for offer in talk.offers] == [False, True] and world.outlets[1].offered == 9
    assert [limits(choice) for choice in told(world)] == [[16], [9]]
    assert len(told(world, "NotifyEVChargingNeeds")) == 1
    assert schedule(world, 1, (9.0,))["status"] == "Accepted"
    world.runs(seconds=10)
    assert len(talk.offers) == 2
    world.settles()


@req("K17.FR.01", "K17.FR.09", "K17.FR.10")
def test_an_ev_that_wants_to_negotiate_anew_says_its_needs_again() -> None:
    world, talk = talking("Processing")
    world.runs(seconds=10)
    talk.needs()
    world.runs(seconds=10)
    assert len(told(world, "NotifyEVChargingNeeds")) == 2 and len(told(world)) == 2


@req("K15.FR.09", "K16.FR.04", "K17.FR.09")
def test_a_schedule_that_exceeds_the_offer_is_not_told_but_negotiated_anew() -> None:
    world, talk = talking("Rejected")
    world.runs(seconds=5)
    before = len(told(world))
    world.hear(EvSchedule(1, 1, ((0, 8.0), (600, 40.0))))
    world.runs(seconds=1)
    assert talk.offers[-1].again
    world.hear(EvSchedule(1, 7))
    world.runs(seconds=10)
    assert [limits(choice) for choice in told(world)[before:]] == [[16]]


@req("K15.FR.14", "K16.FR.10", "K17.FR.14")
def test_the_composite_schedule_knows_what_the_ev_will_take() -> None:
    world, _ = talking("Rejected")
    world.runs(seconds=5)
    assert rows(ask(world, 1, 600)) == [(0, 16)] and world.outlets[1].offered == 32
    world.ev(1).unplugs()
    world.runs(seconds=10)
    assert rows(ask(world, 1, 600)) == [(0, 32)]
    world.settles()


@req("K01.FR.34", "K15.FR.07")
def test_several_schedules_are_for_an_ev_that_has_said_its_needs_and_as_many_as_it_takes() -> None:
    world = charging([SPEAKS], keys=QUIET)
    assert schedule(world, 1, (10.0,), (8.0,))["statusInfo"]["reasonCode"] == "InvalidSchedule"
    world.csms.answers("NotifyEVChargingNeeds", lambda needs: {"status": "Accepted"})
    world.hardware.drivers[1].talk.needs(most_periods=2)
    world.runs(seconds=2)
    assert schedule(world, 1, (9.0,), (9.0, 8.0, 7.0))["statusInfo"]["reasonCode"] == "InvalidSchedule"
    assert schedule(world, 1, (9.0,), (9.0, 8.0))["status"] == "Accepted"


def test_a_restart_forgets_the_talk_and_the_ev_begins_anew() -> None:
    world, _ = talking("Rejected")
    world.kills_agent().returns_after(seconds=2)
    world.runs(minutes=1)
    world.csms.answers("NotifyEVChargingNeeds", lambda needs: {"status": "Rejected"})
    talk = world.hardware.drivers[1].talk
    assert not talk.offers
    world.hear(EvNeeds(1, "AC_single_phase", AcNeeds(5_000, 6, 32, 230)))
    world.runs(seconds=5)
    assert len(talk.offers) == 1
    world.settles()
