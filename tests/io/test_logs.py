"""The frames' log: bounded, readable, and never with a password in it; the decision log cannot be forged."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from random import Random

import pytest

from agent.io.logs import StationLog, kept_lines, note, station_log
from agent.io.redaction import Redactor
from config_keys.values import Values

SECRET = "hunter2hunter2hunter2"
REDACTOR = Redactor(b"salt")
WITH_SECRETS = [
    '[2,"1","SetVariables",{"setVariableData":[{"attributeValue":"%s","component":{"name":"SecurityCtrlr"},'
    '"variable":{"name":"BasicAuthPassword"}}]}]',
    '[2,"1","SetVariables",{"setVariableData":[{"attributeValue":"%s","component":{"name":"SecurityCtrlr"},'
    '"variable":{"name":"\\u0042asicAuthPassword"}}]}]',
    '[2,"1","SetNetworkProfile",{"connectionData":{"apn":{"apnPassword":"%s"},"vpn":{"password":"%s"}}}]',
    '[2,"1","NotifyReport",{"reportData":[{"component":{"name":"SecurityCtrlr"},"variable":{"name":'
    '"BasicAuthPassword"},"variableAttribute":[{"value":"%s"}]}]}]',
    '[2,"1","SetVariables",{"attributeValue":"%s","variable":{"name":"BasicAuthPassword"}',
]


@pytest.mark.parametrize("frame", WITH_SECRETS)
def test_no_password_reaches_the_file_or_a_listener(tmp_path: Path, frame: str) -> None:
    log = StationLog(tmp_path / "station.log.gz", lambda: 0, REDACTOR)
    heard: list[object] = []
    log.listen(heard.append)
    log.seen("<", 1, frame.replace("%s", SECRET))
    log.flush()
    with gzip.open(tmp_path / "station.log.gz", "rt") as file:
        assert SECRET not in file.read()
    assert SECRET not in json.dumps(heard)
    assert len(heard) == 1


@pytest.mark.parametrize("redact", ["true", "false"])
def test_the_settings_say_how_large_the_log_is_and_whether_it_names_customers(tmp_path: Path, redact: str) -> None:
    """B13 of the buyers' list: LogCtrlr.MaxBytes and LogCtrlr.Redact; a secret is never written."""
    keys = Values({1: [1]}, {"LogCtrlr.MaxBytes": "100000", "LogCtrlr.Redact": redact})
    log = station_log(tmp_path, lambda: 0, keys)
    log.seen(">", 1, '[2,"1","Authorize",{"idToken":{"idToken":"04AABBCC","type":"ISO14443"}}]')
    log.seen("<", 1, WITH_SECRETS[0].replace("%s", SECRET))
    told = json.dumps(log.recent(5))
    assert ("04AABBCC" in told) == (redact == "false") and SECRET not in told
    noise = Random(1)
    for n in range(5000):
        log.seen(">", 1, f"[2,{n},{noise.randbytes(100).hex()}]")
    log.flush()
    assert 0 < sum(file.stat().st_size for file in tmp_path.glob("*.gz")) < 200_000


def test_a_frame_about_passwords_keeps_everything_else(tmp_path: Path) -> None:
    log = StationLog(tmp_path / "station.log.gz", lambda: 0, REDACTOR)
    log.seen(">", 3, WITH_SECRETS[0].replace("%s", SECRET))
    (line,) = log.recent(5)
    data = json.loads(line["frame"])[3]["setVariableData"][0]
    assert data == {
        "attributeValue": "***",
        "component": {"name": "SecurityCtrlr"},
        "variable": {"name": "BasicAuthPassword"},
    }
    assert (line["dir"], line["connection"], line["mono_ms"]) == (">", 3, 0)


def test_the_log_stays_in_its_bound_and_keeps_the_newest(tmp_path: Path) -> None:
    log = StationLog(tmp_path / "station.log.gz", lambda: 0, REDACTOR, size_limit=200_000)
    noise = Random(1)
    for n in range(5000):
        log.seen(">", 1, f"[2,{n},{noise.randbytes(100).hex()}]")
    log.flush()
    assert 100_000 < sum(file.stat().st_size for file in tmp_path.iterdir()) < 300_000
    assert log.recent(1)[0]["frame"].startswith("[2,4999,")
    assert len(log.recent(300)) == 300


def test_what_a_power_cut_spoilt_costs_its_own_lines_only(tmp_path: Path) -> None:
    path = tmp_path / "station.log.gz"
    for n in range(3):
        log = StationLog(path, lambda: 0, REDACTOR)
        log.seen(">", 1, f"[2,{n}]")
        log.flush()
        if n == 1:
            path.write_bytes(path.read_bytes()[:-12])
    assert [line["frame"] for line in log.recent(9)] == ["[2,0]", "[2,2]"]


def test_a_huge_frame_is_cut_and_hostile_nesting_is_survived(tmp_path: Path) -> None:
    log = StationLog(tmp_path / "station.log.gz", lambda: 0, REDACTOR)
    log.seen("<", 1, "y" * 250_000)
    log.seen("<", 1, "[" * 100_000 + '"password"')
    big, deep = log.recent(2)
    assert big["frame"].endswith("(250000 characters)")
    assert len(big["frame"]) < 40_000
    assert "not shown because it may hold a secret" in deep["frame"]


def test_a_directory_that_cannot_be_written_costs_lines_only(tmp_path: Path) -> None:
    log = StationLog(tmp_path / "nowhere" / "station.log.gz", lambda: 0, REDACTOR)
    log.seen(">", 1, "[2]")
    log.flush()
    assert log.recent(5) == []


def test_text_of_others_cannot_start_a_line_of_its_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    note("warning", "link", "closed: bye\n<0>kernel: all is lost \x1b[2J ä")
    assert capsys.readouterr().err == "<4>link: closed: bye\\n<0>kernel: all is lost \\x1b[2J ä\n"
    monkeypatch.delenv("JOURNAL_STREAM")
    note("info", "config", "x = 1")
    assert capsys.readouterr().err.endswith(" info    config: x = 1\n")


TOKEN = "04C0FFEE010203"
WITH_CUSTOMERS = [
    '[2,"1","Authorize",{"idToken":{"idToken":"%s","type":"ISO14443","additionalInfo":'
    '[{"additionalIdToken":"%s","type":"x"}]}}]',
    '[2,"1","CustomerInformation",{"customerIdentifier":"%s"}]',
    '[2,"1","NotifyCustomerInformation",{"data":"{\\"keptIn\\": \\"cache\\", \\"value\\": \\"%s\\"}","seqNo":0}]',
    '[2,"1","Authorize",{"\\u0069dToken":{"\\u0069dToken":"%s","type":"ISO14443"}}]',
]


@pytest.mark.parametrize("frame", WITH_CUSTOMERS)
def test_the_file_has_aliases_for_customers(tmp_path: Path, frame: str) -> None:
    log = StationLog(tmp_path / "station.log.gz", lambda: 0, REDACTOR)
    for token in (TOKEN, TOKEN.lower()):
        log.seen(">", 1, frame.replace("%s", token))
    first, second = (line["frame"] for line in log.recent(2))
    assert TOKEN.lower() not in (first + second).lower()
    assert first == second, "the same token has the same alias, whatever its case"


def test_private_keys_and_credentials_of_addresses_are_in_no_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = "-----BEGIN EC PRIVATE KEY-----\n%s\n-----END EC PRIVATE KEY-----"
    url = "ftp://user:%s@logs.example/in"
    log = StationLog(tmp_path / "station.log.gz", lambda: 0, REDACTOR)
    for text in (planted.replace("%s", SECRET) for planted in (key, url, url.replace("%s", "a@%s"))):
        note("error", "tls", text)
        log.noted("error", "tls", text)
        log.seen("<", 1, json.dumps([2, "1", "GetLog", {"log": {"remoteLocation": text}}]))
    log.flush()
    kept = "".join(kept_lines(tmp_path / "station.log.gz"))
    assert kept.count("***") >= 6 and "logs.example/in" in kept
    assert SECRET not in kept + capsys.readouterr().err


def test_decisions_and_frames_are_on_one_timeline_that_can_be_cut(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "station.log.gz"
    log = StationLog(path, lambda: 7, REDACTOR)
    log.noted("trace", "limit", "EVSE 1: 16 A")
    log.seen(">", 1, "[2]")
    log.noted("info", "session", "EVSE 1: ready")
    log.flush()
    lines = [json.loads(line) for line in kept_lines(path)]
    assert [line.get("topic", line.get("dir")) for line in lines] == ["limit", ">", "session"]
    assert lines[0]["ts"] <= lines[1]["ts"] <= lines[2]["ts"] and lines[0]["mono_ms"] == 7
    assert not list(kept_lines(path, oldest="9999")) and not list(kept_lines(path, latest="1999"))
    assert len(log.recent(9)) == 1, "people who follow frames see frames"
    note("trace", "limit", "EVSE 1: 16 A")
    assert not capsys.readouterr().err
