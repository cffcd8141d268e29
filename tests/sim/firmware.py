"""Two places for firmware that outlive the power, a boot loader that chooses one, and a server that has the files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from agent.core.effects import Connect, Effect
from agent.core.events import Event
from agent.core.instant import Instant
from agent.core.site import Site
from tests.sim.driven import StationLike, Stored, real_station
from tests.sim.jobs import Ends, Says
from tests.sim.world import World

FETCH_S, CHECK_S, INSTALL_S = 4.0, 0.5, 6.0
DEAF = "2.0-deaf"
"""A version that never reaches its CSMS."""
BEGUN = ("2026-03-01T10:00:00Z", "2026-03-01T10:00:00Z")
"""Moments that are past in every story."""


class Deaf:
    """A station that never dials: firmware that cannot reach its CSMS."""

    def __init__(self, station: StationLike) -> None:
        self._station = station

    @property
    def steps(self) -> int:
        return self._station.steps

    def step(self, now: Instant, event: Event) -> list[Effect]:
        return [effect for effect in self._station.step(now, event) if not isinstance(effect, Connect)]

    def next_deadline(self) -> int | None:
        return self._station.next_deadline()

    def recover(self, records: Iterable[Any]) -> None:
        self._station.recover(records)


class Slots:
    """What is on flash beside the journal: A with version 1.0, which runs, and B. Files are versions by URL."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.versions = {"A": "1.0", "B": ""}
        self.running = self.good = self.next = "A"
        self.fetched = "2.0"
        """The version of the file that is here."""
        self.bad: set[str] = set()
        self.dead: set[str] = set()
        """Versions that do not start at all."""
        self.deaf: set[str] = {DEAF}
        """Versions that never reach the CSMS."""
        self.fetch: Callable[[Mapping[str, Any]], Iterable[Says | Ends]] = self._fetches
        self.boots: list[str] = []
        """The version of every start."""
        world.build = self.build
        for kind in ("signer", "check", "install", "switch", "booted", "confirm", "back"):
            world.workers.do(f"firmware.{kind}", getattr(self, f"_{kind}"))
        world.workers.do("firmware.fetch", self._fetch)

    def build(self, site: Site, presets: Mapping[str, str], stored: Stored) -> StationLike:
        """The boot loader: what was chosen, unless it does not start; and its station."""
        if self.versions[self.next] in self.dead:
            self.bad.add(self.next)
            self.next = self.good
        self.running = self.next
        version = self.versions[self.running]
        self.boots.append(version)
        station = real_station(site._replace(firmware=version), presets, stored)
        return Deaf(station) if version in self.deaf else station

    @property
    def other(self) -> str:
        return "B" if self.running == "A" else "A"

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        self._world.timeline.after(seconds * 1000, act, self._world.process)

    def _signer(self, data: Mapping[str, Any]) -> Iterable[Ends]:
        valid = data["certificate"] == "good"
        yield Ends(0.2, True, {"valid": valid, "info": "" if valid else "it is expired"})

    def _fetch(self, data: Mapping[str, Any]) -> Iterable[Says | Ends]:
        self.fetched = data["url"].rpartition("/")[2] or "2.0"
        return self.fetch(data)

    def _fetches(self, data: Mapping[str, Any]) -> Iterable[Says | Ends]:
        yield Says(FETCH_S / 2, {"bytes": 500, "of": 1000})
        yield Ends(FETCH_S / 2, True, {"bytes": 1000})

    def _check(self, data: Mapping[str, Any]) -> Iterable[Ends]:
        genuine = data["signature"] == "good"
        yield Ends(CHECK_S, True, {"genuine": genuine, "info": "" if genuine else "the file was changed"})

    def _install(self, data: Mapping[str, Any]) -> Iterable[Ends]:
        place, version = self.other, self.fetched
        self.versions[place] = ""
        self._later(INSTALL_S, partial(self.versions.__setitem__, place, version))
        yield Ends(INSTALL_S, True, {"place": place, "version": version})

    def _switch(self, data: Mapping[str, Any]) -> Iterable[Ends]:
        def choose() -> None:
            assert self.versions[data["place"]], "an empty place was chosen"
            self.next = data["place"]

        self._later(0.3, choose)
        yield Ends(0.5, True)

    def _booted(self, data: Mapping[str, Any]) -> Iterable[Ends]:
        yield Ends(0.2, True, {"place": self.running, "bad": sorted(self.bad)})

    def _confirm(self, data: Mapping[str, Any]) -> Iterable[Ends]:
        def keep() -> None:
            self.good = self.running

        self._later(0.1, keep)
        yield Ends(0.2, True)

    def _back(self, data: Mapping[str, Any]) -> Iterable[Ends]:
        def choose() -> None:
            self.next = self.other
            self.good = self.next

        self._later(0.1, choose)
        yield Ends(0.2, True)


def update(request: int = 7, **changed: Any) -> dict[str, Any]:
    """An UpdateFirmwareRequest, due at once and well signed; `changed` replaces fields, None removes one.

    What belongs to `firmware` goes there.
    """
    firmware: dict[str, Any] = {
        "location": "https://files.example/2.0", "retrieveDateTime": BEGUN[0], "installDateTime": BEGUN[1],
        "signingCertificate": "good", "signature": "good",
    }  # fmt: skip
    whole: dict[str, Any] = {"requestId": request, "firmware": firmware}
    for name, value in changed.items():
        target = whole if name in ("retries", "retryInterval", "requestId") else firmware
        target[name] = value
        if value is None:
            del target[name]
    return whole


def told(world: World, request: int | None = None) -> list[str]:
    """Statuses that the CSMS was told, of one request or of all; each is once more when it came once more."""
    found = world.csms.requests("FirmwareStatusNotification")
    return [one["status"] for one in found if request is None or one.get("requestId") == request]


def security(world: World) -> list[str]:
    """Types of the security events that the CSMS has heard of, those of a start left out."""
    found = [event["type"] for event in world.csms.requests("SecurityEventNotification")]
    return [kind for kind in found if kind not in ("StartupOfTheDevice", "ResetOrReboot")]
