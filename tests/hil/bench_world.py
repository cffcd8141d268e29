"""A bench without wires: virtual seconds, an outlet with a car, and a host that speaks to the board."""

from __future__ import annotations

from collections.abc import Callable

from hal import frames
from hil.instruments.board import BoardMake, RawBoard
from hil.instruments.ev import CarModel
from hil.instruments.meter import EastronSdm630
from hil.instruments.smart import HeidelbergEnergyControl
from hil.outlet import Outlet, Sample, Stage

DT = 0.02


class Seconds:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class World:
    """One outlet in virtual time; `also` runs at every step, like a host that sends its heartbeats."""

    def __init__(self, clock: Seconds, stage: Stage) -> None:
        self.clock = clock
        self.outlet = Outlet(1, stage, EastronSdm630(serial=4711, import_kwh=1234.5))
        self.samples: list[Sample] = []
        self.also: Callable[[], None] = lambda: None

    def runs(self, seconds: float) -> None:
        for _ in range(round(seconds / DT)):
            self.clock.now += DT
            self.also()
            self.samples.append(self.outlet.step(self.clock.now, DT))

    def runs_until(self, true: Callable[[], bool], at_most: float) -> float:
        """Seconds it took; fails when it does not come true."""
        start = self.clock.now
        while not true():
            assert self.clock.now - start <= at_most, "did not come true in time"
            self.runs(DT)
        return self.clock.now - start

    def plugs(self, model: CarModel | None = None) -> None:
        self.outlet.car.plug(model or CarModel())

    @property
    def amps(self) -> tuple[float, float, float]:
        return self.outlet.car.amps


class BoardWorld(World):
    """A raw board with a host at the other end of its line."""

    def __init__(self, make: BoardMake | None = None) -> None:
        clock = Seconds()
        self.board = RawBoard(clock, make, self._heard)
        super().__init__(clock, self.board)
        self.seq = 0
        self.states: list[frames.State] = []
        self.boots: list[frames.Boot] = []
        self.acks: list[frames.Ack] = []
        self._decoder = frames.Decoder()
        self.beats = True
        self.also = self._beat

    def _heard(self, data: bytes) -> None:
        for frame in self._decoder.feed(data):
            match frame.message:
                case frames.State() as state:
                    self.states.append(state)
                case frames.Boot() as boot:
                    self.boots.append(boot)
                case frames.Ack() as ack:
                    self.acks.append(ack)

    def _beat(self) -> None:
        if self.beats:
            self.board.receive(frames.encode(frames.Heartbeat()))

    def sends(self, message: frames.Message) -> int:
        """Send one command; the result code of its Ack."""
        self.seq = self.seq % 255 + 1
        self.board.receive(frames.encode(message, self.seq))
        assert self.acks[-1].seq == self.seq
        return self.acks[-1].result

    def greets(self, timeout_ms: int = 3000) -> None:
        assert self.sends(frames.Hello(frames.VERSION, timeout_ms)) == frames.OK

    def charges(self, amps: int = 16, step: int = 7, model: CarModel | None = None) -> None:
        """Greet, plug, permit, and run until full current flows."""
        self.greets()
        self.plugs(model)
        self.runs(0.1)
        assert self.sends(frames.Permit(step, amps * 10, 3)) == frames.OK
        self.runs_until(lambda: self.amps[0] >= amps - 0.01, 10)


class SmartWorld(World):
    """A Heidelberg wallbox."""

    def __init__(self) -> None:
        clock = Seconds()
        self.box = HeidelbergEnergyControl(clock)
        super().__init__(clock, self.box)
