"""Tells the CSMS when an EVSE charges at another rate for a reason that the CSMS does not know (K11.FR.04, K13.FR.03).

Its own profiles are no news to it (SC.02), and neither is what never changes; load balancing, external limits and
everything else that happens here is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from agent.core.context import Context
from agent.core.evse import Evse
from agent.core.external import is_significant
from agent.core.limits import Verdict
from agent.core.profiles import DEFAULT, MAX, TX
from agent.core.schedules import wake
from config_keys import limits

KNOWN = frozenset((DEFAULT, MAX, TX, "nameplate", "hardware", "evse maximum", "cable"))
"""Owners of claims that are the CSMS's own, or stay as they are."""


@dataclass(slots=True)
class Rate:
    """What was told last of one transaction, and whether something local has had a hand in the current since."""

    tx: str
    amps: float
    told_ms: int
    local: bool = False


class Rates:
    """Watches the offered current of every transaction."""

    def __init__(self, changed: Callable[[Context, Evse], None]) -> None:
        """`changed` makes the transaction event ChargingRateChanged."""
        self._changed = changed
        self._rates: dict[int, Rate] = {}

    def follow(self, cx: Context, evse: Evse, verdict: Verdict, balancing: bool) -> None:
        """At the end of a step. `balancing`: several EVSEs share what the CSMS gave to all of them."""
        running, amps = evse.tx, evse.commanded_amps
        if running is None or running.ending is not None or not evse.charging or amps is None:
            self._rates.pop(evse.id, None)
            return
        rate = self._rates.get(evse.id)
        if rate is None or rate.tx != running.id:
            rate = self._rates[evse.id] = Rate(running.id, amps, cx.ms)
        local = verdict.owner not in KNOWN or (balancing and verdict.owner == MAX)
        rate.local = rate.local or local
        if is_significant(cx, rate.amps, amps):
            self._news(cx, evse, rate, amps, local)

    def _news(self, cx: Context, evse: Evse, rate: Rate, amps: float, local: bool) -> None:
        due = rate.told_ms + cx.keys[limits.NOTIFY_SPACING] * 1000
        if rate.local and cx.ms < due:
            wake(cx, due)
            return
        if rate.local:
            rate.told_ms = cx.ms
            self._changed(cx, evse)
        rate.amps, rate.local = amps, local
