"""chargerctl against the running agent: every verb, for people and as JSON, and what it exits with."""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hil.agent_process import SOURCES
from hil.pki import root
from hil.real_bench import RealBench
from hil.scenarios.charging_session import status
from tests.process.benches import CARDS, charge, chargerctl, plan, ready, socket_of

OK, REFUSED, USAGE, NOT_REACHABLE = range(4)
INTERVAL = "SampledDataCtrlr.TxUpdatedInterval"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealBench]:
    """A station whose EVSE 2 charges."""
    with RealBench(plan(tmp_path_factory.mktemp("cli"))) as running:
        ready(running)
        charge(running, 2)
        yield running


def text(bench: RealBench, *command: str) -> str:
    """What a person reads; the command must succeed."""
    done = chargerctl(bench.rig, *command)
    assert (done.returncode, done.stderr) == (OK, ""), done
    return done.stdout


def data(bench: RealBench, *command: str) -> Any:
    """What a script reads."""
    return json.loads(text(bench, *command, "--json"))


def refusal(bench: RealBench, *command: str) -> str:
    """The sentence of a refusal, the same on both ways out."""
    plain, coded = chargerctl(bench.rig, *command), chargerctl(bench.rig, *command, "--json")
    assert (plain.returncode, coded.returncode) == (REFUSED, REFUSED)
    sentence: str = json.loads(coded.stdout)["error"]
    assert plain.stderr == f"chargerctl: {sentence}\n"
    return sentence


def test_status_is_one_screen_about_everything(bench: RealBench) -> None:
    screen = text(bench, "status")
    for expected in ("connected", "accepted", "EVSE 1", "EVSE 2", "Charging", "kWh", "because of", "Faults"):
        assert expected in screen
    assert len(screen.splitlines()) <= 25
    told = data(bench, "status")
    assert [evse["id"] for evse in told["evses"]] == [1, 2]
    assert told["link"]["state"] == "open" and told["registration"] == "accepted"
    assert told["evses"][1]["transaction"]["id"] == bench.transactions()[0].transaction_id


def test_why_names_who_set_the_limit(bench: RealBench) -> None:
    [told] = data(bench, "why", "--evse", "2")
    lowest = min(claim["amps"] for claim in told["claims"])
    assert told["amps"] == lowest == told["commanded_amps"]
    assert f"EVSE 2: {lowest:g} A because of {told['owner']}" in text(bench, "why", "--evse", "2")
    assert text(bench, "why").count("because of") == 2
    assert "no EVSE 9" in refusal(bench, "why", "--evse", "9")


def test_config_is_read_written_and_listed(bench: RealBench) -> None:
    assert text(bench, "config", "set", INTERVAL, "7") == f"{INTERVAL} = 7\n"
    assert text(bench, "config", "get", INTERVAL) == "7\n"
    wanted = {"component": {"name": "SampledDataCtrlr"}, "variable": {"name": "TxUpdatedInterval"}}
    [read] = bench.call("GetVariables", {"getVariableData": [wanted]})["getVariableResult"]
    assert read["attributeValue"] == "7"
    rows = data(bench, "config", "list", "--search", "TxUpdatedInterval")
    assert [(row["name"], row["value"]) for row in rows] == [(INTERVAL, "7")]
    assert len(data(bench, "config", "list")) > 100
    for wrong in (("set", INTERVAL, "soon"), ("set", "ChargingStation.Model", "X"), ("get", "No.Such")):
        assert refusal(bench, "config", *wrong)


def test_config_is_exported_compared_and_taken_over_again(bench: RealBench, tmp_path: Path) -> None:
    limit, file = "FallbackCtrlr.OfflineLimit", tmp_path / "config.json"
    assert "settings written" in text(bench, "config", "export", str(file), "--1.6-names")
    assert "MeterValueSampleInterval" in file.read_text()
    text(bench, "config", "set", limit, "8")
    assert [row["name"] for row in data(bench, "config", "diff", str(file))] == [limit], "by 1.6 names"
    text(bench, "config", "set", limit, "6")
    text(bench, "config", "export", str(file))
    text(bench, "config", "set", limit, "8")
    assert [row["name"] for row in data(bench, "config", "diff", str(file))] == [limit]
    assert limit in text(bench, "config", "diff")
    assert f"{limit}  8       6" in text(bench, "config", "import", str(file))
    assert text(bench, "config", "diff", str(file)) == "no difference\n"
    file.write_text(file.read_text().replace('"FallbackCtrlr.OfflineLimit": "6"', '"FallbackCtrlr.OfflineLimit": "99"'))
    assert "0 to 80" in refusal(bench, "config", "import", str(file))


def test_meters_are_read_from_memory_and_from_the_device(bench: RealBench) -> None:
    [row] = data(bench, "meter", "read", "--evse", "2")
    assert float(row["reading"]["values"]["current_a"]["L1"]) == pytest.approx(16, abs=0.1)
    assert "16.00 A" in text(bench, "meter", "read", "--evse", "2")
    raw = {row["point"]: float(row["value"]) for row in data(bench, "meter", "read", "--raw", "--evse", "2")}
    assert raw["current_l1"] == pytest.approx(16, abs=0.1)
    assert "energy_import" in text(bench, "meter", "read", "--raw", "--evse", "1")


def test_faults_are_listed_while_they_stand(bench: RealBench) -> None:
    assert text(bench, "fault", "list") == "no faults\n"
    assert data(bench, "fault", "list") == []
    bench.raise_fault(2, "over_temperature")
    bench.wait_until("it is listed", lambda: "over_temperature" in text(bench, "fault", "list"))
    assert data(bench, "fault", "list")[0]["evse"] == 2
    bench.clear_fault(2, "over_temperature")
    bench.wait_until("it is over", lambda: data(bench, "fault", "list") == [])


def test_buses_tell_their_health(bench: RealBench) -> None:
    rows = {row["bus"]: row for row in data(bench, "bus", "health")}
    assert set(rows) == {"rs485", "lan"} and all(row["up"] for row in rows.values())
    assert "rs485" in text(bench, "bus", "health")
    assert "no bus 'attic'" in refusal(bench, "bus", "scan", "attic")
    assert "expected 1 to 247" in refusal(bench, "bus", "scan", "--last", "300")


@pytest.mark.soak
def test_a_scan_finds_every_unit_while_a_car_charges(bench: RealBench) -> None:
    found = data(bench, "bus", "scan", "rs485")
    assert [row["unit"] for row in found] == [1, 11]


IN_THE_BACKGROUND = ("sh", "-c", 'trap "" INT; exec "$@"', "sh")
"""As a shell without job control starts what runs beside it: with Ctrl-C ignored."""


def test_the_tail_shows_frames_as_they_pass(bench: RealBench) -> None:
    command = [*IN_THE_BACKGROUND, sys.executable, "-m", "agent.cli", "ocpp", "tail", "--json", "--last", "1"]
    with subprocess.Popen([*command, "--socket", str(socket_of(bench.rig))], cwd=SOURCES, text=True,
                          stdout=subprocess.PIPE) as tail:  # fmt: skip
        assert tail.stdout is not None
        assert set(json.loads(tail.stdout.readline())) == {"ts", "mono_ms", "dir", "connection", "frame"}
        bench.call("GetLocalListVersion", {})
        passed = iter(lambda: json.loads(tail.stdout.readline()), None)  # type: ignore[union-attr]
        asked = next(line for line in passed if "GetLocalListVersion" in line["frame"])
        number = json.loads(asked["frame"])[1]
        answer = next(line for line in passed if json.loads(line["frame"])[1] == number)
        assert (asked["dir"], answer["dir"]) == ("<", ">")
        tail.send_signal(signal.SIGINT)
        assert tail.wait(10) == OK


def test_version(bench: RealBench) -> None:
    assert data(bench, "version")["ocpp"] == "2.0.1"
    assert "2.0.1" in text(bench, "version")


def test_a_bundle_has_everything_of_a_running_charger_and_no_secret(bench: RealBench, tmp_path: Path) -> None:
    """D7; a password that the CSMS plants and the card that charges are nowhere, not in the journal either."""
    planted = "planted-password-000"
    name = {"component": {"name": "SecurityCtrlr"}, "variable": {"name": "BasicAuthPassword"}}
    links = bench.rig.cutter.connections
    bench.call("SetVariables", {"setVariableData": [{**name, "attributeValue": planted}]})
    bench.wait_until("a connection rests on it", lambda: bench.rig.cutter.connections > links and bench.connected())
    bench.call("GetLog", {"logType": "SecurityLog", "requestId": 1, "log": {
        "remoteLocation": bench.file_url("missing").replace("//", f"//u:{planted}@", 1)}, "retries": 0})  # fmt: skip
    file = tmp_path / "bundle.tar.gz"
    assert str(file) in text(bench, "bundle", str(file)) and file.stat().st_mode & 0o777 == 0o600
    with tarfile.open(file) as tar:
        parts = {m.name.removeprefix("chargerd/"): content.read() for m in tar if (content := tar.extractfile(m))}
    parts = {name: gzip.decompress(part) if name.endswith(".gz") else part for name, part in parts.items()}
    told = {name.removesuffix(".json"): json.loads(part) for name, part in parts.items() if name.endswith(".json")}
    assert told["status"]["evses"][1]["transaction"]["id"] == bench.transactions()[0].transaction_id
    assert {bus["bus"] for bus in told["bus_health"]} and told["history"]["recorder"]["2"]
    assert len(told["config"]) > 100 and told["board"]["network"]["identity"] == "CD-0001"
    lines = [json.loads(line) for line in parts["station.jsonl.gz"].splitlines()]
    assert {"boot", "session", "limit"} <= {line["topic"] for line in lines if "topic" in line}
    assert any("TransactionEvent" in line["frame"] for line in lines if "frame" in line)
    everything = b"".join(parts.values()).decode() + bench.rig.agent.log.read_text()
    for secret in (planted, CARDS[2], CARDS[2].lower()):
        assert secret not in everything, secret


def test_the_doctor_finds_a_connected_charger_well(bench: RealBench) -> None:
    """It leaves the agent's connection alone."""
    before = bench.rig.cutter.connections
    screen = text(bench, "doctor", "--config", str(bench.rig.board_file))
    steps = ("disk", "certificates", "agent", "store", "hardware", "settings", "clock", "DNS", "TCP", "TLS", "boot")
    assert [line.split()[:2] for line in screen.splitlines()] == [["ok", step] for step in steps]
    assert "the agent is connected and accepted" in screen
    bench.wait_until("the agent is connected", bench.connected)
    assert bench.rig.cutter.connections <= before + 1


def test_the_certificates_are_listed_without_their_keys(bench: RealBench) -> None:
    maker = root("Maker", days=20)
    wanted = {"certificateType": "ManufacturerRootCertificate", "certificate": maker.pem}
    assert bench.call("InstallCertificate", wanted)["status"] == "Accepted"
    [row] = data(bench, "cert", "list")
    assert (row["type"], row["subject"], row["key"]) == ("ManufacturerRootCertificate", "CN=Maker", "EC 256")
    assert row["serial"] == f"{maker.certificate.serial_number:x}" and row["days_left"] in (18, 19)
    assert "DAYS LEFT" in text(bench, "cert", "list")


def test_a_transaction_is_listed_and_ended_by_force(bench: RealBench) -> None:
    [transaction] = bench.transactions()
    assert transaction.transaction_id in text(bench, "tx", "list")
    assert "no running transaction" in refusal(bench, "tx", "force-end", "T1")
    assert data(bench, "tx", "force-end", transaction.transaction_id)
    bench.wait_until("the CSMS knows", lambda: transaction.ended)
    bench.wait_until("it is open", lambda: not bench.closed(2))
    told = data(bench, "tx", "list")
    assert told["running"] == [] and [row["id"] for row in told["ended"]] == [transaction.transaction_id]


def test_a_token_is_presented_without_a_reader(bench: RealBench) -> None:
    bench.plug(1, amps=16)
    bench.wait_until("Occupied", lambda: status(bench, 1) == "Occupied")
    assert data(bench, "token", "present", CARDS[1], "--evse", "1") == {"presented": True}
    bench.wait_until("current", lambda: min(bench.amps(1)) > 15.9)
    bench.unplug(1)
    bench.wait_until("Available", lambda: status(bench, 1) == "Available")


def test_wrong_usage_and_no_agent_have_codes_of_their_own(bench: RealBench) -> None:
    assert chargerctl(bench.rig, "status", "--evse", "x").returncode == USAGE
    assert bench.stop_agent() == 0
    gone = chargerctl(bench.rig, "status")
    assert gone.returncode == NOT_REACHABLE and "chargerd is not running" in gone.stderr
