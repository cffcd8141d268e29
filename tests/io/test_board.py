"""board.toml: what is read, and how every mistake is told: place, what was found, what was expected."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from agent.core.site import Connector, DisplaySite, EvseSite, Network
from agent.io.board import Board, BoardError, check_presets, load_board
from agent.io.installers import InstallerConfig
from config_keys.own import OwnVariable
from hal.config import BoardRef, BusConfig, DeviceRef, DisplayConfig, EvseConfig, ReaderConfig
from hal.ports import Nameplate

GOOD = """
[station]
vendor = "Example"
model = "Duo"
serial = "SN-1"
state_dir = "state"

[network]
url = "ws://127.0.0.1:9000/ocpp"
identity = "CD-0001"
password = "secret secret secret"

[keys]
"SampledDataCtrlr.TxUpdatedInterval" = "10"
"FreeCharging.Enabled" = true
"FallbackCtrlr.OfflineLimit" = 8.5

[[bus]]
name = "rs485"
kind = "rtu"
port = "/dev/ttyUSB0"
baud = 19200
parity = "E"

[[bus]]
name = "lan"
kind = "tcp"
host = "10.0.0.5"

[[evse]]
id = 1
kind = "smart"
max_amps = 16
phases = 3
connectors = [{id = 1, type = "sType2", cable = "socket", max_amps = 20}]
controller = {profile = "heidelberg-ec", bus = "rs485", unit = 1}
meter = {profile = "eastron-sdm630", bus = "rs485", unit = 11}

[[evse]]
id = 2
kind = "raw"
max_amps = 32
phases = 1
volts = 240
board = {port = "/dev/ttyS2"}

[[reader]]
name = "front"
port = "/dev/ttyS3"
evses = [1, 2]

[[display]]
name = "front"
evse = 2
kind = "html"
file = "front.html"
"""


def load(tmp_path: Path, text: str) -> Board:
    file = tmp_path / "board.toml"
    file.write_text(text)
    return load_board(file, "1.2.3")


def test_a_whole_file(tmp_path: Path) -> None:
    board = load(tmp_path, GOOD)
    assert (board.site.vendor, board.site.model, board.site.serial) == ("Example", "Duo", "SN-1")
    assert board.site.firmware == "1.2.3"
    assert board.site.network == Network("ws://127.0.0.1:9000/ocpp", "CD-0001", "secret secret secret", 1)
    assert board.site.evses == (
        EvseSite(1, 16.0, 3, 230.0, (Connector(1, "sType2", "socket", 20.0),), True),
        EvseSite(2, 32.0, 1, 240.0, (Connector(1),), False),
    )
    assert board.hardware.buses == (
        BusConfig("rs485", "rtu", "/dev/ttyUSB0", 19200, "E", 1),
        BusConfig("lan", "tcp", host="10.0.0.5", tcp_port=502),
    )
    controller = DeviceRef("heidelberg-ec", "rs485", 1)
    meter = DeviceRef("eastron-sdm630", "rs485", 11)
    assert board.hardware.evses == (
        EvseConfig(1, "smart", Nameplate(1, 16.0, 3, 230.0, (1,)), controller, None, meter),
        EvseConfig(2, "raw", Nameplate(2, 32.0, 1, 240.0, (1,)), None, BoardRef("/dev/ttyS2", 115200), None),
    )
    assert board.hardware.readers == (ReaderConfig("front", "/dev/ttyS3", 9600, (1, 2)),)
    assert board.site.displays == (DisplaySite("front", 2, ("ASCII", "HTML", "URI", "UTF8")),)
    assert board.hardware.displays == (DisplayConfig("front", "html", tmp_path / "front.html"),)
    assert board.state_dir == tmp_path / "state"
    assert board.control_socket == Path("/run/chargerd/control.sock")
    assert board.presets == {
        "SampledDataCtrlr.TxUpdatedInterval": "10",
        "FreeCharging.Enabled": "true",
        "FallbackCtrlr.OfflineLimit": "8.5",
    }
    check_presets(board)


def test_what_installs_firmware(tmp_path: Path) -> None:
    (tmp_path / "board.toml").write_text(f'{GOOD}\n[firmware]\ninstaller = "releases"\nhome = "opt"\nhardware = "duo"')
    board = load_board(tmp_path / "board.toml", "1.0")
    assert board.installer == InstallerConfig("releases", {"home": str(tmp_path / "opt"), "hardware": "duo"})
    assert board.site.updates


def test_without_a_network_the_station_is_standalone(tmp_path: Path) -> None:
    start, end = GOOD.index("[network]"), GOOD.index("[keys]")
    assert load(tmp_path, GOOD[:start] + GOOD[end:]).site.network is None


def test_sftp_is_there_with_its_library_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(tmp_path, GOOD).site.sftp
    monkeypatch.setitem(sys.modules, "asyncssh", None)
    assert not load(tmp_path, GOOD).site.sftp


def test_a_main_meter_and_a_meter_that_signs(tmp_path: Path) -> None:
    signs = GOOD.replace('bus = "rs485", unit = 11', 'bus = "rs485", unit = 11, signs = true')
    board = load(tmp_path, signs + '[main_meter]\nprofile = "eastron-sdm630"\nbus = "lan"\nunit = 3\n')
    assert board.site.main_meter and board.hardware.main_meter == DeviceRef("eastron-sdm630", "lan", 3)
    assert [evse.signing_meter for evse in board.site.evses] == [True, False]
    assert board.hardware.meters == {
        0: DeviceRef("eastron-sdm630", "lan", 3), 1: DeviceRef("eastron-sdm630", "rs485", 11, True)
    }  # fmt: skip


def test_more_profiles_lie_in_a_directory_next_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "ours").mkdir()
    board = load(tmp_path, GOOD + '[hardware]\nprofiles = "ours"\n')
    assert board.hardware.profiles == tmp_path / "ours"


MISTAKES = [
    ('model = "Duo"', "", "[station]: model is missing; expected a text"),
    ('model = "Duo"', "model = 7", "[station]: model: found 7 (number), expected a text"),
    ('model = "Duo"', f'model = "{"x" * 21}"', "expected at most 20 characters"),
    ('model = "Duo"', 'model = ""', "[station]: model: found '' (text), expected a text that is not empty"),
    ('serial = "SN-1"', 'serail = "SN-1"', "[station]: serail is not known; did you mean serial?"),
    ('state_dir = "state"', f'control_socket = "{"s" * 108}"', "is longer than 107 bytes"),
    ('url = "ws://127.0.0.1:9000/ocpp"', 'url = "http://x"', "expected ws://host:port/path or wss://"),
    ('url = "ws://127.0.0.1:9000/ocpp"', 'url = "ws://a:b@x/"', "without credentials"),
    ('identity = "CD-0001"', 'identity = "CD:1"', "[network]: identity: found 'CD:1'"),
    ('identity = "CD-0001"', "", "[network]: identity is missing"),
    ('password = "secret secret secret"', "password = 1234", "password: found something, expected a text"),
    ('identity = "CD-0001"', 'identity = "CD-1"\nsecurity_profile = 2', "needs a url that begins"),
    ('identity = "CD-0001"', 'identity = "CD-1"\nsecurity_profile = 4', "a whole number from 1 to 3"),
    ('"FreeCharging.Enabled" = true', '"FreeCharging.Enabled" = [1]', "[keys]: FreeCharging.Enabled: found"),
    ('kind = "rtu"', 'kind = "serial"', "[[bus]] rs485: kind: found 'serial' (text), expected one of"),
    ("baud = 19200", "baud = 19201", "[[bus]] rs485: baud: found 19201, expected one of 1200,"),
    ('parity = "E"', 'parity = "even"', "expected one of N, E, O"),
    ('host = "10.0.0.5"', "", "[[bus]] lan: host is missing"),
    ('host = "10.0.0.5"', 'host = "h"\nbaud = 9600', "[[bus]] lan: baud is not known"),
    ('name = "lan"', 'name = "rs485"', "[[bus]]: name rs485 is used twice"),
    ("id = 1\nkind", "id = 3\nkind", "[[evse]]: found ids [3, 2], expected 1, 2, ... without gaps"),
    ('kind = "raw"', "kind = 1", "[[evse]] 2: kind: found 1 (number), expected a text"),
    ("max_amps = 16", 'max_amps = "16"', "[[evse]] 1: max_amps: found '16' (text), expected a number from 6"),
    ("max_amps = 16", "max_amps = true", "[[evse]] 1: max_amps: found True (truth value)"),
    ("max_amps = 16", "max_amps = 5", "[[evse]] 1: max_amps: found 5 (number), expected a number from 6"),
    ("phases = 1", "phases = 2", "[[evse]] 2: phases: found 2, expected 1 or 3"),
    ("connectors = [{id = 1", "connectors = [{id = 2", "connectors: found ids [2], expected 1, 2, ..."),
    (
        "max_amps = 20}]", 'max_amps = 20}, {id = 2}]', "1: connectors: found 2, expected 1: a controller of kind",
    ),
    ('cable = "socket"', 'cable = "none"', "[[evse]] 1.connectors 1: cable: found 'none' (text)"),
    ('cable = "socket"', 'cabel = "socket"', "[[evse]] 1.connectors 1: cabel is not known; did you"),
    ('controller = {profile = "heidelberg-ec", bus = "rs485", unit = 1}', "", "controller is missing"),
    ('board = {port = "/dev/ttyS2"}', "", "[[evse]] 2: board is missing"),
    ('board = {port = "/dev/ttyS2"}', "board = 3", "[[evse]] 2: board: found 3 (number), expected a table"),
    ('board = {port = "/dev/ttyS2"}', 'board = {port = "/dev/ttyS3"}', "port /dev/ttyS3 is used twice"),
    ('bus = "rs485", unit = 11', 'bus = "rs486", unit = 11', "[[evse]] 1.meter: bus: found 'rs486'"),
    ('bus = "rs485", unit = 11', 'bus = "rs485", unit = 1', "device at bus rs485 unit 1 is used twice"),
    ("unit = 11", 'unit = 11, signs = "yes"', "[[evse]] 1.meter: signs: found 'yes' (text), expected true or false"),
    ("[[reader]]", '[main_meter]\nprofile = "x"\nbus = "lna"\nunit = 3\n[[reader]]', "[main_meter]: bus: found 'lna'"),
    ("unit = 11", "unit = 0", "unit: found 0 (number), expected a whole number from 1 to 247"),
    ("evses = [1, 2]", "evses = [1, 3]", "[[reader]] front: evses: found 3, expected the id of an [[evse]]"),
    ("evses = [1, 2]", "evses = 1", "expected a list of whole numbers"),
    ("[[reader]]", "[reader]", "reader: found {"),
    ("[[reader]]", "[colour]\nx = 1\n[[reader]]", "colour is not known; known here: station, network, keys"),
    ("[[reader]]", '[hardware]\nprofiles = "nowhere"\n[[reader]]', "nowhere is no directory"),
    ("evse = 2", "evse = 7", "[[display]] front: evse: found 7, expected 0 for the whole station or the id"),
    ('kind = "html"', 'kind = "paper"', "[[display]] front: kind: found 'paper' (text)"),
    ("[station]", "[station", "not valid TOML"),
]


@pytest.mark.parametrize(("right", "wrong", "complaint"), MISTAKES)
def test_a_mistake_is_told(tmp_path: Path, right: str, wrong: str, complaint: str) -> None:
    assert right in GOOD
    with pytest.raises(BoardError) as caught:
        load(tmp_path, GOOD.replace(right, wrong, 1))
    assert complaint in str(caught.value)
    assert all(line.startswith(f"{tmp_path / 'board.toml'}: ") for line in str(caught.value).splitlines())
    assert "secret" not in str(caught.value)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    wrong = GOOD.replace("baud = 19200", "baud = 1").replace('vendor = "Example"', "")
    with pytest.raises(BoardError) as caught:
        load(tmp_path, wrong)
    assert len(str(caught.value).splitlines()) == 3


def test_no_file_and_no_evse(tmp_path: Path) -> None:
    with pytest.raises(BoardError, match="no such file"):
        load_board(tmp_path / "nothing.toml", "1")
    with pytest.raises(BoardError, match=r"no \[\[evse\]\]"):
        load(tmp_path, GOOD[: GOOD.index("[[evse]]")])


OWN = """
[[variable]]
name = "AcmeCooling.FanSpeed@1"
type = "decimal"
unit = "RPM"
value = 1200
doc = "Speed of the fan."

[[variable]]
name = "AcmeCooling.Mode"
type = "OptionList"
values = "quiet,strong"
access = "ReadWrite"
"""


def test_variables_that_are_not_ours(tmp_path: Path) -> None:
    board = load(tmp_path, GOOD + OWN)
    check_presets(board)
    assert board.site.own == (
        OwnVariable("AcmeCooling.FanSpeed@1", "decimal", "1200", unit="RPM", doc="Speed of the fan."),
        OwnVariable("AcmeCooling.Mode", "OptionList", "", "ReadWrite", values=("quiet", "strong")),
    )


@pytest.mark.parametrize(
    ("entries", "complaint"),
    [
        ('name = "EVSE.Power@1"\ntype = "decimal"', "is one of ours; preset it in [keys]"),
        ('name = "Acme"\ntype = "decimal"', "expected Component.Variable"),
        ('name = "Acme.X"\ntype = "float"', "expected one of boolean, integer"),
        ('name = "Acme.X"\ntype = "OptionList"', "OptionList needs values"),
        ('name = "Acme.X"\ntype = "integer"\nvalue = "many"', "expected a whole number"),
        ('name = "Acme.X@9"\ntype = "integer"\nvalue = 1', "does not exist here"),
        ('name = "Acme.X"\ntype = "integer"\nunit = "furlong"', "furlong"),
        ('name = "Acme.X"\ntype = "integer"\nacces = "RW"', "did you mean access?"),
    ],
)
def test_a_wrong_variable_of_the_makers_is_told(tmp_path: Path, entries: str, complaint: str) -> None:
    with pytest.raises(BoardError, match=re.escape(complaint)):
        check_presets(load(tmp_path, f"{GOOD}\n[[variable]]\n{entries}\n"))


def test_presets_must_be_variables_of_this_station(tmp_path: Path) -> None:
    text = GOOD.replace("Ctrlr.OfflineLimit", "Ctrlr.OflineLimit").replace('= "10"', '= "ten"')
    with pytest.raises(BoardError) as caught:
        check_presets(load(tmp_path, text))
    assert "[keys]: FallbackCtrlr.OflineLimit: no such variable; did you mean" in str(caught.value)
    assert "[keys]: SampledDataCtrlr.TxUpdatedInterval: expected" in str(caught.value)
