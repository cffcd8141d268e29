"""A/B images: what we ask of RAUC, played by an executable that answers as rauc 1.8 does (process/test_rauc.py)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent.io.installers import Booted, InstallError, Unfit
from agent.io.rauc import Rauc
from tests.marks import req

FAKE = """#!/usr/bin/env -S python3 -ES
import json, pathlib, sys
home = pathlib.Path(__file__).parent
state = json.loads((home / "state.json").read_text())
words = sys.argv[1:]
with (home / "asked").open("a") as log:
    log.write(" ".join(w for w in words if not w.startswith("/")) + "\\n")
if words[0] in state["fails"]:
    why = state["fails"][words[0]]
    print("rauc-Message: 13:08:17.826: Reading bundle", file=sys.stderr)
    if words[0] == "install":
        print(f"40% Checking bundle failed.\\nLastError: {why}\\nidle")
    sys.exit("Installing `/image` failed" if words[0] == "install" else why)
if words[0] == state["busy"] and not (home / "was-busy").exists():
    (home / "was-busy").touch()
    sys.exit("Error retrieving slot status via D-Bus: already processing a different method")
other = "B" if state["booted"] == "A" else "A"
if words[0] == "info":
    print(json.dumps(state["bundle"]))
elif words[:2] == ["status", "mark-active"]:
    state["next"] = "AB"[int(words[2][-1])]
elif words[:2] in (["status", "mark-good"], ["status", "mark-bad"]):
    state["marks"][state["booted"]] = words[1].removeprefix("mark-")
elif words[0] == "status":
    slots = [{f"rootfs.{n}": {"class": "rootfs", "bootname": name, "boot_status": state["marks"].get(name, "good"),
                              "state": "booted" if name == state["booted"] else "inactive",
                              "slot_status": state["kept"].get(name, {})}}
             for n, name in enumerate("AB")]
    rest = [{"data.0": {"bootname": None, "parent": "rootfs.0", "state": "active"}},
            {"rescue.0": {"class": "rescue", "bootname": "0", "state": "inactive"}}]
    print(json.dumps({"compatible": "twin", "booted": "/dev/mmcblk0p2", "slots": [*rest, *reversed(slots)]}))
(home / "state.json").write_text(json.dumps(state))
"""


class Board:
    """The fake, and what it was asked."""

    def __init__(self, home: Path) -> None:
        self.home = home
        (home / "rauc").write_text(FAKE)
        (home / "rauc").chmod(0o755)
        (home / "reboot").write_text('#!/bin/sh\necho reboot >> "$(dirname "$0")/asked"\n')
        (home / "reboot").chmod(0o755)
        self.set(booted="A", next="A", marks={}, fails={}, kept={}, busy="")
        self.set(bundle={"compatible": "twin", "version": "2.0"})
        self.rauc = Rauc({"rauc": str(home / "rauc"), "reboot": str(home / "reboot")})

    def set(self, **facts: Any) -> None:
        path = self.home / "state.json"
        path.write_text(json.dumps({**(json.loads(path.read_text()) if path.exists() else {}), **facts}))

    def get(self, name: str) -> Any:
        return json.loads((self.home / "state.json").read_text())[name]

    @property
    def asked(self) -> list[str]:
        path = self.home / "asked"
        found = [line for line in path.read_text().splitlines() if "json" not in line] if path.exists() else []
        path.unlink(missing_ok=True)
        return found


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board(tmp_path)


@req("L01.FR.28", "L01.FR.32")
def test_the_whole_way_and_back(board: Board) -> None:
    image = board.home / "image"
    assert board.rauc.install(image, "1.0", False) == ("B", "2.0")
    assert (board.asked, board.get("next")) == (["install"], "A")
    board.rauc.switch("B")
    assert (board.asked, board.get("next")) == (["status mark-active rootfs.1", "reboot"], "B")
    board.set(booted="B")
    assert board.rauc.booted() == Booted("B")
    board.rauc.confirm("B")
    assert board.asked == ["status mark-good booted"]
    board.rauc.back("B")
    assert board.asked == ["status mark-active rootfs.0", "status mark-bad booted", "reboot"]
    board.set(booted="A")
    assert board.rauc.booted() == Booted("A", ("B",))


def test_what_was_done_before_a_power_cut_is_not_done_twice(board: Board) -> None:
    board.set(booted="B")
    board.rauc.switch("B")
    assert board.asked == ["reboot"]
    board.set(booted="A")
    board.rauc.back("B")
    assert board.asked == ["reboot"]


def test_a_slot_that_was_written_and_never_chosen_was_not_given_up(board: Board) -> None:
    """RAUC marks it bad before it writes it, and `activate-installed=false` leaves it so."""
    written = {"installed": {"timestamp": "2026-11-21T13:06:18Z"}}
    board.set(marks={"B": "bad"}, kept={"B": written})
    assert board.rauc.booted() == Booted("A")
    board.set(kept={"B": {**written, "activated": {"timestamp": "2026-11-21T13:06:18Z"}}})
    assert board.rauc.booted() == Booted("A", ("B",))


def test_nobody_goes_back_to_a_slot_that_is_marked_bad(board: Board) -> None:
    board.set(marks={"B": "bad"})
    with pytest.raises(InstallError, match="B is marked bad"):
        board.rauc.back("")
    assert board.asked == []


def test_what_an_earlier_process_has_begun_is_waited_for(board: Board) -> None:
    board.set(busy="status")
    assert board.rauc.booted() == Booted("A")


@req("L01.FR.29")
@pytest.mark.parametrize(
    "wrong",
    [
        {"bundle": {"compatible": "single", "version": "2.0"}}, {"bundle": {"compatible": "twin", "version": "0.9"}},
        {"fails": {"info": "signature verification failed"}},
    ],
)  # fmt: skip
def test_a_bundle_that_does_not_fit_is_not_written(board: Board, wrong: dict[str, Any]) -> None:
    board.set(**wrong)
    with pytest.raises(Unfit):
        board.rauc.install(board.home / "image", "1.0", False)
    assert "install" not in board.asked


def test_what_goes_wrong_is_said_in_the_words_of_rauc(board: Board) -> None:
    board.set(fails={"install": "No space left on device"})
    with pytest.raises(InstallError, match=r"^rauc: No space left on device$"):
        board.rauc.install(board.home / "image", "1.0", False)
    with pytest.raises(InstallError, match="No such file"):
        Rauc({"rauc": str(board.home / "nothing")}).booted()
    (board.home / "rauc").write_text("#!/bin/sh\necho banana\n")
    with pytest.raises(InstallError, match="JSON"):
        board.rauc.booted()
