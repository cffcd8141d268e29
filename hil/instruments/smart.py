"""Heidelberg Energy Control wallbox at register level: own pilot, own contactor, own watchdog.

Register map from the vendor's "Modbus register table" (layout V1.0.8): input registers 4 to 18, 100, 101,
203; holding registers 257 to 262. Any telegram to its unit feeds the watchdog; when it lapses the wallbox
charges with the failsafe current until the next telegram. Settings are at their defaults after a power cut.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hil.instruments.contactor import Contactor
from hil.instruments.ev import Car, Phases3
from hil.instruments.pilot import MIN_AMPS, Duty, Mains, PilotState, duty_of_amps, state_of
from hil.modbus import READ_HOLDING, READ_INPUT, IllegalAddress, IllegalValue

LAYOUT_VERSION = 0x0108
SOFTWARE = 3721
"""Revision of the application software."""
WATCHDOG_MS, STANDBY, REMOTE_LOCK, MAX_CURRENT, FAILSAFE_CURRENT = 257, 258, 259, 261, 262
POWER_ON = {WATCHDOG_MS: 15_000, STANDBY: 0, REMOTE_LOCK: 1, MAX_CURRENT: 0, FAILSAFE_CURRENT: 0}

# IEC 61851-1 as vendors implement it: 500 ms of stable C before closing, 6 s for the car to leave C.
STABLE_C_S = 0.5
LEAVE_C_S = 6.0

PHASES, PHASES_STATE = 501, 5001
"""Registers of the connect.solar: where its phase relay shall go, and where it is."""
RELAY_TRAVEL_S = 0.2
FAULTS = ("contactor_welded", "contactor_failed", "over_temperature", "board_internal", "diode", "pilot")
"""What can be raised here; all but over_temperature (state 8, derating) show as state 11."""


def _current(value: int) -> bool:
    return value == 0 or 60 <= value <= 160


TAKES: dict[int, Callable[[int], bool]] = {
    WATCHDOG_MS: lambda value: True,
    STANDBY: lambda value: value in (0, 4),
    REMOTE_LOCK: lambda value: value in (0, 1),
    MAX_CURRENT: _current,
    FAILSAFE_CURRENT: _current,
}


SWITCHING_TAKES = {**TAKES, PHASES: lambda value: value in (1, 3)}
SWITCHING_POWER_ON = {**POWER_ON, PHASES: 3}


class HeidelbergEnergyControl:
    """One wallbox with its car; `clock` tells seconds for the watchdog, `step` does the rest."""

    faults_known: tuple[str, ...] = FAULTS
    takes = TAKES
    power_on = POWER_ON
    connectors = (1,)
    connector: int = 1

    def __init__(self, clock: Callable[[], float], max_amps: int = 16) -> None:
        self._clock = clock
        self.max_amps = max_amps
        self.contactor = Contactor()
        self.selected_phases = 3
        """Where the phase relay is; without one it is always there."""
        self.faults: set[str] = set()
        self.holding = dict(self.power_on)
        self.powered = True
        self.duty: Duty = 100.0
        self.pilot: PilotState = "A"
        self.apparent_vah = 0.0
        """Since installation."""
        self._power_on_vah = 0.0
        self._mains, self._amps = Mains(), (0.0, 0.0, 0.0)
        self._heard = clock()
        self._c_since: float | None = None
        self._no_offer_since: float | None = None

    # ------------------------------------------------------------------------------------------ electrics

    @property
    def lapsed(self) -> bool:
        """The watchdog has run out."""
        timeout = self.holding[WATCHDOG_MS]
        return timeout > 0 and (self._clock() - self._heard) * 1000 > timeout

    @property
    def commanded_amps(self) -> float:
        """What the bus allows before the wallbox's own limits: register 261, or 262 after a lapse."""
        register = FAILSAFE_CURRENT if self.lapsed else MAX_CURRENT
        return self.holding[register] / 10 if self.powered else 0.0

    @property
    def offered_amps(self) -> float:
        """What the pilot offers to the car."""
        if self.faults - {"over_temperature"} or self.holding[REMOTE_LOCK] == 0:
            return 0.0
        amps = min(self.commanded_amps, self.max_amps, MIN_AMPS if "over_temperature" in self.faults else 80)
        return amps if amps >= MIN_AMPS else 0.0

    def duty_at(self, connector: int) -> Duty:
        """Of its only connector."""
        return self.duty

    def step(self, now: float, cars: Mapping[int, Car], mains: Mains, amps: Phases3, dt: float) -> None:
        """Sense the car, move duty cycle and contactor."""
        self._mains, self._amps = mains, amps
        if not self.powered:
            return
        self.apparent_vah += sum(v * a for v, a in zip(mains.volts, amps, strict=True)) * dt / 3600
        car = cars[self.connector]
        self._self_check(car)
        self.duty = 0.0 if self.holding[REMOTE_LOCK] == 0 else duty_of_amps(self.offered_amps)
        self.pilot = state_of(car.load, self.duty)
        self._switch(now)
        self.contactor.step(now)

    def _self_check(self, car: Car) -> None:
        if not car.diode_ok:
            self.faults.add("diode")
        elif not car.plugged:
            self.faults.discard("diode")

    def _switch(self, now: float) -> None:
        if self.pilot != "C" or self.faults - {"over_temperature"}:
            self._c_since = self._no_offer_since = None
            self.contactor.coil = False
        elif self.offered_amps == 0:
            self._no_offer_since = now if self._no_offer_since is None else self._no_offer_since
            if now - self._no_offer_since >= LEAVE_C_S:
                self.contactor.coil = False
        else:
            self._no_offer_since = None
            self._c_since = now if self._c_since is None else self._c_since
            if now - self._c_since >= STABLE_C_S:
                self.contactor.coil = True

    def power(self, on: bool) -> None:
        """Lose or get the supply; afterwards every setting is at its default."""
        self.powered = on
        self.contactor.drop()
        self.duty = 100.0
        self._c_since = self._no_offer_since = None
        if on:
            self.holding = dict(self.power_on)
            self._heard = self._clock()
            self._power_on_vah = self.apparent_vah

    def raise_fault(self, code: str) -> None:
        """A fault of `FAULTS` begins."""
        self.faults.add(code)
        self.contactor.welded |= code == "contactor_welded"
        self.contactor.stuck |= code == "contactor_failed"

    def clear_fault(self, code: str) -> None:
        """Its cause is gone."""
        self.faults.discard(code)
        self.contactor.welded &= code != "contactor_welded"
        self.contactor.stuck &= code != "contactor_failed"

    # ------------------------------------------------------------------------------------------ registers

    @property
    def state(self) -> int:
        """Input register 5: 2 A1, 3 A2, 4 B1, 5 B2, 6 C1, 7 C2, 8 derating, 9 E, 10 F, 11 error."""
        if self.faults - {"over_temperature"}:
            return 11
        if self.pilot in "EF":
            return 9 if self.pilot == "E" else 10
        if self.pilot == "C" and self.offered_amps and self.faults:
            return 8
        allowed = int(self.offered_amps > 0)
        return {"A": 2, "B": 4, "C": 6, "D": 6}[self.pilot] + allowed

    def inputs(self) -> dict[int, int]:
        """The measured values."""
        volt_amperes = sum(v * a for v, a in zip(self._mains.volts, self._amps, strict=True))
        since_power_on, total = int(self.apparent_vah - self._power_on_vah), int(self.apparent_vah)
        hot = 850 if "over_temperature" in self.faults else 312
        words = [LAYOUT_VERSION, self.state, *(round(a * 10) for a in self._amps), hot]
        words += [*(round(v) for v in self._mains.volts), 1, round(volt_amperes)]
        words += [since_power_on >> 16, since_power_on & 0xFFFF, total >> 16, total & 0xFFFF]
        return dict(enumerate(words, start=4)) | {100: self.max_amps, 101: int(MIN_AMPS), 203: SOFTWARE}

    def read(self, function: int, address: int, count: int) -> list[int]:
        """FC4 measured values, FC3 settings; a gap in the map is an illegal address."""
        self._heard = self._clock()
        space = {READ_INPUT: self.inputs(), READ_HOLDING: self.holding}[function]
        try:
            return [space[address + i] for i in range(count)]
        except KeyError:
            raise IllegalAddress from None

    def write(self, address: int, values: list[int]) -> None:
        """Settings; a value outside its range is refused and nothing changes."""
        self._heard = self._clock()
        changes = {address + i: value for i, value in enumerate(values)}
        if not changes.keys() <= self.takes.keys():
            raise IllegalAddress
        if not all(self.takes[at](value) for at, value in changes.items()):
            raise IllegalValue
        self.holding |= changes


class AmperfiedConnect(HeidelbergEnergyControl):
    """A connect.solar: the same box with a phase relay, which it moves only while its contactor is open.

    After a power cut the register has its default and the relay follows it: three phases.
    """

    faults_known = (*FAULTS, "relay_stuck", "relay_silent")
    takes = SWITCHING_TAKES
    power_on = SWITCHING_POWER_ON

    def __init__(self, clock: Callable[[], float], max_amps: int = 16) -> None:
        super().__init__(clock, max_amps)
        self.relay_moves = 0
        self.relay_faults: set[str] = set()
        self._relay_since: float | None = None

    def raise_fault(self, code: str) -> None:
        """A fault of the relay is none that the box knows of."""
        super().raise_fault(code)
        self.relay_faults |= self.faults & {"relay_stuck", "relay_silent"}
        self.faults -= self.relay_faults

    def clear_fault(self, code: str) -> None:
        """Its cause is gone."""
        super().clear_fault(code)
        self.relay_faults = self.relay_faults - {code}

    def step(self, now: float, cars: Mapping[int, Car], mains: Mains, amps: Phases3, dt: float) -> None:
        """The relay follows its register while nothing is closed."""
        super().step(now, cars, mains, amps, dt)
        idle = self.powered and not any(self.contactor.poles) and "relay_stuck" not in self.relay_faults
        if not idle or self.selected_phases == self.holding[PHASES]:
            self._relay_since = None
            return
        self._relay_since = now if self._relay_since is None else self._relay_since
        if now - self._relay_since >= RELAY_TRAVEL_S:
            self.selected_phases = self.contactor.phases = self.holding[PHASES]
            self.relay_moves += 1

    def inputs(self) -> dict[int, int]:
        """And where the relay is."""
        told = 0 if "relay_silent" in self.relay_faults else self.selected_phases
        return super().inputs() | {PHASES_STATE: told}
