"""What is built into the station, as its hardware reports it: meter, contactor, pilot, lock, readers, sensors.

Nothing is stored here: `agent.core.inventory` answers from what the hardware said last, and leaves out at each
EVSE what it does not have.
"""

from __future__ import annotations

from typing import Any, TypeVar

from config_keys.key import RO, RW, Key, Scope, key
from config_keys.types import Boolean, Decimal, Integer, OptionList, String, ValueType

T = TypeVar("T")
NAME = String(max_len=50)
SENSORS = ("socket", "cable", "pcb", "ambient", "psu")
"""Where a temperature is measured (`hal.ports.TemperatureMeasured`)."""


def _fact(
    name: str, type: ValueType[T], doc: str, *, only: str, unit: str = "", scope: Scope = "evse", default: Any = None
) -> Key[T]:
    """Something that the hardware tells; `only` says where there is one."""
    return key(name, type, access=RO, doc=doc, only=only, unit=unit, scope=scope, default=default, monitored=True)


# ------------------------------------------------------------------------------------------------ power path

_BOARD = "with a raw controller board or a smart controller"
CONTACTOR_AVAILABLE = _fact("PowerContactor.Available", Boolean(), "There is a contactor.", only=_BOARD, default=True)
CONTACTOR_ACTIVE = _fact("PowerContactor.Active", Boolean(), "The contactor is closed.", only=_BOARD)
CONTACTOR_PROBLEM = _fact(
    "PowerContactor.Problem", Boolean(), "It did not open or close as it was told to.", only=_BOARD
)
CONTACTOR_TRIPPED = _fact(
    "PowerContactor.Tripped", Boolean(), "Its feedback contradicts the command: latched until service.", only=_BOARD
)
PILOT_AVAILABLE = _fact(
    "CPPWMController.Available", Boolean(), "There is a control pilot (IEC 61851-1).", only=_BOARD, default=True
)
PILOT_ENABLED = _fact(
    "CPPWMController.Enabled", Boolean(), "The control pilot is in use.", only=_BOARD, default=True
)
PILOT_ACTIVE = _fact("CPPWMController.Active", Boolean(), "An EV is connected.", only=_BOARD)
PILOT_PROBLEM = _fact(
    "CPPWMController.Problem", Boolean(), "Pilot E or F, a missing diode, or no answer.", only=_BOARD
)
PILOT_STATE = _fact(
    "CPPWMController.State", OptionList(("A", "B", "C", "D", "E", "F")), "State of the control pilot.", only=_BOARD
)
PILOT_PERCENT = _fact(
    "CPPWMController.Percent", Decimal(min=0, max=100), "Duty cycle that offers the current; 100 offers none.",
    only=_BOARD, unit="Percent",
)  # fmt: skip
RCD_AVAILABLE = _fact("RCD.Available", Boolean(), "Residual current is watched.", only=_BOARD, default=True)
RCD_TRIPPED = _fact("RCD.Tripped", Boolean(), "Residual current was found; it stays until unplug.", only=_BOARD)
RCD_PROBLEM = _fact("RCD.Problem", Boolean(), "The monitor failed its self-test.", only=_BOARD)
EMERGENCY_STOP_AVAILABLE = _fact(
    "EmergencyStopSensor.Available", Boolean(), "An emergency stop is read.", only=_BOARD, default=True
)
EMERGENCY_STOP_ENABLED = _fact(
    "EmergencyStopSensor.Enabled", Boolean(), "It cannot be switched off.", only=_BOARD, default=True
)
EMERGENCY_STOP_ACTIVE = _fact("EmergencyStopSensor.Active", Boolean(), "The emergency stop is pressed.", only=_BOARD)
GROUND_AVAILABLE = _fact(
    "GroundIsolationProtection.Available", Boolean(), "Protective earth is watched.", only=_BOARD, default=True
)
GROUND_PROBLEM = _fact(
    "GroundIsolationProtection.Problem", Boolean(), "Protective earth is missing or faulty.", only=_BOARD
)
OVER_CURRENT_AVAILABLE = _fact(
    "OverCurrentProtection.Available", Boolean(), "The EV's current is watched.", only=_BOARD, default=True
)
OVER_CURRENT_ACTIVE = _fact(
    "OverCurrentProtection.Active", Boolean(), "The EV drew too much; it stays until unplug.", only=_BOARD
)
FEED_AVAILABLE = _fact("ElectricalFeed.Available", Boolean(), "The mains of the EVSE.", only=_BOARD, default=True)
FEED_PROBLEM = _fact(
    "ElectricalFeed.Problem", Boolean(), "The voltage is too high or too low, or the mains failed.", only=_BOARD
)
FEED_SUPPLY_PHASES = _fact(
    "ElectricalFeed.SupplyPhases", Integer(min=0, max=3), "Phases that are connected.", only=_BOARD
)

# ------------------------------------------------------------------------------------------------ controller

CONTROLLER_ACTIVE = _fact("Controller.Active", Boolean(), "The controller of the EVSE answers.", only=_BOARD)
CONTROLLER_PROBLEM = _fact(
    "Controller.Problem", Boolean(), "The controller does not answer or reports a fault of its own.", only=_BOARD
)
CONTROLLER_MANUFACTURER = _fact("Controller.Manufacturer", NAME, "Maker of the controller.", only=_BOARD)
CONTROLLER_MODEL = _fact("Controller.Model", NAME, "Model of the controller.", only=_BOARD)
CONTROLLER_SERIAL = _fact("Controller.SerialNumber", NAME, "Serial number of the controller.", only=_BOARD)
CONTROLLER_FIRMWARE = _fact("Controller.FirmwareVersion", NAME, "Firmware of the controller.", only=_BOARD)

# ------------------------------------------------------------------------------------------------ meter

_METER = "with a meter"
METER_AVAILABLE = _fact("FiscalMetering.Available", Boolean(), "There is a meter.", only=_METER, default=True)
METER_PROBLEM = _fact("FiscalMetering.Problem", Boolean(), "The meter cannot be read.", only=_METER)
METER_ENERGY_IMPORT_REGISTER = _fact(
    "FiscalMetering.EnergyImportRegister", Decimal(), "Energy register of the meter, from the grid to the EV.",
    only=_METER, unit="Wh",
)  # fmt: skip
METER_ENERGY_EXPORT_REGISTER = _fact(
    "FiscalMetering.EnergyExportRegister", Decimal(), "Energy register of the meter, from the EV to the grid.",
    only=_METER, unit="Wh",
)  # fmt: skip
METER_ENERGY_IMPORT = _fact(
    "FiscalMetering.EnergyImport", Decimal(), "Energy that went to the EV in this transaction.", only=_METER, unit="Wh"
)
METER_SERIAL_NUMBER = _fact("FiscalMetering.SerialNumber[Meter]", NAME, "Serial number of the meter.", only=_METER)
METER_PUBLIC_KEY = _fact(
    "FiscalMetering.PublicKey", String(max_len=2500), "Public key with which signed meter values are checked.",
    only="with a meter that signs",
)  # fmt: skip

# ------------------------------------------------------------------------------------------------ main meter

_MAIN = "with a main meter"


def _of_main(name: str, type: ValueType[T], doc: str, *, unit: str = "", default: Any = None) -> Key[T]:
    return key(name, type, access=RO, doc=doc, only=_MAIN, unit=unit, default=default, monitored=True)


MAIN_METER_AVAILABLE = _of_main(
    "MainMeter.Available", Boolean(), "A meter measures what the station takes.", default=True
)
MAIN_METER_PROBLEM = _of_main("MainMeter.Problem", Boolean(), "The main meter cannot be read, or not be believed.")
MAIN_METER_SERIAL_NUMBER = _of_main("MainMeter.SerialNumber", NAME, "Serial number of the main meter.")
MAIN_METER_POWER = _of_main("MainMeter.Power", Decimal(), "Power that the station takes from the grid.", unit="W")
MAIN_METER_ENERGY_IMPORT_REGISTER = _of_main(
    "MainMeter.EnergyImportRegister", Decimal(), "Energy register of the main meter, from the grid.", unit="Wh"
)
MAIN_METER_ENERGY_EXPORT_REGISTER = _of_main(
    "MainMeter.EnergyExportRegister", Decimal(), "Energy register of the main meter, to the grid.", unit="Wh"
)
MAIN_METER_CURRENT = {
    phase: _of_main(f"ChargingStation.ACCurrent[L{phase}]", Decimal(), f"Current of the main meter in phase L{phase}.",
                    unit="A")
    for phase in (1, 2, 3)
}  # fmt: skip
MAIN_METER_VOLTAGE = {
    phase: _of_main(f"ChargingStation.ACVoltage[L{phase}]", Decimal(), f"Voltage of the main meter in phase L{phase}.",
                    unit="V")
    for phase in (1, 2, 3)
}  # fmt: skip
MAIN_METER: tuple[Key[Any], ...] = (
    MAIN_METER_AVAILABLE, MAIN_METER_PROBLEM, MAIN_METER_SERIAL_NUMBER, MAIN_METER_POWER,
    MAIN_METER_ENERGY_IMPORT_REGISTER, MAIN_METER_ENERGY_EXPORT_REGISTER,
    *MAIN_METER_CURRENT.values(), *MAIN_METER_VOLTAGE.values(),
)  # fmt: skip
"""What a station without a main meter does not have."""

# ------------------------------------------------------------------------------------------------ people

_SOCKET = "with a socket that locks"
LOCK_AVAILABLE = _fact(
    "ConnectorPlugRetentionLock.Available", Boolean(), "The plug can be locked.", only=_SOCKET, scope="connector",
    default=True,
)  # fmt: skip
LOCK_ENABLED = _fact(
    "ConnectorPlugRetentionLock.Enabled", Boolean(), "It cannot be switched off.", only=_SOCKET, scope="connector",
    default=True,
)  # fmt: skip
LOCK_ACTIVE = _fact(
    "ConnectorPlugRetentionLock.Active", Boolean(), "The plug is locked.", only=_SOCKET, scope="connector"
)
LOCK_PROBLEM = _fact(
    "ConnectorPlugRetentionLock.Problem", Boolean(), "The plug could not be locked or unlocked (G05).",
    only=_SOCKET, scope="connector",
)  # fmt: skip
TOKEN_READER_AVAILABLE = key(
    "TokenReader.Available",
    Boolean(),
    access=RO,
    default=True,
    doc="Cards can be read.",
)
TOKEN_READER_ENABLED = key(
    "TokenReader.Enabled",
    Boolean(),
    access=RW,
    default=True,
    doc="Read cards; false ignores them.",
)
TOKEN_READER_PROBLEM = key(
    "TokenReader.Problem",
    Boolean(),
    access=RO,
    default=False,
    monitored=True,
    doc="A card reader does not answer.",
)
_BAY = "with a parking bay detector"
BAY_AVAILABLE = _fact("BayOccupancySensor.Available", Boolean(), "The bay is watched.", only=_BAY, default=True)
BAY_ENABLED = _fact("BayOccupancySensor.Enabled", Boolean(), "It cannot be switched off.", only=_BAY, default=True)
BAY_ACTIVE = _fact("BayOccupancySensor.Active", Boolean(), "A vehicle stands in the bay.", only=_BAY)
EV_AVAILABLE = _fact("ConnectedEV.Available", Boolean(), "An EV is connected.", only=_BOARD)

# ------------------------------------------------------------------------------------------------ temperatures

_HOT = "that reports this temperature"
TEMPERATURE = {
    where: _fact(
        f"TemperatureSensor.Temperature[{where}]", Decimal(), f"Temperature: {where}.", only=_HOT, unit="Celsius"
    )
    for where in SENSORS
}

TEMPERATURE_ACTIVE = _fact(
    "TemperatureSensor.Active", Boolean(), "Too hot: charging is paused or slower.", only=_BOARD
)

# ------------------------------------------------------------------------------------------------ link

DATA_LINK_AVAILABLE = key(
    "DataLink.Available",
    Boolean(),
    access=RO,
    default=True,
    doc="A CSMS is configured.",
)
DATA_LINK_ENABLED = key(
    "DataLink.Enabled",
    Boolean(),
    access=RO,
    default=True,
    doc="The station connects by itself.",
)
DATA_LINK_ACTIVE = key(
    "DataLink.Active",
    Boolean(),
    access=RO,
    default=False,
    monitored=True,
    doc="Connected to the CSMS.",
)
DATA_LINK_PROBLEM = key(
    "DataLink.Problem",
    Boolean(),
    access=RO,
    default=False,
    monitored=True,
    doc="A CSMS is configured and not connected.",
)
