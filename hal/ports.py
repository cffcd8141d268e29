"""What the core may know of hardware: commands down, events up, and the protocols of the drivers.

Everything here is a plain value. Units are in the names: amps (A per phase), volts, watts, Wh, ms, degC, mA.
A command is a wish; only an event from the hardware is a fact (the core believes feedback).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Literal, NamedTuple, Protocol, runtime_checkable

Pilot = Literal["A", "B", "C", "D", "E", "F"]
"""IEC 61851-1 control pilot state, without the PWM digit. A smart controller's state is mapped onto it."""

# ------------------------------------------------------------------------------------------------ display


class Page(NamedTuple):
    """One text of a rotation. `format` is an OCPP MessageFormat (ASCII, HTML, URI, UTF8); `language` RFC 5646."""

    text: str
    format: str = "UTF8"
    language: str | None = None


class Screen(NamedTuple):
    """Everything that a display shows from now on: pages in turn, and lines that stay (tariff and cost)."""

    display: str
    pages: tuple[Page, ...]
    lines: tuple[str, ...]


# ------------------------------------------------------------------------------------------------ commands
# Every command carries its EVSE and the number of the step that made it. The guard refuses a command that is
# older than the newest one it has seen for that EVSE.


class Permit(NamedTuple):
    """The contactor may close now; offer `amps` per phase on `phases` phases. Board and guard may still say no."""

    evse: int
    step: int
    amps: float
    phases: int
    connector: int = 1
    """The connector of the EVSE that is meant, where there are several."""


class Offer(NamedTuple):
    """Change the offered current to `amps` per phase; 0 signals a pause and leaves the permission as it is."""

    evse: int
    step: int
    amps: float


class Withdraw(NamedTuple):
    """No permission: offer 0 A and open the contactor now, under load if need be."""

    evse: int
    step: int
    reason: str


class SetPhases(NamedTuple):
    """Phases (1 or 3) for the next closing; refused by the device unless its contacts are open.

    It is carried out now or never: one that finds nobody is refused, and not sent again later.
    """

    evse: int
    step: int
    phases: int


class SetLock(NamedTuple):
    """Lock or release the connector's plug retention; refused while the contactor is closed."""

    evse: int
    step: int
    connector: int
    locked: bool


class SetFailsafe(NamedTuple):
    """The current the device falls to by itself when it no longer hears from us (A per phase; 0 pauses)."""

    evse: int
    step: int
    amps: float


class ResetFault(NamedTuple):
    """Ask the device to clear a latched fault after its clear rule has been met."""

    evse: int
    step: int
    code: str


class SignMeter(NamedTuple):
    """Ask the meter for a signed reading: `moment` is begin, end (OCMF's B and E) or now (in between, or idle).

    `token` is what identifies the customer, as the signed data set wants it; `utc_ms` is for the meter's clock. Goes
    to the meter, past the guard.
    """

    evse: int
    step: int
    transaction: str
    moment: str
    token: str
    utc_ms: int | None = None


class EvOffer(NamedTuple):
    """A schedule that an EV may choose: rows of start (s from `start_ms`, UTC), limit in `unit`, and phases."""

    id: int
    start_ms: int
    duration_s: int
    unit: str
    periods: tuple[tuple[int, float, int | None], ...]


class OfferSchedules(NamedTuple):
    """What the EV may choose from by ISO 15118; `again`: it is asked to negotiate anew.

    None of them raises anything: what flows is bound by Permit and Offer alone. Without schedules nothing is planned.
    """

    evse: int
    step: int
    schedules: tuple[EvOffer, ...]
    again: bool = False


PowerCommand = Permit | Offer | Withdraw | SetPhases | SetLock | SetFailsafe | ResetFault
"""What goes through the guard to a power stage."""
Command = PowerCommand | SignMeter | OfferSchedules

# ------------------------------------------------------------------------------------------------ events


class Capabilities(NamedTuple):
    """What the device behind an EVSE said of itself at start or after its own reboot.

    `independent` tells whether a layer below us opens the contactor without us (invariant 3); without it the
    station refuses to energise. `fallback_s` is the time after which the device acts alone.
    """

    evse: int
    independent: bool
    max_amps: float
    phases: int
    phase_switch: bool = False
    """It moves its phase relay when told, and reports where that is."""
    lock: bool = False
    fallback_s: float = 0.0
    opens_within_s: float = 2.0
    """Time after a withdrawal within which feedback must be gone, else it is a weld: a polled controller needs
    two polls and its own ramp-down, a raw board 250 ms plus the line."""
    vendor: str = ""
    model: str = ""
    serial: str = ""
    firmware: str = ""
    iso15118: bool = False
    """It speaks ISO 15118 with the EV: EvNeeds, OfferSchedules, EvSchedule."""


class PilotChanged(NamedTuple):
    """The control pilot reached a stable state (or was first seen)."""

    evse: int
    pilot: Pilot
    connector: int = 1
    """The connector of the EVSE whose pilot this is: one of them is in use at a time."""


class BayChanged(NamedTuple):
    """A parking bay detector sees a vehicle, or no longer does (TxStartPoint ParkingBayOccupancy)."""

    evse: int
    occupied: bool


class ContactorReported(NamedTuple):
    """Feedback of the contactor: mirror contacts of a raw board, derived state of a smart controller."""

    evse: int
    closed: bool
    phases: int = 0
    """Phases whose contacts are closed; 0 when open or unknown."""


class PhasesReported(NamedTuple):
    """Feedback of the phase relay: how many phases the next closing connects (1 or 3); 0 while that is not known."""

    evse: int
    phases: int


class CableRated(NamedTuple):
    """Proximity pilot: what the cable carries (A per phase); None when no cable or not measurable."""

    evse: int
    connector: int
    amps: float | None


class LockReported(NamedTuple):
    """State of the plug retention lock."""

    evse: int
    connector: int
    locked: bool


Quantity = Literal[
    "energy_import_wh", "energy_export_wh", "power_w", "current_a", "voltage_v", "frequency_hz", "power_factor"
]


class Reading(NamedTuple):
    """One good sample of a meter; a value that could not be read is absent, never zero.

    `values` maps (quantity, phase) to a Decimal; phase 0 is the total or the only value, 1 to 3 are L1 to L3.
    `mono_ms` is when the answer arrived; a reading is never given a newer time (bug 6 of real chargers).
    `evse` 0 is the station's main meter. `serial` is the meter's own number, to notice a swap.
    """

    evse: int
    mono_ms: int
    values: Mapping[tuple[Quantity, int], Decimal]
    serial: str = ""


class MeterSigned(NamedTuple):
    """What the meter signed for the SignMeter of `step`: `data` is its container exactly as it came.

    `encoding` names the format (OCMF, EDL), `method` the algorithm, or is empty when the data says so itself;
    `public_key` is `oca:base16:asn1:...` or `oca:base64:asn1:...` (OCA application note).
    """

    evse: int
    step: int
    moment: str
    mono_ms: int
    energy_wh: Decimal
    data: str
    encoding: str
    method: str = ""
    public_key: str = ""


class AcNeeds(NamedTuple):
    """What an EV wants by AC: Wh, A per phase, V."""

    energy_amount: int
    ev_min_current: int
    ev_max_current: int
    ev_max_voltage: int


class DcNeeds(NamedTuple):
    """What an EV wants by DC: A, V, Wh, W, and percentages of its battery."""

    ev_max_current: int
    ev_max_voltage: int
    energy_amount: int | None = None
    ev_max_power: int | None = None
    state_of_charge: int | None = None
    ev_energy_capacity: int | None = None
    full_soc: int | None = None
    bulk_soc: int | None = None


class EvNeeds(NamedTuple):
    """The EV said by ISO 15118 what it needs (ChargeParameterDiscovery): at the start, or to negotiate anew by itself.

    `transfer` is OCPP's EnergyTransferMode; one of `ac` and `dc` is given. `most_periods` is what the EV takes in a
    schedule. It is not told when it is the answer to an OfferSchedules with `again`.
    """

    evse: int
    transfer: str
    ac: AcNeeds | None = None
    dc: DcNeeds | None = None
    departure_utc_ms: int | None = None
    most_periods: int | None = None


class EvSchedule(NamedTuple):
    """Which of the offers the EV has chosen (PowerDelivery), and how it will use it: start (s from now) and limit.

    Without `periods` it follows the offer.
    """

    evse: int
    offer: int
    periods: tuple[tuple[int, float], ...] = ()


class MeterDescribed(NamedTuple):
    """What a meter can measure, told once at start: (quantity, phase) as in `Reading`, and whether it signs."""

    evse: int
    points: frozenset[tuple[Quantity, int]]
    signs: bool = False


TokenKind = Literal["ISO14443", "ISO15693", "KeyCode", "Local", "MacAddress", "eMAID", "NoAuthorization"]


class TokenPresented(NamedTuple):
    """A token was presented at a reader, keypad or button, and the EVSEs that this serves.

    `uid` is a card's UID in upper-case hex, byte 0 first; a code as it was typed (KeyCode); a number that the station
    printed (Local); the car's own (MacAddress, or eMAID of ISO 15118); empty for a start button (NoAuthorization).
    """

    reader: str
    uid: str
    kind: TokenKind = "ISO14443"
    evses: tuple[int, ...] = ()


class TemperatureMeasured(NamedTuple):
    """A temperature sensor of an EVSE; `where` is socket, cable, pcb, ambient or psu."""

    evse: int
    where: str
    celsius: float


METER_GRACE_S = 5.0
"""Silence of a meter after which its driver tells."""


class Silent(NamedTuple):
    """A device has not answered for its grace; `device` is meter, controller, board or reader."""

    evse: int
    device: str
    name: str = ""


class Alive(NamedTuple):
    """A silent device answers again (also sent once when it is first heard)."""

    evse: int
    device: str
    name: str = ""


class FaultRaised(NamedTuple):
    """The hardware reports a fault. `code` is a key of `hal.faults.FAULTS`; `detail` is the vendor's own code."""

    evse: int
    code: str
    detail: str = ""


class FaultCleared(NamedTuple):
    """The hardware no longer reports the fault."""

    evse: int
    code: str


class DeviceBooted(NamedTuple):
    """The controller or board restarted by itself; its permission is gone and settings are written again."""

    evse: int
    reason: str = ""


class Applied(NamedTuple):
    """A command reached the device and was confirmed there (read back or acknowledged)."""

    evse: int
    step: int
    what: str
    """Lower-case name of the command's type: permit, offer, withdraw, setphases, setlock, setfailsafe, resetfault."""
    amps: float | None = None


class Refused(NamedTuple):
    """The guard or the device refused a command."""

    evse: int
    step: int
    what: str
    reason: str


HardwareEvent = (
    Capabilities
    | PilotChanged
    | ContactorReported
    | PhasesReported
    | CableRated
    | LockReported
    | Reading
    | MeterDescribed
    | MeterSigned
    | EvNeeds
    | EvSchedule
    | BayChanged
    | TokenPresented
    | TemperatureMeasured
    | Silent
    | Alive
    | FaultRaised
    | FaultCleared
    | DeviceBooted
    | Applied
    | Refused
)

Emit = Callable[[HardwareEvent], None]
"""How a driver tells what happened. Called on the event loop's thread only."""

# ------------------------------------------------------------------------------------------------ drivers


class PowerStage(Protocol):
    """One EVSE's power path: a raw board or a smart controller. All calls queue and return at once."""

    evse: int

    def permit(self, command: Permit) -> None: ...
    def offer(self, command: Offer) -> None: ...
    def withdraw(self, command: Withdraw) -> None: ...
    def set_phases(self, command: SetPhases) -> None: ...
    def set_lock(self, command: SetLock) -> None: ...
    def set_failsafe(self, command: SetFailsafe) -> None: ...
    def reset_fault(self, command: ResetFault) -> None: ...

    def feed(self) -> None:
        """Renew the device's own watchdog. Only the guard calls this, and only while its lease is live."""

    def rest(self) -> None:
        """The lease lapsed: stop every poll that would feed the device's watchdog by itself."""


@runtime_checkable
class SpeaksIso15118(Protocol):
    """What a power stage offers besides whose Capabilities say `iso15118`."""

    def offer_schedules(self, command: OfferSchedules) -> None: ...


class Nameplate(NamedTuple):
    """What the hardware of an EVSE can carry at most; the guard clamps to it whatever it is told."""

    evse: int
    amps: float
    phases: int
    volts: float = 230.0
    connectors: tuple[int, ...] = (1,)
