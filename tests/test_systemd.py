"""What ships in systemd/ fits what the agent reads."""

from __future__ import annotations

from configparser import RawConfigParser
from pathlib import Path

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
