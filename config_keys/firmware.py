"""FwCtrlr: firmware updates."""

from config_keys.key import RO, RW, key
from config_keys.types import HOURS, Boolean, Integer, String

SIGNED_ONLY = key(
    "FwCtrlr.SignedOnly",
    Boolean(),
    access=RO,
    default=True,
    doc="Only firmware that the manufacturer has signed is taken (L01); false takes unsigned firmware, too (L02).",
)
ALLOW_DOWNGRADE = key(
    "FwCtrlr.AllowDowngrade",
    Boolean(),
    access=RO,
    default=False,
    doc="Take firmware with a lower version than the one that runs.",
)
HEALTH_GATE = key(
    "FwCtrlr.HealthGate",
    Integer(min=10, max=86400),
    access=RW,
    unit="s",
    default=600,
    doc="Time that new firmware has to be accepted by the CSMS, with its hardware alive, before it is taken back.",
)
WINDOW = key(
    "FwCtrlr.Window",
    HOURS,
    access=RW,
    default="",
    doc="Hours (UTC) in which firmware of the CSMS is installed, once the clock is known; empty: always.",
)
RETRIES = key(
    "FwCtrlr.Retries",
    Integer(min=0, max=100),
    access=RW,
    default=2,
    doc="Further attempts to fetch a file when the CSMS leaves their number to the station.",
)
RETRY_INTERVAL = key(
    "FwCtrlr.RetryInterval",
    Integer(min=1, max=86400),
    access=RW,
    unit="s",
    default=30,
    doc="Wait between them when the CSMS leaves it to the station.",
)
SIZE_LIMIT = key(
    "FwCtrlr.SizeLimit",
    Integer(min=1, max=1_000_000_000),
    access=RO,
    unit="B",
    default=300_000_000,
    doc="Greatest size of a firmware file.",
)
FETCH_LIMIT = key(
    "FwCtrlr.FetchLimit",
    Integer(min=10, max=86400),
    access=RW,
    unit="s",
    default=3600,
    doc="Longest time that one attempt to fetch a file may take.",
)
STATUS = key(
    "FwCtrlr.Status",
    String(max_len=50),
    access=RO,
    default="Idle",
    monitored=True,
    doc="The last FirmwareStatusNotification status; it outlives a restart.",
)
REQUEST_ID = key(
    "FwCtrlr.RequestId",
    String(max_len=20),
    access=RO,
    doc="The requestId of the last update; none when it was started at the station.",
)
REASON = key(
    "FwCtrlr.Reason",
    String(max_len=500),
    access=RO,
    doc="Why the last update failed, in plain words.",
)
