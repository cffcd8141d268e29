"""After a restart: a transaction of before goes on with its car, or ends (E.3, bugs 10 to 12 of real chargers)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.core.context import Context
from agent.core.evse import Authorization, Evse
from agent.core.presence import Presence
from agent.core.settings import Tables
from agent.core.transaction import Halt, Transaction
from agent.core.transactions import Transactions
from config_keys import site
from state_machines.reasons import Cause

RECOVERY_MS = 60_000
"""How long a recovered transaction waits for the hardware to tell what is plugged in."""


class Resumption:
    """Decides what becomes of every transaction that the journal held as running."""

    def __init__(self, transactions: Transactions, stored: Tables) -> None:
        self._transactions = transactions
        self._presence = Presence(stored)
        self._cut = Cause.POWER_LOST
        self._started_ms = 0

    def recover(self, cx: Context, evses: Mapping[int, Evse], running: list[Transaction], reason: str) -> None:
        """Running transactions of before the restart wait until the hardware tells whether the car is there."""
        self._cut, self._started_ms = Cause.POWER_LOST if reason == "PowerUp" else Cause.REBOOTED, cx.ms
        for transaction in running:
            evse = evses.get(transaction.evse)
            if evse is None or evse.tx is not None:
                self._transactions.bury(cx, transaction, self._cut)
                continue
            evse.tx = transaction
            transaction.recovered_by_ms = cx.ms + RECOVERY_MS
            if transaction.at.get("utc") is None:
                transaction.at = {}
            cx.after(recovery_timer(evse.id), RECOVERY_MS / 1000)

    def settle(self, cx: Context, evse: Evse) -> None:
        """E.3: with the car still there the transaction goes on, if the keys allow; else it ends."""
        running = evse.tx
        if running is None:
            return
        if running.recovered_by_ms is None:
            self._presence.follow(cx, running)
            return
        known = evse.is_seen and evse.contactor.state != "unseen"
        if not known and cx.ms < running.recovered_by_ms:
            return
        stays = known and evse.connected and not running.was_over
        goes_on = self._may_resume(cx, running) if stays else False
        if goes_on is None and running.halted is None:
            self._wait_for_clock(cx, evse, running)
            return
        running.recovered_by_ms = None
        self._transactions.takes_up(evse)
        if evse.connected:
            evse.session.fire("plug", cx)
        if goes_on:
            self._resume(cx, evse, running)
        else:
            self._transactions.end_now(cx, evse, *(running.halted or Halt(self._cut)))

    def _may_resume(self, cx: Context, running: Transaction) -> bool | None:
        """Whether the time away was short enough; None while only a clock could tell, at most ResumeTimeout from the
        start on. A last event that was never stamped with UTC was too long ago: no clock can tell."""
        away_ms = _away_ms(cx, running.at, self._presence.last(running))
        if not cx.keys[site.RESUME_TRANSACTIONS_ON_BOOT]:
            return False
        if away_ms is not None:
            return away_ms <= cx.keys[site.RESUME_TIMEOUT] * 1000
        return None if running.at and cx.ms < self._deadline_ms(cx) else False

    def _deadline_ms(self, cx: Context) -> int:
        """When no clock is waited for any longer."""
        return self._started_ms + int(cx.keys[site.RESUME_TIMEOUT]) * 1000

    def _wait_for_clock(self, cx: Context, evse: Evse, running: Transaction) -> None:
        """It stays open and without power until the clock is known, or the deadline has passed."""
        until_ms = self._deadline_ms(cx)
        if running.recovered_by_ms != until_ms:
            cx.note("recovery", f"EVSE {evse.id}: transaction {running.id} waits until the clock is known")
            running.recovered_by_ms = until_ms
            cx.timers.set(recovery_timer(evse.id), until_ms)

    def _resume(self, cx: Context, evse: Evse, running: Transaction) -> None:
        cx.note("recovery", f"EVSE {evse.id}: transaction {running.id} goes on")
        if running.token is not None and running.stop_reason is None:
            running.adopted = Authorization(
                running.token, Cause.AUTHORIZED, running.group, priority=running.priority, refused_wh=running.refused_wh
            )
            evse.authorise(cx, running.adopted)
        running.interrupted = True
        running.reached -= {"PowerPathClosed", "EnergyTransfer"}
        self._transactions.takes_up(evse)
        if running.halted is not None and running.ending is None:
            self._transactions.happened(cx, evse, running.halted.cause, token=running.halted.token)
        elif running.stop_reason is not None and self._transactions.is_over(cx, running, evse.facts()):
            self._transactions.end_now(cx, evse, self._cut)
        if running.ending is None and evse.tx is running:
            self._transactions.arm(cx, evse)


def recovery_timer(evse_id: int) -> str:
    """Name of the deadline for the decision on an EVSE's transaction of before the restart."""
    return f"evse{evse_id}.recovery"


def _away_ms(cx: Context, last: Mapping[str, Any], present_ms: int) -> int | None:
    """How long ago the last event was, or that the station was there later, which is of no use when the clock is
    before it; None when the clock does not tell: unknown, or earlier than that event."""
    utc, then = cx.utc(), last.get("utc")
    if utc is None or then is None or utc < then:
        return None
    return int(utc - (present_ms if then < present_ms <= utc else then))
