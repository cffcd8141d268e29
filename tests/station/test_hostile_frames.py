"""Whatever comes over the wire: every CALL gets its one right answer, and the station goes on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agent.core.effects import Say
from agent.core.events import FrameReceived, LinkUp, Start, Tick
from agent.core.instant import Instant
from agent.core.site import EvseSite, Network, Site
from agent.station import Station
from hil.hostile import KINDS, RESULT, Hostile, frames
from tests.marks import req

UTC_MS = 1_800_000_000_000
SITE = Site("Open", "Twin", "S1", "1.0", (EvseSite(1, 16, 3),), Network("ws://csms.example/ocpp", "CD-1"))


class Line:
    """A station, registered, with one connection."""

    def __init__(self) -> None:
        self.station = Station(SITE, {}, {})
        self.ms = 0
        self.step(Start("boot", 1))
        boot = self.step(LinkUp(1, "ocpp2.0.1"))[0]
        accepted = {"currentTime": "2027-01-15T08:00:00Z", "interval": 300, "status": "Accepted"}
        self.hears(json.dumps([3, boot[1], accepted]))

    def step(self, event: Any) -> list[list[Any]]:
        self.ms += 1
        effects = self.station.step(Instant(self.ms, UTC_MS + self.ms), event)
        return [json.loads(e.text) for e in effects if isinstance(e, Say)]

    def hears(self, text: str | None) -> list[list[Any]]:
        """Answers (CALLRESULT, CALLERROR) that the frame caused."""
        return [frame for frame in self.step(FrameReceived(1, text)) if frame[0] in (3, 4)]


def fits(answers: list[list[Any]], given: Hostile) -> bool:
    """Whether these answers are what the frame deserves."""
    if not given.outcomes:
        return answers == []
    if len(answers) != 1 or answers[0][1] != given.id:
        return False
    return (RESULT if answers[0][0] == 3 else answers[0][2]) in given.outcomes


@req("FR.03")
def test_ten_thousand_hostile_frames_each_get_the_answer_they_deserve() -> None:
    line = Line()
    for given in frames(seed=7, count=10_000):
        answers = line.hears(given.text)
        assert fits(answers, given), (given.kind, given.text[:300], answers)
    assert line.hears(json.dumps([2, "last", "GetVariables", {"getVariableData": [
        {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "HeartbeatInterval"}}]}]))[0][0] == 3  # fmt: skip


@pytest.mark.parametrize("seed", range(20))
def test_no_answer_ever_echoes_what_was_sent(seed: int) -> None:
    """An errorDetails or description with the payload in it would leak secrets into the CSMS's log."""
    line = Line()
    for given in frames(seed=seed, count=len(KINDS)):
        for answer in line.hears(given.text):
            assert answer[0] == 3 or (len(answer[3]) <= 255 and answer[4] == {})


def test_a_binary_or_oversized_frame_is_answered_and_survived() -> None:
    line = Line()
    assert line.hears(None)[0][2] == "RpcFrameworkError"
    line.step(Tick())
    assert line.hears('[2,"a","GetLocalListVersion",{}]') == [[3, "a", {"versionNumber": 0}]]


def test_a_repeated_call_gets_the_same_answer_and_is_not_run_twice() -> None:
    line = Line()
    frame = json.dumps([2, "same", "SendLocalList", {"versionNumber": 5, "updateType": "Differential"}])
    assert line.hears(frame) == [[3, "same", {"status": "Accepted"}]]
    assert line.hears(frame) == [[3, "same", {"status": "Accepted"}]], "run twice it would be a VersionMismatch"
