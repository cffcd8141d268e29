"""What the station has to say to the CSMS, and in which order.

Two lanes: `live` calls (boot, status, authorization, ...) that are only worth something now, and transaction
events, which are kept until they are answered. One CALL is in flight at a time (Part 4, FR.01); live calls go
first, events in the order they were made. E13 rules the repeats. Nothing here knows frames.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from heapq import nsmallest
from operator import itemgetter
from typing import Any, Literal

from agent.core.context import Context
from agent.core.declined import Declined
from agent.core.metering import resolve
from agent.core.partition import FIRST
from agent.core.signing import tells_key
from config_keys import comm, site

Gate = Literal["boot", "asked", "clock", "accepted"]
"""What the registration must allow: `boot` always, `asked` while Pending too, the others only when Accepted;
`clock` carries no time and brings one."""
RETRY = "outbox.retry"
TIMEOUT = "outbox.timeout"
TIDY = "outbox.tidy"
TIDY_S = 120
TIDY_ROWS = 16
"""Answered events are dropped together, after this time or so many: a crash only repeats them."""
LIVE_BOUND = 500
SILENCES = 3
"""Unanswered CALLs in a row after which the connection is given up; never before an event's last attempt (E13)."""
CUTS = 3
"""Breaks of the link over one event after which other transactions go first, and it waits like a refused one."""
LIVE_RUN = 10
"""Live calls that may go before a waiting event; one that fails lets the event go at once."""
TOLD_ONCE = frozenset({"token", "evse", "remote_start_id", "reservation"})
"""An event that carries one of these is not thinned out."""
THINNED = 256
"""Most events thinned out in one step: what its batch deletes from flash."""


@dataclass(slots=True, eq=False)
class Call:
    """One CALL: domain data, and the name of what follows its answer. It survives in a record as it is.

    It equals only itself: finding one in a queue compares no data.
    """

    action: str
    data: Mapping[str, Any]
    then: str = ""
    context: Mapping[str, Any] = field(default_factory=dict)
    gate: Gate = "accepted"
    row: int = 0
    attempts: int = 0
    cuts: int = 0
    """How often the link broke while it was in flight."""
    rested: bool = False
    """It has waited on the present connection, which held without it."""
    message_id: str = ""

    @property
    def is_event(self) -> bool:
        return self.row != 0


class Outbox:
    """The two lanes and the CALL in flight."""

    def __init__(self, delivers: bool = True) -> None:
        self.delivers = delivers
        """False when standalone: there is nobody to keep events for."""
        self.online = False
        """Connected and accepted: events made now are not offline events."""
        self.declined = Declined()
        self.in_flight: Call | None = None
        self.round_trip_ms = 0
        """How long the last answer took: a time in it is so much older at most."""
        self._sent_ms = 0
        self.silences = 0
        self._live: deque[Call] = deque()
        self.operator = FIRST
        """Whose CSMS it speaks to; events of other operators' transactions wait for theirs."""
        self._queues: defaultdict[str, deque[Call]] = defaultdict(deque)
        self._waits = False
        self._run = 0
        """Live calls sent since the last event."""
        self._answered: list[int] = []
        """Records of the events that were answered, not dropped yet."""
        self._aside: deque[int] = deque()
        """Records of the events that the CSMS never took, oldest first."""

    @property
    def _events(self) -> deque[Call]:
        """Transaction events for this operator, in the order in which they are told."""
        return self._queues[self.operator]

    @property
    def _everybodys(self) -> Iterator[Call]:
        """Events for all operators."""
        return (call for queue in self._queues.values() for call in queue)

    # ---------------------------------------------------------------------------------------- filling

    def call(
        self, action: str, data: Mapping[str, Any], then: str = "", gate: Gate = "accepted", **context: Any
    ) -> None:
        """Queue a live call. When the lane is full the oldest goes, one that nothing follows before all others."""
        if len(self._live) >= LIVE_BOUND:
            self._live.remove(next((call for call in self._live if not call.then), self._live[0]))
        self._live.append(Call(action, data, then, context, gate))

    def add_event(self, cx: Context, data: dict[str, Any], *, patient: bool = False) -> bool:
        """Record a transaction event and queue it behind all others; False when there is nobody to tell it to."""
        if not self.delivers:
            return False
        self._thin(cx)
        if data.get("of", FIRST) != self.operator:
            data = {**data, "offline": True}
        self._queue(cx.record("event", data, patient=patient), data)
        return True

    def restore(self, row: int, data: dict[str, Any]) -> None:
        """An event found in the journal: it is offline by definition (E04.FR.03)."""
        self._queue(row, {**data, "offline": True})

    def _queue(self, row: int, data: dict[str, Any]) -> None:
        queue = self._queues[data.get("of", FIRST)]
        queue.append(Call("TransactionEvent", data, "transaction_event", row=row))

    def forget(self, cx: Context, operator: str) -> int:
        """Nothing is told to an operator any more; how many events that were."""
        gone = self._queues.pop(operator, deque())
        cx.drop(*(call.row for call in gone))
        return len(gone)

    def has_call(self, action: str) -> bool:
        """Whether a live call of this action is queued or in flight."""
        flying = self.in_flight is not None and self.in_flight.action == action
        return flying or any(call.action == action for call in self._live)

    def restore_aside(self, rows: Iterable[int]) -> None:
        """Records of events that were set aside before the restart."""
        self._aside.extend(rows)

    @property
    def set_aside(self) -> int:
        """Events that the CSMS never took and that are kept."""
        return len(self._aside)

    @property
    def events_waiting(self) -> int:
        """Transaction events without an answer, the one in flight included."""
        return len(self._events)

    @property
    def for_others(self) -> int:
        """Events that wait for the CSMS of another operator."""
        return sum(map(len, self._queues.values())) - len(self._events)

    def waiting_of(self, tx_id: str) -> int:
        """Unanswered events of one transaction (E14: an event is queued until its response arrived)."""
        return sum(1 for call in self._everybodys if call.data["tx"] == tx_id)

    def synchronise(self, cx: Context) -> None:
        """UTC has become known: events stamped without it are recorded anew, in their order (bug 14)."""
        for call in self._everybodys:
            data = dict(call.data)
            if any([resolve(cx, data), *(resolve(cx, value) for value in data.get("meter", ()))]):
                cx.drop(call.row)
                call.data, call.row = data, cx.record("event", data)

    @property
    def is_full(self) -> bool:
        """Only Started and Ended remain and the bound is reached: no new session may begin."""
        return self._waits

    # ---------------------------------------------------------------------------------------- sending

    def next(self, cx: Context, allowed: frozenset[Gate]) -> Call | None:
        """The call to send now, marked as in flight; None when there is none or one is in flight."""
        if self.in_flight is not None:
            return None
        event = self._next_event(cx, allowed)
        call = event if event is not None and self._run >= LIVE_RUN else self._next_live(allowed) or event
        if call is not None:
            self._run = 0 if call.is_event else self._run + 1
            call.attempts += 1
            call.message_id, self._sent_ms = cx.uuid(), cx.ms
            self.in_flight = call
            cx.after(TIMEOUT, cx.keys[comm.MESSAGE_TIMEOUT])
        return call

    def _next_live(self, allowed: frozenset[Gate]) -> Call | None:
        for call in self._live:
            if call.gate in allowed:
                self._live.remove(call)
                return call
        return None

    def _next_event(self, cx: Context, allowed: frozenset[Gate]) -> Call | None:
        if "accepted" not in allowed or not self._events or cx.timers.at(RETRY) is not None:
            return None
        first = self._events[0]
        if first.cuts >= CUTS and not first.rested:
            first.rested = True
            cx.after(RETRY, cx.keys[comm.MESSAGE_ATTEMPT_INTERVAL] * (first.cuts - CUTS + 1))
            return None
        return None if cx.is_due(first.row) else first

    # ---------------------------------------------------------------------------------------- answers

    def answered(self, cx: Context) -> Call | None:
        """The call in flight was answered with a result: it is done. An event's record is dropped some time."""
        call = self._landed(cx)
        if call is not None:
            self.round_trip_ms = cx.ms - self._sent_ms
            self.silences = 0
            if call.is_event:
                self._gone()
                self._answered.append(call.row)
                if len(self._answered) >= TIDY_ROWS:
                    cx.after(TIDY, 0)
                elif cx.timers.at(TIDY) is None:
                    cx.after(TIDY, TIDY_S)
        return call

    def tidy(self, cx: Context) -> None:
        """Drop what was answered, lazily; the running transactions must be recorded in the same step."""
        cx.forget(TIDY)
        cx.drop(*self._answered)
        self._answered.clear()

    def refused(self, cx: Context, silent: bool = False) -> Call | None:
        """A CALLERROR, or nothing within the time-out. An event is tried again or set aside (E13.FR.01-04)."""
        call = self._landed(cx)
        if call is None:
            return None
        self.silences = self.silences + 1 if silent else 0
        if call.is_event:
            self._try_again(cx, call)
        else:
            self._run = LIVE_RUN
        return call

    def withheld(self, cx: Context) -> Call | None:
        """The call in flight is not said after all, because the CSMS does not know it; None when it may be said."""
        wanted = self.in_flight is None or self.in_flight.action not in self.declined
        return None if wanted else self._landed(cx)

    def unfit(self, cx: Context, why: str) -> None:
        """The event in flight is no valid one, which is a bug: set aside, for the next start would break at it too."""
        call = self._landed(cx)
        assert call is not None and call.is_event
        cx.note("bug", f"event {call.data['tx']}/{call.data['seq']} of our own: {why}", "error")
        self._set_aside(cx, call, "is no valid one")

    def is_unrecorded(self, cx: Context) -> bool:
        """The event in flight was not written down, so it was not said either."""
        return self.in_flight is not None and self.in_flight.is_event and cx.is_due(self.in_flight.row)

    def unsaid(self, cx: Context) -> None:
        """The call in flight never left, because what was to be recorded with it was not: it goes first again."""
        call = self._landed(cx)
        if call is not None:
            call.attempts -= 1
            if not call.is_event:
                self._live.appendleft(call)

    def disconnected(self, cx: Context) -> list[Call]:
        """The link is gone: live calls are void, events stay and are offline now (E11.FR.07).

        What was in flight has not failed; earlier failures count on, so that no event is tried for ever.
        """
        call = self._landed(cx)
        if call is not None:
            self._broke(cx, call)
        cx.forget(RETRY)
        void = [*([call] if call is not None and not call.is_event else []), *self._live]
        self._live.clear()
        self.silences = 0
        for event in self._events:
            event.data, event.rested = {**event.data, "offline": True}, False
        return void

    def _broke(self, cx: Context, call: Call) -> None:
        """The link broke over a call. One that breaks a link each time that held without it is set aside at last."""
        call.attempts -= 1
        call.cuts += 1
        if not call.is_event or not (call.rested or call.cuts % CUTS == 0):
            return
        if call.cuts >= CUTS + cx.keys[comm.MESSAGE_ATTEMPTS]:
            self._set_aside(cx, call, f"broke the link {call.cuts} times")
        else:
            self._step_back(call.data["tx"])

    def _step_back(self, tx_id: str) -> None:
        """The link keeps breaking over an event: other transactions go first, its own keep their order."""
        mine = [event for event in self._events if event.data["tx"] == tx_id]
        others = [event for event in self._events if event.data["tx"] != tx_id]
        self._queues[self.operator] = deque([*others, *mine])

    def is_ignored(self, cx: Context) -> bool:
        """So many CALLs in a row were not answered that the connection is of no use."""
        return self.silences >= max(SILENCES, cx.keys[comm.MESSAGE_ATTEMPTS])

    def _landed(self, cx: Context) -> Call | None:
        call, self.in_flight = self.in_flight, None
        cx.forget(TIMEOUT)
        return call

    def _try_again(self, cx: Context, call: Call) -> None:
        if call.attempts < cx.keys[comm.MESSAGE_ATTEMPTS]:
            cx.after(RETRY, cx.keys[comm.MESSAGE_ATTEMPT_INTERVAL] * call.attempts)
            return
        self._set_aside(cx, call, f"was not taken in {call.attempts} tries")

    def _set_aside(self, cx: Context, call: Call, why: str) -> None:
        """The CSMS will not have this event: it is kept here and reported, and the others go on."""
        self._gone()
        cx.drop(call.row)
        self._aside.append(cx.record("set_aside", call.data))
        while len(self._aside) > cx.keys[site.KEPT_SET_ASIDE]:
            cx.drop(self._aside.popleft())
        cx.note("outbox", f"event {call.data['tx']}/{call.data['seq']} {why}: set aside", "error")

    def _gone(self) -> None:
        """The first event is done with; there is room again."""
        self._events.popleft()
        self._waits = False

    # ---------------------------------------------------------------------------------------- bounds

    def _thin(self, cx: Context) -> None:
        """Memory low: drop intermediate Updated events, some at a time, never Started or Ended (E04.FR.07/08)."""
        self._waits = False
        waiting, limit = sum(map(len, self._queues.values())), cx.keys[site.OUTBOX_LIMIT]
        if waiting < limit:
            return
        gone = self._every_second(min(THINNED, waiting - limit + limit // 10))
        self._waits = not gone
        if gone:
            for operator, queue in self._queues.items():
                self._queues[operator] = deque(call for call in queue if call.row not in gone)
            cx.drop(*gone)

    def _every_second(self, most: int) -> dict[int, None]:
        """Records of up to `most` events to drop: where the least is missing first, and no two next to each other.

        So what stays of each transaction is as dense as of the others, and its start as dense as its end.
        """
        gone: dict[int, None] = {}
        stays: set[int] = set()
        enough = nsmallest(3 * most, self._intermediate(), key=itemgetter(0))  # each that goes keeps at most two
        for _, before, call, after in enough:
            if len(gone) < most and call.row not in stays:
                gone[call.row] = None
                stays.update((before.row, after.row))
        return gone

    def _intermediate(self) -> Iterator[tuple[int, Call, Call, Call]]:
        """Updated events that may go: the step in seqNo without it, the one before it, itself, the one after it.

        A transaction's first one here may be in flight, and its last one tells its present state: both stay, and so
        does the first that tells the meter's public key, for it may be the only one (J02.FR.21).
        """
        latest: dict[str, tuple[Call | None, Call | None]] = {}
        keyed: dict[str, Call] = {}
        for after in self._everybodys:
            tx = after.data["tx"]
            before, call = latest.get(tx, (None, None))
            latest[tx] = call, after
            if tx not in keyed and tells_key(after.data.get("meter", ())):
                keyed[tx] = after
            if before and call and call.data["type"] == "Updated" and not _is_needed(call, keyed.get(tx)):
                yield after.data["seq"] - before.data["seq"], before, call, after


def _is_needed(call: Call, keyed: Call | None) -> bool:
    """Nothing else tells what this event does."""
    return call is keyed or not TOLD_ONCE.isdisjoint(call.data)
