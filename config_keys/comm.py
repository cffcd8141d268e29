"""OCPPCommCtrlr: the link to the CSMS."""

from config_keys.key import RO, RW, key
from config_keys.types import Boolean, Integer, MemberList, OptionList, SequenceList

SLOTS = ("0", "1", "2", "3")
"""Configuration slots for network profiles."""

ACTIVE_NETWORK_PROFILE = key(
    "OCPPCommCtrlr.ActiveNetworkProfile",
    Integer(min=0),
    access=RO,
    doc="Configuration slot of the network profile in use.",
)
FILE_TRANSFER_PROTOCOLS = key(
    "OCPPCommCtrlr.FileTransferProtocols",
    MemberList(("FTP", "FTPS", "HTTP", "HTTPS", "SFTP")),
    access=RO,
    default="FTP,FTPS,HTTP,HTTPS,SFTP",
    alias16="SupportedFileTransferProtocols",
    doc="Protocols that firmware downloads and log uploads can use; SFTP only with SecurityCtrlr.SftpHostKeys.",
)
HEARTBEAT_INTERVAL = key(
    "OCPPCommCtrlr.HeartbeatInterval",
    Integer(min=1),
    access=RW,
    unit="s",
    default=300,
    alias16="HeartbeatInterval",
    doc="Silence after which a Heartbeat is sent; the CSMS overwrites it when it accepts the station.",
)
NETWORK_CONFIGURATION_PRIORITY = key(
    "OCPPCommCtrlr.NetworkConfigurationPriority",
    SequenceList(SLOTS, min_items=1),
    access=RW,
    default="0",
    reboot=True,
    aliases=("CentralSystemURI", "go-e ocppu"),
    doc="Order in which the configuration slots of network profiles are tried.",
)
NETWORK_PROFILE_CONNECTION_ATTEMPTS = key(
    "OCPPCommCtrlr.NetworkProfileConnectionAttempts",
    Integer(min=1, max=1000),
    access=RW,
    default=3,
    doc="Connection attempts with one network profile before the next one is tried.",
)
OFFLINE_THRESHOLD = key(
    "OCPPCommCtrlr.OfflineThreshold",
    Integer(min=0),
    access=RW,
    unit="s",
    default=60,
    doc="After being offline for longer than this, the status of every connector is reported again.",
)
QUEUE_ALL_MESSAGES = key(
    "OCPPCommCtrlr.QueueAllMessages",
    Boolean(),
    access=RO,
    default=False,
    locked="What is not about transactions is told anew after an absence, as it then is.",
    doc="Queue every message while offline, not only those about transactions.",
)
MESSAGE_TIMEOUT = key(
    "OCPPCommCtrlr.MessageTimeout[Default]",
    Integer(min=1, max=3600),
    access=RO,
    unit="s",
    default=30,
    locked="It comes from the active network profile (SetNetworkProfile).",
    doc="Time after which a request that was not answered counts as lost.",
)
MESSAGE_ATTEMPTS = key(
    "OCPPCommCtrlr.MessageAttempts[TransactionEvent]",
    Integer(min=1, max=100),
    access=RW,
    default=3,
    alias16="TransactionMessageAttempts",
    doc="Times a TransactionEvent is sent when the CSMS fails to process it.",
)
MESSAGE_ATTEMPT_INTERVAL = key(
    "OCPPCommCtrlr.MessageAttemptInterval[TransactionEvent]",
    Integer(min=0, max=86400),
    access=RW,
    unit="s",
    default=60,
    alias16="TransactionMessageRetryInterval",
    doc="Wait between those attempts, multiplied by the number of earlier ones.",
)
UNLOCK_ON_EV_SIDE_DISCONNECT = key(
    "OCPPCommCtrlr.UnlockOnEVSideDisconnect",
    Boolean(),
    access=RW,
    default=True,
    alias16="UnlockConnectorOnEVSideDisconnect",
    doc="Unlock the plug at the station when the cable is unplugged at the EV; false with fixed cables.",
)
WEB_SOCKET_PING_INTERVAL = key(
    "OCPPCommCtrlr.WebSocketPingInterval",
    Integer(min=0, max=86400),
    access=RW,
    unit="s",
    default=60,
    alias16="WebSocketPingInterval",
    doc="Time between WebSocket pings to the CSMS; 0 sends none.",
)
WEB_SOCKET_PONG_TIMEOUT = key(
    "OCPPCommCtrlr.WebSocketPongTimeout",
    Integer(min=1, max=3600),
    access=RW,
    unit="s",
    default=20,
    doc="Time after which a ping that was not answered ends the connection; never longer than the ping interval.",
)
WEB_SOCKET_COMPRESSION = key(
    "OCPPCommCtrlr.WebSocketCompression",
    Boolean(),
    access=RW,
    default=True,
    doc="Offer the CSMS permessage-deflate (RFC 7692): fewer bytes on metered links for 44 KB of memory.",
)
RETRY_BACK_OFF_REPEAT_TIMES = key(
    "OCPPCommCtrlr.RetryBackOffRepeatTimes",
    Integer(min=0, max=20),
    access=RW,
    default=5,
    doc="Times the wait between connection attempts is doubled.",
)
RETRY_BACK_OFF_RANDOM_RANGE = key(
    "OCPPCommCtrlr.RetryBackOffRandomRange",
    Integer(min=0, max=3600),
    access=RW,
    unit="s",
    default=10,
    doc="Greatest random time added to every wait between connection attempts.",
)
RETRY_BACK_OFF_WAIT_MINIMUM = key(
    "OCPPCommCtrlr.RetryBackOffWaitMinimum",
    Integer(min=0, max=3600),
    access=RW,
    unit="s",
    default=10,
    doc="Wait before the first attempt to connect again.",
)
RESET_RETRIES = key(
    "OCPPCommCtrlr.ResetRetries",
    Integer(min=0, max=10),
    access=RW,
    default=0,
    alias16="ResetRetries",
    doc="Times a reset is tried again, 30 s later, when contactors do not open; then the station resets anyway.",
)
MINIMUM_STATUS_DURATION = key(
    "OCPPCommCtrlr.MinimumStatusDuration",
    Integer(min=0, max=60),
    access=RW,
    unit="s",
    default=0,
    alias16="MinimumStatusDuration",
    doc="Time a connector status must be stable before it is reported.",
)
PUBLIC_KEY_WITH_SIGNED_METER_VALUE = key(
    "OCPPCommCtrlr.PublicKeyWithSignedMeterValue",
    OptionList(("Never", "OncePerTransaction", "EveryMeterValue")),
    access=RW,
    default="OncePerTransaction",
    doc="When the public key of the meter is sent with a signed meter value.",
)
