"""The framed serial protocol between us and a raw controller board: pure encoding and decoding.

hal/board-protocol.md is the specification, written for the engineer of the board; this is both ends of it.
Numbers are little endian; currents are tenths of an ampere per phase, temperatures tenths of a degree.
"""

from __future__ import annotations

import math
import struct
from binascii import crc_hqx
from dataclasses import dataclass, fields
from typing import ClassVar, NamedTuple, cast

VERSION = 1
"""Protocol version in Hello and Boot; it changes only when an older peer would misunderstand us."""

MAX_PAYLOAD = 200
MAX_WIRE = MAX_PAYLOAD + 8
NO_ACK = 0
"""Sequence number of frames that nobody acknowledges: heartbeats and reports."""

NOT_MEASURED = 0xFFFF
"""Residual current that the board does not measure."""

# Result codes of an Ack.
OK, UNKNOWN_TYPE, MALFORMED, OUT_OF_RANGE, CONTACTS_CLOSED = range(5)
FAULT_LATCHED, NOT_ARMED, NOT_CAPABLE, OLD_STEP, NO_HELLO = range(5, 10)
RESULTS = (
    "ok", "unknown type", "malformed", "out of range", "contacts closed", "fault latched", "not armed",
    "not capable", "older step", "no hello yet",
)  # fmt: skip

# Capability bits of a Boot report.
CAN_SWITCH_PHASES, CAN_LOCK, HAS_PROXIMITY, HAS_RESIDUAL, HAS_MIRROR, OPENS_ALONE = (1 << n for n in range(6))

# Flag bits of a State report.
HEARTBEAT_LOST, PLUG_PRESENT, LOCKED, EMERGENCY_STOP, PERMITTED, PILOT_OFF = (1 << n for n in range(6))
ONE_PHASE, PHASES_UNKNOWN = 1 << 6, 1 << 7
"""Feedback of the phase relay: it is in its one-phase place, or its contacts do not tell where it is."""

# Contact bits of a State report: mirror contacts, set = that pole is closed.
L1, L2, L3, NEUTRAL = 1, 2, 4, 8

FAULT_BITS: tuple[str, ...] = (
    "diode", "pilot", "residual_current", "residual_selftest", "over_current", "over_voltage",
    "under_voltage", "over_temperature", "contactor_welded", "contactor_failed", "lock", "ground",
    "power_loss", "board_internal", "proximity", "contactor_dropped", "tamper",
)  # fmt: skip
"""Fault bit number -> code of hal.faults.FAULTS. The emergency stop is a flag, not a fault bit."""

RESET_REASONS = ("power", "watchdog", "brownout", "software", "pin", "unknown")
PLACES = ("socket", "cable", "pcb", "ambient", "psu")


def name_of(names: tuple[str, ...], index: int) -> str:
    """The name of a code; a newer board may know more than we do."""
    return names[index] if index < len(names) else f"code {index}"


class FrameError(ValueError):
    """A frame whose CRC was good but whose content is not of this protocol."""


def tenths(amps: float) -> int:
    """Amperes as the wire's tenths, rounded down so that no more is offered than was allowed."""
    return math.floor(amps * 10 + 1e-6)


class _Fixed:
    """A message whose payload is one fixed struct; extra bytes of a newer peer are ignored."""

    FORM: ClassVar[struct.Struct]

    def payload(self) -> bytes:
        return self.FORM.pack(*(getattr(self, f.name) for f in fields(cast("Hello", self))))

    @classmethod
    def parse(cls, body: bytes) -> Message:
        return cast("Message", cls(*cls.FORM.unpack_from(body)))


# ------------------------------------------------------------------------------------------- host to board


@dataclass(frozen=True, slots=True)
class Hello(_Fixed):
    """First after opening the line and after each Boot: the board opens and forgets the newest step."""

    KIND: ClassVar[int] = 0x01
    FORM: ClassVar[struct.Struct] = struct.Struct("<BH")
    version: int
    timeout_ms: int
    """Silence after which the board acts alone; the board takes at most 5000."""


@dataclass(frozen=True, slots=True)
class Heartbeat(_Fixed):
    """We live and our control loop ran. Sent at a third of the timeout; never acknowledged."""

    KIND: ClassVar[int] = 0x02
    FORM: ClassVar[struct.Struct] = struct.Struct("<")


@dataclass(frozen=True, slots=True)
class Permit:
    """The board may close in pilot C (or D with ventilation) and offers `tenths` on `phases` phases."""

    KIND: ClassVar[int] = 0x10
    FORM: ClassVar[struct.Struct] = struct.Struct("<IHB")
    step: int
    tenths: int
    phases: int
    connector: int = 0
    """Which gets the power path; 0: not said (a board with one connector), which is the first."""

    def payload(self) -> bytes:
        fixed = self.FORM.pack(self.step, self.tenths, self.phases)
        return fixed + (bytes((self.connector,)) if self.connector else b"")

    @classmethod
    def parse(cls, body: bytes) -> Message:
        return cls(*cls.FORM.unpack_from(body), *body[cls.FORM.size : cls.FORM.size + 1])


@dataclass(frozen=True, slots=True)
class Offer(_Fixed):
    """Another current; 0 is a pause by pilot (100 % duty), the permission stays."""

    KIND: ClassVar[int] = 0x11
    FORM: ClassVar[struct.Struct] = struct.Struct("<IH")
    step: int
    tenths: int


@dataclass(frozen=True, slots=True)
class Withdraw:
    """No permission: 100 % duty and open now. `reason` is for the board's own log."""

    KIND: ClassVar[int] = 0x12
    step: int
    reason: str = ""

    def payload(self) -> bytes:
        return struct.pack("<I", self.step) + _text(self.reason[:32])

    @classmethod
    def parse(cls, body: bytes) -> Message:
        return cls(struct.unpack_from("<I", body)[0], _texts(body, 4, 1)[0])


@dataclass(frozen=True, slots=True)
class Pilot(_Fixed):
    """Connect (0) or disconnect (1) the pilot, or hold state F (2); contacts must be open for 1 and 2."""

    KIND: ClassVar[int] = 0x13
    FORM: ClassVar[struct.Struct] = struct.Struct("<IB")
    step: int
    mode: int


@dataclass(frozen=True, slots=True)
class Phases(_Fixed):
    """Phases (1 or 3) for the next closing; refused unless every mirror contact is open."""

    KIND: ClassVar[int] = 0x14
    FORM: ClassVar[struct.Struct] = struct.Struct("<IB")
    step: int
    phases: int


@dataclass(frozen=True, slots=True)
class Lock(_Fixed):
    """Lock (1) or release (0) the plug of a connector; releasing is refused while contacts are closed."""

    KIND: ClassVar[int] = 0x15
    FORM: ClassVar[struct.Struct] = struct.Struct("<IBB")
    step: int
    connector: int
    locked: int


@dataclass(frozen=True, slots=True)
class Failsafe(_Fixed):
    """The current to fall to when heartbeats stop; 0 (also the value after a reset) opens."""

    KIND: ClassVar[int] = 0x16
    FORM: ClassVar[struct.Struct] = struct.Struct("<IH")
    step: int
    tenths: int


@dataclass(frozen=True, slots=True)
class Reset(_Fixed):
    """Clear the latched fault with this bit number, if its cause is gone."""

    KIND: ClassVar[int] = 0x17
    FORM: ClassVar[struct.Struct] = struct.Struct("<IB")
    step: int
    bit: int


# ------------------------------------------------------------------------------------------- board to host


@dataclass(frozen=True, slots=True)
class Boot:
    """Sent at reset every 500 ms until a Hello, and once as answer to each Hello."""

    KIND: ClassVar[int] = 0x81
    FORM: ClassVar[struct.Struct] = struct.Struct("<BBHBHH")
    version: int
    reset: int
    """Index in RESET_REASONS."""
    max_tenths: int
    phases: int
    capabilities: int
    timeout_ms: int
    """The heartbeat timeout in force."""
    vendor: str = ""
    model: str = ""
    serial: str = ""
    firmware: str = ""
    hardware: str = ""
    connectors: int = 1
    """How many there are; one needs no word."""

    def payload(self) -> bytes:
        fixed = self.FORM.pack(
            self.version, self.reset, self.max_tenths, self.phases, self.capabilities, self.timeout_ms
        )
        texts = (self.vendor, self.model, self.serial, self.firmware, self.hardware)
        several = bytes((self.connectors,)) if self.connectors > 1 else b""
        return fixed + b"".join(_text(t[:32]) for t in texts) + several

    @classmethod
    def parse(cls, body: bytes) -> Message:
        texts = _texts(body, cls.FORM.size, 5)
        end = cls.FORM.size + sum(1 + len(text) for text in texts)
        return cls(*cls.FORM.unpack_from(body), *texts, *body[end : end + 1])


class Plug(NamedTuple):
    """One connector in a State report of a board that has several."""

    connector: int
    pilot: str
    """A to F."""
    proximity: int
    """As in State."""
    flags: int
    """PLUG_PRESENT and LOCKED."""


_PLUG = struct.Struct("<BBBB")


@dataclass(frozen=True, slots=True)
class State:
    """The whole state, on every change (within 20 ms) and every second."""

    KIND: ClassVar[int] = 0x82
    FORM: ClassVar[struct.Struct] = struct.Struct("<BHHBHBHIBIB")
    pilot: str
    """A to F."""
    duty: int
    """Hundredths of a per cent; 10000 is steady high, 0 is steady low."""
    offered_tenths: int
    contacts: int
    flags: int
    proximity: int
    """Cable rating in A; 0 no cable, 255 not measured."""
    residual_ma: int
    faults: int
    seen: int
    """Sequence number of the last command executed or refused; 0 before the first."""
    step: int
    """Newest step seen since Hello."""
    temperatures: tuple[tuple[int, int], ...] = ()
    """(index in PLACES, tenths of a degree); an absent or broken sensor is left out."""
    active: int = 1
    """The connector that has the power path: the pilot's duty, the offer and the contacts are there."""
    several: tuple[Plug, ...] = ()
    """All connectors where there are several; pilot, proximity and plug flags above are the first one's, too."""

    @property
    def plugs(self) -> tuple[Plug, ...]:
        """Every connector, also the only one."""
        return self.several or (Plug(1, self.pilot, self.proximity, self.flags & (PLUG_PRESENT | LOCKED)),)

    def payload(self) -> bytes:
        fixed = self.FORM.pack(
            ord(self.pilot), self.duty, self.offered_tenths, self.contacts, self.flags, self.proximity,
            self.residual_ma, self.faults, self.seen, self.step, len(self.temperatures),
        )  # fmt: skip
        places = b"".join(struct.pack("<Bh", *t) for t in self.temperatures)
        plugs = b"".join(_PLUG.pack(p.connector, ord(p.pilot), p.proximity, p.flags) for p in self.several)
        return fixed + places + (bytes((self.active, len(self.several))) + plugs if plugs else b"")

    @classmethod
    def parse(cls, body: bytes) -> Message:
        code, *values, count = cls.FORM.unpack_from(body)
        end = cls.FORM.size + 3 * count
        places = [struct.unpack_from("<Bh", body, at) for at in range(cls.FORM.size, end, 3)]
        duty, offered, contacts, flags, proximity, residual, faults, seen, step = values
        return cls(
            _pilot(code), duty, offered, contacts, flags, proximity, residual, faults, seen, step,
            tuple((place, tenths_c) for place, tenths_c in places), *_plugs(body[end:]),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ack(_Fixed):
    """The answer to each command with a sequence number; `result` is OK or why it was refused."""

    KIND: ClassVar[int] = 0x83
    FORM: ClassVar[struct.Struct] = struct.Struct("<BBBHI")
    seq: int
    kind: int
    result: int
    offered_tenths: int
    """What the board offers after the command, to Failsafe the failsafe current that it holds: the truth, whatever was
    asked."""
    step: int


Ordered = Permit | Offer | Withdraw | Pilot | Phases | Lock | Failsafe | Reset
"""Commands with a step number."""
Message = Hello | Heartbeat | Ordered | Boot | State | Ack

_TYPES: dict[int, type[Message]] = {
    t.KIND: t
    for t in (
        Hello, Heartbeat, Permit, Offer, Withdraw, Pilot, Phases, Lock, Failsafe, Reset, Boot, State, Ack,
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Frame:
    """One good frame: `message` is None when its type is unknown or its payload malformed (see `problem`)."""

    seq: int
    kind: int
    message: Message | None
    problem: int = OK


# ------------------------------------------------------------------------------------------- on the wire


def crc16(data: bytes) -> int:
    """CRC-16/CCITT-FALSE (polynomial 0x1021, start 0xFFFF); of b"123456789" it is 0x29B1."""
    return crc_hqx(data, 0xFFFF)


def encode(message: Message, seq: int = NO_ACK) -> bytes:
    """The bytes on the wire: 00, COBS of (type, seq, length, payload, CRC), 00."""
    payload = message.payload()
    if len(payload) > MAX_PAYLOAD:
        raise FrameError(f"payload of {len(payload)} bytes; at most {MAX_PAYLOAD}")
    body = bytes((message.KIND, seq, len(payload))) + payload
    return b"\0" + cobs(body + struct.pack("<H", crc16(body))) + b"\0"


def cobs(data: bytes) -> bytes:
    """Consistent overhead byte stuffing of fewer than 254 bytes: no zero remains."""
    return b"".join(bytes((len(part) + 1,)) + part for part in data.split(b"\0"))


def uncobs(data: bytes) -> bytes | None:
    """The inverse of `cobs`; None when the data cannot come from it."""
    parts: list[bytes] = []
    at = 0
    while at < len(data):
        end = at + data[at]
        if data[at] == 0 or end > len(data):
            return None
        parts.append(data[at + 1 : end])
        at = end
    return b"\0".join(parts)


class Decoder:
    """Bytes in, good frames out, whatever noise lies between; bad ones are counted and dropped."""

    def __init__(self) -> None:
        self._pending = bytearray()
        self.garbled = 0

    def feed(self, data: bytes) -> list[Frame]:
        """Take what came from the line; return the frames that are complete now."""
        self._pending += data
        *complete, rest = bytes(self._pending).split(b"\0")
        if len(rest) > MAX_WIRE:
            self.garbled += 1
            rest = rest[: MAX_WIRE + 1]  # still too long, so whatever follows is dropped up to a delimiter
        self._pending = bytearray(rest)
        frames = [self._frame(part) for part in complete if part]
        return [f for f in frames if f is not None]

    def _frame(self, wire: bytes) -> Frame | None:
        raw = uncobs(wire) if len(wire) <= MAX_WIRE else None
        if raw is None or len(raw) < 5 or len(raw) != raw[2] + 5:
            self.garbled += 1
            return None
        body, (crc,) = raw[:-2], struct.unpack("<H", raw[-2:])
        if crc16(body) != crc:
            self.garbled += 1
            return None
        return _interpret(body)


def _interpret(body: bytes) -> Frame:
    kind, seq = body[0], body[1]
    type_ = _TYPES.get(kind)
    if type_ is None:
        return Frame(seq, kind, None, UNKNOWN_TYPE)
    try:
        return Frame(seq, kind, type_.parse(body[3:]))
    except (FrameError, struct.error, UnicodeDecodeError, IndexError):
        return Frame(seq, kind, None, MALFORMED)


def _pilot(code: int) -> str:
    if chr(code) not in "ABCDEF":
        raise FrameError(f"pilot {code:#x} is none of A to F")
    return chr(code)


def _plugs(body: bytes) -> tuple[int, tuple[Plug, ...]]:
    """The active connector and all of them; a board with one says nothing of them."""
    if len(body) < 2:
        return 1, ()
    active, count = body[:2]
    found = [_PLUG.unpack_from(body, 2 + _PLUG.size * i) for i in range(count)]
    return active, tuple(Plug(number, _pilot(code), amps, flags) for number, code, amps, flags in found)


def _text(text: str) -> bytes:
    data = text.encode("ascii", "replace")
    return bytes((len(data),)) + data


def _texts(body: bytes, at: int, count: int) -> list[str]:
    found: list[str] = []
    for _ in range(count):
        end = at + 1 + body[at]
        if end > len(body):
            raise FrameError("text runs past the payload")
        found.append(body[at + 1 : end].decode("ascii"))
        at = end
    return found
