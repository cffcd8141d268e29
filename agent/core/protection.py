"""What the meter tells of danger: a car that draws more than it is offered, a supply that is too high or too low.

It compares with what the device signals (Applied), not with what was wished for, and gives the car the time that it
may take to follow. Without fresh readings it says nothing: then the row of the silent meter holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent.core.context import Context
from agent.core.evse import EV_MINIMUM_AMPS, Evse
from config_keys import failsafe

if TYPE_CHECKING:
    from agent.core.hardware import Devices

REACTION_MS = 5_000
"""A car may take so long to follow a lower offer (IEC 61851-1, table A.6, sequence 6)."""
GROSS, GROSS_MS = 1.5, 500
"""So many times the offer is too much at once: two readings that are so far apart."""
BACK_PERCENT = 2.0
"""A supply that was too low or too high is well again when it is back by so much of the nominal voltage."""
DEAD_VOLTS = 50.0
"""A phase with less is not connected: it is no supply that could be too low."""
CLOSED = ("closed", "releasing")


def tolerated(amps: float) -> float:
    """What a car may draw for ever at an offer (A per phase): meters and cars are not exact."""
    return max(1.1 * (amps + 0.5), amps + 1.0)


@dataclass(slots=True)
class _Watch:
    """One EVSE: what it signals, the higher offers that its car may still follow, and since when what is wrong."""

    signalled: float = 0.0
    older: list[tuple[int, float]] = field(default_factory=list)
    since: dict[str, int] = field(default_factory=dict)

    def becomes(self, amps: float, now_ms: int) -> None:
        """Another offer is signalled."""
        if amps < self.signalled:
            self.older = [(until, a) for until, a in self.older if until > now_ms]
            self.older.append((now_ms + REACTION_MS, self.signalled))
        self.signalled = amps

    def highest(self, now_ms: int) -> float:
        """The most that the car may still be following."""
        return max([self.signalled, *(amps for until, amps in self.older if until > now_ms)])

    def lasts(self, what: str, holds: bool, at_ms: int, for_ms: int) -> bool:
        """Whether something has held in every reading for so long."""
        if not holds:
            self.since.pop(what, None)
            return False
        return at_ms - self.since.setdefault(what, at_ms) >= for_ms


class Protection:
    """Looks at every reading of every EVSE; what it finds is a fault of the failsafe table."""

    def __init__(self, evses: Mapping[int, Evse], devices: Devices) -> None:
        self._devices = devices
        self._watches = {evse: _Watch() for evse in evses}

    def signalled(self, cx: Context, evse: Evse) -> None:
        """The device has confirmed what it offers."""
        self._watches[evse.id].becomes(evse.applied_amps or 0.0, cx.ms)

    def looks(self, cx: Context, evse: Evse, at_ms: int) -> None:
        """A new reading, taken at `at_ms` (monotonic)."""
        self._current(cx, evse, at_ms)
        self._voltage(cx, evse, at_ms)

    def _current(self, cx: Context, evse: Evse, now: int) -> None:
        watch = self._watches[evse.id]
        if evse.contactor.state not in CLOSED or "over_current" in evse.faults:
            watch.since.pop("over", None)
            watch.since.pop("gross", None)
            return
        drawn = max((evse.value("current_a", phase) or 0.0 for phase in (0, 1, 2, 3)), default=0.0)
        offer = watch.highest(now)
        grace_ms = cx.keys[failsafe.OVER_CURRENT_GRACE] * 1000
        over = watch.lasts("over", drawn > tolerated(offer), now, grace_ms)
        gross = watch.lasts("gross", drawn > GROSS * max(offer, EV_MINIMUM_AMPS), now, GROSS_MS)
        if over or gross:
            self._devices.found(cx, evse, "over_current", f"{drawn:g} A drawn, {offer:g} A offered")
            evse.over.add("over_current")

    def _voltage(self, cx: Context, evse: Evse, at_ms: int) -> None:
        found = [evse.value("voltage_v", phase) or 0.0 for phase in range(1, evse.site.phases + 1)]
        volts = [value for value in found if value >= DEAD_VOLTS]
        if not volts:
            return
        nominal = evse.site.volts / 100
        low, high = float(cx.keys[failsafe.UNDER_VOLTAGE]), float(cx.keys[failsafe.OVER_VOLTAGE])
        self._supply(cx, evse, at_ms, "supply_low", low - min(volts) / nominal, f"{min(volts):g} V")
        self._supply(cx, evse, at_ms, "supply_high", max(volts) / nominal - high, f"{max(volts):g} V")

    def _supply(self, cx: Context, evse: Evse, at_ms: int, code: str, by: float, detail: str) -> None:
        """`by` is how far it is beyond the bound, in percent of the nominal voltage."""
        grace_ms = cx.keys[failsafe.VOLTAGE_GRACE] * 1000
        if code in evse.faults:
            if by <= -BACK_PERCENT:
                self._devices.is_over(cx, evse, code)
        elif self._watches[evse.id].lasts(code, by > 0, at_ms, grace_ms):
            self._devices.found(cx, evse, code, detail)
            cx.note("fault", f"EVSE {evse.id}: {code}, {detail}", "warning")
