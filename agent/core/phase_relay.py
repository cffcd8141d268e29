"""The phase relay of one EVSE: its machine, the proof that nothing flows, and what is counted (invariant 6)."""

from __future__ import annotations

from typing import Any

from agent.core.context import Context
from agent.core.evse import Evse
from config_keys import phase_switch as keys
from hal.ports import SetPhases, Withdraw
from state_machines.phase_switch import PHASE_SWITCH
from state_machines.table import Edge, Subject

TABLE = "phases"
PROOF_MS = 1_000
"""So long without current proves that nothing flows."""
VERIFY_MS = 3_000
"""So long after closing all selected contacts have to show: a serial second contactor comes later than the first."""
UNDER_LOAD_S = 60
"""Least pause after contacts had to open under load (hardware notes, Tinkerforge): some EVs hang otherwise."""
NEVER_MS = -(1 << 40)
COUNTED = ("forced", "moves", "session", "main", "more")


def wake_timer(evse_id: int) -> str:
    """Name of the deadline at which the choice of phases is looked at again."""
    return f"evse{evse_id}.phases"


class PhaseSwitch(Subject):
    """See the table. `kept` is what outlives the process: the person's choice, and the counts."""

    TABLE = PHASE_SWITCH

    def __init__(self, evse: Evse, stored: Any) -> None:
        super().__init__(f"evse{evse.id}")
        self.evse = evse
        kept = stored if isinstance(stored, dict) else {}
        self.kept: dict[str, int] = {n: kept[n] if isinstance(kept.get(n), int) else 0 for n in COUNTED}
        self.target = evse.site.phases
        self.obstacle: str | None = None
        """Why it does not move although it should, in plain words."""
        self.moved_ms = NEVER_MS
        self.flowed_ms = NEVER_MS
        """When current was last measured."""
        self.told_in = -1
        """The step that told the relay to move."""
        self.few = False
        """A limit in W is too small for three phases, and one is enough."""
        self.other_since_ms: int | None = None
        """Since when the other number of phases would be better."""
        self.pause_s = 0.0
        """The pause before the relay moves, as it was when it began."""
        self._under_load = False
        self._shown: tuple[Any, ...] = ()

    def start(self, cx: Context) -> None:
        """A start in a session that had a move counts as one: when that was is not known on this clock."""
        self.moved_ms = cx.ms if self.kept["session"] else NEVER_MS
        self._count(cx)

    # ---------------------------------------------------------------------------------------- guards

    def contacts_open(self, cx: Context) -> bool:
        return self.evse.contactor.state == "open"

    def relay_known(self, cx: Context) -> bool:
        return bool(self.evse.relay)

    def relay_unknown(self, cx: Context) -> bool:
        return not self.evse.relay

    def relay_there(self, cx: Context) -> bool:
        return self.evse.relay == self.target

    def relay_elsewhere(self, cx: Context) -> bool:
        return self.evse.relay != self.target

    # ---------------------------------------------------------------------------------------- actions

    def move(self, cx: Context) -> None:
        """Tell the relay, once it is on flash that it was told."""
        self.kept["moves"] += 1
        self.kept["session"] += self.evse.connected
        self.moved_ms, self.told_in = cx.ms, cx.step
        self._keep(cx)
        cx.energise(SetPhases(self.evse.id, cx.step, self.target))

    def leave_it(self, cx: Context) -> None:
        cx.note("phases", f"EVSE {self.evse.id}: the switch to {self.target} phases is called off")

    def fail(self, cx: Context) -> None:
        cx.note("phases", f"EVSE {self.evse.id}: the switch to {self.target} phases failed", "error")

    def give_up(self, cx: Context) -> None:
        """No feedback: a command that still waits is taken back, whatever the relay does it will tell."""
        cx.make_safe(Withdraw(self.evse.id, cx.step, "the phase relay does not answer"))
        self.fail(cx)

    def moved(self, cx: Context, edge: Edge) -> None:
        self.evse.relay_failed = edge.to == "failed"
        if edge.to == "ramping":
            self._under_load = False
        if edge.to == "proving" and edge.source == "ramping":
            self._under_load = self.evse.pilot == "C"
        cx.note("phases", f"EVSE {self.evse.id}: {edge.source} -> {edge.to} ({edge.trigger})", "debug")

    # ---------------------------------------------------------------------------------------- proof

    def prove(self, cx: Context) -> None:
        """All contacts open and no current for a second, as the meter shows where there is one."""
        evse, since = self.evse, max(self.evse.contactor.opened_ms, self.flowed_ms)
        seen_ms = cx.ms
        if evse.site.has_meter:
            seen_ms = evse.reading.mono_ms if evse.reading is not None else NEVER_MS
        if evse.contactor.state == "open" and not evse.phases_closed and seen_ms - since >= PROOF_MS:
            self.pause_s = max(float(cx.keys[keys.PAUSE_TIME]), UNDER_LOAD_S if self._under_load else 0.0)
            self.fire("proven", cx)
        elif not evse.site.has_meter:
            cx.timers.set(wake_timer(evse.id), since + PROOF_MS)

    def verify(self, cx: Context) -> None:
        """After the next closing the contacts have to show what the relay selects."""
        evse = self.evse
        if evse.contactor.state != "closed":
            return
        if evse.phases_closed == evse.relay:
            self.fire("agree", cx)
        elif cx.ms - evse.contactor.closed_ms >= VERIFY_MS:
            self.fire("differ", cx)
        else:
            cx.timers.set(wake_timer(evse.id), evse.contactor.closed_ms + VERIFY_MS)

    # ---------------------------------------------------------------------------------------- counts

    def wears(self, cx: Context, before: int, now: int) -> None:
        """Contacts have closed: the set of L1 and neutral, and that of L2 and L3."""
        main, more = before == 0 < now, before <= 1 < now
        if main or more:
            self.kept["main"] += main
            self.kept["more"] += more
            self._keep(cx, lazy=True)

    def leaves(self, cx: Context) -> None:
        """The car has left."""
        self.few, self.other_since_ms = False, None
        if self.kept["session"]:
            self.kept["session"] = 0
            self._keep(cx)
        self.fire("unplugged", cx)

    def force(self, cx: Context, phases: int) -> None:
        """A person's choice; 0 for none."""
        self.kept["forced"] = phases
        self._keep(cx)

    def _keep(self, cx: Context, *, lazy: bool = False) -> None:
        cx.put(TABLE, str(self.evse.id), dict(self.kept), lazy=lazy)
        self._count(cx)

    def _count(self, cx: Context) -> None:
        values = {keys.MOVES: "moves", keys.CLOSINGS_MAIN: "main", keys.CLOSINGS_MORE: "more"}
        for key, name in values.items():
            cx.keys.put(key, self.kept[name], self.evse.id)

    def show(self, cx: Context) -> None:
        """Put state and phases into the device model when they have changed."""
        now = (self.state if self.evse.relay is not None else "fixed", self.evse.relay)
        if now != self._shown:
            self._shown = now
            cx.keys.put(keys.STATE, now[0], self.evse.id)
            cx.keys.put(keys.PHASES, self.evse.site.phases if now[1] is None else now[1], self.evse.id)
