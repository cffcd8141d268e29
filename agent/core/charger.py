"""All parts of the station's core and how they meet. It knows amps and transactions, no frames."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from agent.core import failsafe, fitting, inventory, security
from agent.core.authorization import Authorizer
from agent.core.availability import TABLE as INOPERATIVE
from agent.core.availability import Availability
from agent.core.cache import TABLE as CACHE
from agent.core.cache import Cache
from agent.core.configuration import Configuration
from agent.core.context import Context, Durable
from agent.core.customers import Customers
from agent.core.delays import TABLE as DELAYS
from agent.core.delays import Delays
from agent.core.displays import TABLE as DISPLAYS
from agent.core.displays import Displays
from agent.core.effects import Record
from agent.core.energy import Energy
from agent.core.evse import Evse
from agent.core.firmware import DUE, Firmware
from agent.core.firmware import TABLE as FIRMWARE
from agent.core.firmware_statuses import TABLE as FIRMWARE_STATUSES
from agent.core.hardware import LATCHED, Devices
from agent.core.jobs import Jobs
from agent.core.ledger import KEYS as LEDGER_KEYS
from agent.core.ledger import Ledger
from agent.core.limits import Claim, rest_timer
from agent.core.locallist import TABLE, LocalList
from agent.core.locks import Locks
from agent.core.main_meter import MainMeter
from agent.core.monitoring import Monitoring
from agent.core.network import RENEW, Link
from agent.core.network_profiles import TABLE as NETWORK
from agent.core.network_profiles import Profiles, still_valid
from agent.core.operators import Operators
from agent.core.outbox import TIDY, Outbox
from agent.core.recorder import Recorder
from agent.core.recovery import Recovered, fold
from agent.core.registers import Registers
from agent.core.registration import Registration
from agent.core.remote import Remote
from agent.core.reports import Reports
from agent.core.reservations import TABLE as RESERVATIONS
from agent.core.reservations import Reservations
from agent.core.resets import TABLE as STATION
from agent.core.resets import Resets
from agent.core.resumption import Resumption
from agent.core.safeguards import Safeguards
from agent.core.sampling import ALIGNED, Sampling
from agent.core.selection import Selection
from agent.core.series import SERIES_ALIGNED, Series, series_timer
from agent.core.settings import TABLE as KEYS
from agent.core.settings import TRIAL_TIMER, Settings, Tables
from agent.core.signing import Signing, signing_timer
from agent.core.site import Site
from agent.core.tariffs import TABLE as COSTS
from agent.core.tariffs import Tariffs
from agent.core.transactions import Transactions, sample_timer
from agent.core.uploads import TABLE as UPLOADS
from agent.core.uploads import Uploads
from agent.core.variables import Variables
from config_keys import clock, comm, sampled, tx
from config_keys.key import Key
from config_keys.values import Values
from state_machines.reasons import Cause

DAY_MS = 86_400_000
NO_STEP = 1 << 62
WRITE_AGAIN_S = 5.0
"""How long after a lost batch it is handed to the store again."""


class Charger:
    """The composition of the core. Parts know each other only through what is passed to them here."""

    accepted_once = False
    stopping = False
    store_state = "ok"
    _lost_since = NO_STEP
    """The first step whose batch was lost since lost ones were handed over again."""
    silent_since_ms: int | None = None
    _beat_ms = 0
    """When the time was last asked for."""

    def __init__(self, site: Site, presets: Mapping[str, str], stored: Tables, failed_starts: int = 0) -> None:
        self.site = site
        self.operators = Operators(stored)
        stored = self.operators.tables
        keys = Values({e.id: [c.id for c in e.connectors] for e in site.evses}, presets, site.variables)
        self.settings = Settings(keys, self._key_changed)
        valid = still_valid(site.network, stored.get(NETWORK, {}), stored.get(KEYS, {}))
        self.complaints = self.settings.load({**stored, KEYS: valid}, failed_starts)
        self.durable = Durable(keys)
        self.keys = keys
        self.local_list = LocalList(stored.get(TABLE, {}), keys)
        self.cache = Cache(stored.get(CACHE, {}), keys)
        self.jobs = Jobs()
        self.evses = {e.id: Evse(e) for e in site.evses}
        self.outbox = Outbox(delivers=site.network is not None)
        self.safeguards = Safeguards(site, self.outbox, self.jobs, self.settings, stored)
        self.security, self.certificates = self.safeguards.events, self.safeguards.certificates
        self.uploads = Uploads(self.jobs, self.outbox, stored.get(UPLOADS, {}), lambda: self.can_store)
        self.stagger = failsafe.Stagger(Delays(stored.get(DELAYS, {})))
        self.energy = Energy(self.evses, stored, self._claim_sources(), self.outbox, self._rate_changed, self.stagger)
        self.complaints += self.energy.complaints
        self.schedules, self.limits = self.energy.schedules, self.energy.limits
        self.signing = Signing()
        self.series = Series(self.signing)
        self.registers = Registers(stored.get("meters", {}))
        self.transactions = Transactions(self.outbox, self.series, self.registers, self.signing, self._tx_ended)
        self.resumption = Resumption(self.transactions, stored)
        self.locks = Locks(stored)
        self.reservations = Reservations(self.evses, self.outbox, stored.get(RESERVATIONS, {}))
        self.authorizer = Authorizer(
            self.evses, self.outbox, self.transactions, self.local_list, self.cache, self.may_begin, self.locks,
            self.schedules, self.reservations,
        )  # fmt: skip
        self.network_profiles = Profiles(site.network, stored.get(NETWORK, {}), keys, self.safeguards.lacks)
        self.registration = Registration(site, self.outbox, self.security, self._answered, self._accepted)
        self.remote = Remote(
            self.evses, self.authorizer, self.schedules, self.registration, self.reservations, self.locks
        )
        self.availability = Availability(self.evses, self.outbox, stored.get(INOPERATIVE, {}))
        self.tariffs = Tariffs(stored.get(COSTS, {}))
        screens = stored.get(DISPLAYS, {})
        self.displays = Displays(site.displays, screens, self.evses, self.availability.status, self.tariffs)
        self.link = Link(self.network_profiles.route(), self.safeguards, self._link_opened, self._link_lost)
        self.settings.checks = self.network_profiles.checks
        self.variables = Variables(keys, self.settings, self._live_value)
        self.configuration = Configuration(site, keys, self.variables, self.settings)
        self.selection = Selection(keys, self.variables)
        self.reports = Reports(self.outbox)
        self.main_meter = main = MainMeter(max(e.phases for e in site.evses)) if site.main_meter else None
        self.sampling = Sampling(self.evses, self.outbox, self.transactions, self.series, self.signing, main)
        self.monitoring = Monitoring(self, stored)
        self.recorder = Recorder(self.evses)
        self.customers = Customers(self)
        self.devices = Devices(self, stored.get(LATCHED, {}))
        self.resets = Resets(self, stored.get(STATION, {}))
        self.firmware = Firmware(self, stored.get(FIRMWARE, {}), stored.get(FIRMWARE_STATUSES, {}))
        self.recovered = Recovered()
        self.ledger = Ledger(self.outbox.waiting_of)
        self._join()

    def _join(self) -> None:
        """All parts are there: what speaks of several of them."""
        self.complaints += self.monitoring.monitors.complaints + self.network_profiles.complaints
        self.durable.operator = self.operators.now
        self.durable.entries = self.operators.entries()
        self.operators.take_care_of(
            self.outbox, self.local_list, self.cache, self.schedules, self.tariffs, self.displays, self.reservations
        )
        self._deadlines = self._name_deadlines()
        self.complaints += fitting.fit(self.site, self.keys)

    def _claim_sources(self) -> tuple[Callable[[Context, Evse], Iterable[Any]], ...]:
        return (
            failsafe.nameplate,
            failsafe.cable,
            failsafe.faults,
            failsafe.meter_silent,
            failsafe.token_refused,
            self.stagger.claims,
            self._stopping_claim,
            failsafe.CsmsSilent(self).claims,
        )

    def _stopping_claim(self, cx: Context, evse: Evse) -> Iterable[Claim]:
        if self.stopping:
            yield Claim("stopping", 0.0, why="the agent is being stopped")

    # ---------------------------------------------------------------------------------------- life

    def recover(self, records: Iterable[Record]) -> None:
        """Take over what the journal holds, before the first step."""
        self.recovered = fold(records)
        self.durable.next_record = self.recovered.next_record
        self.ledger.restore(self.recovered.ledger)
        self.series.restore(self.recovered.series)
        self.outbox.restore_aside(row for row, _ in self.recovered.set_aside)
        self.monitoring.notices.restore(self.recovered.notices)
        for evse_id, values in self.recovered.readings():
            self.registers.follow(evse_id, values)
        for row, data in self.recovered.events:
            self.outbox.restore(row, data)

    def start(self, cx: Context, reason: str) -> None:
        """The first step: permission withdrawn everywhere, the journal tidied, then the link."""
        self.registration.reason = reason = self.resets.start(cx, reason)
        cx.note("boot", f"{reason}, boot {cx.boot_id}, firmware {self.site.firmware}")
        self.silent_since_ms = cx.ms if self.has_csms else None
        self.devices.start(cx)
        self.settings.start(cx)
        self.stagger.start(cx, reason)
        for complaint in (*self.complaints, *self.recovered.complaints):
            cx.note("store", complaint, "warning")
        if self.recovered.superseded:
            cx.drop(*self.recovered.superseded)
        self.resumption.recover(cx, self.evses, self.recovered.running, reason)
        self.availability.start(cx)
        self.safeguards.start(cx, reason)
        self.displays.start(cx)
        self.uploads.start(cx)
        self.monitoring.start(cx)
        self.network_profiles.start(cx)
        self.firmware.start(cx)
        self.energy.start(cx, {t.id for t in self.recovered.running})
        self.link.start(cx)
        self._arm_clock(cx)

    def settle(self, cx: Context) -> None:
        """At the end of every step: transactions, limits and statuses follow the facts."""
        self.sampling.follow(cx)
        self.resets.settle(cx)
        for evse in self.evses.values():
            self.resumption.settle(cx, evse)
            self.transactions.sign_before_start(cx, evse)
            self.schedules.follow(cx, evse)
        self.energy.decide(cx)
        ended = [evse for evse in self.evses.values() if self.transactions.settle(cx, evse)]
        if ended:
            for evse in self.evses.values():
                self.devices.use_waiting(cx, evse)
                self.authorizer.settle(cx, evse)
                self.transactions.sign_before_start(cx, evse)
            self.energy.decide(cx)
        for evse in self.evses.values():
            self.devices.settle(cx, evse)
            self.locks.settle(cx, evse)
            self.tariffs.follow(cx, evse, self.outbox.online)
            self.recorder.follow(cx, evse, self.limits.verdicts[evse.id])
        self.reservations.settle(cx)
        self.firmware.settle(cx)
        self.energy.tell(cx)
        self.availability.settle(cx)
        self.security.owed.settle(cx)
        self.uploads.settle(cx)
        self.reports.settle(cx)
        self.displays.settle(cx)
        self.monitoring.settle(cx)

    def not_recorded(self, cx: Context, step: int, reason: str) -> bool:
        """A batch was lost: what it would have energised was dropped, so it is not out; it is tried again.

        True when what the step had to say was dropped too: nobody waits for a lazy batch.
        """
        cx.note("store", f"a batch could not be written: {reason}", "error")
        firm = self.durable.batches.lost(step)
        self.settings.lost(cx, step)
        self._lost_since = min(self._lost_since, step)
        cx.after("store.retry", WRITE_AGAIN_S)
        for evse in self.evses.values():
            if evse.contactor.state in ("armed", "closing"):
                evse.contactor.fire("unrecorded", cx)
                evse.session.fire("fault", cx)
                evse.contactor.closed_ms = cx.ms
                self.limits.unrecorded(evse)
            else:
                self.limits.doubt(cx, evse)
        self.energy.phases.unrecorded(cx, step)
        return firm

    def stop(self, cx: Context, reason: str) -> None:
        """The process ends: 0 A, then open; transactions stay for the next boot."""
        cx.note("station", f"stopping: {reason}")
        self.stopping = True
        self._tidy(cx)

    # ---------------------------------------------------------------------------------------- link

    def store_reported(self, cx: Context, state: str, detail: str) -> None:
        """The health of the store: in the log, and as a security event when it is bad (A04)."""
        cx.note("store", f"{state} {detail}".strip(), "info" if state == "ok" else "error")
        if state != self.store_state and state in security.STORE_EVENTS:
            self.security.report(cx, security.STORE_EVENTS[state], f"{state}: {detail}")
        self.store_state = state

    @property
    def can_store(self) -> bool:
        """The store takes what it is given, as far as it has said."""
        return self.store_state in ("ok", "restored")

    @property
    def has_csms(self) -> bool:
        """It is not a station on its own."""
        return self.site.network is not None

    @property
    def is_online(self) -> bool:
        """Connected and accepted."""
        return self.link.is_open and self.registration.is_accepted

    def _link_opened(self, cx: Context) -> None:
        self.safeguards.opened(cx, self.link.root)
        if self.link.entry is not None:
            self.operators.connected(cx, self.link.entry.profile.url)
        if self.registration.asks_other(self.link.entry):
            self.registration.fire("changed", cx)
        elif self.registration.is_accepted:
            self.link.taken_in(accepted=True)
            offline_ms = cx.ms - (self.silent_since_ms if self.silent_since_ms is not None else cx.ms)
            self.outbox.online = True
            self.availability.reconnected(cx, offline_ms)
            self.outbox.call("Heartbeat", {}, "heartbeat", gate="clock")
        else:
            self.registration.fire("ask", cx)

    def _link_lost(self, cx: Context) -> None:
        self.outbox.online = False
        if self.silent_since_ms is None:
            self.silent_since_ms = cx.ms
        for call in self.outbox.disconnected(cx):
            self.call_void(cx, call.then, call.context)
        self.reports.forget()
        cx.forget("heartbeat")

    def call_void(self, cx: Context, then: str, context: Mapping[str, Any], *, refused: bool = False) -> None:
        """A live call has failed; `refused`: the CSMS has it and wants no part of it, so it is not said again."""
        if then == "boot":
            self.registration.unanswered(cx)
            if refused:
                self.link.turned_away(cx, self.network_profiles.good)
        elif then == "status" and not refused:
            self.availability.void((context["place"][0], context["place"][1]))
        elif then == "security_event" and refused:
            self.security.owed.refused(cx, context["number"])
        elif then == "log_status":
            self.uploads.unanswered(cx, context["number"], refused=refused)
        elif then == "firmware_status" and refused:
            self.firmware.statuses.owed.refused(cx, context["number"])
        elif then == "sign_certificate":
            self.safeguards.certificate.void(cx, refused=refused)
        elif then == "page":
            self.reports.void(cx, refused=refused)
        elif then == "reservation":
            self.reservations.unanswered(cx, context["id"], refused=refused)
        elif then == "notices":
            self.monitoring.notices.void(cx, context["ids"], refused=refused)
        elif then in ("limited", "unlimited") and not refused:
            self.energy.external.void(then, context["place"])
        elif then == "needs":
            self.energy.high_level.answered(cx, context["evse"], "Rejected")
        elif then == "authorize":
            self.authorizer.unanswered(cx, context)

    def _answered(self, cx: Context, status: str) -> None:
        """What the CSMS said to BootNotification decides whether its network profile is of use."""
        if status == "rejected":
            self.link.turned_away(cx, self.network_profiles.good)
        else:
            self.link.taken_in(accepted=status == "accepted")
        if status == "accepted" and self.link.entry is not None:
            self.network_profiles.accepted(cx, self.link.entry)

    def _accepted(self, cx: Context) -> None:
        self.accepted_once = True
        self.operators.accepted(cx)
        self.outbox.online = True
        self.outbox.declined.forget()
        self.said(cx)
        self.availability.tell_all()
        self.transactions.synchronised(cx, self.evses)
        self._arm_clock(cx)
        self.heard(cx)

    def heard(self, cx: Context) -> None:
        """The CSMS answered on the present connection: it is not silent."""
        if self.is_online:
            self.silent_since_ms = None
            cx.forget("csms.grace")

    def may_begin(self, cx: Context) -> bool:
        """B02.FR.03, B03.FR.01: transactions before the first acceptance only when the key allows them."""
        if not self.has_csms or self.accepted_once:
            return not self.stopping
        return bool(self.keys[tx.TX_BEFORE_ACCEPTED_ENABLED]) and not self.stopping

    def has_live_profile(self, cx: Context, evse: Evse) -> bool:
        return self.schedules.any_live(cx, evse)

    # ---------------------------------------------------------------------------------------- deadlines

    def _name_deadlines(self) -> dict[str, Callable[[Context], None]]:
        named: dict[str, Callable[[Context], None]] = {
            self.link.deadline_name: self.link.expire,
            self.registration.deadline_name: self.registration.expire,
            self.uploads.deadline_name: self.uploads.expire,
            self.firmware.deadline_name: self.firmware.expire,
            DUE: self.firmware.due,
            "heartbeat": self._beat,
            TRIAL_TIMER: self.settings.proven,
            RENEW: self.link.renew,
            **self.safeguards.deadlines(),
            "store.retry": self._write_again,
            TIDY: self._tidy,
            ALIGNED: self.sampling.clock_struck,
            SERIES_ALIGNED: partial(self.series.clock_struck, evses=self.evses),
            **self.energy.phases.deadlines(),
        }
        for evse in self.evses.values():
            for machine in (evse.contactor, evse.session):
                named[machine.deadline_name] = machine.expire
            named[rest_timer(evse.id)] = partial(_rested, evse)
            named[series_timer(evse.id)] = partial(self.series.interval_passed, evse=evse)
            named[signing_timer(evse.id)] = partial(self.sampling.unsigned, evse=evse)
            named[sample_timer(evse.id)] = partial(self.transactions.interval_passed, evse=evse)
        return named

    def due(self, cx: Context) -> bool:
        """Run every deadline that has passed; names without a handler only wake the step (spacing, schedules).

        True when there were any.
        """
        found = False
        while (name := cx.timers.pop_due(cx.ms)) is not None:
            found = True
            if (handler := self._deadlines.get(name)) is not None:
                handler(cx)
        return found

    def _write_again(self, cx: Context) -> None:
        """Hand over what was lost once more, and with it what was dropped behind it and is still wanted."""
        self.durable.write_again = True
        for evse in self.evses.values():
            self.locks.unrecorded(evse, self._lost_since)
            self.devices.unrecorded(evse, self._lost_since)
        self.firmware.unrecorded(cx, self._lost_since)
        self._lost_since = NO_STEP

    def _tidy(self, cx: Context) -> None:
        self.transactions.keep_progress(cx, self.evses.values())
        self.outbox.tidy(cx)
        self.ledger.tidy(cx)

    def _beat(self, cx: Context) -> None:
        if self.outbox.online:
            self.beat(cx)

    def beat(self, cx: Context) -> bool:
        """Ask for the time, which is all that a Heartbeat does; False before the CSMS has accepted the station."""
        if self.registration.is_accepted:
            self._beat_ms = cx.ms
            self.outbox.call("Heartbeat", {}, "heartbeat", gate="clock")
        return self.registration.is_accepted

    def said(self, cx: Context) -> None:
        """Something was sent: the heartbeat starts over (G02.FR.05), but the time is asked for daily (G02.FR.07)."""
        quiet_ms = self.keys[comm.HEARTBEAT_INTERVAL] * 1000
        cx.timers.set("heartbeat", min(cx.ms + quiet_ms, max(cx.ms + 1000, self._beat_ms + DAY_MS)))

    # ---------------------------------------------------------------------------------------- the rest

    def _arm_clock(self, cx: Context) -> None:
        """What is due by the clock on the wall."""
        self.sampling.arm(cx)
        self.monitoring.watch.clock_set(cx)
        self.firmware.arm(cx)

    def _tx_ended(self, cx: Context, evse: Evse) -> None:
        assert evse.tx is not None
        self.schedules.ended(cx, evse.tx.id)
        self.ledger.add(cx, evse.tx.row, evse.tx.data())

    def _rate_changed(self, cx: Context, evse: Evse) -> None:
        self.transactions.happened(cx, evse, Cause.RATE_CHANGED)

    def _key_changed(self, cx: Context, key: Key[Any]) -> None:
        """Put a new value into force now, where something else holds a copy of it."""
        if key is comm.HEARTBEAT_INTERVAL and self.outbox.online:
            self.said(cx)
        elif key.component == "OCPPCommCtrlr":
            self.link.changed(cx, key)
        elif key in (sampled.ENABLED, sampled.TX_UPDATED_INTERVAL, sampled.TX_ENDED_INTERVAL):
            self.transactions.rearm(cx, self.evses)
        elif key.component == "AlignedDataCtrlr":
            self._arm_clock(cx)
        elif key.component == "SecurityCtrlr" and self.safeguards.changed(cx, key):
            self.link.renew_soon(cx)
        elif key in LEDGER_KEYS:
            self.ledger.tidy(cx)
        elif key.component == "FwCtrlr":
            self.firmware.arm(cx)
        elif key is clock.TIME_SOURCE:
            self.registration.choose_source(cx)
            self._arm_clock(cx)

    def _live_value(self, cx: Context, key: Key[Any], evse: int | None) -> str | None:
        if key is clock.DATE_TIME:
            return self.sampling.time_text(cx)
        return inventory.live(self, cx, key, evse)


def _rested(evse: Evse, cx: Context) -> None:
    evse.rested = evse.contactor.state == "armed"
