"""E04, E08, E11 to E14: events made offline, events that are not accepted, and what is still queued."""

from __future__ import annotations

from typing import Any

import pytest

from tests.blocks.stories import (
    CARD,
    OFFLINE_FOR_ALL,
    OTHER,
    QUIET,
    back_online,
    charging,
    gaps,
    heard,
    idle,
    utc_s,
)
from tests.marks import req
from tests.sim.outlet import raw, smart
from tests.sim.transactions import Payload
from tests.sim.world import World


def asked(world: World, transaction_id: str | None = None) -> Payload:
    """GetTransactionStatus."""
    return world.csms_asks("GetTransactionStatus", {} if transaction_id is None else {"transactionId": transaction_id})


# ---------------------------------------------------------------------------------------- E04, E08, E11, E12


@req("E04.FR.01", "E04.FR.02", "E04.FR.03", "E12.FR.01", "E12.FR.02")
def test_a_session_all_offline_arrives_whole_and_in_order() -> None:
    world = idle(keys=OFFLINE_FOR_ALL)
    world.csms.vanishes()
    world.ev(1).after(seconds=5).plugs_in().presents(CARD).after(seconds=600).presents(CARD).unplugs()
    world.runs(minutes=15)
    back_online(world)
    session = world.csms.transaction(1)
    assert session.seq_numbers == list(range(len(session.events))) and all(session.offline) and session.ended
    stamps = [utc_s(e) for e in session.events]
    assert stamps == sorted(stamps) and stamps[-1] - stamps[0] == pytest.approx(602, abs=10)
    world.settles()


@req("E08.FR.01", "E08.FR.04", "E08.FR.05", "E08.FR.06", "E08.FR.07", "E12.FR.01")
def test_started_online_stopped_offline() -> None:
    """TC_E_44."""
    world = charging(keys=QUIET)
    before = len(world.csms.transaction(1).events)
    world.csms.vanishes()
    world.ev(1).after(seconds=5).presents(CARD)
    world.runs(minutes=1)
    assert world.outlets[1].amps == 0
    back_online(world)
    session = world.csms.transaction(1)
    assert session.offline == [False] * before + [True] * (len(session.events) - before)
    assert session.ended and session.stopped_reason == "Local"
    world.settles()


@req("E11.FR.01", "E11.FR.02", "E11.FR.07")
def test_what_was_queued_when_the_link_broke_is_sent_as_offline() -> None:
    world = charging(keys={**QUIET, "SampledDataCtrlr.TxUpdatedInterval": "10"})
    world.csms.latency_ms = (25_000, 25_000)
    world.runs(minutes=1)
    world.csms.vanishes()
    world.csms.latency_ms = (10, 80)
    world.runs(minutes=1)
    back_online(world)
    session = world.csms.transaction(1)
    assert session.seq_numbers == list(range(len(session.events))) and True in session.offline
    assert session.offline[-1] is False
    world.settles()


@req("E04.FR.07", "E04.FR.08", "E12.FR.04", "E12.FR.05", "E11.FR.04", "E11.FR.05", "J02.FR.12", "J02.FR.13")
def test_with_little_memory_intermediate_updates_go_and_nothing_else() -> None:
    keys = {
        **OFFLINE_FOR_ALL, "AlignedDataCtrlr.Interval": "0", "SampledDataCtrlr.TxUpdatedInterval": "10",
        "RecoveryCtrlr.MaxQueuedEvents": "100",
    }  # fmt: skip
    world = idle(keys=keys)
    world.csms.vanishes()
    world.ev(1).after(seconds=5).plugs_in().presents(CARD).after(seconds=3600).presents(CARD).unplugs()
    world.runs(minutes=65)
    world.judge.allow.add("gaps")
    back_online(world)
    session = world.csms.transaction(1)
    numbers = session.seq_numbers
    assert numbers == sorted(numbers) and len(numbers) <= 101 and numbers[-1] > 300
    assert session.started and session.ended and numbers[-2] == numbers[-1] - 1
    world.settles()


@req("E04.FR.08", "E11.FR.05", "E12.FR.05", "J02.FR.13")
def test_with_little_memory_each_transaction_keeps_as_many_updates_as_the_others() -> None:
    """An hour offline on two EVSEs, 720 events for 100 places: evenly sparse from the start to the end of both."""
    keys = {
        **OFFLINE_FOR_ALL, "AlignedDataCtrlr.Interval": "0", "SampledDataCtrlr.TxUpdatedInterval": "10",
        "RecoveryCtrlr.MaxQueuedEvents": "100",
    }  # fmt: skip
    world = idle([raw(32), raw(32)], keys=keys)
    world.judge.allow.add("gaps")
    world.csms.vanishes()
    for evse, card in ((1, CARD), (2, OTHER)):
        world.ev(evse).after(seconds=5).plugs_in().presents(card).after(seconds=3600).presents(card).unplugs()
    world.runs(minutes=62)
    assert 80 < world.asks_station("status")["queue"]["events"] <= 100
    back_online(world)
    steps = [max(gaps(session.seq_numbers)) for session in world.csms.transactions.values()]
    assert len(steps) == 2 and max(steps) <= 2 * min(steps) and max(steps) <= 2 * 720 / 100 + 2, steps
    world.settles()


def test_a_full_queue_refuses_new_sessions_and_takes_them_again_when_it_has_drained() -> None:
    """DESIGN.md, the outbox: no Started or Ended is dropped, and the refusal ends with its cause."""
    world = idle(keys={**OFFLINE_FOR_ALL, **QUIET, "RecoveryCtrlr.MaxQueuedEvents": "100"})
    world.csms.vanishes()
    driver = world.ev(1).after(seconds=5)
    for _ in range(60):
        driver.plugs_in().presents(CARD).after(seconds=20).presents(CARD).unplugs().after(seconds=5)
    world.judge.allow.add("gaps")
    world.runs(minutes=60)
    assert "full" in str(world.asks_station("status")["queue"]) or len(world.disk.stored("event")) <= 110
    back_online(world)
    world.runs(minutes=4)
    assert len(world.disk.stored("event")) == 0
    driver.plugs_in().presents(CARD)
    world.runs(minutes=1)
    assert world.outlets[1].amps > 6
    world.settles()


# ---------------------------------------------------------------------------------------- E13


@req("E13.FR.01", "E13.FR.02", "E13.FR.03", "E13.FR.04")
@pytest.mark.parametrize(("attempts", "interval"), [(3, 20), (1, 20), (5, 5)])
def test_a_refused_event_is_repeated_with_growing_waits_then_set_aside(attempts: int, interval: int) -> None:
    """TC_E_50."""
    keys = {
        **QUIET, "OCPPCommCtrlr.MessageAttempts[TransactionEvent]": str(attempts),
        "OCPPCommCtrlr.MessageAttemptInterval[TransactionEvent]": str(interval),
    }  # fmt: skip
    world = idle(keys=keys)
    world.csms.fails("TransactionEvent", times=attempts)
    world.ev(1).plugs_in().presents(CARD)
    world.runs(minutes=5)
    sent = heard(world, "TransactionEvent")
    tries = [at for at, e in sent if e["seqNo"] == 0]
    assert gaps(tries) == [interval * n for n in range(1, attempts)]
    assert [e["seqNo"] for _, e in sent][attempts:] == list(range(1, 1 + len(sent) - attempts)) and len(sent) > attempts
    assert world.asks_station("status")["queue"]["set_aside"] == 1


@req("E13.FR.02", "E13.FR.03")
def test_an_event_that_is_not_answered_is_repeated_after_time_out_and_wait() -> None:
    """TC_E_42: 30 s of silence and 20 s of wait, then 30 s and 40 s."""
    keys = {**QUIET, "OCPPCommCtrlr.MessageAttemptInterval[TransactionEvent]": "20"}
    world = idle(keys=keys)
    world.csms.ignores("TransactionEvent", times=2)
    world.ev(1).plugs_in().presents(CARD)
    world.runs(minutes=5)
    sent = [(at, e) for at, e in heard(world, "TransactionEvent") if e["seqNo"] == 0]
    assert gaps(at for at, _ in sent) == [50, 70]
    assert sent[0][1] == sent[1][1] == sent[2][1]
    world.settles()


@req("E13.FR.02", "E13.FR.04")
@pytest.mark.parametrize("attempts", [3, 5, 8])
def test_an_event_that_is_never_answered_does_not_block_the_others_for_ever(attempts: int) -> None:
    keys = {
        **QUIET, "OCPPCommCtrlr.MessageAttempts[TransactionEvent]": str(attempts),
        "OCPPCommCtrlr.MessageAttemptInterval[TransactionEvent]": "5", "OCPPCommCtrlr.HeartbeatInterval": "86400",
    }  # fmt: skip
    world = idle(keys=keys)
    world.csms.boots("Accepted", 86_400)
    world.csms.ignores("TransactionEvent", times=1_000_000)
    world.ev(1).plugs_in().presents(CARD)
    world.runs(minutes=60)
    assert world.asks_station("status")["queue"]["set_aside"] >= 1
    assert 1 in [e["seqNo"] for _, e in heard(world, "TransactionEvent")]


@req("E04.FR.02", "E13.FR.04")
def test_an_event_that_breaks_the_link_each_time_does_not_keep_other_transactions_back() -> None:
    """Bug 20: a CSMS that falls over one event; nothing is lost, and the other transaction gets through."""
    enough = {"LimitCtrlr.InstallationMaxCurrent": "80", "OCPPCommCtrlr.RetryBackOffWaitMinimum": "1"}
    world = idle((raw(32), raw(32)), keys={**QUIET, **OFFLINE_FOR_ALL, **enough})
    poison: list[str] = []

    def falls_over(event: Payload) -> Payload:
        poison.append(event["transactionInfo"]["transactionId"])
        if event["transactionInfo"]["transactionId"] == poison[0]:
            world.csms.vanishes()
            world.csms.returns()
        return {}

    world.csms.answers("TransactionEvent", falls_over)
    world.ev(1).plugs_in().presents(CARD)
    world.ev(2).after(seconds=30).plugs_in().presents(OTHER)
    world.runs(minutes=20)
    assert len(set(poison)) == 2
    world.csms.answers("TransactionEvent", lambda event: {})
    world.until(lambda: not world.disk.stored("event"), within_s=1200)
    sent = {(e["transactionInfo"]["transactionId"], e["seqNo"]) for _, e in heard(world, "TransactionEvent")}
    assert {n for id, n in sent if id == poison[0]} == {0, 1}


@req("E13.FR.04")
def test_a_lone_event_that_breaks_each_connection_is_set_aside_and_the_rest_goes_on() -> None:
    """Bug 20: tried on connections that hold without it, as often as a refused event; then kept and reported."""
    world = idle(keys={**QUIET, "OCPPCommCtrlr.RetryBackOffWaitMinimum": "1"})

    def falls_over(event: Payload) -> Payload:
        if event["seqNo"] == 1:
            world.csms.vanishes()
            world.csms.returns()
        return {}

    world.csms.answers("TransactionEvent", falls_over)
    world.ev(1).plugs_in().presents(CARD)
    world.runs(minutes=30)
    tries = [at for at, event in heard(world, "TransactionEvent") if event["seqNo"] == 1]
    assert len(tries) == 6 and all(gap >= 60 * n for n, gap in enumerate(gaps(tries[2:]), start=1))
    assert world.asks_station("status")["queue"] == {"events": 0, "set_aside": 1}
    assert [kept["seq"] for kept in world.disk.stored("set_aside")] == [1]
    world.ev(1).presents(CARD)
    world.runs(minutes=1)
    assert heard(world, "TransactionEvent")[-1][1]["eventType"] == "Ended"


@pytest.mark.parametrize("action", ["StatusNotification", "Heartbeat", "MeterValues"])
@pytest.mark.parametrize("how", ["fails", "ignores"])
def test_a_csms_that_cannot_take_one_message_still_gets_every_transaction(action: str, how: str) -> None:
    """Bug 20 and buyers' A8: a CALLERROR or silence to one action must not keep the queue from draining."""
    world = idle((smart(16), raw(32)), keys={"AlignedDataCtrlr.Interval": "60"})
    getattr(world.csms, how)(action, times=1_000_000)
    world.ev(2).plugs_in().presents(CARD).after(seconds=300).presents(CARD).unplugs()
    world.runs(minutes=20)
    assert world.csms.transaction(1).ended
    flood = [at for at, _ in heard(world, action)]
    assert len(flood) <= 60


# ---------------------------------------------------------------------------------------- E14


@req("E14.FR.01", "E14.FR.02", "E14.FR.03", "E14.FR.05", "E14.FR.06", "E14.FR.08")
def test_transaction_status_with_an_empty_queue() -> None:
    world = charging(keys=QUIET)
    id = world.csms.transaction(1).id
    assert asked(world, id) == {"ongoingIndicator": True, "messagesInQueue": False}
    assert asked(world, "no-such") == {"ongoingIndicator": False, "messagesInQueue": False}
    assert asked(world) == {"messagesInQueue": False}
    world.ev(1).presents(CARD)
    world.runs(minutes=1)
    assert asked(world, id) == {"ongoingIndicator": False, "messagesInQueue": False}


@req("E14.FR.04", "E14.FR.07")
def test_transaction_status_while_the_queue_drains() -> None:
    """TC_E_29, TC_E_31, TC_E_33: asked right after the reconnect."""
    world = charging(keys={**QUIET, "SampledDataCtrlr.TxUpdatedInterval": "10"})
    id = world.csms.transaction(1).id
    world.csms.vanishes()
    world.ev(1).after(seconds=200).presents(CARD)
    world.runs(minutes=5)
    world.csms.latency_ms = (900, 900)
    world.csms.first_words = [
        ("GetTransactionStatus", {"transactionId": id}), ("GetTransactionStatus", {}),
    ]  # fmt: skip
    back_online(world)
    answers: list[Any] = [e.answer for e in world.csms.exchanges]
    assert answers == [{"ongoingIndicator": False, "messagesInQueue": True}, {"messagesInQueue": True}]
