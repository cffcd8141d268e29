"""The power goes at every boundary between two effects of a session: nothing is lost, nothing closes by itself."""

from __future__ import annotations

import pytest

from tests.marks import req
from tests.sim.cuts import Story, cut_points
from tests.sim.disk import Keep
from tests.sim.outlet import raw, smart
from tests.sim.world import World

KEYS = {"SampledDataCtrlr.TxUpdatedInterval": "30", "AuthCtrlr.OfflineTxForUnknownIdEnabled": "true"}
CARD = "04AABBCC"


def one_raw() -> World:
    """A raw board."""
    return World([raw(16)], keys=KEYS, seed=11)


def one_smart() -> World:
    """A smart controller."""
    return World([smart(16)], keys=KEYS, seed=12)


def session(world: World) -> None:
    """Registered, plugged, authorised, a limit, a pause, stopped by card, away: told by the clock alone."""
    world.runs(seconds=15)
    world.ev(1).plugs_in().presents(CARD)
    world.runs(minutes=2)
    world.csms.vanishes()
    world.runs(seconds=40)
    world.csms.returns()
    world.runs(seconds=50)
    world.ev(1).pauses().after(seconds=10).resumes()
    world.runs(seconds=30)
    world.ev(1).presents(CARD).after(seconds=10).unplugs()
    world.runs(minutes=1)


def settles(world: World) -> None:
    """All comes to rest and is judged."""
    world.settles()


@req("E04.FR.01")
@pytest.mark.parametrize("make", [one_raw, one_smart])
def test_every_boundary_of_a_session(make: Story) -> None:
    boots = cut_points(make, session, lambda world: world.settles().boots)
    assert len(boots) > 200 and set(boots) == {2}


@pytest.mark.parametrize("keep", ["none", "all"])
def test_whatever_the_flash_keeps_of_the_last_moment(keep: Keep) -> None:
    cut_points(one_raw, session, settles, keep=keep, every=4)


@req("E01.FR.07")
def test_cuts_while_samples_share_their_commits() -> None:
    def frequent() -> World:
        return World([raw(16), smart(16)], keys={**KEYS, "SampledDataCtrlr.TxUpdatedInterval": "1"}, seed=13)

    def two_sessions(world: World) -> None:
        world.runs(seconds=15)
        world.ev(1).plugs_in().presents(CARD)
        world.runs(ms=2400)
        world.ev(2).plugs_in().presents("04112233")
        world.runs(seconds=45)

    cut_points(frequent, two_sessions, settles, every=31)


@pytest.mark.soak
@pytest.mark.parametrize("keep", ["none", "random", "all"])
@pytest.mark.parametrize("outage_s", [2, 40, 400])
@pytest.mark.parametrize("make", [one_raw, one_smart])
def test_every_single_boundary_with_short_and_long_outages(make: Story, keep: Keep, outage_s: float) -> None:
    cut_points(make, session, settles, keep=keep, outage_s=outage_s)


@req("E04.FR.01")
def test_a_session_made_offline_survives_a_cut_at_any_boundary() -> None:
    def offline(world: World) -> None:
        world.runs(seconds=15)
        world.csms.vanishes()
        world.ev(1).plugs_in().presents(CARD)
        world.runs(minutes=3)
        world.ev(1).presents(CARD).after(seconds=10).unplugs()
        world.runs(minutes=1)

    cut_points(one_raw, offline, settles)
