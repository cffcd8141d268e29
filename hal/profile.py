"""Device profiles: the registers of a real device as data, loaded from TOML and checked as a whole.

A driver holds no address; it asks the profile for points by name. Every profile states its source and carries
golden vectors (registers as the device sends them and their meaning), which the tests check.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

from hal.ports import Pilot, Quantity
from hal.registers import WORDS, Encoding, WordOrder

PACKAGED = Path(__file__).with_name("profiles")
"""Where the profiles that come with us lie."""

MOMENTS = ("begin", "end", "now")
"""When a meter signs, as in hal.ports.SignMeter."""
FED_BY = ("any_telegram",)
"""What feeds a device's own watchdog: any request to its unit, so polls must stop when feeding does."""


class ProfileError(ValueError):
    """A profile that cannot be used: names the file, the place, what was found and what was expected."""


@dataclass(frozen=True, slots=True)
class Point:
    """One value of a device."""

    name: str
    fc: int
    address: int
    encoding: Encoding
    unit: str = ""
    quantity: Quantity | None = None
    phase: int = 0
    low: Decimal | None = None
    high: Decimal | None = None
    write_fc: int = 0
    exponent: str = ""
    """The point that holds the power of ten of this one (SunSpec's scale factor)."""

    def decode(self, registers: list[int], exponent: Decimal | None = None) -> Decimal | str | None:
        """The value; None when the device says absent or the value is out of the profile's range."""
        value = self.encoding.decode(registers)
        if isinstance(value, Decimal) and exponent is not None:
            value = value.scaleb(int(exponent))
        if isinstance(value, Decimal) and (
            (self.low is not None and value < self.low) or (self.high is not None and value > self.high)
        ):
            return None
        return value


@dataclass(frozen=True, slots=True)
class Span:
    """One read request that serves several points."""

    fc: int
    address: int
    count: int
    points: tuple[Point, ...]

    def decode(self, registers: list[int]) -> dict[str, Decimal | str | None]:
        """Point name -> value, from the registers of this span."""
        found: dict[str, Decimal | str | None] = {}
        for point in sorted(self.points, key=lambda p: bool(p.exponent)):
            at = point.address - self.address
            power = found.get(point.exponent)
            words = registers[at : at + point.encoding.size]
            scaled = power if isinstance(power, Decimal) else None
            unknown = bool(point.exponent) and scaled is None
            found[point.name] = None if unknown else point.decode(words, scaled)
        return found


@dataclass(frozen=True, slots=True)
class Group:
    """Points that are polled together every `every_ms`."""

    name: str
    every_ms: int
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Transport:
    """How to talk to the device; baud and parity are its factory setting, for people."""

    baud: int = 9600
    parity: str = "N"
    stopbits: int = 1
    min_gap_ms: int = 5
    timeout_ms: int = 400
    retries: int = 2
    max_read: int = 100
    max_hole: int = 0
    """Registers that no point names but that may be read along to save a request."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What one value of the `state` point says."""

    pilot: Pilot
    closed: bool
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Watchdog:
    """The device's own communication timeout: written at start and read back."""

    point: str
    write: int
    disabled: int
    fed_by: str
    unit_ms: int = 1
    """Milliseconds per count of the point."""

    @property
    def timeout_s(self) -> float:
        """After this silence the device acts alone."""
        return self.write * self.unit_ms / 1000


@dataclass(frozen=True, slots=True)
class Moment:
    """Where a meter makes one of its signed readings: the status to write and poll, the text, the energy in it."""

    status: str
    text: str
    energy: Span
    """Holds the register that was signed (energy_import_wh)."""


@dataclass(frozen=True, slots=True)
class Signing:
    """How a meter is made to sign: `start` is written to a status, which shows it until it is `done`."""

    encoding: str
    method: str
    start: int
    done: int
    within_ms: int
    customer: str
    """Takes what identifies the customer, as text."""
    key: str
    """The public key (DER)."""
    clock: str
    """Seconds of its clock since 1970, followed by the offset of its time zone (minutes), written in one go."""
    clock_every_h: int
    """How often the clock has to be set anew."""
    moments: Mapping[str, Moment]
    """begin, end and now."""


@dataclass(frozen=True, slots=True)
class Golden:
    """Registers as a real device sends them, and the value they mean (None: absent)."""

    point: str
    words: tuple[int, ...]
    value: Decimal | str | None


@dataclass(frozen=True, slots=True)
class Profile:
    """One kind of device. Points, groups and limits by name."""

    name: str
    kind: str
    vendor: str
    model: str
    source: tuple[str, ...]
    transport: Transport
    points: Mapping[str, Point]
    groups: tuple[Group, ...]
    identity: Mapping[str, str] = field(default_factory=dict)
    golden: tuple[Golden, ...] = ()
    setup: tuple[tuple[str, int], ...] = ()
    states: Mapping[int, Meaning] = field(default_factory=dict)
    watchdog: Watchdog | None = None
    min_amps: Decimal = Decimal(6)
    max_amps: Decimal = Decimal(0)
    signing: Signing | None = None
    opens_within_s: Decimal = Decimal(2)
    """Longest time from a withdrawal to an open contactor as the polled state shows it."""

    def group(self, name: str) -> Group:
        """The group of that name (its presence was checked when the profile was loaded)."""
        return next(g for g in self.groups if g.name == name)


def load(name: str, extra: Path | None = None) -> Profile:
    """The profile called `name`, from `extra` first, then from ours; ProfileError when none or bad."""
    places = [extra, PACKAGED] if extra else [PACKAGED]
    for place in places:
        path = place / f"{name}.toml"
        if path.is_file():
            return read(path)
    known = sorted({p.stem for place in places for p in place.glob("*.toml")})
    raise ProfileError(f"profile {name!r}: not found; known are {', '.join(known) or 'none'}")


def read(path: Path) -> Profile:
    """The profile in the file at `path`."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as wrong:
        raise ProfileError(f"{path}: {wrong}") from None
    top = _Table(str(path), "", data)
    profile = _profile(top)
    top.done()
    _check(str(path), profile)
    return profile


class _Table:
    """A TOML table that is read name by name and complains about what it did not expect."""

    def __init__(self, file: str, place: str, data: Mapping[str, Any]) -> None:
        self.file, self.place, self._data, self._seen = file, place, data, set[str]()

    def wrong(self, name: str, found: object, expected: str) -> ProfileError:
        where = f"{self.place}.{name}" if self.place else name
        return ProfileError(f"{self.file}: {where}: found {found!r}, expected {expected}")

    def text(self, name: str, default: str | None = None, among: Iterable[str] = ()) -> str:
        value = self._take(name, default, "a string")
        among = tuple(among)
        if not isinstance(value, str):
            raise self.wrong(name, value, "a string")
        if among and value not in among:
            raise self.wrong(name, value, f"one of {', '.join(among)}")
        return value

    def whole(self, name: str, default: int | None = None, low: int = 0, high: int = 0xFFFF) -> int:
        value = self._take(name, default, "a whole number")
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.wrong(name, value, f"a whole number from {low} to {high}")
        return value

    def number(self, name: str, default: Decimal | None = None) -> Decimal:
        value = self._take(name, default, "a number")
        if not isinstance(value, int | Decimal) or isinstance(value, bool):
            raise self.wrong(name, value, "a number")
        return Decimal(value)

    def flag(self, name: str) -> bool:
        value = self._take(name, None, "true or false")
        if not isinstance(value, bool):
            raise self.wrong(name, value, "true or false")
        return value

    def optional(self, name: str) -> Any:
        """Whatever is there, or None."""
        self._seen.add(name)
        return self._data.get(name)

    def items(self, name: str) -> list[Any]:
        value = self._take(name, [], "a list")
        if not isinstance(value, list):
            raise self.wrong(name, value, "a list")
        return value

    def table(self, name: str) -> _Table:
        value = self._take(name, {}, "a table")
        if not isinstance(value, dict):
            raise self.wrong(name, value, "a table")
        return _Table(self.file, f"{self.place}.{name}" if self.place else name, value)

    def tables(self, name: str) -> list[_Table]:
        rows = self.items(name)
        for row in rows:
            if not isinstance(row, dict):
                raise self.wrong(name, row, "a table")
        return [_Table(self.file, f"{name}[{n}]", row) for n, row in enumerate(rows)]

    def names(self) -> list[str]:
        return list(self._data)

    def done(self) -> None:
        """Complain about the first name that nobody asked for."""
        for name in self._data:
            if name not in self._seen:
                raise self.wrong(name, self._data[name], f"one of {', '.join(sorted(self._seen))}")

    def _take(self, name: str, default: object, expected: str) -> Any:
        self._seen.add(name)
        if name not in self._data and default is None:
            raise self.wrong(name, "nothing", expected)
        return self._data.get(name, default)


def _profile(top: _Table) -> Profile:
    transport = _transport(top.table("transport"))
    points_table = top.table("points")
    points = {name: _point(name, points_table.table(name)) for name in points_table.names()}
    limits = top.table("limits")
    identity = top.table("identity")
    states = top.table("states")
    made = Profile(
        name=top.text("profile"),
        kind=top.text("kind", among=("meter", "controller")),
        vendor=top.text("vendor"),
        model=top.text("model"),
        source=tuple(str(s) for s in top.items("source")),
        transport=transport,
        points=points,
        groups=tuple(_group(t, points, transport) for t in top.tables("groups")),
        identity={name: identity.text(name, among=points) for name in identity.names()},
        golden=tuple(_golden(t, points) for t in top.tables("golden")),
        setup=tuple(_setup(t, points) for t in top.tables("setup")),
        states=dict(_state(states, name) for name in states.names()),
        watchdog=_watchdog(top.table("watchdog"), points),
        min_amps=limits.number("min_amps", Decimal(6)),
        max_amps=limits.number("max_amps", Decimal(0)),
        opens_within_s=limits.number("opens_within_s", Decimal(2)),
        signing=_signing(top.table("signing"), points, transport),
    )
    limits.done()
    return made


def _transport(t: _Table) -> Transport:
    made = Transport(
        baud=t.whole("baud", 9600, 300, 1_000_000),
        parity=t.text("parity", "N", among=("N", "E", "O")),
        stopbits=t.whole("stopbits", 1, 1, 2),
        min_gap_ms=t.whole("min_gap_ms", 5, 0, 5000),
        timeout_ms=t.whole("timeout_ms", 400, 50, 5000),
        retries=t.whole("retries", 2, 0, 10),
        max_read=t.whole("max_read", 100, 1, 125),
        max_hole=t.whole("max_hole", 0, 0, 100),
    )
    t.done()
    return made


def _point(name: str, t: _Table) -> Point:
    limits = t.items("range")
    quantity = t.optional("quantity")
    if quantity is not None and quantity not in get_args(Quantity):
        raise t.wrong("quantity", quantity, f"one of {', '.join(get_args(Quantity))}")
    if limits and (len(limits) != 2 or not all(isinstance(v, int | Decimal) for v in limits)):
        raise t.wrong("range", limits, "two numbers")
    made = Point(
        name=name,
        fc=t.whole("fc", low=3, high=4),
        address=t.whole("address"),
        encoding=_encoding(t),
        unit=t.text("unit", ""),
        quantity=quantity,
        phase=t.whole("phase", 0, 0, 3),
        low=Decimal(limits[0]) if limits else None,
        high=Decimal(limits[1]) if limits else None,
        write_fc=t.whole("write_fc", 0, 0, 16),
        exponent=t.text("exponent", ""),
    )
    if made.write_fc not in (0, 6, 16):
        raise t.wrong("write_fc", made.write_fc, "6 or 16")
    t.done()
    return made


def _encoding(t: _Table) -> Encoding:
    resolution = t.optional("resolution")
    type_ = t.text("type", among=WORDS)
    order: Any = t.text("word_order", "high_first", among=get_args(WordOrder))
    scale = t.number("scale", Decimal(1))
    if scale == 0:
        raise t.wrong("scale", scale, "anything but 0")
    return Encoding(
        type=type_,
        words=t.whole("words", 0 if type_ != "ascii" else None, 0, 512),
        order=order,
        scale=scale,
        absent=tuple(int(v) for v in t.items("absent")),
        resolution=None if resolution is None else Decimal(resolution),
    )


def _group(t: _Table, points: Mapping[str, Point], transport: Transport) -> Group:
    names = t.items("points")
    for name in names:
        if name not in points:
            raise t.wrong("points", name, f"one of {', '.join(points)}")
    spans = _spans([points[n] for n in names], transport)
    made = Group(t.text("name"), t.whole("every_ms", low=100, high=3_600_000), spans)
    t.done()
    return made


def _spans(points: list[Point], transport: Transport) -> tuple[Span, ...]:
    """The fewest read requests for these points, within what the device allows; exponents go with what they scale."""
    spans: list[Span] = []
    for point in sorted(points, key=lambda p: (p.fc, p.address)):
        end = point.address + point.encoding.size
        last = spans[-1] if spans else None
        hole = point.address - (last.address + last.count) if last else 0
        if last and last.fc == point.fc and hole <= transport.max_hole and (
            end - last.address <= transport.max_read
        ):
            count = max(last.count, end - last.address)
            spans[-1] = Span(last.fc, last.address, count, (*last.points, point))
        else:
            spans.append(Span(point.fc, point.address, point.encoding.size, (point,)))
    return tuple(spans)


def _signing(t: _Table, points: Mapping[str, Point], transport: Transport) -> Signing | None:
    if not t.names():
        return None
    made = Signing(
        t.text("encoding"), t.text("method", ""), t.whole("start"), t.whole("done"),
        t.whole("within_s", 15, 1, 60) * 1000, t.text("customer", among=points), t.text("key", among=points),
        t.text("clock", among=points), t.whole("clock_every_h", 24, 1, 1000),
        {name: _moment(t.table(name), points, transport) for name in MOMENTS},
    )  # fmt: skip
    t.done()
    return made


def _moment(t: _Table, points: Mapping[str, Point], transport: Transport) -> Moment:
    energy = points[t.text("energy", among=points)]
    spans = _spans([points[name] for name in (energy.name, energy.exponent) if name], transport)
    if len(spans) != 1:
        raise t.wrong("energy", energy.name, f"a point that can be read together with {energy.exponent}")
    made = Moment(t.text("status", among=points), t.text("text", among=points), spans[0])
    t.done()
    return made


def _golden(t: _Table, points: Mapping[str, Point]) -> Golden:
    value = t.optional("value")
    if isinstance(value, int):
        value = Decimal(value)
    made = Golden(t.text("point", among=points), tuple(int(w) for w in t.items("words")), value)
    t.done()
    return made


def _setup(t: _Table, points: Mapping[str, Point]) -> tuple[str, int]:
    made = (t.text("point", among=points), t.whole("value"))
    t.done()
    return made


def _state(states: _Table, name: str) -> tuple[int, Meaning]:
    if not name.isdecimal():
        raise states.wrong(name, name, "a value of the state register")
    t = states.table(name)
    pilot: Any = t.text("pilot", among=get_args(Pilot))
    meaning = Meaning(pilot, t.flag("closed"), t.text("fault", ""))
    t.done()
    return int(name), meaning


def _watchdog(t: _Table, points: Mapping[str, Point]) -> Watchdog | None:
    if not t.names():
        return None
    made = Watchdog(
        t.text("point", among=points),
        t.whole("write", low=1),
        t.whole("disabled"),
        t.text("fed_by", among=FED_BY),
        t.whole("unit_ms", 1, 1, 1000),
    )
    t.done()
    return made


def _check(file: str, profile: Profile) -> None:
    """What no single table can know."""
    if not profile.source or not profile.golden:
        raise ProfileError(f"{file}: found no source or no golden vectors, expected both")
    for span in (span for g in profile.groups for span in g.spans):
        apart = [p.name for p in span.points if p.exponent and p.exponent not in {other.name for other in span.points}]
        if apart:
            raise ProfileError(f"{file}: points.{apart[0]}.exponent: found no such point beside it in one read")
    groups = {g.name for g in profile.groups}
    needed = {"group main": "main" in groups}
    if profile.kind == "controller":
        needed = {f"point {n}": n in profile.points for n in ("state", "setpoint", "failsafe")}
        needed |= {f"group {n}": n in groups for n in ("state", "settings")}
        needed["states"] = bool(profile.states)
    for what, present in needed.items():
        if not present:
            raise ProfileError(f"{file}: found no {what}, expected one in a {profile.kind} profile")
