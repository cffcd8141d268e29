"""Jobs beside the loop: what they say comes back as events, and nothing they do ends the process."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from agent.core.effects import CancelJob, StartJob
from agent.core.events import Event, JobEnded, JobTold
from agent.io import jobs
from agent.io.jobs import Data, JobFailed, Jobs, Place, Tell


async def counts(place: Place, data: Data, tell: Tell) -> Data:
    for number in range(data["to"]):
        tell({"at": number})
    return {"in": str(place.state_dir)}


async def fails(place: Place, data: Data, tell: Tell) -> Data:
    raise JobFailed("no such host", host=data["host"])


async def breaks(place: Place, data: Data, tell: Tell) -> Data:
    return {"never": data["missing"]}


async def lasts(place: Place, data: Data, tell: Tell) -> Data:
    tell({"started": True})
    await asyncio.Event().wait()
    return {}


async def _done(running: Jobs, heard: list[Event], events: int) -> None:
    for _ in range(10_000):
        if len(heard) >= events:
            return
        await asyncio.sleep(0.001)
    raise AssertionError(f"{heard}: expected {events}")


def play(monkeypatch: pytest.MonkeyPatch, effects: list[Any], events: int) -> tuple[list[Event], list[str]]:
    for worker in (counts, fails, breaks, lasts):
        monkeypatch.setitem(jobs.WORKERS, worker.__name__, f"{__name__}:{worker.__name__}")
    heard: list[Event] = []
    notes: list[str] = []

    async def run() -> None:
        running = Jobs(Place(Path("/state")), heard.append, lambda *note: notes.append(note[2]))
        for effect in effects:
            running.execute(effect)
        await _done(running, heard, events)
        await running.close()

    asyncio.run(run())
    return heard, notes


def test_news_and_result_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    heard, notes = play(monkeypatch, [StartJob(7, "counts", {"to": 2})], 3)
    assert heard == [JobTold(7, {"at": 0}), JobTold(7, {"at": 1}), JobEnded(7, True, {"in": "/state"})]
    assert notes == []


def test_a_failure_tells_its_reason_and_a_bug_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    heard, notes = play(monkeypatch, [StartJob(1, "fails", {"host": "x"}), StartJob(2, "breaks", {})], 2)
    ends = {event.job: event for event in heard if isinstance(event, JobEnded)}
    assert ends[1] == JobEnded(1, False, {"error": "no such host", "host": "x"})
    assert ends[2] == JobEnded(2, False, {"error": "KeyError"})
    assert any("missing" in line for line in notes)


def test_a_cancelled_job_says_no_more_and_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    heard, _ = play(monkeypatch, [StartJob(1, "lasts", {}), CancelJob(1), StartJob(2, "counts", {"to": 0})], 1)
    assert heard == [JobEnded(2, True, {"in": "/state"})]
