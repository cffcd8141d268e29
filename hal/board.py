"""A raw controller board on our framed serial protocol (hal/board-protocol.md): the host's side of it.

One command is outstanding at a time; a withdrawal goes before everything. The newest offer, withdrawal,
failsafe, phases and lock are wishes: a board that was silent gets those it missed, one that restarted gets
all of them (but never a permission or an offer: those need a new decision) before it is called alive.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from hal import frames
from hal.board_reports import Reports
from hal.config import BoardRef
from hal.device import Clock, Faults, Presence
from hal.frames import FAULT_BITS, Frame, Ordered, tenths
from hal.line import Line
from hal.ports import (
    Applied,
    Capabilities,
    DeviceBooted,
    Emit,
    Nameplate,
    Offer,
    Permit,
    PowerCommand,
    Refused,
    ResetFault,
    SetFailsafe,
    SetLock,
    SetPhases,
    Withdraw,
)

AGAIN_S = 0.1
"""Without an Ack the same frame goes out again after this."""
ATTEMPTS = 4
LEAST_AMPS = 6
LONGEST_FALLBACK_MS = 5000
"""A board with a longer heartbeat timeout is no independent layer (invariant 3)."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Intervals of a raw board (s)."""

    silent_s: float = 2.0
    timeout_s: float = 3.0
    """The heartbeat timeout we ask for."""
    hello_s: float = 0.5


@dataclass(slots=True)
class _Order:
    """A command on its way, or a Hello when `command` is None. A wish that is written again tells nobody."""

    command: PowerCommand | None
    tells: bool = True
    message: frames.Hello | Ordered | None = None
    """Made when it is first sent, so that its step is the newest then."""
    seq: int = 0
    attempts: int = 0


class Board:
    """The power path of one EVSE whose pilot, permit and phases are ours, through a board."""

    def __init__(
        self, nameplate: Nameplate, board: BoardRef, emit: Emit, clock: Clock, pace: Pace | None = None
    ) -> None:
        self.evse = nameplate.evse
        self._nameplate, self._emit = nameplate, emit
        self._pace = pace or Pace()
        self._line = Line(board.port, board.baud, self._bytes, self._line_changed)
        self._decoder = frames.Decoder()
        self._presence = Presence(self.evse, "board", emit, clock, self._pace.silent_s)
        self._faults = Faults(self.evse, emit)
        self._seq = 0
        self._newest_step = 0
        self._queue: list[_Order] = []
        self._flying: _Order | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._greeted = False
        self._hello_heard = False
        self._boots_owed = 0
        self._returning = False
        self._wishes: dict[str, PowerCommand] = {}
        self._missed: dict[str, PowerCommand] = {}
        """Those of them that the board has not acknowledged yet."""
        self._latest: frames.State | None = None
        self._reports = Reports(nameplate, self._faults, emit)

    @property
    def feed_every_s(self) -> float:
        """A third of the heartbeat timeout."""
        return self._pace.timeout_s / 3

    @property
    def busy(self) -> bool:
        """Whether a command is on its way to a board that may still hear it."""
        return self._line.up and self._flying is not None

    async def run(self) -> None:
        """Open the line, greet the board until it answers, watch for silence; ends when cancelled."""
        self._line.open()
        try:
            while True:
                await asyncio.sleep(self._pace.hello_s / 2)
                if self._line.up and not self._greeted and self._flying is None:
                    self._hello()
                self._watch()
        finally:
            self._line.close()
            self._stop_timer()

    def _watch(self) -> None:
        was = self._presence.alive
        self._presence.check()
        if was and not self._presence.alive:
            self._away("the board is silent")

    # ------------------------------------------------------------------------------------------- commands

    def permit(self, command: Permit) -> None:
        if self._presence.alive and self._greeted:
            self._unwish("power")
            self._reports.permitted = command.connector
            self._order(command)
        else:
            self._refuse(command, "the board is silent or not greeted yet")

    def offer(self, command: Offer) -> None:
        self._want("power", command)

    def withdraw(self, command: Withdraw) -> None:
        """Goes out before anything else, and also to a board that we do not hear: it may hear us."""
        self._unwish("power")
        self._wishes["power"] = self._missed["power"] = command
        if self._flying is not None and self._flying.command is not None:
            self._queue.insert(0, self._flying)
            self._flying = None
            self._stop_timer()
        self._forget_queued(lambda c: isinstance(c, Permit | Offer | Withdraw | SetPhases))
        self._queue.insert(0, _Order(command))
        self._next()

    def set_phases(self, command: SetPhases) -> None:
        """Now or never: a relay that moved later would do so without a decision."""
        self._order_now(command)

    def set_lock(self, command: SetLock) -> None:
        self._want(f"lock {command.connector}", command)

    def set_failsafe(self, command: SetFailsafe) -> None:
        self._want("failsafe", command)

    def reset_fault(self, command: ResetFault) -> None:
        if command.code not in FAULT_BITS:
            self._refuse(command, f"the board does not latch {command.code}")
        else:
            self._order_now(command)

    def feed(self) -> None:
        """One heartbeat."""
        if self._greeted:
            self._line.write(frames.encode(frames.Heartbeat()))

    def rest(self) -> None:
        """Only heartbeats feed the board, and they stop with `feed`: nothing else to stop."""

    # ---------------------------------------------------------------------------- wishes, orders, repetitions

    def _want(self, what: str, command: PowerCommand) -> None:
        """A wish: sent now, or when the board is back."""
        self._unwish(what)
        self._wishes[what] = self._missed[what] = command
        if self._presence.alive or self._returning:
            self._order(command)

    def _order_now(self, command: SetPhases | ResetFault) -> None:
        if self._presence.alive and self._greeted:
            self._order(command)
        else:
            self._refuse(command, "the board is silent or not greeted yet")

    def _unwish(self, what: str) -> None:
        """A newer wish takes its place."""
        self._wishes.pop(what, None)
        old = self._missed.pop(what, None)
        if old is not None and not self._on_its_way(old):
            self._refuse(old, "superseded")

    def _on_its_way(self, command: PowerCommand) -> bool:
        return any(o.command is command for o in (self._flying, *self._queue) if o)

    @staticmethod
    def _among(command: PowerCommand | None, wishes: dict[str, PowerCommand]) -> bool:
        """By identity: commands are tuples, and equal ones may differ in kind."""
        return any(command is wish for wish in wishes.values())

    def _order(self, command: PowerCommand) -> None:
        self._forget_queued(lambda c: _place(c) == _place(command))
        self._queue.append(_Order(command))
        self._next()

    def _forget_queued(self, obsolete: Callable[[PowerCommand], bool]) -> None:
        for old in [o for o in self._queue if o.command is not None and obsolete(o.command)]:
            self._queue.remove(old)
            self._fail(old, "superseded")

    def _fail(self, order: _Order, reason: str) -> None:
        if order.command is not None and order.tells:
            self._refuse(order.command, reason)

    def _message(self, command: PowerCommand | None) -> frames.Hello | Ordered:
        """The frame of a command; its step is never older than what the board has seen."""
        if command is None:
            return frames.Hello(frames.VERSION, round(self._pace.timeout_s * 1000))
        step = self._newest_step = max(command.step, self._newest_step)
        match command:
            case Permit():
                connector = command.connector if len(self._nameplate.connectors) > 1 else 0
                return frames.Permit(step, _tenths(command.amps), command.phases, connector)
            case Offer():
                return frames.Offer(step, _tenths(command.amps))
            case Withdraw():
                return frames.Withdraw(step, command.reason)
            case SetPhases():
                return frames.Phases(step, command.phases)
            case SetLock():
                return frames.Lock(step, command.connector, int(command.locked))
            case SetFailsafe():
                return frames.Failsafe(step, _tenths(command.amps))
            case ResetFault():
                return frames.Reset(step, FAULT_BITS.index(command.code))

    def _next(self) -> None:
        if self._flying is not None:
            return
        if self._queue:
            self._flying = self._queue.pop(0)
            self._seq = self._seq % 255 + 1
            self._flying.seq, self._flying.attempts = self._seq, 0
            self._flying.message = self._message(self._flying.command)
            self._send()
        elif self._returning:
            self._returning = False
            self._presence.announce()
            if self._latest is not None:
                self._reports.take(self._latest)

    def _send(self) -> None:
        order = self._flying
        if order is None or order.message is None:
            return
        if order.attempts >= ATTEMPTS:
            self._flying = None
            self._unanswered(order)
            return
        order.attempts += 1
        if isinstance(order.message, frames.Hello):
            self._boots_owed += 1
        self._line.write(frames.encode(order.message, order.seq))
        self._stop_timer()
        self._timer = asyncio.get_running_loop().call_later(AGAIN_S, self._send)

    def _unanswered(self, order: _Order) -> None:
        """A wish stays on its way for as long as the board is there; anything else has failed."""
        if self._among(order.command, self._wishes):
            if self._presence.alive or self._returning:
                self._queue.insert(0 if isinstance(order.command, Withdraw) else len(self._queue), order)
        else:
            self._fail(order, "no acknowledgement")
        self._next()

    def _acknowledged(self, ack: frames.Ack) -> None:
        order = self._flying
        if order is None or order.message is None or (order.seq, order.message.KIND) != (ack.seq, ack.kind):
            return  # the answer to an order that was dropped for a more urgent one
        self._flying = None
        self._stop_timer()
        if order.command is None:
            self._hello_heard = True
        else:
            held = self._holds_failsafe(order.command, ack)
            if order.tells:
                self._missed = {what: c for what, c in self._missed.items() if c is not order.command}
                self._answer(order.command, ack, held)
        self._next()

    def _holds_failsafe(self, command: PowerCommand, ack: frames.Ack) -> bool:
        """Read back: a board that would fall to another current than ours is no layer to rely on."""
        if not isinstance(command, SetFailsafe) or ack.result != frames.OK:
            return True
        wanted, found = _tenths(command.amps), ack.offered_tenths
        self._faults.tell("readback_mismatch", found != wanted, f"failsafe {found / 10} A after {wanted / 10} A")
        return found == wanted

    def _answer(self, command: PowerCommand, ack: frames.Ack, held: bool) -> None:
        if ack.result != frames.OK or not held:
            said = f"the board holds {ack.offered_tenths / 10} A"
            self._refuse(command, said if not held else frames.name_of(frames.RESULTS, ack.result))
            return
        offers = isinstance(command, Permit | Offer | Withdraw)
        amps = ack.offered_tenths / 10 if offers else getattr(command, "amps", None)
        self._emit(Applied(self.evse, command.step, type(command).__name__.lower(), amps))

    def _away(self, reason: str) -> None:
        """The board is not there: wishes are kept, everything else is refused."""
        orders = [o for o in (self._flying, *self._queue) if o is not None]
        self._flying, self._queue, self._returning = None, [], False
        self._latest = None
        self._reports.forget()
        self._stop_timer()
        for order in orders:
            if not self._among(order.command, self._missed):
                self._fail(order, reason)

    # -------------------------------------------------------------------------------------------- greeting

    def _line_changed(self, up: bool) -> None:
        self._decoder = frames.Decoder()
        self._boots_owed = 0
        self._lost("the line was reopened" if up else "the port is gone")
        if up:
            self._hello()

    def _lost(self, reason: str) -> None:
        """The board must be greeted again, and a Hello withdraws every permission."""
        if self._greeted:
            self._emit(DeviceBooted(self.evse, reason))
        self._greeted = False
        if self._presence.alive:
            self._presence.alive = None
        self._away(reason)
        if isinstance(self._wishes.get("power"), Offer):
            self._unwish("power")

    def _hello(self) -> None:
        self._hello_heard = False
        self._queue.insert(0, _Order(None))
        self._next()

    def _booted(self, boot: frames.Boot) -> None:
        """A Boot report: the answer to a Hello, or from a board that restarted by itself."""
        if self._boots_owed > 0 and (self._hello_heard or self._greeted):
            self._boots_owed -= 1
            if not self._greeted:
                self._welcome(boot)
        elif self._greeted:
            self._lost(frames.name_of(frames.RESET_REASONS, boot.reset))
            self._hello()

    def _welcome(self, boot: frames.Boot) -> None:
        """Hello was answered: tell what the board is, and write what must be in it."""
        self._greeted = True
        self._newest_step = 0
        self._reports.connectors = boot.connectors
        needed = frames.HAS_MIRROR | frames.OPENS_ALONE
        independent = boot.capabilities & needed == needed and 0 < boot.timeout_ms <= LONGEST_FALLBACK_MS
        self._emit(
            Capabilities(
                self.evse,
                independent=independent,
                max_amps=min(boot.max_tenths / 10, self._nameplate.amps),
                phases=min(boot.phases, self._nameplate.phases),
                phase_switch=bool(boot.capabilities & frames.CAN_SWITCH_PHASES),
                lock=bool(boot.capabilities & frames.CAN_LOCK),
                fallback_s=boot.timeout_ms / 1000,
                vendor=boot.vendor,
                model=boot.model,
                serial=boot.serial,
                firmware=boot.firmware,
            )
        )
        self._faults.tell("not_independent", not independent, f"capabilities {boot.capabilities:#x}")
        self._return(list(self._wishes.values()))

    def _return(self, wishes: list[PowerCommand]) -> None:
        """The board is back: the wishes go out, a withdrawal first; then it is called alive."""
        self._returning = True
        for command in sorted(wishes, key=lambda c: (not isinstance(c, Withdraw), c.step)):
            if not self._on_its_way(command):
                self._queue.append(_Order(command, tells=self._among(command, self._missed)))
        self._next()

    # ----------------------------------------------------------------------------------------------- state

    def _bytes(self, data: bytes) -> None:
        for frame in self._decoder.feed(data):
            self._take(frame)

    def _take(self, frame: Frame) -> None:
        self._presence.heard()
        match frame.message:
            case frames.Ack() as ack:
                self._acknowledged(ack)
            case frames.Boot() as boot:
                self._booted(boot)
            case frames.State() as state if self._greeted:
                self._latest = state
                if not self._presence.alive and not self._returning:
                    self._return(list(self._missed.values()))
                if self._presence.alive:
                    self._reports.take(state)

    def _refuse(self, command: PowerCommand, reason: str) -> None:
        """Nobody waits for what the guard did by itself at the start (step 0)."""
        if command.step:
            self._emit(Refused(self.evse, command.step, type(command).__name__.lower(), reason))

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _place(command: PowerCommand) -> tuple[str, int]:
    """Commands of one place supersede each other in the queue."""
    return type(command).__name__, command.connector if isinstance(command, SetLock) else 0


def _tenths(amps: float) -> int:
    """Below 6 A there is only a pause."""
    return tenths(amps) if amps >= LEAST_AMPS else 0
