"""Everything that decides how much current there is: profiles, shared bounds, the arbiter, the look ahead (block K)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from agent.core import failsafe
from agent.core.composite import Composite
from agent.core.derating import Heat, Imbalance
from agent.core.evse import Evse
from agent.core.limits import Limits, Source
from agent.core.schedules import RELATIVE, TABLE, Schedules


class Energy:
    """The parts of smart charging and how they meet."""

    def __init__(
        self, evses: Mapping[int, Evse], stored: Mapping[str, Mapping[str, Any]], local: Iterable[Source]
    ) -> None:
        """`local` are the claims that follow no schedule."""
        self.schedules = Schedules(evses)
        self.complaints = self.schedules.restore(stored.get(TABLE, {}).values())
        self.schedules.restore_relative(stored.get(RELATIVE, {}))
        fixed = (failsafe.installation, Imbalance(evses).shared)
        self.limits = Limits(
            evses,
            (*local, Heat().claims),
            (self.schedules.claims,),
            (*fixed, self.schedules.shared),
            self.schedules.efficient,
        )
        self.composite = Composite(evses, self.schedules, self.limits, fixed)
