"""Ten thousand hostile frames over the real websocket while a car charges: answered, survived, nothing stalls."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

from agent.io.dial import MAX_FRAME_BYTES
from hil.csms import CallFailed, Frame
from hil.hostile import RESULT, Hostile, frames
from hil.hostile_requests import ENDS_CHARGING, requests
from hil.judge import broken
from hil.real_bench import RealBench
from tests.marks import req
from tests.process.benches import ask, charge, leave, plan, ready

COUNT, SEED = 10_000, 11
LOWERED = 10.0
BAD_SIGNS = ("lease_lapsed", "heartbeat_lost", "does not answer", "bug:")
"""What the agent's log says when its control loop stalled, or worse."""
PROVOKED = f"unsolicited: answer to h{SEED}-"
"""The bench CSMS cannot read the id of every hostile frame; here each answer has been looked at already."""


@req("FR.03")
def test_ten_thousand_hostile_frames_while_a_car_charges(tmp_path: Path) -> None:
    with RealBench(plan(tmp_path)) as bench:
        ready(bench)
        for evse in (1, 2):
            charge(bench, evse)
        given, since = list(islice(filter(passes, frames(SEED, 2 * COUNT)), COUNT)), len(bench.csms.frames)
        flood = bench.send(frame.text for frame in given)
        bench.wait_until("the flood runs", lambda: len(answers(bench, since)) > COUNT / 20)
        for evse in (1, 2):
            assert ask(bench.rig, "config.set", {"name": f"LimitCtrlr.EvseMaxCurrent@{evse}", "value": "10"})
        bench.wait_until("a lower current amid it", lambda: all(max(bench.amps(n)) < 10.1 for n in (1, 2)))
        assert not flood.done() and len(answers(bench, since)) < COUNT, "the flood was too short to prove anything"
        flood.result(120)
        expected = [frame for frame in given if frame.outcomes]
        bench.wait_until("every answer", lambda: len(answers(bench, since)) >= len(expected), 60)
        assert list(misfits(expected, answers(bench, since))) == []

        assert min(bench.amps(1) + bench.amps(2)) > LOWERED - 0.1
        log = bench.rig.agent.log.read_text()
        assert [sign for sign in BAD_SIGNS if sign in log] == []
        leave(bench)
        assert bench.rig.agent.starts == 1
        assert [text for text in broken(bench) if not text.startswith(PROVOKED)] == []


def test_a_binary_frame_a_megabyte_and_hostile_values_are_survived(tmp_path: Path) -> None:
    with RealBench(plan(tmp_path)) as bench:
        ready(bench)
        charge(bench, 1)
        since = len(bench.csms.frames)
        bench.send([b"\x00\x01\xff" * 100]).result(10)
        bench.wait_until("an answer", lambda: answers(bench, since))
        assert [(f.id, f.payload["code"]) for f in answers(bench, since)] == [("-1", "RpcFrameworkError")]

        bench.send([json.dumps([2, "big", "DataTransfer", {"vendorId": "x", "data": "y" * 1_000_000}])]).result(10)
        bench.wait_until("a hang-up", lambda: bench.rig.cutter.connections == 2)
        bench.wait_until("the station is back", bench.connected)
        assert bench.call("GetLocalListVersion", {}) == {"versionNumber": 0}
        for action, payload in requests(SEED, 4, ENDS_CHARGING):
            with suppress(CallFailed):
                bench.call(action, payload)
        assert min(bench.amps(1)) > 15.9 and bench.rig.agent.starts == 1
        leave(bench)
        assert broken(bench) == []


def passes(frame: Hostile) -> bool:
    """A larger frame ends the connection; that is the other test."""
    return len(frame.text.encode("utf-8", "replace")) <= MAX_FRAME_BYTES


def answers(bench: RealBench, since: int) -> list[Frame]:
    """What the station answered since that frame."""
    return [f for f in bench.csms.frames[since:] if f.direction == "in" and f.kind in ("result", "error")]


def misfits(given: list[Hostile], found: list[Frame]) -> Iterator[str]:
    """Answers come in the order of the frames that deserve one; what does not fit."""
    if len(given) != len(found):
        yield f"{len(found)} answers to {len(given)} frames"
    for frame, answer in zip(given, found, strict=False):
        outcome = RESULT if answer.kind == "result" else answer.payload["code"]
        if answer.id != frame.id or outcome not in frame.outcomes:
            yield f"{frame.kind} {frame.id}: {answer.id} {outcome}; expected {frame.outcomes}: {frame.text[:100]}"
