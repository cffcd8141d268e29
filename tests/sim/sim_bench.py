"""The simulated world behind the Bench protocol: scenarios and certification cases in virtual time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from random import Random
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

from hal.ports import BayChanged, FaultCleared, FaultRaised
from hil.bench import Amps3, End, Mood, Outfit, ScenarioFailed
from hil.csms import Behaviour, CallFailed
from hil.csms import Frame as BenchFrame
from hil.csms import Transaction as BenchTransaction
from hil.csms.answers import Answers
from hil.csms.record import Book
from hil.file_server import Taken
from tests.sim.car import Car
from tests.sim.clock import Timeline
from tests.sim.csms import Csms, Line, Payload
from tests.sim.doors import SimDoor
from tests.sim.invariants import Violation
from tests.sim.jobs import Ends
from tests.sim.outlet import OutletSpec, raw, smart
from tests.sim.world import World

T = TypeVar("T")
CABLE_AMPS = 32.0
METER_EVERY_MS = 1_000
IDENTITY = "CD-0001"


class BehavingCsms(Csms):
    """The simulated CSMS with the switches and answers of the bench CSMS."""

    def __init__(self, timeline: Timeline, rng: Random, line: Line) -> None:
        super().__init__(timeline, rng, line)
        self.behaviour = Behaviour()
        self.book = Book()
        self._replies = Answers(self.behaviour, lambda: self.timeline.clock.utc_ms / 1000)

    def receives(self, connection: int, text: str) -> None:
        """One frame of the station: recorded here and there, then answered as told."""
        super().receives(connection, text)
        message = self.frames[-1].message if self.frames[-1].direction == "<" else None
        if message is not None and message[0] == 2:
            self._note(connection, message)

    def _note(self, connection: int, message: list[Any]) -> None:
        _, id, action, payload = message
        ts = self.timeline.clock.utc_ms / 1000
        self.book.frame(BenchFrame(ts, IDENTITY, connection, "in", "call", id, action, payload))
        wrong = self.book.event(IDENTITY, payload) if action == "TransactionEvent" else None
        if wrong is not None:
            self.book.violation(ts, IDENTITY, "transaction", wrong)

    def _asked(self, connection: int, id: str, action: str, payload: Payload) -> None:
        if action == "TransactionEvent":
            self.record(payload)
        told = self.behaviour
        if told.silent or action in told.silent_actions:
            return
        delay_ms = 1000 * told.delays.get(action, 0.0)
        self.timeline.after(delay_ms, lambda: self._answer_as_told(connection, id, action, payload))

    def _answer_as_told(self, connection: int, id: str, action: str, payload: Payload) -> None:
        error = self.behaviour.errors.get(action)
        if error is not None and error.times != 0:
            error.times = None if error.times is None else error.times - 1
            self._reply(connection, [4, id, error.code, error.description, {}])
        else:
            self._reply(connection, [3, id, self._replies.to(IDENTITY, action, payload)])


class SimBench:
    """A world that a story drives. Each verb happens at once; waiting lets virtual time pass."""

    def __init__(
        self,
        evses: Sequence[OutletSpec] = (smart(16), raw(32, cable="socket")),
        *,
        seed: int = 1,
        keys: Mapping[str, str] | None = None,
        own_readers: bool = True,
        connector: int = 1,
    ) -> None:
        """`connector`: at which cars are plugged in, at EVSEs that have so many."""
        self._connectors = {evse: min(connector, 1 + len(spec.more)) for evse, spec in enumerate(evses, start=1)}
        self.world = World(evses, seed=seed, keys=dict(keys or {}))
        self.csms = BehavingCsms(self.world.timeline, self.world.csms.rng, self.world.network)
        self.world.csms = self.world.network.peer = self.csms
        self.checks: list[tuple[str, bool, object]] = []
        self.story: list[str] = []
        self._own_readers = own_readers
        self._files: list[Taken] = []
        self._doors: dict[int, SimDoor] = {}
        self.offered: dict[str, tuple[bytes, float]] = {}
        self.world.workers.do("logs.upload", self._upload)
        self._read_meters_often()

    def _read_meters_often(self) -> None:
        for driver in self.world.hardware.drivers.values():
            driver.meter_idle_ms = driver.meter_plugged_ms = METER_EVERY_MS

    # ------------------------------------------------------------------------------------------ doing

    def plug(
        self, evse: int, *, amps: float = 32.0, phases: int = 3, wants: bool = True, greedy: bool = False
    ) -> None:
        outlet, connector = self.world.outlets[evse], self._connectors[evse]
        car = Car(phases, amps, wants, bad=frozenset({"ignores_limit"} if greedy else ()))
        outlet.plug(car, CABLE_AMPS if outlet.cable_at(connector) == "socket" else None, connector)

    def unplug(self, evse: int, end: End = "both") -> None:
        outlet, connector = self.world.outlets[evse], self._connectors[evse]
        if end == "station":
            if self.locked(evse):
                raise ScenarioFailed(f"the plug of EVSE {evse} is locked")
            outlet.cables[connector] = None
            outlet.settle()
            return
        left = outlet.cables.get(connector) if end == "car" else None
        outlet.unplug(connector)
        outlet.cables[connector] = left

    def park(self, evse: int, there: bool = True) -> None:
        if self.world.outlets[evse].spec.bay_detector:
            self.world.hear(BayChanged(evse, there))

    def ev_needs(self, evse: int) -> None:
        self.world.hardware.drivers[evse].talk.needs()

    def pause(self, evse: int) -> None:
        self._wish(evse, False)

    def resume(self, evse: int) -> None:
        self._wish(evse, True)

    def _wish(self, evse: int, wants: bool) -> None:
        outlet = self.world.outlets[evse]
        if (car := outlet.cars.get(self._connectors[evse])) is not None:
            car.wants = wants
            outlet.settle()

    def present(self, uid: str, evse: int) -> None:
        self.world.ev(evse).presents(uid, evses=None if self._own_readers else tuple(self.world.outlets))
        self.world.runs(ms=1)

    def raise_fault(self, evse: int, code: str) -> None:
        self._fault(evse, code, True)

    def clear_fault(self, evse: int, code: str) -> None:
        self._fault(evse, code, False)

    def _fault(self, evse: int, code: str, stands: bool) -> None:
        if code == "lock_sticks":
            self.world.outlets[evse].lock_sticks = stands
        else:
            self.world.hear(FaultRaised(evse, code) if stands else FaultCleared(evse, code))

    def cut(self, how: Literal["cut", "blackhole"] = "cut") -> None:
        self.world.network.vanishes(half_open=how == "blackhole")

    def restore(self) -> None:
        self.world.network.returns()

    def refuse(self, url: str, refused: bool = True) -> None:
        host = urlsplit(url).netloc
        self.world.network.elsewhere[host] = None if refused else self.csms

    def urls(self) -> tuple[str, str]:
        assert self.world.site.network is not None
        first = self.world.site.network.url
        return first, first.replace("csms.", "csms2.")

    def secure_door(self, number: int = 1) -> SimDoor:
        if number not in self._doors:
            self._doors[number] = SimDoor(self.world.network, f"secure{number}.example", self.csms)
        return self._doors[number]

    def expects_password(self, password: str | None) -> None:
        self.csms.password = password

    def file_url(self, mood: Mood = "logs") -> str:
        return f"http://files.example/{mood}/"

    def offer(self, name: str, content: bytes, seconds: float = 0.0) -> str:
        url = f"http://files.example/{name}"
        self.offered[url] = (content, seconds)
        return url

    def files(self) -> Sequence[Taken]:
        return self._files

    def _upload(self, data: Mapping[str, Any]) -> Iterable[Ends]:
        """What a server of files does with a log."""
        path = urlsplit(data["url"]).path
        if path == "/missing/":
            return [Ends(0.1, False, {"error": "HTTP 404", "status": "UploadFailure"})]
        if path == "/stalls/":
            return []
        self._files.append(Taken("PUT", path + data["file"], data["kind"].encode()))
        return [Ends(0.5, True)]

    def knocks(self, url: str) -> int:
        return self.world.network.dialled.count(urlsplit(url).netloc)

    def lose_power(self) -> None:
        self._outage = self.world.loses_power()

    def return_power(self) -> None:
        self._outage.returns_after(seconds=0)
        boots = self.world.boots
        self.world.until(lambda: self.world.boots > boots, within_s=10)
        self._read_meters_often()

    def call(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        exchange = self.csms.sends(action, payload)
        self.wait_until(f"the answer to {action}", lambda: exchange.done)
        if exchange.error is not None:
            raise CallFailed(exchange.error[0], exchange.error[1], {})
        assert exchange.answer is not None
        if action == "SetVariables":
            self._note_keys(payload, exchange.answer)
        return exchange.answer

    def _note_keys(self, payload: dict[str, Any], answer: dict[str, Any]) -> None:
        """The world's judge goes by these keys."""
        for data, result in zip(payload["setVariableData"], answer["setVariableResult"], strict=True):
            if result["attributeStatus"] == "Accepted" and "instance" not in data["variable"]:
                name = f"{data['component']['name']}.{data['variable']['name']}"
                self.world.keys = {**self.world.keys, name: data["attributeValue"]}

    def wait(self, seconds: float) -> None:
        self.world.runs(seconds=seconds)

    @property
    def behaviour(self) -> Behaviour:
        return self.csms.behaviour

    # ------------------------------------------------------------------------------------------ seeing

    def outfits(self) -> dict[int, Outfit]:
        return {
            evse: Outfit(
                o.cable_at(self._connectors[evse]), o.spec.phases, o.spec.bay_detector, o.spec.signs, self._own_readers,
                o.spec.iso15118, connectors=1 + len(o.spec.more), connector=self._connectors[evse],
            )
            for evse, o in self.world.outlets.items()
        }

    def connected(self) -> bool:
        return self.csms.connection is not None

    def locked(self, evse: int) -> bool:
        return self._connectors[evse] in self.world.outlets[evse].locks

    def now(self) -> float:
        return self.world.now_ms / 1000

    def amps(self, evse: int) -> Amps3:
        outlet = self.world.outlets[evse]
        one, two, three = (outlet.amps if phase < outlet.live_phases else 0.0 for phase in range(3))
        return (one, two, three)

    def peak_amps(self, evse: int, since: float) -> float:
        raise NotImplementedError("the simulated world keeps no record of currents; its judge checks every step")

    def closed(self, evse: int) -> bool:
        return self.world.outlets[evse].closed

    def shown(self) -> Sequence[str]:
        screen = self.world.screens.get("front")
        return [*(page.text for page in screen.pages), *screen.lines] if screen else []

    def energy_wh(self, evse: int) -> float:
        register = self.world.outlets[evse].register
        return register.at(self.world.now_ms) - 1_000_000.0

    def calls(self, *actions: str) -> Sequence[BenchFrame]:
        return [frame for frame in self.csms.book.frames if not actions or frame.action in actions]

    def transactions(self) -> Sequence[BenchTransaction]:
        return list(self.csms.book.transactions.values())

    def violations(self) -> Sequence[str]:
        return [f"{violation.rule}: {violation.detail}" for violation in self.csms.book.violations]

    def wait_until(self, what: str, condition: Callable[[], T], within_s: float = 30.0) -> T:
        found: list[T] = []

        def holds() -> bool:
            found.append(condition())
            return bool(found[-1])

        try:
            self.world.until(holds, within_s=within_s)
        except Violation:
            raise
        except AssertionError:
            raise ScenarioFailed(f"waited {within_s:g} s in vain: {what}\n{self.world.tail()}") from None
        return found[-1]

    # ------------------------------------------------------------------------------------------ telling

    def note(self, text: str) -> None:
        self.story.append(f"{self.now():7.2f} s  {text}")

    def check(self, what: str, holds: bool, found: object = "") -> None:
        self.checks.append((what, holds, found))
