"""E03 to E14: time-outs, EV-side disconnects, what is sent once, offline, restarts, and what was not accepted."""

from __future__ import annotations

from typing import Any

import pytest

from tests.blocks.stories import (
    CARD,
    OFFLINE_FOR_ALL,
    OTHER,
    QUIET,
    back_online,
    carrying,
    charging,
    first,
    gaps,
    heard,
    idle,
    last,
    statuses,
    trail,
    utc_s,
)
from tests.marks import req
from tests.sim.outlet import raw, smart
from tests.sim.transactions import Payload
from tests.sim.world import World

SUSPEND = {**QUIET, "TxCtrlr.StopTxOnEVSideDisconnect": "false", "TxCtrlr.TxStopPoint": "Authorized"}


def asked(world: World, transaction_id: str | None = None) -> Payload:
    """GetTransactionStatus."""
    return world.csms_asks("GetTransactionStatus", {} if transaction_id is None else {"transactionId": transaction_id})


# ---------------------------------------------------------------------------------------- E03


@req("E03.FR.05", "C01.FR.26")
def test_a_card_without_a_car_times_out_and_ends_the_transaction() -> None:
    """TC_E_05."""
    points = {"TxCtrlr.TxStartPoint": "Authorized", "TxCtrlr.TxStopPoint": "Authorized"}
    world = idle(keys={**QUIET, **points, "TxCtrlr.EVConnectionTimeOut": "40"})
    world.ev(1).presents(CARD)
    world.runs(minutes=2)
    session = world.csms.transaction(1)
    assert trail(session) == [("Started", "Authorized", "Idle"), ("Ended", "EVConnectTimeout", "Idle")]
    assert session.stopped_reason == "Timeout"
    assert utc_s(last(session)) - utc_s(first(session)) == pytest.approx(40, abs=1)


@req("E03.FR.05", "C01.FR.26", "E06.FR.04")
@pytest.mark.parametrize("stop", ["EVConnected", "EnergyTransfer"])
def test_a_transaction_that_never_saw_a_car_does_not_stay_open(stop: str) -> None:
    """The danger of unmatched points: nobody else could ever charge there."""
    points = {"TxCtrlr.TxStartPoint": "Authorized", "TxCtrlr.TxStopPoint": stop}
    world = idle(keys={**QUIET, **points, "TxCtrlr.EVConnectionTimeOut": "40"})
    world.ev(1).presents(CARD)
    world.runs(minutes=2)
    assert "EVConnectTimeout" in [trigger for _, trigger, _ in trail(world.csms.transaction(1))]
    world.ev(1).plugs_in().presents(OTHER)
    world.runs(minutes=1)
    assert world.outlets[1].amps > 6
    world.settles()


@req("E03.FR.05", "C01.FR.26")
def test_without_a_transaction_a_time_out_makes_no_event_and_frees_the_evse() -> None:
    """TC_E_39."""
    world = idle(keys={**QUIET, "TxCtrlr.EVConnectionTimeOut": "40"})
    world.ev(1).presents(CARD).after(seconds=60).plugs_in()
    world.runs(minutes=2)
    assert not heard(world, "TransactionEvent") and not world.outlets[1].permitted
    world.ev(1).presents(CARD)
    world.runs(minutes=1)
    assert world.outlets[1].amps > 6
    world.settles()


@req("E03.FR.01", "E03.FR.06", "E01.FR.16", "E02.FR.05")
def test_card_first_then_the_cable() -> None:
    """TC_E_04."""
    world = idle(keys={**QUIET, "TxCtrlr.TxStartPoint": "Authorized"})
    world.ev(1).presents(CARD).after(seconds=20).plugs_in()
    world.runs(minutes=1)
    session = world.csms.transaction(1)
    assert trail(session)[:2] == [("Started", "Authorized", "Idle"), ("Updated", "CablePluggedIn", "EVConnected")]
    assert first(session)["idToken"]["idToken"] == CARD and carrying(session, "idToken") == [0]
    assert session.events[1]["evse"] == {"id": 1, "connectorId": 1}
    assert statuses(world)[-1] == (1, "Occupied")
    world.settles()


# ---------------------------------------------------------------------------------------- E02, E.2


@req("E02.FR.01", "E02.FR.06", "E02.FR.20", "E02.FR.15", "E01.FR.16")
def test_cable_first_under_ev_connected_is_authorised_later() -> None:
    """TC_E_03, TC_E_09."""
    world = idle(keys={**QUIET, "TxCtrlr.TxStartPoint": "EVConnected"})
    world.ev(1).plugs_in().after(seconds=20).presents(CARD)
    world.runs(minutes=1)
    session = world.csms.transaction(1)
    assert trail(session) == [
        ("Started", "CablePluggedIn", "EVConnected"),
        ("Updated", "Authorized", "EVConnected"),
        ("Updated", "ChargingStateChanged", "Charging"),
    ]
    assert carrying(session, "evse") == [0] and carrying(session, "idToken") == [1]
    assert "numberOfPhasesUsed" not in session.events[0] and session.events[2]["numberOfPhasesUsed"] == 3
    world.settles()


@req("E02.FR.20", "C01.FR.02")
def test_a_refused_card_leaves_an_unauthorised_transaction_alone() -> None:
    world = idle(keys={**QUIET, "TxCtrlr.TxStartPoint": "EVConnected"})
    world.csms.blocked_tokens.add(OTHER)
    world.ev(1).plugs_in().presents(OTHER)
    world.runs(minutes=1)
    assert len(world.csms.transaction(1).events) == 1 and not world.outlets[1].permitted
    world.ev(1).presents(CARD)
    world.runs(minutes=1)
    assert world.outlets[1].amps > 6
    world.settles()


@req("E01.FR.07", "E01.FR.08", "E06.FR.14")
def test_start_stop_start_without_replugging_makes_transactions_of_their_own() -> None:
    """Bug 24 and buyers' J3: start soon after stop is a normal case."""
    world = charging(keys=QUIET)
    for _ in range(4):
        world.ev(1).presents(CARD).after(seconds=4).presents(CARD)
        world.runs(seconds=40)
        assert world.outlets[1].amps > 6
    world.settles()
    sessions = list(world.csms.transactions.values())
    assert len(sessions) == 5 and all(s.seq_numbers[0] == 0 and s.stopped_reason for s in sessions)


@req("E01.FR.10", "E06.FR.08")
def test_authorised_again_in_the_same_transaction_the_first_stop_is_forgotten() -> None:
    world = charging(keys={**QUIET, "TxCtrlr.TxStopPoint": "EVConnected"})
    world.ev(1).presents(CARD).after(seconds=10).presents(CARD)
    world.runs(minutes=1)
    assert world.outlets[1].amps > 6
    session = world.csms.transaction(1)
    assert trail(session)[-2][:2] == ("Updated", "Authorized")
    assert carrying(session, "idToken")[-1] == session.events[-2]["seqNo"]
    world.ev(1).unplugs()
    world.runs(minutes=1)
    assert session.stopped_reason == "EVDisconnected"
    world.settles()


# ---------------------------------------------------------------------------------------- E09, E10


@req("E10.FR.02", "E10.FR.03")
def test_an_ev_side_disconnect_suspends_and_a_replug_goes_on() -> None:
    """TC_E_26."""
    world = charging(keys=SUSPEND)
    world.ev(1).unplugs().after(seconds=30).plugs_in()
    world.runs(minutes=2)
    session = world.csms.transaction(1)
    assert trail(session)[-3:] == [
        ("Updated", "EVCommunicationLost", "Idle"),
        ("Updated", "CablePluggedIn", "EVConnected"),
        ("Updated", "ChargingStateChanged", "Charging"),
    ]
    assert session.events[-2]["evse"] == {"id": 1, "connectorId": 1}
    assert [s for _, s in statuses(world)][-2:] == ["Available", "Occupied"]
    world.ev(1).presents(CARD)
    world.runs(minutes=1)
    assert session.stopped_reason == "Local"
    world.settles()


@req("E10.FR.02", "E06.FR.08")
def test_nobody_plugs_in_again_in_time() -> None:
    """TC_E_27."""
    world = charging(keys={**SUSPEND, "TxCtrlr.EVConnectionTimeOut": "40"})
    world.ev(1).unplugs()
    world.runs(minutes=2)
    session = world.csms.transaction(1)
    assert trail(session)[-1] == ("Ended", "EVConnectTimeout", "Idle") and session.stopped_reason == "Timeout"
    world.settles()


@req("E06.FR.02", "E10.FR.02")
def test_the_stop_point_ev_connected_ends_it_whatever_the_key_says() -> None:
    world = charging(keys={**SUSPEND, "TxCtrlr.TxStopPoint": "EVConnected"})
    world.ev(1).unplugs()
    world.runs(seconds=20)
    session = world.csms.transaction(1)
    assert trail(session)[-1] == ("Ended", "EVCommunicationLost", "Idle")
    assert session.stopped_reason == "EVDisconnected"
    world.settles()


@req("E09.FR.01")
def test_by_default_an_unplugged_car_needs_a_new_card() -> None:
    world = charging(keys={**QUIET, "TxCtrlr.TxStopPoint": "Authorized"})
    world.ev(1).unplugs().after(seconds=10).plugs_in()
    world.runs(minutes=1)
    session = world.csms.transaction(1)
    assert session.stopped_reason == "EVDisconnected" and not world.outlets[1].permitted
    world.settles()


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


@req("E04.FR.07", "E04.FR.08", "E11.FR.04", "E11.FR.05", "J02.FR.12", "J02.FR.13")
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
    world = idle((raw(32), raw(32)), keys={**QUIET, **OFFLINE_FOR_ALL, "OCPPCommCtrlr.RetryBackOffWaitMinimum": "1"})
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


# ---------------------------------------------------------------------------------------- E.3


@req("E01.FR.07", "E01.FR.16")
@pytest.mark.parametrize("end", ["power", "kill"])
def test_after_a_short_absence_the_transaction_goes_on_with_the_next_number(end: str) -> None:
    world = charging()
    (world.loses_power() if end == "power" else world.kills_agent()).returns_after(seconds=30)
    world.runs(minutes=3)
    session = world.csms.transaction(1)
    assert world.outlets[1].amps > 6 and len(world.csms.transactions) == 1
    world.ev(1).presents(CARD)
    world.runs(minutes=1)
    assert session.ended and session.stopped_reason == "Local"
    world.settles()


@pytest.mark.parametrize(("end", "reason"), [("power", "PowerLoss"), ("kill", "Reboot")])
@req("E06.FR.08", "E06.FR.15")
def test_gone_while_the_station_was_away(end: str, reason: str) -> None:
    world = charging()
    (world.loses_power() if end == "power" else world.kills_agent()).returns_after(seconds=60)
    world.ev(1).after(seconds=5).unplugs()
    world.runs(minutes=3)
    session = world.csms.transaction(1)
    assert (last(session)["triggerReason"], session.stopped_reason) == ("AbnormalCondition", reason)
    world.settles()


@req("E06.FR.08")
@pytest.mark.parametrize(
    "keys", [{"RecoveryCtrlr.ResumeTransactionsOnBoot": "false"}, {"RecoveryCtrlr.ResumeTimeout": "20"}]
)
def test_by_key_a_power_cut_ends_the_transaction(keys: dict[str, str]) -> None:
    world = charging(keys=keys)
    world.loses_power().returns_after(seconds=60)
    world.runs(minutes=3)
    assert world.csms.transaction(1).stopped_reason == "PowerLoss" and not world.outlets[1].permitted
    world.ev(1).presents(CARD)
    world.runs(minutes=1)
    assert world.outlets[1].amps > 6 and len(world.csms.transactions) == 2
    world.settles()


@req("E04.FR.01", "E04.FR.02")
def test_a_session_offline_with_power_cuts_arrives_once() -> None:
    """Bugs 10 and 12."""
    world = idle(keys=OFFLINE_FOR_ALL)
    world.csms.vanishes()
    world.ev(1).after(seconds=5).plugs_in().presents(CARD)
    world.runs(minutes=2)
    world.loses_power().returns_after(seconds=10)
    world.runs(minutes=2)
    world.ev(1).presents(CARD)
    world.runs(seconds=12)
    world.loses_power().returns_after(seconds=10)
    world.runs(minutes=2)
    back_online(world)
    assert len(world.csms.transactions) == 1 and world.csms.transaction(1).ended
    world.settles()


@req("E06.FR.08", "E06.FR.16")
def test_forced_to_end_by_a_person() -> None:
    world = charging(keys=QUIET)
    world.asks_station("tx.force-end", transaction_id=world.csms.transaction(1).id)
    world.runs(minutes=1)
    assert world.csms.transaction(1).ended and world.outlets[1].amps == 0
    world.settles()
