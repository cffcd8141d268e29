"""The runner with a scripted station: order of effects, ticks, failures of the store, bugs, the orderly end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from agent.core.effects import (
    Answer,
    CancelJob,
    Connect,
    Disconnect,
    Effect,
    Energise,
    MakeSafe,
    Note,
    Persist,
    Record,
    Say,
    SetPing,
    StartJob,
)
from agent.core.events import Asked, Event, LinkDown, PersistFailed, Start, Stopping, StoreReported, Tick
from agent.core.instant import Instant
from agent.io.clock import SystemClock
from agent.io.journal import Outcomes
from agent.io.runner import Outlets, Runner
from agent.io.system import ServiceManager
from hal.ports import Command, ContactorReported, Offer, Permit, Screen, Withdraw
from tests.io.waiting import until

Script = Callable[[Event, int], list[Effect]]
START = Start("boot", 1)


class Scripted:
    """A station that answers each event with what its script says."""

    def __init__(self, script: Script) -> None:
        self.steps = 0
        self.deadline: int | None = None
        self.events: list[Event] = []
        self._script = script

    def step(self, now: Instant, event: Event) -> list[Effect]:
        self.steps += 1
        self.events.append(event)
        if self.deadline is not None and now.mono_ms >= self.deadline:
            self.deadline = None
        return self._script(event, self.steps)

    def next_deadline(self) -> int | None:
        return self.deadline


class World:
    """Records what the runner executes; the store's outcomes are given by the test."""

    def __init__(self, script: Script) -> None:
        self.done: list[object] = []
        self.leases = 0
        self.station = Scripted(script)
        self.clock = SystemClock(lambda: True)
        self.runner = Runner(self.station, self.clock, [1, 2])
        self.outcomes: Outcomes | None = None
        self.notes: list[str] = []
        self.screens: list[Screen] = []
        self.jobs: list[StartJob | CancelJob] = []

    def execute(self, effect: Command | Connect | Disconnect | Say | SetPing) -> None:
        self.done.append(effect)

    def renew_lease(self, mono_ms: int) -> None:
        self.leases += 1

    def start(self, outcomes: Outcomes) -> None:
        self.outcomes = outcomes

    def append(self, step: int, persist: Persist) -> None:
        self.done.append(("persist", step))

    def hurry(self) -> None:
        self.done.append("hurry")

    def answer(self, answer: Answer) -> None:
        self.done.append(answer)

    def note(self, level: str, topic: str, text: str) -> None:
        self.notes.append(f"{level} {topic} {text}")

    def outlets(self) -> Outlets:
        service, shown, jobs = ServiceManager({}), self.screens.append, self.jobs.append
        return Outlets(self, self, self, self.answer, self.note, service, shown, jobs, print)


@contextlib.asynccontextmanager
async def running(script: Script) -> AsyncIterator[tuple[World, asyncio.Task[int]]]:
    world = World(script)
    task = asyncio.create_task(world.runner.run(world.outlets(), START))
    await until(lambda: world.station.events)
    yield world, task
    world.runner.stop("test")
    await task


def nothing(event: Event, step: int) -> list[Effect]:
    return []


def test_effects_run_in_phases_and_what_energises_or_speaks_waits_for_the_flash() -> None:
    permit, withdraw = Permit(1, 2, 6.0, 3), Withdraw(2, 2, "first")
    say, answer = Say(1, "frame"), Answer(7, True, {})
    record = Persist((Record(1, "x", {}),))

    def script(event: Event, step: int) -> list[Effect]:
        if isinstance(event, Asked):
            return [say, Energise(permit), record, MakeSafe(withdraw), answer, Note("info", "t", "why")]
        return []

    async def story() -> None:
        async with running(script) as (world, _):
            world.runner.post(Asked(7, "status"))
            await until(lambda: world.done)
            assert world.done == [withdraw, ("persist", 2)]
            assert world.outcomes
            world.outcomes.committed(2)
            assert world.done == [withdraw, ("persist", 2), permit, say, answer]
            assert world.notes == ["info t why"]

    asyncio.run(story())


def test_a_failed_batch_drops_its_words_and_the_station_hears_of_it() -> None:
    def script(event: Event, step: int) -> list[Effect]:
        if isinstance(event, Asked):
            return [Persist((Record(1, "x", {}),)), Say(1, "never")]
        return []

    async def story() -> None:
        async with running(script) as (world, _):
            world.runner.post(Asked(1, "x"))
            await until(lambda: world.done)
            assert world.outcomes
            world.outcomes.failed(2, "disk full")
            world.outcomes.reported(StoreReported("full"))
            await until(lambda: len(world.station.events) >= 4)
            assert world.station.events[2:4] == [PersistFailed(2, "disk full"), StoreReported("full")]
            assert world.done == [("persist", 2)]

    asyncio.run(story())


def test_start_comes_first_and_every_completed_step_renews_the_lease() -> None:
    async def story() -> None:
        world = World(nothing)
        world.runner.post(StoreReported("restored"))
        task = asyncio.create_task(world.runner.run(world.outlets(), START))
        await until(lambda: len(world.station.events) == 2)
        assert world.station.events == [START, StoreReported("restored")]
        assert world.leases == 2
        world.runner.stop("end")
        assert await task == 0

    asyncio.run(story())


def test_time_passes_by_ticks_at_deadlines_and_at_least_each_second() -> None:
    async def story() -> None:
        async with running(nothing) as (world, _):
            await until(lambda: Tick() in world.station.events)
            assert world.clock.mono_ms() >= 900
            world.station.deadline = due = world.clock.mono_ms() + 50
            world.runner.post(LinkDown(1, "x"))
            await until(lambda: world.station.deadline is None)
            assert world.clock.mono_ms() >= due

    asyncio.run(story())


def test_the_orderly_end_waits_for_the_contactor() -> None:
    async def story() -> None:
        async with running(nothing) as (world, task):
            world.runner.post(ContactorReported(1, True, 3))
            world.runner.stop("SIGTERM")
            world.runner.stop("SIGTERM again")
            await until(lambda: Stopping("SIGTERM") in world.station.events)
            assert not task.done()
            world.runner.post(ContactorReported(1, False))
            assert await task == 0
            stops = [e for e in world.station.events if isinstance(e, Stopping)]
            assert stops == [Stopping("SIGTERM")]

    asyncio.run(story())


def test_a_bug_in_a_step_withdraws_everything_and_ends_with_70() -> None:
    def script(event: Event, step: int) -> list[Effect]:
        if isinstance(event, Asked):
            raise KeyError("bug")
        if isinstance(event, ContactorReported):
            return [Persist((Record(1, "x", {}),)), Energise(Permit(2, step, 6.0, 3))]
        return []

    async def story() -> None:
        async with running(script) as (world, task):
            world.runner.post(ContactorReported(1, True, 3))
            world.runner.post(Asked(1, "x"))
            world.runner.post(Asked(2, "x"))
            await until(lambda: len(world.done) == 3)
            assert world.outcomes
            world.outcomes.committed(2)
            leases = world.leases
            world.runner.post(ContactorReported(1, False))
            assert await task == 70
            assert world.done == [("persist", 2), *(Withdraw(n, 4, "internal error") for n in (1, 2))]
            assert world.leases == leases == 2
            assert any("KeyError" in note for note in world.notes)

    asyncio.run(story())


def test_a_lowered_limit_overtakes_a_raise_that_still_waits_for_the_flash() -> None:
    raised, lowered = Offer(1, 2, 32.0), Offer(1, 3, 6.0)

    def script(event: Event, step: int) -> list[Effect]:
        if step == 2:
            return [Persist((Record(1, "x", {}),)), Energise(raised)]
        return [MakeSafe(lowered)] if step == 3 else []

    async def story() -> None:
        async with running(script) as (world, _):
            world.runner.post(Asked(1, "x"))
            world.runner.post(Asked(2, "x"))
            await until(lambda: lowered in world.done)
            assert world.outcomes
            world.outcomes.committed(2)
            assert world.done == [("persist", 2), lowered]

    asyncio.run(story())
