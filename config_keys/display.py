"""DisplayMessageCtrlr: messages of the CSMS on the display."""

from config_keys.key import RO, RW, key
from config_keys.types import Boolean, Integer, MemberList

ENABLED = key(
    "DisplayMessageCtrlr.Enabled",
    Boolean(),
    access=RW,
    default=True,
    doc="Show messages of the CSMS.",
)
AVAILABLE = key(
    "DisplayMessageCtrlr.Available",
    Boolean(),
    access=RO,
    default=False,
    doc="Whether this station can show messages of the CSMS.",
)
DISPLAY_MESSAGES = key(
    "DisplayMessageCtrlr.DisplayMessages",
    Integer(min=0, max=50),
    access=RO,
    default=0,
    doc="Number of messages that are configured.",
)
SUPPORTED_FORMATS = key(
    "DisplayMessageCtrlr.SupportedFormats",
    MemberList(("ASCII", "HTML", "URI", "UTF8")),
    access=RO,
    default="ASCII,UTF8",
    doc="Formats of messages that can be shown.",
)
SUPPORTED_PRIORITIES = key(
    "DisplayMessageCtrlr.SupportedPriorities",
    MemberList(("AlwaysFront", "InFront", "NormalCycle")),
    access=RO,
    default="AlwaysFront,InFront,NormalCycle",
    doc="Priorities that a message may have.",
)
PERSONAL_MESSAGE_SIZE = key(
    "DisplayMessageCtrlr.PersonalMessageSize",
    Integer(min=0, max=512),
    access=RO,
    default=512,
    doc="Most characters of a message that belongs to an id token.",
)
