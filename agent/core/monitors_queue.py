"""Events on their way to the CSMS: NotifyEvent, batched, kept until it has answered (N07.FR.04, bug 21)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from agent.core.context import Context
from agent.core.metering import stamp
from agent.core.outbox import Outbox
from config_keys import monitoring

BOUND = 500
"""Events that wait; beyond it the slightest and oldest goes."""
BATCH = 20
"""Events in one NotifyEvent."""
TRIES = 3
"""NotifyEvents without an answer after which their events are given up."""
IDS = "notice_ids"
BLOCK = 1_000
"""Event ids are reserved in blocks, so that no id comes twice in the station's life and few writes are needed."""


@dataclass(slots=True)
class _Waiting:
    data: Mapping[str, Any]
    row: int
    tries: int = 0


class Notices:
    """The queue. An event as grave as OfflineQueuingSeverity is on flash before it is said; others may be lost."""

    def __init__(self, outbox: Outbox, delivers: bool, stored: Mapping[str, Any]) -> None:
        self._outbox = outbox
        self._delivers = delivers
        """False when standalone: there is nobody to tell."""
        self._next = int(stored.get("next", 1))
        self._reserved = self._next
        self._queue: dict[int, _Waiting] = {}

    def restore(self, found: Iterable[tuple[int, Mapping[str, Any]]]) -> None:
        """Events of before the restart that the CSMS has not answered."""
        self._queue = {data["id"]: _Waiting(data, row) for row, data in found}

    def waits(self, id: int) -> bool:
        """Whether an event has not been answered yet."""
        return id in self._queue

    def add(self, cx: Context, severity: int, **event: Any) -> int:
        """Queue an event of this moment and return its id; what is None is left out."""
        id = self._id(cx)
        if not self._delivers:
            return id
        data = {"id": id, "severity": severity, "at": stamp(cx, cx.ms)}
        data |= {name: value for name, value in event.items() if value is not None}
        keeps = severity <= cx.keys[monitoring.OFFLINE_QUEUING_SEVERITY]
        self._queue[id] = _Waiting(data, cx.record("notice", data) if keeps else 0)
        while len(self._queue) > BOUND:
            slightest = max(self._queue.values(), key=lambda waiting: waiting.data["severity"])
            self._forget(cx, [slightest.data["id"]])
        return id

    def _id(self, cx: Context) -> int:
        if self._next >= self._reserved:
            self._reserved = self._next + BLOCK
            cx.put(IDS, "next", self._reserved)
        self._next += 1
        return self._next - 1

    def settle(self, cx: Context) -> None:
        """At the end of a step: one NotifyEvent at a time, the oldest events first."""
        if self._queue and self._outbox.online and not self._outbox.has_call("NotifyEvent"):
            batch = list(self._queue.values())[:BATCH]
            ids = [waiting.data["id"] for waiting in batch]
            data = {"at": stamp(cx, cx.ms), "events": [waiting.data for waiting in batch]}
            self._outbox.call("NotifyEvent", data, "notices", ids=ids)

    def answered(self, cx: Context, ids: Iterable[int]) -> None:
        """The CSMS has them."""
        self._forget(cx, ids)

    def void(self, cx: Context, ids: Iterable[int], *, refused: bool) -> None:
        """A CALLERROR: the CSMS wants no part of them. No answer: they are tried again, but not for ever."""
        for id in ids:
            waiting = self._queue.get(id)
            if waiting is not None and self._outbox.online:
                waiting.tries += 1
        given_up = [id for id in ids if (waiting := self._queue.get(id)) and (refused or waiting.tries >= TRIES)]
        if given_up:
            cx.note("monitoring", f"the CSMS did not take {len(given_up)} events", "warning")
        self._forget(cx, given_up)

    def _forget(self, cx: Context, ids: Iterable[int]) -> None:
        for id in ids:
            waiting = self._queue.pop(id, None)
            if waiting is not None and waiting.row:
                cx.drop(waiting.row)
