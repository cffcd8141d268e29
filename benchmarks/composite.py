"""A look ahead over 24 hours with 20 profiles of 96 periods, in the process of the station: no wire, no JSON."""

from __future__ import annotations

import time
from typing import Any

from agent.core.context import Context
from agent.core.instant import Instant
from agent.core.profiles import DEFAULT, MAX, Period, Profile, Schedule
from agent.core.site import EvseSite, Site
from agent.station import Station
from benchmarks.figures import Figure, spread

UTC_MS = 1_800_000_000_000 // 86_400_000 * 86_400_000
ROUNDS = 200
SITE = Site("Open", "Twin", "S1", "1.0", (EvseSite(1, 32, 3), EvseSite(2, 32, 3)))


def profiles() -> list[Profile]:
    """A maximum and defaults on ten levels, for the station and its EVSEs: 15 minutes each, all different."""
    places = [(MAX, 0, level) for level in range(4)] + [(DEFAULT, evse, level) for evse in (1, 2) for level in range(8)]
    return [_profile(number, *place) for number, place in enumerate(places, start=1)]


def _profile(number: int, purpose: str, evse: int, level: int) -> Profile:
    periods = tuple(Period(900 * i, 10.0 + (number * 7 + i * 3) % 22) for i in range(96))
    schedule = Schedule("A", periods, UTC_MS + 60_000 * number, 86_400)
    return Profile(number, evse, purpose, level, "Absolute", (schedule,))


def _once(station: Station, evse: int) -> tuple[float, Any]:
    cx = Context(station.charger.durable, Instant(1_000, UTC_MS), 1)
    began = time.perf_counter()
    plan = station.charger.energy.composite.plan(cx, evse, 86_400, "A")
    return 1000 * (time.perf_counter() - began), plan


async def measure() -> list[Figure]:
    """Milliseconds for one EVSE and for the station."""
    station = Station(SITE, {}, {})
    cx = Context(station.charger.durable, Instant(1_000, UTC_MS), 1)
    for profile in profiles():
        station.charger.schedules.keep(cx, profile)
    figures = []
    for evse, name in ((1, "an EVSE"), (0, "the station")):
        samples = [_once(station, evse)[0] for _ in range(ROUNDS)]
        figures += spread(f"composite schedule, 24 h, 20 profiles of 96 periods, {name}", samples, "ms")
        figures.append(Figure(f"periods in it, {name}", len(_once(station, evse)[1].slices), ""))
    return figures
