"""Feeds the station and executes its effects, in the order of their phases (DESIGN.md section 1).

One event is one step. Only a completed step renews the guard's lease and feeds the service watchdog. What the
station raises is a bug: the hardware is made safe and the process ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple, Protocol

from agent.core.effects import (
    Answer,
    CancelJob,
    Connect,
    Disconnect,
    Effect,
    Energise,
    LogSecurity,
    MakeSafe,
    Note,
    Persist,
    Pipeline,
    Restart,
    Say,
    SetPing,
    Show,
    StartJob,
)
from agent.core.events import (
    Event,
    FrameReceived,
    LinkDown,
    LinkUp,
    PersistFailed,
    Start,
    Stopping,
    StoreReported,
    Tick,
)
from agent.core.instant import Instant
from agent.io.clock import SystemClock
from agent.io.journal import Outcomes
from agent.io.system import ServiceManager
from hal.ports import Command, ContactorReported, Screen, Withdraw

STEP_AT_LEAST_EVERY_MS = 1000
SLICE_S = 0.02
"""So long events are taken one after the other before the loop serves its sockets again."""
SLOW_STEP_S = 0.1
OPEN_WITHIN_S = 8.0
OPEN_AFTER_BUG_S = 4.0
EXIT_BUG, EXIT_RESET = 70, 10


class Steps(Protocol):
    """The station as the runner sees it."""

    @property
    def steps(self) -> int: ...
    def step(self, now: Instant, event: Event) -> list[Effect]: ...
    def next_deadline(self) -> int | None: ...


class HardwareSide(Protocol):
    """What executes commands; refusals come back as events."""

    def execute(self, command: Command) -> None: ...
    def renew_lease(self, mono_ms: int) -> None: ...


class StoreSide(Protocol):
    """What makes batches durable and tells the runner."""

    def start(self, outcomes: Outcomes) -> None: ...
    def append(self, step: int, persist: Persist) -> None: ...
    def hurry(self) -> None: ...


class LinkSide(Protocol):
    """What speaks to the CSMS."""

    def execute(self, effect: Connect | Disconnect | Say | SetPing) -> None: ...


class Outlets(NamedTuple):
    """Where effects go."""

    hardware: HardwareSide
    store: StoreSide
    link: LinkSide
    answer: Callable[[Answer], None]
    note: Callable[[str, str, str], None]
    service: ServiceManager
    show: Callable[[Screen], None]
    job: Callable[[StartJob | CancelJob], None]
    log_security: Callable[[LogSecurity], None]


class Runner:
    """`post` takes events from anywhere on the loop; `run` steps until the end and returns the exit code."""

    def __init__(self, station: Steps, clock: SystemClock, evses: Iterable[int]) -> None:
        self.longest_step_s = 0.0
        """Longest time that one step and its effects took, in seconds."""
        self._station = station
        self._clock = clock
        self._evses = tuple(evses)
        self._pipeline = Pipeline()
        self._events: deque[Event] = deque()
        self._outlets: Outlets | None = None
        self._scheduled = self._stepping = False
        self._broken = False
        self._timer: asyncio.TimerHandle | None = None
        self._stepped_ms = 0
        self._closed: set[int] = set()
        self._exit: int | None = None
        self._ending = asyncio.Event()
        self._safe = asyncio.Event()

    def post(self, event: Event) -> None:
        """Queue an event. Before `run` it waits, behind the Start event; after it nothing is taken.

        A frame is taken at once when nothing is before it: the link does nothing else meanwhile.
        """
        self._events.append(event)
        if self._outlets and not self._scheduled:
            if isinstance(event, FrameReceived) and len(self._events) == 1 and not self._stepping:
                self._drain()
                return
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._drain)

    def stop(self, reason: str, code: int = 0) -> None:
        """The orderly end: the station pauses and opens, then `run` returns `code`. Only the first call counts."""
        if self._exit is None:
            self._exit = code
            self._ending.set()
            self.post(Stopping(reason))

    async def run(self, outlets: Outlets, start: Start) -> int:
        """Take `start`, then everything posted, until stopped (0) or until a bug has made the end (70).

        At the end contactors known to be closed get some seconds to open.
        """
        self._outlets = outlets
        outlets.store.start(self)
        self._events.appendleft(start)
        self._drain()
        outlets.service.ready()
        await self._ending.wait()
        outlets.service.stopping()
        try:
            await asyncio.wait_for(self._safe.wait(), OPEN_AFTER_BUG_S if self._broken else OPEN_WITHIN_S)
        except TimeoutError:
            outlets.note("error", "runner", f"ends with the contactor closed: EVSE {sorted(self._closed)}")
        self._broken = True
        if self._timer:
            self._timer.cancel()
        return self._exit or 0

    def broke(self, error: BaseException) -> None:
        """A bug: no further step, all permissions withdrawn, and `run` returns 70."""
        assert self._outlets is not None
        for line in "".join(traceback.format_exception(error)).splitlines():
            self._outlets.note("error", "bug", line)
        self._broken = True
        self._exit = EXIT_BUG
        self._ending.set()
        for evse in self._evses:
            with contextlib.suppress(Exception):  # the next EVSE must be withdrawn whatever this one does
                withdraw = Withdraw(evse, self._station.steps + 1, "internal error")
                self._outlets.hardware.execute(withdraw)
        if not self._closed:
            self._safe.set()

    # ------------------------------------------------------------------------------------- from the store

    def committed(self, step: int) -> None:
        """Outcomes: what waited for this batch may run, unless a bug has ended everything."""
        if self._exit != EXIT_BUG:
            self._guarded(lambda: self._execute(self._pipeline.committed(step)))

    def failed(self, step: int, reason: str) -> None:
        """Outcomes: drop what waited for this batch and tell the station."""
        self._guarded(lambda: self._execute(self._pipeline.failed(step)))
        self.post(PersistFailed(step, reason))

    def reported(self, report: StoreReported) -> None:
        """Outcomes: the store's health."""
        self.post(report)

    # ------------------------------------------------------------------------------------------- stepping

    def _drain(self) -> None:
        self._scheduled = False
        self._stepping = True
        until = time.monotonic() + SLICE_S
        while self._events and time.monotonic() < until:
            event = self._events.popleft()
            self._observe(event)
            if not self._broken:
                self._guarded(partial(self._step, event))
        self._stepping = False
        if self._events and not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._drain)
        if self._exit is not None and not self._events and not self._closed:
            self._safe.set()
        self._arm()

    def _step(self, event: Event) -> None:
        assert self._outlets is not None
        began = time.perf_counter()
        now = self._clock.now()
        if isinstance(event, PersistFailed):
            self._pipeline.told(event.step)
        effects = self._station.step(now, event)
        self._stepped_ms = now.mono_ms
        self._execute(self._pipeline.submit(self._station.steps, effects))
        if self._pipeline.is_held_up:
            self._outlets.store.hurry()
        self._outlets.hardware.renew_lease(now.mono_ms)
        self._outlets.service.alive()
        took = time.perf_counter() - began
        self.longest_step_s = max(self.longest_step_s, took)
        if took > SLOW_STEP_S:
            self._outlets.note("warning", "runner", f"{type(event).__name__} took {took * 1000:.0f} ms")

    def _execute(self, effects: Iterable[Effect]) -> None:
        outlets = self._outlets
        assert outlets is not None
        for effect in effects:
            if isinstance(effect, MakeSafe | Energise):
                outlets.hardware.execute(effect.command)
            elif isinstance(effect, Persist):
                outlets.store.append(self._station.steps, effect)
            elif isinstance(effect, Answer):
                outlets.answer(effect)
            elif isinstance(effect, Restart):
                self.stop(effect.reason, EXIT_RESET)
            elif isinstance(effect, Note):
                outlets.note(effect.level, effect.topic, effect.text)
            elif isinstance(effect, Show):
                outlets.show(effect.screen)
            elif isinstance(effect, StartJob | CancelJob):
                outlets.job(effect)
            elif isinstance(effect, LogSecurity):
                outlets.log_security(effect)
            else:
                outlets.link.execute(effect)

    def _arm(self) -> None:
        """Wake up at the next deadline, and a second after the last step at the latest."""
        if self._timer:
            self._timer.cancel()
        if self._broken or self._scheduled:
            return
        due = self._stepped_ms + STEP_AT_LEAST_EVERY_MS
        deadline = self._station.next_deadline()
        if deadline is not None:
            due = min(due, deadline)
        delay_ms = max(1, due - self._clock.mono_ms())
        self._timer = asyncio.get_running_loop().call_later(delay_ms / 1000, self.post, Tick())

    def _observe(self, event: Event) -> None:
        """What the runner itself wants to know: closed contactors, and the link for the service's status."""
        assert self._outlets is not None
        if isinstance(event, ContactorReported):
            (self._closed.add if event.closed else self._closed.discard)(event.evse)
        elif isinstance(event, LinkUp):
            self._outlets.service.status(f"connected to the CSMS ({event.subprotocol})")
        elif isinstance(event, LinkDown):
            self._outlets.service.status(f"no CSMS: {event.reason}")

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # a bug can raise anything, and the power must not stay on for it
            self.broke(error)
