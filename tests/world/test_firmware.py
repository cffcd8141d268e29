"""The power goes at every boundary of an update: it ends, with this firmware or that, and the CSMS knows with which."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import pytest

from tests.marks import req
from tests.sim.cuts import cut_points
from tests.sim.disk import Keep
from tests.sim.firmware import Slots, security, told, update
from tests.sim.outlet import raw
from tests.sim.world import World

ORDER = (
    "Downloading", "DownloadPaused", "Downloaded", "SignatureVerified", "Installing", "InstallRebooting", "Installed",
    "InstallationFailed",
)  # fmt: skip


class Updated(World):
    """A station with two places for firmware, B's may never find its CSMS."""

    def __init__(self, *, deaf: bool = False) -> None:
        super().__init__([raw(16)], keys={"FwCtrlr.HealthGate": "60"}, seed=21)
        self.slots = Slots(self)
        self.slots.deaf = {"2.0"} if deaf else set()


def updates(world: World) -> None:
    """Told by the clock alone: registered, asked for an update, and given the time for it."""
    world.runs(seconds=15)
    world.csms.sends("UpdateFirmware", update())
    world.runs(minutes=3)


def judge(wanted: str, world: World) -> None:
    """After a cut: it has ended as it would have without, unless the request itself was lost."""
    assert isinstance(world, Updated)
    world.runs(minutes=8)
    world.until(lambda: world.asks_station("fw.status")["state"] == "idle", within_s=900).settles()
    statuses = told(world, 7)
    assert told(world) == statuses
    ranks = [ORDER.index(status) for status in statuses]
    assert all(a <= b for a, b in pairwise(ranks)), statuses
    asked = world.csms.exchanges[0].answer
    if asked is not None or statuses:
        assert statuses[-1] == wanted
    good = "B" if statuses[-1:] == ["Installed"] else "A"
    assert (world.slots.running, world.slots.good, world.slots.next) == (good, good, good)
    assert set(security(world)) == ({"FirmwareUpdated"} if good == "B" else set())


@req("L01.FR.01", "L01.FR.10", "L01.FR.28", "L01.FR.32", "L02.FR.21")
def test_every_boundary_of_an_update() -> None:
    assert len(cut_points(Updated, updates, partial(judge, "Installed"))) > 150


def test_cuts_on_the_way_back() -> None:
    cut_points(partial(Updated, deaf=True), updates, partial(judge, "InstallationFailed"), every=4)


@pytest.mark.parametrize("keep", ["none", "all"])
def test_whatever_the_flash_keeps_of_the_last_moment(keep: Keep) -> None:
    cut_points(Updated, updates, partial(judge, "Installed"), keep=keep, every=7)


@pytest.mark.soak
@pytest.mark.parametrize("keep", ["none", "random", "all"])
@pytest.mark.parametrize("outage_s", [2, 400])
@pytest.mark.parametrize("deaf", [False, True])
def test_every_single_boundary_with_short_and_long_outages(deaf: bool, keep: Keep, outage_s: float) -> None:
    judged = partial(judge, "InstallationFailed" if deaf else "Installed")
    cut_points(partial(Updated, deaf=deaf), updates, judged, keep=keep, outage_s=outage_s)
