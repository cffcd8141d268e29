"""LocalAuthListCtrlr: the list of tokens that the CSMS sends down."""

from config_keys.key import RO, RW, key
from config_keys.types import Boolean, Integer

ENABLED = key(
    "LocalAuthListCtrlr.Enabled",
    Boolean(),
    access=RW,
    default=True,
    alias16="LocalAuthListEnabled",
    aliases=("white list",),
    doc="Use the local authorization list.",
)
AVAILABLE = key(
    "LocalAuthListCtrlr.Available",
    Boolean(),
    access=RO,
    default=True,
    doc="Whether this station has a local authorization list.",
)
ENTRIES = key(
    "LocalAuthListCtrlr.Entries",
    Integer(min=0, max=10_000),
    access=RO,
    default=0,
    alias16="LocalAuthListMaxLength",
    doc="Number of tokens in the list.",
)
ITEMS_PER_MESSAGE = key(
    "LocalAuthListCtrlr.ItemsPerMessage",
    Integer(min=1),
    access=RO,
    default=100,
    alias16="SendLocalListMaxLength",
    doc="Most entries in one SendLocalList.",
)
BYTES_PER_MESSAGE = key(
    "LocalAuthListCtrlr.BytesPerMessage",
    Integer(min=1),
    access=RO,
    default=65000,
    doc="Greatest size in bytes of a SendLocalList.",
)
STORAGE = key(
    "LocalAuthListCtrlr.Storage",
    Integer(min=0, max=5_000_000),
    access=RO,
    unit="B",
    default=0,
    doc="Bytes that the list takes.",
)
DISABLE_POST_AUTHORIZE = key(
    "LocalAuthListCtrlr.DisablePostAuthorize",
    Boolean(),
    access=RW,
    default=False,
    doc="Do not ask the CSMS again for listed tokens that are not accepted.",
)
SUPPORTS_EXPIRY_DATE_TIME = key(
    "LocalAuthListCtrlr.SupportsExpiryDateTime",
    Boolean(),
    access=RO,
    default=True,
    doc="Whether the expiry date of a list entry is honoured.",
)
