"""B05, B06: every status of SetVariables and GetVariables, and when a new value holds."""

from __future__ import annotations

from typing import Any

import pytest

from tests.blocks.stories import (
    CARD,
    back_online,
    charging,
    gaps,
    get_variable,
    goes_off,
    heard,
    idle,
    name,
    now_s,
    set_variable,
)
from tests.marks import req
from tests.sim.outlet import raw, smart
from tests.sim.world import World

HEARTBEAT = "OCPPCommCtrlr.HeartbeatInterval"


@pytest.fixture
def world() -> World:
    """Two EVSEs, registered and idle."""
    return idle((smart(16), raw(32)))


def set_raw(world: World, *elements: dict[str, Any]) -> list[dict[str, Any]]:
    """SetVariables; its results."""
    results: list[dict[str, Any]] = world.csms_asks("SetVariables", {"setVariableData": list(elements)})[
        "setVariableResult"
    ]
    return results


def get_raw(world: World, *elements: dict[str, Any]) -> list[dict[str, Any]]:
    """GetVariables; its results."""
    results: list[dict[str, Any]] = world.csms_asks("GetVariables", {"getVariableData": list(elements)})[
        "getVariableResult"
    ]
    return results


# ---------------------------------------------------------------------------------------- B05


@req("B05.FR.04", "B05.FR.05", "B05.FR.07", "B05.FR.08", "B05.FR.09", "B05.FR.10")
@pytest.mark.parametrize(
    ("variable", "value", "status"),
    [
        (HEARTBEAT, "600", "Accepted"),
        ("heartbeatCtrlr.Interval", "600", "UnknownComponent"),
        ("OCPPCommCtrlr.Heartbeat", "600", "UnknownVariable"),
        (f"{HEARTBEAT}[x]", "600", "UnknownVariable"),
        ("OCPPCommCtrlr.MessageAttempts", "4", "UnknownVariable"),
        ("OCPPCommCtrlr.MessageAttempts[TransactionEvent]", "4", "Accepted"),
        (HEARTBEAT, "ten", "Rejected"),
        (HEARTBEAT, "10.5", "Rejected"),
        (HEARTBEAT, "", "Rejected"),
        (HEARTBEAT, "0", "Rejected"),
        (HEARTBEAT, "-1", "Rejected"),
        ("OCPPCommCtrlr.WebSocketPingInterval", "-5", "Rejected"),
        ("OCPPCommCtrlr.MessageTimeout[Default]", "20", "Rejected"),
        ("TxCtrlr.StopTxOnInvalidId", "maybe", "Rejected"),
        ("TxCtrlr.TxStartPoint", "EVConnected,Authorized", "Accepted"),
        ("TxCtrlr.TxStartPoint", "EVConnected,Nonsense", "Rejected"),
        ("TxCtrlr.TxStopPoint", "DataSigned", "Rejected"),
        ("SampledDataCtrlr.TxUpdatedMeasurands", "", "Accepted"),
        ("SampledDataCtrlr.TxUpdatedMeasurands", "Power.Active.Import,SoC", "Rejected"),
        ("OCPPCommCtrlr.NetworkConfigurationPriority", "0", "RebootRequired"),
        ("SmartChargingCtrlr.ProfileStackLevel", "3", "Rejected"),
    ],
)
def test_every_status(world: World, variable: str, value: str, status: str) -> None:
    assert set_variable(world, variable, value) == status


@req("B05.FR.06", "B06.FR.08")
@pytest.mark.parametrize("kind", ["Target", "MinSet", "MaxSet"])
def test_controllers_have_an_actual_value_and_no_other(world: World, kind: str) -> None:
    element = {**name(HEARTBEAT), "attributeType": kind}
    assert set_raw(world, {**element, "attributeValue": "60"})[0]["attributeStatus"] == "NotSupportedAttributeType"
    got = get_raw(world, element)[0]
    assert got["attributeStatus"] == "NotSupportedAttributeType" and "attributeValue" not in got


@req("B05.FR.01", "B05.FR.02", "B05.FR.03", "B05.FR.12", "B06.FR.01", "B06.FR.02", "B06.FR.03", "B06.FR.11")
def test_one_result_per_element_in_order_each_naming_its_own(world: World) -> None:
    variables = ["No.Such", HEARTBEAT, "OCPPCommCtrlr.MessageAttempts[TransactionEvent]", HEARTBEAT]
    asked = [{**name(v), "attributeValue": "50"} for v in variables]
    asked[1]["attributeType"] = "Actual"
    for results in (set_raw(world, *asked), get_raw(world, *[{**name(v)} for v in variables])):
        assert [{"component": r["component"], "variable": r["variable"]} for r in results] == list(map(name, variables))
        assert [r["attributeType"] for r in results] == ["Actual"] * 4
        assert [r["attributeStatus"] for r in results] == ["UnknownComponent", *["Accepted"] * 3]


@req("B05.FR.09")
def test_one_refused_element_does_not_hold_up_the_others_and_says_why(world: World) -> None:
    bad = {**name(HEARTBEAT), "attributeValue": "soon"}
    good = {**name("OCPPCommCtrlr.OfflineThreshold"), "attributeValue": "33"}
    results = set_raw(world, bad, good)
    assert [r["attributeStatus"] for r in results] == ["Rejected", "Accepted"]
    assert results[0]["attributeStatusInfo"]["reasonCode"] and results[0]["attributeStatusInfo"]["additionalInfo"]
    assert get_variable(world, "OCPPCommCtrlr.OfflineThreshold") == "33"


@req("B05.FR.04", "B06.FR.06")
@pytest.mark.parametrize("evse", [{"id": 3}, {"id": 1, "connectorId": 2}])
def test_a_place_that_does_not_exist_is_an_unknown_component(world: World, evse: dict[str, int]) -> None:
    element = {"component": {"name": "EVSE", "evse": evse}, "variable": {"name": "SupplyPhases"}}
    assert get_raw(world, element)[0]["attributeStatus"] == "UnknownComponent"


@req("B05.FR.04", "B06.FR.06")
def test_the_controller_of_the_station_is_not_found_at_an_evse(world: World) -> None:
    element = {"component": {"name": "OCPPCommCtrlr", "evse": {"id": 1}}, "variable": {"name": "HeartbeatInterval"}}
    assert get_raw(world, element)[0]["attributeStatus"] == "UnknownComponent"


@req("B06.FR.16")
@pytest.mark.parametrize("action", ["Get", "Set"])
def test_fifty_items_are_taken_and_one_more_is_an_occurrence_violation(world: World, action: str) -> None:
    element = name(HEARTBEAT) if action == "Get" else {**name(HEARTBEAT), "attributeValue": "99"}
    field = f"{action.lower()}VariableData"
    assert len(world.csms_asks(f"{action}Variables", {field: [element] * 50})[f"{action.lower()}VariableResult"]) == 50
    too_many = world.csms.sends(f"{action}Variables", {field: [element] * 51})
    world.runs(seconds=5)
    assert too_many.error is not None and too_many.error[0] == "OccurrenceConstraintViolation"


@req("B05.FR.10")
@pytest.mark.parametrize("end", ["power", "kill"])
def test_what_was_accepted_survives_a_reboot(world: World, end: str) -> None:
    assert set_variable(world, "OCPPCommCtrlr.OfflineThreshold", "91") == "Accepted"
    assert set_variable(world, "TxCtrlr.TxStopPoint", "EVConnected") == "Accepted"
    goes_off(world, end, "none").returns_after(seconds=5)
    world.runs(seconds=60)
    assert get_variable(world, "OCPPCommCtrlr.OfflineThreshold") == "91"
    assert get_variable(world, "TxCtrlr.TxStopPoint") == "EVConnected"


@req("B05.FR.09", "B05.FR.10")
def test_nothing_is_accepted_before_it_is_on_flash(world: World) -> None:
    world.disk.full = True
    exchange = world.csms.sends("SetVariables", {"setVariableData": [{**name(HEARTBEAT), "attributeValue": "91"}]})
    world.runs(seconds=10)
    assert exchange.error is not None and exchange.error[0] == "InternalError"
    assert world.asks_station("config.get", name=HEARTBEAT)["value"] == "300", "refused, so not in force either"
    world.disk.full = False
    world.runs(seconds=10)
    assert set_variable(world, HEARTBEAT, "92") == "Accepted"


# ---------------------------------------------------------------------------------------- B06


@req("B06.FR.04", "B06.FR.07", "B06.FR.09", "B06.FR.10", "B06.FR.13", "B06.FR.14", "B06.FR.15")
@pytest.mark.parametrize(
    ("variable", "status", "value"),
    [
        (HEARTBEAT, "Accepted", "300"),
        ("OCPPCommCtrlr.MessageTimeout[Default]", "Accepted", "30"),
        ("OCPPCommCtrlr.MessageTimeout", "UnknownVariable", None),
        ("OCPPCommCtrlr.MessageAttempts[TransactionEvent]", "Accepted", "3"),
        ("OCPPCommCtrlr.MessageAttempts[Heartbeat]", "UnknownVariable", None),
        ("OCPPCommCtrlr.Nothing", "UnknownVariable", None),
        ("Nothing.Nothing", "UnknownComponent", None),
        ("SecurityCtrlr.BasicAuthPassword", "Rejected", None),
        ("AuthCtrlr.MasterPassGroupId", "Accepted", ""),
        ("ChargingStation.Model", "Accepted", "Twin"),
        ("ocppcommctrlr.heartbeatinterval", "Accepted", "300"),
    ],
)
def test_reading(world: World, variable: str, status: str, value: str | None) -> None:
    result = get_raw(world, name(variable))[0]
    assert (result["attributeStatus"], result.get("attributeValue")) == (status, value)


@req("B06.FR.09")
def test_a_password_is_nowhere_to_be_read(world: World) -> None:
    assert set_variable(world, "SecurityCtrlr.BasicAuthPassword", "correct-horse-battery") in (
        "Accepted",
        "RebootRequired",
    )
    back_online(world)
    assert get_variable(world, "SecurityCtrlr.BasicAuthPassword") is None
    assert "correct-horse" not in str(world.notes) + str(world.asks_station("config.list", search="Password"))


@req("B06.FR.10")
def test_the_clock_and_the_limit_in_force_can_be_read(world: World) -> None:
    assert str(get_variable(world, "ClockCtrlr.DateTime")).startswith("2026-03-01T12:00:2")
    element = {"component": {"name": "LimitCtrlr", "evse": {"id": 2}}, "variable": {"name": "EffectiveLimit"}}
    assert float(get_raw(world, element)[0]["attributeValue"]) == 32


# ---------------------------------------------------------------------------------------- at once


@req("B05.FR.10", "G02.FR.02")
def test_a_new_heartbeat_interval_holds_at_once(world: World) -> None:
    set_variable(world, HEARTBEAT, "20")
    world.runs(minutes=3)
    beats = [at for at, _ in heard(world, "Heartbeat")]
    assert gaps(beats) == [20] * (len(beats) - 1) and len(beats) >= 8


@req("B05.FR.10", "J02.FR.11")
def test_a_new_sampling_interval_holds_for_the_running_transaction() -> None:
    world = charging(keys={"SampledDataCtrlr.TxUpdatedInterval": "0", "AlignedDataCtrlr.Interval": "0"})
    set_variable(world, "SampledDataCtrlr.TxUpdatedInterval", "10")
    changed = now_s(world)
    world.runs(seconds=65)
    samples = [at for at, e in heard(world, "TransactionEvent") if e["triggerReason"] == "MeterValuePeriodic"]
    assert round(samples[0] - changed) == 10 and gaps(samples) == [10] * (len(samples) - 1) and len(samples) == 6
    set_variable(world, "SampledDataCtrlr.TxUpdatedInterval", "0")
    count = len(heard(world, "TransactionEvent"))
    world.runs(minutes=2)
    assert len(heard(world, "TransactionEvent")) == count
    world.settles()


@req("B05.FR.10")
def test_a_new_ping_interval_holds_on_the_open_connection(world: World) -> None:
    set_variable(world, "OCPPCommCtrlr.WebSocketPingInterval", "7")
    world.runs(seconds=2)
    assert world.network.line is not None and world.network.line.ping_s == 7 and world.csms.connections == 1


@req("B05.FR.10")
def test_a_csms_that_falls_silent_is_found_out_within_the_pong_timeout(world: World) -> None:
    set_variable(world, "OCPPCommCtrlr.WebSocketPingInterval", "30")
    set_variable(world, "OCPPCommCtrlr.WebSocketPongTimeout", "5")
    world.runs(seconds=2)
    world.network.vanishes(half_open=True)
    world.runs(seconds=34)
    assert world.asks_station("status")["link"]["state"] == "open"
    world.runs(seconds=2)
    assert world.asks_station("status")["link"]["state"] != "open"


@req("B05.FR.10")
def test_compression_is_offered_on_the_next_connection_which_comes_at_once(world: World) -> None:
    assert world.network.line is not None and world.network.line.compression
    set_variable(world, "OCPPCommCtrlr.WebSocketCompression", "false")
    world.runs(seconds=15)
    assert world.csms.connections == 2 and not world.network.line.compression


@req("B05.FR.10")
def test_a_lower_installation_limit_lowers_the_current_at_once_and_a_higher_one_raises_it() -> None:
    world = charging()
    world.runs(minutes=1)
    assert set_variable(world, "LimitCtrlr.InstallationMaxCurrent", "13") == "Accepted"
    world.runs(seconds=1)
    assert world.outlets[1].offered == 13
    set_variable(world, "LimitCtrlr.InstallationMaxCurrent", "63")
    world.runs(seconds=30)
    assert world.outlets[1].offered == 32
    world.settles()


@req("B05.FR.10")
def test_a_new_connection_timeout_holds_for_the_next_card(world: World) -> None:
    set_variable(world, "TxCtrlr.EVConnectionTimeOut", "20")
    world.ev(2).presents(CARD).after(seconds=30).plugs_in()
    world.runs(minutes=2)
    assert not world.outlets[2].permitted and not world.csms.transactions
