"""The process itself, started as on a board: options, exit codes, one per state directory, the orderly end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent import cli
from agent.io.system import VERSION
from tests.io.waiting import until_blocking

ROOT = Path(__file__).resolve().parents[2]
BOARD = """
[station]
vendor = "Example"
model = "Solo"
serial = "SN-1"
state_dir = "state"
control_socket = "control.sock"

[[bus]]
name = "rs485"
kind = "rtu"
port = "no-such-port"

[[evse]]
id = 1
kind = "smart"
max_amps = 16
phases = 3
controller = {profile = "heidelberg-ec", bus = "rs485", unit = 1}
meter = {profile = "eastron-sdm630", bus = "rs485", unit = 11}
"""


@pytest.fixture
def board(tmp_path: Path) -> Path:
    (tmp_path / "board.toml").write_text(BOARD)
    return tmp_path / "board.toml"


def chargerd(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    command = [sys.executable, "-m", "agent", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


@contextlib.contextmanager
def running(board: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run it until the end of the block; yields once it answers on its socket."""
    environment = {name: value for name, value in os.environ.items() if name != "CHARGERD_SOCKET"}
    with (board.parent / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "agent", "--config", str(board)], cwd=ROOT, stderr=log, env=environment
        )
    try:
        until_blocking(lambda: process.poll() is not None or answers(board.parent / "control.sock"), 30)
        yield process
    finally:
        process.kill()
        process.wait()


def answers(path: Path) -> bool:
    """Somebody listens there (a killed agent leaves its socket behind)."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def ask(board: Path, *command: str) -> int:
    return cli.main([*command, "--socket", str(board.parent / "control.sock")])


def test_check_tells_good_and_bad(board: Path) -> None:
    assert (chargerd("--config", board, "--check").stdout, (board.parent / "state").exists()) == (
        f"{board}: good\n",
        False,
    )
    for right, wrong, complaint in (
        ("max_amps = 16", "max_amps = 1", "[[evse]] 1: max_amps"),
        ("heidelberg-ec", "heidelberg-xx", "heidelberg-xx"),
        ("eastron-sdm630", "heidelberg-ec", "expected a meter"),
        ('kind = "smart"', 'kind = "magic"', "magic"),
        ("[[bus]]", '[keys]\n"A.B" = 1\n[[bus]]', "[keys]: A.B: no such variable"),
    ):
        board.write_text(BOARD.replace(right, wrong))
        run = chargerd("--config", board, "--check")
        assert run.returncode == 2, wrong
        assert complaint in run.stderr
        assert str(board) in run.stderr


def test_a_bad_board_ends_the_start_with_2(board: Path) -> None:
    board.write_text(BOARD.replace("heidelberg-ec", "heidelberg-xx"))
    assert chargerd("--config", board).returncode == 2
    board.write_text(BOARD.replace("[[bus]]", '[keys]\n"A.B" = 1\n[[bus]]'))
    run = chargerd("--config", board)
    assert (run.returncode, "A.B" in run.stderr) == (2, True)
    assert chargerd("--config", board.parent / "none.toml").returncode == 2
    assert chargerd("--colour").returncode == 2


def test_the_version_is_that_of_the_distribution() -> None:
    assert chargerd("--version").stdout == f"chargerd {VERSION}\n"
    assert f'\nversion = "{VERSION}"\n' in (ROOT / "pyproject.toml").read_text()


def test_it_answers_people_keeps_what_they_set_and_ends_in_order(
    board: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(board) as process:
        assert ask(board, "status") == 0
        assert "Example Solo" in capsys.readouterr().out
        assert ask(board, "config", "set", "FallbackCtrlr.OfflineLimit", "8") == 0
        assert ask(board, "config", "set", "FallbackCtrlr.OfflineLimit", "-1") == 1
        assert ask(board, "bus", "health") == 0
        assert "rs485" in capsys.readouterr().out
        assert ask(board, "meter", "read", "--raw") == 1
        assert "rs485" in capsys.readouterr().err
        second = chargerd("--config", board)
        assert (second.returncode, "another chargerd" in second.stderr) == (75, True)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert ask(board, "status") == 3
    assert json.loads((board.parent / "state" / "boot.json").read_text())["clean"] is True
    capsys.readouterr()
    with running(board):
        assert ask(board, "config", "get", "FallbackCtrlr.OfflineLimit") == 0
        assert capsys.readouterr().out == "8\n"
        assert ask(board, "status", "--json") == 0
        assert json.loads(capsys.readouterr().out)["station"]["boot_reason"] == "ApplicationReset"


def test_what_was_answered_survives_sigkill(board: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for amps in range(6, 9):
        with running(board) as process:
            assert ask(board, "config", "set", "FallbackCtrlr.OfflineLimit", str(amps)) == 0
            process.kill()
            process.wait()
        with running(board):
            capsys.readouterr()
            assert ask(board, "config", "get", "FallbackCtrlr.OfflineLimit") == 0
            assert capsys.readouterr().out == f"{amps}\n"


def test_without_a_usable_state_directory_it_still_runs_and_says_so(
    board: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (board.parent / "state").write_text("in the way")
    with running(board):
        assert ask(board, "status") == 0
        assert "dead" in capsys.readouterr().out
        assert ask(board, "config", "set", "FallbackCtrlr.OfflineLimit", "8") != 0
    assert "store" in (board.parent / "log").read_text()
