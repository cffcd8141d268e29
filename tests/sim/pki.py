"""The real certificate store behind the jobs of a simulated station."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from agent.io import credentials, pki
from agent.io.jobs import JobFailed, Place
from tests.sim.jobs import Ends
from tests.sim.world import World

WORKERS = {
    "certificates.install": pki.install, "certificates.delete": pki.delete, "certificates.list": pki.listing,
    "certificates.retire": pki.retire, "credentials.request": credentials.request,
    "credentials.signed": credentials.signed, "credentials.discard": credentials.discard,
}  # fmt: skip


def store_behind(world: World, directory: Path) -> World:
    """Let the certificate jobs of this world work on real files."""
    place = Place(directory)
    for kind in WORKERS:
        world.workers.do(kind, _course(kind, place))
    return world


def _course(kind: str, place: Place) -> Any:
    def course(data: Mapping[str, Any]) -> Iterable[Ends]:
        try:
            yield Ends(0.2, True, asyncio.run(WORKERS[kind](place, data, lambda told: None)))
        except JobFailed as failed:
            yield Ends(0.2, False, failed.data)

    return course
