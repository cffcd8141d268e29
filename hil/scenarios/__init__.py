"""Scenarios: stories that run on the real bench and in the simulated world alike."""

from __future__ import annotations

from collections.abc import Callable

from hil.bench import Bench
from hil.scenarios.charging_session import charging_session

SCENARIOS: dict[str, Callable[[Bench], None]] = {
    "charging_session": charging_session,
}
"""By the name that `hil run` takes."""
