"""The world in which one real Station runs in virtual time: it feeds events, runs effects as the runner does,
and judges every step. Idle time is jumped over; the same seed gives the same trace, to the byte.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from random import Random
from typing import Any, Self

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
from agent.core.events import Asked, Event, PersistFailed, Start, Stopping, StoreReported, Tick
from agent.core.instant import Instant
from agent.core.site import DisplaySite, Site
from agent.core.site import Network as NetworkProfile
from hal.guard import LEASE_MS
from hal.ports import Reading, Screen
from tests.sim.clock import Clock, Life, Timeline
from tests.sim.csms import Csms, Payload
from tests.sim.disk import Disk, Keep, Rows
from tests.sim.driven import Build, StationLike, real_station
from tests.sim.file_store import FileStore
from tests.sim.hardware import Hardware
from tests.sim.invariants import Judge
from tests.sim.jobs import Workers
from tests.sim.main_meter import MainMeter
from tests.sim.network import Network
from tests.sim.outlet import Outlet, OutletSpec, raw, smart
from tests.sim.people import Driver

GOODBYE_MS, RESTART_MS = 8_000, 300
STUCK_TICKS = 50
"""Ticks at one and the same moment after which a deadline counts as never cleared."""


class PowerCut(Exception):
    """The power goes at this very boundary."""


class World:
    """One station with everything around it.

    `evses` are the outlets, EVSE 1 first; `keys` presets as in board.toml; `network` False: standalone;
    `ticking` delivers the runner's tick each second (a correct station needs no more than its deadlines); `on_file`
    puts the real journal's file below the simulated flash.
    """

    def __init__(
        self, evses: Sequence[OutletSpec] = (smart(16), raw(32)), *, seed: int = 1,
        keys: Mapping[str, str] | None = None, network: bool = True, ticking: bool = False, on_file: bool = False,
        build: Build = real_station, displays: tuple[DisplaySite, ...] = (DisplaySite("front"),),
        main_meter: bool = False,
    ) -> None:  # fmt: skip
        self.seed = seed
        self.keys: Mapping[str, str] = dict(keys or {})
        self.rng = Random(seed)
        self.clock = Clock()
        self.timeline = Timeline(self.clock)
        self.ticking, self.build = ticking, build
        self._surround(evses, network, on_file, displays, main_meter)
        self.station: StationLike | None = None
        self.board = Life()
        self.process = Life()
        self._restarting: Life | None = None
        self.frozen = False
        self._frozen_ms = 0
        self._count()
        self._hash = hashlib.sha256()
        self._pipeline = Pipeline()
        self._inbox: list[Event] = []
        self._asks: dict[int, Answer] = {}
        self._asked = 0
        self._deadline_ms: int | None = None
        self._ticks_here = (0, 0)
        self._starts("PowerUp")

    def _surround(
        self, evses: Sequence[OutletSpec], network: bool, on_file: bool, displays: tuple[DisplaySite, ...],
        main_meter: bool,
    ) -> None:  # fmt: skip
        """Everything around the station."""
        self.outlets = {i: Outlet(i, spec, self.timeline, self._fork()) for i, spec in enumerate(evses, start=1)}
        profile = NetworkProfile("ws://csms.example/ocpp", "CD-0001", "secret") if network else None
        sites = tuple(outlet.spec.site(evse) for evse, outlet in self.outlets.items())
        self.site = Site("Open Chargers", "Twin", "SN1", "1.0", sites, profile, displays, (), main_meter, True, True)
        self.workers = Workers(self.timeline, self.hear)
        self.screens: dict[str, Screen] = {}
        self.csms = Csms(self.timeline, self._fork())
        self.network = Network(self.timeline, self._fork(), self.csms)
        self.csms.line = self.network
        self.disk = Disk(self.timeline, self._fork(), FileStore(self._fork()) if on_file else None)
        self.judge = Judge(self)
        self.hardware = Hardware(self.outlets, self.timeline, self._fork(), self.hear, self.judge.untold)
        self.main_meter = MainMeter(self.outlets, self.timeline, self.hear, fitted=main_meter)
        self.drivers = {evse: Driver(self, outlet) for evse, outlet in self.outlets.items()}
        for evse, outlet in self.outlets.items():
            outlet.on_closing = self._closing(evse)

    def _count(self) -> None:
        """What is counted, kept for people, and set by stories."""
        self.boots = 0
        self.cuts = 0
        """How often the power was cut or the process killed while it ran."""
        self.total_steps = 0
        self.boundaries = 0
        self.cut_at = 0
        """The effect boundary at which the power goes (0: at none), and for how long."""
        self.cut_for_s = 40.0
        self.cut_keeps: Keep = "random"
        self.at_boundary: Callable[[], None] = lambda: None
        self.security_log: deque[LogSecurity] = deque(maxlen=400)
        self.notes: deque[tuple[int, str, str, str]] = deque(maxlen=400)
        self.trace: deque[str] = deque(maxlen=60)
        """The last steps, readable; `fingerprint` covers all of them."""
        self.watch: Callable[[int, str], None] | None = None
        """Hears each step's number and line."""

    def _fork(self) -> Random:
        return Random(self.rng.getrandbits(64))

    def _closing(self, evse: int) -> Callable[[], None]:
        return lambda: self.judge.closes(evse)

    # -------------------------------------------------- what a story says

    def ev(self, evse: int) -> Driver:
        """The driver at EVSE `evse`."""
        return self.drivers[evse]

    def runs(self, *, ms: float = 0, seconds: float = 0, minutes: float = 0, hours: float = 0) -> Self:
        """Let time pass."""
        self._advance(self.now_ms + round(ms + 1000 * (seconds + 60 * minutes + 3600 * hours)))
        return self

    def until(self, condition: Callable[[], bool], *, within_s: float, what: str = "") -> Self:
        """Let time pass until `condition` holds; AssertionError when it does not within `within_s`."""
        end = self.now_ms + round(within_s * 1000)
        while not condition():
            due = self._next_due()
            if due is None or due > end:
                self.clock.true_ms = max(end, self.now_ms)
                failed = f"seed {self.seed}, step {self.step}, {self.now_ms / 1000:.3f} s: not within {within_s:g} s"
                assert condition(), f"{failed}: {what}\nlast steps:\n{self.tail()}"
                return self
            self._advance_to_next(due)
        return self

    def settles(self, *, within_h: float = 4) -> Self:
        """All faults end, everybody leaves, all that is queued is delivered; then the final judgement.

        The world must run long enough before for the story's own outages to be over.
        """
        self.heals()
        for person in self.drivers.values():
            person.after(seconds=1).leaves()
        self.runs(seconds=30)
        self.until(self._is_quiet, within_s=within_h * 3600)
        self.runs(minutes=2)
        self.judge.finish()
        return self

    def heals(self) -> None:
        """Nothing is broken any more, and a technician has been there where one was needed."""
        self.cut_at = 0
        self.network.heals()
        self.csms.heals()
        self.disk.full = self.disk.dead = False
        self.disk.slow, self.disk.hangs_until_ms = 1.0, 0
        self.clock.battery = self.clock.synchronised = True
        self.hardware.heals()
        if any(outlet.welded or outlet.half_welded for outlet in self.outlets.values()):
            self.loses_power().returns_after(seconds=20)
        for outlet in self.outlets.values():
            outlet.repaired()

    def _is_quiet(self) -> bool:
        """Nothing is waiting on flash for the CSMS, and no transaction runs."""
        waiting = {"event", "tx"}
        return self.station is not None and not any(kind in waiting for kind, _ in self.disk.rows.values())

    def asks_station(self, verb: str, **args: Any) -> Any:
        """Ask over the local control socket; returns the answer's data; AssertionError on a refusal."""
        self._asked += 1
        ask = self._asked
        self.timeline.after(0, lambda: self.hear(Asked(ask, verb, args)), self.process)
        self.until(lambda: ask in self._asks, within_s=10)
        answer = self._asks.pop(ask)
        assert answer.ok, f"{verb} {args}: {answer.data}"
        return answer.data

    def csms_asks(self, action: str, payload: Payload, *, within_s: float = 30) -> Payload:
        """The CSMS sends a CALL; returns the answer's payload, or raises AssertionError on a CALLERROR."""
        exchange = self.csms.sends(action, payload)
        self.until(lambda: exchange.done, within_s=within_s)
        assert exchange.answer is not None, f"{action}: {exchange.error}"
        return exchange.answer

    def later(self, seconds: float, act: Callable[[], object]) -> None:
        """Let something happen after `seconds`."""
        self.timeline.after(seconds * 1000, lambda: void(act()))

    # -------------------------------------------------- power and process

    def loses_power(self, keep: Keep = "random") -> Outage:
        """The mains of the whole station fails now."""
        self.cuts += self.station is not None
        self._dies(keep)
        self.board.alive = False
        for outlet in self.outlets.values():
            outlet.loses_power()
        return Outage(self, self._power_returns)

    def kills_agent(self, keep: Keep = "random") -> Outage:
        """SIGKILL: only the process ends; the devices notice that nobody feeds them."""
        self.cuts += self.station is not None
        self._dies(keep)
        self.hardware.starves()
        board = self.board
        return Outage(self, lambda: self._starts("Watchdog") if board.alive else None)

    def stops_agent(self) -> Outage:
        """SIGTERM: the station is told, and the process ends when the contactors are open, or after 8 s."""
        board = self.board
        self._says_goodbye()
        return Outage(self, lambda: self._starts("Unknown") if board.alive else None)

    def _says_goodbye(self) -> None:
        process = self.process
        self.hear(Stopping())
        self._ends_when_open(process, self.now_ms + GOODBYE_MS)

    def _ends_when_open(self, process: Life, until_ms: int) -> None:
        if process is not self.process or not process.alive:
            return
        if self.now_ms < until_ms and any(outlet.closed for outlet in self.outlets.values()):
            self.timeline.after(250, lambda: self._ends_when_open(process, until_ms), process)
            return
        self._dies("all")
        for outlet in self.outlets.values():
            outlet.withdraws()

    def _restarts(self) -> None:
        """The station ends its process itself, what it has said still arrives, and the service manager starts it."""
        process, board = self.process, self.board
        if process is not self._restarting:
            self._restarting = process
            self.timeline.after(RESTART_MS, self._says_goodbye, process)
            self.timeline.after(RESTART_MS + GOODBYE_MS + 1000, lambda: self._starts("ApplicationReset"), board)

    def freezes_agent(self) -> Outage:
        """SIGSTOP: the process holds still and hears everything later."""
        self.frozen, self._frozen_ms = self.station is not None, self.now_ms
        self.hardware.starves()
        process = self.process
        return Outage(self, lambda: self._thaws(process))

    def _thaws(self, process: Life) -> None:
        if not self.frozen or process is not self.process:
            return
        self.frozen = False
        self.hardware.fed()
        if self.now_ms - self._frozen_ms > LEASE_MS:
            self.hardware.lapsed()
        inbox, self._inbox = self._inbox, []
        for event in inbox:
            self.hear(event)

    def _dies(self, keep: Keep) -> None:
        self.process.alive = False
        self.workers.die()
        self.station, self.frozen, self._deadline_ms = None, False, None
        self._inbox.clear()
        self.network.process_ends()
        self.disk.cut(keep)

    def _power_returns(self) -> None:
        if self.board.alive:
            return
        self.board = Life()
        self.clock.booted_ms = self.now_ms
        self.clock.synchronised = self.clock.synchronised and self.clock.battery
        for outlet in self.outlets.values():
            outlet.gets_power()
        self.timeline.after(self.rng.randint(800, 4000), lambda: self._starts("PowerUp"), self.board)

    def _starts(self, reason: str) -> None:
        if self.station is not None:
            return
        self.boots += 1
        self.process = Life()
        self._pipeline = Pipeline()
        self.judge.booted()
        records, tables, health = self.disk.open(self.process, self)
        station = self.build(self.site, self.keys, tables)
        station.recover(records)
        self.station = station
        self.network.opens(self.process, self.hear)
        self.hardware.starts(self.process)
        self.main_meter.starts(self.process)
        start = Start(f"boot{self.boots}", self.rng.getrandbits(63), reason, f"power{self.clock.booted_ms}")
        self.timeline.after(0, lambda: self.hear(start), self.process)
        self.timeline.after(0, lambda: self.hear(health), self.process)
        if self.ticking:
            self._tick_each_second(self.process)

    def _tick_each_second(self, process: Life) -> None:
        def tick() -> None:
            self.hear(Tick())
            self._tick_each_second(process)

        self.timeline.after(1000, tick, process)

    # -------------------------------------------------- the clockwork

    @property
    def now_ms(self) -> int:
        """True time (ms since the world began)."""
        return self.clock.true_ms

    @property
    def step(self) -> int:
        """Steps of all boots together."""
        return self.total_steps

    @property
    def fingerprint(self) -> str:
        """A hash of every step so far: moment, event, effects."""
        return self._hash.hexdigest()

    def tail(self, steps: int = 12) -> str:
        """The last steps, for a person."""
        return "\n".join(list(self.trace)[-steps:])

    def _next_due(self) -> int | None:
        happening = self.timeline.next_due()
        if self.station is None or self.frozen or self._deadline_ms is None:
            return happening
        deadline = max(self.now_ms, self.clock.booted_ms + self._deadline_ms)
        return deadline if happening is None else min(happening, deadline)

    def _advance(self, end: int) -> None:
        while (due := self._next_due()) is not None and due <= end:
            self._advance_to_next(due)
        self.clock.true_ms = max(end, self.now_ms)

    def _advance_to_next(self, due: int) -> None:
        self.clock.true_ms = due
        try:
            if self.timeline.next_due() == due:
                self.timeline.run_next()
            else:
                self._tick()
        except PowerCut:
            self.cut_at = 0
            self.loses_power(self.cut_keeps).returns_after(seconds=self.cut_for_s)

    def _tick(self) -> None:
        at, count = self._ticks_here
        self._ticks_here = (self.now_ms, count + 1 if at == self.now_ms else 1)
        if self._ticks_here[1] > STUCK_TICKS:
            self.judge.fail("10 bounds", f"the deadline {self._deadline_ms} ms is never cleared")
        self.hear(Tick())

    # -------------------------------------------------- the runner

    def hear(self, event: Event) -> None:
        """Give the station an event: one step, and the effects that may run at once."""
        station = self.station
        if station is None:
            return
        if self.frozen:
            self._inbox.append(event)
            return
        if not isinstance(event, Reading):
            self.hardware.merge()
        self.judge.hears(event)
        now = self.clock.instant()
        if isinstance(event, PersistFailed):
            self._pipeline.told(event.step)
        effects = station.step(now, event)
        self.total_steps += 1
        self._deadline_ms = station.next_deadline()
        self._note(now, event, effects)
        self.judge.decides(effects)
        self._execute(self._pipeline.submit(station.steps, effects))
        if self._pipeline.is_held_up:
            self.disk.hurry()
        self.judge.stepped()

    def _note(self, now: Instant, event: Event, effects: list[Effect]) -> None:
        line = f"{self.now_ms / 1000:.3f} {now.mono_ms} {event!r} -> {effects!r}"
        self._hash.update(line.encode())
        self.trace.append(line)
        if self.watch is not None:
            self.watch(self.total_steps, line)

    def _execute(self, effects: Iterable[Effect]) -> None:
        station = self.station
        assert station is not None
        for effect in effects:
            self.boundary()
            self._run(effect, station)
        self.boundary()

    def _run(self, effect: Effect, station: StationLike) -> None:
        match effect:
            case MakeSafe(command=command) | Energise(command=command):
                self.judge.commands(effect)
                self.hardware.execute(command)
            case Persist():
                self.judge.keeps(effect)
                self.disk.append(station.steps, effect)
            case Say():
                self.judge.says(effect)
                self.network.say(effect)
            case Connect():
                self.judge.dials(effect.url)
                self.network.connect(effect)
            case Disconnect() | SetPing():
                self.network.execute(effect)
            case Restart():
                self._restarts()
            case Answer():
                self.judge.answers(effect)
                self._asks[effect.ask] = effect
            case StartJob() | CancelJob():
                self.workers.execute(effect)
            case Show():
                self.screens[effect.screen.display] = effect.screen
            case LogSecurity():
                self.security_log.append(effect)
            case Note():
                self.notes.append((self.now_ms, effect.level, effect.topic, effect.text))

    def committed(self, step: int) -> None:
        """The disk says: durable up to `step`."""
        self.judge.committed(step)
        self._execute(self._pipeline.committed(step))

    def failed(self, step: int, reason: str) -> None:
        """The disk says: the batch of `step` is lost."""
        self._execute(self._pipeline.failed(step))
        self.hear(PersistFailed(step, reason))

    def reported(self, report: StoreReported) -> None:
        """The disk says how it is."""
        self.hear(report)

    def written(self, persist: Persist) -> None:
        """The disk says: a batch is on flash."""
        self.judge.written(persist)

    def lost(self, rows: Rows, entries: int) -> None:
        """Damage has taken these records and so many entries; a password among them is set anew by the operator."""
        self.judge.damaged(rows, entries)
        if entries:
            self.csms.password = None

    def boundary(self) -> None:
        """Between two effects, and before and after a commit: a place where the power may be cut."""
        self.boundaries += 1
        self.at_boundary()
        if self.boundaries == self.cut_at:
            raise PowerCut


def void(_: object) -> None:
    """Forget what a fluent verb returns."""


class Outage:
    """The station is down until told otherwise."""

    def __init__(self, world: World, back: Callable[[], None]) -> None:
        self._world = world
        self._back = back

    def returns_after(self, *, seconds: float) -> World:
        """It comes back after `seconds`."""
        self._world.timeline.after(seconds * 1000, self._back)
        return self._world
