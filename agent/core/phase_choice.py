"""How many phases an EVSE should charge on: who asks for fewer, the policy for limits in W, and what forbids a move."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from agent.core.context import Context
from agent.core.electrics import volts
from agent.core.evse import Evse
from agent.core.limits import Limits
from agent.core.phase_relay import PhaseSwitch, wake_timer
from config_keys import phase_switch as keys
from config_keys import site

CONTACTOR_OBEYS = frozenset({"open", "armed", "closing", "closed", "releasing"})
SESSION_TAKES = frozenset({"ready", "powered", "pausing"})


class Demand(NamedTuple):
    """Somebody allows only so many phases, with a limit in this unit."""

    phases: int
    unit: str
    who: str


class Choice:
    """The policy; the machines do what it says."""

    def __init__(self, demands: Callable[[Context, Evse], Iterable[Demand]], limits: Limits) -> None:
        self.demands, self._limits = demands, limits
        self.speaks: Callable[[int], bool] = lambda evse_id: False
        """Whether the EV at an EVSE speaks ISO 15118: it has reckoned with the phases that it was offered."""

    def wanted(self, cx: Context, switch: PhaseSwitch) -> int:
        """1 or 3: what is allowed, then what a person has chosen, then the policy for limits in W.

        A relay knows no two phases: who allows two gets one, never more than allowed.
        """
        least = min((demand.phases for demand in self.demands(cx, switch.evse)), default=3)
        forced = switch.kept["forced"]
        if least < 3 or forced == 1:
            return 1
        return 1 if switch.few and not forced else 3

    def obstacle(self, cx: Context, switch: PhaseSwitch) -> str | None:
        """Why the relay may not move now, in plain words, or None (F2)."""
        evse = switch.evse
        if not cx.keys[keys.ENABLED]:
            return "PhaseSwitchCtrlr.Enabled is false"
        if evse.fault is not None:
            return evse.fault
        if evse.contactor.state not in CONTACTOR_OBEYS or evse.session.state == "stopping":
            return f"contactor {evse.contactor.state}, session {evse.session.state}"
        if evse.site.has_meter and "meter" in evse.silent:
            return "the meter is silent: nothing proves that no current flows"
        if not evse.is_seen:
            return "whether a car is here is not known"
        if evse.tx is not None and evse.tx.recovered_by_ms is not None:
            return "the transaction is being recovered"
        return self._hindered(cx, switch) if evse.connected else None

    def _hindered(self, cx: Context, switch: PhaseSwitch) -> str | None:
        """What holds while a car is plugged in: who it is, how often it was done, and how long ago."""
        inhibited = {token.lower() for token in cx.keys[keys.INHIBIT].split(",") if token}
        holder = switch.evse.authorization
        if holder is not None and holder.token.value.lower() in inhibited:
            return "the EV is on PhaseSwitchCtrlr.Inhibit"
        if self.speaks(switch.evse.id):
            return "the EV speaks ISO 15118"
        most = cx.keys[keys.MAX_PER_SESSION]
        if most and switch.kept["session"] >= most:
            return f"{most} moves in this session"
        due_ms = switch.moved_ms + cx.keys[keys.MIN_DWELL] * 1000
        if cx.ms < due_ms:
            cx.timers.set(wake_timer(switch.evse.id), due_ms)
            return "PhaseSwitchCtrlr.MinDwell"
        return None

    # ---------------------------------------------------------------------------------------- limits in W

    def weigh(self, cx: Context, switch: PhaseSwitch) -> None:
        """A pause on three phases that would be none on one; on one, a limit that is enough for three (F1)."""
        mode = cx.keys[keys.MODE]
        if mode == "Never":
            changed = switch.few
            switch.few, switch.other_since_ms = False, None
        else:
            changed = self._waited(cx, switch, self._enough(cx, switch) if switch.few else self._scarce(cx, switch))
            switch.few ^= changed
        if changed:
            cx.timers.set(wake_timer(switch.evse.id), cx.ms + 1)

    def _waited(self, cx: Context, switch: PhaseSwitch, other_is_better: bool) -> bool:
        """Whether the other number of phases has been the better one for its minimum time."""
        if not other_is_better:
            switch.other_since_ms = None
            return False
        if switch.other_since_ms is None:
            switch.other_since_ms = cx.ms
        due_ms = switch.other_since_ms + 1000 * cx.keys[keys.MINIMUM_TIME_UP if switch.few else keys.MINIMUM_TIME_DOWN]
        if cx.ms < due_ms:
            cx.timers.set(wake_timer(switch.evse.id), due_ms)
            return False
        switch.other_since_ms = None
        return True

    def _scarce(self, cx: Context, switch: PhaseSwitch) -> bool:
        evse = switch.evse
        paused = evse.relay == 3 and self._limits.verdicts[evse.id].amps == 0
        if not paused or evse.session.state not in SESSION_TAKES or any(self.demands(cx, evse)):
            return False
        return self._amps_on(cx, evse, 1) > 0

    def _enough(self, cx: Context, switch: PhaseSwitch) -> bool:
        """Above the least power of three phases by the hysteresis."""
        evse = switch.evse
        if cx.keys[keys.MODE] == "OneWay" or evse.relay != 1:
            return False
        margin = cx.keys[keys.HYSTERESIS] / (3 * volts(cx, evse))
        return self._amps_on(cx, evse, 3) >= float(cx.keys[site.EV_MINIMUM]) + margin

    def _amps_on(self, cx: Context, evse: Evse, phases: int) -> float:
        """What the arbiter would allow on so many phases."""
        evse.supposed = phases
        try:
            return self._limits.judge(cx, evse).amps
        finally:
            evse.supposed = None
