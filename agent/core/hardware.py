"""What the hardware reports, and what it means for the EVSE it belongs to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from agent.core import failsafe
from agent.core.context import Context
from agent.core.evse import LATCHES, RECLOSE_MS, Evse, Token
from agent.core.failsafe_table import Action, row
from agent.core.metering import MEASURANDS, OFFERED
from agent.core.protection import Protection
from config_keys import aligned, hardware, sampled, site, tx
from hal import ports
from state_machines.reasons import Cause

if TYPE_CHECKING:
    from agent.core.charger import Charger

TAMPER = "tamper"
"""The code of an enclosure that was opened: a security event, beside what the failsafe table has for it."""
POWER_DEVICES = ("controller", "board")
MEASURAND_KEYS = (
    sampled.TX_STARTED_MEASURANDS, sampled.TX_UPDATED_MEASURANDS, sampled.TX_ENDED_MEASURANDS,
    aligned.MEASURANDS, aligned.TX_ENDED_MEASURANDS,
)  # fmt: skip
LATCHED = "latched"
"""The mapping that keeps faults which stay until unplug: `1 over_current` -> detail."""
BY_RESET = ("contactor_failed", "contactor_dropped")
ASK_AGAIN_MS = 60_000
"""Between two attempts to have a device clear what it latched; it refuses while the cause stands."""


class Devices:
    """Turns hardware events into facts of EVSEs and triggers of their machines."""

    def __init__(self, charger: Charger, latched: Mapping[str, Any]) -> None:
        self._charger = charger
        self._latched = latched
        self._asked: set[tuple[int, str]] = set()
        """What a reset of its EVSE asked a device to clear: once it has, the fault is over, whoever is plugged in."""
        self._ask_again_ms: dict[int, int] = {}
        self.protection = Protection(charger.evses, self)
        self._measured: set[str] = set()
        self._measured_by_main: set[str] = set()
        self._described: set[int] = set()
        self._held: dict[int, list[ports.MeterSigned]] = {}
        """Signed values that came before the first reading, by EVSE."""
        self.silent_readers: set[str] = set()
        self._failsafe: dict[int, float] = {}
        """The device's own failsafe current as it was last commanded, per EVSE."""
        self._failsafe_in: dict[int, int] = {}
        """EVSE: the step that told it."""
        self._takes: dict[type, Callable[[Context, Any], None]] = {
            ports.Capabilities: self._capabilities,
            ports.PilotChanged: self._pilot,
            ports.ContactorReported: self._contactor,
            ports.PhasesReported: self._relay,
            ports.CableRated: self._cable,
            ports.LockReported: self._lock,
            ports.Reading: self._reading,
            ports.MeterDescribed: self._meter_described,
            ports.MeterSigned: self._signed,
            ports.EvNeeds: charger.energy.high_level.needs,
            ports.EvSchedule: charger.energy.high_level.chosen,
            ports.BayChanged: self._bay,
            ports.TokenPresented: self._token,
            ports.TemperatureMeasured: self._temperature,
            ports.Silent: self._silent,
            ports.Alive: self._alive,
            ports.FaultRaised: self._fault,
            ports.FaultCleared: self._fault_cleared,
            ports.DeviceBooted: self._booted,
            ports.Applied: self._applied,
            ports.Refused: self._refused,
        }

    def take(self, cx: Context, event: Any) -> None:
        """One hardware event; those of EVSEs that board.toml does not name are noted and ignored."""
        evse_id = getattr(event, "evse", 0)
        if evse_id and evse_id not in self._charger.evses:
            cx.note("hardware", f"event of unknown EVSE {evse_id}: {type(event).__name__}", "warning")
            return
        self._takes[type(event)](cx, event)

    def start(self, cx: Context) -> None:
        """The first act after a start: no permission anywhere; confirmed open contactors are awaited."""
        for evse in self._charger.evses.values():
            cx.make_safe(ports.Withdraw(evse.id, cx.step, "start"))
        self._narrow(cx)
        for place, detail in self._latched.items():
            number, _, code = place.partition(" ")
            if number.isdigit() and (found := self._charger.evses.get(int(number))) is not None:
                found.faults[code] = str(detail)
                found.over.add(code)

    def unrecorded(self, evse: Evse, step: int) -> None:
        """The batch of `step` was lost, and what was to be raised since with it: it is told again."""
        if self._failsafe_in.get(evse.id, 0) >= step:
            self._failsafe[evse.id] = 0.0

    def settle(self, cx: Context, evse: Evse) -> None:
        """Keep the device's own failsafe current at what a live authorised transaction deserves, else 0 A."""
        self.use_waiting(cx, evse)
        self._end_for_good(cx, evse)
        if evse.faults:
            self._release(cx, evse)
        if evse.capabilities is None:
            return
        wanted = 0.0
        if evse.tx is not None and evse.session.state == "powered":
            verdict = self._charger.limits.verdicts[evse.id]
            wanted = min(float(cx.keys[site.DEVICE_FAILSAFE]), failsafe.offline_amps(cx, evse), verdict.amps)
            wanted = 0.0 if wanted < float(cx.keys[site.EV_MINIMUM]) else wanted
        told = self._failsafe.get(evse.id)
        if wanted == told:
            return
        self._failsafe[evse.id], self._failsafe_in[evse.id] = wanted, cx.step
        command = ports.SetFailsafe(evse.id, cx.step, wanted)
        if told is None or wanted < told:
            cx.make_safe(command)
        else:
            cx.energise(command)

    # ---------------------------------------------------------------------------------------- events

    def _capabilities(self, cx: Context, event: ports.Capabilities) -> None:
        evse = self._charger.evses[event.evse]
        evse.capabilities = event
        self._charger.energy.high_level.introduced(cx, evse)
        self._charger.energy.phases.introduced(cx, evse, event)
        self._failsafe.pop(evse.id, None)
        self._charger.locks.restarted(evse)
        if not event.independent:
            cx.note(
                "safety",
                f"EVSE {evse.id}: no layer below us opens the contactor; it will not charge",
                "error",
            )

    def _booted(self, cx: Context, event: ports.DeviceBooted) -> None:
        evse = self._charger.evses[event.evse]
        self._failsafe.pop(evse.id, None)
        self._charger.locks.restarted(evse)
        self._lost(cx, evse)
        cx.note("hardware", f"EVSE {evse.id}: the device restarted {event.reason}".strip(), "warning")

    def _pilot(self, cx: Context, event: ports.PilotChanged) -> None:
        evse = self._charger.evses[event.evse]
        plug = evse.plugs.get(event.connector)
        if plug is None:
            cx.note("hardware", f"pilot of unknown connector {event.connector} of EVSE {evse.id}", "warning")
            return
        was, before = evse.connected, plug.pilot
        plug.sees(event.pilot)
        if evse.faults and not evse.connected:
            self._unlatch(cx, evse)
        cx.note("pilot", f"EVSE {evse.id}, connector {plug.id}: {before} -> {event.pilot}", "debug")
        if plug.connected and not evse.connected and not was and not plug.closed:
            evse.connector = plug.id
        if plug is not evse.plug or (evse.tx is not None and evse.tx.recovered_by_ms is not None):
            return
        if was and not evse.connected:
            self._unplugged(cx, evse)
        elif evse.connected and not was:
            self._plugged(cx, evse)
        self._follow(cx, evse, event.pilot)

    def use_waiting(self, cx: Context, evse: Evse) -> None:
        """Nobody uses the EVSE any more, and a car is plugged into another of its connectors: it is next.

        Before whoever was accepted meanwhile is granted the EVSE: he means that car.
        """
        ending = evse.tx is not None and (evse.tx.ending is not None or evse.tx.recovered_by_ms is not None)
        if evse.connected or evse.session.state != "idle" or evse.contactor.may_carry or ending:
            return
        plug = evse.waiting
        if plug is not None and plug.pilot is not None:
            evse.connector = plug.id
            self._plugged(cx, evse)
            self._follow(cx, evse, plug.pilot)

    def _follow(self, cx: Context, evse: Evse, pilot: ports.Pilot) -> None:
        """Contactor and session learn what the car wants; D needs ventilation, which is not offered."""
        if pilot == "C":
            evse.contactor.fire("ev_asks", cx)
        elif pilot == "B":
            evse.contactor.fire("ev_rests", cx)
            evse.session.fire("ev_rests", cx)
        elif pilot != "A":
            evse.session.fire("fault", cx)
            evse.contactor.fire("ev_rests", cx)

    def _plugged(self, cx: Context, evse: Evse) -> None:
        evse.session.fire("plug", cx)
        self._charger.authorizer.chosen(cx, evse)
        self._charger.transactions.happened(cx, evse, Cause.PLUGGED)
        self._charger.authorizer.plugged(cx, evse)

    def _unplugged(self, cx: Context, evse: Evse) -> None:
        """E09, E10: the authorization ends with the cable unless the key says that it waits."""
        evse.departures += 1
        evse.contactor.fire("unplugged", cx)
        holder = evse.authorization.token if evse.authorization is not None else None
        self._charger.locks.unplugged(cx, evse, holder)
        self._charger.energy.phases.unplugged(cx, evse)
        evse.session.keep_on_unplug = not cx.keys[tx.STOP_TX_ON_EV_SIDE_DISCONNECT]
        evse.session.fire("unplug", cx)
        if evse.session.state != "awaiting_ev":
            evse.authorization = evse.released = None
        self._charger.transactions.happened(cx, evse, Cause.UNPLUGGED)

    def _contactor(self, cx: Context, event: ports.ContactorReported) -> None:
        evse = self._charger.evses[event.evse]
        before, evse.phases_closed = evse.phases_closed, event.phases if event.closed else 0
        evse.contactor.fire("made" if event.closed else "broken", cx)
        self._charger.energy.phases.contacts(cx, evse, event, before)

    def _relay(self, cx: Context, event: ports.PhasesReported) -> None:
        self._charger.energy.phases.relay_told(cx, self._charger.evses[event.evse], event.phases)

    def _cable(self, cx: Context, event: ports.CableRated) -> None:
        if (plug := self._charger.evses[event.evse].plugs.get(event.connector)) is not None:
            plug.cable_amps, plug.tells = event.amps, plug.tells or event.amps is not None

    def _lock(self, cx: Context, event: ports.LockReported) -> None:
        if (plug := self._charger.evses[event.evse].plugs.get(event.connector)) is not None:
            plug.locked = event.locked

    def _reading(self, cx: Context, event: ports.Reading) -> None:
        evse = self._charger.evses.get(event.evse)
        at = evse or self._charger.main_meter
        if at is not None and (at.reading is None or event.mono_ms >= at.reading.mono_ms):
            at.reading = self._charger.registers.continued(cx, event)
            if evse is not None:
                for signed in self._held.pop(evse.id, ()):
                    self._signed(cx, signed)
                self._charger.recorder.minute.sample(cx, evse)
                self.protection.looks(cx, evse, event.mono_ms)
                self._charger.energy.phases.measured(cx, evse)

    def _meter_described(self, cx: Context, event: ports.MeterDescribed) -> None:
        """Measurands that no meter here has are refused when they are asked for, never silently ignored."""
        if event.signs:
            self._charger.signing.able.add(event.evse)
        measured = self._measured if event.evse else self._measured_by_main
        measured |= {quantity for quantity, _ in event.points}
        self._described.add(event.evse)
        self._narrow(cx)

    def _narrow(self, cx: Context) -> None:
        """Once all meters are known, if any: each key takes what one of those that it speaks of can measure."""
        metered = {e.id for e in self._charger.evses.values() if e.site.has_meter}
        if not self._described >= metered | ({0} if self._charger.main_meter else set()):
            return
        for key in MEASURAND_KEYS:
            measured = self._measured | (self._measured_by_main if key is aligned.MEASURANDS else set())
            names = [name for name, spec in MEASURANDS.items() if spec.quantity in measured] + [OFFERED]
            for complaint in cx.keys.narrow(key, values=names):
                cx.note("meter", complaint, "warning")

    def _signed(self, cx: Context, event: ports.MeterSigned) -> None:
        """Held until the first plain reading after a restart: that one tells whether it is still the same meter."""
        evse = self._charger.evses[event.evse]
        if evse.reading is None:
            self._held.setdefault(evse.id, []).append(event)
            return
        told = self._charger.registers.signed(cx, event)
        evse.reading = self._charger.registers.lifted(evse.reading)
        self._charger.sampling.signed(cx, evse, told)

    def _bay(self, cx: Context, event: ports.BayChanged) -> None:
        evse = self._charger.evses[event.evse]
        if evse.bay_occupied != event.occupied:
            evse.bay_occupied = event.occupied
            self._charger.transactions.happened(cx, evse, Cause.BAY_TAKEN if event.occupied else Cause.BAY_LEFT)

    def _token(self, cx: Context, event: ports.TokenPresented) -> None:
        if not cx.keys[hardware.TOKEN_READER_ENABLED]:
            cx.note("authorization", f"a card at {event.reader}: TokenReader.Enabled is false", "warning")
            return
        token = Token(_written(cx, event), event.kind)
        held = self._charger.locks.presented(cx, token)
        holds = any(e.authorization and e.authorization.token.same(token) for e in self._charger.evses.values())
        if holds or not held:
            self._charger.authorizer.present(cx, token, event.evses, event.reader)

    def _temperature(self, cx: Context, event: ports.TemperatureMeasured) -> None:
        evse = self._charger.evses.get(event.evse)
        if evse is not None:
            evse.temperatures[event.where] = event.celsius
            if event.where in hardware.TEMPERATURE:
                cx.keys.bring_in(hardware.TEMPERATURE[event.where], evse.id)

    def _silent(self, cx: Context, event: ports.Silent) -> None:
        cx.note("hardware", f"{event.device} {event.name or event.evse} does not answer", "error")
        evse = self._charger.evses.get(event.evse)
        if evse is None:
            self._station_part(event, silent=True)
            return
        evse.silent.add(event.device)
        if event.device == "meter":
            evse.meter_lost_ms = cx.ms - round(ports.METER_GRACE_S * 1000)
        if event.device in POWER_DEVICES:
            self._lost(cx, evse)

    def _lost(self, cx: Context, evse: Evse) -> None:
        """Nothing that the device has told is known any more."""
        evse.contactor.fire("lost", cx)
        evse.session.fire("fault", cx)
        self._charger.energy.phases.hindered(cx, evse, "lost")

    def _alive(self, cx: Context, event: ports.Alive) -> None:
        evse = self._charger.evses.get(event.evse)
        if evse is None:
            self._station_part(event, silent=False)
        if evse is not None and event.device in evse.silent:
            evse.silent.discard(event.device)
            evse.meter_lost_ms = None if event.device == "meter" else evse.meter_lost_ms
            cx.note("hardware", f"{event.device} {event.name or event.evse} answers again")

    def _station_part(self, event: ports.Silent | ports.Alive, *, silent: bool) -> None:
        """A reader or the main meter falls silent, or is back."""
        if event.device == "meter":
            if self._charger.main_meter is not None:
                self._charger.main_meter.silent = silent
        elif silent:
            self.silent_readers.add(event.name)
        else:
            self.silent_readers.discard(event.name)

    def _fault(self, cx: Context, event: ports.FaultRaised) -> None:
        evse = self._charger.evses.get(event.evse)
        if event.code == TAMPER and (evse is None or TAMPER not in evse.faults):
            where = "the station" if evse is None else f"EVSE {evse.id}"
            self._charger.security.report(cx, "TamperDetectionActivated", f"{where} {event.detail}".strip())
        if evse is None and self._charger.main_meter is not None:
            self._charger.main_meter.heard(cx, event.code, event.detail, stands=True)
            return
        cx.note("fault", f"EVSE {event.evse}: {event.code} {event.detail}".strip(), "error")
        if evse is None:
            return
        self.found(cx, evse, event.code, event.detail)

    def found(self, cx: Context, evse: Evse, code: str, detail: str) -> None:
        """A fault stands from now on; the failsafe table says what that means."""
        entry = row(code)
        evse.faults[code] = detail
        evse.over.discard(code)
        if entry.clears == "unplug":
            cx.put(LATCHED, f"{evse.id} {code}", detail)
        if entry.action is Action.TRIP:
            evse.session.fire("fault", cx)
            self._charger.energy.phases.hindered(cx, evse, "fault")
        if entry.action >= Action.STOP and entry.stopped:
            self._end(cx, evse, entry.stopped)

    def _end(self, cx: Context, evse: Evse, reason: str) -> None:
        self._charger.transactions.stop_because(evse, reason)
        self._charger.authorizer.stop(cx, evse, Cause.FAULT)

    def _end_for_good(self, cx: Context, evse: Evse) -> None:
        """What is found without a word of the hardware ends a session too: a weld, and by key a meter that is gone."""
        if evse.authorization is None:
            return
        if evse.contactor.latched is not None and row(LATCHES[evse.contactor.latched]).stopped:
            self._end(cx, evse, row(LATCHES[evse.contactor.latched]).stopped)
        lost = failsafe.meter_lost(cx, evse)
        if lost is not None and lost.action >= Action.STOP:
            self._end(cx, evse, lost.stopped)

    def _fault_cleared(self, cx: Context, event: ports.FaultCleared) -> None:
        evse = self._charger.evses.get(event.evse)
        if evse is None and self._charger.main_meter is not None:
            self._charger.main_meter.heard(cx, event.code, "", stands=False)
        if evse is None or event.code not in evse.faults:
            return
        self.is_over(cx, evse, event.code)

    def is_over(self, cx: Context, evse: Evse, code: str) -> None:
        """The cause of a fault has gone."""
        evse.over.add(code)
        if row(code).clears != "unplug" or (evse.id, code) in self._asked:
            self._forget(cx, evse, code)
        elif evse.connected:
            cx.note("fault", f"EVSE {evse.id}: {code} is over; it stays until unplug", "warning")
        else:
            self._unlatch(cx, evse)

    def _unlatch(self, cx: Context, evse: Evse) -> None:
        """No car is here: latched faults go whose cause has gone."""
        for code in [code for code in evse.faults if code in evse.over]:
            self._forget(cx, evse, code)

    def _release(self, cx: Context, evse: Evse) -> None:
        """The car has left: the device is asked to clear what it latched, again and again while a cause stands."""
        held = [code for code in evse.faults if row(code).clears == "unplug" and code not in evse.over]
        if not held or evse.connected or not evse.is_seen or not evse.silent.isdisjoint(POWER_DEVICES):
            self._ask_again_ms.pop(evse.id, None)
        elif cx.ms >= self._ask_again_ms.get(evse.id, cx.ms):
            self._ask_again_ms[evse.id] = cx.ms + ASK_AGAIN_MS
            cx.timers.set(f"evse{evse.id}.unlatch", cx.ms + ASK_AGAIN_MS)
            _ask_to_clear(cx, evse, held)

    def was_reset(self, cx: Context, evse: Evse) -> None:
        """A reset of the EVSE clears what its contactor did, as leaving it does."""
        held = [code for code in BY_RESET if code in evse.faults and code not in evse.over]
        self._asked.update((evse.id, code) for code in held)
        _ask_to_clear(cx, evse, held)

    def _forget(self, cx: Context, evse: Evse, code: str) -> None:
        del evse.faults[code]
        evse.over.discard(code)
        self._asked.discard((evse.id, code))
        if row(code).clears == "unplug":
            cx.put(LATCHED, f"{evse.id} {code}", None)
        cx.note("fault", f"EVSE {evse.id}: {code} is over")

    def _applied(self, cx: Context, event: ports.Applied) -> None:
        evse = self._charger.evses.get(event.evse)
        if evse is not None and event.what == "setlock":
            self._charger.locks.applied(evse, event.step)
        if evse is None or event.what not in ("permit", "offer", "withdraw"):
            return
        evse.applied_amps = event.amps
        self.protection.signalled(cx, evse)
        if event.what == "permit" and evse.unconfirmed is not None and event.step >= evse.unconfirmed:
            evse.unconfirmed = None

    def _refused(self, cx: Context, event: ports.Refused) -> None:
        """The hardware said no: a permission is tried again later, an increase at the next occasion.

        A device that does not take less is opened.
        """
        evse = self._charger.evses.get(event.evse)
        cx.note("hardware", f"EVSE {event.evse}: {event.what} refused: {event.reason}", "warning")
        if evse is None:
            return
        if event.what == "setphases":
            self._charger.energy.phases.hindered(cx, evse, "refused")
        elif event.what == "offer" and self._charger.limits.holds_more(evse, event.step):
            evse.session.fire("fault", cx)
        elif event.what == "offer":
            self._charger.limits.doubt(cx, evse)
        elif event.what == "permit" and evse.contactor.state in ("armed", "closing"):
            evse.contactor.fire("unrecorded", cx)
            evse.session.fire("fault", cx)
            evse.contactor.closed_ms = cx.ms
            cx.after(f"evse{evse.id}.reclose", RECLOSE_MS / 1000)


def _ask_to_clear(cx: Context, evse: Evse, codes: Iterable[str]) -> None:
    for code in codes:
        cx.energise(ports.ResetFault(evse.id, cx.step, code))


def _written(cx: Context, event: ports.TokenPresented) -> str:
    """A card's UID as its operator writes it."""
    if event.kind not in ("ISO14443", "ISO15693"):
        return event.uid
    pairs = [event.uid[i : i + 2] for i in range(0, len(event.uid), 2)]
    uid = "".join(reversed(pairs)) if cx.keys[site.RFID_BYTE_ORDER] == "Reversed" else event.uid
    return uid.lower() if cx.keys[site.RFID_CASE] == "Lower" else uid
