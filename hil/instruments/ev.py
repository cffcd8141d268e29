"""The car: it follows the control pilot of IEC 61851-1 and draws current when mains is there.

plug -> B; a PWM is offered and the car wants energy -> C after `wake_s`; a change of the offer is followed
after `react_s` with a ramp; no offer or no wish -> the current goes to zero and S2 opens.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hil.instruments.pilot import MIN_AMPS, Duty, Load, amps_of_duty

Phases3 = tuple[float, float, float]
Live = tuple[bool, bool, bool]


@dataclass
class CarModel:
    """How a car behaves; times in seconds, currents in A per phase."""

    max_amps: float = 16.0
    phases: int = 3
    wake_s: float = 1.0
    """From the first PWM (with a wish for energy) to S2 closed."""
    react_s: float = 1.0
    """From a change of the offered current to the car following it; the standard allows 5 s."""
    ramp_up: float = 10.0
    ramp_down: float = 40.0
    """A per second."""
    stop_s: float = 1.0
    """From the end of the offer to zero current and S2 open; the standard allows 3 s."""
    ventilation: bool = False
    """Asks for D instead of C."""
    battery_wh: float | None = None
    """Room in the battery; None never fills."""
    ignores_limit: bool = False
    keeps_s2_closed: bool = False
    diode_ok: bool = True
    pilot_short: bool = False


@dataclass
class Car:
    """One car at one outlet. `step` moves it on; `load` and `amps` are what the charger sees of it."""

    model: CarModel = field(default_factory=CarModel)
    plugged: bool = False
    paused: bool = False
    s2_closed: bool = False
    amps: Phases3 = (0.0, 0.0, 0.0)
    taken_wh: float = 0.0
    _offer: float = 0.0
    _offer_since: float = 0.0
    _follows: float = 0.0
    _draw: float = 0.0
    _wish_since: float | None = None
    _stop_since: float | None = None

    def plug(self, model: CarModel) -> None:
        """Arrive with this behaviour and plug in."""
        self.model = model
        self.plugged, self.paused = True, False
        self.taken_wh = 0.0

    def unplug(self) -> None:
        """Pull the plug, whatever flows."""
        self.plugged = self.s2_closed = False
        self.amps = (0.0, 0.0, 0.0)
        self._offer = self._follows = self._draw = 0.0
        self._wish_since = self._stop_since = None

    @property
    def full(self) -> bool:
        """The battery has no room left."""
        return self.model.battery_wh is not None and self.taken_wh >= self.model.battery_wh

    @property
    def load(self) -> Load:
        """What the charger's pilot circuit finds on the wire."""
        if not self.plugged:
            return "open"
        if self.model.pilot_short:
            return "short"
        if not self.s2_closed:
            return "B"
        return "D" if self.model.ventilation else "C"

    @property
    def diode_ok(self) -> bool:
        """The negative half-wave is there; false when a car with a broken diode is plugged."""
        return self.model.diode_ok or not self.plugged

    def step(self, now: float, dt: float, duty: Duty, live: Live, volts: Phases3) -> None:
        """`dt` seconds pass until `now`; `duty` is on the pilot, `live` phases have mains at the plug."""
        if not self.plugged:
            return
        self._note_offer(now, amps_of_duty(duty))
        self._switch_s2(now)
        self._draw_current(dt, live)
        self.taken_wh += sum(a * v for a, v in zip(self.amps, volts, strict=True)) * dt / 3600

    def _note_offer(self, now: float, offer: float) -> None:
        if abs(offer - self._offer) > 0.01:
            self._offer, self._offer_since = offer, now
        since = now - self._offer_since
        if self._follows < MIN_AMPS or self._offer < MIN_AMPS:
            ready = self._offer > 0 or since >= self.model.stop_s
        else:
            ready = since >= self.model.react_s
        if ready:
            self._follows = self._offer

    def _switch_s2(self, now: float) -> None:
        """Close S2 while there is an offer and a wish; open it when one has gone and the current is down."""
        wish = self._offer >= MIN_AMPS and not self.paused and not self.full
        if wish:
            self._wish_since = now if self._wish_since is None else self._wish_since
            self._stop_since = None
            self.s2_closed = self.s2_closed or now - self._wish_since >= self.model.wake_s
            return
        self._wish_since = None
        self._stop_since = now if self._stop_since is None else self._stop_since
        if now - self._stop_since >= self.model.stop_s and self._draw < 0.5:
            self.s2_closed = self.s2_closed and self.model.keeps_s2_closed

    def _target(self) -> float:
        if not self.s2_closed or self.paused or self.full:
            return 0.0
        if self.model.ignores_limit:
            return self.model.max_amps
        wanted = min(self._follows, self.model.max_amps)
        return wanted if wanted >= MIN_AMPS else 0.0

    def _draw_current(self, dt: float, live: Live) -> None:
        """Ramp towards the target; without mains the charger of the car restarts from zero."""
        if not live[0] or not self.s2_closed:
            self._draw = 0.0
        elif self._draw < self._target():
            self._draw = min(self._draw + self.model.ramp_up * dt, self._target())
        else:
            self._draw = max(self._draw - self.model.ramp_down * dt, self._target())
        one, two, three = (self._draw if live[i] and i < self.model.phases else 0.0 for i in range(3))
        self.amps = (one, two, three)
