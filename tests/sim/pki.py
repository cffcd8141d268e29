"""The real certificate store behind the jobs of a simulated station."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from agent.io import credentials, pki
from agent.io.jobs import Data, JobFailed, Place, Worker
from tests.sim.jobs import Course, Ends
from tests.sim.world import World

WORKERS: Mapping[str, Worker] = {
    "certificates.install": pki.install, "certificates.delete": pki.delete, "certificates.list": pki.listing,
    "certificates.retire": pki.retire, "credentials.request": credentials.request,
    "credentials.signed": credentials.signed, "credentials.discard": credentials.discard,
}  # fmt: skip


def store_behind(world: World, directory: Path) -> World:
    """Let the certificate jobs of this world work on real files."""
    place = Place(directory)
    world.network.home = directory
    for kind, worker in WORKERS.items():
        world.workers.do(kind, course(worker, place))
    return world


def course(worker: Worker, place: Place) -> Course:
    """The course of a job that a real worker does, at once."""

    def goes(data: Mapping[str, Any]) -> Iterable[Ends]:
        try:
            yield Ends(0.2, True, asyncio.run(_work(worker, place, data)))
        except JobFailed as failed:
            yield Ends(0.2, False, failed.data)

    return goes


async def _work(worker: Worker, place: Place, data: Data) -> Data:
    return await worker(place, data, lambda told: None)
