"""N02 to N06: setting, replacing, removing and reporting monitors, the base and the level."""

from __future__ import annotations

from typing import Any

import pytest

from tests.blocks.monitors import (
    AVAILABILITY,
    POWER,
    THRESHOLD_KEY,
    at,
    base,
    clear,
    events,
    ids,
    level,
    report,
    set_monitors,
    watch,
    wish,
)
from tests.blocks.stories import QUIET, get_variable, goes_off, idle, set_variable
from tests.marks import req
from tests.sim.outlet import raw, smart
from tests.sim.transactions import Payload
from tests.sim.world import World

VOLTAGE = "EVSE.ACVoltage[L1]@1"
EVERY_KIND = ("UpperThreshold", "LowerThreshold", "Delta", "Periodic", "PeriodicClockAligned")
CRITERIA = {
    "ThresholdMonitoring": {"UpperThreshold", "LowerThreshold"},
    "DeltaMonitoring": {"Delta"},
    "PeriodicMonitoring": {"Periodic", "PeriodicClockAligned"},
}


@pytest.fixture
def world() -> World:
    """Two EVSEs, registered and idle."""
    return idle((smart(16), raw(32, cable="socket")), keys=QUIET)


def of(rows: list[Payload], id: int) -> Payload:
    """The entry of one monitor, with its component and variable."""
    (found,) = [
        {**monitor, "component": row["component"], "variable": row["variable"]}
        for row in rows
        for monitor in row["variableMonitoring"]
        if monitor["id"] == id
    ]
    return found


# ---------------------------------------------------------------------------------------- N04: every status


@req("N04.FR.03", "N04.FR.04", "N04.FR.05", "N04.FR.06", "N04.FR.08", "N04.FR.14")
@pytest.mark.parametrize(
    ("variable", "kind", "value", "severity", "status"),
    [
        (AVAILABILITY, "Delta", 1, 0, "Accepted"),
        (AVAILABILITY, "Delta", 1, 9, "Accepted"),
        (AVAILABILITY, "Delta", 1, 10, "Rejected"),
        (AVAILABILITY, "Delta", 1, -1, "Rejected"),
        (AVAILABILITY, "Delta", -1, 4, "Rejected"),
        (AVAILABILITY, "UpperThreshold", 1, 4, "UnsupportedMonitorType"),
        ("EVSE.AvailabilityState", "UpperThreshold", 1, 4, "UnsupportedMonitorType"),
        ("EVSE.AvailabilityState", "Delta", 1, 4, "UnknownComponent"),
        ("EVSE.AvailabilityState@99", "Delta", 1, 4, "UnknownComponent"),
        ("Nonsense.Power", "UpperThreshold", 1234, 4, "UnknownComponent"),
        ("EVSE.Nonsense@1", "Delta", 1, 4, "UnknownVariable"),
        ("EVSE.Nonsense", "Delta", 1, 4, "UnknownVariable"),
        (POWER, "UpperThreshold", 0, 4, "Accepted"),
        (POWER, "LowerThreshold", -0.1, 4, "Rejected"),
        ("LimitCtrlr.InstallationMaxCurrent", "UpperThreshold", 80.5, 4, "Rejected"),
        (POWER, "Delta", 0, 4, "Accepted"),
        (POWER, "Delta", -0.5, 4, "Rejected"),
        (POWER, "Periodic", 1, 4, "Accepted"),
        (POWER, "Periodic", 0, 4, "Rejected"),
        (POWER, "Periodic", -60, 4, "Rejected"),
        (POWER, "PeriodicClockAligned", 1e9, 4, "Rejected"),
        (AVAILABILITY, "PeriodicClockAligned", 900, 4, "Accepted"),
        ("ClockCtrlr.DateTime", "Delta", 60, 4, "UnsupportedMonitorType"),
        ("ChargingStation.Model", "Periodic", 60, 4, "UnsupportedMonitorType"),
    ],
)
def test_every_status(world: World, variable: str, kind: str, value: float, severity: int, status: str) -> None:
    (result,) = set_monitors(world, wish(variable, kind, value, severity))
    assert result["status"] == status
    assert ("id" in result) == (status == "Accepted")


@req("N04.FR.01", "N04.FR.02", "N04.FR.11")
def test_one_result_per_element_in_order_each_naming_its_own(world: World) -> None:
    wishes = [wish(AVAILABILITY), wish("No.Such"), wish(POWER, "Delta", -1), wish(POWER, "LowerThreshold", 10, 7)]
    results = set_monitors(world, *wishes)
    for result, asked in zip(results, wishes, strict=True):
        assert {k: result[k] for k in ("component", "variable", "type", "severity")} == {
            k: asked[k] for k in ("component", "variable", "type", "severity")
        }
    assert [r["status"] for r in results] == ["Accepted", "UnknownComponent", "Rejected", "Accepted"]
    assert results[0]["id"] != results[3]["id"]


@req("N04.FR.10")
def test_the_same_type_and_severity_on_one_variable_is_a_duplicate(world: World) -> None:
    results = set_monitors(
        world, wish(POWER, "UpperThreshold", 67), wish(POWER, "UpperThreshold", 78), wish(POWER, "LowerThreshold", 67),
        wish(POWER, "UpperThreshold", 78, 5), wish("EVSE.Power@2", "UpperThreshold", 67),
    )  # fmt: skip
    assert [r["status"] for r in results] == ["Accepted", "Duplicate", "Accepted", "Accepted", "Accepted"]
    first, other = results[0]["id"], results[3]["id"]
    (moved,) = set_monitors(world, wish(POWER, "UpperThreshold", 78, 4, id=other))
    assert moved["status"] == "Duplicate" and of(report(world), other)["severity"] == 5
    (same,) = set_monitors(world, wish(POWER, "UpperThreshold", 99, 4, id=first))
    assert same["status"] == "Accepted"


@req("N04.FR.12", "N04.FR.13", "N04.FR.16")
def test_a_monitor_is_replaced_under_its_id_and_only_on_its_own_variable(world: World) -> None:
    id = watch(world, AVAILABILITY, severity=5)
    (replaced,) = set_monitors(world, wish(AVAILABILITY, "Periodic", 60, 4, id=id, transaction=True))
    assert (replaced["status"], replaced["id"]) == ("Accepted", id)
    entry = of(report(world), id)
    assert (entry["type"], entry["value"], entry["severity"], entry["transaction"]) == ("Periodic", 60, 4, True)
    for asked in (wish(POWER, id=id), wish("EVSE.AvailabilityState@2", id=id), wish(AVAILABILITY, id=id + 77)):
        (refused,) = set_monitors(world, asked)
        assert refused["status"] == "Rejected" and refused["statusInfo"]["reasonCode"] == "NotFound"
    assert of(report(world), id)["type"] == "Periodic" and id + 77 not in ids(report(world))


def test_fifty_are_taken_and_one_more_is_an_occurrence_violation(world: World) -> None:
    wishes = [wish(AVAILABILITY, "Periodic", 600, severity % 10) for severity in range(50)]
    assert len(set_monitors(world, *wishes)) == 50
    too_many = world.csms.sends("SetVariableMonitoring", {"setMonitoringData": [*wishes, wishes[0]]})
    world.runs(seconds=5)
    assert too_many.error is not None and too_many.error[0] == "OccurrenceConstraintViolation"


def test_there_is_room_for_200_of_them(world: World) -> None:
    """DESIGN.md invariant 10; the upper limit is in the device model."""
    places = [f"EVSE.{v}@{evse}" for v in ("Power", "ACCurrent[L1]", "ACCurrent[L2]") for evse in (1, 2)]
    wishes = [wish(v, kind, 600, s) for v in places for kind in EVERY_KIND[2:] for s in range(10)]
    wishes += [wish("EVSE.ACCurrent[L3]@2", kind, 600, s) for kind in EVERY_KIND[2:] for s in range(10)]
    statuses = [r["status"] for i in range(0, 210, 50) for r in set_monitors(world, *wishes[i : i + 50])]
    assert statuses == ["Accepted"] * 200 + ["Rejected"] * 10
    assert get_variable(world, "MonitoringCtrlr.Entries") == "200"
    assert clear(world, 17) == ["Accepted"] and watch(world, AVAILABILITY)


# ---------------------------------------------------------------------------------------- N06: removing


@req("N06.FR.01", "N06.FR.02", "N06.FR.05")
def test_monitors_are_removed_by_id_and_each_id_gets_its_answer(world: World) -> None:
    one, two = watch(world, AVAILABILITY), watch(world, POWER, "LowerThreshold", 10)
    assert clear(world, two, 123456, one, one) == ["Accepted", "NotFound", "Accepted", "NotFound"]
    assert not {one, two} & set(ids(report(world)))
    (gone,) = set_monitors(world, wish(AVAILABILITY, id=one))
    assert gone["status"] == "Rejected"


@req("N06.FR.06")
def test_fifty_ids_are_taken_and_one_more_is_an_occurrence_violation(world: World) -> None:
    assert clear(world, *range(1, 51)) == ["NotFound"] * 50
    too_many = world.csms.sends("ClearVariableMonitoring", {"id": list(range(1, 52))})
    world.runs(seconds=5)
    assert too_many.error is not None and too_many.error[0] == "OccurrenceConstraintViolation"


@req("N06.FR.07")
@pytest.mark.parametrize(
    ("action", "payload"),
    [("ClearVariableMonitoring", {"id": [1]}), ("SetVariableMonitoring", {"setMonitoringData": [wish(POWER)]})],
)
def test_a_message_of_more_bytes_than_fit_is_a_format_violation(world: World, action: str, payload: Payload) -> None:
    custom = {"vendorId": "org.example", "padding": "x" * 65000}
    too_long = world.csms.sends(action, {**payload, "customData": custom})
    world.runs(seconds=5)
    assert too_long.error is not None and too_long.error[0] == "FormatViolation"


# ---------------------------------------------------------------------------------------- N03: the base


def preconfigured(world: World) -> tuple[int, float]:
    """Id and value of the upper threshold on a voltage that the factory set."""
    (row,) = report(world, "ThresholdMonitoring", of=[at(VOLTAGE)])
    (monitor,) = [m for m in row["variableMonitoring"] if m["type"] == "UpperThreshold"]
    return monitor["id"], monitor["value"]


@req("N03.FR.01", "N03.FR.03", "N03.FR.04", "N03.FR.05", "N04.FR.15")
def test_the_base_brings_back_drops_and_disables(world: World) -> None:
    factory, volts = preconfigured(world)
    custom = watch(world, AVAILABILITY)
    (replaced,) = set_monitors(world, wish(VOLTAGE, "UpperThreshold", 245, 3, id=factory))
    assert replaced["status"] == "Accepted"
    base(world, "All")
    assert of(report(world), factory)["value"] == 245 and custom in ids(report(world))
    base(world, "FactoryDefault")
    assert get_variable(world, "MonitoringCtrlr.ActiveMonitoringBase") == "FactoryDefault"
    assert of(report(world), factory)["value"] == volts and custom not in ids(report(world))
    custom = watch(world, AVAILABILITY)
    base(world, "HardWiredOnly")
    assert not {factory, custom} & set(ids(report(world)))
    custom = watch(world, AVAILABILITY)
    base(world, "All")
    assert {factory, custom} <= set(ids(report(world)))


@req("N03.FR.03", "N06.FR.01")
def test_a_preconfigured_monitor_that_was_removed_comes_back_with_the_base(world: World) -> None:
    factory, volts = preconfigured(world)
    assert clear(world, factory) == ["Accepted"] and factory not in ids(report(world))
    world.kills_agent("none").returns_after(seconds=5)
    world.runs(seconds=30)
    assert factory not in ids(report(world))
    base(world, "All")
    assert of(report(world), factory)["value"] == volts


@req("N04.FR.15")
def test_a_replaced_preconfigured_monitor_is_a_custom_one(world: World) -> None:
    factory, _ = preconfigured(world)
    set_monitors(world, wish(VOLTAGE, "UpperThreshold", 200, 3, id=factory))
    world.runs(minutes=2)
    (told,) = events(world, factory)
    assert told["eventNotificationType"] == "CustomMonitor" and float(told["actualValue"]) > 200


# ---------------------------------------------------------------------------------------- N05: the level


@req("N05.FR.01", "N05.FR.02")
def test_the_level_is_zero_to_nine(world: World) -> None:
    for severity in (10, -1, 99):
        answer = world.csms_asks("SetMonitoringLevel", {"severity": severity})
        assert answer["status"] == "Rejected" and answer["statusInfo"]["reasonCode"] == "ValueOutOfRange"
    level(world, 3)
    assert get_variable(world, "MonitoringCtrlr.ActiveMonitoringLevel") == "3"


@req("N03.FR.04", "N05.FR.01")
def test_base_and_level_survive_a_restart(world: World) -> None:
    level(world, 3)
    base(world, "HardWiredOnly")
    world.kills_agent("none").returns_after(seconds=5)
    world.runs(seconds=30)
    assert get_variable(world, "MonitoringCtrlr.ActiveMonitoringLevel") == "3"
    assert get_variable(world, "MonitoringCtrlr.ActiveMonitoringBase") == "HardWiredOnly"
    assert [row["variable"]["name"] for row in report(world)] == ["EventsSetAside"]


# ---------------------------------------------------------------------------------------- N02: reports


@req("N02.FR.01", "N02.FR.03", "N02.FR.04", "N02.FR.06", "N02.FR.11", "N02.FR.12", "N02.FR.13", "N02.FR.14")
@pytest.mark.parametrize("criteria", [(), ("ThresholdMonitoring",), ("ThresholdMonitoring", "DeltaMonitoring"),
                                      ("DeltaMonitoring", "PeriodicMonitoring")])  # fmt: skip
def test_criteria_select_by_type(world: World, criteria: tuple[str, ...]) -> None:
    mine = {watch(world, POWER, kind, 5): kind for kind in EVERY_KIND}
    wanted = {kind for criterion in criteria or CRITERIA for kind in CRITERIA[criterion]}
    rows = report(world, *criteria, id=7)
    found = {m["id"]: m["type"] for row in rows for m in row["variableMonitoring"]}
    assert set(found.values()) <= wanted
    assert set(found) & set(mine) == {id for id, kind in mine.items() if kind in wanted}


SOUGHT: list[tuple[Payload, set[str]]] = [
    ({"component": {"name": "EVSE"}}, {"E1", "E2", "P1", "I1", "I2"}),
    ({"component": {"name": "evse", "evse": {"id": 1}}}, {"E1", "P1", "I1", "I2"}),
    ({"component": {"name": "EVSE", "evse": {"id": 1}}, "variable": {"name": "AvailabilityState"}}, {"E1"}),
    ({"component": {"name": "EVSE"}, "variable": {"name": "ACCurrent"}}, {"I1", "I2"}),
    ({"component": {"name": "EVSE"}, "variable": {"name": "ACCurrent", "instance": "L2"}}, {"I2"}),
    ({"component": {"name": "Connector"}}, {"C1", "C2"}),
    ({"component": {"name": "Connector", "evse": {"id": 2}}}, {"C2"}),
    ({"component": {"name": "Connector", "evse": {"id": 2, "connectorId": 1}}}, {"C2"}),
    ({"component": {"name": "EVSE", "instance": "x"}}, set()),
    ({"component": {"name": "Nonsense"}}, set()),
]


@req("N02.FR.05", "N02.FR.08", "N02.FR.10", "N02.FR.16", "N02.FR.17", "N02.FR.18", "N02.FR.19", "N02.FR.20",
     "N02.FR.21")  # fmt: skip
@pytest.mark.parametrize(("sought", "names"), SOUGHT)
def test_what_is_left_out_in_a_component_variable_matches_all(
    world: World, sought: Payload, names: set[str]
) -> None:
    mine = {
        watch(world, variable): label
        for label, variable in {
            "E1": AVAILABILITY, "E2": "EVSE.AvailabilityState@2", "P1": POWER, "I1": "EVSE.ACCurrent[L1]@1",
            "I2": "EVSE.ACCurrent[L2]@1", "C1": "Connector.AvailabilityState@1.1",
            "C2": "Connector.AvailabilityState@2.1", "S": "ChargingStation.Problem",
        }.items()
    }  # fmt: skip
    found = ids(report(world, "DeltaMonitoring", of=[sought]))
    assert {mine[id] for id in found} == names
    assert report(world, "PeriodicMonitoring", of=[sought]) == []


@req("N02.FR.10")
def test_nothing_that_fits_is_an_empty_result_set(world: World) -> None:
    answer = world.csms_asks("GetMonitoringReport", {"requestId": 3, "componentVariable": [at(AVAILABILITY)]})
    assert answer["status"] == "EmptyResultSet" and answer["statusInfo"]["reasonCode"] == "NotFound"


@req("N02.FR.03", "N02.FR.04", "N02.FR.09")
def test_a_long_report_comes_in_parts(world: World) -> None:
    variables = ["Power", "Problem", "AvailabilityState", *(f"ACCurrent[L{n}]" for n in (1, 2, 3))]
    mine = {watch(world, f"EVSE.{v}@{evse}", "Delta", 1, s) for v in variables for evse in (1, 2) for s in (5, 6)}
    mine |= {watch(world, key, "Delta", 1, 5) for key in settings()}
    rows = report(world, id=44)
    assert mine <= set(ids(rows)) and len(rows) > 25
    assert len({str(row["component"]) + str(row["variable"]) for row in rows}) == len(rows)


def settings() -> list[str]:
    """Twenty settings: what can be written can be monitored."""
    waits = ("RetryBackOffWaitMinimum", "RetryBackOffRandomRange", "RetryBackOffRepeatTimes", "HeartbeatInterval")
    mine = [f"OCPPCommCtrlr.{wait}" for wait in waits] + [THRESHOLD_KEY, "OCPPCommCtrlr.WebSocketPingInterval"]
    mine += [f"TxCtrlr.{v}" for v in ("EVConnectionTimeOut", "StopTxOnInvalidId", "TxStartPoint", "TxStopPoint")]
    mine += [f"AlignedDataCtrlr.{v}" for v in ("Interval", "TxEndedInterval", "Measurands", "TxEndedMeasurands")]
    return mine + [f"SampledDataCtrlr.{v}" for v in ("TxUpdatedInterval", "TxUpdatedMeasurands", "TxEndedInterval")]


def test_more_component_variables_than_items_per_message_are_an_occurrence_violation(world: World) -> None:
    many: list[Any] = [at(AVAILABILITY)] * 51
    too_many = world.csms.sends("GetMonitoringReport", {"requestId": 1, "componentVariable": many})
    world.runs(seconds=5)
    assert too_many.error is not None and too_many.error[0] == "OccurrenceConstraintViolation"


@req("N07.FR.13", "N04.FR.12")
@pytest.mark.parametrize("end", ["power", "kill"])
def test_monitors_survive_a_reboot_as_they_are(world: World, end: str) -> None:
    one = watch(world, POWER, "UpperThreshold", 5000, 3)
    two = watch(world, THRESHOLD_KEY, "Delta", 7, 8, transaction=True)
    factory, _ = preconfigured(world)
    set_monitors(world, wish(VOLTAGE, "UpperThreshold", 245, 3, id=factory))
    before = report(world)
    goes_off(world, end, "none").returns_after(seconds=5)
    world.runs(seconds=60)
    assert report(world) == before and {one, two, factory} <= set(ids(before))
    assert watch(world, AVAILABILITY) not in (one, two, factory)


@req("N04.FR.08")
def test_nothing_is_accepted_before_it_is_on_flash(world: World) -> None:
    world.disk.full = True
    exchange = world.csms.sends("SetVariableMonitoring", {"setMonitoringData": [wish(AVAILABILITY)]})
    world.runs(seconds=4)
    assert exchange.answer is None


def test_a_setting_can_be_told_as_soon_as_somebody_changes_it(world: World) -> None:
    id = watch(world, THRESHOLD_KEY, "Delta", 1)
    assert set_variable(world, THRESHOLD_KEY, "444") == "Accepted"
    world.runs(seconds=5)
    assert [event["actualValue"] for event in events(world, id)] == ["444"]
