"""The host's end of a meter: its readings as `hal.meter` would tell them, and what can be wrong with them.

A real meter is read once a second. Here readings that nothing can depend on are left out: while nothing changes the
meter is read at `idle_ms` or `plugged_ms`, and with `merges` once more right before the station hears of anything
else, so that whatever it decides rests on a reading not older than a real one.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from random import Random

from hal.meter import Plausible
from hal.ports import METER_GRACE_S, Alive, HardwareEvent, MeterDescribed, Quantity, Reading, Silent
from tests.sim.clock import Life, Timeline
from tests.sim.outlet import Outlet

Hear = Callable[[HardwareEvent], None]
Values = dict[tuple[Quantity, int], Decimal]
BUSY_MS = 10_000
"""How long after a change the meter is read once a second."""
GRACE_MS = round(METER_GRACE_S * 1000)
FRESH_MS = 1_500
IDLE_MS = 600_000
"""A meter behind which nothing can flow shows the same for ever: no reading of it is older than this."""
HOST_WAITS_MS = 60_000
"""How long a host that has just started waits for the end register of a transaction of before."""


class Wire:
    """The bus between host and meter, and how it misbehaves; outlives a restart of the host."""

    def __init__(self, told: Callable[[float], None]) -> None:
        self.mute = False
        """No answer at all."""
        self.garbled = 0.0
        """The share of answers whose checksum is wrong."""
        self.late_ms = 0
        """How long an answer takes."""
        self.told = told
        """Hears what flowed (Wh) while no reading could tell it."""
        self._known_wh = 0.0
        self._idle_wh = 0.0
        """What had flowed when it was last read with no car."""
        self._failing = False
        self._asked_ms: int | None = None
        """When a host began to ask that has no reading yet."""

    def fails(self) -> None:
        """A reading did not come, or cannot be believed."""
        self._failing = True

    def starts(self, now_ms: int) -> None:
        """A host starts; what the one before had read, and not yet told, only the meter knows."""
        self._asked_ms = now_ms

    def tells(self, flowed_wh: float, now_ms: int, idle: bool) -> None:
        """A good reading, when so much had truly flowed. A host that has just started waits for it a minute."""
        if self._failing:
            in_vain = self._asked_ms is not None and now_ms - self._asked_ms > HOST_WAITS_MS
            self.told(flowed_wh - (self._idle_wh if in_vain else self._known_wh))
        self._known_wh, self._failing, self._asked_ms = flowed_wh, False, None
        if idle:
            self._idle_wh = flowed_wh


class Meter:
    """Polls, judges plausibility with the HAL's own rule, and tells readings, silence and return."""

    def __init__(
        self, outlet: Outlet, timeline: Timeline, rng: Random, hear: Hear, life: Life, wire: Wire
    ) -> None:
        self.outlet, self.timeline, self.rng, self.hear, self.life = outlet, timeline, rng, hear, life
        self.wire = wire
        self.idle_ms = 60_000
        self.plugged_ms = 5_000
        """Between readings while a car is plugged in and nothing changes."""
        self.merges = False
        self._plausible = Plausible(outlet.evse, hear)
        self._serial = 0
        self._busy_until_ms = 0
        self._turn = 0
        self._due_ms = 0
        self._read_ms = 0
        """When it was last asked."""
        self._seen: bool | None = None
        self._failed_ms: int | None = None

    @property
    def now_ms(self) -> int:
        return self.timeline.clock.true_ms

    def starts(self) -> None:
        """The host tells what it can measure, as its profile says, and asks for the first time, soon."""
        self.wire.starts(self.now_ms)
        self.timeline.after(1, self._describe, self.life)
        self._read_in(self.rng.randint(100, 800))

    def _describe(self) -> None:
        self.hear(MeterDescribed(self.outlet.evse, frozenset(self.outlet.values()), self.outlet.spec.signs))

    def changed(self) -> None:
        """Something at the outlet may look different: once a second for a while."""
        self._busy_until_ms = self.now_ms + BUSY_MS
        if self._due_ms > self.now_ms + 1_000:
            self._read_in(1_000)

    def refresh(self, older_than_ms: int = 1_000) -> None:
        """The reading that a host which asks each second would have by now."""
        if self._seen and self.now_ms - self._read_ms > older_than_ms:
            self.read()

    def merge(self) -> None:
        """Before anything else is heard: the last of the readings that were left out."""
        if self.merges:
            self.refresh(FRESH_MS if self.outlet.car is not None or self.outlet.closed else IDLE_MS)

    def _read_in(self, ms: int) -> None:
        self._turn += 1
        turn = self._turn
        self._due_ms = self.now_ms + ms

        def due() -> None:
            if turn == self._turn:
                self.read()

        self.timeline.after(ms, due, self.life)

    def read(self) -> None:
        """Ask once; the answer is told now, or late."""
        self._read_ms = self.now_ms
        wire, values, serial = self.wire, self.outlet.values(), self.outlet.register.serial
        failed = wire.mute or (wire.garbled > 0 and self.rng.random() < wire.garbled)
        if failed:
            self._fails()
        elif wire.late_ms:
            self.timeline.after(wire.late_ms, lambda: self._answers(values, serial), self.life)
        else:
            self._answers(values, serial)
        busy = failed or self._failed_ms is not None or self.now_ms < self._busy_until_ms
        self._read_in(1_000 if busy else self.idle_ms if self.outlet.car is None else self.plugged_ms)

    def _answers(self, values: Values, serial: int) -> None:
        evse = self.outlet.evse
        if serial != self._serial:
            self._serial = serial
            self._plausible.forget()
        if not self._plausible.check(values, self.now_ms):
            return self._fails()
        self._failed_ms = None
        self.wire.tells(self.outlet.register.at(self.now_ms), self.now_ms, self.outlet.car is None)
        if not self._seen:
            self._seen = True
            self.hear(Alive(evse, "meter"))
        self.hear(Reading(evse, self.timeline.clock.mono_ms, values, f"M{evse}.{serial}"))

    def _fails(self) -> None:
        self.wire.fails()
        self._failed_ms = self.now_ms if self._failed_ms is None else self._failed_ms
        if self._seen is not False and self.now_ms - self._failed_ms >= GRACE_MS:
            self._seen = False
            self.hear(Silent(self.outlet.evse, "meter"))
