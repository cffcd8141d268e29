"""DESIGN.md section 5, judged after every simulated step. A violation is one line: seed, step, invariant."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from agent.core.effects import Effect, Energise, MakeSafe, Say
from agent.core.events import Event, FrameReceived, LinkDown
from hal.ports import ContactorReported, Offer, Permit, PilotChanged, SetFailsafe, TokenPresented, Withdraw
from tests.sim.csms import Csms
from tests.sim.disk import Disk
from tests.sim.outlet import Outlet
from tests.sim.protocol_judge import ProtocolJudge
from tests.sim.transactions import Transaction, registers

MIN_AMPS = 6.0
ROUNDING = 1e-6
SPACING_MS = 5_000
MAX_ROWS = 30_000
WH_PER_TRANSACTION = 40.0
"""What may flow between the last good reading and the true end (a smart controller is seen late)."""


class Violation(AssertionError):
    """An invariant does not hold."""


class Stage(Protocol):
    """What the judge may look at."""

    seed: int
    outlets: dict[int, Outlet]
    csms: Csms
    disk: Disk
    keys: Mapping[str, str]

    @property
    def now_ms(self) -> int: ...
    @property
    def step(self) -> int: ...


@dataclass(slots=True)
class _Evse:
    commanded: float = 0.0
    pilot_seen: bool = False
    open_seen: bool = False
    withdrawn: bool = False
    decided: float = 0.0
    """Amps as the station last decided them, whether executed yet or not."""
    raised_ms: int = -1_000_000


class Judge:
    """Watches one world. `allow` names what a story makes unavoidable: "energy" (no reconciling), "gaps"."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.allow: set[str] = set()
        self.installation_amps = float("inf")
        self.station_max_amps = float("inf")
        """The ChargingStationMaxProfile that the station has accepted last, as far as it is a plain one."""
        self._proposed_amps = 0.0
        """A higher one that the station has been sent and may obey before its answer is out."""
        self.permissions: dict[int, str] = {}
        """EVSE: who allowed charging there since the last unplug, as far as the world knows."""
        self.protocol = ProtocolJudge(lambda: stage.now_ms, self.fail)
        self._evses = {evse: _Evse() for evse in stage.outlets}
        self._began_wh = {evse: o.register.wh for evse, o in stage.outlets.items()}

    def fail(self, invariant: str, text: str) -> None:
        """Stop the story."""
        stage = self.stage
        at = stage.now_ms / 1000
        raise Violation(f"seed {stage.seed}, step {stage.step}, {at:.3f} s: invariant {invariant}: {text}")

    # -------------------------------------------------- events

    def booted(self) -> None:
        """A new process: nothing is known any more."""
        self._evses = {evse: _Evse() for evse in self.stage.outlets}
        self.protocol.booted()

    def hears(self, event: Event) -> None:
        """The station is about to be told this."""
        match event:
            case PilotChanged(evse=evse, pilot=pilot):
                self._evses[evse].pilot_seen = True
                if pilot == "A" and self._key("TxCtrlr.StopTxOnEVSideDisconnect", "true") == "true":
                    self.permissions.pop(evse, None)
            case ContactorReported(evse=evse, closed=closed):
                if not closed and self._evses[evse].withdrawn:
                    self._evses[evse].open_seen = True
            case TokenPresented(uid=uid, evses=evses):
                self._presented(uid, evses)
            case FrameReceived(connection=connection, text=text):
                self._frame(connection, text)
            case LinkDown(connection=connection):
                self.protocol.link_down(connection)

    def _presented(self, uid: str, evses: Collection[int]) -> None:
        if self._is_valid(uid):
            for evse in evses:
                self.permissions[evse] = uid

    def _is_valid(self, uid: str) -> bool:
        """The CSMS accepts it, or nobody can ask the CSMS and the key lets unknown ones in (C15)."""
        csms = self.stage.csms
        known = uid not in csms.blocked_tokens and (csms.known_tokens is None or uid in csms.known_tokens)
        offline = csms.connection is None or self.protocol.registered != "Accepted"
        return known or (offline and self._key("AuthCtrlr.OfflineTxForUnknownIdEnabled", "false") == "true")

    def _frame(self, connection: int, text: str | None) -> None:
        call = self.protocol.heard(connection, text)
        if call is not None and call[0] == "RequestStartTransaction" and isinstance(call[1], dict):
            evses = [call[1]["evseId"]] if "evseId" in call[1] else list(self._evses)
            self.permissions.update(dict.fromkeys(evses, "remote start"))
        if call is not None and call[0] == "SetChargingProfile" and (limit := _station_max(call[1])) is not None:
            self._proposed_amps = max(self._proposed_amps, limit)

    def stepped(self) -> None:
        """After each step: 10 bounds, 9 answers that are overdue."""
        if len(self.stage.disk.rows) > MAX_ROWS:
            self.fail("10 bounds", f"{len(self.stage.disk.rows)} rows in the journal")
        self.protocol.check_overdue()

    def decides(self, effects: Iterable[Effect]) -> None:
        """A step has ended: increases of a flowing current are spaced."""
        for effect in effects:
            if not isinstance(effect, MakeSafe | Energise):
                continue
            command, state = effect.command, self._evses[effect.command.evse]
            if isinstance(command, Withdraw):
                state.decided = 0.0
            elif isinstance(command, Permit | Offer):
                self._spaced(command, state)
                state.decided = command.amps

    def _spaced(self, command: Permit | Offer, state: _Evse) -> None:
        if command.amps <= state.decided:
            return
        gap = self.stage.now_ms - state.raised_ms
        if state.decided > 0 and gap < SPACING_MS:
            self.fail("1 limit", f"{command}: the last increase was {gap} ms ago")
        state.raised_ms = self.stage.now_ms

    # -------------------------------------------------- commands

    def commands(self, effect: MakeSafe | Energise) -> None:
        """The station's word to the hardware is about to be executed."""
        command = effect.command
        state = self._evses[command.evse]
        match command:
            case Permit() | Offer():
                self._limit(command.evse, command.amps)
                self._direction(effect, command, state)
                if command.amps > 0 or isinstance(command, Permit):
                    self._derived_anew(command.evse, state, command)
                state.commanded = command.amps
                self._installation(command)
            case Withdraw():
                state.withdrawn = True
                state.commanded = 0.0
            case SetFailsafe():
                self._limit(command.evse, command.amps)

    def _limit(self, evse: int, amps: float) -> None:
        if 0 < amps < MIN_AMPS:
            self.fail("1 limit", f"EVSE {evse}: {amps} A is below the EV minimum; it must be a pause")
        spec = self.stage.outlets[evse].spec
        if amps > spec.max_amps or amps < 0:
            self.fail("1 limit", f"EVSE {evse}: {amps} A commanded, nameplate {spec.max_amps} A")

    def _direction(self, effect: MakeSafe | Energise, command: Permit | Offer, state: _Evse) -> None:
        raises = isinstance(command, Permit) or command.amps > state.commanded
        if isinstance(effect, MakeSafe) and raises:
            self.fail("1 limit", f"{command} raises {state.commanded} A before it is recorded (MAKE_SAFE)")
        if isinstance(effect, Energise) and isinstance(command, Offer) and command.amps < state.commanded:
            self.fail("1 limit", f"{command} lowers {state.commanded} A but waits for flash")

    def _installation(self, command: Permit | Offer) -> None:
        total = self._total()
        if total > self.installation_amps + ROUNDING:
            self.fail("1 limit", f"{command}: {total} A in total, the installation has {self.installation_amps} A")
        allowed = max(self.station_max_amps, self._proposed_amps)
        if total > allowed + ROUNDING and "clock" not in self.allow:
            self.fail("1 limit", f"{command}: {total} A in total, the CSMS allows {allowed} A")
        outlet = self.stage.outlets[command.evse]
        cable = outlet.cable_amps
        if cable is not None and outlet.spec.cable == "socket" and command.amps > cable:
            self.fail("1 limit", f"{command}: the cable carries {cable} A")

    def _total(self) -> float:
        return sum(state.commanded for state in self._evses.values())

    def _derived_anew(self, evse: int, state: _Evse, command: Permit | Offer) -> None:
        if not (state.withdrawn and state.open_seen and state.pilot_seen):
            self.fail("11 boot", f"{command} before EVSE {evse} was withdrawn, seen open, and its pilot seen")

    def closes(self, evse: int) -> None:
        """The contactor of `evse` has just closed."""
        outlet, state = self.stage.outlets[evse], self._evses[evse]
        if outlet.pilot not in ("C", "D"):
            self.fail("2 close", f"EVSE {evse} closed in pilot {outlet.pilot}")
        if evse not in self.permissions and not self.free_charging:
            self.fail("2 close", f"EVSE {evse} closed and nobody valid was there since the last unplug")
        if not state.open_seen:
            self.fail("11 boot", f"EVSE {evse} closed before it was seen open in this boot")
        recorded = any(row["evse"] == evse for row in self.stage.disk.stored("tx"))
        overtaken = state.commanded == 0  # a withdrawal is on the wire, the device could not know
        if not recorded and not overtaken and self._starts_before_power():
            self.fail("2 close", f"EVSE {evse} closed and no transaction of it is on flash")

    @property
    def free_charging(self) -> bool:
        """The station charges everybody."""
        free = self._key("FreeCharging.Enabled", "false") == "true"
        return free or self._key("AuthCtrlr.Enabled", "true") == "false"

    def _key(self, name: str, default: str) -> str:
        return self.stage.keys.get(name, default).lower()

    def _starts_before_power(self) -> bool:
        return self._key("TxCtrlr.TxStartPoint", "powerpathclosed") != "energytransfer"

    # -------------------------------------------------- what is said

    def says(self, effect: Say) -> None:
        """A frame leaves the station."""
        answered = self.protocol.said(effect.connection, json.loads(effect.text))
        if answered is not None and answered.action == "SetChargingProfile":
            self._accepted_limit(_station_max(answered.payload))

    def _accepted_limit(self, limit: float | None) -> None:
        """What the station says it has accepted is in force already, for it lowers before it speaks."""
        if limit is None:
            return
        self.station_max_amps, self._proposed_amps = limit, 0.0
        if self._total() > self.station_max_amps + ROUNDING and "clock" not in self.allow:
            self.fail("1 limit", f"{self._total()} A when {self.station_max_amps} A were accepted")

    # -------------------------------------------------- the end

    def finish(self) -> None:
        """Everybody has left, the link is up and quiet: 8 transactions, and the energy of all of them."""
        for transaction in self.stage.csms.transactions.values():
            self._complete(transaction)
        for evse in self.stage.outlets:
            self._reconcile(evse)
        running = self.stage.disk.stored("tx")
        if running:
            self.fail("8 transactions", f"still on flash as running: {running}")

    def _complete(self, transaction: Transaction) -> None:
        name = f"transaction {transaction.id}"
        for contradiction in transaction.contradictions:
            self.fail("8 transactions", f"{name}: {contradiction}")
        events = sorted(transaction.events, key=lambda e: int(e["seqNo"]))
        kinds = [event["eventType"] for event in events]
        if kinds.count("Started") != 1 or kinds[0] != "Started":
            self.fail("8 transactions", f"{name}: Started is not once and first: {kinds}")
        if kinds.count("Ended") != 1 or kinds[-1] != "Ended":
            self.fail("8 transactions", f"{name}: Ended is not once and last: {kinds}")
        numbers = [int(event["seqNo"]) for event in events]
        if "gaps" not in self.allow and numbers != list(range(len(numbers))):
            self.fail("8 transactions", f"{name}: sequence numbers {numbers}")
        self._in_order(name, events)
        self._energy(name, events)

    def _in_order(self, name: str, events: list[dict[str, Any]]) -> None:
        stamps = [event["timestamp"] for event in events]
        if stamps != sorted(stamps) and "clock" not in self.allow:
            self.fail("8 transactions", f"{name}: time runs backwards: {stamps}")

    def _energy(self, name: str, events: list[dict[str, Any]]) -> None:
        shown = [wh for event in events[:-1] for context, wh in registers(event)]
        shown += [wh for context, wh in registers(events[-1]) if context == "Transaction.End"]
        if shown != sorted(shown):
            self.fail("8 transactions", f"{name}: the import register runs backwards: {shown}")

    def _reconcile(self, evse: int) -> None:
        """No energy outside a transaction: the meter's register against the sum of all transactions."""
        outlet = self.stage.outlets[evse]
        if "energy" in self.allow:
            return
        flowed = outlet.register.at(self.stage.now_ms) - self._began_wh[evse]
        mine = [t for t in self.stage.csms.transactions.values() if t.evse == evse]
        told = sum(t.energy_wh or 0.0 for t in mine)
        if abs(flowed - told) > 5.0 + WH_PER_TRANSACTION * len(mine):
            per = {t.id[:8]: t.energy_wh for t in mine}
            self.fail("8 transactions", f"EVSE {evse}: {flowed:.0f} Wh flowed, {told:.0f} Wh were told: {per}")


def _station_max(request: Any) -> float | None:
    """The limit of a plain ChargingStationMaxProfile in a SetChargingProfileRequest."""
    profile = request.get("chargingProfile", {}) if isinstance(request, dict) else {}
    if profile.get("chargingProfilePurpose") != "ChargingStationMaxProfile":
        return None
    return float(profile["chargingSchedule"][0]["chargingSchedulePeriod"][0]["limit"])
