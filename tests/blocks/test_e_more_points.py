"""E01 to E07: parking bays and signed values as start points, and the bay as stop point, with every other point."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hal.ports import BayChanged
from tests.blocks.stories import CARD, QUIET, charging, idle, trail
from tests.blocks.test_e_points import POINTS, STARTED
from tests.marks import req
from tests.sim.outlet import raw
from tests.sim.transactions import Transaction, consecutive

BAY, SIGNED = "ParkingBayOccupancy", "DataSigned"
BEGINS = {BAY: "EVDetected", SIGNED: "SignedDataReceived"}
ENDS = {BAY: "EVDeparted", "EVConnected": "EVCommunicationLost"}
"""What ends a transaction whose driver stops it with his card, unplugs, and drives away."""


def session(start: str, stop: str, order: str) -> Transaction:
    """Into the bay, plugged and authorised, charging, stopped by card, unplugged, and away."""
    signs = {"SampledDataCtrlr.SignReadings": "true"} if start == SIGNED else {}
    outlet = replace(raw(32), bay_detector=True, signs=start == SIGNED)
    world = idle([outlet], keys={**QUIET, "TxCtrlr.TxStartPoint": start, "TxCtrlr.TxStopPoint": stop, **signs})
    world.hear(BayChanged(1, True))
    driver = world.runs(seconds=3).ev(1)
    if order == "cable":
        driver.plugs_in().after(seconds=10).presents(CARD)
    else:
        driver.presents(CARD).after(seconds=10).plugs_in()
    assert world.runs(minutes=1).outlets[1].amps == 32
    driver.presents(CARD).after(seconds=20).unplugs()
    world.runs(minutes=1).hear(BayChanged(1, False))
    world.runs(seconds=30).settles()
    (told,) = world.csms.transactions.values()
    return told


@req("E01.FR.01", "E01.FR.02", "E01.FR.03", "E01.FR.04", "E01.FR.05", "E06.FR.01", "E06.FR.02")
@pytest.mark.parametrize("order", ["cable", "card"])
@pytest.mark.parametrize(
    ("start", "stop"),
    [(start, BAY) for start in POINTS] + [(start, stop) for start in (BAY, SIGNED) for stop in (BAY, *POINTS)],
)
def test_one_transaction_from_its_start_point_to_its_stop_point(start: str, stop: str, order: str) -> None:
    told = session(start, stop, order)
    assert told.seq_numbers == consecutive()
    assert trail(told)[0][:2] == ("Started", BEGINS.get(start) or STARTED[start, order])
    assert trail(told)[-1][:2] == ("Ended", ENDS.get(stop, "StopAuthorized"))
    assert told.stopped_reason == "Local"


@req("E01.FR.02", "E01.FR.05", "E06.FR.07")
@pytest.mark.parametrize(("start", "again"), [("Authorized", False), ("EVConnected", True), ("PowerPathClosed", True)])
def test_after_a_transaction_ended_nobody_charges_on_without_one(start: str, again: bool) -> None:
    """The energy ended it, the card still counts where the keys say so, and the next car comes."""
    points = {"TxCtrlr.TxStartPoint": start, "TxCtrlr.TxStopPoint": "EnergyTransfer"}
    world = charging(keys={**QUIET, **points, "TxCtrlr.StopTxOnEVSideDisconnect": "false"})
    world.ev(1).unplugs().after(seconds=60).plugs_in()
    world.runs(minutes=2)
    assert (world.outlets[1].amps > 0) == again
    assert [t.ended for t in world.csms.transactions.values()] == ([True, False] if again else [True])
    world.settles()
