"""E01 to E12: what identifies a transaction, phases, cables that stay or are freed, and how Ended is thinned."""

from __future__ import annotations

from itertools import pairwise
from uuid import UUID

import pytest

from hal.ports import BayChanged, ContactorReported
from tests.blocks.stories import (
    CARD,
    OTHER,
    QUIET,
    SOCKET,
    back_online,
    charge,
    charging,
    heard,
    idle,
    last,
    let_in_offline,
    set_variable,
    trail,
    utc_s,
)
from tests.marks import req
from tests.sim.outlet import OutletSpec
from tests.sim.transactions import Payload, consecutive
from tests.sim.world import World

BAY = OutletSpec("raw", 32, bay_detector=True)


@req("E01.FR.08", "E02.FR.08")
def test_transaction_ids_are_uuids_that_never_come_again() -> None:
    world = idle(keys=QUIET)
    for _ in range(3):
        for _ in range(3):
            charge(world)
            world.ev(1).unplugs()
            world.runs(seconds=20)
        world.loses_power().returns_after(seconds=20)
        world.runs(minutes=2)
    ids = list(world.csms.transactions)
    assert len(ids) == 9 and all(UUID(id).version == 4 for id in ids)
    world.settles()


def _cables(world: World) -> list[tuple[str, int]]:
    """What events say of the cable: triggerReason and cableMaxCurrent."""
    told = world.csms.transaction(1).events
    return [(e["triggerReason"], e["cableMaxCurrent"]) for e in told if "cableMaxCurrent" in e]


def test_a_cable_that_comes_after_the_card_is_told_once() -> None:
    world = idle([SOCKET], keys={**QUIET, "TxCtrlr.TxStartPoint": "Authorized"})
    world.ev(1).presents(CARD).after(seconds=10).plugs_in(cable_amps=20)
    world.runs(minutes=1)
    world.kills_agent().returns_after(seconds=5)
    world.runs(minutes=1)
    assert _cables(world) == [("CablePluggedIn", 20)] and world.outlets[1].amps > 6
    world.settles()


def test_another_cable_at_the_same_transaction_is_told_too() -> None:
    stays = {"TxCtrlr.StopTxOnEVSideDisconnect": "false", "OCPPCommCtrlr.UnlockOnEVSideDisconnect": "true"}
    world = idle([SOCKET], keys={**QUIET, **stays, "TxCtrlr.TxStopPoint": "Authorized"})
    world.ev(1).plugs_in(cable_amps=32).presents(CARD)
    world.runs(minutes=1)
    world.ev(1).unplugs().after(seconds=10).plugs_in(cable_amps=13)
    world.runs(minutes=1)
    assert _cables(world) == [("Authorized", 32), ("CablePluggedIn", 13)]
    world.settles()


@req("E02.FR.18", "E02.FR.19", "E03.FR.13", "E03.FR.14")
def test_the_phases_in_use_are_told_when_energy_flows_and_when_they_change() -> None:
    world = charging(keys=QUIET)
    world.hear(ContactorReported(1, True, 1))
    world.runs(seconds=10)
    world.hear(ContactorReported(1, True, 1))
    world.runs(seconds=10)
    events = world.csms.transaction(1).events
    assert [e["numberOfPhasesUsed"] for e in events if "numberOfPhasesUsed" in e] == [3, 1]
    assert trail(world.csms.transaction(1))[-1] == ("Updated", "ChargingStateChanged", "Charging")
    world.settles()


# ---------------------------------------------------------------------------------------- the bay


@req("E03.FR.15", "E06.FR.01", "E01.FR.01")
def test_with_the_bay_as_stop_point_a_time_out_only_takes_the_authorization() -> None:
    points = {"TxCtrlr.TxStartPoint": "ParkingBayOccupancy", "TxCtrlr.TxStopPoint": "ParkingBayOccupancy"}
    world = idle([BAY], keys={**QUIET, **points, "TxCtrlr.EVConnectionTimeOut": "40"})
    world.hear(BayChanged(1, True))
    world.ev(1).presents(CARD)
    world.runs(minutes=2)
    session = world.csms.transaction(1)
    assert trail(session)[-1] == ("Updated", "EVConnectTimeout", "Idle")
    world.ev(1).plugs_in()
    world.runs(minutes=1)
    assert not world.outlets[1].permitted
    world.ev(1).unplugs()
    world.runs(seconds=10)
    world.hear(BayChanged(1, False))
    world.runs(seconds=10)
    assert trail(session)[-1] == ("Ended", "EVDeparted", "Idle") and session.stopped_reason == "Timeout"
    world.settles()


@req("E06.FR.05")
def test_data_signed_is_no_stop_point() -> None:
    world = idle([OutletSpec("raw", 32, signs=True)])
    assert set_variable(world, "TxCtrlr.TxStopPoint", "DataSigned") == "Rejected"
    assert set_variable(world, "TxCtrlr.TxStartPoint", "DataSigned") == "Accepted"


# ---------------------------------------------------------------------------------------- the cable


@req("E06.FR.10", "E07.FR.07", "E07.FR.11", "E08.FR.03")
@pytest.mark.parametrize("offline", [False, True])
def test_a_loose_cable_is_locked_while_energy_may_flow_and_freed_by_its_owner(offline: bool) -> None:
    world = idle([SOCKET], keys=QUIET)
    charge(world, cable_amps=32)
    assert world.outlets[1].locked
    if offline:
        world.csms.vanishes()
        world.runs(seconds=30)
    world.ev(1).presents(CARD)
    world.runs(seconds=20)
    assert not world.outlets[1].locked and not world.outlets[1].closed
    back_online(world)
    assert world.csms.transaction(1).seq_numbers == consecutive()
    world.settles()


@req("E05.FR.11", "E05.FR.04", "E05.FR.10", "C15.FR.05")
def test_after_deauthorization_the_cable_waits_for_its_owner() -> None:
    world = back_online(let_in_offline())
    assert world.csms.transaction(1).stopped_reason == "DeAuthorized" and world.outlets[1].locked
    assert world.csms.transaction(1).seq_numbers == consecutive()
    world.ev(1).presents(OTHER)
    world.runs(seconds=20)
    assert world.outlets[1].locked
    world.ev(1).after(seconds=10).presents(CARD)
    world.runs(seconds=20)
    assert not world.outlets[1].locked


@req("E05.FR.11")
def test_a_cable_that_is_gone_is_kept_for_nobody() -> None:
    """Torn out, or the lock did not hold: an update, for one, waits for no owner then."""
    world = back_online(let_in_offline())
    assert world.outlets[1].locked
    world.ev(1).unplugs()
    world.runs(seconds=20)
    assert not world.outlets[1].locked


# ---------------------------------------------------------------------------------------- little memory


def samples(ended: Payload) -> list[float]:
    """Moments of the Sample.Periodic values of an Ended event."""
    values = ended["meterValue"]
    return [utc_s(v) for v in values if v["sampledValue"][0]["context"] == "Sample.Periodic"]


@req("E06.FR.12", "E06.FR.13", "E07.FR.09", "E07.FR.10", "J02.FR.20")
@pytest.mark.parametrize("measurands", ["Energy.Active.Import.Register", "Voltage,Current.Import"])
def test_many_samples_are_thinned_in_between_and_never_at_the_ends(measurands: str) -> None:
    """Alternately, whenever there are too many: the older, the further apart."""
    ended = _long_session(measurands, lambda world: world.ev(1).presents(CARD))
    taken = samples(ended)
    assert 60 <= len(taken) <= 120
    distances = [b - a for a, b in pairwise(taken)]
    assert set(distances) <= {2, 4, 6, 8} and distances[1:] == sorted(distances[1:], reverse=True)
    assert ended["meterValue"][0]["sampledValue"][0]["context"] == "Transaction.Begin"
    assert ended["meterValue"][-1]["sampledValue"][0]["context"] == "Transaction.End"


def _long_session(measurands: str, end: object, keys: dict[str, str] | None = None) -> Payload:
    world = idle(keys={**QUIET, "SampledDataCtrlr.TxEndedInterval": "2",
                       "SampledDataCtrlr.TxEndedMeasurands": measurands, **(keys or {})})  # fmt: skip
    for driver in world.hardware.drivers.values():
        driver.meter_plugged_ms = 1_000
    charge(world)
    world.runs(minutes=6)
    assert callable(end)
    end(world)
    world.runs(minutes=1)
    back_online(world)
    return last(world.csms.transaction(1))


def _unplugs(world: World) -> None:
    world.ev(1).unplugs()


def _stops_offline(world: World) -> None:
    world.csms.vanishes()
    world.ev(1).after(seconds=30).presents(CARD)


def _all_offline(world: World) -> None:
    world.csms.vanishes()
    world.ev(1).after(seconds=30).unplugs()


def _stopped_from_afar(world: World) -> None:
    world.csms_asks("RequestStopTransaction", {"transactionId": world.csms.transaction(1).id})


SUSPENDED = {"TxCtrlr.StopTxOnEVSideDisconnect": "false", "TxCtrlr.TxStopPoint": "Authorized",
             "TxCtrlr.EVConnectionTimeOut": "30"}  # fmt: skip


@req("F03.FR.04", "F03.FR.05", "F03.FR.06")
@req("E08.FR.10", "E08.FR.11", "E09.FR.06", "E09.FR.07", "E10.FR.05", "E10.FR.06", "E12.FR.08", "E12.FR.09")
@pytest.mark.parametrize(
    ("end", "keys"),
    [(_stops_offline, {}), (_unplugs, {}), (_unplugs, SUSPENDED), (_all_offline, {}), (_stopped_from_afar, {})],
)
def test_however_it_ends_the_first_and_the_last_samples_stay(end: object, keys: dict[str, str]) -> None:
    ended = _long_session("Energy.Active.Import.Register", end, keys)
    assert ended["eventType"] == "Ended" and 60 <= len(samples(ended)) <= 120
    contexts = [value["sampledValue"][0]["context"] for value in ended["meterValue"]]
    assert (contexts[0], contexts[-1]) == ("Transaction.Begin", "Transaction.End")
    assert samples(ended)[-1] - samples(ended)[-2] <= 4.1


@req("J02.FR.20", "E06.FR.12")
def test_an_ended_event_stays_small_enough_for_any_frame() -> None:
    """Fifteen values a sample, signed data or not: about 100 kB at the most."""
    keys = {**QUIET, "SampledDataCtrlr.TxEndedInterval": "1", "SampledDataCtrlr.TxEndedMeasurands":
            "Energy.Active.Import.Register,Power.Active.Import,Current.Import,Voltage,Current.Offered"}  # fmt: skip
    world = charging(keys=keys)
    world.runs(minutes=5)
    world.ev(1).presents(CARD)
    world.runs(minutes=1)
    frame = next(f for f in world.csms.frames if f.direction == "<" and f.message[0] == 2
                 and f.message[3].get("eventType") == "Ended")  # fmt: skip
    assert 40_000 < len(str(frame.message)) < 130_000 and len(heard(world, "TransactionEvent")) == 3
