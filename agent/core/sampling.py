"""Clock-aligned meter values (J01) and what TriggerMessage may ask of the meters."""

from __future__ import annotations

from collections.abc import Mapping

from agent.core.boundaries import Boundaries
from agent.core.context import Context
from agent.core.evse import Evse
from agent.core.instant import rfc3339
from agent.core.main_meter import FROM_THE_GRID, MainMeter
from agent.core.metering import is_fresh, measure, of_boundary, sample, stamp
from agent.core.outbox import Outbox
from agent.core.series import Series
from agent.core.signing import ALIGNED as SIGNED_ALIGNED
from agent.core.signing import ALIGNED_UPDATED, Signing, Value
from agent.core.transactions import Transactions
from config_keys import aligned, sampled
from hal.ports import MeterSigned
from state_machines.reasons import Cause

ALIGNED = "aligned"


class Sampling:
    """Values that are due by the clock on the wall, and where signed ones go."""

    def __init__(
        self,
        evses: Mapping[int, Evse],
        outbox: Outbox,
        transactions: Transactions,
        series: Series,
        signing: Signing,
        main: MainMeter | None,
    ) -> None:
        self._evses = evses
        self._outbox = outbox
        self._transactions = transactions
        self._series = series
        self._signing = signing
        self._main = main
        self._boundaries = Boundaries(ALIGNED, aligned.INTERVAL)

    def arm(self, cx: Context) -> None:
        """Set the deadlines at the next moments of aligned data, told at once or at the end."""
        self._boundaries.arm(cx)
        self._series.boundaries.arm(cx)

    def follow(self, cx: Context) -> None:
        """At the end of every step: these deadlines, and no others, go with the clock on the wall."""
        self._boundaries.follow(cx)
        self._series.boundaries.follow(cx)

    def clock_struck(self, cx: Context) -> None:
        """One instant for all EVSEs and the main meter."""
        due = self._boundaries.struck(cx)
        if due is not None:
            for evse in self._evses.values():
                self._tell(cx, evse, due)
            self._tell_main(cx, due)

    def _tell_main(self, cx: Context, utc_ms: int) -> None:
        """J01.FR.14: evseId 0 as well, while SendDuringIdle does not keep it back."""
        if self._main is not None and not self._idle_only(cx):
            value = of_boundary(cx, self._main, cx.keys[aligned.MEASURANDS], utc_ms)
            if value is not None:
                self._send(cx, self._main, value)

    def _idle_only(self, cx: Context) -> bool:
        """J01.FR.19: nothing by the clock while a transaction runs anywhere, if the key says so."""
        return cx.keys[aligned.SEND_DURING_IDLE] and any(e.tx is not None for e in self._evses.values())

    def _tell(self, cx: Context, evse: Evse, utc_ms: int) -> None:
        value = of_boundary(cx, evse, cx.keys[aligned.MEASURANDS], utc_ms)
        if value is None or self._idle_only(cx):
            return
        if evse.tx is not None and evse.tx.placed:
            self._transactions.sampled(cx, evse, Cause.CLOCK, value)
            if self._signing.wanted(cx, evse, *ALIGNED_UPDATED):
                self._signing.ask(cx, evse, "clock", value)
        elif self._signing.wanted(cx, evse, *SIGNED_ALIGNED):
            self._signing.ask(cx, evse, "values", value)
        else:
            self._send(cx, evse, value)

    def _send(self, cx: Context, at: Evse | MainMeter, value: Value) -> None:
        """MeterValues are only worth something while there is somebody to hear them."""
        where = {"location": FROM_THE_GRID} if at is self._main else {}
        if self._outbox.online:
            self._outbox.call("MeterValues", {"evse": at.id, "meter": self._signing.told(cx, [{**value, **where}])})

    # ---------------------------------------------------------------------------------------- asked for

    def trigger_values(self, cx: Context, evse_id: int | None) -> bool:
        """F06.FR.06: MeterValues of an EVSE (None: of all, 0: of the main meter) with the aligned measurands.

        False when none can be told.
        """
        told = evse_id in (None, 0) and self._trigger_main(cx)
        for evse in self._evses.values():
            values = measure(cx, evse, cx.keys[aligned.MEASURANDS]) if evse_id in (None, evse.id) else []
            if values and is_fresh(cx, evse) and evse.reading is not None and self._outbox.online:
                value = {**stamp(cx, evse.reading.mono_ms), "context": "Trigger", "values": values}
                self._send(cx, evse, value)
                told = True
        return told

    def _trigger_main(self, cx: Context) -> bool:
        main = self._main
        values = measure(cx, main, cx.keys[aligned.MEASURANDS]) if main is not None and is_fresh(cx, main) else []
        if not values or main is None or main.reading is None or not self._outbox.online:
            return False
        self._send(cx, main, {**stamp(cx, main.reading.mono_ms), "context": "Trigger", "values": values})
        return True

    def trigger_events(self, cx: Context, evse_id: int | None) -> bool:
        """F06.FR.07: an event of each transaction (of one EVSE or of all); False when none runs there."""
        told = False
        for evse in self._evses.values():
            if evse_id in (None, evse.id) and self._outbox.online:
                value = sample(cx, evse, cx.keys[sampled.TX_UPDATED_MEASURANDS], "Trigger")
                told |= self._transactions.asked_for(cx, evse, value)
        return told

    # ---------------------------------------------------------------------------------------- signed

    def signed(self, cx: Context, evse: Evse, event: MeterSigned) -> None:
        """The meter has signed: each value goes to where it was asked for."""
        for purpose, value in self._signing.arrived(cx, evse, event):
            match purpose:
                case "begin":
                    self._transactions.begin_signed(cx, evse, value)
                case "end":
                    self._transactions.end_signed(evse, value)
                case "series":
                    self._series.signed(cx, evse, value)
                case "late series":
                    self._series.signed_late(cx, evse, value)
                case "values":
                    self._send(cx, evse, value)
                case _:
                    self._transactions.sampled(cx, evse, Cause.SIGNED, value)

    def unsigned(self, cx: Context, evse: Evse) -> None:
        """The meter has not signed in time: MeterValues go without, all others were told or kept already."""
        for purpose, plain in self._signing.given_up(cx, evse):
            cx.note("meter", f"EVSE {evse.id}: not signed in time ({purpose})", "warning")
            if purpose == "values":
                self._send(cx, evse, plain)

    def time_text(self, cx: Context) -> str:
        """ClockCtrlr.DateTime."""
        utc = cx.utc()
        return "" if utc is None else rfc3339(utc)
