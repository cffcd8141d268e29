"""What board.toml says, put into the device model: what this station cannot do is refused when it is asked for."""

from __future__ import annotations

from agent.core import file_servers, inventory
from agent.core.firmware import NO_INSTALLER
from agent.core.site import Site
from config_keys import aligned, physical, sampled, tx
from config_keys.not_in_force import NOT_IN_FORCE
from config_keys.values import Values

SIGN_KEYS = (
    sampled.SIGN_READINGS, sampled.SIGN_STARTED_READINGS, sampled.SIGN_UPDATED_READINGS,
    aligned.SIGN_READINGS, aligned.SIGN_UPDATED_READINGS,
)  # fmt: skip
"""Only reported where a meter signs (J.2)."""


def fit(site: Site, keys: Values) -> list[str]:
    """Describe the station to its keys; complaints name values that somebody had chosen and that do not fit."""
    inventory.describe(site, keys)
    complaints = _leave_out(keys, "ParkingBayOccupancy", any(evse.bay_detector for evse in site.evses))
    signs = any(evse.signing_meter for evse in site.evses)
    complaints += _leave_out(keys, "DataSigned", signs)
    for key in () if signs else SIGN_KEYS:
        keys.leave_out(key)
    for key, reason in NOT_IN_FORCE.items():
        keys.lock(key, reason)
    if not site.updates:
        keys.lock(physical.ALLOW_NEW_SESSIONS_PENDING_FIRMWARE_UPDATE, NO_INSTALLER)
    return complaints + file_servers.fit(site, keys)


def _leave_out(keys: Values, point: str, possible: bool) -> list[str]:
    """A start or stop point that this station's hardware cannot tell."""
    complaints = []
    for key in () if possible else (tx.TX_START_POINT, tx.TX_STOP_POINT):
        points = [p for p in keys.type_of(key).values_list or () if p != point]
        complaints += keys.narrow(key, values=points)
    return complaints
