"""F06: the CSMS asks for a message, and it comes with what is current."""

from __future__ import annotations

from typing import Any

import pytest

from tests.blocks.stories import QUIET, charging, heard, idle, now_s, set_variable, statuses
from tests.marks import req
from tests.sim.outlet import raw, smart
from tests.sim.world import World

TWO = (smart(16), raw(32))


def trigger(world: World, message: str, **more: Any) -> tuple[str, float]:
    """TriggerMessage: its status, and when it was asked (s)."""
    asked_s = now_s(world)
    status = str(world.csms_asks("TriggerMessage", {"requestedMessage": message, **more})["status"])
    world.runs(seconds=5)
    return status, asked_s


@req("F06.FR.04", "F06.FR.05", "F06.FR.06", "F06.FR.10", "F06.FR.11")
@pytest.mark.parametrize(("evse", "told"), [(None, [1, 2]), (2, [2])])
def test_meter_values_are_told_of_one_evse_or_of_all(evse: int | None, told: list[int]) -> None:
    world = idle(TWO, keys={**QUIET, "AlignedDataCtrlr.Measurands": "Voltage"})
    status, asked_s = trigger(world, "MeterValues", **({"evse": {"id": evse}} if evse else {}))
    values = [payload for at, payload in heard(world, "MeterValues") if at >= asked_s]
    assert status == "Accepted" and sorted(value["evseId"] for value in values) == told
    sampled = [one for value in values for m in value["meterValue"] for one in m["sampledValue"]]
    assert {(one["measurand"], one["context"]) for one in sampled} == {("Voltage", "Trigger")}


@req("F06.FR.05", "F06.FR.07", "F06.FR.09", "F06.FR.10")
def test_a_transaction_event_tells_how_it_stands() -> None:
    world = charging(TWO, keys={**QUIET, "SampledDataCtrlr.TxUpdatedMeasurands": "Power.Active.Import"})
    status, asked_s = trigger(world, "TransactionEvent", evse={"id": 1})
    [event] = [payload for at, payload in heard(world, "TransactionEvent") if at >= asked_s]
    assert status == "Accepted" and (event["eventType"], event["triggerReason"]) == ("Updated", "Trigger")
    assert event["transactionInfo"]["chargingState"] == "Charging" and event["evse"] == {"id": 1, "connectorId": 1}
    sampled = event["meterValue"][0]["sampledValue"]
    assert {(one["measurand"], one["context"]) for one in sampled} == {("Power.Active.Import", "Trigger")}
    world.settles()


@req("F06.FR.05")
@pytest.mark.parametrize(("message", "evse"), [("TransactionEvent", 2), ("MeterValues", 9), ("StatusNotification", 9)])
def test_what_cannot_come_is_rejected(message: str, evse: int) -> None:
    world = idle(TWO)
    status, asked_s = trigger(world, message, evse={"id": evse})
    assert status == "Rejected" and not [at for at, _ in heard(world, message) if at >= asked_s]


@req("F06.FR.08")
@pytest.mark.parametrize("message", ["PublishFirmwareStatusNotification", "SignV2GCertificate"])
def test_what_the_station_does_not_send_is_not_implemented(message: str) -> None:
    assert trigger(idle(), message)[0] == "NotImplemented"


@req("F06.FR.03", "F06.FR.10", "F06.FR.17")
def test_heartbeat_comes_wherever_it_is_asked_for_and_a_boot_does_not_once_accepted() -> None:
    world = idle(TWO)
    status, asked_s = trigger(world, "Heartbeat", evse={"id": 1})
    assert status == "Accepted" and [at for at, _ in heard(world, "Heartbeat") if at >= asked_s]
    assert trigger(world, "BootNotification")[0] == "Rejected"


@req("F06.FR.03", "F06.FR.15", "F06.FR.16")
@pytest.mark.parametrize("message", ["LogStatusNotification", "FirmwareStatusNotification"])
@pytest.mark.parametrize("place", [{}, {"evse": {"id": 2}}])
def test_what_never_began_is_idle_wherever_it_is_asked_for(message: str, place: dict[str, Any]) -> None:
    world = idle(TWO)
    status, asked_s = trigger(world, message, **place)
    assert status == "Accepted"
    assert [payload for at, payload in heard(world, message) if at >= asked_s] == [{"status": "Idle"}]


@req("F06.FR.10", "F06.FR.11")
def test_a_status_comes_though_it_has_not_changed() -> None:
    world = idle(TWO)
    status, asked_s = trigger(world, "StatusNotification", evse={"id": 2, "connectorId": 1})
    assert status == "Accepted" and statuses(world, asked_s) == [(2, "Available")]


@req("F06.FR.12")
def test_a_status_without_a_place_is_told_of_all_connectors() -> None:
    world = idle(TWO)
    status, asked_s = trigger(world, "StatusNotification")
    assert status == "Accepted" and statuses(world, asked_s) == [(1, "Available"), (2, "Available")]


@req("F06.FR.05", "F06.FR.12")
def test_a_status_of_a_connector_that_is_not_there_is_rejected() -> None:
    world = idle(TWO)
    status, asked_s = trigger(world, "StatusNotification", evse={"id": 1, "connectorId": 2})
    assert status == "Rejected" and statuses(world, asked_s) == []


@req("B05.FR.10")
def test_a_status_that_does_not_last_is_not_told_but_a_fault_is() -> None:
    world = idle()
    assert set_variable(world, "OCPPCommCtrlr.MinimumStatusDuration", "10") == "Accepted"
    since_s = now_s(world)
    world.ev(1).plugs_in()
    world.runs(seconds=5)
    world.ev(1).unplugs()
    world.runs(seconds=30)
    assert statuses(world, since_s) == []
    world.ev(1).plugs_in()
    world.runs(seconds=8)
    assert statuses(world, since_s) == []
    world.runs(seconds=5)
    assert statuses(world, since_s) == [(1, "Occupied")]
