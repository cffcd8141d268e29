"""The raw controller board of one EVSE, as hal/board-protocol.md wants it.

It owns pilot, contactor, protection and heartbeat. Only the frame codec is shared with the driver
(`hal.frames`); what the board does is written from the document.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from hal import frames
from hil.instruments.connector import Connector, ConnectorMake
from hil.instruments.contactor import Contactor, Wiring
from hil.instruments.ev import Car, Phases3
from hil.instruments.pilot import Duty, Mains, PilotState, duty_of_amps

BIT = {code: bit for bit, code in enumerate(frames.FAULT_BITS)}
LATCHING = {0, 2, 3, 8, 9, 15}
CONTACTOR_BITS = {8, 9, 15}
HARMLESS = {7, 10, 12, 16}
"""Fault bits that do not drop the permission."""

WIRING_FAULTS = ("relay_stuck", "relay_silent", "second_welded", "second_stuck")
"""What can be wrong with the phase relay and the second contactor; the board sees it in its feedback alone."""
FAULTS = (*frames.FAULT_BITS, "emergency_stop", *WIRING_FAULTS)

STABLE_C_S = 0.3
LEAVE_C_S = 6.0
LAPSE_OPEN_S = 3.0
MIRROR_S = 0.25
BOOT_EVERY_S = 0.5
STATE_EVERY_S = 1.0
RELAY_TRAVEL_S = 0.05
RESIDUAL_TRIP_MA = 6
PILOT_MODES = {"normal": 0, "disconnected": 1, "held": 2}

Send = Callable[[bytes], None]


@dataclass(frozen=True)
class BoardMake:
    """What the board says of itself at boot."""

    max_amps: float = 32.0
    phases: int = 3
    connectors: tuple[ConnectorMake, ...] = (ConnectorMake(),)
    """1, 2, ... on one power path."""
    ventilation: bool = False
    wiring: Wiring = "simultaneous"
    vendor: str = "Bench"
    model: str = "RawBoard"
    serial: str = "RB-0001"
    firmware: str = "1.0.0"

    @property
    def capabilities(self) -> int:
        """Bits of the Boot report."""
        always = frames.HAS_RESIDUAL | frames.HAS_MIRROR | frames.OPENS_ALONE
        always |= frames.CAN_SWITCH_PHASES if self.phases == 3 else 0
        return always | (frames.CAN_LOCK | frames.HAS_PROXIMITY if any(c.socket for c in self.connectors) else 0)


class RawBoard:
    """One board: `receive` takes bytes from the host, `step` does the electrics, `send` gets what it says."""

    faults_known = (*FAULTS, "lock_sticks")

    def __init__(
        self, clock: Callable[[], float], make: BoardMake | None = None, send: Send | None = None
    ) -> None:
        self._clock = clock
        self.make = make or BoardMake()
        self.send: Send = send or (lambda data: None)
        self.contactor = Contactor(wiring=self.make.wiring, phases=self.make.phases)
        self.powered = True
        self.residual_ma = 1
        self.causes: set[str] = set()
        self.connectors = {n: Connector(n, made) for n, made in enumerate(self.make.connectors, start=1)}
        self.connector = 1
        """Which has the power path. The selector is bistable, too."""
        self.selected_phases = self.make.phases
        """Where the phase relay is. It survives a reset: the relay is bistable."""
        self.relay_moves = 0
        self.boots = 0
        self._mains, self._diode_ok = Mains(), True
        self._reset("power")

    def _reset(self, reason: str) -> None:
        """The microcontroller starts: nothing is permitted, everything is forgotten but latched wiring."""
        now = self._clock()
        self._reason = frames.RESET_REASONS.index(reason)
        self.boots += 1
        self.helloed = self.permitted = self.lapsed = False
        self.armed = True
        self.offer_tenths = self.failsafe_tenths = 0
        self.mode = 0
        self.timeout_ms = 5000
        self.latched: set[int] = set()
        self.step_no = self._lapse_step = self._seen = 0
        self.duty: Duty = 100.0
        for connector in self.connectors.values():
            connector.pilot = "A"
        self._last: tuple[int, int, bytes] | None = None
        self._decoder = frames.Decoder()
        self._beat = self._booted = now
        self._boot_sent = self._state_sent = float("-inf")
        self._said: frames.State | None = None
        self._c_since = self._no_offer_since = self._lapsed_at = self._disagree_since = None
        self._had_closed = False
        self._relay: tuple[int, float] | None = None
        self.contactor.drop()

    _c_since: float | None
    _no_offer_since: float | None
    _lapsed_at: float | None
    _disagree_since: float | None

    # ------------------------------------------------------------------------------------------ the world

    def power(self, on: bool) -> None:
        """Lose or get the supply."""
        self.powered = on
        if on:
            self._reset("power")
        else:
            self.contactor.drop()

    def restart(self, reason: str = "watchdog") -> None:
        """The microcontroller resets by itself; `reason` is one of hal.frames.RESET_REASONS."""
        self._reset(reason)

    def raise_fault(self, code: str) -> None:
        """A cause of `FAULTS` begins."""
        self.causes.add(code)
        self.residual_ma = 30 if "residual_current" in self.causes else 1
        self.contactor.welded |= code == "contactor_welded"
        self.contactor.stuck |= code in ("contactor_failed", "contactor_dropped")
        self._wire()

    def clear_fault(self, code: str) -> None:
        """The cause is gone; a latched bit stays until the host resets it."""
        self.causes.discard(code)
        self.residual_ma = 30 if "residual_current" in self.causes else 1
        self.contactor.welded &= code != "contactor_welded"
        self.contactor.stuck &= code not in ("contactor_failed", "contactor_dropped")
        self._wire()

    def _wire(self) -> None:
        self.contactor.second_welded = "second_welded" in self.causes
        self.contactor.second_stuck = "second_stuck" in self.causes

    @property
    def faults(self) -> set[str]:
        """Codes of all fault bits that stand or are latched, and the emergency stop."""
        return {frames.FAULT_BITS[bit] for bit in self._bits()} | (self.causes & {"emergency_stop"})

    @property
    def pilot(self) -> PilotState:
        """Of the connector that has the power path."""
        return self.connectors[self.connector].pilot

    def duty_at(self, connector: int) -> Duty:
        """What drives a connector's pilot wire: without the power path nothing is ever offered."""
        return self.duty if connector == self.connector else self._drive_of(0.0)

    def _drive_of(self, amps: float) -> Duty:
        return {0: duty_of_amps(amps), 1: None, 2: 0.0}[self.mode]

    @property
    def limit_tenths(self) -> int:
        """The lowest of rating and cable."""
        rating, cable = frames.tenths(self.make.max_amps), self.connectors[self.connector].cable_tenths
        return rating if cable is None else min(rating, cable)

    @property
    def offered_tenths(self) -> int:
        """What the board really offers now."""
        tenths = min(self.offer_tenths, self.limit_tenths) if self.permitted and self.mode == 0 else 0
        return tenths if tenths >= 60 else 0

    @property
    def offered_amps(self) -> float:
        """The same in A per phase."""
        return self.offered_tenths / 10

    @property
    def commanded_amps(self) -> float:
        """What the host permits now."""
        return self.offer_tenths / 10 if self.permitted else 0.0

    def step(self, now: float, cars: Mapping[int, Car], mains: Mains, amps: Phases3, dt: float) -> None:
        """Sense, protect, switch, report: what the firmware does every few milliseconds."""
        for number, connector in self.connectors.items():
            connector.look(cars[number])
        self._mains, self._diode_ok = mains, cars[self.connector].diode_ok
        if not self.powered:
            return
        self._watch_heartbeat(now)
        self._sense(cars)
        self.contactor.step(now)
        self._watch_mirrors(now)
        self._protect()
        self._switch(now)
        self._move_relay(now)
        self._report(now)

    # ------------------------------------------------------------------------------------------ protection

    def _watch_heartbeat(self, now: float) -> None:
        if not self.helloed or self.lapsed or (now - self._beat) * 1000 <= self.timeout_ms:
            return
        self.lapsed, self.armed = True, False
        self._lapsed_at, self._lapse_step = now, self.step_no
        if self.failsafe_tenths:
            self.offer_tenths = min(self.offer_tenths, self.failsafe_tenths)
        else:
            self._drop_permission()

    def _sense(self, cars: Mapping[int, Car]) -> None:
        self.duty = self._drive_of(self.offered_amps)
        for number, connector in self.connectors.items():
            connector.sense(cars[number], self.duty_at(number))
        if self.pilot == "A":
            self._drop_permission()

    def _watch_mirrors(self, now: float) -> None:
        """Coil and mirror contacts must agree within 250 ms."""
        closed, coil = any(self.contactor.poles), self.contactor.coil
        self._had_closed = coil and (self._had_closed or closed)
        if closed == coil:
            self._disagree_since = None
            return
        self._disagree_since = now if self._disagree_since is None else self._disagree_since
        if now - self._disagree_since >= MIRROR_S:
            dropped = "contactor_dropped" if self._had_closed else "contactor_failed"
            self.latched.add(BIT["contactor_welded" if closed else dropped])

    def _standing(self) -> set[int]:
        """Fault bits whose cause is there now. Contactor bits come from the mirror contacts alone."""
        standing = {BIT[code] for code in self.causes if code in BIT and not code.startswith("contactor")}
        if not self._diode_ok:
            standing.add(BIT["diode"])
        if self.residual_ma > RESIDUAL_TRIP_MA:
            standing.add(BIT["residual_current"])
        return standing

    def _bits(self) -> set[int]:
        return self._standing() | self.latched

    def _protect(self) -> None:
        self.latched |= self._standing() & LATCHING
        if self._tripped():
            self._drop_permission()

    def _tripped(self) -> bool:
        """Something forbids charging."""
        return bool(self._bits() - HARMLESS) or "emergency_stop" in self.causes

    def _drop_permission(self) -> None:
        self.permitted, self.offer_tenths = False, 0

    def _switch(self, now: float) -> None:
        """Open at once on any reason to; close in a stable C with an offer; open 6 s into a pause."""
        charging = self.pilot == "C" or (self.pilot == "D" and self.make.ventilation)
        if not charging or (not self.permitted and not self._lapse_grace(now)):
            self.contactor.coil = False
            self._c_since = self._no_offer_since = None
        elif self.offered_tenths == 0:
            self._no_offer_since = now if self._no_offer_since is None else self._no_offer_since
            if now - self._no_offer_since >= LEAVE_C_S:
                self.contactor.coil = False
        elif self.armed:
            self._no_offer_since = None
            self._c_since = now if self._c_since is None else self._c_since
            if now - self._c_since >= STABLE_C_S and not self.contactor.coil and self._relay is None:
                self.contactor.phases, self.contactor.coil = self.selected_phases, True

    def _move_relay(self, now: float) -> None:
        """The relay takes its time, and moves only while every mirror contact is open."""
        if self._relay is None or now < self._relay[1]:
            return
        phases, self._relay = self._relay[0], None
        if not any(self.contactor.poles) and "relay_stuck" not in self.causes:
            self.relay_moves += phases != self.selected_phases
            self.selected_phases = phases

    def _lapse_grace(self, now: float) -> bool:
        """After the heartbeats stopped with failsafe 0 the EV has 3 s to leave C; a fault has no grace."""
        if self._tripped() or not self.lapsed or self._lapsed_at is None:
            return False
        return now - self._lapsed_at < LAPSE_OPEN_S

    # ------------------------------------------------------------------------------------------ reports

    def state(self) -> frames.State:
        """The whole state."""
        plugs = tuple(connector.report for connector in self.connectors.values())
        flags = plugs[0].flags + sum(
            flag
            for flag, is_set in (
                (frames.HEARTBEAT_LOST, self.lapsed), (frames.EMERGENCY_STOP, "emergency_stop" in self.causes),
                (frames.PERMITTED, self.permitted), (frames.PILOT_OFF, self.mode != 0),
                (frames.ONE_PHASE, self.selected_phases == 1 and self.make.phases == 3),
                (frames.PHASES_UNKNOWN, self._relay is not None or "relay_silent" in self.causes),
            )
            if is_set
        )  # fmt: skip
        duty = 10_000 if self.duty is None else round(self.duty * 100)
        hot = 950 if "over_temperature" in self.causes else 314
        contacts = sum(1 << i for i, pole in enumerate(self.contactor.poles) if pole)
        faults = sum(1 << bit for bit in self._bits())
        return frames.State(
            plugs[0].pilot, duty, self.offered_tenths, contacts, flags, plugs[0].proximity, self.residual_ma, faults,
            self._seen, self.step_no, ((0, hot), (2, 355)), self.connector, plugs if len(plugs) > 1 else (),
        )  # fmt: skip

    def _report(self, now: float) -> None:
        if not self.helloed:
            if now - self._boot_sent >= BOOT_EVERY_S:
                self._boot_sent = now
                self._say_boot()
            return
        state = self.state()
        watched = replace(state, seen=0, step=0, temperatures=())
        if watched != self._said or now - self._state_sent >= STATE_EVERY_S:
            self._said, self._state_sent = watched, now
            self.send(frames.encode(state))

    def _say_boot(self) -> None:
        make = self.make
        boot = frames.Boot(
            frames.VERSION, self._reason, frames.tenths(make.max_amps), make.phases, make.capabilities,
            self.timeout_ms, make.vendor, make.model, make.serial, make.firmware, "bench",
            len(make.connectors),
        )  # fmt: skip
        self.send(frames.encode(boot))

    # ------------------------------------------------------------------------------------------ commands

    def receive(self, data: bytes) -> None:
        """Bytes from the host."""
        if not self.powered:
            return
        for frame in self._decoder.feed(data):
            self._take(frame)

    def _take(self, frame: frames.Frame) -> None:
        if isinstance(frame.message, frames.Heartbeat):
            self._beat = self._clock()
            self.lapsed = False
        elif isinstance(frame.message, frames.Hello):
            self._hello(frame.message, frame.seq)
        elif frame.seq and self._last and self._last[:2] == (frame.seq, frame.kind):
            self.send(self._last[2])
        elif frame.seq:
            self._seen = frame.seq
            self._ack(frame.seq, frame.kind, self._answer(frame))

    def _answer(self, frame: frames.Frame) -> int:
        message = frame.message
        if message is None:
            return frame.problem
        if not isinstance(message, frames.Ordered):
            return frames.UNKNOWN_TYPE
        if isinstance(message, frames.Withdraw):
            self._withdraw()
        elif not self.helloed:
            return frames.NO_HELLO
        elif message.step < self.step_no:
            return frames.OLD_STEP
        elif result := self._execute(message):
            return result
        self.step_no = max(self.step_no, message.step)
        return frames.OK

    def _ack(self, seq: int, kind: int, result: int) -> None:
        tenths = self.failsafe_tenths if kind == frames.Failsafe.KIND else self.offered_tenths
        ack = frames.encode(frames.Ack(seq, kind, result, tenths, self.step_no))
        self._last = (seq, kind, ack)
        self.send(ack)

    def _hello(self, hello: frames.Hello, seq: int) -> None:
        now = self._clock()
        self._withdraw()
        self.helloed, self.lapsed, self.armed = True, False, True
        self.step_no = self._lapse_step = 0
        self.timeout_ms = min(max(hello.timeout_ms, 500), 5000)
        self._beat, self._seen = now, seq
        self._ack(seq, hello.KIND, frames.OK)
        self._say_boot()
        self._said = None
        self._report(now)

    def _withdraw(self) -> None:
        self._drop_permission()
        self._lapsed_at = None
        self.contactor.coil = False

    def _execute(self, message: frames.Ordered) -> int:
        """Do it, or the result code of the refusal."""
        match message:
            case frames.Permit() | frames.Offer():
                return self._take_offer(message)
            case frames.Failsafe(tenths=tenths):
                if not _in_range(tenths):
                    return frames.OUT_OF_RANGE
                self.failsafe_tenths = tenths
            case frames.Phases(phases=phases):
                return self._select(phases)
            case frames.Pilot(mode=mode):
                return self._drive(mode)
            case frames.Lock(connector=connector, locked=locked):
                return self._lock(connector, bool(locked))
            case frames.Reset(bit=bit):
                return self._clear(bit)
        return frames.OK

    def _take_offer(self, message: frames.Permit | frames.Offer) -> int:
        """A new permission or another current; after a lapse only a newer decision arms the board again."""
        if not _in_range(message.tenths):
            return frames.OUT_OF_RANGE
        permit = isinstance(message, frames.Permit)
        stale = not self.armed and message.step <= self._lapse_step
        if (permit or message.tenths) and (self.lapsed or stale):
            return frames.NOT_ARMED
        if isinstance(message, frames.Permit):
            if message.phases != self.selected_phases or self._relay is not None:
                return frames.OUT_OF_RANGE
            if self._tripped():
                return frames.FAULT_LATCHED
            if result := self._lead_to(message.connector or 1):
                return result
            self.permitted = True
        self.armed = self.armed or permit or message.tenths > 0
        if self.permitted:
            self.offer_tenths = message.tenths
        return frames.OK

    def _lead_to(self, connector: int) -> int:
        """The power path, and the pilot's drive with it, go to a connector; never while anything may be closed."""
        if connector not in self.connectors:
            return frames.OUT_OF_RANGE
        if connector != self.connector:
            if self.contactor.coil or any(self.contactor.poles):
                return frames.CONTACTS_CLOSED
            self.connector, self._c_since = connector, None
        return frames.OK

    def _select(self, phases: int) -> int:
        if phases not in (1, 3):
            return frames.OUT_OF_RANGE
        if self.make.phases != 3:
            return frames.NOT_CAPABLE
        if any(self.contactor.poles):
            return frames.CONTACTS_CLOSED
        if self.latched & CONTACTOR_BITS:
            return frames.FAULT_LATCHED
        self._relay = (phases, self._clock() + RELAY_TRAVEL_S)
        return frames.OK

    def _drive(self, mode: int) -> int:
        if mode not in PILOT_MODES.values():
            return frames.OUT_OF_RANGE
        if mode and any(self.contactor.poles):
            return frames.CONTACTS_CLOSED
        self.mode = mode
        return frames.OK

    def _lock(self, number: int, locked: bool) -> int:
        connector = self.connectors.get(number)
        if connector is None:
            return frames.OUT_OF_RANGE
        if not connector.make.socket:
            return frames.NOT_CAPABLE
        if not locked and number == self.connector and any(self.contactor.poles):
            return frames.CONTACTS_CLOSED
        if not self.causes & {"lock", "lock_sticks"}:
            connector.locked = locked
        return frames.OK

    def _clear(self, bit: int) -> int:
        """Clear a latched fault whose cause is gone; a weld is gone when the mirror contacts are open."""
        if bit >= len(frames.FAULT_BITS):
            return frames.OUT_OF_RANGE
        welded = bit == BIT["contactor_welded"] and any(self.contactor.poles)
        if welded or bit in self._standing():
            return frames.FAULT_LATCHED
        self.latched.discard(bit)
        return frames.OK


def _in_range(tenths: int) -> bool:
    return tenths == 0 or tenths >= 60
