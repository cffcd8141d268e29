"""The ISO 15118 controller of an outlet, and the EV that talks to it: it says its needs and chooses a schedule."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from hal.ports import AcNeeds, EvNeeds, EvSchedule, HardwareEvent, OfferSchedules
from tests.sim.clock import Life, Timeline

NEEDS = AcNeeds(energy_amount=20_000, ev_min_current=6, ev_max_current=16, ev_max_voltage=400)


class Talk:
    """One end of the port: commands come here, events go to `hear`."""

    def __init__(
        self, evse: int, timeline: Timeline, rng: Random, hear: Callable[[HardwareEvent], None], life: Life
    ) -> None:
        self.evse, self.timeline, self.rng, self.hear, self.life = evse, timeline, rng, hear, life
        self.offers: list[OfferSchedules] = []
        """What the EV was offered."""
        self.takes = 0
        """Which of the schedules it chooses."""
        self.amps: float | None = 16.0
        """It draws up to so much and tells it (A per phase); None: it tells no schedule of its own."""

    def needs(self, most_periods: int = 12) -> None:
        """The EV says what it needs, or wants to negotiate anew."""
        event = EvNeeds(self.evse, "AC_three_phase", NEEDS, most_periods=most_periods)
        self.timeline.after(self.rng.randint(50, 300), lambda: self.hear(event), self.life)

    def offered(self, command: OfferSchedules) -> None:
        """The EV chooses."""
        self.offers.append(command)
        if command.schedules:
            offer = command.schedules[min(self.takes, len(command.schedules) - 1)]
            amps, rows = self.amps, offer.periods
            periods = () if amps is None else tuple((start, min(limit, amps)) for start, limit, _ in rows)
            event = EvSchedule(self.evse, offer.id, periods)
            self.timeline.after(self.rng.randint(200, 2000), lambda: self.hear(event), self.life)
