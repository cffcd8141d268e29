"""Invariant 6: the phase relay moves only when nothing can flow, seldom enough, and only when it was told to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from agent.core.events import Event
from hal.ports import ContactorReported, DeviceBooted, Permit, PhasesReported, PowerCommand, SetPhases, Silent
from tests.sim.car import Car
from tests.sim.outlet import Outlet

Fail = Callable[[str, str], None]
Key = Callable[[str, str], str]
DEAD_MS = 1_000
OBEYED_MS = 15_000
"""An order to move is carried out within this, on the slowest line, or not at all."""


@dataclass(slots=True)
class Relay:
    """What is known of one EVSE's relay."""

    told: int | None = None
    """Where the station was told that it is; None: not yet."""
    closed: bool = False
    ordered_ms: int | None = None
    """When the station last told it to move; None: not since it moved."""
    moved_ms: int | None = None
    """Its last move for the car that is here."""
    moves: int = 0
    """Moves for the car that is here."""
    car: Car | None = None


class PhaseJudge:
    """Watches the relays of one station."""

    def __init__(self, now_ms: Callable[[], int], fail: Fail, key: Key, outlets: dict[int, Outlet]) -> None:
        self.now_ms, self.fail, self.key, self.outlets = now_ms, fail, key, outlets
        self.relays = {evse: Relay() for evse in outlets}
        for evse, outlet in outlets.items():
            outlet.on_relay = partial(self.moves, evse)
        self.total = 0
        """Moves of all relays since the world began."""

    def booted(self) -> None:
        """A new process has been told nothing; relays and cars are where they were."""
        for relay in self.relays.values():
            relay.told, relay.closed = None, False

    def forgotten(self) -> None:
        """The store was damaged: what was counted is lost with it."""
        for relay in self.relays.values():
            relay.moved_ms, relay.moves = None, 0

    def hears(self, event: Event) -> None:
        """The station is about to be told this."""
        relay = self.relays.get(getattr(event, "evse", 0))
        match event:
            case PhasesReported(phases=phases) if relay is not None:
                relay.told = phases
            case ContactorReported(closed=closed) if relay is not None:
                relay.closed = closed
            case Silent(device="board" | "controller") | DeviceBooted() if relay is not None:
                relay.told, relay.closed = None, False

    def commands(self, command: PowerCommand) -> None:
        """A command is about to be executed."""
        relay, outlet = self.relays[command.evse], self.outlets[command.evse]
        if isinstance(command, SetPhases):
            if relay.closed or not relay.told:
                self.fail("6 phases", f"{command} with closed contacts, or a relay of which nothing is known")
            relay.ordered_ms = self.now_ms()
        elif isinstance(command, Permit) and outlet.spec.switches and command.phases != relay.told:
            self.fail("6 phases", f"{command}, but the relay has told {relay.told}")

    def moves(self, evse: int) -> None:
        """The relay of an EVSE is about to move."""
        relay, outlet, now = self.relays[evse], self.outlets[evse], self.now_ms()
        self.total += 1
        ordered, relay.ordered_ms = relay.ordered_ms, None
        if ordered is None or now - ordered > OBEYED_MS:
            self.fail("6 phases", f"the relay of EVSE {evse} moves without an order")
        dead_ms = now - outlet.opened_ms
        pause_ms = max(DEAD_MS, 1000 * float(self.key("PhaseSwitchCtrlr.PauseTime", "10")))
        if outlet.closed or outlet.permitted or dead_ms < pause_ms:
            self.fail("6 phases", f"the relay of EVSE {evse} moves {dead_ms} ms after its contacts opened")
        self._counts(relay, outlet, now)

    def _counts(self, relay: Relay, outlet: Outlet, now: int) -> None:
        """Dwell and number, for as long as the same car is plugged in."""
        if outlet.car is None or outlet.car is not relay.car:
            relay.moved_ms, relay.moves, relay.car = None, 0, outlet.car
        if outlet.car is None:
            return
        relay.moves += 1
        most = int(self.key("PhaseSwitchCtrlr.MaxPerSession", "6"))
        if most and relay.moves > most:
            self.fail("6 phases", f"{relay.moves} moves for one car at EVSE {outlet.evse}, at most {most}")
        dwell_ms = 1000 * float(self.key("PhaseSwitchCtrlr.MinDwell", "600"))
        if relay.moved_ms is not None and now - relay.moved_ms < dwell_ms:
            self.fail("6 phases", f"EVSE {outlet.evse} moved {now - relay.moved_ms} ms ago, and moves again")
        relay.moved_ms = now
