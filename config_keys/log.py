"""LogCtrlr: what the agent writes down of its decisions, and how much of it is kept (docs/diagnostics.md)."""

from config_keys.key import RW, Key, key
from config_keys.types import Boolean, Integer, OptionList

LEVELS = ("Debug", "Info", "Warning", "Error")


def _level(subsystem: str, what: str) -> Key[str]:
    return key(
        f"LogCtrlr.Level[{subsystem}]",
        OptionList(LEVELS),
        access=RW,
        default="Debug",
        doc=f"Least gravity of lines about {what} that are written down.",
    )


LEVEL_LINK = _level("Link", "the connection, registration, frames, reports and the clock")
LEVEL_CHARGING = _level("Charging", "sessions, cards, contactors, locks, reservations and costs")
LEVEL_LIMITS = _level("Limits", "limits and phases")
LEVEL_HARDWARE = _level("Hardware", "devices, meters and faults")
LEVEL_STATION = _level("Station", "settings, security, firmware, resets, the store and all else")
MAX_BYTES = key(
    "LogCtrlr.MaxBytes",
    Integer(min=100_000, max=20_000_000),
    access=RW,
    unit="B",
    default=1_048_576,
    reboot=True,
    doc="Room on flash for the station's log (frames and decisions), packed; the oldest lines go first.",
)
REDACT = key(
    "LogCtrlr.Redact",
    Boolean(),
    access=RW,
    default=True,
    reboot=True,
    doc="Write an alias instead of each id token into the log and its uploads; secrets are never written.",
)
