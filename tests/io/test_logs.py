"""The frames' log: bounded, readable, and never with a password in it; the decision log cannot be forged."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from random import Random

import pytest

from agent.io.logs import FrameLog, note

SECRET = "hunter2hunter2hunter2"
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
    log = FrameLog(tmp_path / "ocpp.log.gz", lambda: 0)
    heard: list[object] = []
    log.listen(heard.append)
    log.seen("<", 1, frame.replace("%s", SECRET))
    log.flush()
    with gzip.open(tmp_path / "ocpp.log.gz", "rt") as file:
        assert SECRET not in file.read()
    assert SECRET not in json.dumps(heard)
    assert len(heard) == 1


def test_a_frame_about_passwords_keeps_everything_else(tmp_path: Path) -> None:
    log = FrameLog(tmp_path / "ocpp.log.gz", lambda: 0)
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
    log = FrameLog(tmp_path / "ocpp.log.gz", lambda: 0, size_limit=200_000)
    noise = Random(1)
    for n in range(5000):
        log.seen(">", 1, f"[2,{n},{noise.randbytes(100).hex()}]")
    log.flush()
    assert 100_000 < sum(file.stat().st_size for file in tmp_path.iterdir()) < 300_000
    assert log.recent(1)[0]["frame"].startswith("[2,4999,")
    assert len(log.recent(300)) == 300


def test_what_a_power_cut_spoilt_costs_its_own_lines_only(tmp_path: Path) -> None:
    path = tmp_path / "ocpp.log.gz"
    for n in range(3):
        log = FrameLog(path, lambda: 0)
        log.seen(">", 1, f"[2,{n}]")
        log.flush()
        if n == 1:
            path.write_bytes(path.read_bytes()[:-12])
    assert [line["frame"] for line in log.recent(9)] == ["[2,0]", "[2,2]"]


def test_a_huge_frame_is_cut_and_hostile_nesting_is_survived(tmp_path: Path) -> None:
    log = FrameLog(tmp_path / "ocpp.log.gz", lambda: 0)
    log.seen("<", 1, "y" * 250_000)
    log.seen("<", 1, "[" * 100_000 + '"password"')
    big, deep = log.recent(2)
    assert big["frame"].endswith("(250000 characters)")
    assert len(big["frame"]) < 40_000
    assert "not shown because it may hold a secret" in deep["frame"]


def test_a_directory_that_cannot_be_written_costs_lines_only(tmp_path: Path) -> None:
    log = FrameLog(tmp_path / "nowhere" / "ocpp.log.gz", lambda: 0)
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
