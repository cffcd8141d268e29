"""What a CALL of the CSMS sets off comes after its answer, and bears its number (Part 4; General FR.05)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.blocks.stories import CARD, QUIET, idle, install, profile
from tests.marks import req
from tests.sim.world import World

TOKEN = {"idToken": CARD, "type": "ISO14443"}
ASKED: dict[str, tuple[dict[str, Any], str]] = {
    "GetBaseReport": ({"reportBase": "FullInventory"}, "NotifyReport"),
    "GetReport": ({"componentVariable": [{"component": {"name": "TxCtrlr"}}]}, "NotifyReport"),
    "GetMonitoringReport": ({}, "NotifyMonitoringReport"),
    "CustomerInformation": ({"report": True, "clear": False, "idToken": TOKEN}, "NotifyCustomerInformation"),
    "GetDisplayMessages": ({}, "NotifyDisplayMessages"),
    "GetChargingProfiles": ({"chargingProfile": {}}, "ReportChargingProfiles"),
    "GetLog": ({"logType": "DiagnosticsLog", "log": {"remoteLocation": "https://files.example/in"}},
               "LogStatusNotification"),
    "TriggerMessage": ({"requestedMessage": "StatusNotification"}, "StatusNotification"),
    "RequestStartTransaction": ({"remoteStartId": 7, "idToken": TOKEN, "evseId": 1}, "Authorize"),
}  # fmt: skip
"""A CALL, what is in it, and the message that follows it."""
NUMBERED = {action for action in ASKED if action.startswith("Get") or action == "CustomerInformation"}


@pytest.fixture(scope="module")
def world() -> World:
    """A station with a message and a profile to tell of."""
    world = idle(keys=QUIET)
    content = {"format": "UTF8", "content": "Hello"}
    world.csms_asks("SetDisplayMessage", {"message": {"id": 1, "priority": "InFront", "message": content}})
    install(world, 1, profile(1))
    return world


@req("FR.05")
@pytest.mark.parametrize("action", sorted(ASKED))
def test_the_answer_comes_before_what_was_asked_for(world: World, action: str) -> None:
    payload, follows = ASKED[action]
    before = len(world.csms.frames)
    answer = world.csms_asks(action, payload | ({"requestId": 4711} if action in NUMBERED else {}))
    assert answer["status"] == "Accepted"
    world.runs(seconds=20)
    said = [f.message for f in world.csms.frames[before:] if f.direction == "<"]
    kinds = [frame[0] if frame[0] == 3 else frame[2] for frame in said]
    assert kinds.index(3) < kinds.index(follows)
    if action in NUMBERED:
        assert said[kinds.index(follows)][3]["requestId"] == 4711
