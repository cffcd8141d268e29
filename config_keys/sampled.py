"""SampledDataCtrlr: meter values of transactions."""

from config_keys.key import RO, RW, key
from config_keys.types import Boolean, Integer, MemberList

MEASURANDS = MemberList(
    (
        "Current.Import",
        "Current.Export",
        "Current.Offered",
        "Energy.Active.Import.Register",
        "Energy.Active.Export.Register",
        "Energy.Active.Import.Interval",
        "Energy.Active.Export.Interval",
        "Frequency",
        "Power.Active.Import",
        "Power.Active.Export",
        "Power.Factor",
        "Power.Offered",
        "SoC",
        "Voltage",
    )
)
"""What some meter or EV can tell; the station narrows it to what its own can."""

ENABLED = key(
    "SampledDataCtrlr.Enabled",
    Boolean(),
    access=RW,
    default=True,
    doc="Send sampled meter values.",
)
AVAILABLE = key(
    "SampledDataCtrlr.Available",
    Boolean(),
    access=RO,
    default=True,
    doc="Whether this station can send sampled meter values.",
)
SIGN_READINGS = key(
    "SampledDataCtrlr.SignReadings",
    Boolean(),
    access=RW,
    default=False,
    doc="Send signed meter values with transaction events.",
)
SIGN_STARTED_READINGS = key(
    "SampledDataCtrlr.SignStartedReadings",
    Boolean(),
    access=RW,
    default=False,
    doc="With SignReadings: sign the meter values of the first transaction event.",
)
SIGN_UPDATED_READINGS = key(
    "SampledDataCtrlr.SignUpdatedReadings",
    Boolean(),
    access=RW,
    default=False,
    doc="With SignReadings: sign the meter values of Updated events.",
)
TX_STARTED_MEASURANDS = key(
    "SampledDataCtrlr.TxStartedMeasurands",
    MEASURANDS,
    access=RW,
    default="Energy.Active.Import.Register",
    doc="Measurands in the event that starts a transaction.",
)
TX_UPDATED_MEASURANDS = key(
    "SampledDataCtrlr.TxUpdatedMeasurands",
    MEASURANDS,
    access=RW,
    default="Energy.Active.Import.Register,Power.Active.Import,Current.Import,Voltage",
    alias16="MeterValuesSampledData",
    aliases=("EVBox evb_SupportedMeasurands",),
    doc="Measurands in the periodic events of a transaction.",
)
TX_UPDATED_INTERVAL = key(
    "SampledDataCtrlr.TxUpdatedInterval",
    Integer(min=0, max=86400),
    access=RW,
    unit="s",
    default=60,
    alias16="MeterValueSampleInterval",
    doc="Time between the periodic events of a transaction; 0 sends none.",
)
TX_ENDED_MEASURANDS = key(
    "SampledDataCtrlr.TxEndedMeasurands",
    MEASURANDS,
    access=RW,
    default="Energy.Active.Import.Register",
    alias16="StopTxnSampledData",
    doc="Measurands in the event that ends a transaction.",
)
TX_ENDED_INTERVAL = key(
    "SampledDataCtrlr.TxEndedInterval",
    Integer(min=0, max=86400),
    access=RW,
    unit="s",
    default=0,
    doc="Time between the samples in the event that ends a transaction; 0 gives only the first and the last.",
)
REGISTER_VALUES_WITHOUT_PHASES = key(
    "SampledDataCtrlr.RegisterValuesWithoutPhases",
    Boolean(),
    access=RW,
    default=True,
    doc="Report energy registers as a total only, not per phase.",
)
