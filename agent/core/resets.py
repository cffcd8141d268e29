"""Resets of the station or of one EVSE: at once, or when nobody charges there any more (B11, B12).

A station that resets ends its process; the service manager starts it again. What is promised lies on flash by then,
so nothing has to be finished that can be told afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from agent.core.context import Context
from agent.core.effects import Restart
from agent.core.evse import Evse
from config_keys import comm
from hal.ports import Withdraw
from state_machines.reasons import Cause

if TYPE_CHECKING:
    from agent.core.charger import Charger

TABLE, REASON = "station", "boot_reason"
"""Where the reason of the next boot is kept."""
TIMER = "resets"
STATION = 0
ENDING_MS = 30_000
"""An immediate reset waits no longer than this for contactors to open and for last readings."""
DRAIN_MS = 300_000
"""A scheduled reset gives the queued events of all transactions this time to be delivered."""
SPACING_MS = 30_000
"""A station that was reset is not reset again before: the service manager gives up on one that ends too often."""


class Verdict(NamedTuple):
    """The answer: Accepted, Scheduled, or Rejected with OCPP's reasonCode and a plain sentence."""

    status: str
    reason_code: str | None = None
    info: str = ""


@dataclass(slots=True)
class Reset:
    """A reset that was accepted. It `waits` until its EVSEs are idle, or ends what runs there."""

    evses: tuple[Evse, ...]
    waits: bool
    reason: str
    by_ms: int
    """When an immediate one no longer waits for an orderly end."""
    tries: int = 0
    """How often it was tried again."""
    told: set[str] = field(default_factory=set)
    """Transactions whose last event should be delivered before."""
    drain_ms: int | None = None
    """When it no longer waits for deliveries."""


class Resets:
    """Resets that were asked for and are not done yet, by EVSE; 0 is the station."""

    def __init__(self, charger: Charger, stored: Mapping[str, Any]) -> None:
        self._charger = charger
        self._kept_reason: str | None = stored.get(REASON)
        self._was_reset = False
        self._began_ms = 0
        self._pending: dict[int, Reset] = {}
        self._restarting: str | None = None

    def start(self, cx: Context, reason: str) -> str:
        """The reason of this boot: the one that was kept when the station was told to reset, else `reason`."""
        kept, self._began_ms = self._kept_reason, cx.ms
        self._was_reset = kept is not None
        if kept is not None:
            cx.put(TABLE, REASON, None)
        return kept or reason

    def ask(self, cx: Context, evse_id: int | None, *, immediate: bool) -> Verdict:
        """ResetRequest for one EVSE or (None) the station."""
        evses = tuple(e for e in self._charger.evses.values() if evse_id in (None, e.id))
        if not evses:
            return Verdict("Rejected", "UnknownEvse", f"there is no EVSE {evse_id}")
        if self._was_reset and evse_id is None and cx.ms - self._began_ms < SPACING_MS:
            return Verdict("Rejected", "Unspecified", "the station was reset a moment ago (B11.FR.06)")
        scope = evse_id or STATION
        if scope in self._pending and not self._pending[scope].waits:
            return Verdict("Accepted")
        waits = not immediate and any(self._is_busy(evse) for evse in evses)
        reason = "ScheduledReset" if waits else "RemoteReset"
        self._pending[scope] = Reset(evses, waits, reason, cx.ms + ENDING_MS)
        for evse in evses:
            evse.closed_for.add(_why(scope))
        cx.after(TIMER, ENDING_MS / 1000)
        cx.note("reset", f"{_why(scope)}: {'when idle' if waits else 'now'}")
        return Verdict("Scheduled") if waits else Verdict("Accepted")

    def restart(self, cx: Context, reason: str) -> None:
        """End the process now, in order; `reason` is that of the next boot."""
        self._restarting = reason
        cx.put(TABLE, REASON, reason)

    def settle(self, cx: Context) -> None:
        """At the end of a step: end what has to end, and reset what is ready."""
        for scope, reset in list(self._pending.items()):
            if self._is_ready(cx, reset) and self._is_delivered(cx, scope, reset):
                del self._pending[scope]
                self._do(cx, scope, reset)
        if self._restarting is not None:
            cx.do(Restart(self._restarting))

    def _is_busy(self, evse: Evse) -> bool:
        return evse.is_busy or self._charger.locks.keeps(evse)

    def _is_ready(self, cx: Context, reset: Reset) -> bool:
        reset.told |= {evse.tx.id for evse in reset.evses if evse.tx is not None}
        if reset.waits:
            return not any(self._is_busy(evse) for evse in reset.evses)
        for evse in reset.evses:
            self._end(cx, evse)
        unfinished = [evse for evse in reset.evses if evse.is_busy or evse.contactor.may_carry]
        if unfinished and cx.ms >= reset.by_ms and reset.tries < cx.keys[comm.RESET_RETRIES]:
            self._try_again(cx, reset, unfinished)
        return not unfinished or cx.ms >= reset.by_ms

    def _try_again(self, cx: Context, reset: Reset, unfinished: list[Evse]) -> None:
        """What does not open is told to open once more."""
        reset.tries += 1
        reset.by_ms = cx.ms + ENDING_MS
        cx.after(TIMER, ENDING_MS / 1000)
        for evse in unfinished:
            cx.make_safe(Withdraw(evse.id, cx.step, "reset"))
            cx.note("reset", f"EVSE {evse.id} is not done; tried again ({reset.tries})", "warning")

    def _end(self, cx: Context, evse: Evse) -> None:
        """B12.FR.04, FR.08: the session ends, whatever the stop points say."""
        evse.next = None
        if evse.authorization is not None:
            self._charger.authorizer.stop(cx, evse, Cause.RESET)
        self._charger.transactions.end_now(cx, evse, Cause.RESET)

    def _is_delivered(self, cx: Context, scope: int, reset: Reset) -> bool:
        """B12.FR.05: the last events are waited for, not for ever; what is left goes out after the reset."""
        outbox, drains = self._charger.outbox, reset.waits and scope == STATION
        if reset.drain_ms is None:
            patience_ms = DRAIN_MS if drains else cx.keys[comm.MESSAGE_TIMEOUT] * 1000
            reset.drain_ms = cx.ms + patience_ms
            cx.after(TIMER, patience_ms / 1000)
        left = outbox.events_waiting if drains else sum(outbox.waiting_of(tx) for tx in reset.told)
        return not left or not outbox.online or cx.ms >= reset.drain_ms

    def _do(self, cx: Context, scope: int, reset: Reset) -> None:
        cx.note("reset", f"{_why(scope)} ({reset.reason})", "warning")
        if scope == STATION:
            self._restarting = reset.reason
            cx.put(TABLE, REASON, reset.reason)
            return
        (evse,) = reset.evses
        evse.contactor.fire("reset", cx)
        self._charger.devices.was_reset(cx, evse)
        self._charger.locks.restarted(evse)
        evse.closed_for.discard(_why(scope))


def _why(scope: int) -> str:
    return "reset of the station" if scope == STATION else f"reset of EVSE {scope}"
