"""Which component of the device model has a fault, how grave it is, and which faults stand at an EVSE now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from agent.core.evse import Evse
from config_keys import hardware, physical
from config_keys.key import Key
from hal.faults import FAULTS, Fault

LATCHES: Mapping[str, str] = {
    "ContactorWelded": "contactor_welded",
    "ContactorFailed": "contactor_failed",
    "ContactorDroppedOut": "contactor_dropped",
}
"""What the contactor's table calls what the hardware has a code for."""
DANGER, HARDWARE, SYSTEM, CRITICAL, ERROR, WARNING = 0, 1, 2, 3, 4, 6
"""OCPP's severities (Part 2, SetMonitoringDataType)."""
OWN_FAULTS: Mapping[str, Fault] = {
    "store_restored": Fault("StoreRestored", None, "warning", False, "reset", "",
                            "The data store was damaged and set aside: check the flash memory."),
    "store_full": Fault("StoreFull", None, "stop", False, "gone", "", "The data partition is full: free space."),
    "store_dead": Fault("StoreDead", None, "stop", False, "service", "", "The flash memory fails: replace it."),
}  # fmt: skip
"""What can be wrong beside the hardware of an EVSE."""


class Part(NamedTuple):
    """Where a fault shows: `keys` are true while it stands, and the first is what the CSMS is told of."""

    keys: tuple[Key[Any], ...]
    severity: int


PARTS: Mapping[str, Part] = {
    "diode": Part((hardware.PILOT_PROBLEM,), ERROR),
    "pilot": Part((hardware.PILOT_PROBLEM,), ERROR),
    "ground": Part((hardware.GROUND_PROBLEM,), HARDWARE),
    "residual_current": Part((hardware.RCD_TRIPPED,), CRITICAL),
    "residual_selftest": Part((hardware.RCD_PROBLEM,), HARDWARE),
    "over_voltage": Part((hardware.FEED_PROBLEM,), CRITICAL),
    "under_voltage": Part((hardware.FEED_PROBLEM,), CRITICAL),
    "over_temperature": Part((hardware.TEMPERATURE_ACTIVE,), CRITICAL),
    "derating": Part((hardware.TEMPERATURE_ACTIVE,), WARNING),
    "over_current": Part((hardware.OVER_CURRENT_ACTIVE,), CRITICAL),
    "emergency_stop": Part((hardware.EMERGENCY_STOP_ACTIVE,), CRITICAL),
    "contactor_welded": Part((hardware.CONTACTOR_TRIPPED, hardware.CONTACTOR_PROBLEM), DANGER),
    "contactor_failed": Part((hardware.CONTACTOR_PROBLEM,), HARDWARE),
    "contactor_dropped": Part((hardware.CONTACTOR_PROBLEM,), HARDWARE),
    "lock": Part((hardware.LOCK_PROBLEM,), ERROR),
    "proximity": Part((physical.CONNECTOR_PROBLEM,), ERROR),
    "power_loss": Part((hardware.FEED_PROBLEM,), CRITICAL),
    "board_internal": Part((hardware.CONTROLLER_PROBLEM,), HARDWARE),
    "device_error": Part((hardware.CONTROLLER_PROBLEM,), HARDWARE),
    "heartbeat_lost": Part((hardware.CONTROLLER_PROBLEM,), CRITICAL),
    "lease_lapsed": Part((hardware.CONTROLLER_PROBLEM,), SYSTEM),
    "board_silent": Part((hardware.CONTROLLER_PROBLEM,), HARDWARE),
    "controller_silent": Part((hardware.CONTROLLER_PROBLEM,), HARDWARE),
    "readback_mismatch": Part((hardware.CONTROLLER_PROBLEM,), CRITICAL),
    "not_independent": Part((hardware.CONTROLLER_PROBLEM,), HARDWARE),
    "meter_silent": Part((hardware.METER_PROBLEM,), CRITICAL),
    "meter_implausible": Part((hardware.METER_PROBLEM,), HARDWARE),
    "meter_frozen": Part((hardware.METER_PROBLEM,), WARNING),
    "reader_silent": Part((hardware.TOKEN_READER_PROBLEM,), HARDWARE),
    "store_restored": Part((physical.STATION_PROBLEM,), CRITICAL),
    "store_full": Part((physical.STATION_PROBLEM,), SYSTEM),
    "store_dead": Part((physical.STATION_PROBLEM,), SYSTEM),
}
"""Fault code -> part; a code of an OEM's driver that is not here shows at the EVSE."""
SHOWN = frozenset(key for part in PARTS.values() for key in part.keys if key.scope != "station")
"""Variables of an EVSE or connector that are true while a fault stands."""
UNKNOWN = Part((physical.EVSE_PROBLEM,), CRITICAL)


def fault(code: str) -> Fault:
    """What a code means; an OEM's own code speaks for itself."""
    known = FAULTS.get(code) or OWN_FAULTS.get(code)
    return known or Fault(code[:50], None, "stop", False, "gone", "", "See the documents of the device.")


def tech_code(code: str) -> str:
    """techCode: the minimum required error code (ChargeX MREC) where there is one, else the fault's name."""
    meant = fault(code)
    return meant.name if meant.mrec is None else f"CX{meant.mrec:03d}"


def standing(evse: Evse) -> dict[str, str]:
    """Code -> the vendor's own detail, of every fault that stands at an EVSE."""
    found = dict(evse.faults)
    if evse.contactor.latched is not None:
        found.setdefault(LATCHES[evse.contactor.latched], "")
    if evse.pilot in ("E", "F"):
        found.setdefault("pilot", f"pilot {evse.pilot}")
    if evse.unprotected:
        found.setdefault("not_independent", "")
    if any(plug.lock_fails for plug in evse.plugs.values()):
        found.setdefault("lock", "")
    for device in sorted(evse.silent):
        found.setdefault(f"{device}_silent", "")
    return found


def shows(key: Key[Any], evse: Evse) -> bool:
    """Whether a fault stands that shows at this variable."""
    return any(key in PARTS.get(code, UNKNOWN).keys for code in standing(evse))
