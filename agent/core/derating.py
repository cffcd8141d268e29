"""Bounds that follow from measurements: heat lowers the current, and cars on few phases may not unbalance the grid."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from agent.core.context import Context
from agent.core.electrics import grid_phases, loaded_lines
from agent.core.evse import Evse
from agent.core.limits import Claim
from agent.core.sharing import Shared
from config_keys import limits, site

SENSORS = {
    "socket": (limits.DERATE_SOCKET, limits.PAUSE_SOCKET),
    "cable": (limits.DERATE_CABLE, limits.PAUSE_CABLE),
    "pcb": (limits.DERATE_PCB, limits.PAUSE_PCB),
    "psu": (limits.DERATE_PSU, limits.PAUSE_PSU),
    "ambient": (limits.DERATE_AMBIENT, limits.PAUSE_AMBIENT),
}
"""DerateFrom and PauseAt of every place where a device may measure."""
COOLER = 5.0
"""Degrees below PauseAt at which a hot EVSE may charge again."""


class Heat:
    """Every sensor of an EVSE has a straight line from full current at DerateFrom to the EV minimum at PauseAt."""

    def __init__(self) -> None:
        self._paused: set[tuple[int, str]] = set()

    def claims(self, cx: Context, evse: Evse) -> Iterable[Claim]:
        """One claim for each sensor that is too warm. Less current is not a fault (bug 30)."""
        for where, celsius in evse.temperatures.items():
            if where not in SENSORS:
                continue
            low, high = (float(cx.keys[key]) for key in SENSORS[where])
            if self._too_hot(evse, where, celsius, high):
                yield Claim("heat", 0.0, why=f"{where} at {celsius:g} degC; pause from {high:g} degC")
            elif celsius > low:
                least = float(cx.keys[site.EV_MINIMUM])
                amps = least + max(0.0, evse.site.max_amps - least) * (high - celsius) / (high - low)
                yield Claim("heat", amps, why=f"{where} at {celsius:g} degC; less from {low:g} degC on")

    def _too_hot(self, evse: Evse, where: str, celsius: float, high: float) -> bool:
        hot = celsius >= high or ((evse.id, where) in self._paused and celsius > high - COOLER)
        (self._paused.add if hot else self._paused.discard)((evse.id, where))
        return hot


class Imbalance:
    """Cars that draw from fewer than three phases may add only so much to one of them (VDE-AR-N 4100: 20 A)."""

    def __init__(self, evses: Mapping[int, Evse]) -> None:
        self._evses = evses
        self._lines: dict[int, frozenset[int]] = {}
        """The lines that the car at an EVSE was seen to draw from, until it leaves."""

    def shared(self, cx: Context) -> Iterable[Shared]:
        """The bound for those EVSEs that are wired to fewer phases, or whose car uses fewer."""
        most = float(cx.keys[limits.MAX_PHASE_IMBALANCE])
        if not most:
            return
        for evse in self._evses.values():
            self._look(evse)
        loads = [(evse.id, grid_phases(cx, evse, self._lines.get(evse.id))) for evse in self._evses.values()]
        few = tuple((evse_id, phases) for evse_id, phases in loads if len(phases) < 3)
        if few:
            yield Shared("phase imbalance", most, "LimitCtrlr.MaxPhaseImbalance", loads=few)

    def _look(self, evse: Evse) -> None:
        if not evse.connected:
            self._lines.pop(evse.id, None)
        elif lines := loaded_lines(evse):
            self._lines[evse.id] = lines
