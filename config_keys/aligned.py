"""AlignedDataCtrlr: meter values at fixed times of the day."""

from config_keys.key import RO, RW, key
from config_keys.sampled import MEASURANDS as KNOWN_MEASURANDS
from config_keys.types import Boolean, Integer

ENABLED = key(
    "AlignedDataCtrlr.Enabled",
    Boolean(),
    access=RW,
    default=True,
    doc="Send clock-aligned meter values.",
)
AVAILABLE = key(
    "AlignedDataCtrlr.Available",
    Boolean(),
    access=RO,
    default=True,
    doc="Whether this station can send clock-aligned meter values.",
)
MEASURANDS = key(
    "AlignedDataCtrlr.Measurands",
    KNOWN_MEASURANDS,
    access=RW,
    default="Energy.Active.Import.Register",
    alias16="MeterValuesAlignedData",
    doc="Measurands that are sent at each aligned moment.",
)
INTERVAL = key(
    "AlignedDataCtrlr.Interval",
    Integer(min=0, max=86400),
    access=RW,
    unit="s",
    default=900,
    alias16="ClockAlignedDataInterval",
    doc="Time between aligned moments, counted from midnight UTC; 0 sends nothing.",
)
SEND_DURING_IDLE = key(
    "AlignedDataCtrlr.SendDuringIdle",
    Boolean(),
    access=RW,
    default=False,
    doc="Send aligned meter values only while no transaction runs.",
)
SIGN_READINGS = key(
    "AlignedDataCtrlr.SignReadings",
    Boolean(),
    access=RW,
    default=False,
    doc="Send signed clock-aligned meter values.",
)
SIGN_UPDATED_READINGS = key(
    "AlignedDataCtrlr.SignUpdatedReadings",
    Boolean(),
    access=RW,
    default=False,
    doc="With SignReadings: sign the aligned meter values of Updated events.",
)
TX_ENDED_MEASURANDS = key(
    "AlignedDataCtrlr.TxEndedMeasurands",
    KNOWN_MEASURANDS,
    access=RW,
    default="",
    alias16="StopTxnAlignedData",
    doc="Aligned measurands in the event that ends a transaction.",
)
TX_ENDED_INTERVAL = key(
    "AlignedDataCtrlr.TxEndedInterval",
    Integer(min=0, max=86400),
    access=RW,
    unit="s",
    default=0,
    doc="Time between the aligned values in the event that ends a transaction; 0 gives none.",
)
