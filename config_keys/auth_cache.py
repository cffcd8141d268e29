"""AuthCacheCtrlr: tokens that the CSMS has answered for before."""

from config_keys.key import RO, RW, key
from config_keys.types import Boolean, Integer, OptionList

ENABLED = key(
    "AuthCacheCtrlr.Enabled",
    Boolean(),
    access=RW,
    default=True,
    alias16="AuthorizationCacheEnabled",
    doc="Use the authorization cache; switching it does not change what is in it.",
)
AVAILABLE = key(
    "AuthCacheCtrlr.Available",
    Boolean(),
    access=RO,
    default=True,
    doc="Whether this station has an authorization cache.",
)
LIFE_TIME = key(
    "AuthCacheCtrlr.LifeTime",
    Integer(min=0),
    access=RW,
    unit="s",
    default=86400,
    doc="How long an entry is good after the CSMS last spoke of it, unless it gave a date; 0: for ever.",
)
STORAGE = key(
    "AuthCacheCtrlr.Storage",
    Integer(min=0, max=200_000),
    access=RO,
    unit="B",
    default=0,
    doc="Bytes that the cache takes; some 1,500 tokens fit.",
)
POLICY = key(
    "AuthCacheCtrlr.Policy",
    OptionList(("LRU", "LFU", "FIFO")),
    access=RW,
    default="LRU",
    doc="Which entry makes room when the cache is full.",
)
DISABLE_POST_AUTHORIZE = key(
    "AuthCacheCtrlr.DisablePostAuthorize",
    Boolean(),
    access=RW,
    default=False,
    doc="Do not ask the CSMS again for cached tokens that were not accepted.",
)
