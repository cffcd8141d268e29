"""Bugs 10 to 14, 20, 23 and 24 of real chargers (transactions and money), each against the simulated world."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from agent.core.clock import BUILD_MS
from agent.core.instant import parse_rfc3339
from tests.blocks.stories import (
    CARD,
    OFFLINE_FOR_ALL,
    OTHER,
    QUIET,
    back_online,
    charge,
    charging,
    first,
    goes_off,
    heard,
    idle,
    remote_start,
    statuses,
    trail,
)
from tests.marks import req
from tests.sim.cuts import cut_points
from tests.sim.outlet import raw, smart
from tests.sim.transactions import Transaction, consecutive
from tests.sim.world import World


def offline_world() -> World:
    """A station that charges anybody while the CSMS cannot be reached."""
    return World([raw(16)], keys={**QUIET, **OFFLINE_FOR_ALL}, seed=10)


# ---------------------------------------------------------------------------------------- 10


@req("E04.FR.01", "E04.FR.02", "E08.FR.05", "E12.FR.01")
def test_bug_10_kill_at_every_write_exactly_one_ended() -> None:
    """Stopped offline, then the power goes: the queue and the recovery both have a say, and one Ended comes."""

    def stopped_offline(world: World) -> None:
        world.runs(seconds=15)
        world.csms.vanishes()
        world.ev(1).plugs_in().presents(CARD)
        world.runs(seconds=40)
        world.ev(1).presents(CARD).after(seconds=5).unplugs()
        world.runs(seconds=60)

    def endings(world: World) -> int:
        world.settles()
        sent = [event for _, event in heard(world, "TransactionEvent") if event["eventType"] == "Ended"]
        number = len({(e["transactionInfo"]["transactionId"], e["seqNo"]) for e in sent})
        assert number == len(world.csms.transactions) <= 2
        return number

    numbers = cut_points(offline_world, stopped_offline, endings, every=7)
    assert len(numbers) > 15 and 1 in numbers


# ---------------------------------------------------------------------------------------- 11

CUT_WHILE: dict[str, tuple[dict[str, str], Callable[[World], object]]] = {
    "authorised": ({"TxCtrlr.TxStartPoint": "Authorized"}, lambda w: w.ev(1).presents(CARD)),
    "plugged": ({"TxCtrlr.TxStartPoint": "EVConnected"}, lambda w: w.ev(1).plugs_in()),
    "charging": ({}, lambda w: w.ev(1).plugs_in().presents(CARD)),
    "suspended": ({}, lambda w: w.ev(1).plugs_in().presents(CARD).after(seconds=30).pauses()),
    "stopped": (
        {"TxCtrlr.TxStopPoint": "EVConnected"},
        lambda w: w.ev(1).plugs_in().presents(CARD).after(seconds=30).presents(CARD),
    ),
}


@pytest.mark.parametrize("csms", ["there", "away"])
@pytest.mark.parametrize("plug", ["stays", "goes", "another"])
@pytest.mark.parametrize("state", CUT_WHILE)
def test_bug_11_boot_reconcile_matrix(state: str, plug: str, csms: str) -> None:
    """Whatever a transaction was doing: after the boot nobody is locked out, and no second card is refused."""
    keys, begins = CUT_WHILE[state]
    world = idle(keys={**QUIET, **OFFLINE_FOR_ALL, **keys})
    begins(world)
    world.runs(minutes=1)
    if csms == "away":
        world.csms.vanishes()
    world.loses_power().returns_after(seconds=30)
    if plug != "stays":
        world.ev(1).after(seconds=5).unplugs()
    if plug == "another":
        world.ev(1).after(seconds=5).plugs_in()
    world.runs(minutes=3)
    back_online(world)
    if world.outlets[1].amps < 6:
        world.ev(1).unplugs().after(seconds=5).plugs_in().presents(OTHER)
        world.runs(minutes=1)
    assert world.outlets[1].amps > 6
    world.settles()
    assert all(session.ended for session in world.csms.transactions.values())


def test_bug_11_no_session_is_one_too_many() -> None:
    """After some 146 sessions a charger showed Preparing with no plug in it, and refused remote starts."""
    world = idle(keys=QUIET)
    for number in range(150):
        world.ev(1).plugs_in(amps=16)
        if number % 3:
            world.ev(1).presents(CARD)
        else:
            world.runs(seconds=3)
            assert remote_start(world, start_id=number, evseId=1)["status"] == "Accepted"
        world.ev(1).after(seconds=8).unplugs()
        world.runs(seconds=20)
        assert statuses(world)[-1] == (1, "Available")
    assert len(world.csms.transactions) == 150
    world.settles()


@pytest.mark.soak
def test_bug_11_ten_thousand_sessions() -> None:
    world = idle((smart(16), raw(32)), keys=QUIET)
    rng = Random(11)
    for _ in range(10_000):
        evse = rng.choice((1, 2))
        world.ev(evse).plugs_in().presents(rng.choice((CARD, OTHER))).after(seconds=rng.uniform(0, 60)).unplugs()
        world.runs(seconds=rng.uniform(5, 120))
    world.settles()


# ---------------------------------------------------------------------------------------- 12


@req("E04.FR.01", "E04.FR.02", "E04.FR.03", "E12.FR.01", "E12.FR.02", "E01.FR.08")
@pytest.mark.parametrize("end", ["power", "kill"])
def test_bug_12_offline_full_session_then_reset_offline(end: str) -> None:
    world = idle(keys={**QUIET, **OFFLINE_FOR_ALL})
    world.csms.vanishes()
    world.ev(1).after(seconds=5).plugs_in().presents(CARD).after(seconds=300).presents(CARD).unplugs()
    world.runs(minutes=10)
    goes_off(world, end).returns_after(seconds=30)
    world.runs(minutes=10)
    world.ev(1).plugs_in().presents(OTHER).after(seconds=300).unplugs()
    world.runs(minutes=10)
    back_online(world)
    assert [t.started and t.ended and t.seq_numbers == consecutive() for t in world.csms.transactions.values()] == [
        True, True,
    ]  # fmt: skip
    assert [first(t)["idToken"]["idToken"] for t in world.csms.transactions.values()] == [CARD, OTHER]
    assert all(all(t.offline) for t in world.csms.transactions.values())
    world.settles()


# ---------------------------------------------------------------------------------------- 13


def damaged(world: World, rng: Random) -> str:
    """Do to the flash what blackouts do to it; how it was damaged."""
    rows = sorted(world.disk.rows)
    how = rng.choice(("truncated", "garbled", "tables lost", "all lost"))
    if how == "truncated":
        for row in rows[rng.randrange(len(rows)) :]:
            del world.disk.rows[row]
    elif how == "garbled":
        for row in rng.sample(rows, k=max(1, len(rows) // 3)):
            kind, _ = world.disk.rows[row]
            world.disk.rows[row] = (kind, rng.choice(("{}", '{"tx": 7}', '{"tx": "x", "evse": "one", "seq": []}')))
    elif how == "tables lost":
        world.disk.tables.clear()
    else:
        world.disk.rows.clear()
        world.disk.tables.clear()
    return how


@pytest.mark.parametrize("seed", range(24))
def test_bug_13_power_cut_fuzz(seed: int) -> None:
    """A journal that a blackout has damaged: the station starts, charges, and tells the CSMS."""
    rng = Random(seed)
    world = World([raw(16)], keys=OFFLINE_FOR_ALL, seed=seed).runs(seconds=20)
    if seed % 2:
        world.csms.vanishes()
    world.ev(1).plugs_in().presents(CARD)
    world.runs(minutes=rng.choice((1, 5)))
    outage = world.loses_power()
    how = damaged(world, rng)
    outage.returns_after(seconds=20)
    world.ev(1).after(seconds=5).unplugs()
    world.runs(minutes=3)
    back_online(world)
    known = set(world.csms.transactions)
    charge(world, card=OTHER)
    fresh = [t for id, t in world.csms.transactions.items() if id not in known]
    assert [(t.seq_numbers[0], first(t)["eventType"]) for t in fresh] == [(0, "Started")], how


@pytest.mark.parametrize("when", ["idle", "charging"])
def test_bug_13_a_full_disk_keeps_energy_and_records_in_step(when: str) -> None:
    """Nothing new is energised that could not be written down; what runs goes on and is told later."""
    world = idle(keys={**QUIET, "SampledDataCtrlr.TxUpdatedInterval": "60"})
    if when == "charging":
        charge(world)
    world.disk.full = True
    world.runs(minutes=1)
    world.ev(1).plugs_in().presents(CARD if when == "idle" else OTHER)
    world.runs(minutes=10)
    assert (world.outlets[1].amps > 6) == (when == "charging")
    world.disk.full = False
    world.runs(minutes=2)
    assert world.outlets[1].amps > 6
    world.settles()


def test_bug_13_the_control_loop_never_waits_for_the_disk() -> None:
    world = charging(keys=QUIET)
    world.disk.slow = 2_000
    world.csms.sends("RequestStopTransaction", {"transactionId": world.csms.transaction(1).id})
    world.runs(seconds=3)
    assert world.outlets[1].offered == 0 and world.disk.is_busy
    world.disk.slow = 1
    world.settles()


# ---------------------------------------------------------------------------------------- 14


def moments(payload: Any) -> list[int]:
    """Every moment (ms since 1970) that a message names."""
    if isinstance(payload, dict):
        named = [parse_rfc3339(v) for k, v in payload.items() if isinstance(v, str) and k.lower().endswith("timestamp")]
        return named + [ms for v in payload.values() for ms in moments(v)]
    return [ms for v in payload for ms in moments(v)] if isinstance(payload, list) else []


@req("E04.FR.01")
@pytest.mark.parametrize("reboots", [0, 1, 2])
def test_bug_14_no_timestamp_before_build_date(reboots: int) -> None:
    """A board without a clock: sessions before any time is known, over reboots, and then the CSMS tells it."""
    world = World([raw(16)], keys={**OFFLINE_FOR_ALL, "AlignedDataCtrlr.Interval": "60"})
    world.clock.synchronised = False
    world.csms.vanishes()
    world.judge.allow.add("clock")
    for _ in range(reboots + 1):
        world.ev(1).after(seconds=20).plugs_in().presents(CARD).after(seconds=120).presents(CARD).unplugs()
        world.runs(minutes=4)
        if world.boots <= reboots:
            world.loses_power().returns_after(seconds=20)
            world.runs(minutes=1)
    back_online(world)
    told = [ms for f in world.csms.frames if f.direction == "<" and f.message[0] == 2 for ms in moments(f.message[3])]
    assert len(told) > 10 and min(told) >= BUILD_MS and max(told) <= world.clock.utc_ms
    assert len(world.csms.transactions) == reboots + 1
    last = list(world.csms.transactions.values())[-1]
    stamps = [parse_rfc3339(event["timestamp"]) for event in last.events]
    assert stamps == sorted(stamps) and 100_000 < stamps[-1] - stamps[0] < 150_000
    world.settles()


# ---------------------------------------------------------------------------------------- 20


@req("E13.FR.01", "E13.FR.02", "E13.FR.04")
@pytest.mark.parametrize("how", ["fails", "ignores", "nonsense"])
def test_bug_20_poison_message(how: str) -> None:
    """An event that the CSMS cannot take: tried as often as told, kept, reported, and everything else goes on."""
    keys = {**QUIET, "OCPPCommCtrlr.MessageAttemptInterval[TransactionEvent]": "5"}
    world = idle(keys=keys)
    world.csms.answers("TransactionEvent", lambda event: {} if event["seqNo"] != 1 else {"totalCost": "a lot"})
    if how != "nonsense":
        world.csms.answers("TransactionEvent", lambda event: _mistreats(world, event, how))
    world.ev(1).plugs_in().presents(CARD).after(seconds=400).presents(CARD)
    world.runs(minutes=15)
    sent = [event["seqNo"] for _, event in heard(world, "TransactionEvent")]
    assert sent.count(1) == 3 and sent == sorted(sent)
    assert heard(world, "TransactionEvent")[-1][1]["eventType"] == "Ended"
    assert world.asks_station("status")["queue"] == {"events": 0, "set_aside": 1}
    assert len(heard(world, "BootNotification")) == 1 and heard(world, "Heartbeat")


def _mistreats(world: World, event: dict[str, Any], how: str) -> dict[str, Any]:
    """Whoever sends seqNo 0 is told that the next event will be mistreated, three times."""
    if event["seqNo"] == 0:
        getattr(world.csms, how)("TransactionEvent", times=3)
    return {}


@req("E13.FR.04")
def test_bug_20_an_event_of_our_own_that_is_no_valid_one_ends_neither_this_start_nor_the_next() -> None:
    world = idle(keys={**OFFLINE_FOR_ALL, "SampledDataCtrlr.TxUpdatedInterval": "60"})
    world.csms.vanishes()
    world.runs(minutes=2)
    world.ev(1).plugs_in().presents(CARD)
    world.runs(minutes=5)
    station: Any = world.station
    list(station.charger.outbox._events)[2].data["trigger"] = "ABug"
    world.csms.returns()
    world.runs(minutes=30)
    assert world.asks_station("status")["queue"] == {"events": 0, "set_aside": 1}
    assert [topic for _, _, topic, _ in world.notes].count("bug") == 1
    assert world.csms.transaction(1).seq_numbers[:3] == [0, 1, 3] and len(heard(world, "BootNotification")) == 1


# ---------------------------------------------------------------------------------------- 23


@req("E01.FR.16", "E04.FR.03", "E14.FR.02", "E14.FR.03", "E14.FR.04", "E14.FR.05")
def test_bug_23_replay_contract() -> None:
    """Replayed events say where they belong, count on over a reboot, and the queue is what it is said to be."""
    world = idle(keys={**OFFLINE_FOR_ALL, "SampledDataCtrlr.TxUpdatedInterval": "20"})
    world.csms.vanishes()
    world.ev(1).after(seconds=5).plugs_in().presents(CARD)
    world.runs(minutes=3)
    world.loses_power().returns_after(seconds=20)
    world.runs(minutes=3)
    world.ev(1).unplugs()
    world.runs(minutes=1)
    world.csms.latency_ms = (400, 400)
    world.csms.returns()
    world.until(lambda: len(world.csms.transactions) > 0, within_s=1200)
    session = world.csms.transaction(1)
    while not session.ended:
        events = len(session.events)
        told = world.csms_asks("GetTransactionStatus", {"transactionId": session.id})
        assert told["ongoingIndicator"] is False and (told["messagesInQueue"] or session.ended)
        world.until(_more_than(events, session), within_s=30)
    world.runs(seconds=5)
    assert world.csms_asks("GetTransactionStatus", {"transactionId": session.id})["messagesInQueue"] is False
    assert session.seq_numbers == consecutive() and all(session.offline)
    assert first(session)["evse"] == {"id": 1, "connectorId": 1}
    assert trail(session)[-1][0] == "Ended"
    world.settles()


def _more_than(count: int, session: Transaction) -> Callable[[], bool]:
    return lambda: len(session.events) > count or session.ended


# ---------------------------------------------------------------------------------------- 24


@req("E01.FR.07", "E01.FR.08", "E06.FR.14", "F02.FR.01")
@pytest.mark.parametrize("gap_s", [1, 3, 10, 60, 600])
@pytest.mark.parametrize("by", ["card", "csms"])
def test_bug_24_start_stop_start(by: str, gap_s: float) -> None:
    """A start soon after a stop is a normal case: it charges, in a transaction of its own."""
    world = charging(keys=QUIET)
    for number in range(2):
        if by == "csms":
            running = list(world.csms.transactions)[-1]
            assert world.csms_asks("RequestStopTransaction", {"transactionId": running})["status"] == "Accepted"
            world.runs(seconds=gap_s)
            assert remote_start(world, start_id=number)["status"] == "Accepted"
        else:
            world.ev(1).presents(CARD).after(seconds=max(gap_s - 1.5, 0)).presents(OTHER)
            world.runs(seconds=gap_s)
            world.ev(1).after(seconds=40).presents(OTHER).after(seconds=4).presents(CARD)
        world.runs(minutes=2)
        assert world.outlets[1].amps > 6
    assert len(world.csms.transactions) == (3 if by == "csms" else 5)
    sessions = list(world.csms.transactions.values())
    assert all(s.seq_numbers == consecutive() for s in sessions) and all(s.ended for s in sessions[:-1])
    world.settles()


@req("G01.FR.01", "E02.FR.05")
@pytest.mark.parametrize("stop", ["card", "csms", "car", "fault"])
def test_bug_24_occupied_until_unplug(stop: str) -> None:
    """The connector's status is told by the plug, never by the transaction."""
    world = charging(keys=QUIET)
    if stop == "card":
        world.ev(1).presents(CARD)
    elif stop == "csms":
        world.csms_asks("RequestStopTransaction", {"transactionId": world.csms.transaction(1).id})
    elif stop == "car":
        world.ev(1).pauses()
    else:
        world.loses_power().returns_after(seconds=20)
    world.runs(minutes=5)
    assert {status for _, status in statuses(world)[1:]} == {"Occupied"}
    world.ev(1).unplugs()
    world.runs(seconds=20)
    assert statuses(world)[-1] == (1, "Available")
    told = [status for _, status in statuses(world)]
    assert all(a != b for a, b in pairwise(told)) or stop == "fault"
    world.settles()
