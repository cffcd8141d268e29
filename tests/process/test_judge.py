"""The judge of bench runs: silent about a real session, and loud about each lie told of it."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from hil.csms import Transaction
from hil.judge import broken
from hil.outlet import Sample
from hil.real_bench import RealBench
from hil.scenarios.charging_session import profile
from tests.process.benches import charge, leave, plan, ready

LIMIT = 10.0


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RealBench:
    """What is left of a bench after a session with a limit and a kill of the agent."""
    with RealBench(plan(tmp_path_factory.mktemp("judge"))) as bench:
        ready(bench)
        charge(bench, 2)
        bench.call("SetChargingProfile", {"evseId": 2, "chargingProfile": profile(LIMIT)})
        bench.wait_until("10 A", lambda: max(bench.amps(2)) < LIMIT + 0.1)
        before = bench.energy_wh(2)
        bench.wait_until("energy", lambda: bench.energy_wh(2) > before + 14)
        bench.crash(0, 0)
        bench.wait_until("another life", lambda: bench.rig.agent.starts == 2)
        bench.wait_until("an open contactor", lambda: not bench.closed(2))
        bench.wait_until("10 A again", lambda: max(bench.amps(2)) > LIMIT - 0.1, 45)
        leave(bench)
    return bench


@pytest.fixture
def record(finished: RealBench) -> Iterator[RealBench]:
    """The same bench; whatever a test changes in its records is taken back."""
    book, agent = finished.csms.book, finished.rig.agent
    kept = copy.deepcopy((book.transactions, book.frames, finished.rig.history, agent.started, agent.killed))
    yield finished
    book.transactions, book.frames, finished.rig.history, agent.started, agent.killed = kept


def transaction(bench: RealBench) -> Transaction:
    [only] = bench.csms.transactions.values()
    return only


def the_last(bench: RealBench) -> dict[str, Any]:
    return transaction(bench).ordered()[-1]


def missing_number(bench: RealBench) -> None:
    del transaction(bench).events[2]


def missing_end(bench: RealBench) -> None:
    del transaction(bench).events[transaction(bench).seq_numbers[-1]]


def two_ends(bench: RealBench) -> None:
    events = transaction(bench).events
    events[len(events)] = {**the_last(bench), "seqNo": len(events)}


def a_watt_hour_too_many(bench: RealBench, wh: float = 2.5) -> None:
    for value in the_last(bench)["meterValue"]:
        for sample in value["sampledValue"]:
            if sample["context"] == "Transaction.End":
                sample["value"] += wh


def energy_backwards(bench: RealBench) -> None:
    a_watt_hour_too_many(bench, -500)


def no_register(bench: RealBench) -> None:
    del the_last(bench)["meterValue"]


def refused_token(bench: RealBench) -> None:
    for frame in bench.csms.frames:
        if frame.action == "Authorize" and frame.direction == "out":
            frame.payload["idTokenInfo"]["status"] = "Invalid"


def lower_limit(bench: RealBench) -> None:
    for frame in bench.csms.frames:
        if frame.action == "SetChargingProfile" and frame.direction == "out":
            frame.payload["chargingProfile"]["chargingSchedule"][0]["chargingSchedulePeriod"][0]["limit"] = 8.0


def changed(bench: RealBench, change: Callable[[Sample], Sample]) -> None:
    bench.rig.history = deque(change(sample) for sample in bench.rig.history)


def current_without_a_session(bench: RealBench) -> None:
    first = bench.rig.history[0].t
    changed(bench, lambda s: replace(s, amps=(7.0, 0.0, 0.0)) if s.evse == 1 and s.t < first + 0.3 else s)


def closed_without_a_session(bench: RealBench) -> None:
    first = bench.rig.history[0].t
    changed(bench, lambda s: replace(s, contacts=(True, True, True)) if s.evse == 1 and s.t < first + 0.3 else s)


def never_withdrawn(bench: RealBench) -> None:
    start = bench.rig.agent.started[1]
    changed(bench, lambda s: replace(s, contacts=(True, True, True)) if s.t > start else s)
    bench.rig.history.append(replace(bench.rig.history[-1], t=start + 22))


def raised_at_once(bench: RealBench) -> None:
    start = bench.rig.agent.started[1]
    changed(bench, lambda s: replace(s, commanded=16.0) if s.evse == 2 and start + 0.3 < s.t < start + 0.8 else s)


def never_accepted_again(bench: RealBench) -> None:
    for frame in bench.csms.frames[len(bench.csms.frames) // 3 :]:
        if frame.action == "BootNotification" and frame.direction == "out":
            frame.payload["status"] = "Pending"


LIES: dict[Callable[[RealBench], None], str] = {
    missing_number: "numbers missing",
    missing_end: "expected one Ended last",
    two_ends: "expected one Ended last",
    a_watt_hour_too_many: "register at end",
    energy_backwards: "began at",
    no_register: "expected one at begin and end",
    refused_token: "not accepted",
    lower_limit: "current",
    current_without_a_session: "current outside a transaction",
    closed_without_a_session: "no transaction",
    never_withdrawn: "withdrawn only",
    raised_at_once: "raised before",
    never_accepted_again: "before the CSMS had accepted it",
}


def test_nothing_is_said_about_the_truth(finished: RealBench) -> None:
    assert broken(finished) == []


def test_a_telegram_of_the_killed_process_is_no_lie(record: RealBench) -> None:
    """Paused when the agent died, which had just allowed more: the device hears it a moment after the next start."""
    start = record.rig.agent.started[1]
    before = next(s for s in reversed(record.rig.history) if s.evse == 2 and s.t < start)
    nothing: dict[str, Any] = {"commanded": 0.0, "offered": 0.0, "contacts": (False, False, False)}
    changed(record, lambda s: replace(s, **nothing) if s.evse == 2 and start - 0.3 < s.t < start + 0.1 else s)
    heard = replace(before, t=start + 0.05, **nothing), replace(before, t=start + 0.15)
    seen = [*record.rig.history, *heard]
    record.rig.history = deque(sorted(seen, key=lambda s: s.t))
    assert any(s.offered == 0 for s in record.rig.history if s.evse == 2 and start < s.t < start + 0.1)
    assert broken(record) == []


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__)
def test_a_lie_is_found(record: RealBench, lie: Callable[[RealBench], None]) -> None:
    lie(record)
    assert any(LIES[lie] in text for text in broken(record)), broken(record)
