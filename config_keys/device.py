"""DeviceDataCtrlr: how much fits in one message about variables."""

from config_keys.key import RO, RW, key
from config_keys.types import Integer

ITEMS_PER_GET_REPORT = key(
    "DeviceDataCtrlr.ItemsPerMessage[GetReport]",
    Integer(min=1),
    access=RO,
    default=50,
    doc="Most component variables in one GetReport or GetMonitoringReport.",
)
ITEMS_PER_GET_VARIABLES = key(
    "DeviceDataCtrlr.ItemsPerMessage[GetVariables]",
    Integer(min=1),
    access=RO,
    default=50,
    alias16="GetConfigurationMaxKeys",
    doc="Most elements in one GetVariables.",
)
ITEMS_PER_SET_VARIABLES = key(
    "DeviceDataCtrlr.ItemsPerMessage[SetVariables]",
    Integer(min=1),
    access=RO,
    default=50,
    doc="Most elements in one SetVariables.",
)
BYTES_PER_GET_REPORT = key(
    "DeviceDataCtrlr.BytesPerMessage[GetReport]",
    Integer(min=1),
    access=RO,
    default=65000,
    doc="Greatest size in bytes of a GetReport or GetMonitoringReport.",
)
BYTES_PER_GET_VARIABLES = key(
    "DeviceDataCtrlr.BytesPerMessage[GetVariables]",
    Integer(min=1),
    access=RO,
    default=65000,
    doc="Greatest size in bytes of a GetVariables.",
)
BYTES_PER_SET_VARIABLES = key(
    "DeviceDataCtrlr.BytesPerMessage[SetVariables]",
    Integer(min=1),
    access=RO,
    default=65000,
    doc="Greatest size in bytes of a SetVariables.",
)
ITEMS_PER_NOTIFY_REPORT = key(
    "DeviceDataCtrlr.ItemsPerMessage[NotifyReport]",
    Integer(min=1, max=200),
    access=RW,
    default=50,
    standard=False,
    doc="Most variables in one page of a report that this station sends.",
)
BYTES_PER_NOTIFY_REPORT = key(
    "DeviceDataCtrlr.BytesPerMessage[NotifyReport]",
    Integer(min=1000, max=65000),
    access=RW,
    unit="B",
    default=16000,
    standard=False,
    doc="Size of the rows in one page of a report, unless a single row is longer.",
)
CONFIGURATION_VALUE_SIZE = key(
    "DeviceDataCtrlr.ConfigurationValueSize",
    Integer(min=1, max=1000),
    access=RO,
    default=1000,
    doc="Greatest length of a value in SetVariables and of a list of allowed values.",
)
REPORTING_VALUE_SIZE = key(
    "DeviceDataCtrlr.ReportingValueSize",
    Integer(min=1, max=2500),
    access=RO,
    default=2500,
    doc="Greatest length of a value that is reported.",
)
