"""TxCtrlr: when a transaction starts and ends."""

from config_keys.key import RW, key
from config_keys.types import Boolean, Integer, MemberList

POINTS = ("ParkingBayOccupancy", "EVConnected", "Authorized", "PowerPathClosed", "EnergyTransfer")
"""Start and stop points of this station; the first satisfied one counts (E01, E06)."""

EV_CONNECTION_TIME_OUT = key(
    "TxCtrlr.EVConnectionTimeOut",
    Integer(min=0, max=86400),
    access=RW,
    unit="s",
    default=120,
    alias16="ConnectionTimeOut",
    doc="Time to plug in after authorization before it is taken back.",
)
STOP_TX_ON_EV_SIDE_DISCONNECT = key(
    "TxCtrlr.StopTxOnEVSideDisconnect",
    Boolean(),
    access=RW,
    default=True,
    alias16="StopTransactionOnEVSideDisconnect",
    doc="End the authorization when the cable is unplugged at the EV.",
)
TX_BEFORE_ACCEPTED_ENABLED = key(
    "TxCtrlr.TxBeforeAcceptedEnabled",
    Boolean(),
    access=RW,
    default=True,
    doc="Allow charging after a start before the CSMS has accepted the station (offline, Pending, Rejected).",
)
TX_START_POINT = key(
    "TxCtrlr.TxStartPoint",
    MemberList((*POINTS, "DataSigned"), min_items=1),
    access=RW,
    default="PowerPathClosed",
    doc="What starts a transaction; PowerPathClosed is EV connected and authorized.",
)
TX_STOP_POINT = key(
    "TxCtrlr.TxStopPoint",
    MemberList(POINTS, min_items=1),
    access=RW,
    default="EVConnected,Authorized",
    doc="What ends a transaction when it is lost.",
)
MAX_ENERGY_ON_INVALID_ID = key(
    "TxCtrlr.MaxEnergyOnInvalidId",
    Integer(min=0),
    access=RW,
    unit="Wh",
    default=0,
    alias16="MaxEnergyOnInvalidId",
    doc="Energy still delivered after the CSMS has refused the token of a running transaction.",
)
STOP_TX_ON_INVALID_ID = key(
    "TxCtrlr.StopTxOnInvalidId",
    Boolean(),
    access=RW,
    default=True,
    alias16="StopTransactionOnInvalidId",
    doc="End the authorization of a running transaction when the CSMS refuses its token.",
)
