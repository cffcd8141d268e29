"""B: what the hardware is and reports, as components of the device model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from agent.core.site import Site
from agent.station import Station
from config_keys.own import OwnVariable
from hal import ports
from tests.blocks.stories import CARD, charge, idle, name, set_variable
from tests.marks import req
from tests.sim.outlet import OutletSpec, raw, smart
from tests.sim.world import World


def read(world: World, variable: str, evse: int | None = None, connector: int | None = None) -> tuple[str, str | None]:
    """GetVariables of one variable at a place: status and value."""
    element: dict[str, Any] = name(variable)
    if evse is not None:
        element["component"]["evse"] = {"id": evse} | ({"connectorId": connector} if connector else {})
    result = world.csms_asks("GetVariables", {"getVariableData": [element]})["getVariableResult"][0]
    return result["attributeStatus"], result.get("attributeValue")


def value(world: World, variable: str, evse: int | None = None, connector: int | None = None) -> str | None:
    """The value of a variable that exists."""
    status, text = read(world, variable, evse, connector)
    assert status == "Accepted", (variable, status)
    return text


@pytest.fixture
def world() -> World:
    """A smart controller, and a raw board with a socket."""
    return idle((smart(16, phases=1), raw(32, cable="socket")))


@req("B06.FR.10")
def test_the_station_its_evses_and_connectors_are_as_board_toml_says(world: World) -> None:
    assert value(world, "ChargingStation.SupplyPhases") == "3"
    assert [value(world, "EVSE.SupplyPhases", evse) for evse in (1, 2)] == ["1", "3"]
    assert [value(world, "Connector.SupplyPhases", evse, 1) for evse in (1, 2)] == ["1", "3"]
    assert [value(world, "LimitCtrlr.HardwareMaxCurrent", evse) for evse in (1, 2)] == ["16", "32"]
    assert [value(world, "EVSE.AvailabilityState", evse) for evse in (1, 2)] == ["Available"] * 2
    assert value(world, "DataLink.Active") == "true" and value(world, "ChargingStation.Problem") == "false"


@req("B06.FR.06", "B06.FR.07")
def test_what_is_not_built_in_does_not_exist(world: World) -> None:
    assert read(world, "ConnectorPlugRetentionLock.Active", 1, 1)[0] == "UnknownComponent"
    assert read(world, "ConnectorPlugRetentionLock.Active", 2, 1) == ("Accepted", "false")
    assert read(world, "BayOccupancySensor.Active", 1)[0] == "UnknownComponent"
    assert read(world, "FiscalMetering.PublicKey", 1)[0] == "UnknownVariable"
    assert read(world, "ISO15118Ctrlr.Available", 1) == ("Accepted", "false")
    assert read(world, "ISO15118Ctrlr.SeccId", 1)[0] == "UnknownVariable"
    assert read(world, "TemperatureSensor.Temperature[cable]", 1)[0] == "UnknownVariable"


def test_a_bay_detector_is_told_where_there_is_one() -> None:
    world = idle((OutletSpec("raw", 32, bay_detector=True),))
    world.hear(ports.BayChanged(1, True))
    assert value(world, "BayOccupancySensor.Active", 1) == "true"


def test_a_temperature_exists_from_its_first_measurement_on(world: World) -> None:
    world.hear(ports.TemperatureMeasured(2, "cable", 41.5))
    assert value(world, "TemperatureSensor.Temperature[cable]", 2) == "41.5"
    assert read(world, "TemperatureSensor.Temperature[pcb]", 2)[0] == "UnknownVariable"


@req("B06.FR.10")
def test_live_values_follow_a_session(world: World) -> None:
    assert value(world, "PowerContactor.Active", 2) == "false"
    assert (value(world, "CPPWMController.State", 2), value(world, "CPPWMController.Percent", 2)) == ("A", "100")
    charge(world, 2, CARD)
    world.until(lambda: world.outlets[2].amps == 13, within_s=120).runs(seconds=5)
    assert value(world, "PowerContactor.Active", 2) == "true"
    assert value(world, "CPPWMController.State", 2) == "C" and value(world, "ConnectedEV.Available", 2) == "true"
    assert value(world, "CPPWMController.Percent", 2) == "21.7"
    assert value(world, "ConnectorPlugRetentionLock.Active", 2, 1) == "true"
    assert value(world, "EVSE.ACCurrent[L1]", 2) == "13" and value(world, "EVSE.Power", 2) == str(13 * 230 * 3)
    assert value(world, "EVSE.AvailabilityState", 2) == "Occupied"
    register, session = (value(world, f"FiscalMetering.{v}", 2) for v in ("EnergyImportRegister", "EnergyImport"))
    assert register is not None and session is not None and 0 < float(session) < float(register)
    world.settles()


@pytest.mark.parametrize(
    ("code", "variable"),
    [
        ("residual_current", "RCD.Tripped"),
        ("residual_selftest", "RCD.Problem"),
        ("emergency_stop", "EmergencyStopSensor.Active"),
        ("over_voltage", "ElectricalFeed.Problem"),
        ("diode", "CPPWMController.Problem"),
        ("board_internal", "Controller.Problem"),
    ],
)
def test_a_fault_shows_at_the_component_that_has_it(world: World, code: str, variable: str) -> None:
    assert value(world, variable, 2) == "false"
    world.hear(ports.FaultRaised(2, code))
    assert [value(world, variable, evse) for evse in (1, 2)] == ["false", "true"]
    assert [value(world, "EVSE.Problem", evse) for evse in (1, 2)] == ["false", "true"]
    assert value(world, "ChargingStation.Problem") == "true"


def test_a_silent_device_is_a_problem_until_it_answers(world: World) -> None:
    world.hear(ports.Silent(1, "meter"))
    world.hear(ports.Silent(0, "reader", "front"))
    assert value(world, "FiscalMetering.Problem", 1) == "true" and value(world, "TokenReader.Problem") == "true"
    world.hear(ports.Alive(1, "meter"))
    world.hear(ports.Alive(0, "reader", "front"))
    assert value(world, "FiscalMetering.Problem", 1) == "false" and value(world, "TokenReader.Problem") == "false"


def test_a_reader_that_is_switched_off_reads_no_card(world: World) -> None:
    world.asks_station("config.set", name="TokenReader.Enabled", value="false")
    world.ev(2).plugs_in().presents(CARD)
    world.runs(seconds=30)
    assert not world.outlets[2].permitted
    world.asks_station("config.set", name="TokenReader.Enabled", value="true")
    world.ev(2).presents(CARD)
    world.until(lambda: world.outlets[2].permitted, within_s=60)


# ---------------------------------------------------------------------------------------- not ours

FAN = OwnVariable("AcmeCooling[rear].FanSpeed@1", "decimal", "1200", unit="RPM", doc="Speed of the fan.")
MODE = OwnVariable("AcmeCooling.Mode", "OptionList", "quiet", "ReadWrite", values=("quiet", "strong"))


def with_own(site: Site, presets: Mapping[str, str], stored: Mapping[str, Mapping[str, Any]]) -> Station:
    """A station whose maker has built in a cooling of his own."""
    return Station(site._replace(own=(FAN, MODE)), presets, stored)


@req("B07.FR.08")
def test_components_of_the_maker_are_kept_and_reported_like_ours() -> None:
    world = idle((smart(16), raw(32)), build=with_own)
    component = {"name": "acmecooling", "instance": "rear", "evse": {"id": 1}}
    fan = {"component": component, "variable": {"name": "FanSpeed"}}
    got = world.csms_asks("GetVariables", {"getVariableData": [fan]})["getVariableResult"][0]
    assert (got["attributeStatus"], got["attributeValue"]) == ("Accepted", "1200")
    assert read(world, "AcmeCooling.FanSpeed", 2)[0] == "UnknownComponent"
    assert value(world, "AcmeCooling.Mode") == "quiet"
    assert world.csms_asks("GetBaseReport", {"requestId": 1, "reportBase": "FullInventory"})["status"] == "Accepted"
    world.runs(seconds=30)
    rows = [row for report in world.csms.requests("NotifyReport") for row in report["reportData"]]
    theirs = {
        (row["component"].get("instance"), row["variable"]["name"]): row
        for row in rows
        if row["component"]["name"] == "AcmeCooling"
    }
    assert theirs.keys() == {("rear", "FanSpeed"), (None, "Mode")}
    assert theirs[None, "Mode"]["variableCharacteristics"]["valuesList"] == "quiet,strong"
    assert theirs["rear", "FanSpeed"]["variableCharacteristics"]["unit"] == "RPM"


@req("B05.FR.07", "B05.FR.10")
def test_what_the_maker_lets_be_changed_is_checked_and_kept() -> None:
    world = idle(build=with_own)
    assert set_variable(world, "AcmeCooling.Mode", "loud") == "Rejected"
    assert set_variable(world, "AcmeCooling.Mode", "strong") == "Accepted"
    world.kills_agent("all").returns_after(seconds=5)
    world.runs(seconds=60)
    assert value(world, "AcmeCooling.Mode") == "strong"
