"""chargerctl against a scripted agent: exit codes, plain sentences, JSON, the tail."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent import cli


class Scripted:
    """A socket that answers every request with the lines it was given, and keeps the requests."""

    def __init__(self, path: Path, *lines: object) -> None:
        self.requests: list[dict[str, Any]] = []
        self._lines = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._server.bind(str(path))
        self._server.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                with client, client.makefile("rw") as lines:
                    self.requests.append(json.loads(lines.readline()))
                    lines.writelines(line + "\n" for line in self._lines)

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(5)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CHARGERD_SOCKET", str(tmp_path / "control.sock"))
    return tmp_path / "control.sock"


@contextlib.contextmanager
def answering(path: Path, *lines: object) -> Iterator[Scripted]:
    agent = Scripted(path, *lines)
    yield agent
    agent.close()


@pytest.mark.parametrize(
    ("argv", "request_"),
    [
        ("status", {"verb": "status", "args": {}}),
        ("why --evse 2", {"verb": "why", "args": {"evse": 2}}),
        ("why --at 2026-01-31T13:00:05+01:00", {"verb": "why", "args": {"at": "2026-01-31T12:00:05+00:00"}}),
        ("config get TxCtrlr.TxStartPoint", {"verb": "config.get", "args": {"name": "TxCtrlr.TxStartPoint"}}),
        ("config set A.B -5", {"verb": "config.set", "args": {"name": "A.B", "value": "-5"}}),
        ("config list --search tx", {"verb": "config.list", "args": {"search": "tx"}}),
        ("config diff", {"verb": "config.diff", "args": {}}),
        ("config export --1.6-names", {"verb": "config.export", "args": {"names_1_6": True}}),
        ("tx list", {"verb": "tx.list", "args": {}}),
        ("tx force-end T1", {"verb": "tx.force-end", "args": {"transaction_id": "T1"}}),
        ("meter read --raw --evse 1", {"verb": "meter.read", "args": {"raw": True, "evse": 1}}),
        ("limit set 10", {"verb": "limit.set", "args": {"limit": 10, "unit": "A", "fallback": 0, "evse": 0,
                                                        "source": "Operator"}}),
        ("limit release --evse 1 --source EMS", {"verb": "limit.release", "args": {"evse": 1, "source": "EMS"}}),
        ("fault list", {"verb": "fault.list", "args": {}}),
        ("bus scan rs485", {"verb": "bus.scan", "args": {"bus": "rs485", "first": 1, "last": 32}}),
        ("bus scan --first 40 --last 41", {"verb": "bus.scan", "args": {"first": 40, "last": 41}}),
        ("bus health", {"verb": "bus.health", "args": {}}),
        ("token present 04AA", {"verb": "token.present", "args": {"token": "04AA", "type": "ISO14443"}}),
        ("network list", {"verb": "network.list", "args": {}}),
        ("network try 1", {"verb": "network.try", "args": {"slot": 1}}),
        ("cert list", {"verb": "cert.list", "args": {}}), ("version", {"verb": "version", "args": {}}),
    ],
)
def test_each_command_asks_its_verb_and_prints_json(
    path: Path, capsys: pytest.CaptureFixture[str], argv: str, request_: dict[str, Any]
) -> None:
    with answering(path, {"ok": True, "data": {"answer": 42}}) as agent:
        assert cli.main([*argv.split(), "--json"]) == 0
        asked = agent.requests[0]
        assert asked["verb"] == request_["verb"]
        assert {k: v for k, v in asked["args"].items() if v is not False} == request_["args"]
    assert json.loads(capsys.readouterr().out) == {"answer": 42}


EXPORT = {"format": "chargerd-config/1", "keys": {"A.B": "1", "C.D": ""}}


def test_an_export_goes_to_a_file_and_an_import_comes_from_one(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "config.json"
    with answering(path, {"ok": True, "data": EXPORT}):
        assert cli.main(["config", "export", str(file)]) == 0
    assert capsys.readouterr().out == f"2 settings written to {file}\n"
    path.unlink()
    change = {"name": "A.B", "old": "", "value": "1", "status": "RebootRequired"}
    done = {"changed": [change], "unchanged": 1, "left_out": []}
    with answering(path, {"ok": True, "data": done}) as agent:
        assert cli.main(["config", "import", str(file), "--dry-run"]) == 0
        assert json.loads(agent.requests[0]["args"]["file"]) == EXPORT and agent.requests[0]["args"]["dry_run"] is True
    shown = capsys.readouterr().out
    assert "A.B   (empty)  1    after a reboot" in shown and "1 changed, 1 as before" in shown


def test_firmware_travels_with_its_certificate_and_signature(path: Path, tmp_path: Path) -> None:
    (tmp_path / "fw.bin.pem").write_text("PEM")
    (tmp_path / "fw.bin.sig").write_bytes(b"\xff\xfe")
    (tmp_path / "other.sig").write_text("YWJj\n")
    with answering(path, {"ok": True, "data": {"status": "Accepted"}}) as agent:
        assert cli.main(["fw", "install", str(tmp_path / "fw.bin")]) == 0
        assert cli.main(["fw", "install", str(tmp_path / "fw.bin"), "--signature", str(tmp_path / "other.sig")]) == 0
        assert cli.main(["fw", "rollback"]) == 0
    file = str(tmp_path / "fw.bin")
    assert [(request["verb"], request["args"]) for request in agent.requests] == [
        ("fw.install", {"file": file, "certificate": "PEM", "signature": "//4="}),
        ("fw.install", {"file": file, "certificate": "PEM", "signature": "YWJj"}),
        ("fw.rollback", {}),
    ]


def test_a_file_is_compared_with_what_is_in_force(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(EXPORT))
    rows = [{"name": "A.B", "value": "1", "file": "2"}, {"name": "E.F", "value": None, "file": "3"}]
    with answering(path, {"ok": True, "data": rows}) as agent:
        assert cli.main(["config", "diff", str(file)]) == 0
        assert agent.requests[0] == {"verb": "config.diff", "args": {"file": file.read_text()}}
    assert capsys.readouterr().out.splitlines() == ["NAME  IN FORCE  FILE", "A.B   1         2", "E.F   (none)    3"]


@pytest.mark.parametrize("command", [["import"], ["diff"]])
@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_file_that_cannot_be_read_is_exit_code_2(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str], content: bytes | None
) -> None:
    file = tmp_path / "config.json"
    if content is not None:
        file.write_bytes(content)
    assert cli.main(["config", *command, str(file)]) == 2
    assert str(file) in capsys.readouterr().err


def test_a_refusal_is_exit_code_1_with_the_reason(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with answering(path, {"ok": False, "data": {"error": "no EVSE 9"}}):
        assert cli.main(["why", "--evse", "9"]) == 1
        assert capsys.readouterr().err == "chargerctl: no EVSE 9\n"
        assert cli.main(["why", "--evse", "9", "--json"]) == 1
        assert json.loads(capsys.readouterr().out) == {"error": "no EVSE 9"}


@pytest.mark.parametrize("wrong", [
    "", "dance", "config", "config get", "why --evse x", "why --at 25:00", "why --at 2026-01-31T12:00:00",
])  # fmt: skip
def test_a_wrong_command_line_is_exit_code_2(wrong: str) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(wrong.split())
    assert ended.value.code == 2


def test_an_agent_that_is_not_there_is_exit_code_3_and_a_sentence(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["status"]) == 3
    assert capsys.readouterr().err == f"chargerctl: chargerd is not running: there is no socket {path}\n"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert cli.main(["status"]) == 3
    assert "nobody answers" in capsys.readouterr().err


@pytest.mark.parametrize("line", ["", "hello", '{"hello": 1}', "[]"])
def test_something_else_behind_the_socket_is_exit_code_3(path: Path, line: str) -> None:
    with answering(path, *([line] if line else [])):
        assert cli.main(["status"]) == 3


def test_no_permission_is_exit_code_4_and_names_the_way_out(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may open everything, so the kernel's answer is given by hand."""

    class Forbidden(socket.socket):
        def connect(self, address: Any) -> None:
            raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("agent.cli.socket.socket", Forbidden)
    assert cli.main(["status"]) == 4
    assert "become a member of its group" in capsys.readouterr().err


def test_the_socket_option_wins_over_the_environment(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.sock"
    with answering(other, {"ok": True, "data": {"firmware": "1"}}) as agent:
        assert cli.main(["version", "--socket", str(other)]) == 0
        assert len(agent.requests) == 1


def test_the_tail_prints_each_frame_and_ends_with_the_agent(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = {"ts": "2026-01-01T10:00:00.123Z", "mono_ms": 1, "dir": ">", "connection": 2, "frame": "[2]"}
    with answering(path, frame, {**frame, "dir": "<"}) as agent:
        assert cli.main(["ocpp", "tail", "--last", "3"]) == 3
        assert agent.requests == [{"verb": "ocpp.tail", "args": {"last": 3}}]
    assert capsys.readouterr().out == "10:00:00.123 #2 > [2]\n10:00:00.123 #2 < [2]\n"


def test_help_tells_the_exit_codes_and_every_command_has_json() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "agent.cli", "config", "set", "--help"],
        capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "100"},
    )  # fmt: skip
    for expected in ("--json", "--socket", "exit codes:", "3  the agent is not reachable"):
        assert expected in run.stdout
