"""Everything that decides how much current there is: profiles, shared bounds, the arbiter, the look ahead (block K)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from agent.core import failsafe
from agent.core.composite import Composite
from agent.core.context import Context
from agent.core.derating import Heat, Imbalance
from agent.core.evse import Evse
from agent.core.external import TABLE as EXTERNAL
from agent.core.external import External
from agent.core.high_level import HighLevel
from agent.core.hours import Hours
from agent.core.limits import Claim, Limits, Source
from agent.core.outbox import Outbox
from agent.core.phase_choice import Demand
from agent.core.phase_relay import TABLE as PHASES
from agent.core.phases import Phases
from agent.core.rates import Rates
from agent.core.schedules import RELATIVE, TABLE, Schedules


class Energy:
    """The parts of smart charging and how they meet."""

    def __init__(
        self,
        evses: Mapping[int, Evse],
        stored: Mapping[str, Mapping[str, Any]],
        local: Iterable[Source],
        outbox: Outbox,
        rate_changed: Callable[[Context, Evse], None],
        stagger: failsafe.Stagger,
    ) -> None:
        """`local` are the claims that follow no schedule; `rate_changed` makes a transaction event."""
        self._evses = evses
        self._rates = Rates(rate_changed)
        self.schedules = Schedules(evses)
        self.complaints = self.schedules.restore(stored.get(TABLE, {}).values())
        self.schedules.restore_relative(stored.get(RELATIVE, {}))
        self.external = External(self.schedules, outbox, stored.get(EXTERNAL, {}))
        self._hours = Hours(self.schedules, stagger.delays)
        fixed = (failsafe.installation, Imbalance(evses).shared)
        self.limits = Limits(
            evses,
            (*local, Heat().claims),
            (self.schedules.claims, self.external.claims, self._hours.claims, self._phase_claims),
            (*fixed, self.schedules.shared, self.external.shared),
            self.schedules.efficient,
        )
        self.phases = Phases(evses, self._demands, self.limits, stored.get(PHASES, {}))
        self.composite = Composite(evses, self.schedules, self.limits, self._hours, fixed)
        self.high_level = HighLevel(evses, self.schedules, self.composite, outbox)
        self.composite.ev = self.high_level.leading
        self.composite.refresh = self.external.refresh
        self.composite.free_phases = self.phases.free
        self.phases.choice.speaks = self.high_level.speaks

    def start(self, cx: Context, running: set[str]) -> None:
        """The first step: profiles of transactions that are gone go, external limits hold on."""
        self.schedules.start(cx, running)
        self.external.start(cx)
        self.phases.start(cx)

    def _demands(self, cx: Context, evse: Evse) -> Iterable[Demand]:
        """Everybody who allows an EVSE fewer phases than it has."""
        yield from self.schedules.demands(cx, evse)
        yield from self.external.demands(cx, evse)

    def _phase_claims(self, cx: Context, evse: Evse) -> Iterable[Claim]:
        return self.phases.claims(cx, evse)

    def decide(self, cx: Context) -> None:
        """At the end of a step: phases, then delays, then currents."""
        self.phases.settle(cx)
        self._hours.follow(cx, self._evses.values())
        self.limits.apply(cx)
        self.phases.consider(cx)

    def tell(self, cx: Context) -> None:
        """At the end of a step: external limits and charging rates that the CSMS does not know of."""
        self.external.tell(cx)
        self.high_level.settle(cx)
        balancing = len(self.limits.taking(cx)) > 1
        for evse in self._evses.values():
            self._rates.follow(cx, evse, self.limits.verdicts[evse.id], balancing)
