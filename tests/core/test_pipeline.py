"""The rule of ordering (DESIGN.md section 1) where a batch waits for company."""

from __future__ import annotations

from agent.core.effects import Disconnect, Energise, LogSecurity, MakeSafe, Note, Persist, Pipeline, Record, Say
from hal.ports import Offer, Permit, Withdraw
from tests.marks import req

SAMPLE = Persist((Record(1, "event", {}),), patient=True)


def test_what_tells_a_sample_waits_with_it_and_holds_nothing_up() -> None:
    pipeline = Pipeline()
    say = Say(1, "sample", rests_on=1)
    assert pipeline.submit(1, [SAMPLE, say]) == [SAMPLE]
    pipeline.submit(2, [Note("info", "t", "a line for people can wait")])
    assert not pipeline.is_held_up
    assert pipeline.committed(1)[0] is say


def test_whatever_else_stands_behind_a_sample_makes_the_store_hurry() -> None:
    for effect in (Say(1, "an answer"), Energise(Permit(1, 2, 6.0, 3))):
        pipeline = Pipeline()
        pipeline.submit(1, [SAMPLE, Say(1, "sample", rests_on=1)])
        assert pipeline.submit(2, [effect]) == []
        assert pipeline.is_held_up
        assert pipeline.committed(1)[1:] == [effect]
        assert not pipeline.is_held_up


def test_a_decrease_waits_for_nothing() -> None:
    pipeline = Pipeline()
    pipeline.submit(1, [SAMPLE, Say(1, "sample", rests_on=1)])
    lower = MakeSafe(Offer(1, 2, 6.0))
    assert pipeline.submit(2, [lower]) == [lower]
    assert not pipeline.is_held_up


def test_what_a_step_permits_and_takes_back_never_happens() -> None:
    """What makes safe is executed first: a permission of the same step would follow it and stay."""
    pipeline = Pipeline()
    record, withdraw = Persist((Record(1, "tx", {}),)), MakeSafe(Withdraw(1, 1, "ended"))
    other = Energise(Permit(2, 1, 6.0, 3))
    permit, offer = Energise(Permit(1, 1, 6.0, 3)), Energise(Offer(1, 1, 8.0))
    assert pipeline.submit(1, [permit, other, offer, withdraw, record]) == [withdraw, record]
    assert pipeline.committed(1) == [other]


def test_what_a_step_takes_back_and_permits_anew_happens_in_that_order() -> None:
    pipeline = Pipeline()
    withdraw, permit = MakeSafe(Withdraw(1, 1, "ended")), Energise(Permit(1, 1, 6.0, 3))
    record = Persist((Record(1, "tx", {}),))
    assert pipeline.submit(1, [withdraw, permit, record]) == [withdraw, record]
    assert pipeline.committed(1) == [permit]


def test_a_batch_that_no_sample_waits_for_is_on_its_way_already() -> None:
    pipeline = Pipeline()
    pipeline.submit(1, [Persist((Record(1, "tx", {}),)), Say(1, "an answer")])
    assert not pipeline.is_held_up


@req("A04.FR.04")
def test_of_a_lost_batch_the_hanging_up_and_what_went_wrong_for_the_logs_are_left() -> None:
    pipeline = Pipeline()
    record = Persist((Record(1, "notice", {}),))
    alarm, line = Note("error", "store", "dead"), LogSecurity("StoreDamaged", "dead", None)
    hang_up, said = Disconnect(1, "silent"), Say(1, "all is well")
    permit = Energise(Permit(1, 2, 6.0, 3))
    pipeline.submit(1, [record, said, alarm, line, hang_up, permit, Note("info", "t", "permitted")])
    assert pipeline.failed(1) == [alarm, line, hang_up]


@req("E04.FR.01")
def test_what_rests_on_a_lost_batch_is_dropped_until_the_station_has_heard_of_it() -> None:
    """Seen after SIGSTOP: a reading was taken before the news, and its step told an event that was on no flash."""
    pipeline = Pipeline()
    event, permit = Say(1, "event", rests_on=1), Energise(Permit(1, 2, 6.0, 3))
    pipeline.submit(1, [Persist((Record(1, "event", {}),))])
    pipeline.failed(1)
    assert pipeline.submit(2, [event, permit, Say(1, "status")]) == [Say(1, "status")]
    pipeline.told(1)
    assert pipeline.submit(3, [permit]) == [permit]
