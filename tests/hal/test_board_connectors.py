"""A raw board with several connectors on one power path: each is told, one is permitted, others are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hal import frames
from hal.frames import LOCKED, PLUG_PRESENT, Plug
from hal.ports import (
    CableRated,
    FaultCleared,
    FaultRaised,
    LockReported,
    Permit,
    PilotChanged,
    Refused,
    SetLock,
    Withdraw,
)
from tests.hal.test_board import IDLE, STEADY, Scene, ready, story
from tests.marks import req

EMPTY = (Plug(1, "A", 255, 0), Plug(2, "A", 0, 0))
"""A fixed cable and a socket."""


def several(scene: Scene) -> None:
    """The board has two connectors, and a car is at the second."""
    scene.board.connectors = 2
    scene.board.state = replace(IDLE, proximity=255, several=(EMPTY[0], Plug(2, "B", 20, PLUG_PRESENT)))


@req("E01.FR.14", "E05.FR.11")
def test_each_connector_is_told_and_the_permitted_one_named(tmp_path: Path) -> None:
    async def tell(scene: Scene) -> None:
        await ready(scene)
        await scene.hears(CableRated(2, 1, None), CableRated(2, 2, 20.0), PilotChanged(2, "B", 2))
        await scene.hears(LockReported(2, 1, False), LockReported(2, 2, False))
        scene.stage.set_lock(SetLock(2, 3, 2, True))
        scene.stage.permit(Permit(2, 4, 16.0, 3, 2))
        scene.told.clear()
        there = Plug(2, "C", 20, PLUG_PRESENT | LOCKED)
        scene.board.reports(active=2, contacts=0x0F, several=(EMPTY[0], there))
        scene.board.reports(several=(Plug(1, "B", 255, PLUG_PRESENT), there))
        await scene.hears(LockReported(2, 2, True), PilotChanged(2, "C", 2), PilotChanged(2, "B", 1))
        assert [frames.Lock(3, 2, 1), frames.Permit(4, 160, 3, 2)] == scene.board.commands()[-2:]
        assert not any(isinstance(e, LockReported) and e.connector == 1 for e in scene.told)
        assert not any(isinstance(e, FaultRaised) for e in scene.told)

    story(tmp_path, tell, several, STEADY, (1, 2))


def test_a_newer_permission_takes_the_place_of_one_for_another_connector(tmp_path: Path) -> None:
    async def tell(scene: Scene) -> None:
        await ready(scene)
        scene.board.loses = [frames.Lock]
        scene.stage.set_lock(SetLock(2, 3, 2, True))
        scene.stage.permit(Permit(2, 4, 16.0, 3, 1))
        scene.stage.permit(Permit(2, 5, 16.0, 3, 2))
        await scene.hears(Refused(2, 4, "permit", "superseded"))

    story(tmp_path, tell, several, STEADY, (1, 2))


@req("E01.FR.14")
def test_power_at_another_connector_than_the_permitted_one_is_a_fault(tmp_path: Path) -> None:
    async def tell(scene: Scene) -> None:
        await ready(scene)
        scene.stage.permit(Permit(2, 4, 16.0, 3, 2))
        scene.board.reports(contacts=0x0F)
        await scene.hears(FaultRaised(2, "connectors_differ", "closed at 1, permitted at 2"))
        scene.stage.withdraw(Withdraw(2, 5, "fault"))
        scene.board.reports(contacts=0)
        await scene.hears(FaultCleared(2, "connectors_differ"))

    story(tmp_path, tell, several, STEADY, (1, 2))


@pytest.mark.parametrize(
    ("installed", "boots", "listed", "says"),
    [
        ((1,), 2, EMPTY, "the board has 2 and reports [1, 2], board.toml says [1]"),
        ((1, 2), 1, (), "the board has 1 and reports [1], board.toml says [1, 2]"),
        ((1, 2), 2, (), "the board has 2 and reports [1], board.toml says [1, 2]"),
        ((1, 2, 3), 2, EMPTY, "the board has 2 and reports [1, 2], board.toml says [1, 2, 3]"),
    ],
)
def test_a_board_that_has_others_than_board_toml_says_is_faulted_and_only_known_ones_are_told(
    tmp_path: Path, installed: tuple[int, ...], boots: int, listed: tuple[Plug, ...], says: str
) -> None:
    def before(scene: Scene) -> None:
        scene.board.connectors, scene.board.state = boots, replace(IDLE, several=listed)

    async def tell(scene: Scene) -> None:
        await ready(scene)
        await scene.hears(FaultRaised(2, "connectors_differ", says))
        told = {e.connector for e in scene.told if isinstance(e, PilotChanged)}
        assert told <= set(installed)

    story(tmp_path, tell, before, STEADY, installed)
