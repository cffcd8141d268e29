"""F01 to F03: what is told of sessions that the CSMS starts and stops, and where they cannot begin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hal.ports import BayChanged, FaultRaised
from tests.blocks.reservations import reserve
from tests.blocks.stories import (
    CARD,
    OTHER,
    QUIET,
    carrying,
    charging,
    first,
    idle,
    last,
    meter_values,
    profile,
    remote_start,
    statuses,
    trail,
)
from tests.marks import req
from tests.sim.outlet import OutletSpec, raw, smart
from tests.sim.world import World

ALONE = {**QUIET, "AuthCtrlr.AuthorizeRemoteStart": "false"}
TWO = (smart(16), raw(32))


@req("F01.FR.14", "F01.FR.15", "F01.FR.17", "F02.FR.02", "F02.FR.03", "F02.FR.11", "F02.FR.12", "F03.FR.09")
@pytest.mark.parametrize("order", ["plugged", "later"])
def test_a_session_from_afar_tells_the_same_as_one_by_card(order: str) -> None:
    measurands = {"SampledDataCtrlr.TxStartedMeasurands": "Energy.Active.Import.Register",
                  "SampledDataCtrlr.TxUpdatedMeasurands": "Power.Active.Import",
                  "SampledDataCtrlr.TxUpdatedInterval": "20"}  # fmt: skip
    world = idle(keys={**ALONE, **measurands})
    car = world.ev(1)
    if order == "plugged":
        car.plugs_in()
        world.runs(seconds=5)
    remote_start(world, 7, "04AFAR01", evseId=1)
    if order == "later":
        world.ev(1).after(seconds=10).plugs_in()
    world.runs(minutes=2)
    session = world.csms.transaction(1)
    world.csms_asks("RequestStopTransaction", {"transactionId": session.id})
    world.runs(seconds=30)
    begin, *updates = [value["sampledValue"] for value in meter_values(session.events)]
    assert {s["context"] for s in begin} == {"Transaction.Begin"}
    assert {s["measurand"] for s in begin} == {"Energy.Active.Import.Register"}
    periodic = [s for one in updates for s in one if s["context"] == "Sample.Periodic"]
    assert len(periodic) >= 4 and {s["measurand"] for s in periodic} == {"Power.Active.Import"}
    assert carrying(session, "idToken")[0] == 0 and first(session)["idToken"]["idToken"] == "04AFAR01"
    triggers = [trigger for _, trigger, _ in trail(session) if trigger != "MeterValuePeriodic"]
    assert triggers[0] == "RemoteStart" and set(triggers[1:-1]) <= {"ChargingStateChanged", "RemoteStop"}
    assert last(session)["transactionInfo"]["stoppedReason"] == "Remote"
    world.settles()


@req("F01.FR.12", "F02.FR.20")
@pytest.mark.parametrize("order", ["plugged", "later"])
def test_a_station_without_smart_charging_ignores_the_profile(order: str) -> None:
    world = idle(keys={**ALONE, "SmartChargingCtrlr.Enabled": "false"})
    given = profile(9, (0, 8), chargingProfilePurpose="TxProfile", chargingProfileKind="Relative", startSchedule=None)
    if order == "plugged":
        world.ev(1).plugs_in()
        world.runs(seconds=5)
    assert remote_start(world, 7, evseId=1, chargingProfile=given)["status"] == "Accepted"
    if order == "later":
        world.ev(1).plugs_in()
    world.runs(minutes=1)
    assert world.outlets[1].offered == 32
    world.settles()


@req("F02.FR.14", "F01.FR.06")
@pytest.mark.parametrize("evse", [1, 2])
def test_the_evse_of_the_request_is_the_one_that_charges(evse: int) -> None:
    world = idle(TWO, keys=ALONE)
    remote_start(world, 7, evseId=evse)
    world.ev(3 - evse).plugs_in()
    world.ev(evse).after(seconds=10).plugs_in()
    world.runs(minutes=1)
    assert world.outlets[evse].amps > 6 and not world.outlets[3 - evse].permitted
    assert first(world.csms.transaction(1))["evse"]["id"] == evse
    world.settles()


@req("F02.FR.08")
def test_with_the_bay_as_stop_point_nobody_who_plugs_in_too_late_is_charged() -> None:
    points = {"TxCtrlr.TxStartPoint": "ParkingBayOccupancy", "TxCtrlr.TxStopPoint": "ParkingBayOccupancy"}
    bay = OutletSpec("raw", 32, bay_detector=True)
    world = idle([bay], keys={**ALONE, **points, "TxCtrlr.EVConnectionTimeOut": "40"})
    world.hear(BayChanged(1, True))
    remote_start(world, 7, evseId=1)
    world.runs(minutes=1)
    session = world.csms.transaction(1)
    assert trail(session)[-1] == ("Updated", "EVConnectTimeout", "Idle")
    world.ev(1).plugs_in()
    world.runs(minutes=1)
    assert not world.outlets[1].permitted and not session.ended


def _fails(world: World) -> None:
    world.hear(FaultRaised(1, "ground"))


def _is_out(world: World) -> None:
    world.csms_asks("ChangeAvailability", {"operationalStatus": "Inoperative", "evse": {"id": 1}})


def _is_kept(world: World) -> None:
    reserve(world, card=OTHER, evseId=1)


@req("F01.FR.23", "F02.FR.25", "F01.FR.21", "F02.FR.23", "F01.FR.22", "F02.FR.24")
@pytest.mark.parametrize("plugged", [True, False])
@pytest.mark.parametrize(
    ("how", "status", "code"),
    [
        (_fails, "Faulted", "InternalError"),
        (_is_out, "Unavailable", "NotEnabled"),
        (_is_kept, "Reserved", "InvalidIdToken"),
    ],
)
def test_where_nobody_can_begin_the_request_is_rejected(
    how: Callable[[World], None], status: str, code: str, plugged: bool
) -> None:
    world = idle(TWO, keys=ALONE)
    how(world)
    if plugged:
        world.ev(1).plugs_in()
    world.runs(seconds=5)
    answer: dict[str, Any] = remote_start(world, 7, CARD, evseId=1)
    assert (answer["status"], answer["statusInfo"]["reasonCode"]) == ("Rejected", code)
    assert statuses(world)[-1] == (1, status) and not world.outlets[1].permitted
    assert remote_start(world, 8, CARD)["status"] == "Accepted", "the other EVSE is free"


@req("F03.FR.02", "F03.FR.03", "F03.FR.07")
@pytest.mark.parametrize(("points", "kind"), [("EVConnected", "Updated"), ("Authorized", "Ended")])
def test_a_stop_from_afar_ends_energy_at_once_and_the_transaction_by_its_stop_point(points: str, kind: str) -> None:
    world = charging(keys={**ALONE, "TxCtrlr.TxStopPoint": points})
    session = world.csms.transaction(1)
    asked = {"transactionId": session.id}
    assert world.csms_asks("RequestStopTransaction", asked)["status"] == "Accepted"
    world.runs(seconds=30)
    assert world.outlets[1].amps == 0 and any(told[:2] == (kind, "RemoteStop") for told in trail(session))
    world.ev(1).unplugs()
    world.runs(seconds=20)
    assert session.stopped_reason == "Remote"
    world.settles()
