"""DESIGN.md section 5, judged after every simulated step. A violation is one line: seed, step, invariant.

1, 5 and 7 are in limit_judge.py, 2 to 4 and 11 in hardware_judge.py, 6 in phase_judge.py, 8 in books.py, 9 in
protocol_judge.py; 10 is here, and 12 is what a test and the long runs look at: the same seed gives the same trace.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Protocol

from agent.core.effects import Answer, Effect, Energise, MakeSafe, Persist, Say
from agent.core.events import Asked, Event, FrameReceived, LinkDown, LinkUp
from agent.core.site import Site
from hal.ports import (
    Alive,
    ContactorReported,
    FaultCleared,
    FaultRaised,
    MeterSigned,
    Offer,
    OfferSchedules,
    Permit,
    PilotChanged,
    SetFailsafe,
    SignMeter,
    Silent,
    TokenPresented,
    Withdraw,
)
from tests.sim.allowance import Allowance
from tests.sim.books import Books
from tests.sim.clock import Clock
from tests.sim.csms import Csms
from tests.sim.disk import Disk, Rows
from tests.sim.hardware_judge import HardwareJudge
from tests.sim.limit_judge import LimitJudge
from tests.sim.log_judge import misled
from tests.sim.outlet import Outlet
from tests.sim.phase_judge import PhaseJudge
from tests.sim.protocol_judge import Call, ProtocolJudge

MAX_ROWS = 30_000
MAX_ENTRIES = 25_000
HOUR_MS = 3_600_000
UNSURE_MS = 180_000
"""A CALL may be in flight so long before its link is given up."""
FAILSAFE_MS = 60_000
"""A device's failsafe current is 0 A so long after the last authorised car has left."""
BYTES_AN_HOUR = 1_500_000
"""Bytes of records to the flash; DESIGN.md's budget per event, at the busiest hour that a story has."""


class Violation(AssertionError):
    """An invariant does not hold."""


class Stage(Protocol):
    """What the judge may look at."""

    seed: int
    site: Site
    outlets: dict[int, Outlet]
    csms: Csms
    disk: Disk
    clock: Clock
    keys: Mapping[str, str]

    @property
    def now_ms(self) -> int: ...
    @property
    def step(self) -> int: ...


class Judge:
    """Watches one world. `allow` names what a story makes unavoidable: "energy" (no reconciling), "gaps", "clock"."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.allow: set[str] = set()
        self.permissions: dict[int, str] = {}
        """EVSE: who allowed charging there since the last unplug, as far as the world knows."""
        self.books = Books(self.fail, self.allow)
        self.protocol = ProtocolJudge(self._now, self.fail)
        self.allowance = Allowance(self._now, stage.clock, list(stage.outlets), self._is_over)
        self.limits = LimitJudge(self._now, self.fail, self._key, stage.outlets, self.allowance)
        self.limits.standalone = stage.site.network is None
        self.hardware = HardwareJudge(self._now, self.fail, stage.outlets, self.limits)
        self.phases = PhaseJudge(self._now, self.fail, self._key, stage.outlets)
        self._set: dict[str, str] = {}
        """Keys that were changed since the world began."""
        self._asked: dict[int, tuple[str, str]] = {}
        self._unsure: dict[int, tuple[str, int]] = {}
        """EVSE: a token that is not valid now, and when it was presented: the link may turn out to be gone."""
        self._parted: dict[int, tuple[str, int]] = {}
        """EVSE: whose permission ended with his car, and in which step."""
        self._welcome: set[str] = set()
        """Tokens that were valid at least once: a cache may hold them."""
        self._deserved_ms = dict.fromkeys(stage.outlets, 0)
        """When each device's own failsafe current was last one that somebody deserves."""
        self._began_wh = {evse: o.register.wh for evse, o in stage.outlets.items()}
        self._written: deque[tuple[int, int]] = deque([(0, 0)])

    def _now(self) -> int:
        return self.stage.now_ms

    def _is_over(self, tx: str) -> bool:
        transaction = self.stage.csms.transactions.get(tx)
        return transaction is not None and transaction.ended

    def fail(self, invariant: str, text: str) -> None:
        """Stop the story."""
        stage = self.stage
        at = stage.now_ms / 1000
        raise Violation(f"seed {stage.seed}, step {stage.step}, {at:.3f} s: invariant {invariant}: {text}")

    @property
    def installation_amps(self) -> float:
        """What the installation carries, A per phase."""
        return self.limits.installation_amps

    @installation_amps.setter
    def installation_amps(self, amps: float) -> None:
        self.limits.installation_amps = amps

    # -------------------------------------------------- events

    def booted(self) -> None:
        """A new process: nothing is known any more, nor that a car has left when that was not on flash yet."""
        self.permissions = {**{evse: token for evse, (token, _) in self._parted.items()}, **self.permissions}
        self._parted.clear()
        self.books.boot += 1
        self.limits.booted()
        self.hardware.booted()
        self.phases.booted()
        self.protocol.booted()

    def hears(self, event: Event) -> None:
        """The station is about to be told this."""
        match event:
            case TokenPresented(uid=uid, evses=evses):
                self._presented(uid, evses)
            case FrameReceived(connection=connection, text=text):
                self._frame(connection, text)
            case LinkUp():
                self.limits.link(self.protocol.registered == "Accepted")
            case LinkDown(connection=connection):
                self.protocol.link_down(connection)
                self.limits.link(False)
                self.allowance.profiles.unheard()
                self._offline_after_all()
            case Asked(ask=ask, verb="config.set", args=args):
                self._asked[ask] = (str(args.get("name")), str(args.get("value")))
            case Silent() | Alive() | FaultRaised() | FaultCleared() | PilotChanged():
                self._facts(event)
            case MeterSigned(data=container):
                self.books.signs(container)
            case ContactorReported(closed=False, evse=evse) if self._ends_with_energy:
                self.allowance.may_end(evse)
        self.hardware.hears(event)
        self.phases.hears(event)

    @property
    def _ends_with_energy(self) -> bool:
        """A pause may be the end of a transaction and of its profiles, by TxStopPoint."""
        stop = self._key("TxCtrlr.TxStopPoint", "")
        return "energytransfer" in stop or "powerpathclosed" in stop

    def _facts(self, event: Silent | Alive | FaultRaised | FaultCleared | PilotChanged) -> None:
        commanded = self.limits.evses.get(event.evse)
        if commanded is None:
            return
        match event:
            case Silent(device="meter") | Alive(device="meter"):
                commanded.meter_lost_ms = self._now() if isinstance(event, Silent) else None
            case FaultRaised(code="derating") | FaultCleared(code="derating"):
                commanded.derated = isinstance(event, FaultRaised)
            case PilotChanged(pilot="A", connector=connector) if self.hardware.evses[event.evse].in_use == connector:
                if self._key("TxCtrlr.StopTxOnEVSideDisconnect", "true") == "true":
                    if event.evse in self.permissions:
                        self._parted[event.evse] = (self.permissions.pop(event.evse), self.stage.step + 1)
                    self.allowance.goes(event.evse)
            case PilotChanged(pilot="B" | "C" | "D"):
                self.allowance.plugged(event.evse)

    def _presented(self, uid: str, evses: Collection[int]) -> None:
        for evse in evses:
            self.allowance.comes(evse)
        if self._is_valid(uid):
            self._welcome.add(uid)
            self.permissions.update(dict.fromkeys(evses, uid))
        else:
            self._unsure.update(dict.fromkeys(evses, (uid, self._now())))

    def _offline_after_all(self) -> None:
        """Who was presented shortly before the link was found to be gone is decided by the offline rules."""
        for evse, (uid, at_ms) in self._unsure.items():
            if self._now() - at_ms < UNSURE_MS and self._is_valid(uid):
                self.permissions[evse] = uid

    def _is_valid(self, uid: str) -> bool:
        """The CSMS accepts it, or it is known here, or nobody can ask and the key lets unknown ones in (C15)."""
        csms = self.stage.csms
        known = uid not in csms.blocked_tokens and (csms.known_tokens is None or uid in csms.known_tokens)
        offline = csms.connection is None or self.limits.silent_since_ms is not None
        kept = uid in self._welcome and (offline or self._key("AuthCtrlr.LocalPreAuthorize", "false") == "true")
        return known or kept or (offline and self._key("AuthCtrlr.OfflineTxForUnknownIdEnabled", "false") == "true")

    def _frame(self, connection: int, text: str | None) -> None:
        before = self.protocol.registered
        call = self.protocol.heard(connection, text)
        if self.protocol.registered != before:
            self.limits.link(self.protocol.registered == "Accepted")
        if call is None:
            return
        action, request = call
        self.allowance.asked(action, request)
        if action == "RequestStartTransaction" and isinstance(request, dict):
            evses = [request["evseId"]] if "evseId" in request else list(self.stage.outlets)
            self.permissions.update(dict.fromkeys(evses, "remote start"))

    def stepped(self) -> None:
        """After each step: 10 bounds, 9 answers that are overdue, and what must have followed by now."""
        disk = self.stage.disk
        if len(disk.rows) > MAX_ROWS:
            self.fail("10 bounds", f"{len(disk.rows)} rows in the journal")
        self.protocol.check_overdue()
        self.limits.stepped()
        self.hardware.stepped()
        for evse, outlet in self.stage.outlets.items():
            if outlet.failsafe_amps == 0 or outlet.deaf or evse in self.permissions or self.free_charging:
                self._deserved_ms[evse] = self._now()
            elif self._now() - self._deserved_ms[evse] > FAILSAFE_MS:
                self.fail("5 lapse", f"EVSE {evse} would fall to {outlet.failsafe_amps} A, and nobody is authorised")

    # -------------------------------------------------- decisions and commands

    def decides(self, effects: Iterable[Effect]) -> None:
        """A step has ended: increases of a flowing current are spaced, and a CALL's patience runs from here."""
        for effect in effects:
            if isinstance(effect, Say):
                self.protocol.decides(effect.text)
            elif isinstance(effect, MakeSafe | Energise):
                command = effect.command
                if isinstance(command, Withdraw):
                    self.limits.evses[command.evse].decided = 0.0
                elif isinstance(command, Permit | Offer):
                    self.limits.decides(command)

    def commands(self, effect: MakeSafe | Energise) -> None:
        """The station's word to the hardware is about to be executed."""
        command = effect.command
        match command:
            case Permit() | Offer():
                before = self.limits.evses[command.evse].amps
                self.hardware.commands(command, isinstance(command, Permit) or command.amps > before)
                self.phases.commands(command)
                self.limits.commands(command, safe=isinstance(effect, MakeSafe))
            case Withdraw(evse=evse):
                self.hardware.withdraws(evse)
                self.limits.withdraws(evse)
            case SetFailsafe(evse=evse, amps=amps):
                self._failsafe(evse, amps)
            case SignMeter() | OfferSchedules():
                pass
            case _:
                self.hardware.commands(command, False)
                self.phases.commands(command)

    def _failsafe(self, evse: int, amps: float) -> None:
        """The device's own current is at most the fallback."""
        self.limits.plate(evse, amps)
        fallback = float(self._key("FallbackCtrlr.OfflineLimit", "6"))
        if amps > fallback:
            self.fail("5 lapse", f"EVSE {evse}: the device would fall to {amps} A, the fallback is {fallback:g} A")

    def closes(self, evse: int) -> None:
        """The contactor of `evse` has just closed."""
        self.hardware.closes(evse)
        if evse not in self.permissions and not self.free_charging:
            self.fail("2 close", f"EVSE {evse} closed and nobody valid was there since the last unplug")
        recorded = any(row["evse"] == evse for row in self.stage.disk.stored("tx"))
        overtaken = not self.limits.evses[evse].permitted  # a withdrawal is on the wire, the device could not know
        if not recorded and not overtaken and self._starts_before_power():
            self.fail("2 close", f"EVSE {evse} closed and no transaction of it is on flash")

    @property
    def free_charging(self) -> bool:
        """The station charges everybody."""
        free = self._key("FreeCharging.Enabled", "false") == "true"
        return free or self._key("AuthCtrlr.Enabled", "true") == "false"

    def _key(self, name: str, default: str) -> str:
        return self._set.get(name, self.stage.keys.get(name, default)).lower()

    def _starts_before_power(self) -> bool:
        return self._key("TxCtrlr.TxStartPoint", "powerpathclosed") != "energytransfer"

    # -------------------------------------------------- what is said and kept

    def says(self, effect: Say) -> None:
        """A frame leaves the station."""
        answered = self.protocol.said(effect.connection, effect.text)
        self.books.says(effect.text)
        if answered is not None:
            call, result = answered
            self.limits.answered(call.action, call.payload, str(result.get("status")))
            self._note_keys(call, result)

    def dials(self, url: str) -> None:
        """Another CSMS is called: what this one has sent is put aside, and what that one has once sent may be back."""
        self.allowance.lost = self.allowance.lost or self.protocol.is_another(url)
        self.protocol.dials(url)

    def answers(self, effect: Answer) -> None:
        """A person is answered."""
        name, value = self._asked.pop(effect.ask, ("", ""))
        if name and effect.ok:
            self._set[name] = value

    def _note_keys(self, call: Call, result: dict[str, Any]) -> None:
        if call.action == "SetVariables":
            for data, one in zip(call.payload["setVariableData"], result["setVariableResult"], strict=True):
                if one["attributeStatus"] == "Accepted" and "instance" not in data["variable"]:
                    name = f"{data['component']['name']}.{data['variable']['name']}"
                    self._set[name] = str(data["attributeValue"])

    def keeps(self, effect: Persist) -> None:
        """The station hands a batch to the store."""
        self.books.keeps(effect.records, self.stage.now_ms)

    def committed(self, step: int) -> None:
        """All that was to be kept up to `step` is on flash."""
        self._parted = {evse: parted for evse, parted in self._parted.items() if parted[1] > step}

    def written(self, persist: Persist) -> None:
        """A batch is on flash: 10, so much and no more in an hour."""
        self.books.written(persist.records)
        stage, written = self.stage, self._written
        written.append((stage.now_ms, stage.disk.bytes_written))
        while written[0][0] < stage.now_ms - HOUR_MS:
            written.popleft()
        an_hour = written[-1][1] - written[0][1]
        if an_hour > BYTES_AN_HOUR:
            self.fail("10 bounds", f"{an_hour} bytes to the flash in the last hour")
        entries = sum(map(len, stage.disk.tables.values())) if persist.puts else 0
        if entries > MAX_ENTRIES:
            self.fail("10 bounds", f"{entries} entries in the small mappings")

    # -------------------------------------------------- what faults make unavoidable

    def untold(self, evse: int, wh: float) -> None:
        """So much flowed while the meter could not tell."""
        self.books.untold[evse] = self.books.untold.get(evse, 0.0) + wh

    def clock_changed(self) -> None:
        """The board's UTC is no longer the true one."""
        self.books.stepped_ms.append(self.stage.now_ms)
        self.allowance.clock_changed()

    def damaged(self, rows: Rows, entries: int) -> None:
        """Damage took these records, and so many entries of the small mappings."""
        for _, body in rows.values():
            self.books.excused.add(str(json.loads(body).get("tx")))
        self.allowance.lost = self.allowance.lost or entries > 0
        if entries:
            self.phases.forgotten()

    # -------------------------------------------------- the end

    def finish(self) -> None:
        """Everybody has left, the link is up and quiet: 8 transactions, and the energy of all of them."""
        stage = self.stage
        self.books.finish(stage.csms.transactions, stage.now_ms)
        for evse, outlet in stage.outlets.items():
            flowed = outlet.register.at(stage.now_ms) - self._began_wh[evse]
            self.books.reconcile(evse, flowed, stage.csms.transactions.values())
        for wrong in misled(stage.csms.requests("LogStatusNotification")):
            self.fail("8 logs", wrong)
        running = stage.disk.stored("tx")
        if running:
            self.fail("8 transactions", f"still on flash as running: {running}")
