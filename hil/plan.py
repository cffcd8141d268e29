"""The description of a bench (bench.toml) as plain values, checked when it is read."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from hil.cutter import Address
from hil.instruments.board import BoardMake
from hil.instruments.connector import ConnectorMake
from hil.instruments.contactor import WIRINGS, Wiring
from hil.instruments.ev import CarModel
from hil.wire import SerialFormat

T = TypeVar("T")
DEFAULT = Path(__file__).with_name("bench.toml")


class PlanError(ValueError):
    """A bench file that cannot be used: names the table, what was found and what was expected."""


@dataclass(frozen=True)
class WirePlan:
    """A Modbus segment: `rtu` is a pty with the timing of `line`, `tcp` a port (0: a free one)."""

    name: str
    kind: Literal["rtu", "tcp"]
    line: SerialFormat
    host: str
    port: int


@dataclass(frozen=True)
class UnitPlan:
    """Where a Modbus device sits."""

    wire: str
    unit: int


CONTROLLERS = ("heidelberg-ec", "amperfied-connect")
"""Device profiles of the controllers that the bench can be; the second has a phase relay."""


@dataclass(frozen=True)
class ControllerPlan(UnitPlan):
    """A smart controller and the agent's device profile for it."""

    profile: str = CONTROLLERS[0]


@dataclass(frozen=True)
class MeterPlan(UnitPlan):
    """A meter, its number and its register at the start."""

    serial: int
    import_kwh: float
    signs: bool = False
    """A meter that signs its readings (OCMF)."""

    @property
    def profile(self) -> str:
        """The agent's device profile for it."""
        return "bauer-bsm-ws36a" if self.signs else "eastron-sdm630"


@dataclass(frozen=True)
class EvsePlan:
    """One EVSE: a smart controller on a wire, or a raw board on a line of its own; and its meter."""

    id: int
    max_amps: float
    phases: int
    meter: MeterPlan
    controller: ControllerPlan | None = None
    board: BoardMake | None = None
    board_baud: int = 115_200
    car: Mapping[str, Any] = field(default_factory=dict)
    """Fields of hil.instruments.ev.CarModel that differ from its defaults, for the cars that come here."""

    @property
    def sockets(self) -> tuple[bool, ...]:
        """Of each connector, whether it is a socket; a smart controller has a fixed cable."""
        return (False,) if self.board is None else tuple(connector.socket for connector in self.board.connectors)


@dataclass(frozen=True)
class ReaderPlan:
    """An RFID reader and the EVSEs that it serves."""

    name: str
    baud: int
    evses: tuple[int, ...]


@dataclass(frozen=True)
class NetworkPlan:
    """The CSMS behind the cutter; without `target` a bench CSMS has to be given to the rig."""

    target: Address | None
    listen: Address
    identity: str
    password: str | None
    path: str


@dataclass(frozen=True)
class BenchPlan:
    """A whole bench."""

    directory: Path | None
    step_hz: int
    wires: tuple[WirePlan, ...]
    evses: tuple[EvsePlan, ...]
    readers: tuple[ReaderPlan, ...]
    network: NetworkPlan
    keys: Mapping[str, str]
    main_meter: MeterPlan | None = None
    """Measures what all EVSEs take together."""
    releases: bool = False
    """The agent is a release behind the launcher, and takes firmware updates."""
    installer: Mapping[str, str] = field(default_factory=dict)
    """The table [firmware] of board.toml, for an agent that is no release."""


class Table:
    """One TOML table that knows its place and complains about what nobody asked for."""

    def __init__(self, where: str, values: object) -> None:
        if not isinstance(values, dict):
            raise PlanError(f"{where}: found {values!r}, expected a table")
        self.where = where
        self._values: dict[str, Any] = dict(values)

    def take(self, name: str, kind: type[T], default: T | None = None) -> T:
        """The value of `name`; an int is taken where a float is expected."""
        if name not in self._values:
            if default is None:
                raise PlanError(f"{self.where}: {name} is missing, expected {kind.__name__}")
            return default
        value = self._values.pop(name)
        if kind is float and type(value) is int:
            value = float(value)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise PlanError(f"{self.where}: {name} is {value!r}, expected {kind.__name__}")
        return value

    def one_of(self, name: str, choices: tuple[str, ...], default: str | None = None) -> str:
        """A text among `choices`."""
        value = self.take(name, str, default)
        if value not in choices:
            raise PlanError(f"{self.where}: {name} is {value!r}, expected one of {', '.join(choices)}")
        return value

    def has(self, name: str) -> bool:
        """`name` is there and not taken yet."""
        return name in self._values

    def table(self, name: str) -> Table:
        """The sub-table `name`; an empty one when it is missing."""
        return Table(f"{self.where}.{name}", self._values.pop(name, {}))

    def tables(self, name: str) -> list[Table]:
        """The array of tables `name`."""
        values = self._values.pop(name, [])
        if not isinstance(values, list):
            raise PlanError(f"{self.where}: {name} is {values!r}, expected an array of tables")
        return [Table(f"{self.where}.{name}[{i}]", value) for i, value in enumerate(values, start=1)]

    def rest(self) -> dict[str, Any]:
        """Everything not taken yet, whatever it is."""
        values, self._values = self._values, {}
        return values

    def done(self) -> None:
        """Raise PlanError when a name was not taken."""
        if self._values:
            raise PlanError(f"{self.where}: unknown {', '.join(sorted(self._values))}")


def load(path: Path) -> BenchPlan:
    """Read a bench file; raises PlanError, also when the file is missing or is no TOML."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise PlanError(f"{path}: {error}") from None
    return parse(values, str(path), path.parent)


def parse(values: Mapping[str, Any], where: str = "bench", base: Path | None = None) -> BenchPlan:
    """Check the tables of a bench file; relative paths start at `base`."""
    top = Table(where, dict(values))
    bench = top.table("bench")
    directory = bench.take("directory", str, "")
    step_hz = bench.take("step_hz", int, 50)
    bench.done()
    wires = tuple(_wire(table) for table in top.tables("wire"))
    evses = tuple(_evse(table, {wire.name for wire in wires}) for table in top.tables("evse"))
    readers = tuple(_reader(table, {evse.id for evse in evses}) for table in top.tables("reader"))
    main_meter = _meter(top.table("main_meter"), {wire.name for wire in wires}) if top.has("main_meter") else None
    network = _network(top.table("network"))
    keys = {name: str(value) for name, value in top.table("keys").rest().items()}
    top.done()
    if not evses or not 10 <= step_hz <= 200:
        raise PlanError(f"{where}: expected at least one evse and 10 to 200 for bench.step_hz")
    home = (base or Path()) / directory if directory else None
    return BenchPlan(home, step_hz, wires, evses, readers, network, keys, main_meter)


def _wire(table: Table) -> WirePlan:
    kind: Literal["rtu", "tcp"] = "rtu" if table.one_of("kind", ("rtu", "tcp")) == "rtu" else "tcp"
    parity = table.one_of("parity", ("N", "E", "O"), "N")
    line = SerialFormat(table.take("baud", int, 19_200), parity, table.take("stop_bits", int, 1))
    plan = WirePlan(
        table.take("name", str), kind, line, table.take("host", str, "127.0.0.1"), table.take("port", int, 0)
    )
    table.done()
    return plan


def _unit(table: Table, wires: set[str]) -> tuple[str, int]:
    wire, unit = table.take("wire", str), table.take("unit", int)
    if wire not in wires or not 1 <= unit <= 247:
        expected = f"a wire among {', '.join(sorted(wires))} and a unit from 1 to 247"
        raise PlanError(f"{table.where}: wire {wire!r}, unit {unit}; expected {expected}")
    return wire, unit


def _evse(table: Table, wires: set[str]) -> EvsePlan:
    number, kind = table.take("id", int), table.one_of("kind", ("smart", "raw"))
    max_amps, phases = table.take("max_amps", float), table.take("phases", int, 3)
    meter, car = table.table("meter"), table.table("car").rest()
    wrong = car.keys() - {f.name for f in fields(CarModel)}
    if wrong:
        raise PlanError(f"{table.where}.car: unknown {', '.join(sorted(wrong))}")
    metered = _meter(meter, wires)
    if kind == "smart":
        controller = table.table("controller")
        wire, unit = _unit(controller, wires)
        profile = controller.one_of("profile", CONTROLLERS, CONTROLLERS[0])
        controller.done()
        plan = EvsePlan(number, max_amps, phases, metered, controller=ControllerPlan(wire, unit, profile), car=car)
    else:
        board, baud = _board(table.table("board"), max_amps, phases)
        plan = EvsePlan(number, max_amps, phases, metered, board=board, board_baud=baud, car=car)
    table.done()
    return plan


def _meter(table: Table, wires: set[str]) -> MeterPlan:
    wire, unit = _unit(table, wires)
    serial, kwh = table.take("serial", int, unit), table.take("import_kwh", float, 0.0)
    plan = MeterPlan(wire, unit, serial, kwh, table.take("signs", bool, False))
    table.done()
    return plan


def _board(table: Table, max_amps: float, phases: int) -> tuple[BoardMake, int]:
    baud = table.take("baud", int, 115_200)
    several = table.tables("connectors")
    make = BoardMake(
        max_amps=max_amps, phases=phases, connectors=tuple(_connector(part) for part in several or [table]),
        ventilation=table.take("ventilation", bool, False),
        serial=table.take("serial", str, "RB-0001"),
        wiring=cast("Wiring", table.one_of("wiring", WIRINGS, "simultaneous")),
    )  # fmt: skip
    for part in (*several, table):
        part.done()
    return make, baud


def _connector(table: Table) -> ConnectorMake:
    """A table of its own; a board with one connector says it in its own table."""
    return ConnectorMake(table.take("socket", bool, True), table.take("cable_amps", int, 32))


def _reader(table: Table, evses: set[int]) -> ReaderPlan:
    served = tuple(table.take("evses", list))
    plan = ReaderPlan(table.take("name", str), table.take("baud", int, 9600), served)
    table.done()
    if not served or not set(served) <= evses:
        raise PlanError(f"{table.where}: evses is {list(served)}, expected some of {sorted(evses)}")
    return plan


def _network(table: Table) -> NetworkPlan:
    target = table.take("target", str, "")
    listen = table.take("listen", str, "127.0.0.1:0")
    password = table.take("password", str, "")
    identity, path = table.take("identity", str, "CD-0001"), table.take("path", str, "/ocpp")
    table.done()
    try:
        far = Address.parse(target) if target else None
        return NetworkPlan(far, Address.parse(listen), identity, password or None, path)
    except ValueError as error:
        raise PlanError(f"{table.where}: {error}") from None
