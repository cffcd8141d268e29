"""The tables themselves: total for what hardware and people do, reachable, and alive."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agent.protocol.codec import check_request
from state_machines.all import TABLES
from state_machines.reasons import Cause
from state_machines.table import Row, State, Subject, Table
from tests.marks import req

IDS = [table.name for table in TABLES]


class Steps:
    """What a machine needs of a context: a place for its timeout."""

    def __init__(self) -> None:
        self.deadlines: dict[str, float] = {}

    def after(self, name: str, seconds: float) -> None:
        self.deadlines[name] = seconds

    def forget(self, name: str) -> None:
        self.deadlines.pop(name, None)


DOOR = Table(
    "door",
    initial="shut",
    states={"shut": State("Nobody passes."), "open": State("Anybody passes.", 5.0, "late")},
    world=("push",),
    rows=(
        Row("push", "shut", "open", guard="unlocked", do="greet"),
        Row("push", "shut", None, do="rattle"),
        Row("push", "open", None),
        Row("late", "open", "shut"),
    ),
)


class Door(Subject):
    TABLE = DOOR

    def __init__(self, locked: bool) -> None:
        super().__init__("front")
        self.locked = locked
        self.heard: list[str] = []

    def unlocked(self, cx: Any) -> bool:
        return not self.locked

    def greet(self, cx: Any, name: str = "") -> None:
        self.heard.append(f"hello {name}")

    def rattle(self, cx: Any, name: str = "") -> None:
        self.heard.append("rattle")


def test_the_first_row_whose_guard_holds_wins() -> None:
    cx = Steps()
    door, locked = Door(locked=False), Door(locked=True)
    assert door.fire("push", cx, name="Ada")
    assert locked.fire("push", cx)
    assert (door.state, door.heard) == ("open", ["hello Ada"])
    assert (locked.state, locked.heard) == ("shut", ["rattle"])


def test_a_state_with_a_timeout_sets_one_deadline_and_leaving_clears_it() -> None:
    cx = Steps()
    door = Door(locked=False)
    door.fire("push", cx)
    assert cx.deadlines == {"front.door": 5.0}
    door.expire(cx)
    assert (door.state, cx.deadlines) == ("shut", {})


def test_an_unlisted_trigger_is_a_bug() -> None:
    with pytest.raises(AssertionError, match=r"front\.door: late in shut"):
        Door(locked=False).fire("late", Steps())


def test_a_missing_guard_fails_when_the_class_is_made() -> None:
    with pytest.raises(AssertionError, match="Broken has no unlocked"):
        type("Broken", (Subject,), {"TABLE": DOOR})


def test_a_table_with_a_gap_for_people_fails_when_it_is_made() -> None:
    with pytest.raises(AssertionError, match="no row for"):
        Table("gap", "a", {"a": State("A."), "b": State("B.")}, (Row("push", "a", "b"),), world=("push",))


@pytest.mark.parametrize("table", TABLES, ids=IDS)
def test_every_state_can_be_reached_and_says_what_it_means(table: Table) -> None:
    reached = {table.initial}
    while more := {e.to for e in table.edges if e.source in reached} - reached:
        reached |= more
    assert reached == set(table.states)
    assert all(len(state.doc) > 10 for state in table.states.values())


@pytest.mark.parametrize("table", TABLES, ids=IDS)
def test_no_state_is_a_trap(table: Table) -> None:
    """Only a weld is for ever: service clears it by a restart."""
    dead_ends = {s for s in table.states if not any(e.source == s and e.to != s for e in table.edges)}
    assert dead_ends <= {"welded"}


@req("E01.FR.07", "E06.FR.16")
@pytest.mark.parametrize("cause", list(Cause))
def test_every_fsm_edge_has_reason(cause: Cause) -> None:
    """Bug 26: every cause has a triggerReason and a stoppedReason that the schema knows."""
    event = {
        "eventType": "Ended", "timestamp": "2026-01-01T00:00:00Z", "triggerReason": cause.value.trigger, "seqNo": 0,
        "transactionInfo": {"transactionId": "x", "stoppedReason": cause.value.stopped},
    }  # fmt: skip
    assert check_request("TransactionEvent", event) is None, json.dumps(event)
