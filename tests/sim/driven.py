"""What the world drives: the real station, or anything else with its three verbs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from agent.core.effects import Effect, Record
from agent.core.events import Event
from agent.core.instant import Instant
from agent.core.site import Site

Stored = Mapping[str, Mapping[str, Any]]


class StationLike(Protocol):
    """What the world drives."""

    @property
    def steps(self) -> int: ...
    def step(self, now: Instant, event: Event) -> list[Effect]: ...
    def next_deadline(self) -> int | None: ...
    def recover(self, records: Iterable[Record]) -> None: ...


Build = Callable[[Site, Mapping[str, str], Stored], StationLike]


def real_station(site: Site, presets: Mapping[str, str], stored: Stored) -> StationLike:
    """The station itself."""
    from agent.station import Station

    station: StationLike = Station(site, presets, stored)
    return station
