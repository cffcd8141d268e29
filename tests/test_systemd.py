"""What ships in systemd/ fits what the agent reads."""

from __future__ import annotations

import re
import shutil
import subprocess
from configparser import RawConfigParser
from pathlib import Path

import pytest

from agent.io.board import check_presets, load_board

SYSTEMD = Path(__file__).resolve().parent.parent / "systemd"


def test_the_example_board_is_read_without_a_mistake() -> None:
    board = load_board(SYSTEMD / "board.toml", "0.1.0")
    check_presets(board)
    assert [evse.id for evse in board.site.evses] == [1, 2]


def test_the_unit_matches_the_example() -> None:
    unit = RawConfigParser(strict=False)
    unit.read(SYSTEMD / "chargerd.service")
    service = dict(unit["Service"])
    example = (SYSTEMD / "board.toml").read_text()
    assert f"/var/lib/{service['statedirectory']}\"" in example
    assert f"/run/{service['runtimedirectory']}/control.sock" in example
    assert service["type"] == "notify" and service["restart"] == "always"


def test_secrets_stay_where_they_are() -> None:
    """No core dump, a state directory of the agent's own, a board.toml that only root writes and the agent reads."""
    unit = RawConfigParser(strict=False)
    unit.read(SYSTEMD / "chargerd.service")
    service = unit["Service"]
    assert service["limitcore"] == "0" and service["statedirectorymode"] == "0700"
    assert "z /etc/chargerd/board.toml 0640 root chargerd" in (SYSTEMD / "chargerd.tmpfiles.conf").read_text()
    assert int(service["umask"], 8) & 0o027 == 0o027


def test_what_the_agent_asks_the_kernel_is_allowed() -> None:
    """adjtimex for the clock, boot_id for the reason of the start: a sandbox without them is blind, not safer."""
    lines = (SYSTEMD / "chargerd.service").read_text().splitlines()
    filters = [line.partition("=")[2] for line in lines if line.startswith("SystemCallFilter=")]
    assert filters[-1].split() == ["adjtimex", "clock_adjtime"] and "ProtectClock=yes" not in lines
    assert "ProcSubset=pid" not in lines


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_the_sandbox_is_tight(tmp_path: Path) -> None:
    """What remains is what it needs: the network, and serial ports."""
    text = (SYSTEMD / "chargerd.service").read_text()
    (tmp_path / "chargerd.service").write_text(text.replace("/opt/chargerd/bin/chargerd", "/bin/true"))
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(tmp_path / "chargerd.service")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    exposure = re.search(r"exposure level for chargerd.service: ([\d.]+)", done.stdout)
    assert exposure is not None, done.stdout + done.stderr
    print(f"exposure of chargerd.service: {exposure[1]}")
    assert float(exposure[1]) <= 2.0, done.stdout
