"""MonitoringCtrlr: monitors that the CSMS sets on variables."""

from config_keys.key import RO, RW, key
from config_keys.types import Boolean, Integer, OptionList

ENABLED = key(
    "MonitoringCtrlr.Enabled",
    Boolean(),
    access=RW,
    default=True,
    doc="Report what monitors notice.",
)
AVAILABLE = key(
    "MonitoringCtrlr.Available",
    Boolean(),
    access=RO,
    default=False,
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
