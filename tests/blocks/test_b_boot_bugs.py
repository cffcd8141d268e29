"""Bugs of real chargers around boot and status (19, 21, 22, 25 of the buyers' list), as tests with their names."""

from __future__ import annotations

from collections import Counter

import pytest

from hal.ports import FaultRaised
from tests.blocks.stories import (
    CARD,
    OFFLINE_FOR_ALL,
    QUIET,
    back_online,
    charge,
    get_variable,
    heard,
    idle,
    list_entry,
    name,
    spoken,
    station,
    statuses,
)
from tests.marks import req
from tests.sim.outlet import raw, smart
from tests.sim.transactions import Payload

TWO = (smart(16), raw(32))
FIRST_WORDS: list[tuple[str, Payload]] = [
    ("GetVariables", {"getVariableData": [name("OCPPCommCtrlr.HeartbeatInterval")]}),
    ("SetVariables", {"setVariableData": [{**name("OCPPCommCtrlr.OfflineThreshold"), "attributeValue": "300"}]}),
    ("GetBaseReport", {"requestId": 1, "reportBase": "FullInventory"}),
    ("ChangeAvailability", {"operationalStatus": "Operative"}),
    ("RequestStartTransaction", {"remoteStartId": 1, "idToken": {"idToken": CARD, "type": "ISO14443"}}),
    ("SendLocalList", {"versionNumber": 1, "updateType": "Full", "localAuthorizationList": [list_entry(CARD)]}),
    ("ClearCache", {}),
    ("NoSuchAction", {}),
]
"""What management systems say before the station has said anything."""


@req("B02.FR.01", "B02.FR.05", "B03.FR.08", "B01.FR.08")
@pytest.mark.parametrize("status", ["Accepted", "Pending", "Rejected", None])
def test_csms_talks_first(status: str | None) -> None:
    """Bug 19: every CALL has one answer, whatever the registration; the station neither loops nor hangs up."""
    world = station(TWO, keys=QUIET)
    world.csms.first_words, world.csms.latency_ms = FIRST_WORDS, (5_000, 5_000)
    if status is None:
        world.csms.ignores("BootNotification", times=1)
    else:
        world.csms.boots(status, 40)
    world.runs(seconds=30)
    assert len(world.csms.exchanges) == len(FIRST_WORDS) and all(e.done for e in world.csms.exchanges)
    assert world.csms.connections == 1 and len(heard(world, "BootNotification")) == 1
    start = next(e for e in world.csms.exchanges if e.action == "RequestStartTransaction")
    assert start.answer is not None and start.answer["status"] == "Rejected", "it is not accepted yet"
    world.csms.first_words, world.csms.latency_ms = [], (10, 80)
    world.csms.boots("Accepted")
    world.runs(minutes=3)
    assert sorted(set(statuses(world))) == [(1, "Available"), (2, "Available")]
    charge(world, 1)
    world.settles()


@req("B01.FR.08", "B02.FR.02", "B03.FR.02")
@pytest.mark.parametrize("status", ["Pending", "Rejected"])
def test_silence_until_accepted(status: str) -> None:
    """Bug 19, the other way round: a station with a lot to say keeps it until it is accepted."""
    world = idle(TWO, keys={**QUIET, **OFFLINE_FOR_ALL})
    world.csms.vanishes()
    world.ev(1).after(seconds=5).plugs_in().presents(CARD)
    world.runs(minutes=1)
    world.loses_power("all").returns_after(seconds=10)
    world.csms.boots(status, 60)
    world.csms.returns()
    before = world.now_ms / 1000
    world.runs(seconds=15)
    world.hear(FaultRaised(2, "ground"))
    world.runs(minutes=5)
    assert set(spoken(world, before)) == {"BootNotification"}
    world.csms.boots("Accepted")
    world.runs(minutes=3)
    told = spoken(world, before)
    assert {"TransactionEvent", "StatusNotification", "NotifyEvent"} <= set(told)
    assert (2, "Faulted") in statuses(world, before)


@req("B01.FR.05", "G01.FR.01", "N07.FR.04")
@pytest.mark.parametrize("status", ["Accepted", "Pending", "Rejected"])
def test_boot_faulted_tells_why(status: str) -> None:
    """Bug 21: a connector that is Faulted from the first moment on is Faulted with its cause."""
    world = station(TWO, keys=QUIET)
    world.csms.boots(status, 30)
    world.runs(seconds=2)
    world.hear(FaultRaised(2, "emergency_stop"))
    world.runs(seconds=20)
    world.csms.boots("Accepted")
    world.runs(minutes=2)
    assert world.csms.last_status == {(1, 1): "Available", (2, 1): "Faulted"}
    events = [event for _, told in heard(world, "NotifyEvent") for event in told["eventData"]]
    assert [e["actualValue"] for e in events if e["component"].get("evse", {}).get("id") == 2] == ["true"]


@req("B01.FR.05", "B04.FR.02", "E04.FR.01")
def test_what_happened_before_the_registration_is_told_after_it_exactly_once() -> None:
    """Bug 22, as far as boot and status go: nothing made before the registration is dropped, nothing is doubled."""
    world = station(TWO, keys={**QUIET, **OFFLINE_FOR_ALL})
    world.csms.ignores("BootNotification", times=2)
    world.runs(seconds=10)
    world.ev(1).plugs_in().presents(CARD)
    world.hear(FaultRaised(2, "emergency_stop"))
    world.runs(minutes=4)
    back_online(world)
    assert Counter(statuses(world)) == {(1, "Occupied"): 1, (2, "Faulted"): 1}
    numbers = [event["seqNo"] for _, event in heard(world, "TransactionEvent")]
    assert numbers == list(range(len(numbers))) and len(numbers) >= 2
    assert len({event["transactionInfo"]["transactionId"] for _, event in heard(world, "TransactionEvent")}) == 1


@req("B01.FR.05", "G01.FR.01")
def test_no_status_is_of_evse_0_and_no_connector_is_left_out() -> None:
    """Bug 25: EVSE 0 breaks management systems; what FullInventory lists is test_full_inventory_contract."""
    world = idle(TWO, keys=QUIET)
    charge(world, 1)
    world.hear(FaultRaised(2, "ground"))
    world.runs(minutes=1)
    world.loses_power("all").returns_after(seconds=10)
    world.runs(minutes=3)
    assert {(p["evseId"], p["connectorId"]) for _, p in heard(world, "StatusNotification")} == {(1, 1), (2, 1)}
    assert get_variable(world, "AuthCacheCtrlr.Available") == "true"
    assert get_variable(world, "LocalAuthListCtrlr.Available") == "true"
