"""BootNotification and what its answers allow (B01, B02, B03)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from agent.core.clock import credible
from agent.core.context import Context
from agent.core.instant import parse_rfc3339
from agent.core.network_profiles import Entry
from agent.core.outbox import Gate, Outbox
from agent.core.security import SecurityEvents
from agent.core.site import Site
from agent.core.timekeeping import keep
from config_keys import clock, comm
from state_machines.registration import REGISTRATION
from state_machines.table import Edge, Subject

OWN_INTERVAL_S = 60.0
"""Between BootNotifications when the CSMS leaves the interval to us (interval 0, or no answer)."""
GATES: Mapping[str, frozenset[Gate]] = {
    "unknown": frozenset({"boot"}),
    "asked": frozenset({"boot"}),
    "pending": frozenset({"boot", "asked"}),
    "rejected": frozenset(),
    "accepted": frozenset({"boot", "asked", "clock", "accepted"}),
}
TIMED: frozenset[Gate] = frozenset({"asked", "accepted"})


class Registration(Subject):
    """Registered or not; see the table."""

    TABLE = REGISTRATION

    def __init__(
        self,
        site: Site,
        outbox: Outbox,
        events: SecurityEvents,
        answered: Callable[[Context, str], None],
        accepted: Callable[[Context], None],
    ) -> None:
        super().__init__("station")
        self._site = site
        self._outbox = outbox
        self._events = events
        self._answered = answered
        self._accepted = accepted
        self._asked: Entry | None = None
        """The network profile of the CSMS that was asked."""
        self._before = "unknown"
        self._triggered = False
        self.reason = "PowerUp"
        self.retry_s = OWN_INTERVAL_S

    @property
    def is_accepted(self) -> bool:
        return self.state == "accepted"

    @property
    def standing(self) -> str:
        """What the CSMS last said: until it answers again, its last word still holds (B02, B03)."""
        return self._before if self.state in ("asked", "unknown") else self.state

    def allowed(self, cx: Context) -> frozenset[Gate]:
        """What may be sent now; without a clock nothing that carries a time, only what may bring one."""
        open_now = GATES[self.state] | (GATES["pending"] if self.standing == "pending" else frozenset())
        return open_now if cx.utc() is not None else open_now - TIMED

    def send_boot(self, cx: Context) -> None:
        """B01.FR.01: who we are and why we booted; never queued twice."""
        if not self._outbox.has_call("BootNotification"):
            self._outbox.call("BootNotification", self.boot_data(), "boot", gate="boot")

    def trigger(self, cx: Context) -> bool:
        """The CSMS asks for BootNotification now; False when it has accepted the station already (F06.FR.17)."""
        if self.is_accepted:
            return False
        self._triggered = True
        self.fire("triggered", cx)
        return True

    def boot_data(self) -> dict[str, Any]:
        """The payload as it goes on the wire: it is sent before any OCPP type is loaded."""
        site = self._site
        station = {"model": site.model, "vendorName": site.vendor, "firmwareVersion": site.firmware}
        if site.serial:
            station["serialNumber"] = site.serial
        return {"reason": "Triggered" if self._triggered else self.reason, "chargingStation": station}

    def answered(self, cx: Context, answer: Mapping[str, Any]) -> None:
        """BootNotificationResponse: clock, interval, and what may be sent from now on."""
        self.learn_time(cx, answer["currentTime"])
        interval, status = answer["interval"], answer["status"].lower()
        self._triggered = False
        self.retry_s = float(interval) if interval > 0 else OWN_INTERVAL_S
        self._before = status
        if status == "accepted" and interval > 0:
            cx.keys.put(comm.HEARTBEAT_INTERVAL, interval)
        cx.note("registration", f"BootNotification {answer['status']}, interval {interval} s")
        self.fire(status, cx)
        self._answered(cx, status)

    def asks_other(self, entry: Entry | None) -> bool:
        """The connection leads to another CSMS than the last one: what that said holds no longer (B10.FR.10)."""
        before, self._asked = self._asked, entry
        if before in (None, entry):
            return False
        self._before, self.retry_s = "unknown", OWN_INTERVAL_S
        return True

    def unanswered(self, cx: Context) -> None:
        """A CALLERROR, a time-out or a lost link instead of an answer."""
        self.retry_s = OWN_INTERVAL_S
        self.fire("unanswered", cx)

    def learn_time(self, cx: Context, text: str) -> None:
        """B01.FR.06, G02.FR.06: the CSMS is a time source."""
        try:
            utc_ms = parse_rfc3339(text)
        except ValueError:
            cx.note("clock", f"the CSMS sent {text[:40]!r} as its time; expected RFC 3339", "warning")
            return
        if cx.clock.prefers_system(cx.now, cx.keys[clock.TIME_SOURCE]):
            return
        if not credible(utc_ms):
            cx.note("clock", f"the CSMS says it is {text[:40]}: not believed", "warning")
        before = cx.clock.kept()
        correction = cx.clock.learn(cx.now, utc_ms, self._outbox.round_trip_ms)
        keep(cx, before)
        if correction:
            cx.note("clock", f"UTC corrected by {correction / 1000:.1f} s to the CSMS's time", "warning")
        if abs(correction) > cx.keys[clock.TIME_ADJUSTMENT_REPORTING_THRESHOLD] * 1000:
            self._events.report(cx, "SettingSystemTime", f"by {correction / 1000:.1f} s to the CSMS's time")

    def choose_source(self, cx: Context) -> None:
        """ClockCtrlr.TimeSource was changed: the board's clock holds at once where it goes first."""
        if cx.clock.prefers_system(cx.now, cx.keys[clock.TIME_SOURCE]):
            before = cx.clock.kept()
            cx.clock.forget()
            keep(cx, before)

    def settle(self, cx: Context) -> None:
        self._accepted(cx)

    def moved(self, cx: Context, edge: Edge) -> None:
        cx.note("registration", f"{edge.source} -> {edge.to} ({edge.trigger})", "debug")
