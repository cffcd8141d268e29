"""SmartChargingCtrlr: charging profiles and external limits."""

from config_keys.key import RO, RW, key
from config_keys.types import Boolean, Decimal, Integer, MemberList

ENABLED = key(
    "SmartChargingCtrlr.Enabled",
    Boolean(),
    access=RW,
    default=True,
    doc="Obey charging profiles.",
)
AVAILABLE = key(
    "SmartChargingCtrlr.Available",
    Boolean(),
    access=RO,
    default=True,
    doc="Whether this station knows charging profiles.",
)
AC_PHASE_SWITCHING_SUPPORTED = key(
    "SmartChargingCtrlr.ACPhaseSwitchingSupported",
    Boolean(),
    access=RO,
    default=False,
    scope="evse",
    aliases=("ChargeAmps ACPhaseSwitchingSupported",),
    doc="Whether the EVSE can choose the phase for single-phase charging.",
)
PROFILE_STACK_LEVEL = key(
    "SmartChargingCtrlr.ProfileStackLevel",
    Integer(min=0),
    access=RO,
    default=10,
    alias16="ChargeProfileMaxStackLevel",
    doc="Highest stackLevel of a charging profile.",
)
RATE_UNIT = key(
    "SmartChargingCtrlr.RateUnit",
    MemberList(("A", "W"), min_items=1),
    access=RO,
    default="A,W",
    alias16="ChargingScheduleAllowedChargingRateUnit",
    doc="Units in which a charging schedule may give its limits.",
)
PERIODS_PER_SCHEDULE = key(
    "SmartChargingCtrlr.PeriodsPerSchedule",
    Integer(min=1, max=1024),
    access=RO,
    default=100,
    alias16="ChargingScheduleMaxPeriods",
    doc="Most periods in one charging schedule.",
)
ENTRIES = key(
    "SmartChargingCtrlr.Entries[ChargingProfiles]",
    Integer(min=0, max=100),
    access=RO,
    default=0,
    alias16="MaxChargingProfilesInstalled",
    monitored=True,
    doc="Number of installed charging profiles.",
)
EXTERNAL_CONTROL_SIGNALS_ENABLED = key(
    "SmartChargingCtrlr.ExternalControlSignalsEnabled",
    Boolean(),
    access=RW,
    default=True,
    doc="Obey limits of an energy management system or grid operator.",
)
NOTIFY_CHARGING_LIMIT_WITH_SCHEDULES = key(
    "SmartChargingCtrlr.NotifyChargingLimitWithSchedules",
    Boolean(),
    access=RW,
    default=False,
    doc="Send the charging schedule with NotifyChargingLimit.",
)
PHASES_3_TO_1 = key(
    "SmartChargingCtrlr.Phases3to1",
    Boolean(),
    access=RO,
    default=False,
    alias16="ConnectorSwitch3to1PhaseSupported",
    doc="Whether this station can go from three phases to one during a transaction.",
)
LIMIT_CHANGE_SIGNIFICANCE = key(
    "SmartChargingCtrlr.LimitChangeSignificance",
    Decimal(min=0, max=100),
    access=RW,
    unit="Percent",
    default="1.0",
    doc="Changes of a limit by less than this are not notified.",
)
