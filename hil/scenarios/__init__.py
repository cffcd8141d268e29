"""Scenarios: stories that run on the real bench and in the simulated world alike."""

from __future__ import annotations

from collections.abc import Callable

from hil.bench import Bench
from hil.scenarios.charging_session import charging_session
from hil.scenarios.over_current import over_current

SCENARIOS: dict[str, Callable[[Bench], None]] = {
    "charging_session": charging_session,
    "over_current": over_current,
}
"""By the name that `hil run` takes."""
