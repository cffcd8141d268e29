"""What monitors notice: thresholds, differences, intervals; and how often they may speak (N05, N07, N08).

A monitor that may not be told now (its severity is above the level, or above OfflineQueuingSeverity while offline)
sleeps: it is judged again, by the value of then, when it may. So the CSMS always ends up knowing what holds.

Floods are bounded per monitor: after an event it is silent for EventInterval and then judged by the value of then.
A threshold is cleared when the value is back inside by Hysteresis, or has stayed inside for a minute.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from agent.core.context import Context
from agent.core.evse import Evse
from agent.core.inventory import LIVE, METERED
from agent.core.monitors import PERIODIC, Monitor, Monitors
from agent.core.monitors_queue import Notices
from agent.core.variables import parts
from config_keys import monitoring
from config_keys.key import RO, WO, Key
from config_keys.types import DateTime, Decimal, Integer
from config_keys.values import Slot, Values

ALERTS = "alerts"
TIMER = "monitors"
INSIDE_MS = 60_000
"""A value that is inside its threshold for so long is cleared, however near it is."""
ADOPT_MS = 10_000
"""After a start a fact takes its new momentary value; that is no change (Part 1, 4.4)."""
AFTERWARDS_MS = 10_000
"""How long after a transaction a metered value still belongs to it."""
ASKEW_MS = 5_000
"""A clock that was set may have moved the aligned moment; what strikes farther from it is armed anew."""
Alert = Mapping[str, Any]


@dataclass(slots=True)
class _State:
    """A monitor in force and what was told of it."""

    monitor: Monitor
    told: str = ""
    """Delta: the value when it was set or last told."""
    adopts_until_ms: int = 0
    alert: Alert | None = None
    """Threshold: it is exceeded and was told; survives restarts (N07.FR.14)."""
    changed: bool = False
    """The threshold was modified and is to be checked anew (N07.FR.11)."""
    inside_ms: int | None = None
    quiet_until_ms: int = 0
    due_utc: int | None = None
    """PeriodicClockAligned: the moment that is due."""


class Watch:
    """Follows every monitored variable; cheap as long as nothing monitored is written."""

    def __init__(
        self,
        monitors: Monitors,
        notices: Notices,
        evses: Mapping[int, Evse],
        read: Callable[[Context, Slot], str],
        fact: Callable[[Context, Slot], Any],
        cause: Callable[[Slot, str], int | None],
        stored: Mapping[str, Any],
    ) -> None:
        self._monitors = monitors
        self._notices = notices
        self._evses = evses
        self._read = read
        self._fact = fact
        self._cause = cause
        self._stored = stored
        self._states: dict[int, _State] = {}
        self._at: dict[Slot, set[int]] = {}
        self._live: dict[Slot, Any] = {}
        """Watched variables that are answered from facts, and what they were last: compared at each step."""
        self._readings: dict[int, object] = {}
        self._wake: dict[int, int] = {}
        self._rules: tuple[object, ...] = ()
        self._running: dict[int, str | None] = {}
        self._ended: dict[int, tuple[str, int]] = {}
        """EVSE: the transaction that ended last, and until when its meter may still speak of it."""

    # ------------------------------------------------------------------------------------------ following

    def start(self, cx: Context) -> None:
        """All monitors of before the restart watch again."""
        self._monitors.touched.clear()
        for monitor in self._monitors.all():
            self._begin(cx, _State(monitor, alert=self._stored.get(str(monitor.id))))
            self._states[monitor.id].adopts_until_ms = cx.ms + ADOPT_MS if monitor.slot[0].access is RO else 0

    def clock_set(self, cx: Context) -> None:
        """UTC is known, or another: aligned monitors are armed anew."""
        for state in self._states.values():
            if state.monitor.kind == "PeriodicClockAligned":
                state.due_utc = None
                self._arm(cx, state, cx.ms)

    def settle(self, cx: Context, keys: Values, online: bool) -> None:
        """At the end of a step: judge what may have changed."""
        self._follow(cx)
        written, keys.written = keys.written, set()
        ids = {id for slot in (*written, *self._read_anew(cx)) for id in self._at.get(slot, ())}
        ids |= self._woken(cx, online) | self._moved(cx, online)
        for id in sorted(ids):
            self._judge(cx, self._states[id], online)
        if self._wake:
            cx.timers.set(TIMER, min(self._wake.values()))
        else:
            cx.forget(TIMER)

    def _read_anew(self, cx: Context) -> list[Slot]:
        """Watched facts that are not what they were; what is metered changes with a reading only."""
        fresh = {evse.id for evse in self._evses.values() if evse.reading is not self._readings.get(evse.id)}
        for evse_id in fresh:
            self._readings[evse_id] = self._evses[evse_id].reading
        moved = []
        for slot, before in self._live.items():
            if (slot[0] in LIVE or slot[1] in fresh) and (now := self._fact(cx, slot)) != before:
                self._live[slot] = now
                moved.append(slot)
        return moved

    def _follow(self, cx: Context) -> None:
        """Take over what was set, replaced or removed; a removed alert is not cleared (N07.FR.12)."""
        for id in sorted(self._monitors.touched):
            old, new = self._states.get(id), self._monitors.get(id)
            if old is not None and new == old.monitor:
                continue
            alert = old.alert if old is not None and new is not None and new.kind == old.monitor.kind else None
            if old is not None:
                self._end(cx, old, keeps_alert=alert is not None)
            if new is not None:
                self._begin(cx, _State(new, alert=alert, changed=True))
        self._monitors.touched.clear()

    def _begin(self, cx: Context, state: _State) -> None:
        monitor = state.monitor
        state.told = self._read(cx, monitor.slot)
        self._states[monitor.id] = state
        self._at.setdefault(monitor.slot, set()).add(monitor.id)
        if monitor.slot[0] in LIVE or monitor.slot[0] in METERED:
            self._live[monitor.slot] = self._fact(cx, monitor.slot)
        if monitor.kind in PERIODIC:
            self._arm(cx, state, cx.ms)
        else:
            self._wake[monitor.id] = cx.ms

    def _end(self, cx: Context, state: _State, *, keeps_alert: bool) -> None:
        id = state.monitor.id
        del self._states[id]
        self._at[state.monitor.slot].discard(id)
        if not self._at[state.monitor.slot]:
            self._live.pop(state.monitor.slot, None)
        self._wake.pop(id, None)
        if state.alert is not None and not keeps_alert:
            cx.put(ALERTS, str(id), None)

    def _woken(self, cx: Context, online: bool) -> set[int]:
        """Whose moment has come; periodic ones speak."""
        due = {id: at for id, at in self._wake.items() if at <= cx.ms}
        for id in sorted(due):
            del self._wake[id]
            if self._states[id].monitor.kind in PERIODIC:
                self._strike(cx, self._states[id], due[id], online)
        return set(due)

    def _moved(self, cx: Context, online: bool) -> set[int]:
        """Those that may be told, or are active, since this step only."""
        rules = (online, cx.keys[monitoring.ENABLED], cx.keys[monitoring.ACTIVE_MONITORING_LEVEL],
                 cx.keys[monitoring.OFFLINE_QUEUING_SEVERITY])  # fmt: skip
        running = {evse.id: evse.tx.id if evse.tx is not None else None for evse in self._evses.values()}
        before, self._rules = self._rules, rules
        were, self._running = self._running, running
        if were == running:
            return set(self._states) if before != rules else set()
        for evse_id, tx in were.items():
            if tx is not None and running[evse_id] is None:
                self._ended[evse_id] = (tx, cx.ms + AFTERWARDS_MS)
        bound = [state for state in self._states.values() if state.monitor.transaction]
        for state in bound:
            if state.monitor.kind == "Delta" and self._tx(cx, state.monitor.slot) is not None:
                state.told = self._read(cx, state.monitor.slot)
        return {state.monitor.id for state in bound} if before == rules else set(self._states)

    # ------------------------------------------------------------------------------------------ judging

    def _judge(self, cx: Context, state: _State, online: bool) -> None:
        kind = state.monitor.kind
        if kind == "Delta" and cx.ms < state.adopts_until_ms:
            state.told = self._read(cx, state.monitor.slot)
            return
        if kind in PERIODIC or not self._is_awake(cx, state, online):
            return
        if cx.ms < state.quiet_until_ms:
            self._wake[state.monitor.id] = state.quiet_until_ms
            return
        text = self._read(cx, state.monitor.slot)
        number = _number(state.monitor.slot[0], text)
        if kind == "Delta":
            self._delta(cx, state, text, number)
        elif number is not None:
            self._threshold(cx, state, text, number)

    def _is_awake(self, cx: Context, state: _State, online: bool) -> bool:
        """Whether it may be told now (N05.FR.03, N07.FR.04, N07.FR.15) and watches at all."""
        monitor = state.monitor
        if monitor.severity > cx.keys[monitoring.ACTIVE_MONITORING_LEVEL]:
            return False
        if not cx.keys[monitoring.ENABLED] and monitor.origin != "HardWiredMonitor":
            return False
        if not online and monitor.severity > cx.keys[monitoring.OFFLINE_QUEUING_SEVERITY]:
            return False
        return not monitor.transaction or state.alert is not None or self._tx(cx, monitor.slot) is not None

    def _delta(self, cx: Context, state: _State, text: str, number: float | None) -> None:
        """N07.FR.18, N07.FR.19: changed by more than the value, or changed at all where it is no number."""
        before = _number(state.monitor.slot[0], state.told)
        if not _is_numeric(state.monitor.slot[0]):
            changed = text != state.told
        elif number is None or before is None:
            state.told = text or state.told
            return
        else:
            changed = abs(number - before) > state.monitor.value
        if changed:
            state.told = text
            self._tell(cx, state, text, "Delta")

    def _threshold(self, cx: Context, state: _State, text: str, number: float) -> None:
        """N07.FR.02, N07.FR.11, N07.FR.16, N07.FR.17."""
        monitor = state.monitor
        beyond = number > monitor.value if monitor.kind == "UpperThreshold" else number < monitor.value
        if beyond:
            state.inside_ms = None
            if state.alert is None or state.changed:
                self._alert(cx, state, {"tx": self._tx(cx, monitor.slot)})
                self._tell(cx, state, text, "Alerting")
        elif state.alert is not None and (state.changed or self._is_back(cx, state, number)):
            tx = self._tx(cx, monitor.slot) or state.alert.get("tx")
            self._alert(cx, state, None)
            self._tell(cx, state, text, "Alerting", cleared=True, tx=tx)
        state.changed = False

    def _is_back(self, cx: Context, state: _State, number: float) -> bool:
        """Inside by the hysteresis, or long enough."""
        value = state.monitor.value
        inside = value - number if state.monitor.kind == "UpperThreshold" else number - value
        if inside >= abs(value) * float(cx.keys[monitoring.HYSTERESIS]) / 100:
            return True
        if state.inside_ms is None:
            state.inside_ms = cx.ms
        self._wake[state.monitor.id] = state.inside_ms + INSIDE_MS
        return cx.ms >= state.inside_ms + INSIDE_MS

    def _alert(self, cx: Context, state: _State, alert: Alert | None) -> None:
        state.alert, state.inside_ms = alert, None
        cx.put(ALERTS, str(state.monitor.id), alert)

    # ------------------------------------------------------------------------------------------ intervals

    def _arm(self, cx: Context, state: _State, since_ms: int) -> None:
        """N08.FR.06: the interval from when it was set or last due; N08.FR.07: its next multiple by the clock."""
        every_ms = round(state.monitor.value * 1000)
        if state.monitor.kind == "Periodic":
            due = since_ms + every_ms
            self._wake[state.monitor.id] = due if due > cx.ms else cx.ms + every_ms
            return
        utc = cx.utc()
        self._wake.pop(state.monitor.id, None)
        if utc is not None:
            state.due_utc = max(utc, state.due_utc or 0) // every_ms * every_ms + every_ms
            self._wake[state.monitor.id] = cx.ms + state.due_utc - utc

    def _strike(self, cx: Context, state: _State, due_ms: int, online: bool) -> None:
        utc, due_utc = cx.utc(), state.due_utc
        if due_utc is not None and (utc is None or abs(utc - due_utc) > ASKEW_MS):
            state.due_utc = None
            self._arm(cx, state, due_ms)
            return
        self._arm(cx, state, due_ms)
        if self._is_awake(cx, state, online):
            self._tell(cx, state, self._read(cx, state.monitor.slot), "Periodic")

    # ------------------------------------------------------------------------------------------ telling

    def _tell(self, cx: Context, state: _State, text: str, trigger: str, **more: Any) -> None:
        monitor = state.monitor
        key = monitor.slot[0]
        state.quiet_until_ms = cx.ms + cx.keys[monitoring.EVENT_INTERVAL] * 1000
        more.setdefault("tx", self._tx(cx, monitor.slot))
        self._notices.add(
            cx, monitor.severity, trigger=trigger, where=parts(monitor.slot), monitor=monitor.id,
            origin=monitor.origin, value="" if key.secret or key.access is WO else text,
            cause=self._cause(monitor.slot, text), **more,
        )  # fmt: skip

    def _tx(self, cx: Context, slot: Slot) -> str | None:
        """The transaction that runs where the variable is; of the station: any. A meter may lag behind its end."""
        evses = self._evses.values() if slot[1] is None else [self._evses[slot[1]]]
        running = next((evse.tx.id for evse in evses if evse.tx is not None), None)
        ended, until_ms = self._ended.get(slot[1] or 0, (None, 0))
        return ended if running is None and slot[0] in METERED and cx.ms < until_ms else running


def _is_numeric(key: Key[Any]) -> bool:
    return isinstance(key.type, Integer | Decimal | DateTime)


def _number(key: Key[Any], text: str) -> float | None:
    """The value as a number (a moment in seconds); None when there is none or it is no number."""
    if not text or not _is_numeric(key):
        return None
    return key.type.parse(text).timestamp() if isinstance(key.type, DateTime) else float(text)
