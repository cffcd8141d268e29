"""What stays on the station, and for how long; how cards are written."""

from __future__ import annotations

from tests.blocks.stories import QUIET, charge, heard, idle, set_variable
from tests.marks import req
from tests.sim.world import World


def kept(world: World) -> list[str]:
    """Ended transactions that are kept."""
    return [row["id"] for row in world.asks_station("tx.list")["ended"]]


def sessions(world: World, count: int) -> World:
    """So many short sessions, an hour apart."""
    for _ in range(count):
        charge(world)
        world.ev(1).unplugs()
        world.runs(hours=1)
    return world


def test_ended_transactions_are_kept_by_number() -> None:
    world = sessions(idle(keys={**QUIET, "RecoveryCtrlr.KeptTransactions": "2"}), 4)
    assert len(kept(world)) == 2
    newest = kept(world)[-1]
    assert set_variable(world, "RecoveryCtrlr.KeptTransactions", "1") == "Accepted"
    assert kept(world) == [newest]
    world.loses_power().returns_after(seconds=20)
    world.runs(minutes=2)
    assert kept(world) == [newest]


def test_ended_transactions_are_kept_for_days_and_never_dropped_before_they_were_told() -> None:
    world = sessions(idle(keys={**QUIET, "RecoveryCtrlr.KeptDays": "2"}), 2)
    world.runs(hours=60)
    sessions(world, 1)
    assert len(kept(world)) == 1, "those of before are older than two days"
    charge(world)
    world.network.vanishes()
    world.ev(1).unplugs()
    world.runs(hours=100)
    assert world.asks_station("config.set", name="RecoveryCtrlr.KeptDays", value="1")
    untold = kept(world)
    assert len(untold) == 1 and world.asks_station("status")["queue"]["events"]
    world.network.returns()
    world.settles()
    assert kept(world) == []


@req("C01.FR.01")
def test_a_card_is_written_as_its_operator_writes_it() -> None:
    world = idle(keys=QUIET)
    for order, case, told in (("AsRead", "Upper", "04AABBCC"), ("Reversed", "Lower", "ccbbaa04")):
        assert set_variable(world, "RfidCtrlr.ByteOrder", order) == "Accepted"
        assert set_variable(world, "RfidCtrlr.Case", case) == "Accepted"
        world.ev(1).plugs_in().presents("04AABBCC")
        world.runs(minutes=1)
        assert heard(world, "Authorize")[-1][1]["idToken"]["idToken"] == told
        world.ev(1).unplugs()
        world.runs(minutes=1)
