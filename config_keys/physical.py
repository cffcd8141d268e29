"""ChargingStation, EVSE, Connector and what is built into them."""

from config_keys.key import RO, RW, key
from config_keys.types import Boolean, Decimal, Integer, OptionList, String

AVAILABILITY = OptionList(("Available", "Occupied", "Reserved", "Unavailable", "Faulted"))
ROTATION = String(max_len=3, pattern="[RSTx]{3}", form="three letters of R, S, T and x such as RST")
PHASES = Integer(min=0, max=3)

STATION_AVAILABLE = key(
    "ChargingStation.Available",
    Boolean(),
    access=RO,
    default=True,
    doc="The station exists and is configured.",
)
STATION_ENABLED = key(
    "ChargingStation.Enabled",
    Boolean(),
    access=RO,
    default=True,
    monitored=True,
    doc="The station is operative (ChangeAvailability).",
)
STATION_TRIPPED = key(
    "ChargingStation.Tripped",
    Boolean(),
    access=RO,
    default=False,
    monitored=True,
    doc="Something is latched that only a person on site can clear.",
)
STATION_POWER = key(
    "ChargingStation.Power",
    Decimal(),
    access=RO,
    unit="W",
    monitored=True,
    doc="Power that all EVSEs deliver now; empty while a meter is silent.",
)
STATION_AVAILABILITY_STATE = key(
    "ChargingStation.AvailabilityState",
    AVAILABILITY,
    access=RO,
    default="Available",
    monitored=True,
    doc="Availability of the whole station.",
)
STATION_PROBLEM = key(
    "ChargingStation.Problem",
    Boolean(),
    access=RO,
    default=False,
    monitored=True,
    doc="Something in the station impairs normal operation.",
)
STATION_SUPPLY_PHASES = key(
    "ChargingStation.SupplyPhases",
    PHASES,
    access=RO,
    default=3,
    doc="Phases of the mains that are connected to the station; 0 for DC.",
)
STATION_PHASE_ROTATION = key(
    "ChargingStation.PhaseRotation",
    ROTATION,
    access=RO,
    default="RST",
    locked="How it is wired is told by the installer in board.toml.",
    alias16="ConnectorPhaseRotation",
    doc="Phases of the grid that are wired to L1, L2 and L3 of the station.",
)
ALLOW_NEW_SESSIONS_PENDING_FIRMWARE_UPDATE = key(
    "ChargingStation.AllowNewSessionsPendingFirmwareUpdate",
    Boolean(),
    access=RW,
    default=False,
    doc="Let new sessions start while a firmware update waits for the station to be idle.",
)
MODEL = key(
    "ChargingStation.Model",
    String(max_len=20),
    access=RO,
    doc="Model, as in BootNotification.",
)
VENDOR_NAME = key(
    "ChargingStation.VendorName",
    String(max_len=50),
    access=RO,
    doc="Vendor, as in BootNotification.",
)
SERIAL_NUMBER = key(
    "ChargingStation.SerialNumber",
    String(max_len=25),
    access=RO,
    doc="Serial number, as in BootNotification.",
)
FIRMWARE_VERSION = key(
    "ChargingStation.FirmwareVersion",
    String(max_len=50),
    access=RO,
    doc="Firmware version, as in BootNotification.",
)

EVSE_AVAILABLE = key(
    "EVSE.Available",
    Boolean(),
    access=RO,
    default=True,
    scope="evse",
    doc="The EVSE exists and is configured.",
)
EVSE_ENABLED = key(
    "EVSE.Enabled",
    Boolean(),
    access=RO,
    default=True,
    scope="evse",
    monitored=True,
    doc="The EVSE is operative (ChangeAvailability).",
)
EVSE_TRIPPED = key(
    "EVSE.Tripped",
    Boolean(),
    access=RO,
    default=False,
    scope="evse",
    monitored=True,
    doc="Something is latched that only a person on site can clear.",
)
EVSE_AVAILABILITY_STATE = key(
    "EVSE.AvailabilityState",
    AVAILABILITY,
    access=RO,
    default="Available",
    scope="evse",
    monitored=True,
    doc="Availability of the EVSE.",
)
EVSE_PROBLEM = key(
    "EVSE.Problem",
    Boolean(),
    access=RO,
    default=False,
    scope="evse",
    monitored=True,
    doc="Something in the EVSE impairs normal operation.",
)
ALLOW_RESET = key(
    "EVSE.AllowReset",
    Boolean(),
    access=RO,
    default=True,
    scope="evse",
    doc="Whether the EVSE can be reset alone.",
)
EVSE_SUPPLY_PHASES = key(
    "EVSE.SupplyPhases",
    PHASES,
    access=RO,
    default=3,
    scope="evse",
    doc="Phases that are connected to the EVSE; 0 for DC.",
)
EVSE_PHASE_ROTATION = key(
    "EVSE.PhaseRotation",
    ROTATION,
    access=RO,
    default="RST",
    scope="evse",
    locked="How it is wired is told by the installer in board.toml.",
    doc="Phases of the grid that are wired to L1, L2 and L3 of the EVSE.",
)
POWER = key(
    "EVSE.Power",
    Decimal(min=0),
    access=RO,
    unit="W",
    scope="evse",
    monitored=True,
    doc="Power that the EVSE delivers now; its upper limit is the rating.",
)
AC_CURRENT_L1 = key(
    "EVSE.ACCurrent[L1]",
    Decimal(),
    access=RO,
    unit="A",
    scope="evse",
    monitored=True,
    doc="Current in phase L1 of the EVSE.",
)
AC_CURRENT_L2 = key(
    "EVSE.ACCurrent[L2]",
    Decimal(),
    access=RO,
    unit="A",
    scope="evse",
    monitored=True,
    doc="Current in phase L2 of the EVSE.",
)
AC_CURRENT_L3 = key(
    "EVSE.ACCurrent[L3]",
    Decimal(),
    access=RO,
    unit="A",
    scope="evse",
    monitored=True,
    doc="Current in phase L3 of the EVSE.",
)
AC_VOLTAGE_L1 = key(
    "EVSE.ACVoltage[L1]",
    Decimal(),
    access=RO,
    unit="V",
    scope="evse",
    monitored=True,
    doc="Voltage of phase L1 at the EVSE.",
)
AC_VOLTAGE_L2 = key(
    "EVSE.ACVoltage[L2]",
    Decimal(),
    access=RO,
    unit="V",
    scope="evse",
    monitored=True,
    doc="Voltage of phase L2 at the EVSE.",
)
AC_VOLTAGE_L3 = key(
    "EVSE.ACVoltage[L3]",
    Decimal(),
    access=RO,
    unit="V",
    scope="evse",
    monitored=True,
    doc="Voltage of phase L3 at the EVSE.",
)
CURRENT_IMBALANCE = key(
    "EVSE.CurrentImbalance",
    Decimal(min=0),
    access=RO,
    unit="Percent",
    scope="evse",
    monitored=True,
    only="with a meter of three phases",
    doc="Greatest deviation of a phase current from their mean, in percent of the mean.",
)
VOLTAGE_IMBALANCE = key(
    "EVSE.VoltageImbalance",
    Decimal(min=0),
    access=RO,
    unit="Percent",
    scope="evse",
    monitored=True,
    only="with a meter of three phases",
    doc="Greatest deviation of a phase voltage from their mean, in percent of the mean.",
)
ISO15118_EVSE_ID = key(
    "EVSE.ISO15118EvseId",
    String(max_len=37),
    access=RW,
    default="",
    scope="evse",
    only="where the EVSE speaks ISO 15118",
    doc="Name of the EVSE for drivers and roaming (IEC 63119-2).",
)

CONNECTOR_AVAILABLE = key(
    "Connector.Available",
    Boolean(),
    access=RO,
    default=True,
    scope="connector",
    doc="The connector exists and is configured.",
)
CONNECTOR_ENABLED = key(
    "Connector.Enabled",
    Boolean(),
    access=RO,
    default=True,
    scope="connector",
    monitored=True,
    doc="The connector is operative (ChangeAvailability).",
)
CONNECTOR_TRIPPED = key(
    "Connector.Tripped",
    Boolean(),
    access=RO,
    default=False,
    scope="connector",
    monitored=True,
    doc="Something is latched that only a person on site can clear.",
)
CONNECTOR_AVAILABILITY_STATE = key(
    "Connector.AvailabilityState",
    AVAILABILITY,
    access=RO,
    default="Available",
    scope="connector",
    monitored=True,
    doc="Status of the connector, as in StatusNotification.",
)
CONNECTOR_PROBLEM = key(
    "Connector.Problem",
    Boolean(),
    access=RO,
    default=False,
    scope="connector",
    monitored=True,
    doc="Something in the connector impairs normal operation.",
)
CONNECTOR_TYPE = key(
    "Connector.ConnectorType",
    String(max_len=20),
    access=RO,
    default="cType2",
    scope="connector",
    doc="Kind of plug or socket.",
)
CONNECTOR_SUPPLY_PHASES = key(
    "Connector.SupplyPhases",
    PHASES,
    access=RO,
    default=3,
    scope="connector",
    doc="Phases that are connected to the connector; 0 for DC.",
)
CHARGE_PROTOCOL = key(
    "Connector.ChargeProtocol",
    String(max_len=20),
    access=RO,
    default="CPPWM",
    scope="connector",
    doc="How the connector agrees with the EV on the current.",
)
