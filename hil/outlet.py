"""The physics of one EVSE at the bench: stage, car and meter on the same wires, and the true energy."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from hil.instruments.board import RawBoard
from hil.instruments.contactor import Contactor
from hil.instruments.ev import Car, Live, Phases3
from hil.instruments.meter import EnergyMeter
from hil.instruments.pilot import NO_MAINS, Duty, Mains, PilotState


class Stage(Protocol):
    """A smart wallbox or a raw board: what stands between mains and car."""

    contactor: Contactor
    duty: Duty
    powered: bool
    selected_phases: int
    connector: int
    """Which connector has the power path."""

    @property
    def connectors(self) -> Collection[int]: ...
    @property
    def pilot(self) -> PilotState: ...
    @property
    def faults_known(self) -> tuple[str, ...]: ...
    @property
    def faults(self) -> set[str]: ...
    @property
    def commanded_amps(self) -> float: ...
    @property
    def offered_amps(self) -> float: ...

    def duty_at(self, connector: int) -> Duty: ...
    def step(self, now: float, cars: Mapping[int, Car], mains: Mains, amps: Phases3, dt: float) -> None: ...
    def power(self, on: bool) -> None: ...
    def raise_fault(self, code: str) -> None: ...
    def clear_fault(self, code: str) -> None: ...


DEAD: Live = (False, False, False)
CAR_FAULTS = ("ev_ignores_limit", "ev_keeps_s2_closed", "ev_diode", "ev_pilot_short")
METER_FAULTS = ("meter_jump", "meter_rollover", "meter_nan")


@dataclass(frozen=True, slots=True)
class Sample:
    """One line of the bench's own record; `t` is the bench's monotonic clock in seconds."""

    t: float
    evse: int
    pilot: str
    duty: float | None
    commanded: float
    offered: float
    contacts: Live
    amps: Phases3
    energy_wh: float
    selected: int
    """Where the phase relay is."""


@dataclass
class Outlet:
    """One EVSE. `step` moves the world by `dt` seconds."""

    evse: int
    stage: Stage
    meter: EnergyMeter
    mains: Mains = field(default_factory=Mains)
    energy_wh: float = 0.0
    """What really flowed since the bench started."""
    cars: dict[int, Car] = field(init=False)
    """By connector."""

    def __post_init__(self) -> None:
        self.cars = {connector: Car() for connector in self.stage.connectors}

    @property
    def connector(self) -> int:
        """Where the power path is; while nobody is plugged in there, the first where somebody is."""
        here = self.stage.connector
        plugged = [number for number, car in self.cars.items() if car.plugged]
        return here if here in plugged or not plugged else plugged[0]

    @property
    def car(self) -> Car:
        """The one at that connector."""
        return self.cars[self.connector]

    def step(self, now: float, dt: float) -> Sample:
        """Stage first, then the car on what the stage left live, then the meter on what the car draws."""
        mains = self.mains if self.stage.powered else NO_MAINS
        self.stage.step(now, self.cars, mains, self.amps, dt)
        live = self._live(mains)
        for connector, car in self.cars.items():
            duty = self.stage.duty_at(connector) if self.stage.powered else None
            car.step(now, dt, duty, live if connector == self.stage.connector else DEAD, mains.volts)
        self.meter.measure(dt, mains, self.amps)
        watts = sum(a * v for a, v in zip(self.amps, mains.volts, strict=True)) * self.meter.power_factor
        self.energy_wh += watts * dt / 3600
        return self.sample(now)

    @property
    def amps(self) -> Phases3:
        """What flows into the car that has the power path; nothing flows into another."""
        return self.cars[self.stage.connector].amps

    def unplug(self, keeps_cable: bool = False, connector: int | None = None) -> None:
        """The car leaves (None: `connector`); a cable of its own may stay in the socket."""
        number = connector or self.connector
        self.cars[number].unplug()
        if isinstance(self.stage, RawBoard):
            plug = self.stage.connectors[number]
            plug.cable_left = keeps_cable and plug.make.socket

    @property
    def locks(self) -> set[int]:
        """Connectors whose plug is retained in the socket."""
        plugs = self.stage.connectors.values() if isinstance(self.stage, RawBoard) else ()
        return {plug.number for plug in plugs if plug.locked}

    def _live(self, mains: Mains) -> Live:
        one, two, three = self.stage.contactor.live
        return (one and mains.on, two and mains.on, three and mains.on)

    def sample(self, now: float) -> Sample:
        """What a recorder at this outlet sees now."""
        stage = self.stage
        return Sample(
            now, self.evse, stage.pilot, stage.duty, stage.commanded_amps, stage.offered_amps,
            stage.contactor.live, self.amps, self.energy_wh, stage.selected_phases,
        )  # fmt: skip

    @property
    def faults_known(self) -> tuple[str, ...]:
        """Codes that `raise_fault` takes."""
        return (*self.stage.faults_known, *CAR_FAULTS, *METER_FAULTS)

    def raise_fault(self, code: str) -> None:
        """Begin a fault by code; raises KeyError when nothing here can have it."""
        if code not in self.faults_known:
            raise KeyError(code)
        if code in CAR_FAULTS:
            self._car_fault(code, True)
        elif code in METER_FAULTS:
            self._meter_fault(code, True)
        else:
            self.stage.raise_fault(code)

    def clear_fault(self, code: str) -> None:
        """End it; raises KeyError when nothing here can have it."""
        if code not in self.faults_known:
            raise KeyError(code)
        if code in CAR_FAULTS:
            self._car_fault(code, False)
        elif code in METER_FAULTS:
            self._meter_fault(code, False)
        else:
            self.stage.clear_fault(code)

    def _car_fault(self, code: str, on: bool) -> None:
        model = self.car.model
        match code:
            case "ev_ignores_limit":
                model.ignores_limit = on
            case "ev_keeps_s2_closed":
                model.keeps_s2_closed = on
            case "ev_diode":
                model.diode_ok = not on
            case _:
                model.pilot_short = on

    def _meter_fault(self, code: str, on: bool) -> None:
        match code:
            case "meter_nan":
                self.meter.nan = on
            case "meter_jump" if on:
                self.meter.jump(100_000.0)
            case "meter_rollover" if on:
                self.meter.rollover()

    def describe(self, now: float) -> dict[str, Any]:
        """The outlet as JSON for the control API."""
        sample = self.sample(now)
        return {
            "evse": self.evse,
            "connector": self.stage.connector,
            "pilot": sample.pilot,
            "duty": sample.duty,
            "commanded_amps": sample.commanded,
            "offered_amps": sample.offered,
            "contacts": list(sample.contacts),
            "amps": [round(a, 2) for a in sample.amps],
            "volts": list((self.mains if self.stage.powered else NO_MAINS).volts),
            "energy_wh": round(self.energy_wh, 3),
            "meter": {"serial": self.meter.serial, "import_wh": round(self.meter.total_wh, 3)},
            "faults": sorted(self.stage.faults),
            "faults_known": list(self.faults_known),
            "locked": sorted(self.locks),
            "car": _described(self.car),
            "cars": {str(connector): _described(car) for connector, car in self.cars.items()},
        }


def _described(car: Car) -> dict[str, Any]:
    return {
        "plugged": car.plugged, "paused": car.paused, "s2_closed": car.s2_closed,
        "full": car.full, "max_amps": car.model.max_amps, "phases": car.model.phases,
    }  # fmt: skip
