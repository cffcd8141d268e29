"""What of a lost batch is handed over again, and with what."""

from __future__ import annotations

from agent.core.batches import Batches
from agent.core.effects import Persist, Record
from tests.marks import req

NUMBERED = Persist((Record(9, "tx", {"next_seq": 5}),))
"""How far a transaction is: what its answered events need not tell any more."""


@req("E04.FR.01")
def test_answered_events_are_not_dropped_without_the_lost_record_of_how_far_their_transaction_is() -> None:
    batches = Batches()
    batches.sent(130, NUMBERED, again=False)
    batches.lost(130)
    handed_over = batches.sent(163, Persist(drop=(5, 6, 7), lazy=True), again=False)
    assert handed_over.records == NUMBERED.records and handed_over.drop == (5, 6, 7)


def test_a_batch_that_drops_nothing_waits_for_no_lost_one() -> None:
    batches = Batches()
    batches.sent(130, NUMBERED, again=False)
    batches.lost(130)
    assert batches.sent(163, Persist((Record(10, "event", {}),)), again=False).records == (Record(10, "event", {}),)
    assert batches.owes
