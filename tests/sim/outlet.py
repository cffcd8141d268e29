"""One EVSE as hardware, seen at the port: pilot, contactor, meter behind a raw board or a smart controller.

Both kinds close only in pilot C with a permission and an offer, open within 100 ms when the car leaves C, and
fall back by themselves when they are not fed (hal/board-protocol.md; the smart one behaves like a Heidelberg
Energy Control: it is polled, so its state is seen up to a second late).
"""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Literal

from agent.core.failsafe_table import blocks
from agent.core.site import Connector, EvseSite
from hal.ports import Pilot, Quantity
from tests.sim.car import MIN_AMPS, Behaviour, Car
from tests.sim.clock import Life, Timeline

Meter = Literal["usual", "rich", "without totals", "counts phases"]
Cable = Literal["fixed", "socket"]
LATCHING = frozenset(
    ("diode", "residual_current", "residual_selftest", "contactor_welded", "contactor_failed", "contactor_dropped")
)
"""What a raw board keeps until it is told to reset it (hal/board-protocol.md, fault bits)."""
PAUSE_PATIENCE_MS = 6_000
"""Without an offer, a contactor still closed after this is opened (IEC 61851-1 A.5.3)."""


@dataclass(frozen=True, slots=True)
class OutletSpec:
    """What stands in board.toml for an EVSE: its kind, nameplate current (A) and phases."""

    kind: Literal["raw", "smart"]
    max_amps: float
    phases: int = 3
    cable: Cable = "fixed"
    bay_detector: bool = False
    signs: bool = False
    """Its meter signs readings."""
    iso15118: bool = False
    """It has a controller that speaks ISO 15118 with the EV."""
    more: tuple[Cable, ...] = ()
    """Connectors 2, 3, ... of this EVSE."""
    switches: bool = False
    """It has a phase relay."""
    meter: Meter = "usual"
    """rich: frequency, power factor, export and the share of each phase too; without totals: power by phase only."""

    def site(self, evse: int) -> EvseSite:
        """The site entry of this outlet as EVSE `evse`."""
        connectors = tuple(
            Connector(id, "sType2" if cable == "socket" else "cType2", cable)
            for id, cable in enumerate((self.cable, *self.more), start=1)
        )
        return EvseSite(
            evse,
            self.max_amps,
            self.phases,
            connectors=connectors,
            bay_detector=self.bay_detector,
            signing_meter=self.signs,
        )

    @property
    def has_lock(self) -> bool:
        """The board retains the plug in its socket."""
        return self.kind == "raw" and "socket" in (self.cable, *self.more)

    @property
    def fallback_ms(self) -> int:
        """How long the device waits for us before it acts alone."""
        return 3_000 if self.kind == "raw" else 15_000


RICH: dict[tuple[Quantity, int], Decimal] = {
    ("energy_export_wh", 0): Decimal(0),
    ("frequency_hz", 0): Decimal("49.98"),
    ("power_factor", 0): Decimal("0.98"),
}


def smart(max_amps: float = 16, phases: int = 3) -> OutletSpec:
    """A controller with its own pilot and contactor."""
    return OutletSpec("smart", max_amps, phases)


def raw(max_amps: float = 32, phases: int = 3, cable: Cable = "fixed") -> OutletSpec:
    """A board on our framed serial protocol."""
    return OutletSpec("raw", max_amps, phases, cable)


def switching(kind: Literal["raw", "smart"] = "raw", max_amps: float = 32, cable: Cable = "fixed") -> OutletSpec:
    """One with a phase relay: a raw board, or a controller with a register for it."""
    return OutletSpec(kind, max_amps, 3, cable, switches=True)


@dataclass(slots=True)
class Register:
    """What truly flowed (Wh, exact, never reset), and what the meter's display makes of it."""

    wh: float = 0.0
    watts: float = 0.0
    since_ms: int = 0
    serial: int = 1
    _ahead_wh: float = 0.0
    """How much more the display shows than truly flowed."""
    _frozen_wh: float | None = None

    def flows(self, watts: float, now_ms: int) -> None:
        """From now on `watts` flow."""
        self.wh = self.at(now_ms)
        self.watts, self.since_ms = watts, now_ms

    def at(self, now_ms: int) -> float:
        """The register now (Wh)."""
        return self.wh + self.watts * (now_ms - self.since_ms) / 3_600_000

    def shown(self, now_ms: int) -> float:
        """What the display shows (Wh)."""
        return self._frozen_wh if self._frozen_wh is not None else self.at(now_ms) + self._ahead_wh

    def freezes(self, now_ms: int) -> None:
        """The counter stands still from now on, whatever flows."""
        self._frozen_wh = self.shown(now_ms)

    def thaws(self, now_ms: int) -> None:
        """It counts again from where it stood: what flowed meanwhile was never counted."""
        if self._frozen_wh is not None:
            self._ahead_wh, self._frozen_wh = self._frozen_wh - self.at(now_ms), None

    def rolls_over(self, now_ms: int) -> None:
        """The counter starts again at zero."""
        self._ahead_wh = -self.at(now_ms)

    def is_swapped(self, shown_wh: float, now_ms: int) -> None:
        """Another meter takes its place and goes on from its own count."""
        self.serial += 1
        self._frozen_wh, self._ahead_wh = None, shown_wh - self.at(now_ms)


def _silent() -> None:
    """Nobody listens yet."""


@dataclass
class Outlet:
    """The device of EVSE `evse` with whatever car hangs on it. `on_change` hears of every visible change."""

    evse: int
    spec: OutletSpec
    timeline: Timeline
    rng: Random
    on_change: Callable[[], None] = _silent
    on_closing: Callable[[], None] = _silent
    on_relay: Callable[[], None] = _silent
    """The phase relay is about to move."""
    volts: float = 230.0
    powered: bool = True
    offered: float = 0.0
    """On the pilot (A per phase), 0 without PWM."""
    permitted: bool = False
    failsafe_amps: float = 0.0
    lapsed: bool = False
    """The device acts alone: it has not been fed for its time."""
    closed: bool = False
    welded: bool = False
    """The contacts cannot open."""
    half_open: bool = False
    """Only the contacts of L2 and L3 are still closed: welded, without L1 and neutral nothing flows."""
    half_welded: bool = False
    """Those contacts cannot open."""
    stuck: bool = False
    """The contacts cannot close."""
    half_stuck: bool = False
    """Those of L2 and L3 cannot."""
    selected: int = 0
    """Where the phase relay is: phases of the next closing. It is bistable."""
    relay_stuck: bool = False
    """It does not move."""
    relay_blind: bool = False
    """Its feedback does not tell where it is."""
    closed_phases: int = 0
    """Phases whose contacts are closed."""
    opened_ms: int = -1_000_000
    """When the last of them opened."""
    deaf: bool = False
    """The line to the host is cut."""
    hears_by_ms: int = 0
    """When the last command that was written will have arrived."""
    faults: set[str] = field(default_factory=set)
    """What the device itself has found wrong: codes of `hal.faults`."""
    latched: set[str] = field(default_factory=set)
    """Those whose cause has gone, and which a raw board keeps until it is told to reset them, or restarts."""
    pilot_fault: Pilot | None = None
    """E or F while the pilot line is broken."""
    parked: bool = False
    connector: int = 1
    """The connector that has the power path: the first that a car came to, or the one that was permitted."""
    cars: dict[int, Car] = field(default_factory=dict)
    """By connector."""
    cables: dict[int, float | None] = field(default_factory=dict)
    """Ratings of the loose cables in the sockets."""
    locks: set[int] = field(default_factory=set)
    """Connectors whose plug is retained."""
    lock_sticks: bool = False
    """The drive of the lock does not move, and the board does not notice."""
    register: Register = field(default_factory=lambda: Register(1_000_000.0))
    _behaviours: dict[int, Behaviour] = field(default_factory=dict)
    _life: Life = field(default_factory=Life)
    _coil: bool = False
    _unfed: int = 0
    _offer_turn: int = 0

    def __post_init__(self) -> None:
        self.selected = self.spec.phases

    # -------------------------------------------------- what is seen

    @property
    def car(self) -> Car | None:
        """The car at the connector that has the power path."""
        return self.cars.get(self.connector)

    @property
    def cable_amps(self) -> float | None:
        """Of its cable."""
        return self.cables.get(self.connector)

    @cable_amps.setter
    def cable_amps(self, amps: float | None) -> None:
        self.cables[self.connector] = amps

    @property
    def locked(self) -> bool:
        """Its plug is retained in the socket."""
        return self.connector in self.locks

    @property
    def pilot(self) -> Pilot:
        """Its control pilot state."""
        return self.pilot_at(self.connector)

    def pilot_at(self, connector: int) -> Pilot:
        """The control pilot state of a connector; without the power path there is no offer, so no C."""
        here, car = connector == self.connector, self.cars.get(connector)
        if here and self.pilot_fault is not None:
            return self.pilot_fault
        if car is None:
            return "A"
        return "C" if car.s2 and here else "B"

    def cable_at(self, connector: int) -> Cable:
        """How a connector is built."""
        return (self.spec.cable, *self.spec.more)[connector - 1]

    @property
    def tripped(self) -> bool:
        """The device opens, and does not close, for a fault that it has found itself."""
        return any(blocks(code) for code in self.faults)

    @property
    def amps(self) -> float:
        """Current per phase that flows now (A)."""
        return self.car.drawn if self.car is not None and self.closed and not self.half_open else 0.0

    @property
    def live_phases(self) -> int:
        """Phases that carry current while the contactor is closed."""
        return min(self.closed_phases, self.car.phases) if self.car is not None else 0

    @property
    def may_carry(self) -> int:
        """Phases that may carry current, now or at the next closing."""
        return max(self.selected, self.closed_phases)

    def values(self) -> dict[tuple[Quantity, int], Decimal]:
        """What the meter shows: Wh without fraction, W, A to 0.01, V to 0.1."""
        now = self.timeline.clock.true_ms
        shown: dict[tuple[Quantity, int], Decimal] = {("energy_import_wh", 0): Decimal(int(self.register.shown(now)))}
        if self.spec.meter != "without totals":
            shown[("power_w", 0)] = Decimal(round(self.register.watts))
        for phase in range(1, self.spec.phases + 1):
            amps = self.amps if phase <= self.live_phases else 0.0
            shown[("current_a", phase)] = Decimal(f"{amps:.2f}")
            shown[("voltage_v", phase)] = Decimal(f"{self.volts:.1f}")
            if self.spec.meter in ("rich", "without totals"):
                shown[("power_w", phase)] = Decimal(round(amps * self.volts))
            if self.spec.meter == "counts phases":
                shown["energy_import_wh", phase] = Decimal(int(self.register.shown(now) / self.spec.phases))
            if self.spec.meter == "rich":
                shown[("power_factor", phase)] = Decimal("0.98")
        return shown | (RICH if self.spec.meter == "rich" else {})

    # -------------------------------------------------- the driver

    def plug(self, car: Car, cable_amps: float | None = None, connector: int = 1) -> None:
        """A car is plugged in; a driver with an occupied connector in front of him does nothing."""
        if connector not in self.cars:
            self.cars[connector], self.cables[connector] = car, cable_amps
            self._behaviours[connector] = Behaviour(self.timeline, self.rng, car, self.settle)
            if self.car is None:
                self.connector = connector
            self.settle()

    def unplug(self, connector: int | None = None) -> None:
        """The plug is pulled (None: where the power path is), whatever flows; the board drops the permission."""
        pulled = self.connector if connector is None else connector
        if (behaviour := self._behaviours.pop(pulled, None)) is not None:
            behaviour.leaves()
        self.cars.pop(pulled, None)
        self.cables[pulled] = None
        if pulled == self.connector:
            self.permitted = False
        self.settle()

    # -------------------------------------------------- the host

    def permits(self, amps: float, connector: int = 1) -> None:
        """May close in C; offers `amps` on the pilot of that connector."""
        if connector in self.cars and not self.closed:
            self.connector = connector
        self.permitted, self.lapsed = True, False
        self.offers(amps)

    def offers(self, amps: float) -> None:
        """Another offer; the permission stays as it is."""
        if amps > 0:
            self.lapsed = False
        self.offered = amps if amps >= MIN_AMPS else 0.0
        self._offer_turn += 1
        if not self.offered:
            turn = self._offer_turn
            self.timeline.after(PAUSE_PATIENCE_MS, lambda: self._patience(turn), self._life)
        self.settle()

    def withdraws(self) -> None:
        """No permission, no offer, open now."""
        self.permitted, self.offered = False, 0.0
        self.settle()

    def selects(self, phases: int) -> bool:
        """The phase relay is to move; False when a contact is closed, or there is no relay."""
        if self.closed or not self.spec.switches:
            return False
        if phases != self.selected and not self.relay_stuck:
            self.timeline.after(self.rng.randint(20, 200), lambda: self._relay_moves(phases), self._life)
        return True

    def _relay_moves(self, phases: int) -> None:
        if not self.closed and not self.relay_stuck:
            self.on_relay()
            self.selected = phases
            self.on_change()

    def greeted(self) -> None:
        """A host has connected: a raw board opens and forgets; a smart controller goes on as it was."""
        self.fed(starting=True)
        if self.spec.kind == "raw":
            self.failsafe_amps = 0.0
            self.lapsed = False
            self.withdraws()

    def fed(self, *, starting: bool = False) -> None:
        """The host feeds the watchdog again."""
        self._unfed += 1
        if starting:
            self.lapsed = False

    def starves(self) -> None:
        """The host feeds no more: after its own time the device falls back by itself."""
        self._unfed += 1
        turn = self._unfed

        def lapse() -> None:
            if turn == self._unfed:
                self.lapsed = True
                self._fall_back()

        self.timeline.after(self.spec.fallback_ms, lapse, self._life)

    def _fall_back(self) -> None:
        if self.failsafe_amps < MIN_AMPS:
            self.withdraws()
        else:
            self.offered = min(self.offered, self.failsafe_amps)
            self.settle()

    # -------------------------------------------------- power

    def loses_power(self) -> None:
        """No mains at all: contactor open, current zero, all volatile settings gone."""
        self._life.alive = False
        self._life = Life()
        self.faults -= self.latched
        self.latched.clear()
        self.powered, self.permitted, self.lapsed = False, False, False
        self.offered, self.failsafe_amps, self._coil = 0.0, 0.0, False
        self._open_or_close()
        self.settle()

    def gets_power(self) -> None:
        """Mains is back; nothing is permitted."""
        self.powered = True
        self.settle()

    def reboots(self) -> None:
        """The device alone starts anew: open, and all volatile settings gone."""
        self.loses_power()
        self.gets_power()

    # -------------------------------------------------- what breaks

    def breaks(self, code: str) -> None:
        """The device finds a fault (a code of `hal.faults`)."""
        self.latched.discard(code)
        self.faults.add(code)
        self.settle()

    def recovers(self, code: str) -> None:
        """The cause of a fault is gone."""
        if self.spec.kind == "raw" and code in LATCHING & self.faults:
            self.latched.add(code)
        else:
            self.forgets({code})

    def forgets(self, codes: Set[str]) -> None:
        """Faults that are over are told no more."""
        self.faults -= codes
        self.latched -= codes
        self.settle()

    def pilot_breaks(self, pilot: Pilot | None) -> None:
        """The pilot line is broken (E, F), or whole again (None)."""
        self.pilot_fault = pilot
        self.settle()

    def drops_out(self) -> None:
        """The coil loses its supply for a moment: the contacts open by themselves, and stay so until told anew."""
        self.permitted = False
        self.settle()

    def repaired(self) -> None:
        """New contacts, and nothing wrong any more."""
        self.welded = self.stuck = self.half_welded = self.half_stuck = False
        self.relay_stuck = self.relay_blind = False
        self.faults.clear()
        self.latched.clear()
        self.pilot_fault = None
        self._move_contacts()
        self.settle()

    # -------------------------------------------------- physics

    def settle(self) -> None:
        """Let everything follow what has changed: car, contactor, meter, and whoever watches."""
        for connector, behaviour in list(self._behaviours.items()):
            here = connector == self.connector
            behaviour.look(self.offered if here else 0.0, here and self.closed and self.powered and not self.half_open)
        self._drive_coil()
        watts = self.amps * self.volts * self.live_phases
        if watts != self.register.watts:
            self.register.flows(watts, self.timeline.clock.true_ms)
        self.on_change()

    def _drive_coil(self) -> None:
        in_c = self.powered and self.permitted and not self.tripped and self.pilot in ("C", "D")
        wish = in_c and (self._coil or (self.offered >= MIN_AMPS and not self.lapsed))
        if wish != self._coil:
            self._coil = wish
            self.timeline.after(self.rng.randint(20, 90), self._move_contacts, self._life)

    def _move_contacts(self) -> None:
        closes = self._coil and not self.stuck and not (self.closed and not self.half_open)
        if closes and self.pilot not in ("C", "D"):
            return
        before = (self.closed, self.half_open)
        self._open_or_close()
        if self.closed and not before[0]:
            self.on_closing()
        if (self.closed, self.half_open) != before:
            self.settle()

    def _open_or_close(self) -> None:
        """Main contacts (L1, N) and those of L2 and L3, each with what is wrong with it."""
        main = (self._coil and not self.stuck) or (self.closed and not self.half_open and self.welded)
        more = self._coil and not self.stuck and not self.half_stuck and self.selected == 3
        more = self.spec.phases == 3 and (more or (self.closed_phases > 1 and (self.half_welded or main)))
        if self.closed and not (main or more):
            self.opened_ms = self.timeline.clock.true_ms
        self.closed, self.half_open = main or more, more and not main
        self.closed_phases = (1 if main else 0) + (2 if more else 0)

    def _patience(self, turn: int) -> None:
        """A car that has not opened S2 although nothing is offered is cut off."""
        if turn == self._offer_turn and self.closed and self._coil:
            self._coil = False
            self._move_contacts()
