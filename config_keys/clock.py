"""ClockCtrlr: where the time comes from and how it is shown."""

from config_keys.key import RO, RW, key
from config_keys.types import DateTime, Integer, SequenceList, String

_OFFSET = String(max_len=6, pattern=r"[+-]([01][0-9]|2[0-3]):[0-5][0-9]", form="an offset such as +01:00")

DATE_TIME = key(
    "ClockCtrlr.DateTime",
    DateTime(),
    access=RO,
    doc="Time of the station now.",
)
TIME_SOURCE = key(
    "ClockCtrlr.TimeSource",
    SequenceList(("Heartbeat", "RealTimeClock"), min_items=1),
    access=RW,
    default="Heartbeat",
    doc="Sources of the time, the preferred one first; RealTimeClock is the clock of the board (and its NTP).",
)
TIME_OFFSET = key(
    "ClockCtrlr.TimeOffset",
    _OFFSET,
    access=RW,
    default="+00:00",
    doc="Offset of the displayed time from UTC; messages are always in UTC.",
)
TIME_OFFSET_NEXT_TRANSITION = key(
    "ClockCtrlr.TimeOffset[NextTransition]",
    _OFFSET,
    access=RW,
    default="",
    doc="Offset of the displayed time after the next change; empty when none is planned.",
)
NEXT_TIME_OFFSET_TRANSITION = key(
    "ClockCtrlr.NextTimeOffsetTransitionDateTime",
    DateTime(),
    access=RW,
    doc="When the offset of the displayed time changes next.",
)
TIME_ZONE = key(
    "ClockCtrlr.TimeZone",
    String(max_len=64, pattern=r"[A-Za-z0-9_+/-]+", form="a zone such as Europe/Berlin"),
    access=RW,
    default="Etc/UTC",
    doc="IANA time zone of the displayed time; not to be combined with TimeOffset.",
)
TIME_ADJUSTMENT_REPORTING_THRESHOLD = key(
    "ClockCtrlr.TimeAdjustmentReportingThreshold",
    Integer(min=0, max=86400),
    access=RW,
    unit="s",
    default=20,
    doc="Corrections of the clock by more than this are reported as a security event.",
)
