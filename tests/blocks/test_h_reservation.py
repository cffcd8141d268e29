"""H01 and H03: an EVSE is kept for somebody, and he comes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from hal.ports import FaultRaised
from tests.blocks.reservations import (
    GROUP,
    THIRD,
    TWO,
    cancel,
    inoperative,
    leaves,
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
    first,
    get_variable,
    heard,
    idle,
    list_entry,
    remote_start,
    send_list,
    set_variable,
)
from tests.marks import req
from tests.sim.outlet import OutletSpec, raw, smart
from tests.sim.transactions import Payload
from tests.sim.world import World


@pytest.fixture
def world() -> World:
    """Two EVSEs, registered and idle."""
    return idle(TWO, keys=QUIET)


# ---------------------------------------------------------------------------------------- H01: one EVSE


@req("H01.FR.03", "H01.FR.23", "H03.FR.01", "H03.FR.09", "H03.FR.10", "H01.FR.15", "E03.FR.03", "G01.FR.06")
def test_an_evse_is_kept_for_a_card_until_it_is_shown(world: World) -> None:
    assert reserve(world, 7, evseId=1) == "Accepted"
    assert status_of(world) == ["Reserved", "Available"]
    world.ev(1).presents(CARD)
    assert status_of(world) == ["Available", "Available"]
    world.ev(1).plugs_in()
    world.until(lambda: world.outlets[1].amps >= 6, within_s=60)
    assert status_of(world) == ["Occupied", "Available"]
    assert used(world.csms.transaction(1)) == [(0, 7)] and cancel(world, 7) == "Rejected"
    leaves(world)
    charge(world, 1, OTHER)
    assert updates(world) == []
    world.settles()


@req("E01.FR.13", "E02.FR.03", "H01.FR.15", "G01.FR.09", "G03.FR.09")
def test_a_car_that_is_plugged_in_first_changes_nothing_until_its_driver_is_known() -> None:
    world = one_evse({"TxCtrlr.TxStartPoint": "EVConnected"})
    reserve(world, 3, evseId=1)
    world.ev(1).plugs_in()
    world.runs(seconds=20)
    assert status_of(world) == ["Reserved"]
    world.ev(1).presents(CARD)
    world.until(lambda: world.outlets[1].amps >= 6, within_s=60).runs(seconds=5)
    session = world.csms.transaction(1)
    assert status_of(world) == ["Occupied"] and first(session)["triggerReason"] == "CablePluggedIn"
    (event,) = [e for e in session.events if "reservationId" in e]
    assert event["reservationId"] == 3 and event["idToken"]["idToken"] == CARD
    world.settles()


@req("H03.FR.01", "G01.FR.09", "G03.FR.09")
def test_a_stranger_gets_nothing_from_a_kept_evse(world: World) -> None:
    reserve(world, evseId=1)
    world.ev(1).plugs_in().presents(OTHER)
    world.runs(minutes=1)
    assert not world.outlets[1].permitted and status_of(world) == ["Reserved", "Available"]
    world.ev(1).unplugs()
    assert status_of(world) == ["Reserved", "Available"]
    charge(world, 2, OTHER)
    charge(world, 1, CARD)
    world.settles()


@req("F01.FR.21", "F01.FR.22", "F02.FR.23", "F02.FR.24")
@pytest.mark.parametrize("plugged", [False, True])
def test_a_remote_start_for_somebody_else_is_rejected(world: World, plugged: bool) -> None:
    reserve(world, 1, evseId=1)
    reserve(world, 2, OTHER, evseId=2, groupIdToken=GROUP)
    if plugged:
        world.ev(1).plugs_in()
        world.ev(2).plugs_in()
        world.runs(seconds=10)
    for evse, group in ((1, None), (1, GROUP), (2, None), (2, {**GROUP, "idToken": "OTHERS"})):
        more: dict[str, Any] = {"groupIdToken": group} if group else {}
        assert remote_start(world, card=THIRD, evseId=evse, **more)["status"] == "Rejected"
    assert remote_start(world, card=THIRD)["status"] == "Rejected"
    assert status_of(world) == ["Reserved", "Reserved"]


@req("H03.FR.09", "F02.FR.06", "H03.FR.04")
@pytest.mark.parametrize(("card", "more"), [(CARD, {}), (THIRD, {"groupIdToken": GROUP})])
def test_a_remote_start_uses_the_reservation(world: World, card: str, more: Payload) -> None:
    reserve(world, 9, evseId=2, groupIdToken=GROUP)
    assert remote_start(world, card=card, evseId=2, **more)["status"] == "Accepted"
    assert status_of(world) == ["Available", "Available"]
    world.ev(2).plugs_in()
    world.until(lambda: world.outlets[2].amps >= 6, within_s=60).runs(seconds=5)
    assert [id for _, id in used(world.csms.transaction(1))] == [9]
    world.settles()


@req("H01.FR.02")
def test_a_known_id_is_replaced(world: World) -> None:
    reserve(world, 5, evseId=1)
    assert reserve(world, 5, OTHER, evseId=1) == "Accepted"
    world.ev(1).plugs_in().presents(CARD)
    world.runs(seconds=30)
    assert not world.outlets[1].permitted
    world.ev(1).unplugs()
    assert reserve(world, 5, OTHER, evseId=2) == "Accepted"
    assert status_of(world) == ["Available", "Reserved"]
    charge(world, 1, CARD)
    assert reserve(world, 5, OTHER, evseId=1) == "Occupied" and status_of(world) == ["Occupied", "Reserved"]
    world.settles()


# ---------------------------------------------------------------------------------------- H01: refusals


@req("H01.FR.01")
def test_reservations_can_be_switched_off(world: World) -> None:
    set_variable(world, "ReservationCtrlr.Enabled", "false")
    assert reserve(world, evseId=1) == reserve(world) == "Rejected"
    set_variable(world, "ReservationCtrlr.Enabled", "true")
    assert reserve(world, evseId=1) == "Accepted"


@req("H01.FR.19", "H01.FR.18")
@pytest.mark.parametrize(("allowed", "status"), [("false", "Rejected"), ("true", "Accepted")])
def test_reservations_of_no_evse_in_particular_depend_on_the_key(allowed: str, status: str) -> None:
    world = idle(TWO, keys={**QUIET, "ReservationCtrlr.NonEvseSpecific": allowed})
    assert get_variable(world, "ReservationCtrlr.NonEvseSpecific") == allowed
    assert reserve(world, 1) == reserve(world, 2, connectorType="cType2") == status
    assert reserve(world, 3, evseId=1) == ("Accepted" if status == "Rejected" else "Occupied")


@req("H01.FR.03")
@pytest.mark.parametrize(
    "wanted", [{"evseId": 3}, {"evseId": 0}, {"connectorType": "cCCS2"}, {"evseId": 1, "connectorType": "sType2"},
               {"evseId": 1, "minutes": -1}],
)  # fmt: skip
def test_what_cannot_be_reserved_is_rejected_with_a_reason(world: World, wanted: dict[str, Any]) -> None:
    assert reserve(world, **wanted) == "Rejected" and status_of(world) == ["Available", "Available"]


@req("H01.FR.11")
@pytest.mark.parametrize("how", ["charging", "plugged", "authorised", "reserved"])
@pytest.mark.parametrize("wanted", [{"evseId": 1}, {}, {"connectorType": "cType2"}])
def test_what_is_taken_is_occupied(how: str, wanted: Payload) -> None:
    world = one_evse()
    if how == "reserved":
        reserve(world, 50, OTHER)
    elif how == "authorised":
        world.ev(1).presents(OTHER)
    else:
        world.ev(1).plugs_in().presents(OTHER) if how == "charging" else world.ev(1).plugs_in()
    world.runs(seconds=15)
    assert reserve(world, **wanted) == "Occupied"


@req("H01.FR.12")
@pytest.mark.parametrize("wanted", [{"evseId": 1}, {}, {"connectorType": "cType2"}])
def test_what_is_broken_is_faulted(wanted: Payload) -> None:
    world = one_evse()
    world.hear(FaultRaised(1, "ground"))
    assert reserve(world, **wanted) == "Faulted"


@req("H01.FR.14")
@pytest.mark.parametrize("wanted", [{"evseId": 1}, {}, {"connectorType": "cType2"}])
def test_what_is_out_of_service_is_unavailable(wanted: Payload) -> None:
    world = one_evse()
    inoperative(world, evse={"id": 1})
    assert reserve(world, **wanted) == "Unavailable"


@req("H01.FR.11", "H01.FR.12", "H01.FR.14")
def test_one_that_is_free_is_enough_and_a_mixture_is_occupied(world: World) -> None:
    world.hear(FaultRaised(1, "ground"))
    assert reserve(world, 1) == "Accepted" and status_of(world) == ["Faulted", "Reserved"]
    assert reserve(world, 2) == "Occupied" and reserve(world, 3, evseId=1) == "Faulted"


# ---------------------------------------------------------------------------------------- H01: any EVSE


@req("H01.FR.04", "H01.FR.07", "H01.FR.20", "H03.FR.03", "H01.FR.18", "H01.FR.15")
def test_one_of_all_is_kept_as_soon_as_it_is_the_last(world: World) -> None:
    assert reserve(world, 4) == "Accepted"
    assert status_of(world) == ["Available", "Available"]
    charge(world, 1, OTHER)
    assert status_of(world) == ["Occupied", "Reserved"]
    world.ev(2).plugs_in().presents(THIRD)
    world.runs(seconds=30)
    assert not world.outlets[2].permitted and status_of(world) == ["Occupied", "Reserved"]
    world.ev(2).unplugs()
    leaves(world, 1, OTHER)
    assert status_of(world) == ["Available", "Available"]
    charge(world, 2, CARD)
    assert [id for _, id in used(world.csms.transaction(2))] == [4]
    world.settles()


@req("H01.FR.20", "H01.FR.11", "H02.FR.05", "H02.FR.06")
def test_as_many_reservations_as_evses_keep_them_all(world: World) -> None:
    assert [reserve(world, 1, CARD), reserve(world, 2, OTHER)] == ["Accepted", "Accepted"]
    assert status_of(world) == ["Reserved", "Reserved"] and reserve(world, 3, THIRD) == "Occupied"
    assert cancel(world, 1) == "Accepted" and status_of(world) == ["Available", "Available"]
    world.ev(1).plugs_in().presents(THIRD)
    world.until(lambda: world.outlets[1].amps >= 6, within_s=60)
    assert status_of(world) == ["Occupied", "Reserved"]
    charge(world, 2, OTHER)
    world.settles()


@req("H01.FR.07", "H03.FR.03")
def test_a_named_evse_and_any_evse_together(world: World) -> None:
    assert [reserve(world, 1, CARD), reserve(world, 2, OTHER, evseId=2)] == ["Accepted", "Accepted"]
    assert status_of(world) == ["Reserved", "Reserved"]
    world.ev(2).plugs_in().presents(CARD)
    world.runs(seconds=30)
    assert not world.outlets[2].permitted
    world.ev(2).unplugs()
    charge(world, 1, CARD)
    assert status_of(world) == ["Occupied", "Reserved"]
    charge(world, 2, OTHER)
    world.settles()


SOCKET_AND_CABLE: Sequence[OutletSpec] = (raw(32, cable="socket"), smart(16))


@req("H01.FR.06", "H01.FR.09", "H01.FR.24", "H03.FR.02", "H01.FR.11")
def test_the_last_connector_of_a_type_is_kept() -> None:
    world = idle(SOCKET_AND_CABLE, keys=QUIET)
    kinds = [connector_type(world, evse) for evse in (1, 2)]
    assert kinds[0] != kinds[1]
    assert reserve(world, 8, connectorType=kinds[1]) == "Accepted"
    assert status_of(world) == ["Available", "Reserved"]
    assert reserve(world, 9, OTHER, connectorType=kinds[1]) == "Occupied"
    world.ev(2).plugs_in().presents(OTHER)
    world.runs(seconds=30)
    assert not world.outlets[2].permitted
    world.ev(2).unplugs()
    charge(world, 2, CARD)
    assert [id for _, id in used(world.csms.transaction(1))] == [8]
    world.settles()


@req("H01.FR.09")
def test_a_guest_without_wishes_does_not_take_the_connector_that_another_needs() -> None:
    world = idle(SOCKET_AND_CABLE, keys=QUIET)
    reserve(world, 1, CARD, connectorType=connector_type(world, 2))
    assert reserve(world, 2, OTHER) == "Accepted" and status_of(world) == ["Reserved", "Reserved"]
    world.ev(2).plugs_in().presents(OTHER)
    world.runs(seconds=30)
    assert not world.outlets[2].permitted
    world.ev(2).unplugs()
    charge(world, 1, OTHER)
    assert status_of(world) == ["Occupied", "Reserved"]
    world.settles()


def connector_type(world: World, evse: int) -> str:
    """The type of an EVSE's connector, as the device model has it."""
    element = {"component": {"name": "Connector", "evse": {"id": evse, "connectorId": 1}},
               "variable": {"name": "ConnectorType"}}  # fmt: skip
    result = world.csms_asks("GetVariables", {"getVariableData": [element]})["getVariableResult"][0]
    return str(result["attributeValue"])


@req("H03.FR.03", "G01.FR.06")
def test_a_reader_of_both_leads_to_the_evse_that_is_kept(world: World) -> None:
    reserve(world, evseId=2)
    world.ev(1).presents(CARD, evses=(1, 2))
    world.runs(seconds=10)
    assert status_of(world) == ["Available", "Available"]
    world.ev(2).plugs_in()
    world.until(lambda: world.outlets[2].amps >= 6, within_s=60).runs(seconds=5)
    assert [id for _, id in used(world.csms.transaction(1))] == [1]
    world.settles()


# ---------------------------------------------------------------------------------------- H03: groups


@req("H03.FR.04", "H03.FR.05", "H03.FR.06", "H03.FR.08")
@pytest.mark.parametrize("wanted", [{"evseId": 1}, {}, {"connectorType": "cType2"}])
def test_one_of_the_group_is_as_good_and_the_csms_is_asked_who_that_is(wanted: Payload) -> None:
    world = one_evse()
    world.csms.answers("Authorize", lambda asked: {"idTokenInfo": info(asked["idToken"]["idToken"])})
    reserve(world, 6, groupIdToken=GROUP, **wanted)
    world.ev(1).plugs_in().presents(OTHER)
    world.runs(seconds=30)
    assert not world.outlets[1].permitted and status_of(world) == ["Reserved"]
    world.ev(1).unplugs()
    charge(world, 1, THIRD)
    asked = [payload["idToken"]["idToken"] for _, payload in heard(world, "Authorize")]
    assert asked == [OTHER, THIRD] and [id for _, id in used(world.csms.transaction(1))] == [6]
    world.settles()


def info(card: str) -> Payload:
    """idTokenInfo: everybody is accepted, and THIRD is one of the family."""
    return {"status": "Accepted"} | ({"groupIdToken": GROUP} if card == THIRD else {})


@req("H03.FR.07", "H03.FR.04")
def test_the_local_list_knows_the_group_too() -> None:
    world = one_evse({"AuthCtrlr.LocalPreAuthorize": "true", "LocalAuthListCtrlr.Enabled": "true"})
    send_list(world, list_entry(THIRD, groupIdToken=GROUP), list_entry(OTHER))
    reserve(world, 6, evseId=1, groupIdToken=GROUP)
    world.csms.vanishes()
    world.runs(seconds=30)
    world.ev(1).plugs_in().presents(OTHER)
    world.runs(seconds=30)
    assert not world.outlets[1].permitted
    world.ev(1).presents(THIRD)
    world.until(lambda: world.outlets[1].amps >= 6, within_s=60)
    back_online(world)
    assert [id for _, id in used(world.csms.transaction(1))] == [6]
    world.settles()


@req("H03.FR.01")
def test_offline_only_the_card_itself_is_let_in() -> None:
    world = one_evse(OFFLINE_FOR_ALL)
    reserve(world, 6, evseId=1, groupIdToken=GROUP)
    world.csms.vanishes()
    world.runs(seconds=30)
    world.ev(1).plugs_in().presents(OTHER)
    world.runs(seconds=30)
    assert not world.outlets[1].permitted
    world.ev(1).presents(CARD)
    world.until(lambda: world.outlets[1].amps >= 6, within_s=60)
    back_online(world)
    world.settles()
