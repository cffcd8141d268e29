"""AuthCtrlr: who may charge."""

from config_keys.key import RO, RW, key
from config_keys.types import Boolean, Integer, MemberList, String

ENABLED = key(
    "AuthCtrlr.Enabled",
    Boolean(),
    access=RW,
    default=True,
    doc="Ask for authorization; false lets everybody charge.",
)
ADDITIONAL_INFO_ITEMS_PER_MESSAGE = key(
    "AuthCtrlr.AdditionalInfoItemsPerMessage",
    Integer(min=0),
    access=RO,
    default=0,
    doc="Most additionalInfo elements of an id token.",
)
OFFLINE_TX_FOR_UNKNOWN_ID_ENABLED = key(
    "AuthCtrlr.OfflineTxForUnknownIdEnabled",
    Boolean(),
    access=RW,
    default=False,
    alias16="AllowOfflineTxForUnknownId",
    aliases=("Webasto/Bender If in doubt allow charging",),
    doc="While offline, let tokens charge that nobody knows here.",
)
AUTHORIZE_REMOTE_START = key(
    "AuthCtrlr.AuthorizeRemoteStart",
    Boolean(),
    access=RW,
    default=True,
    alias16="AuthorizeRemoteTxRequests",
    aliases=("Bender Send Authorize for RemoteStart",),
    doc="Authorize the token of a remote start before charging, like one that was presented.",
)
LOCAL_AUTHORIZE_OFFLINE = key(
    "AuthCtrlr.LocalAuthorizeOffline",
    Boolean(),
    access=RW,
    default=True,
    alias16="LocalAuthorizeOffline",
    doc="While offline, start for tokens that are known here.",
)
LOCAL_PRE_AUTHORIZE = key(
    "AuthCtrlr.LocalPreAuthorize",
    Boolean(),
    access=RW,
    default=False,
    alias16="LocalPreAuthorize",
    doc="While online, start for tokens that are known here without asking the CSMS.",
)
MASTER_PASS_GROUP_ID = key(
    "AuthCtrlr.MasterPassGroupId",
    String(max_len=36),
    access=RW,
    default="",
    doc="Group whose tokens may stop any transaction but start none; empty for none.",
)
DISABLE_REMOTE_AUTHORIZATION = key(
    "AuthCtrlr.DisableRemoteAuthorization",
    Boolean(),
    access=RW,
    default=False,
    doc="Never ask the CSMS to authorize; only cache and local list decide.",
)
SUPPORTED_ID_TOKEN_TYPES = key(
    "AuthCtrlr.SupportedIdTokenTypes",
    MemberList(
        ("Central", "eMAID", "ISO14443", "ISO15693", "KeyCode", "Local", "MacAddress", "NoAuthorization"),
        min_items=1,
    ),
    access=RO,
    default="Central,ISO14443,ISO15693,KeyCode,Local,MacAddress,NoAuthorization",
    doc="Types of id token that this station understands.",
)
