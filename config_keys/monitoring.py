"""MonitoringCtrlr: monitors that the CSMS sets on variables."""

from config_keys.key import RO, RW, key
from config_keys.types import Boolean, Decimal, Integer, OptionList

ENABLED = key(
    "MonitoringCtrlr.Enabled",
    Boolean(),
    access=RW,
    default=True,
    doc="Report what monitors notice; hardware faults are reported all the same.",
)
AVAILABLE = key(
    "MonitoringCtrlr.Available",
    Boolean(),
    access=RO,
    default=True,
    doc="Whether this station knows monitors.",
)
ITEMS_PER_CLEAR = key(
    "MonitoringCtrlr.ItemsPerMessage[ClearVariableMonitoring]",
    Integer(min=1),
    access=RO,
    default=50,
    doc="Most ids in one ClearVariableMonitoring.",
)
ITEMS_PER_SET = key(
    "MonitoringCtrlr.ItemsPerMessage[SetVariableMonitoring]",
    Integer(min=1),
    access=RO,
    default=50,
    doc="Most elements in one SetVariableMonitoring.",
)
BYTES_PER_CLEAR = key(
    "MonitoringCtrlr.BytesPerMessage[ClearVariableMonitoring]",
    Integer(min=1),
    access=RO,
    default=65000,
    doc="Greatest size in bytes of a ClearVariableMonitoring.",
)
BYTES_PER_SET = key(
    "MonitoringCtrlr.BytesPerMessage[SetVariableMonitoring]",
    Integer(min=1),
    access=RO,
    default=65000,
    doc="Greatest size in bytes of a SetVariableMonitoring.",
)
OFFLINE_QUEUING_SEVERITY = key(
    "MonitoringCtrlr.OfflineQueuingSeverity",
    Integer(min=0, max=9),
    access=RW,
    default=4,
    doc="While offline, events up to this severity number are kept; 0 is the most severe.",
)
ACTIVE_MONITORING_BASE = key(
    "MonitoringCtrlr.ActiveMonitoringBase",
    OptionList(("All", "FactoryDefault", "HardWiredOnly")),
    access=RO,
    default="All",
    persistent=True,
    doc="Set of monitors in force, chosen by SetMonitoringBase.",
)
ACTIVE_MONITORING_LEVEL = key(
    "MonitoringCtrlr.ActiveMonitoringLevel",
    Integer(min=0, max=9),
    access=RO,
    default=9,
    persistent=True,
    doc="Highest severity number that is reported, chosen by SetMonitoringLevel.",
)
ENTRIES = key(
    "MonitoringCtrlr.Entries",
    Integer(min=0, max=200),
    access=RO,
    default=0,
    standard=False,
    doc="Custom monitors that are set; the upper limit is how many there can be.",
)
EVENT_INTERVAL = key(
    "MonitoringCtrlr.EventInterval",
    Integer(min=0, max=3600),
    access=RW,
    unit="s",
    default=5,
    standard=False,
    doc="Least time between two events of one monitor that is not periodic; what it missed in between it tells after.",
)
HYSTERESIS = key(
    "MonitoringCtrlr.Hysteresis",
    Decimal(min=0, max=50),
    access=RW,
    unit="Percent",
    default=1,
    standard=False,
    doc="Part of a threshold by which a value must be back inside to be cleared at once; else after a minute inside.",
)
