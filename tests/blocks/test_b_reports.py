"""B07, B08: reports about variables, page by page."""

from __future__ import annotations

from typing import Any

import pytest

from config_keys import registry
from hal.ports import FaultRaised
from tests.blocks.stories import (
    CARD,
    charging,
    get_variable,
    heard,
    idle,
    name,
    now_s,
    set_variable,
    spoken,
    station,
)
from tests.marks import req
from tests.sim.outlet import raw, smart
from tests.sim.world import World

TWO = (smart(16), raw(32))
Row = dict[str, Any]


def ask_base(world: World, base: str, id: int = 1) -> str:
    """GetBaseReport; its status."""
    return str(world.csms_asks("GetBaseReport", {"requestId": id, "reportBase": base})["status"])


def ask(world: World, id: int = 1, *, criteria: tuple[str, ...] = (), **wanted: Any) -> str:
    """GetReport for one component variable or none; its status."""
    payload: Row = {"requestId": id}
    if criteria:
        payload["componentCriteria"] = list(criteria)
    if wanted:
        payload["componentVariable"] = [component(**wanted)]
    return str(world.csms_asks("GetReport", payload)["status"])


def component(
    component: str, variable: str | None = None, instance: str | None = None, *, evse: int | None = None,
    connector: int | None = None, component_instance: str | None = None,
) -> Row:  # fmt: skip
    """A ComponentVariableType."""
    found: Row = {"component": {"name": component}}
    if component_instance is not None:
        found["component"]["instance"] = component_instance
    if evse is not None:
        found["component"]["evse"] = {"id": evse, **({"connectorId": connector} if connector else {})}
    if variable is not None:
        found["variable"] = {"name": variable, **({"instance": instance} if instance else {})}
    return found


def pages(world: World, id: int = 1) -> list[Row]:
    """Every NotifyReport of a request."""
    return [p for _, p in heard(world, "NotifyReport") if p["requestId"] == id]


def arrived(world: World, id: int = 1) -> list[Row]:
    """The rows of a report, once its last page is here."""
    world.until(lambda: bool(pages(world, id)) and not pages(world, id)[-1].get("tbc", False), within_s=120)
    return [row for page in pages(world, id) for row in page["reportData"]]


def full_name(row: Row) -> str:
    """As our own scoped names: EVSE.Power@1."""
    instance, whole = row["variable"].get("instance"), row["component"]
    owner = f"{whole['name']}[{whole['instance']}]" if "instance" in whole else whole["name"]
    evse = row["component"].get("evse")
    place = f"@{evse['id']}" + (f".{evse['connectorId']}" if "connectorId" in evse else "") if evse else ""
    return f"{owner}.{row['variable']['name']}" + (f"[{instance}]" if instance else "") + place


def value(row: Row) -> str | None:
    """Its Actual value."""
    text: str | None = row["variableAttribute"][0].get("value")
    return text


def names(rows: list[Row]) -> set[str]:
    return {full_name(row) for row in rows}


def all_names(world: World) -> set[str]:
    """Every variable that the station has, as its operator sees them."""
    return {row["name"] for row in world.asks_station("config.list")}


# ---------------------------------------------------------------------------------------- B07


@req("B07.FR.01", "B07.FR.03", "B07.FR.04", "B07.FR.08", "B07.FR.10", "B07.FR.11", "B07.FR.12")
def test_full_inventory_contract() -> None:
    """Bug 25: station, EVSEs, connectors and controllers are all there, and the last page says so."""
    world = idle(TWO)
    assert ask_base(world, "FullInventory", 4711) == "Accepted"
    rows = arrived(world, 4711)
    found = pages(world, 4711)
    assert [page["seqNo"] for page in found] == list(range(len(found))) and len(found) > 3
    assert [page.get("tbc", False) for page in found] == [True] * (len(found) - 1) + [False]
    assert all(page["generatedAt"].startswith("2026-03-01T") for page in found)
    assert len(names(rows)) == len(rows)
    there = {"ChargingStation.AvailabilityState", "EVSE.AvailabilityState@1", "EVSE.AvailabilityState@2"}
    there |= {"Connector.AvailabilityState@1.1", "Connector.AvailabilityState@2.1"}
    assert there <= names(rows)
    assert names(rows) == all_names(world)
    for row in rows:
        lists = row["variableCharacteristics"]["dataType"] in ("OptionList", "MemberList", "SequenceList")
        assert lists <= bool(row["variableCharacteristics"].get("valuesList"))
        writes_only = row["variableAttribute"][0]["mutability"] == "WriteOnly"
        assert (value(row) is None) == writes_only, full_name(row)


@req("B07.FR.08")
def test_a_row_tells_bounds_unit_and_mutability_as_they_are_on_this_station() -> None:
    world = idle(TWO)
    ask_base(world, "FullInventory")
    rows = {full_name(row): row for row in arrived(world)}
    power, beat = rows["EVSE.Power@1"], rows["OCPPCommCtrlr.HeartbeatInterval"]
    assert power["variableCharacteristics"]["maxLimit"] == 16 * 3 * 230
    assert (power["variableCharacteristics"]["unit"], power["variableAttribute"][0]["mutability"]) == ("W", "ReadOnly")
    assert beat["variableCharacteristics"] == {
        "dataType": "integer", "unit": "s", "minLimit": 1, "supportsMonitoring": True,
    }  # fmt: skip
    assert beat["variableAttribute"] == [
        {"type": "Actual", "value": "300", "mutability": "ReadWrite", "persistent": True}
    ]


@req("B07.FR.03", "B08.FR.03")
def test_what_is_write_only_never_leaves_the_station() -> None:
    world = idle()
    assert set_variable(world, "SecurityCtrlr.BasicAuthPassword", "tell-nobody-0123456789") == "Accepted"
    ask_base(world, "FullInventory")
    (password,) = [row for row in arrived(world) if full_name(row) == "SecurityCtrlr.BasicAuthPassword"]
    assert value(password) is None and password["variableAttribute"][0]["mutability"] == "WriteOnly"
    told = [str(f.message) for f in world.csms.frames if f.direction == "<"]
    assert not any("tell-nobody" in text for text in told)


@req("B07.FR.07", "B07.FR.12")
def test_configuration_inventory_is_what_the_operator_can_set() -> None:
    world = idle()
    ask_base(world, "ConfigurationInventory")
    rows = arrived(world)
    assert {row["variableAttribute"][0]["mutability"] for row in rows} == {"ReadWrite", "WriteOnly"}
    assert "OCPPCommCtrlr.HeartbeatInterval" in names(rows)
    assert not {"OCPPCommCtrlr.MessageTimeout[Default]", "SampledDataCtrlr.SignReadings"} & names(rows)


@req("B07.FR.09")
def test_summary_inventory_is_availability_and_trouble() -> None:
    world = idle(TWO)
    world.ev(2).plugs_in()
    world.runs(seconds=5)
    ask_base(world, "SummaryInventory")
    found = {full_name(row): value(row) for row in arrived(world)}
    assert found == {
        "ChargingStation.AvailabilityState": "Available",
        "EVSE.AvailabilityState@1": "Available", "EVSE.AvailabilityState@2": "Occupied",
        "Connector.AvailabilityState@1.1": "Available", "Connector.AvailabilityState@2.1": "Occupied",
    }  # fmt: skip


@req("B02.FR.01", "B02.FR.02", "B07.FR.03")
def test_a_pending_station_reports_when_it_is_asked() -> None:
    world = station(TWO)
    world.csms.boots("Pending", 300)
    world.runs(seconds=10)
    ask_base(world, "SummaryInventory")
    assert len(arrived(world)) == 5
    assert set(spoken(world)) == {"BootNotification", "NotifyReport"}


# ---------------------------------------------------------------------------------------- pages


@req("B07.FR.03", "B07.FR.10")
@pytest.mark.parametrize(("items", "size"), [("7", "65000"), ("200", "3000"), ("1", "1000")])
def test_pages_keep_to_their_number_of_rows_and_to_their_size(items: str, size: str) -> None:
    keys = {"ItemsPerMessage": items, "BytesPerMessage": size}
    world = idle(keys={f"DeviceDataCtrlr.{name}[NotifyReport]": text for name, text in keys.items()})
    ask_base(world, "ConfigurationInventory")
    rows = arrived(world)
    assert len(names(rows)) == len(rows) > 50
    assert all(len(page["reportData"]) <= int(items) for page in pages(world))
    sizes = [(len(str(page)), len(page["reportData"])) for page in pages(world)]
    assert all(length <= int(size) + 200 or count == 1 for length, count in sizes)


@req("B07.FR.04", "B07.FR.10", "B08.FR.04", "B08.FR.14")
def test_reports_asked_for_at_once_come_one_after_the_other() -> None:
    world = idle(TWO, keys={"DeviceDataCtrlr.ItemsPerMessage[NotifyReport]": "20"})
    for id in (1, 2, 3):
        world.csms.sends("GetBaseReport", {"requestId": id, "reportBase": "ConfigurationInventory"})
    world.csms.sends("GetReport", {"requestId": 4, "componentVariable": [component("TxCtrlr")]})
    world.runs(minutes=2)
    told = [p["requestId"] for _, p in heard(world, "NotifyReport")]
    assert told == sorted(told) and set(told) == {1, 2, 3, 4}
    for id in (1, 2, 3, 4):
        assert [page["seqNo"] for page in pages(world, id)] == list(range(told.count(id)))


@req("B07.FR.13", "B08.FR.16")
def test_more_reports_than_can_wait_are_refused_for_now() -> None:
    world = idle()
    world.csms.ignores("NotifyReport", times=1)
    asked = [world.csms.sends("GetBaseReport", {"requestId": id, "reportBase": "FullInventory"}) for id in range(1, 6)]
    asked.append(world.csms.sends("GetReport", {"requestId": 6, "componentVariable": [component("TxCtrlr")]}))
    asked.append(world.csms.sends("GetBaseReport", {"requestId": 2, "reportBase": "FullInventory"}))
    world.runs(seconds=10)
    answers = [(e.answer["status"], e.answer.get("statusInfo", {}).get("reasonCode")) for e in asked if e.answer]
    refused = [("Rejected", "OutOfMemory"), ("Rejected", "OutOfMemory"), ("Rejected", "DuplicateRequestId")]
    assert answers == [("Accepted", None)] * 4 + refused
    world.runs(minutes=5)
    assert ask_base(world, "FullInventory", 7) == "Accepted"


@req("B07.FR.03")
def test_other_messages_do_not_wait_for_a_report() -> None:
    world = charging(keys={"DeviceDataCtrlr.ItemsPerMessage[NotifyReport]": "3"})
    ask_base(world, "FullInventory")
    began = now_s(world)
    world.ev(1).presents(CARD)
    world.runs(seconds=3)
    assert "TransactionEvent" in spoken(world, began) and pages(world)[-1]["tbc"]
    arrived(world)
    world.settles()


@req("B07.FR.03")
def test_a_page_without_an_answer_is_sent_again_as_it_was_counted() -> None:
    world = idle()
    world.csms.ignores("NotifyReport", times=2)
    ask_base(world, "FullInventory")
    rows = arrived(world)
    assert [page["seqNo"] for page in pages(world)][:4] == [0, 0, 0, 1]
    assert names(rows) == all_names(world)


@pytest.mark.parametrize("code", ["InternalError", "NotSupported"])
def test_a_report_that_the_csms_refuses_is_given_up_and_the_next_one_comes(code: str) -> None:
    world = idle()
    world.csms.fails("NotifyReport", times=1, code=code)
    ask_base(world, "FullInventory", 1)
    assert ask(world, 2, component="TxCtrlr", variable="TxStartPoint") == "Accepted"
    assert names(arrived(world, 2)) == {"TxCtrlr.TxStartPoint"}
    assert len(pages(world, 1)) == 1


def test_a_report_ends_with_its_connection() -> None:
    world = idle(keys={"DeviceDataCtrlr.ItemsPerMessage[NotifyReport]": "1"})
    ask_base(world, "FullInventory")
    world.runs(seconds=1)
    world.csms.vanishes()
    world.csms.returns()
    world.until(lambda: world.csms.connections == 2, within_s=60)
    count = len(pages(world))
    world.runs(seconds=30)
    assert len(pages(world)) == count
    assert ask_base(world, "SummaryInventory", 1) == "Accepted"


# ---------------------------------------------------------------------------------------- B08


@req("B08.FR.01", "B08.FR.05", "B08.FR.11", "B08.FR.12", "B08.FR.20", "B08.FR.21", "B08.FR.22", "B08.FR.23")
@pytest.mark.parametrize(
    ("wanted", "listed"),
    [
        ({"component": "EVSE", "variable": "AvailabilityState", "evse": 1}, {"EVSE.AvailabilityState@1"}),
        ({"component": "EVSE", "variable": "AvailabilityState"}, {f"EVSE.AvailabilityState@{n}" for n in (1, 2)}),
        ({"component": "connector", "variable": "problem", "evse": 2}, {"Connector.Problem@2.1"}),
        ({"component": "Connector", "variable": "Problem", "evse": 2, "connector": 1}, {"Connector.Problem@2.1"}),
        ({"component": "Connector", "variable": "Problem"}, {f"Connector.Problem@{n}.1" for n in (1, 2)}),
        ({"component": "OCPPCommCtrlr", "variable": "MessageTimeout"}, {"OCPPCommCtrlr.MessageTimeout[Default]"}),
        (
            {"component": "DeviceDataCtrlr", "variable": "ItemsPerMessage", "instance": "GetReport"},
            {"DeviceDataCtrlr.ItemsPerMessage[GetReport]"},
        ),
        ({"component": "ReservationCtrlr"}, {k.name for k in registry.of_component("ReservationCtrlr")}),
    ],
)
def test_a_custom_report_lists_what_the_filter_means(wanted: Row, listed: set[str]) -> None:
    world = idle(TWO)
    assert ask(world, **wanted) == "Accepted"
    rows = arrived(world)
    assert names(rows) == listed
    assert all("dataType" in row["variableCharacteristics"] for row in rows)


@req("B08.FR.21")
def test_every_instance_of_a_variable_when_none_is_named() -> None:
    world = idle()
    ask(world, component="DeviceDataCtrlr", variable="ItemsPerMessage")
    instances = {row["variable"]["instance"] for row in arrived(world)}
    assert {"GetReport", "GetVariables", "SetVariables"} <= instances


@req("B08.FR.15", "B08.FR.24", "B08.FR.25")
@pytest.mark.parametrize(
    "wanted",
    [
        {"component": "NoSuchCtrlr"},
        {"component": "TxCtrlr", "variable": "NoSuchVariable"},
        {"component": "AuthCtrlr", "evse": 1},
        {"component": "EVSE", "evse": 9},
        {"component": "EVSE", "component_instance": "front"},
        {"component": "DeviceDataCtrlr", "variable": "ItemsPerMessage", "instance": "NoSuchInstance"},
        {"component": "EVSE", "evse": 1, "variable": "AvailabilityState", "criteria": ("Problem",)},
    ],
)
def test_nothing_that_fits_is_an_empty_result_set_without_a_report(wanted: Row) -> None:
    world = idle(TWO)
    assert ask(world, **wanted) == "EmptyResultSet"
    world.runs(seconds=30)
    assert not pages(world)


def components(rows: list[Row]) -> set[str]:
    return {row["component"]["name"] for row in rows}


@req("B08.FR.07", "B08.FR.08", "B08.FR.09", "B08.FR.13")
def test_criteria_choose_components_whose_variable_is_true_or_missing() -> None:
    world = idle(TWO)
    set_variable(world, "AuthCtrlr.Enabled", "false")
    ask(world, 1, criteria=("Enabled",))
    enabled = components(arrived(world, 1))
    assert "AuthCtrlr" not in enabled and {"TxCtrlr", "LocalAuthListCtrlr", "EVSE"} <= enabled
    assert "ISO15118Ctrlr" not in enabled
    ask(world, 2, criteria=("Available",))
    available = components(arrived(world, 2))
    assert {"AuthCtrlr", "EVSE", "TxCtrlr"} <= available and "ISO15118Ctrlr" not in available
    ask(world, 3, criteria=("Active",))
    active = components(arrived(world, 3))
    assert "CPPWMController" not in active and {"TxCtrlr", "EVSE"} <= active
    ask(world, 4, criteria=("Problem", "Available"))
    assert components(arrived(world, 4)) == available


@req("B08.FR.10", "B07.FR.09")
def test_what_is_in_trouble_is_told_by_criterion_and_in_the_summary() -> None:
    world = idle(TWO)
    world.hear(FaultRaised(2, "over_temperature"))
    world.runs(seconds=5)
    assert ask(world, 1, criteria=("Problem",)) == "Accepted"
    rows = arrived(world, 1)
    owners = {(row["component"]["name"], row["component"].get("evse", {}).get("id")) for row in rows}
    assert {("ChargingStation", None), ("EVSE", 2), ("Connector", 2)} <= owners
    assert ("EVSE", 1) not in owners and ("TxCtrlr", None) not in owners
    ask_base(world, "SummaryInventory", 2)
    assert {"ChargingStation.Problem", "EVSE.Problem@2"} <= names(arrived(world, 2))


@req("B08.FR.05", "B08.FR.15")
def test_criteria_and_filter_together_narrow_each_other() -> None:
    world = idle(TWO)
    assert ask(world, 1, criteria=("Available",), component="EVSE", evse=1, variable="AvailabilityState") == "Accepted"
    assert names(arrived(world, 1)) == {"EVSE.AvailabilityState@1"}


def test_a_report_without_filter_and_criteria_is_the_full_inventory() -> None:
    world = idle()
    assert ask(world) == "Accepted"
    assert names(arrived(world)) == all_names(world)


@req("B08.FR.11")
def test_filters_that_overlap_list_a_variable_once() -> None:
    world = idle()
    wanted = [component("TxCtrlr", "TxStartPoint"), component("TxCtrlr"), component("TxCtrlr", "TxStopPoint")]
    world.csms_asks("GetReport", {"requestId": 1, "componentVariable": wanted})
    rows = arrived(world)
    assert len(rows) == len(names(rows)) == len(registry.of_component("TxCtrlr"))
    assert full_name(rows[0]) == "TxCtrlr.TxStartPoint"


# ---------------------------------------------------------------------------------------- limits of messages


@req("B08.FR.17")
def test_more_filters_than_a_message_may_hold_are_an_occurrence_violation() -> None:
    world = idle()
    most = int(get_variable(world, "DeviceDataCtrlr.ItemsPerMessage[GetReport]") or 0)
    for count, error in ((most, None), (most + 1, "OccurrenceConstraintViolation")):
        wanted = [component("TxCtrlr", "TxStartPoint")] * count
        exchange = world.csms.sends("GetReport", {"requestId": count, "componentVariable": wanted})
        world.runs(seconds=10)
        assert (exchange.error[0] if exchange.error else None) == error


@req("B06.FR.17", "B08.FR.18")
@pytest.mark.parametrize(
    ("action", "payload"),
    [
        ("GetVariables", {"getVariableData": [name("TxCtrlr.TxStartPoint")]}),
        ("SetVariables", {"setVariableData": [{**name("TxCtrlr.TxStartPoint"), "attributeValue": "EVConnected"}]}),
        ("GetReport", {"requestId": 1, "componentVariable": [component("TxCtrlr")]}),
    ],
)
def test_a_frame_over_bytes_per_message_is_a_format_violation(action: str, payload: Row) -> None:
    world = idle(keys={f"DeviceDataCtrlr.BytesPerMessage[{action}]": "400"})
    assert world.csms_asks(action, payload)
    padded = {**payload, "customData": {"vendorId": "x", "more": "ä" * 200}}
    exchange = world.csms.sends(action, padded)
    world.runs(seconds=10)
    assert exchange.error is not None and exchange.error[0] == "FormatViolation"
