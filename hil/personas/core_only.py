"""A backend that knows the messages of a session and nothing else: all that is optional gets a CALLERROR."""

from __future__ import annotations

from collections import Counter

from hil.bench import Bench
from hil.csms import Behaviour
from hil.personas.words import judge, knows_only, leaves, online, sets, starts

KNOWN = frozenset(("BootNotification", "Heartbeat", "StatusNotification", "Authorize", "TransactionEvent"))


def behave_as_core_only(behaviour: Behaviour) -> None:
    knows_only(behaviour, KNOWN, "NotSupported")


def core_only(bench: Bench) -> None:
    """A session with faults and meter values: each unknown message is tried once, the transaction is whole."""
    online(bench)
    sets(bench, "AlignedDataCtrlr", "Interval", "5")
    starts(bench, 1)
    for _ in range(2):
        bench.raise_fault(2, "board_internal")
        bench.wait(8)
        bench.clear_fault(2, "board_internal")
        bench.wait(8)
    leaves(bench, 1)
    tried = Counter(frame.action for frame in bench.calls() if frame.action not in KNOWN)
    bench.check("what is unknown was tried", bool(tried), dict(tried))
    bench.check("and tried once", set(tried.values()) <= {1}, dict(tried))
    judge(bench)
