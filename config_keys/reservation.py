"""ReservationCtrlr: an EVSE kept for somebody."""

from config_keys.key import RO, RW, key
from config_keys.types import Boolean

ENABLED = key(
    "ReservationCtrlr.Enabled",
    Boolean(),
    access=RW,
    default=True,
    doc="Accept reservations.",
)
AVAILABLE = key(
    "ReservationCtrlr.Available",
    Boolean(),
    access=RO,
    default=True,
    doc="Whether this station knows reservations.",
)
NON_EVSE_SPECIFIC = key(
    "ReservationCtrlr.NonEvseSpecific",
    Boolean(),
    access=RO,
    default=True,
    alias16="ReserveConnectorZeroSupported",
    doc="Whether a reservation may leave the EVSE open.",
)
