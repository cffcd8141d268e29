"""Transactions: when one starts and ends, its events, and what of it is kept (E01 to E12, J02).

The facts of an EVSE and the keys TxStartPoint and TxStopPoint decide; the causes of `state_machines.reasons` name
the reason. An event is recorded when it is made, gets its seqNo then (E01.FR.07), and goes to the outbox.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from agent.core.context import Context
from agent.core.evse import Evse, Token
from agent.core.metering import energy_wh, in_order, is_fresh, last_known, resolve, sample, stamp
from agent.core.outbox import Outbox
from agent.core.registers import Registers
from agent.core.series import Series, series_timer
from agent.core.signing import ENERGY, SIGNED_MS, UPDATED, Signing
from agent.core.transaction import STILL_TO_COME, Ending, Transaction
from config_keys import sampled, tx
from state_machines.reasons import Cause

FREQUENT_S = 5
"""Up to this interval (s) periodic samples wait for each other, so that they share a commit."""
LAST_READING_MS = 3_000
"""How long the end of a transaction waits for a reading taken after the contactor opened."""
FIRST_READING_MS = 60_000
"""The same after a restart, when the meter has not answered yet: only it knows what flowed since the last sample."""
GONE = frozenset({"Authorized", "PowerPathClosed", "EnergyTransfer"})
"""Facts that an ended authorization takes with it."""
STOPS = (Cause.STOPPED_HERE, Cause.STOPPED_REMOTELY, Cause.DEAUTHORIZED, Cause.EV_CAME_NOT, Cause.FAULT)
"""Causes that initiate the end, whenever it comes."""


class Transactions:
    """Follows every EVSE's facts and makes the events."""

    def __init__(
        self,
        outbox: Outbox,
        series: Series,
        registers: Registers,
        signing: Signing,
        ended: Callable[[Context, Evse], None],
    ) -> None:
        self._outbox = outbox
        self._series = series
        self._registers = registers
        self._signing = signing
        self._ended = ended
        self._before: dict[int, frozenset[str]] = {}
        self._due: dict[int, int] = {}
        """When the periodic sample of each EVSE is due (monotonic ms)."""

    # ---------------------------------------------------------------------------------------- what happens

    def happened(
        self,
        cx: Context,
        evse: Evse,
        cause: Cause,
        *,
        lost: frozenset[str] = frozenset(),
        token: Token | None = None,
    ) -> None:
        """Something happened at an EVSE: start, update or end its transaction accordingly."""
        facts = evse.facts() - lost
        before = self._before.get(evse.id, frozenset()) - lost
        self._before[evse.id] = facts
        if evse.tx is None:
            if self._starts(cx, before, facts, cause):
                self._start(cx, evse, cause, facts)
        elif evse.tx.ending is not None:
            evse.tx.later = cause
        else:
            self._go_on(cx, evse, cause, facts, token)

    def stopping(self, cx: Context, evse: Evse) -> None:
        """Somebody stops a session: a transaction that outlives it says so before energy has ended (E07, F03)."""
        done, running = evse.released, evse.tx
        if done is None or running is None or running.ending is not None or running.recovered_by_ms is not None:
            return
        told = done.cause in (Cause.STOPPED_HERE, Cause.STOPPED_REMOTELY)
        if told and not self.is_over(cx, running, evse.facts() - GONE):
            done.told = True
            self._go_on(cx, evse, done.cause, evse.facts(), done.stopping_token)

    def settle(self, cx: Context, evse: Evse) -> bool:
        """At the end of a step: report a changed charging state, finish what waits for its last reading.

        True when an authorization or a transaction ended: the way may be free for the next one.
        """
        before = (evse.released, evse.tx)
        self._settle(cx, evse)
        return before != (evse.released, evse.tx)

    def _settle(self, cx: Context, evse: Evse) -> None:
        done = evse.released
        if done is not None and (not evse.contactor.may_carry or not evse.connected):
            evse.released = None
            if done.told:
                self._before[evse.id] = evse.facts()
            else:
                self.happened(cx, evse, done.cause, lost=GONE, token=done.stopping_token)
        if evse.tx is None:
            if evse.charging and "EnergyTransfer" not in self._before.get(evse.id, frozenset()):
                self.happened(cx, evse, Cause.STATE_CHANGED)
            return
        if evse.tx.recovered_by_ms is not None:
            return
        if self._catch_begin(cx, evse, evse.tx):
            self.keep(cx, evse.tx)
        if evse.tx.ending is not None:
            self._finish(cx, evse, evse.tx, evse.tx.ending)
        elif evse.released is None and self._looks_different(evse, evse.tx):
            self.happened(cx, evse, Cause.STATE_CHANGED)

    def _looks_different(self, evse: Evse, running: Transaction) -> bool:
        """The charging state, or the phases in use while it charges, are no longer those told (E02.FR.13, FR.19)."""
        rewired = evse.charging and evse.phases_closed not in (0, running.phases)
        return rewired or evse.charging_state(running) != running.charging_state

    def sampled(
        self, cx: Context, evse: Evse, cause: Cause, value: dict[str, Any] | None, at_ms: int | None = None
    ) -> None:
        """A periodic, clock-aligned or triggered sample; without a value there is nothing to say (J02)."""
        running = evse.tx
        if running is None or value is None or not running.takes_samples:
            return
        self._event(cx, evse, running, "Updated", cause, [*self._begin(cx, evse, running), value], at_ms=at_ms)

    def asked_for(self, cx: Context, evse: Evse, value: dict[str, Any] | None) -> bool:
        """F06.FR.07: how it stands now and where, with a sample if there is one; False without a transaction."""
        running = evse.tx
        if running is None or not running.takes_samples:
            return False
        running.untold |= {"evse"} if running.placed else set()
        self._event(cx, evse, running, "Updated", Cause.ASKED_FOR, [value] if value is not None else [])
        return True

    def begin_signed(self, cx: Context, evse: Evse, value: dict[str, Any]) -> None:
        """The meter has signed the begin value: told at once by key, and it may start the transaction (E01.FR.04)."""
        evse.data_signed, evse.unsigned = True, False
        if evse.tx is None:
            self._signing.keep_begin(evse, value)
            self.happened(cx, evse, Cause.SIGNED)
            return
        evse.tx.signed["begin"] = value
        if cx.keys[sampled.SIGN_STARTED_READINGS]:
            self.sampled(cx, evse, Cause.SIGNED, value)
        else:
            self.keep(cx, evse.tx)

    def end_signed(self, evse: Evse, value: dict[str, Any]) -> None:
        """The meter has signed the end value, which Ended waits for."""
        if evse.tx is not None:
            evse.tx.signed["end"] = value

    def sign_before_start(self, cx: Context, evse: Evse) -> None:
        """TxStartPoint DataSigned: the begin value comes before the transaction and before any energy."""
        if evse.tx is not None:
            return
        evse.unsigned = evse.connected and evse.authorization is not None and self._signing.awaited(cx, evse)
        if evse.unsigned:
            self._signing.begin(cx, evse)
        elif evse.authorization is None and evse.released is None:
            self._signing.forget(evse)
            evse.data_signed = False

    def stop_because(self, evse: Evse, reason: str) -> None:
        """Remember what initiated the end; the first reason stays (E.2)."""
        if evse.tx is not None and evse.tx.stop_reason is None:
            evse.tx.stop_reason = reason

    def end_now(self, cx: Context, evse: Evse, cause: Cause, token: Token | None = None) -> None:
        """End the transaction whatever the stop points say (reset, force-end, lost for good)."""
        if evse.tx is not None and evse.tx.ending is None:
            self._begin_end(cx, evse, evse.tx, cause, token, evse.facts())

    def bury(self, cx: Context, running: Transaction, cause: Cause) -> None:
        """Its EVSE exists no more, or it is not the only one there: ended without a reading."""
        running.stop_reason = running.stop_reason or cause.value.stopped
        values = [v for v in (running.began, *self._series.take(cx, running.id)) if v and v["values"]]
        data = {"tx": running.id, "seq": running.next_seq, "type": "Ended", "trigger": cause.value.trigger,
                **stamp(cx, cx.ms), "state": "Idle", "offline": True, "at": running.evse,
                "stopped": running.stop_reason} | ({"of": running.operator} if running.operator else {})  # fmt: skip
        running.next_seq += 1
        self.keep(cx, running, ended=True)
        self._outbox.add_event(cx, data | ({"meter": self._signing.told(cx, values, running)} if values else {}))

    # ---------------------------------------------------------------------------------------- start and end

    def _starts(self, cx: Context, before: frozenset[str], facts: frozenset[str], cause: Cause) -> bool:
        points = facts.intersection(cx.keys[tx.TX_START_POINT])
        fresh = cause in (Cause.AUTHORIZED, Cause.REMOTE_START) and "Authorized" in facts
        return bool(points - before) or (bool(points) and fresh)

    def _start(self, cx: Context, evse: Evse, cause: Cause, facts: frozenset[str]) -> None:
        new = Transaction(cx.uuid(), evse.id, evse.plug.id, started=stamp(cx, cx.ms), reached=facts)
        new.operator = cx.operator
        new.untold.add("evse")
        new.placed = evse.is_chosen
        evse.tx = new
        self._adopt(evse, new)
        signed = self._signed_begin(cx, evse, new, cause)
        self._event(cx, evse, new, "Started", cause, [*signed, *self._begin(cx, evse, new)])
        if new.placed:
            self._signing.begin(cx, evse)
        self.arm(cx, evse)

    def _signed_begin(self, cx: Context, evse: Evse, new: Transaction, cause: Cause) -> list[dict[str, Any]]:
        """The begin value where it comes before the transaction; told when it is the cause, or by key (TC_E_11)."""
        value = self._signing.take_begin(evse)
        if value is None:
            return []
        new.signed["begin"] = value
        return [value] if cause is Cause.SIGNED or cx.keys[sampled.SIGN_STARTED_READINGS] else []

    def arm(self, cx: Context, evse: Evse) -> None:
        """Samples are due from now on."""
        self._arm(cx, evse)
        self._series.arm(cx, evse)

    def takes_up(self, evse: Evse) -> None:
        """What holds at an EVSE is where its transaction goes on from."""
        self._before[evse.id] = evse.facts()

    def moves(self, cx: Context, here: Evse, there: Evse) -> None:
        """The driver has chosen another EVSE than the first that was free: his transaction goes there."""
        running = here.tx
        if running is None:
            return
        here.tx, there.tx = None, running
        running.evse, running.connector = there.id, there.plug.id
        self._before[there.id] = self._before.get(here.id, frozenset())
        self.takes_up(here)
        for timer in (sample_timer(here.id), series_timer(here.id)):
            cx.forget(timer)
        self.arm(cx, there)

    def _arm(self, cx: Context, evse: Evse, since_ms: int | None = None) -> None:
        """The next periodic sample, TxUpdatedInterval from now, or from when the last was due; 0 means none."""
        interval_ms = cx.keys[sampled.TX_UPDATED_INTERVAL] * 1000 if cx.keys[sampled.ENABLED] else 0
        if not interval_ms:
            cx.forget(sample_timer(evse.id))
            return
        due = (cx.ms if since_ms is None else since_ms) + interval_ms
        self._due[evse.id] = due if due > cx.ms else cx.ms + interval_ms
        cx.timers.set(sample_timer(evse.id), self._due[evse.id])

    def _adopt(self, evse: Evse, running: Transaction) -> None:
        """Take over who was authorised, once (C01, F01.FR.25); an earlier stop is forgotten."""
        authorization = evse.authorization
        if authorization is None or authorization is running.adopted:
            return
        running.adopted, running.stop_reason = authorization, None
        running.token, running.group = authorization.token, authorization.group
        running.untold.add("token")
        if authorization.remote_start_id is not None:
            running.remote_start_id = authorization.remote_start_id
            running.untold.add("remote_start_id")
        if authorization.reservation is not None:
            running.reservation = authorization.reservation
            running.untold.add("reservation")

    def _begin(self, cx: Context, evse: Evse, running: Transaction) -> list[dict[str, Any]]:
        """The Begin register, once, of the first reading there is (E01.FR.09, E02.FR.21)."""
        self._catch_begin(cx, evse, running)
        first, running.first = running.first, None
        return [first] if first is not None else []

    def _catch_begin(self, cx: Context, evse: Evse, running: Transaction) -> bool:
        """A meter that was silent at the start is read as soon as it answers, whenever that is told. True: just now."""
        if running.began is not None or not running.placed or not is_fresh(cx, evse):
            return False
        running.first = sample(cx, evse, cx.keys[sampled.TX_STARTED_MEASURANDS], "Transaction.Begin")
        running.began = sample(cx, evse, cx.keys[sampled.TX_ENDED_MEASURANDS], "Transaction.Begin") or {}
        return True

    def _go_on(self, cx: Context, evse: Evse, cause: Cause, facts: frozenset[str], token: Token | None) -> None:
        running = evse.tx
        assert running is not None
        self._adopt(evse, running)
        if evse.connected and not running.placed:
            running.placed = True
            self._signing.begin(cx, evse)
        over = self.is_over(cx, running, facts) or self._never_came(cx, cause)
        running.reached |= facts
        if cause in STOPS or (cause is Cause.UNPLUGGED and evse.authorization is None):
            self.stop_because(evse, cause.value.stopped)
        if cause is Cause.UNPLUGGED:
            running.has_charged = False
        if over:
            self._begin_end(cx, evse, running, cause, token, facts)
            return
        if cause is Cause.PLUGGED:
            running.connector = evse.plug.id
            running.untold.add("evse")
        if token is not None:
            running.untold.add("token")
        self._event(cx, evse, running, "Updated", cause, self._begin(cx, evse, running), token)

    def is_over(self, cx: Context, running: Transaction, facts: frozenset[str]) -> bool:
        """A stop point was reached: something that once held does no longer (E.0).

        When nothing holds any more (no car, no authorization, no vehicle in the bay) it ends whatever the keys say:
        start and stop points that do not match would leave it open for ever. That the meter has signed holds nobody.
        """
        gone = any(p in running.reached and p not in facts for p in cx.keys[tx.TX_STOP_POINT])
        return gone or (not facts - {"DataSigned"} and bool(running.reached))

    def _never_came(self, cx: Context, cause: Cause) -> bool:
        """E03.FR.05, E03.FR.15: without a car in time it ends, unless the bay tells when the driver leaves."""
        return cause is Cause.EV_CAME_NOT and "ParkingBayOccupancy" not in cx.keys[tx.TX_STOP_POINT]

    def _begin_end(
        self,
        cx: Context,
        evse: Evse,
        running: Transaction,
        cause: Cause,
        token: Token | None,
        facts: frozenset[str],
    ) -> None:
        if cause is Cause.STATE_CHANGED and evse.fault is not None:
            cause = Cause.FAULT
        by_ev = cause is Cause.STATE_CHANGED and evse.charging_state(running) == "SuspendedEV"
        self.stop_because(evse, "StoppedByEV" if by_ev else cause.value.stopped)
        cx.forget(sample_timer(evse.id))
        cx.forget(series_timer(evse.id))
        since = max(evse.contactor.opened_ms, 0) if not evse.contactor.may_carry else cx.ms
        patience_ms = FIRST_READING_MS if _is_unread(cx, evse, running) else LAST_READING_MS
        running.ending = Ending(cause, cx.ms + patience_ms, since, token, facts)
        cx.after(end_timer(evse.id), patience_ms / 1000)
        self._finish(cx, evse, running, running.ending)
        if evse.tx is running:
            self.keep_changed(cx, running)

    def _finish(self, cx: Context, evse: Evse, running: Transaction, ending: Ending) -> None:
        """Make the Ended event once the meter was read after the last energy, or can no longer be waited for."""
        if not evse.contactor.may_carry and ending.since_ms > evse.contactor.opened_ms > 0:
            ending.since_ms = evse.contactor.opened_ms
        if self._signing.wanted(cx, evse):
            self._ask_to_sign(cx, evse, ending)
        silent = "meter" in evse.silent and not _is_unread(cx, evse, running)
        waiting = running.placed and evse.site.has_meter and not silent and cx.ms < ending.until_ms
        last = evse.reading.mono_ms if evse.reading is not None else -1
        unsigned = self._signing.wanted(cx, evse) and "end" not in running.signed
        carries = evse.contactor.may_carry and not ending.asked
        if waiting and (carries or last < ending.since_ms or unsigned):
            return
        self._end(cx, evse, running, ending)

    def _ask_to_sign(self, cx: Context, evse: Evse, ending: Ending) -> None:
        """The end value is signed once nothing can flow any more, or when the contactor has been waited for."""
        if ending.asked or (evse.contactor.may_carry and cx.ms < ending.until_ms):
            return
        ending.asked = True
        ending.until_ms = max(ending.until_ms, cx.ms + SIGNED_MS)
        cx.timers.set(end_timer(evse.id), ending.until_ms)
        self._signing.ask(cx, evse, "end")

    def _end(self, cx: Context, evse: Evse, running: Transaction, ending: Ending) -> None:
        cx.forget(end_timer(evse.id))
        measurands = cx.keys[sampled.TX_ENDED_MEASURANDS] if running.placed else ()
        end = sample(cx, evse, measurands, "Transaction.End") or last_known(cx, evse, measurands, running.began)
        if end is None and running.began and ENERGY in measurands and cx.keys[sampled.ENABLED]:
            end = self._registers.before(evse.id)
        if ending.token is not None:
            running.untold.add("token")
        running.end_wh = energy_wh(evse) if end is not None else None
        begins, ends = (running.began, running.signed.get("begin")), in_order(end, running.signed.get("end"))
        values = [v for v in (*begins, *self._series.take(cx, running.id), *ends) if v and v["values"]]
        self._signing.forget(evse)
        evse.data_signed = False
        self._event(cx, evse, running, "Ended", ending.cause, values, token=ending.token)
        self._ended(cx, evse)
        evse.tx = None
        self._before[evse.id] = ending.facts if running.later is not None else evse.facts()
        if running.later is not None:
            self.happened(cx, evse, running.later)
        if evse.tx is None and not STILL_TO_COME[evse.connected].intersection(cx.keys[tx.TX_START_POINT]):
            evse.release(cx, ending.cause)

    # ---------------------------------------------------------------------------------------- events

    def _event(
        self,
        cx: Context,
        evse: Evse,
        running: Transaction,
        kind: str,
        cause: Cause,
        meter: list[dict[str, Any]],
        token: Token | None = None,
        at_ms: int | None = None,
    ) -> None:
        """Record one event of this moment (or of `at_ms`), give it its seqNo, and hand it to the outbox."""
        state, stamped = evse.charging_state(running), stamp(cx, cx.ms if at_ms is None else at_ms)
        remote = "remote_start_id" in running.untold and kind != "Ended"
        trigger = (Cause.REMOTE_START if remote else cause).value.trigger
        data: dict[str, Any] = {
            "tx": running.id, "seq": running.next_seq, "type": kind, "trigger": trigger,
            **stamped, "state": state, "offline": not self._outbox.online, "at": evse.id,
        }  # fmt: skip
        if running.operator:
            data["of"] = running.operator
        if meter:
            for value in meter:
                resolve(cx, value)
            data["meter"] = self._signing.told(cx, meter, running)
            if kind != "Updated":
                self._registers.keep_evse(cx, evse.id)
        running.tell(data, evse.plug, token)
        if state == "Charging":
            data["phases"] = running.phases = evse.phases_closed or evse.site.phases
            running.has_charged, running.interrupted = True, False
        if kind == "Ended":
            data["stopped"] = running.stop_reason or cause.value.stopped
        running.charging_state, running.at = state, stamped
        running.next_seq += 1
        patient = cause is Cause.SAMPLED and cx.keys[sampled.TX_UPDATED_INTERVAL] <= FREQUENT_S
        told = self._outbox.add_event(cx, data, patient=patient)
        if not told or kind == "Ended" or running.tells_more(running.data()):
            self.keep(cx, running, ended=kind == "Ended")

    def keep(self, cx: Context, running: Transaction, *, ended: bool = False, lazy: bool = False) -> None:
        """Write what the transaction is now and drop what was written of it before."""
        running.kept = running.data()
        old, running.row = running.row, cx.record("ended" if ended else "tx", running.kept, lazy=lazy)
        if old:
            cx.drop(old)

    def keep_changed(self, cx: Context, running: Transaction) -> None:
        """Write it when its record does not say all of it."""
        if running.tells_more(running.data()):
            self.keep(cx, running)

    def keep_progress(self, cx: Context, evses: Iterable[Evse]) -> None:
        """Write how far transactions and registers are, lazily: before the events that tell it are dropped."""
        for evse in evses:
            if evse.tx is not None and evse.tx.kept.get("next_seq") != evse.tx.next_seq:
                self.keep(cx, evse.tx, lazy=True)
        self._registers.keep_all(cx)

    def interval_passed(self, cx: Context, evse: Evse) -> None:
        """TxUpdatedInterval is over: one sample, and the next one is due (J02.FR.11).

        Its event bears the moment at which it was due, so that lateness never adds up (TC_J_09).
        """
        if evse.tx is None or evse.tx.ending is not None:
            return
        due = self._due[evse.id]
        self._arm(cx, evse, due)
        if is_fresh(cx, evse) and evse.takes_reading():
            value = sample(cx, evse, cx.keys[sampled.TX_UPDATED_MEASURANDS], "Sample.Periodic")
            self.sampled(cx, evse, Cause.SAMPLED, value, due)
            if self._signing.wanted(cx, evse, *UPDATED):
                self._signing.ask(cx, evse, "periodic")

    def rearm(self, cx: Context, evses: Mapping[int, Evse]) -> None:
        """An interval was changed: it holds from now on."""
        for evse in evses.values():
            if evse.tx is not None and evse.tx.ending is None:
                self.arm(cx, evse)

    def synchronised(self, cx: Context, evses: Mapping[int, Evse]) -> None:
        """UTC has become known: what was stamped without it is stamped for good, once (bug 14)."""
        self._outbox.synchronise(cx)
        for evse in evses.values():
            running = evse.tx
            if running is None:
                continue
            resolved = [resolve(cx, stamped) for stamped in (running.started, running.began, running.at)]
            if any(resolved):
                self.keep(cx, running)


def sample_timer(evse_id: int) -> str:
    """Name of the deadline for the next periodic sample of an EVSE."""
    return f"evse{evse_id}.sample"


def end_timer(evse_id: int) -> str:
    """Name of the deadline for a transaction's end without a last reading."""
    return f"evse{evse_id}.end"


def _is_unread(cx: Context, evse: Evse, running: Transaction) -> bool:
    """The transaction is of before the restart, and its meter has told nothing since."""
    return evse.reading is None and running.began is not None and running.began.get("boot") != cx.boot_id
