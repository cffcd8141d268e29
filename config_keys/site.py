"""Our own variables: limits, fallback, recovery, free charging, safety and what the site needs."""

from config_keys.key import RO, RW, key
from config_keys.types import Boolean, Decimal, Integer, OptionList, String

AMPS = Decimal(min=0, max=80)
"""Current per phase."""

# ------------------------------------------------------------------------------------------------ fallback

FALLBACK_MODE = key(
    "FallbackCtrlr.Mode",
    OptionList(("KeepProfile", "Reduce", "Pause")),
    access=RW,
    default="KeepProfile",
    aliases=("go-e ocppf", "IgnoredProfilePurposesOffline"),
    doc="While the CSMS is unreachable: keep live profiles, reduce to OfflineLimit, or pause charging.",
)
OFFLINE_GRACE = key(
    "FallbackCtrlr.OfflineGrace",
    Integer(min=0, max=86400),
    access=RW,
    unit="s",
    default=300,
    aliases=("KEBA failsafe timeout",),
    doc="Silence of the CSMS after which Mode takes effect.",
)
OFFLINE_LIMIT = key(
    "FallbackCtrlr.OfflineLimit",
    AMPS,
    access=RW,
    unit="A",
    default=6,
    aliases=("Alfen safe current", "KEBA failsafe current"),
    doc="Current offered per phase while the CSMS is unreachable; 0 pauses charging.",
)
BOOT_LIMIT = key(
    "FallbackCtrlr.BootLimit",
    AMPS,
    access=RW,
    unit="A",
    default=6,
    doc="Current offered per phase after a start until limits are known; 0 pauses charging.",
)
DEVICE_FAILSAFE = key(
    "FallbackCtrlr.DeviceFailsafe",
    AMPS,
    access=RW,
    unit="A",
    default=6,
    doc="Current the device falls to by itself when it no longer hears from us in an authorised transaction.",
)
METER_SILENT_GRACE = key(
    "FallbackCtrlr.MeterSilentGrace",
    Integer(min=5, max=3600),
    access=RW,
    unit="s",
    default=10,
    doc="Silence of a meter after which MeterLostAction takes effect; it is noticed after 5 s at the earliest.",
)
METER_LOST_LIMIT = key(
    "FallbackCtrlr.MeterLostLimit",
    AMPS,
    access=RW,
    unit="A",
    default=6,
    doc="Current offered per phase while the meter is silent; 0 pauses charging.",
)

# ------------------------------------------------------------------------------------------------ limits

INSTALLATION_MAX_CURRENT = key(
    "LimitCtrlr.InstallationMaxCurrent",
    AMPS,
    access=RW,
    unit="A",
    default=63,
    doc="Current per phase that the installation allows this station in total.",
)
EVSE_MAX_CURRENT = key(
    "LimitCtrlr.EvseMaxCurrent",
    AMPS,
    access=RW,
    unit="A",
    default=80,
    scope="evse",
    aliases=("Grizzl-E MaxCurrent", "KEBA DIP"),
    doc="Current per phase that the EVSE may offer; the hardware's own limit always holds as well.",
)
EV_MINIMUM = key(
    "LimitCtrlr.EvMinimumCurrent",
    Decimal(min=6, max=80),
    access=RO,
    unit="A",
    default=6,
    locked="IEC 61851-1 knows no current below 6 A.",
    doc="Least current that can be offered to an EV; anything below it is a pause.",
)
INCREASE_SPACING = key(
    "LimitCtrlr.IncreaseSpacing",
    Integer(min=1, max=3600),
    access=RW,
    unit="s",
    default=5,
    doc="Least time between two increases of the offered current; decreases go out at once.",
)
HARDWARE_MAX_CURRENT = key(
    "LimitCtrlr.HardwareMaxCurrent",
    AMPS,
    access=RO,
    unit="A",
    scope="evse",
    locked="The nameplate of the hardware is given in board.toml by the installer.",
    doc="Current per phase that the hardware of the EVSE can carry.",
)
EFFECTIVE_LIMIT = key(
    "LimitCtrlr.EffectiveLimit",
    Decimal(min=0),
    access=RO,
    unit="A",
    scope="evse",
    monitored=True,
    doc="Lowest limit in force, the current per phase that is offered; 0 is a pause.",
)
EFFECTIVE_LIMIT_REASON = key(
    "LimitCtrlr.EffectiveLimitReason",
    String(max_len=100),
    access=RO,
    scope="evse",
    monitored=True,
    doc="Who set the lowest limit in force.",
)

# ------------------------------------------------------------------------------------------------ recovery

RESUME_TRANSACTIONS_ON_BOOT = key(
    "RecoveryCtrlr.ResumeTransactionsOnBoot",
    Boolean(),
    access=RW,
    default=True,
    aliases=("EVerest ResumeTransactionsOnBoot",),
    doc="After a power cut go on with the transaction; false ends it.",
)
RESUME_TIMEOUT = key(
    "RecoveryCtrlr.ResumeTimeout",
    Integer(min=0, max=86400),
    access=RW,
    unit="s",
    default=300,
    doc="Longest absence after which a transaction goes on; without a clock it waits for one so long, unpowered.",
)
STAGGER_RANDOM_RANGE = key(
    "RecoveryCtrlr.StaggerRandomRange",
    Integer(min=0, max=1800),
    access=RW,
    unit="s",
    default=0,
    doc="After a power return charging waits a random time up to this; 0: no wait.",
)
SEPARATE_BY = key(
    "OperatorCtrlr.SeparateBy",
    OptionList(("Host", "Domain", "Nothing")),
    access=RW,
    default="Host",
    doc="CSMSs of one host (or domain) belong to one operator; each has its own events, lists, profiles and messages.",
)
LEFT_DATA = key(
    "OperatorCtrlr.LeftData",
    OptionList(("Keep", "Drop")),
    access=RW,
    default="Keep",
    doc="What another operator has left is kept until its CSMS is back, or dropped once a new one accepts the station.",
)
QUARANTINED_KEYS = key(
    "RecoveryCtrlr.QuarantinedKeys",
    String(max_len=1000),
    access=RO,
    default="",
    monitored=True,
    doc="Keys whose new value was taken back at this start, because starts kept failing with it.",
)
KEPT_TRANSACTIONS = key(
    "RecoveryCtrlr.KeptTransactions",
    Integer(min=0, max=100_000),
    access=RW,
    default=1000,
    doc="Ended transactions that are kept on the station; one with undelivered events stays in any case.",
)
KEPT_DAYS = key(
    "RecoveryCtrlr.KeptDays",
    Integer(min=0, max=3650),
    access=RW,
    default=0,
    doc="Days for which an ended transaction is kept at most; 0: as long as there is room.",
)
KEPT_SET_ASIDE = key(
    "RecoveryCtrlr.KeptSetAside",
    Integer(min=0, max=100_000),
    access=RW,
    default=1000,
    doc="Events that the CSMS never took and that are kept on the station.",
)
OUTBOX_LIMIT = key(
    "RecoveryCtrlr.MaxQueuedEvents",
    Integer(min=100, max=1_000_000),
    access=RW,
    default=20_000,
    doc="Most transaction events kept while offline; then Updated events are thinned, no Started or Ended.",
)

EVENTS_SET_ASIDE = key(
    "RecoveryCtrlr.EventsSetAside",
    Integer(min=0),
    access=RO,
    default=0,
    monitored=True,
    doc="Transaction events that the CSMS never took and that are kept.",
)

# ------------------------------------------------------------------------------------------------ people

FREE_CHARGING = key(
    "FreeCharging.Enabled",
    Boolean(),
    access=RW,
    default=False,
    aliases=("autostart",),
    doc="Authorize every EV when it is plugged in.",
)
FREE_CHARGING_ID_TOKEN = key(
    "FreeCharging.IdToken",
    String(max_len=36),
    access=RW,
    default="",
    aliases=("Alfen PlugAndChargeIdentifier",),
    doc="Id token in the transactions of free charging; empty for type NoAuthorization.",
)
START_BUTTON = key(
    "FreeCharging.StartButton",
    Boolean(),
    access=RW,
    default=False,
    doc="Let the start button of an EVSE authorize without any token (type NoAuthorization).",
)
RFID_BYTE_ORDER = key(
    "RfidCtrlr.ByteOrder",
    OptionList(("AsRead", "Reversed")),
    access=RW,
    default="AsRead",
    doc="Order in which the bytes of a card's UID are told; some operators know their cards by the reversed one.",
)
RFID_CASE = key(
    "RfidCtrlr.Case",
    OptionList(("Upper", "Lower")),
    access=RW,
    default="Upper",
    doc="Letters in which a card's UID is told.",
)
RFID_DEBOUNCE = key(
    "RfidCtrlr.Debounce",
    Integer(min=0, max=60),
    access=RW,
    unit="s",
    default=3,
    doc="Time in which the same card at the same reader counts once.",
)

# ------------------------------------------------------------------------------------------------ safety

CONTACTOR_TRAVEL = key(
    "SafetyCtrlr.ContactorTravelTime",
    Decimal(min=0, max=10),
    access=RO,
    unit="s",
    default=2,
    locked="Given by the contactor; a longer time would hide a welded one.",
    doc="Time for the contactor's feedback to follow a command before it counts as failed or welded.",
)
STOP_PATIENCE = key(
    "SafetyCtrlr.StopPatience",
    Integer(min=0, max=30),
    access=RW,
    unit="s",
    default=6,
    doc="Time for the EV to stop drawing current after 0 A was signalled, before the contactor opens.",
)
