"""The bench itself: wires, instruments, network and power, in real time on one event loop."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from hil.agent_process import AgentProcess
from hil.boardfile import DISPLAY, render
from hil.cutter import Address, Cutter
from hil.firmware import RELEASES, place, this_tree
from hil.instruments.board import RawBoard
from hil.instruments.ev import Car, CarModel
from hil.instruments.meter import EastronSdm630, EnergyMeter
from hil.instruments.pilot import NO_MAINS, Mains
from hil.instruments.reader import RfidReader
from hil.instruments.smart import AmperfiedConnect, HeidelbergEnergyControl
from hil.modbus import RtuBus, TcpBus, Unit
from hil.outlet import Outlet, Sample
from hil.plan import BenchPlan, EvsePlan, MeterPlan, UnitPlan, WirePlan
from hil.wire import RtuWire, SerialFormat, SerialLine

KEPT_SAMPLES = 200_000
RECORD_EVERY_S = 0.2
RESTART_S = 1.0
Ailment = Literal["mute", "garble", "freeze", "heal"]


class Unknown(ValueError):
    """No such EVSE, device, reader or fault at this bench; the text says what there is."""


class Rig:
    """All of a bench. `open` offers the ports and writes board.toml; `close` takes everything away."""

    def __init__(self, plan: BenchPlan, csms: Address | None = None) -> None:
        target = csms or plan.network.target
        if target is None:
            raise ValueError("the bench knows no CSMS: set network.target in the bench file")
        self.plan = plan
        self.home = (plan.directory or Path(tempfile.mkdtemp(prefix="hil-"))).resolve()
        self.home.mkdir(parents=True, exist_ok=True)
        self.cutter = Cutter(target, plan.network.listen)
        self.back_door = Cutter(target, replace(plan.network.listen, port=0))
        """Another way to the same CSMS."""
        self.outlets: dict[int, Outlet] = {}
        self.main_meter: EnergyMeter | None = None
        self.readers: dict[str, RfidReader] = {}
        self.history: deque[Sample] = deque(maxlen=KEPT_SAMPLES)
        self.powered = True
        releases = self.home / RELEASES if plan.releases else None
        self.agent = AgentProcess(self.board_file, self.home / "agent.log", releases)
        self._restart_agent = False
        self._reset_at: float | None = None
        self._units: dict[tuple[int, str], Unit] = {}
        self._lines: dict[str, SerialLine] = {}
        self._buses: dict[str, RtuBus | TcpBus] = {}
        self._last: dict[int, Sample] = {}
        self._physics: asyncio.Task[None] | None = None

    @property
    def board_file(self) -> Path:
        """The board.toml that `open` writes for the agent."""
        return self.home / "board.toml"

    def shown(self) -> list[str]:
        """The lines on the display."""
        file = self.home / f"{DISPLAY}.txt"
        return file.read_text(encoding="utf-8").splitlines() if file.exists() else []

    # ------------------------------------------------------------------------------------------ life

    async def open(self) -> None:
        """Offer every port and start the physics."""
        clock = asyncio.get_running_loop().time
        for plan in self.plan.evses:
            self._build(plan)
        if self.plan.main_meter is not None:
            main = self.main_meter = _meter(self.plan.main_meter)
            self._units[0, "meter"] = Unit(self.plan.main_meter.unit, main)
        for reader in self.plan.readers:
            self._reader(reader.name, reader.baud)
        for wire in self.plan.wires:
            self._buses[wire.name] = self._bus(wire)
            await self._buses[wire.name].open()
        if self.agent.releases is not None:
            place(self.agent.releases, this_tree())
        await self.cutter.open()
        await self.back_door.open()
        self._write_board()
        self._physics = asyncio.create_task(self._run(clock()), name="physics")

    async def close(self) -> None:
        """Stop the agent, close every port."""
        self.agent.kill()
        if self._physics is not None:
            self._physics.cancel()
            await asyncio.gather(self._physics, return_exceptions=True)
        await self.cutter.close()
        await self.back_door.close()
        for bus in self._buses.values():
            await bus.close()
        for line in self._lines.values():
            line.close()

    def _build(self, plan: EvsePlan) -> None:
        clock = asyncio.get_running_loop().time
        meter = _meter(plan.meter)
        self._units[plan.id, "meter"] = Unit(plan.meter.unit, meter)
        if plan.controller is not None:
            make = AmperfiedConnect if plan.controller.profile == "amperfied-connect" else HeidelbergEnergyControl
            box = make(clock, int(plan.max_amps))
            self._units[plan.id, "controller"] = Unit(plan.controller.unit, box)
            self.outlets[plan.id] = Outlet(plan.id, box, meter)
            return
        board = RawBoard(clock, plan.board)
        name = f"board{plan.id}"
        self._lines[name] = SerialLine(self.home / name, SerialFormat(plan.board_baud), board.receive)
        board.send = self._lines[name].send
        self.outlets[plan.id] = Outlet(plan.id, board, meter)

    def _reader(self, name: str, baud: int) -> None:
        reader = self.readers[name] = RfidReader()
        line = SerialLine(self.home / f"reader-{name}", SerialFormat(baud), reader.receive)
        self._lines[name] = reader.line = line

    def _bus(self, wire: WirePlan) -> RtuBus | TcpBus:
        places: dict[tuple[int, str], UnitPlan | None] = {(0, "meter"): self.plan.main_meter}
        for plan in self.plan.evses:
            places |= {(plan.id, "meter"): plan.meter, (plan.id, "controller"): plan.controller}
        units = [self._units[key] for key, place in places.items() if place is not None and place.wire == wire.name]
        if wire.kind == "tcp":
            return TcpBus(wire.host, wire.port, units)
        return RtuBus(RtuWire(self.home / wire.name, wire.line), units)

    def _write_board(self) -> None:
        ports: dict[str, str | tuple[str, int]] = {name: str(line.path) for name, line in self._lines.items()}
        for name, bus in self._buses.items():
            ports[name] = str(bus.wire.serial.path) if isinstance(bus, RtuBus) else (bus.host, bus.port)
        url = f"ws://{self.cutter.listen}{self.plan.network.path}"
        self.board_file.write_text(render(self.plan, url, ports, str(self.home / "state")), encoding="utf-8")

    async def _run(self, last: float) -> None:
        """The physics: each outlet at the bench's rate, by the time that really passed."""
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(1 / self.plan.step_hz)
            now = clock()
            self._supervise(now)
            for outlet in self.outlets.values():
                self._record(outlet.step(now, now - last))
            self._measure_all(now - last)
            last = now

    def _measure_all(self, dt: float) -> None:
        """What all cars draw passes the main meter."""
        if self.main_meter is not None:
            one, two, three = (sum(phase) for phase in zip(*(o.amps for o in self.outlets.values()), strict=True))
            self.main_meter.measure(dt, Mains() if self.powered else NO_MAINS, (one, two, three))

    def _supervise(self, now: float) -> None:
        """The service manager's part: an agent that has ended for a reset is started again, a second later."""
        if not (self.powered and self.agent.resets):
            self._reset_at = None
        elif self._reset_at is None:
            self._reset_at = now
        elif now - self._reset_at >= RESTART_S:
            self.start_agent()

    def _record(self, sample: Sample) -> None:
        """Keep what differs from the last line, and one line each 200 ms anyway."""
        before = self._last.get(sample.evse)
        if before is not None and sample.t - before.t < RECORD_EVERY_S:
            same = replace(sample, t=before.t, energy_wh=before.energy_wh) == before
            if same:
                return
        self._last[sample.evse] = sample
        self.history.append(sample)

    # ------------------------------------------------------------------------------------------ verbs

    def outlet(self, evse: int) -> Outlet:
        """The outlet of an EVSE; raises Unknown."""
        if evse not in self.outlets:
            raise Unknown(f"no EVSE {evse}; there are {sorted(self.outlets)}")
        return self.outlets[evse]

    def plug(self, evse: int, connector: int = 1, **car: Any) -> None:
        """A car arrives at a connector: fields of CarModel that differ from those of the bench file."""
        plan = next((plan for plan in self.plan.evses if plan.id == evse), None)
        if plan is None:
            raise Unknown(f"no EVSE {evse}; there are {sorted(self.outlets)}")
        self._car(evse, connector).plug(CarModel(**{**plan.car, **car}))

    def unplug(self, evse: int, connector: int | None = None, *, keeps_cable: bool = False) -> None:
        """The plug is pulled; with `keeps_cable` only at the car, and the cable stays in the socket.

        Without `connector`, here and below, it is the car that has the power path, or else the first that is there.
        """
        self._car(evse, connector)
        self.outlets[evse].unplug(keeps_cable, connector)

    def _car(self, evse: int, connector: int | None) -> Car:
        outlet = self.outlet(evse)
        if connector is None:
            return outlet.car
        if connector not in outlet.cars:
            raise Unknown(f"no connector {connector} at EVSE {evse}; there are {sorted(outlet.cars)}")
        return outlet.cars[connector]

    def pause(self, evse: int, paused: bool = True, connector: int | None = None) -> None:
        """The car stops wanting energy, or wants it again."""
        self._car(evse, connector).paused = paused

    def present(self, uid: str, evse: int | None = None, reader: str | None = None) -> None:
        """Hold a card to the named reader, to the one that serves `evse`, or to the first."""
        names = [plan.name for plan in self.plan.readers if evse is None or evse in plan.evses]
        if reader is not None:
            names = [name for name in names if name == reader]
        if not names:
            raise Unknown(f"no reader {reader or ''} for EVSE {evse}; there are {sorted(self.readers)}")
        self.readers[names[0]].present(uid)

    def raise_fault(self, evse: int, code: str, raised: bool = True) -> None:
        """Begin or end a fault; raises Unknown with the codes that this EVSE can have."""
        outlet = self.outlet(evse)
        if code not in outlet.faults_known:
            raise Unknown(f"no fault {code!r} at EVSE {evse}; there are {', '.join(outlet.faults_known)}")
        outlet.raise_fault(code) if raised else outlet.clear_fault(code)

    def power_cut(self) -> None:
        """The mains fails: agent killed, contactors fall, every device off; cars stay plugged."""
        if not self.powered:
            return
        self.powered = False
        self._restart_agent = self.agent.running
        self.agent.kill()
        self._power(False)

    def power_restore(self) -> None:
        """Mains is back: devices boot, and the agent is started again if it ran before."""
        if self.powered:
            return
        self.powered = True
        self._power(True)
        if self._restart_agent:
            self.start_agent()

    def _power(self, on: bool) -> None:
        for unit in self._units.values():
            unit.powered = on
        for reader in self.readers.values():
            reader.powered = on
        for outlet in self.outlets.values():
            outlet.stage.power(on)

    def start_agent(self) -> None:
        """Start the agent on the board file; what nobody fetched from the serial lines is gone."""
        for line in self._lines.values():
            line.flush()
        self.agent.start()

    # ------------------------------------------------------------------------------------------ ailments

    def devices(self) -> list[str]:
        """Names that `ail` takes: meter1, controller1, board2, reader names, wires."""
        modbus = [f"{device}{evse}" for evse, device in self._units]
        wires = [name for name, bus in self._buses.items() if isinstance(bus, RtuBus)]
        return sorted([*modbus, *self._lines, *wires])

    def ail(self, device: str, ailment: Ailment) -> None:
        """Mute, garble, freeze (meters) or heal a device; raises Unknown."""
        if device not in self.devices():
            raise Unknown(f"no device {device!r}; there are {', '.join(self.devices())}")
        unit = next((u for (evse, name), u in self._units.items() if f"{name}{evse}" == device), None)
        if unit is not None:
            self._ail_unit(unit, ailment)
            return
        bus = self._buses.get(device)
        faults = bus.wire.faults if isinstance(bus, RtuBus) else self._lines[device].faults
        if ailment == "freeze":
            raise Unknown(f"{device} cannot freeze; meters can")
        faults.mute, faults.garble = ailment == "mute", float(ailment == "garble")

    def _ail_unit(self, unit: Unit, ailment: Ailment) -> None:
        meter = unit.registers if isinstance(unit.registers, EnergyMeter) else None
        if ailment == "freeze" and meter is None:
            raise Unknown("a controller cannot freeze; meters can")
        unit.muted, unit.garbled = ailment == "mute", ailment == "garble"
        if meter is not None:
            meter.freeze(ailment == "freeze")

    # ------------------------------------------------------------------------------------------ looking

    def describe(self) -> dict[str, Any]:
        """The whole state as JSON."""
        now = asyncio.get_running_loop().time()
        return {
            "t": now,
            "powered": self.powered,
            "link": {
                "mode": self.cutter.mode, "connections": self.cutter.connections,
                "listen": str(self.cutter.listen), "target": str(self.cutter.target),
            },
            "agent": {
                "running": self.agent.running, "pid": self.agent.pid, "starts": self.agent.starts,
                "exit_code": self.agent.exit_code, "board": str(self.agent.board),
                "log": str(self.agent.log),
            },
            "home": str(self.home),
            "devices": self.devices(),
            "evses": [outlet.describe(now) for outlet in self.outlets.values()],
            "readers": {name: reader.presented[-5:] for name, reader in self.readers.items()},
        }  # fmt: skip

    def since(self, t: float, limit: int = 10_000) -> list[Sample]:
        """The recorded samples after `t` (seconds of the bench's clock), oldest first."""
        newer = itertools.takewhile(lambda sample: sample.t > t, reversed(self.history))
        return list(itertools.islice(newer, limit))[::-1]


def _meter(plan: MeterPlan) -> EnergyMeter:
    """The instrument; the one that signs needs the bench's cryptography, which is loaded with it."""
    if plan.signs:
        from hil.instruments.signing_meter import BauerBsmWs36a

        return BauerBsmWs36a(plan.serial, plan.import_kwh)
    return EastronSdm630(plan.serial, plan.import_kwh)
