"""The reservation cases see what they claim to see: a station that tells it wrongly fails."""

from __future__ import annotations

import pytest

from tests.certification.test_cases import STATION
from tests.certification.test_not_blind import Change, DistortedBench, judged, lacks, sets
from tests.sim.sim_bench import SimBench


def without(status: str) -> Change:
    """This status of a connector is never heard."""
    return lambda payload: payload.get("connectorStatus") != status


LIES: list[tuple[str, str, Change]] = [
    ("TC_H_01", "TransactionEvent", lacks("reservationId")),
    ("TC_H_01", "StatusNotification", without("Reserved")),
    ("TC_H_02", "StatusNotification", without("Reserved")),
    ("TC_H_03", "ReserveNow", sets(status="Accepted")),
    ("TC_H_06", "ReserveNow", sets(status="Occupied")),
    ("TC_H_07", "ReservationStatusUpdate", sets(reservationUpdateStatus="Removed")),
    ("TC_H_07", "ReservationStatusUpdate", lambda payload: False),
    ("TC_H_12", "ReserveNow", sets(status="Accepted")),
    ("TC_H_14", "StatusNotification", without("Reserved")),
    ("TC_H_17", "CancelReservation", sets(status="Rejected")),
    ("TC_H_18", "CancelReservation", sets(status="Accepted")),
    ("TC_H_19", "TransactionEvent", sets(reservationId=1)),
    ("TC_H_21", "ReservationStatusUpdate", sets(reservationId=1)),
    ("TC_H_22", "ReserveNow", sets(status="Accepted")),
]


@pytest.mark.parametrize(("case", "action", "change"), LIES, ids=[f"{c}-{i}" for i, (c, *_) in enumerate(LIES)])
def test_a_lie_makes_the_case_fail(case: str, action: str, change: Change) -> None:
    assert judged(case, SimBench(STATION)).outcome == "passed"
    verdict = judged(case, DistortedBench(action, change))
    assert verdict.outcome == "failed" and verdict.reason
