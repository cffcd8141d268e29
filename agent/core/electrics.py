"""From watts to amps and back, and which phases of the installation an EVSE loads."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from agent.core.context import Context
from agent.core.evse import Evse
from agent.core.metering import is_fresh
from config_keys import limits, physical

DRAWS_AMPS, RESTS_AMPS = 1.0, 0.5
"""A car draws from a line with so much, and does not with so little."""
LIVE = 0.7
"""A phase with a smaller share of the configured voltage is not live: an open output, a phantom voltage."""
ALL = frozenset((0, 1, 2))
"""The phases of the installation: R, S and T."""


def closed_phases(evse: Evse) -> int:
    """How many phases may carry current (invariant 7): all that are wired, for a contact that is late may yet close.

    With a phase relay it is the most of what the relay and the contacts say; all while the relay does not tell.
    """
    if evse.supposed is not None:
        return evse.supposed
    if evse.relay is None:
        return evse.site.phases
    return max(evse.relay or evse.site.phases, evse.phases_closed)


def volts(cx: Context, evse: Evse) -> float:
    """The phase voltage that watt limits are divided by: configured (K01.FR.50) or, by key, measured when fresh."""
    if cx.keys[limits.WATT_VOLTAGE] == "Measured" and is_fresh(cx, evse):
        found = [evse.value("voltage_v", phase) for phase in range(1, closed_phases(evse) + 1)]
        measured = [value for value in found if value is not None and value >= LIVE * evse.site.volts]
        if measured:
            return sum(measured) / len(measured)
    return evse.site.volts


def watts_per_amp(cx: Context, evse: Evse) -> float:
    """What one ampere in each of its phases makes in watts."""
    return volts(cx, evse) * closed_phases(evse)


def grid_phases(cx: Context, evse: Evse, lines: Iterable[int] | None = None) -> frozenset[int]:
    """The phases of the installation that `lines` of an EVSE load: 1 is L1; None means all that may carry current.

    PhaseRotation names, for L1 to L3 in turn, the phase R, S or T of what is before; x is not connected.
    """
    wired = evse.site.phases if evse.relay is None else closed_phases(evse)
    used = range(1, wired + 1) if lines is None else lines
    inner = cx.keys.at(physical.EVSE_PHASE_ROTATION, evse.id)
    return _rotated(cx.keys[physical.STATION_PHASE_ROTATION], inner, tuple(used))


@lru_cache(maxsize=64)
def _rotated(outer: str, inner: str, lines: tuple[int, ...]) -> frozenset[int]:
    letters = [outer["RST".index(letter)] for letter in (inner[line - 1] for line in lines) if letter != "x"]
    return frozenset("RST".index(letter) for letter in letters if letter != "x") or ALL


def loaded_lines(evse: Evse) -> frozenset[int]:
    """The lines that the car draws from, by the newest reading; none when that does not tell."""
    amps = {line: evse.value("current_a", line) for line in (1, 2, 3)}
    drawing = frozenset(line for line, value in amps.items() if value is not None and value >= DRAWS_AMPS)
    resting = [line for line, value in amps.items() if line not in drawing and (value is None or value > RESTS_AMPS)]
    return frozenset() if resting else drawing
