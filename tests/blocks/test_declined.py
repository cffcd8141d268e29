"""Backends that know less than the whole of OCPP: what they answer with a CALLERROR harms no transaction (A8)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent.core.declined import OPTIONAL
from agent.protocol.actions import FROM_STATION
from hal.ports import FaultCleared, FaultRaised
from tests.blocks.reservations import reserve
from tests.blocks.stories import CARD, charge, idle, now_s, spoken
from tests.sim.outlet import raw
from tests.sim.transactions import consecutive
from tests.sim.world import World

CORE = {"BootNotification", "Heartbeat", "StatusNotification", "Authorize", "TransactionEvent"}
"""Without these no CSMS can be one."""
NEVER = 1_000_000
BUSY = {"AlignedDataCtrlr.Interval": "60", "SampledDataCtrlr.TxUpdatedInterval": "30"}
SOCKET = replace(raw(32), cable="socket")


def eventful(world: World) -> None:
    """A session with all that a station tells by itself on the way."""
    reserve(world, 1, "04EEEEEE", minutes=1, evseId=2)
    charge(world)
    for _ in range(2):
        world.hear(FaultRaised(2, "lock"))
        world.runs(minutes=2)
        world.hear(FaultCleared(2, "lock"))
        world.runs(minutes=2)
    world.ev(1).presents(CARD)
    world.runs(minutes=1)


def notes(world: World) -> list[str]:
    """What the log says about unknown messages."""
    return [text for _, _, topic, text in world.notes if topic == "rpc" and "does not know" in text]


@pytest.fixture(scope="module")
def poor() -> World:
    """A CSMS that answers every optional message with NotImplemented, after an eventful day."""
    world = idle((raw(32), SOCKET), keys=BUSY)
    for action in FROM_STATION - CORE:
        world.csms.fails(action, NEVER, code="NotImplemented")
    eventful(world)
    return world


def test_transactions_are_whole_and_the_queue_is_empty(poor: World) -> None:
    session = poor.csms.transaction(1)
    assert session.ended and session.seq_numbers == consecutive()
    assert poor.outlets[1].register.at(poor.now_ms) > 1_000_100, "it has charged"
    assert poor.csms_asks("GetTransactionStatus", {}) == {"messagesInQueue": False}
    assert poor.csms.connections == 1


def test_each_unknown_message_is_tried_once_and_noted_once(poor: World) -> None:
    tried = [action for action in spoken(poor, 20) if action not in CORE]
    assert len(tried) == len(set(tried)) and {"MeterValues", "NotifyEvent", "ReservationStatusUpdate"} <= set(tried)
    assert len(notes(poor)) == len(tried)
    assert poor.asks_station("status")["declined"] == sorted(tried)


def test_what_is_asked_for_is_tried_again(poor: World) -> None:
    before = now_s(poor)
    assert poor.csms_asks("TriggerMessage", {"requestedMessage": "MeterValues"})["status"] == "Accepted"
    poor.runs(seconds=20)
    assert "MeterValues" in spoken(poor, before)


@pytest.mark.parametrize("code", ["NotSupported", "InternalError"])
def test_only_unknown_is_for_good_and_only_until_the_next_registration(code: str) -> None:
    world = idle((raw(32), SOCKET), keys=BUSY)
    world.csms.fails("MeterValues", 3, code=code)
    for driver in world.hardware.drivers.values():
        driver.meter_idle_ms = 5_000
    world.runs(minutes=10)
    sent = spoken(world).count("MeterValues")
    assert sent == 1 if code == "NotSupported" else sent > 6, sent
    world.loses_power().returns_after(seconds=5)
    before = now_s(world)
    world.runs(minutes=1)
    for driver in world.hardware.drivers.values():
        driver.meter_idle_ms = 5_000
    world.runs(minutes=5)
    assert "MeterValues" in spoken(world, before)


@pytest.mark.parametrize("code", ["NotImplemented", "InternalError", "FormatViolation"])
def test_a_csms_that_refuses_everything_but_the_core_sees_every_transaction(code: str) -> None:
    world = idle((raw(32), SOCKET), keys=BUSY)
    for action in FROM_STATION - CORE:
        world.csms.fails(action, NEVER, code=code)
    eventful(world)
    answers: dict[str, Any] = world.csms_asks("GetTransactionStatus", {})
    assert world.csms.transaction(1).seq_numbers == consecutive() and answers == {"messagesInQueue": False}


def test_what_is_optional_is_told_by_the_station_and_is_not_the_core() -> None:
    assert OPTIONAL <= FROM_STATION - CORE
