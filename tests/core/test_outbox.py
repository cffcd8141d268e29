"""The bound of the outbox at its default of 20,000 events: what one step costs, and what it deletes from flash."""

from __future__ import annotations

from typing import Any, ClassVar

from agent.core.context import Context, Durable
from agent.core.effects import Persist
from agent.core.instant import Instant
from agent.core.outbox import THINNED, Outbox
from config_keys import site
from config_keys.values import Values
from tests.marks import req

EVSES, BOUND = 2, 20_000


class Event(dict[str, Any]):
    """An event's data; counts how often any of them is looked at."""

    looks = 0
    __hash__: ClassVar[None]

    def __getitem__(self, name: str) -> Any:
        Event.looks += 1
        return super().__getitem__(name)

    def __eq__(self, other: object) -> bool:
        Event.looks += 1
        return super().__eq__(other)


def add(outbox: Outbox, durable: Durable, number: int) -> int:
    """The next event of two transactions in turns; how many others were dropped for it."""
    kind = "Updated" if number >= EVSES else "Started"
    cx = Context(durable, Instant(number), number + 1)
    outbox.add_event(cx, Event(tx=f"tx-{number % EVSES}", seq=number // EVSES, type=kind))
    return sum(len(effect.drop) for effect in cx.finish() if isinstance(effect, Persist))


@req("E04.FR.07", "E04.FR.08")
def test_at_its_bound_a_step_looks_at_each_event_a_few_times_and_drops_a_bounded_number() -> None:
    durable, outbox = Durable(Values({1: [1]}, {})), Outbox()
    assert durable.keys[site.OUTBOX_LIMIT] == BOUND
    assert not any(add(outbox, durable, number) for number in range(BOUND))
    Event.looks = 0
    assert 0 < add(outbox, durable, BOUND) <= THINNED
    assert Event.looks <= 10 * BOUND
    dropped = [n for n in (add(outbox, durable, BOUND + 1 + more) for more in range(1000)) if n]
    assert max(dropped) <= THINNED and len(dropped) <= 1000 / THINNED + 1
    assert 0.98 * BOUND < outbox.events_waiting <= BOUND and not outbox.is_full


@req("E04.FR.07")
def test_a_bound_below_what_was_found_in_the_journal_is_reached_in_bounded_portions() -> None:
    durable, outbox = Durable(Values({1: [1]}, {"RecoveryCtrlr.MaxQueuedEvents": "100"})), Outbox()
    for number in range(2000):
        kind = "Updated" if number >= EVSES else "Started"
        outbox.restore(number + 1, {"tx": f"tx-{number % EVSES}", "seq": number // EVSES, "type": kind})
    dropped = [add(outbox, durable, 2000 + more) for more in range(20)]
    assert max(dropped) == THINNED and outbox.events_waiting <= 100
