"""One EVSE: what is known of it, its contactor and its session. It decides nothing about limits or OCPP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from agent.core import failsafe_table
from agent.core.context import Context
from agent.core.plugs import Plug
from agent.core.site import EvseSite
from hal.ports import Capabilities, Pilot, Reading, Withdraw
from state_machines.contactor import CONTACTOR
from state_machines.reasons import CHARGING_STATES, Cause
from state_machines.session import SESSION
from state_machines.table import Edge, Subject

if TYPE_CHECKING:
    from agent.core.profiles import Profile
    from agent.core.transaction import Transaction
    from config_keys.key import Key

WANTS_ENERGY = ("C",)
"""Pilot states in which mains may be on; D only where ventilation is present, which no profile offers yet."""
LATCHES: Mapping[str, str] = {
    "ContactorWelded": "contactor_welded",
    "ContactorFailed": "contactor_failed",
    "ContactorDroppedOut": "contactor_dropped",
    "PhasesWrong": "phases_wrong",
}
"""What the contactor's table calls what the failsafe table has a code for."""
TOO_SOON = "closed a moment ago"
RESTS_OR_WANTS = ("B", "C")
RECLOSE_MS = 10_000
"""Least time between two closings (chargebyte's relay wear figure, hardware notes 2.1)."""
EV_MINIMUM_AMPS = 6.0
"""IEC 61851-1: less than 6 A cannot be signalled; it is a pause."""


class Token(NamedTuple):
    """What identifies a driver; compared by value without case, and by type (C01.FR.25, errata)."""

    value: str
    kind: str

    @property
    def name(self) -> str:
        """What tokens are compared and looked up by."""
        return f"{self.kind}:{self.value.lower()}"

    def same(self, other: Token) -> bool:
        """Whether both name the same token."""
        return self.name == other.name

    def __repr__(self) -> str:
        """A code is never shown, wherever this ends up (C04.FR.04)."""
        return f"Token({'***' if self.kind == 'KeyCode' else repr(self.value)}, {self.kind!r})"


@dataclass(slots=True)
class Authorization:
    """Who may charge here, since when, and how that came about."""

    token: Token
    cause: Cause
    group: str | None = None
    remote_start_id: int | None = None
    places: tuple[int, ...] = ()
    """EVSEs that the driver may have meant: those of the reader that the card was held to."""
    profile: Profile | None = None
    """The TxProfile that came with a remote start, for the transaction that this begins (F01.FR.10)."""
    reservation: int | None = None
    """The reservation that it has used, for the transaction (H01.FR.15)."""
    priority: int = 0
    """chargingPriority: a higher one is served before others where a bound is too small for all (K03.FR.04)."""
    refused_wh: float | None = None
    """The CSMS said afterwards that it does not accept the token; the register then, or 0 without a reading."""


class Contactor(Subject):
    """Permission and feedback; see the table."""

    TABLE = CONTACTOR

    def __init__(self, evse: Evse) -> None:
        super().__init__(f"evse{evse.site.id}")
        self._evse = evse
        self.latched: str | None = None
        self.opened_ms = 0
        self.closed_ms = -RECLOSE_MS

    @property
    def closing_s(self) -> float:
        """How long feedback may take after a permission; a polled controller starts its own sequence first."""
        return 20.0

    @property
    def opening_s(self) -> float:
        """How long feedback may take to go (invariant 4), as the device says of itself."""
        capabilities = self._evse.capabilities
        return capabilities.opens_within_s if capabilities is not None else 12.0

    @property
    def may_carry(self) -> bool:
        """Whether current may flow, as far as is known."""
        return self.state in ("closing", "closed", "releasing", "opening", "rejecting", "welded")

    @property
    def permitted(self) -> bool:
        """A permission is out, or goes out at the end of this step."""
        return self.state in ("armed", "closing", "closed", "releasing", "dropping")

    def ev_wants(self, cx: Context) -> bool:
        """The EV asks for energy."""
        return self._evse.pilot in WANTS_ENERGY

    def withdraw(self, cx: Context) -> None:
        cx.make_safe(Withdraw(self._evse.site.id, cx.step, f"contactor {self.state}"))

    def weld(self, cx: Context) -> None:
        self.latched = "ContactorWelded"
        self.withdraw(cx)

    def fail(self, cx: Context) -> None:
        self.latched = "ContactorFailed"
        self.withdraw(cx)

    def drop_out(self, cx: Context) -> None:
        self.latched = "ContactorDroppedOut"
        self.withdraw(cx)

    def reject(self, cx: Context) -> None:
        self.latched = "PhasesWrong"
        self.withdraw(cx)

    def give_up(self, cx: Context) -> None:
        self.clear_latch(cx)
        self.withdraw(cx)

    def clear_latch(self, cx: Context) -> None:
        self.latched = None

    def moved(self, cx: Context, edge: Edge) -> None:
        if edge.to == "closed":
            self.closed_ms = cx.ms
        if edge.to in ("open", "unseen") or edge.source == "closed":
            self.opened_ms = cx.ms
        cx.note("contactor", f"EVSE {self._evse.site.id}: {edge.source} -> {edge.to} ({edge.trigger})", "debug")


class Session(Subject):
    """What the driver and the car did; see the table."""

    TABLE = SESSION

    def __init__(self, evse: Evse) -> None:
        super().__init__(f"evse{evse.site.id}")
        self._evse = evse
        self.keep_on_unplug = False

    def keeps_authorization(self, cx: Context) -> bool:
        """E10: the authorization outlives an EV-side disconnect when the key says so."""
        return self.keep_on_unplug

    def is_authorised(self, cx: Context) -> bool:
        """Authorised anew while the last authorization was still ending."""
        return self._evse.authorization is not None

    def permit(self, cx: Context) -> None:
        self._evse.contactor.fire("permit", cx)

    def withdraw(self, cx: Context) -> None:
        self._evse.contactor.fire("withdraw", cx)

    def ev_at_rest(self, cx: Context) -> bool:
        """Nothing flows: no need to signal 0 A first."""
        return not self._evse.contactor.may_carry

    def expire_authorization(self, cx: Context) -> None:
        self._evse.release(cx, Cause.EV_CAME_NOT)

    def moved(self, cx: Context, edge: Edge) -> None:
        cx.note("session", f"EVSE {self._evse.site.id}: {edge.source} -> {edge.to} ({edge.trigger})", "debug")


@dataclass(slots=True)
class Release:
    """An authorization that is ending: energy stops first, then the event is made (E.0, Authorized)."""

    cause: Cause
    authorization: Authorization
    stopping_token: Token | None = None
    told: bool = False
    """The transaction's event was made when the stop was asked for."""


@dataclass(slots=True)
class Evse:
    """Everything known about one EVSE."""

    site: EvseSite
    capabilities: Capabilities | None = None
    bay_occupied: bool = False
    unsigned: bool = False
    """The begin value has to be signed first, and is not yet."""
    data_signed: bool = False
    """The meter has signed the begin value of the session that runs (TxStartPoint DataSigned)."""
    departures: int = 0
    """Cars that have left since the start."""
    connector: int = 0
    """The connector in use or used last; 0 before any."""
    applied_amps: float | None = None
    """What the device last confirmed to offer."""
    phases_closed: int = 0
    relay: int | None = None
    """Phases that the next closing connects, as the phase relay reports (0: it does not tell); None: there is none."""
    relay_failed: bool = False
    """A switch of phases did not succeed, and no other is tried before the car has left."""
    supposed: int | None = None
    """What limits are judged for as if the relay were there; None: for what is."""
    reading: Reading | None = None
    sampled_ms: int = -1
    """When the reading was read that the last periodic sample was due for."""
    temperatures: dict[str, float] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)
    over: set[str] = field(default_factory=set)
    """Latched faults whose cause has gone: they go with the car."""
    meter_lost_ms: int | None = None
    """Since when the meter has not answered."""
    silent: set[str] = field(default_factory=set)
    authorization: Authorization | None = None
    released: Release | None = None
    waits_for: str | None = None
    """What keeps a ready session from power, in plain words."""
    held: bool = False
    """Authorised and connected, but limit or fault keep it from being offered current."""
    rested: bool = False
    """The car was offered current for a while and did not take it."""
    next: Authorization | None = None
    """Accepted while the last authorization or transaction was still ending; granted right after."""
    tx: Transaction | None = None
    closed_for: set[str] = field(default_factory=set)
    """Why nobody new may begin here, in plain words: a reset is due, or the CSMS has taken it out of service."""
    reserved: bool = False
    """Kept for somebody who is expected; nobody else may begin here."""
    commanded_amps: float | None = None
    """What the hardware was last told to offer while permitted; None when no permission is out."""
    unconfirmed: int | None = None
    """The step of a permission that the device has not confirmed yet: it may still wait for the flash."""
    plugs: dict[int, Plug] = field(init=False)
    """Every connector by its id."""
    id: int = field(init=False)
    _first: Plug = field(init=False)
    contactor: Contactor = field(init=False)
    session: Session = field(init=False)

    def __post_init__(self) -> None:
        self.id = self.site.id
        self.plugs = {connector.id: Plug(connector) for connector in self.site.connectors}
        self._first = next(iter(self.plugs.values()))
        self.contactor = Contactor(self)
        self.session = Session(self)

    @property
    def occupied(self) -> bool:
        """A car is plugged into a connector, or a loose cable is left in a socket."""
        return any(plug.is_occupied for plug in self.plugs.values())

    @property
    def is_busy(self) -> bool:
        """Somebody charges here, or may, or has not finished."""
        waiting = self.authorization is not None or self.released is not None or self.next is not None
        return waiting or self.tx is not None

    @property
    def priority(self) -> int:
        """chargingPriority of who charges here: 0 when none is known (K03.FR.06)."""
        return self.authorization.priority if self.authorization is not None else 0

    @property
    def wants_current(self) -> bool:
        """Only `powered` asks the arbiter for more than 0 A."""
        return self.session.state == "powered"

    @property
    def charging(self) -> bool:
        """The car has mains and is offered current."""
        return (
            self.contactor.state == "closed"
            and self.pilot in WANTS_ENERGY
            and (self.commanded_amps or 0) >= EV_MINIMUM_AMPS
        )

    @property
    def fault(self) -> str | None:
        """The name of the fault that keeps this EVSE from charging, or None."""
        if not (self.faults or self.silent or self.contactor.latched or self.pilot in ("E", "F")):
            return None
        code = next(filter(failsafe_table.blocks, self._wrong()), None)
        return None if code is None else failsafe_table.fault(code).name

    def standing(self) -> dict[str, str]:
        """Code of the failsafe table -> the vendor's own detail, of everything that stands here."""
        found = self._wrong()
        if self.unprotected:
            found.setdefault("not_independent", "")
        if any(plug.lock_fails for plug in self.plugs.values()):
            found.setdefault("lock", "")
        return found

    def _wrong(self) -> dict[str, str]:
        found = dict(self.faults)
        if self.contactor.latched is not None:
            found.setdefault(LATCHES[self.contactor.latched], "")
        if self.relay_failed:
            found.setdefault("phase_relay", "")
        if self.pilot in ("E", "F"):
            found.setdefault("pilot", f"pilot {self.pilot}")
        for device in sorted(self.silent):
            found.setdefault(f"{device}_silent", "")
        return found

    def shows(self, key: Key[Any]) -> bool:
        """Whether a fault stands that shows at this variable."""
        return any(key in failsafe_table.row(code).shows for code in self.standing())

    @property
    def unprotected(self) -> bool:
        """The hardware said that nothing below us would open the contactor without us: never energised."""
        return self.capabilities is not None and not self.capabilities.independent

    @property
    def permission_waits(self) -> bool:
        """A permission is on its way and nothing tells yet that it has arrived."""
        return self.unconfirmed is not None and self.contactor.state in ("armed", "closing")

    @property
    def plug(self) -> Plug:
        """The connector in use or used last, else the first."""
        return self.plugs.get(self.connector) or self._first

    @property
    def pilot(self) -> Pilot | None:
        """Of the connector in use."""
        return self.plug.pilot

    @property
    def connected(self) -> bool:
        """A car is plugged into the connector in use."""
        return self.plug.connected

    @property
    def waiting(self) -> Plug | None:
        """Another connector with a car, which waits until nobody uses this EVSE."""
        return next((p for p in self.plugs.values() if p.connected and not p.closed and p is not self.plug), None)

    def uses(self, plug: Plug) -> bool:
        """Somebody charges at a connector, or may: also at any, as long as it is not known at which."""
        if not self.is_busy:
            return False
        if self.tx is not None and self.tx.recovered_by_ms is not None:
            return self.tx.connector == plug.id
        return plug is self.plug or not self.connected

    @property
    def is_seen(self) -> bool:
        """The hardware has told what is plugged in: a car, or that there is none."""
        return self.connected or all(plug.pilot is not None for plug in self.plugs.values())

    @property
    def needs_lock(self) -> bool:
        """A loose cable is locked before current flows (G05.FR.01)."""
        return self.plug.cable == "socket" and self.capabilities is not None and self.capabilities.lock

    def obstacle(self, cx: Context) -> str | None:
        """Why the contactor may not close now, in plain words, or None."""
        if self.capabilities is None:
            return "the hardware has not introduced itself"
        if self.unprotected:
            return "the hardware has no layer that opens the contactor without us"
        if self.fault is not None:
            return self.fault
        if self.pilot not in RESTS_OR_WANTS:
            return f"pilot {self.pilot}"
        if self.plug.closed:
            return "the connector is out of service by the CSMS"
        if self.needs_lock and not self.plug.locked:
            return "the plug is not locked"
        if self.authorization is None or self.tx_blocks:
            return "not authorised"
        if self.unsigned:
            return "the meter has not signed its begin value"
        if cx.ms - self.contactor.closed_ms < RECLOSE_MS:
            return TOO_SOON
        return None

    @property
    def is_chosen(self) -> bool:
        """Whether it is known that the driver means this EVSE: a car is here, or his reader serves no other."""
        return self.connected or self.authorization is None or len(self.authorization.places) < 2

    @property
    def tx_blocks(self) -> bool:
        """The transaction of the last authorization is still being ended."""
        return self.released is not None or (self.tx is not None and self.tx.ending is not None)

    def authorise(self, cx: Context, authorization: Authorization) -> None:
        """Somebody may charge here from now on."""
        self.authorization = authorization
        self.session.fire("authorised", cx)

    def release(self, cx: Context, cause: Cause, token: Token | None = None) -> None:
        """The authorization ends; energy stops first. Nothing happens when there is none."""
        if self.authorization is None:
            return
        self.released = Release(cause, self.authorization, token)
        self.authorization = None
        self.session.fire("deauthorised", cx)

    def situation(self, running: Transaction) -> str:
        """Which row of CHARGING_STATES holds for its transaction: the first of them."""
        holds = {
            "unplugged": not self.connected,
            "charging": self.charging,
            "stopping": self.released is not None,
            "unauthorised": self.authorization is None,
            "held": self.held,
            "interrupted": running.interrupted and not self.rested,
            "asking": self.pilot in WANTS_ENERGY,
            "resting": running.has_charged or self.rested,
            "offered": True,
        }
        return next(name for name in CHARGING_STATES if holds[name])

    def charging_state(self, running: Transaction) -> str:
        """OCPP's chargingState of its transaction as the facts give it (E.1)."""
        return CHARGING_STATES[self.situation(running)] or running.charging_state

    def facts(self) -> frozenset[str]:
        """Which of the TxStartPoint and TxStopPoint values hold now (E.0).

        A car that is plugged in occupies its bay, also where the detector is blind: no energy without a transaction.
        """
        authorised = self.authorization is not None or (self.released is not None)
        facts = set()
        if self.bay_occupied or (self.site.bay_detector and self.connected):
            facts.add("ParkingBayOccupancy")
        if self.data_signed:
            facts.add("DataSigned")
        if self.connected:
            facts.add("EVConnected")
        if authorised:
            facts.add("Authorized")
        if self.connected and authorised:
            facts.add("PowerPathClosed")
        if self.charging:
            facts.add("EnergyTransfer")
        return frozenset(facts)

    def takes_reading(self) -> bool:
        """The newest reading is for one periodic sample: the next it would be too old for (J02.FR.10)."""
        mono_ms = self.reading.mono_ms if self.reading is not None else self.sampled_ms
        taken, self.sampled_ms = self.sampled_ms, mono_ms
        return mono_ms != taken

    def value(self, quantity: Any, phase: int = 0) -> float | None:
        """A measured value of the newest reading, or None."""
        found = self.reading.values.get((quantity, phase)) if self.reading is not None else None
        return None if found is None else float(found)
