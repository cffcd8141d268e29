"""The host's end of the meter at the inlet: the sum of what all outlets draw, and what the cabinet itself takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

from hal.ports import Alive, HardwareEvent, MeterDescribed, Quantity, Reading, Silent
from tests.sim.clock import Life, Timeline
from tests.sim.outlet import Outlet

BASE_W, BEGINS_WH = 100, 7_000_000
"""What the cabinet takes for itself, and what the register showed when the world began."""
VOLTS = Decimal("230.0")


class MainMeter:
    """Read every `every_ms`; it knows nothing of EVSEs."""

    def __init__(
        self, outlets: Mapping[int, Outlet], timeline: Timeline, hear: Callable[[HardwareEvent], None], *, fitted: bool
    ) -> None:
        self.outlets, self.timeline, self.hear, self.fitted = outlets, timeline, hear, fitted
        self.every_ms = 2_000
        self.mute = False
        self._seen: bool | None = None
        self._life = Life()

    def starts(self, life: Life) -> None:
        """A process opens its devices."""
        self._life, self._seen = life, None
        if self.fitted:
            self.timeline.after(200, self._read, life)

    @property
    def wh(self) -> int:
        """What it shows now."""
        now = self.timeline.clock.true_ms
        flowed = sum(outlet.register.at(now) - 1_000_000.0 for outlet in self.outlets.values())
        return BEGINS_WH + int(flowed + BASE_W * now / 3_600_000)

    def _read(self) -> None:
        self.timeline.after(self.every_ms, self._read, self._life)
        if self.mute:
            if self._seen:
                self._seen = False
                self.hear(Silent(0, "meter"))
            return
        values = self._values()
        if not self._seen:
            if self._seen is None:
                self.hear(MeterDescribed(0, frozenset(values)))
            self._seen = True
            self.hear(Alive(0, "meter"))
        self.hear(Reading(0, self.timeline.clock.mono_ms, values, "MAIN-1"))

    def _values(self) -> dict[tuple[Quantity, int], Decimal]:
        shown: dict[tuple[Quantity, int], Decimal] = {("energy_import_wh", 0): Decimal(self.wh)}
        for phase in (1, 2, 3):
            amps = sum(outlet.amps for outlet in self.outlets.values() if phase <= outlet.live_phases)
            shown["current_a", phase] = Decimal(f"{amps + BASE_W / 690:.2f}")
            shown["power_w", phase] = Decimal(round(amps * 230 + BASE_W / 3))
            shown["voltage_v", phase] = VOLTS
        return shown
