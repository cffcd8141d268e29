"""board.toml: what the installer says the station is made of, read and checked as a whole."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NamedTuple, cast

from agent.core.site import Connector, DisplaySite, EvseSite, Network, Site
from agent.io.installers import InstallerConfig
from agent.io.toml_reader import BoardError, Mistakes, Table, read
from config_keys.own import ACCESSES, TYPES, OwnVariable
from hal.config import (
    DISPLAY_FORMATS,
    BoardRef,
    BusConfig,
    DeviceRef,
    DisplayConfig,
    EvseConfig,
    HardwareConfig,
    ReaderConfig,
)
from hal.ports import Nameplate

__all__ = ["Board", "BoardError", "check_presets", "load_board"]

BAUDS = ("1200", "2400", "4800", "9600", "19200", "38400", "57600", "115200", "230400")
STATE_DIR = "/var/lib/chargerd"
CONTROL_SOCKET = "/run/chargerd/control.sock"
SOCKET_PATH_MOST = 107
"""Bytes that Linux takes for the name of a Unix socket."""
_IDENTITY = re.compile(r"[\x21-\x39\x3b-\x7e]{1,48}", re.ASCII)


class Board(NamedTuple):
    """Everything in the file. `presets` are texts by wire name."""

    file: Path
    site: Site
    hardware: HardwareConfig
    state_dir: Path
    control_socket: Path
    installer: InstallerConfig | None = None
    presets: Mapping[str, str] = MappingProxyType({})
    root_file: Path | None = None
    """Roots of the CSMS, in PEM, for a station that has none yet."""


def load_board(file: Path, firmware: str) -> Board:
    """Read and check the file. Raises BoardError with one line per mistake. Paths are relative to the file.

    `firmware` is the version that the station reports in BootNotification.
    """
    top, mistakes = read(file)
    here = file.resolve().parent
    station = top.table("station") or Table({}, "[station]", mistakes)
    network = top.table("network")
    keys = top.table("keys")
    buses = [_bus(table) for table in top.tables("bus", "name")]
    _distinct([bus.name for bus in buses], "[[bus]]", "name", mistakes)
    names = {bus.name for bus in buses}
    evses = [_evse(table, names) for table in top.tables("evse", "id")]
    readers = _readers(top, {config.id for _, config in evses}, mistakes)
    displays = _displays(top, here, {config.id for _, config in evses}, mistakes)
    own = tuple(_own(table) for table in top.tables("variable", "name"))
    main = top.table("main_meter")
    main_meter = _device_of(main, names) if main else None
    firmware_table = top.table("firmware")
    installer = _installer(firmware_table, here) if firmware_table else None
    hardware = top.table("hardware")
    profiles = _profiles(hardware, here) if hardware else None
    top.done()
    _check_evses([config for _, config in evses], main_meter, mistakes)
    ports = [bus.port for bus in buses] + [reader.port for reader in readers]
    ports += [config.board.port for _, config in evses if config.board]
    _distinct(ports, "", "serial port", mistakes)
    board = Board(
        file,
        _site(station, firmware, tuple(site for site, _ in evses), _network(network) if network else None)._replace(
            displays=tuple(site for site, _ in displays), own=own, main_meter=main_meter is not None,
            updates=installer is not None, sftp=find_spec("asyncssh") is not None,
        ),
        HardwareConfig(
            tuple(buses), tuple(config for _, config in evses), readers, profiles, tuple(c for _, c in displays),
            main_meter,
        ),
        here / station.text("state_dir", STATE_DIR),
        here / station.text("control_socket", CONTROL_SOCKET),
        installer,
        keys.scalars() if keys else {},
        here / network.text("root_file") if network and network.has("root_file") else None,
    )
    if len(str(board.control_socket).encode()) > SOCKET_PATH_MOST:
        station.complain(f"control_socket: {board.control_socket} is longer than {SOCKET_PATH_MOST} bytes")
    station.done()
    mistakes.raise_any()
    return board


def check_presets(board: Board) -> None:
    """Raises BoardError when an entry of [keys] is no variable of this station, or its value does not fit."""
    from config_keys.values import Values

    mistakes = Mistakes(board.file)
    places = {evse.id: [c.id for c in evse.connectors] for evse in board.site.evses}
    own: list[OwnVariable] = []
    for variable in board.site.own:
        try:
            Values(places, {}, [variable])
            own.append(variable)
        except ValueError as error:
            mistakes.add("[[variable]]", str(error))
    for name, text in board.presets.items():
        try:
            Values(places, {name: text}, own)
        except ValueError as error:
            mistakes.add("[keys]", str(error))
    mistakes.raise_any()


def _site(station: Table, firmware: str, evses: tuple[EvseSite, ...], network: Network | None) -> Site:
    """Lengths are those of ChargingStationType in BootNotificationRequest."""
    return Site(
        station.text("vendor", most=50),
        station.text("model", most=20),
        station.text("serial", most=25),
        station.text("firmware", firmware, most=50),
        evses,
        network,
    )


def _network(table: Table) -> Network:
    url = table.text("url", most=512)
    if url and not re.fullmatch(r"wss?://[^\s/@]+(/\S*)?", url):
        table.complain(f"url: found {url!r}, expected ws://host:port/path or wss://..., without credentials")
    identity = table.text("identity")
    if identity and not _IDENTITY.fullmatch(identity):
        expected = "at most 48 printable ASCII characters without space and colon"
        table.complain(f"identity: found {identity!r}, expected {expected}")
    profile = table.integer("security_profile", 1, 3, default=1)
    if profile > 1 and url.startswith("ws:"):
        table.complain(f"security_profile {profile} needs a url that begins with wss://")
    password = table.text("password") if table.has("password") else None
    if table.has("root_file"):
        table.text("root_file")
    table.done()
    return Network(url, identity, password, profile)


def _installer(table: Table, here: Path) -> InstallerConfig:
    """What installs firmware; it judges its options itself."""
    options = table.scalars()
    kind = table.text("installer")
    if "home" in options:
        options["home"] = str(here / options["home"])
    return InstallerConfig(kind, {name: value for name, value in options.items() if name != "installer"})


def _bus(table: Table) -> BusConfig:
    name = table.text("name")
    if table.one_of("kind", ("rtu", "tcp")) == "tcp":
        bus = BusConfig(
            name, "tcp", host=table.text("host"), tcp_port=table.integer("tcp_port", 1, 65535, 502)
        )
    else:
        port = table.text("port")
        parity = table.one_of("parity", ("N", "E", "O"), "N")
        stopbits = table.integer("stopbits", 1, 2, 1)
        bus = BusConfig(name, "rtu", port, _baud(table, 9600), parity, stopbits)
    table.done()
    return bus


def _evse(table: Table, buses: set[str]) -> tuple[EvseSite, EvseConfig]:
    number = table.integer("id", 1, 999)
    kind = table.text("kind")
    amps = table.number("max_amps", 6, 1000)
    phases = table.integer("phases", 1, 3)
    if phases == 2:
        table.complain("phases: found 2, expected 1 or 3")
    volts = table.number("volts", 100, 1000, 230)
    connectors = _connectors(table)
    controller = _device(table, "controller", buses) if kind != "raw" else None
    board = _board_ref(table) if kind != "smart" else None
    if kind == "smart" and controller is None:
        table.missing("controller", 'kind "smart" needs controller = {profile = ..., bus = ..., unit = ...}')
    if kind == "smart" and len(connectors) > 1:
        table.complain(f'connectors: found {len(connectors)}, expected 1: a controller of kind "smart" has no more')
    if kind == "raw" and board is None:
        table.missing("board", 'kind "raw" needs board = {port = ...}')
    meter = _device(table, "meter", buses)
    table.done()
    signs = meter is not None and meter.signs
    site = EvseSite(number, amps, phases, volts, connectors, meter is not None, signing_meter=signs)
    plate = Nameplate(number, amps, phases, volts, tuple(c.id for c in connectors))
    return site, EvseConfig(number, kind, plate, controller, board, meter)


def _connectors(evse: Table) -> tuple[Connector, ...]:
    found = []
    for table in evse.tables("connectors", "id"):
        number = table.integer("id", 1, 99)
        kind = table.text("type", "cType2", most=20)
        cable = cast(Literal["fixed", "socket"], table.one_of("cable", ("fixed", "socket"), "fixed"))
        found.append(Connector(number, kind, cable, table.number("max_amps", 6, 1000, 32)))
        table.done()
    if evse.has("connectors") and sorted(c.id for c in found) != list(range(1, len(found) + 1)):
        evse.complain(f"connectors: found ids {[c.id for c in found]}, expected 1, 2, ... without gaps")
    return tuple(found) or (Connector(1),)


def _device(evse: Table, name: str, buses: set[str]) -> DeviceRef | None:
    table = evse.table(name)
    return _device_of(table, buses) if table is not None else None


def _device_of(table: Table, buses: set[str]) -> DeviceRef:
    bus = table.text("bus")
    if bus and bus not in buses:
        known = ", ".join(sorted(buses)) or "none is declared"
        table.complain(f"bus: found {bus!r}, expected the name of a [[bus]] ({known})")
    device = DeviceRef(table.text("profile"), bus, table.integer("unit", 1, 247), table.flag("signs"))
    table.done()
    return device


def _board_ref(evse: Table) -> BoardRef | None:
    table = evse.table("board")
    if table is None:
        return None
    board = BoardRef(table.text("port"), _baud(table, 115200))
    table.done()
    return board


def _readers(top: Table, evses: set[int], mistakes: Mistakes) -> tuple[ReaderConfig, ...]:
    readers = []
    for table in top.tables("reader", "name"):
        serves = table.integers("evses")
        for number in serves:
            if number not in evses:
                table.complain(f"evses: found {number}, expected the id of an [[evse]]")
        readers.append(ReaderConfig(table.text("name"), table.text("port"), _baud(table, 9600), serves))
        table.done()
    _distinct([reader.name for reader in readers], "[[reader]]", "name", mistakes)
    return tuple(readers)


def _displays(
    top: Table, here: Path, evses: set[int], mistakes: Mistakes
) -> list[tuple[DisplaySite, DisplayConfig]]:
    found = []
    for table in top.tables("display", "name"):
        name, kind = table.text("name", most=50), table.one_of("kind", tuple(DISPLAY_FORMATS))
        evse = table.integer("evse", 0, 1_000, 0)
        if evse and evse not in evses:
            table.complain(f"evse: found {evse}, expected 0 for the whole station or the id of an [[evse]]")
        config = DisplayConfig(name, kind, here / table.text("file"))
        found.append((DisplaySite(name, evse, DISPLAY_FORMATS.get(kind, ())), config))
        table.done()
    _distinct([site.name for site, _ in found], "[[display]]", "name", mistakes)
    return found


def _own(table: Table) -> OwnVariable:
    """A variable that is not ours."""
    variable = OwnVariable(
        table.text("name", most=120), table.one_of("type", TYPES), table.scalar("value", ""),
        table.one_of("access", ACCESSES, "ReadOnly"), table.scalar("unit", ""),
        tuple(filter(None, table.scalar("values", "").split(","))), table.text("doc", "Told by board.toml.", most=120),
    )  # fmt: skip
    table.done()
    return variable


def _profiles(table: Table, here: Path) -> Path | None:
    profiles = here / table.text("profiles") if table.has("profiles") else None
    if profiles and not profiles.is_dir():
        table.complain(f"profiles: {profiles} is no directory")
    table.done()
    return profiles


def _check_evses(evses: list[EvseConfig], main_meter: DeviceRef | None, mistakes: Mistakes) -> None:
    """OCPP numbers EVSEs 1, 2, 3 ... without gaps (Part 1, 7.2); two devices cannot share an address."""
    ids = [evse.id for evse in evses]
    if not evses:
        mistakes.add("", "no [[evse]]; a station has at least one")
    elif sorted(ids) != list(range(1, len(ids) + 1)):
        mistakes.add("[[evse]]", f"found ids {ids}, expected 1, 2, ... without gaps")
    devices = [ref for evse in evses for ref in (evse.controller, evse.meter) if ref]
    devices += [main_meter] if main_meter else []
    addresses = [f"bus {ref.bus} unit {ref.unit}" for ref in devices]
    _distinct(addresses, "[[evse]]", "device at", mistakes)


def _distinct(values: list[str], place: str, what: str, mistakes: Mistakes) -> None:
    for value in sorted({value for value in values if value and values.count(value) > 1}):
        mistakes.add(place, f"{what} {value} is used twice")


def _baud(table: Table, default: int) -> int:
    baud = table.integer("baud", 300, 4_000_000, default)
    if str(baud) not in BAUDS:
        table.complain(f"baud: found {baud}, expected one of {', '.join(BAUDS)}")
    return baud
