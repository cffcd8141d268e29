"""Bug 16: a link that dies or stays away in every way there is: one supervisor dials on for a day, and never storms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from tests.blocks.stories import QUIET, idle
from tests.marks import req
from tests.sim.network import Break
from tests.sim.world import World

BACK_OFF = {
    "OCPPCommCtrlr.RetryBackOffWaitMinimum": "10", "OCPPCommCtrlr.RetryBackOffRandomRange": "10",
    "OCPPCommCtrlr.RetryBackOffRepeatTimes": "5", "OCPPCommCtrlr.WebSocketPingInterval": "60",
    **QUIET,
}  # fmt: skip
LONGEST_WAIT_S = 10 * 2**5 + 10 * 2**6
DAY_S = 86_400


def _resets(world: World) -> None:
    world.network.breaks = Break(up=True, whole=False)


def _refuses(status: int) -> Callable[[World], None]:
    def fault(world: World) -> None:
        world.network.refuses = status
        world.csms.vanishes()
        world.later(1, world.csms.returns)

    return fault


def _foreign(world: World) -> None:
    world.network.speaks = "ocpp1.6"
    world.csms.vanishes()
    world.later(1, world.csms.returns)


FAULTS: dict[str, Callable[[World], None]] = {
    "cut": lambda world: world.csms.vanishes(),
    "black hole": lambda world: world.csms.vanishes(half_open=True),
    "302": _refuses(302),
    "401": _refuses(401),
    "503": _refuses(503),
    "another subprotocol": _foreign,
}


@req("B10.FR.09")
@pytest.mark.parametrize("fault", FAULTS)
def test_link_faults(fault: str) -> None:
    """For a day it is tried on with the back-off of the keys; then the first attempt after the fault succeeds."""
    world = idle(keys=BACK_OFF)
    FAULTS[fault](world)
    world.until(lambda: world.csms.connection is None, within_s=200)
    world.network.dialled.clear()
    world.runs(seconds=DAY_S)
    attempts = len(world.network.dialled)
    assert DAY_S / LONGEST_WAIT_S - 2 <= attempts <= DAY_S / (10 * 2**5) + 10
    status = world.asks_station("status")["link"]
    assert status["state"] != "open", "nobody is told that it is connected"
    world.network.heals()
    world.until(lambda: world.csms.connection is not None, within_s=LONGEST_WAIT_S + 5)


def test_a_link_that_breaks_over_every_frame_is_made_again() -> None:
    world = idle(keys=BACK_OFF)
    for _ in range(20):
        _resets(world)
        world.runs(minutes=20)
    assert world.csms.connections > 5
    world.until(lambda: world.csms.connection is not None, within_s=LONGEST_WAIT_S)


def test_stations_that_lost_their_csms_together_do_not_come_back_together() -> None:
    """The random part of the back-off spreads a site's stations (Part 4, 5.3)."""
    arrivals = Counter(_back_after_s(seed) for seed in range(30))
    assert max(arrivals.values()) <= 10 and len(arrivals) >= 6, arrivals


def _back_after_s(seed: int) -> int:
    """How long after an outage of 3 s this station is back."""
    world = idle(keys=BACK_OFF, seed=seed)
    world.csms.vanishes()
    world.runs(seconds=3)
    world.csms.returns()
    began = world.now_ms
    world.until(lambda: world.csms.connection is not None, within_s=120)
    return (world.now_ms - began) // 1000
