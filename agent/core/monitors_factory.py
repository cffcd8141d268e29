"""The monitors that this station brings along, documented in docs/monitoring.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from agent.core.failsafe_table import CRITICAL, WARNING
from agent.core.monitors import FACTORY_IDS, Kind, Monitor, Origin
from agent.core.site import Site
from config_keys import hardware, physical
from config_keys import site as own
from config_keys.key import Key
from config_keys.values import Slot

VOLTAGE_TOLERANCE = 0.1
"""EN 50160: 10 % of the nominal voltage."""
HOT_CELSIUS: Mapping[str, float] = {"socket": 70.0, "cable": 70.0, "pcb": 75.0}
"""Warm for a contact (IEC 62196-1 allows 90) and for electronics; derating and faults are the hardware's own."""
VOLTAGES: tuple[Key[Any], ...] = (physical.AC_VOLTAGE_L1, physical.AC_VOLTAGE_L2, physical.AC_VOLTAGE_L3)


def factory(site: Site) -> Iterator[Monitor]:
    """Every hard-wired and preconfigured monitor of a station. Ids depend on rule and place only."""
    yield _made(1, (own.EVENTS_SET_ASIDE, None, None), "Delta", 0, CRITICAL, "HardWiredMonitor")
    for evse in site.evses:
        for number, key in enumerate(VOLTAGES[: evse.phases]):
            slot: Slot = (key, evse.id, None)
            high, low = evse.volts * (1 + VOLTAGE_TOLERANCE), evse.volts * (1 - VOLTAGE_TOLERANCE)
            yield _made(10 + number, slot, "UpperThreshold", high, WARNING)
            yield _made(20 + number, slot, "LowerThreshold", low, WARNING)
        for number, (where, celsius) in enumerate(HOT_CELSIUS.items()):
            slot = (hardware.TEMPERATURE[where], evse.id, None)
            yield _made(30 + number, slot, "UpperThreshold", celsius, WARNING)


def _made(
    rule: int, slot: Slot, kind: Kind, value: float, severity: int, origin: Origin = "PreconfiguredMonitor"
) -> Monitor:
    place = (slot[1] or 0) * 10 + (slot[2] or 0)
    return Monitor(rule * FACTORY_IDS + place, slot, kind, round(value, 3), severity, origin=origin)
