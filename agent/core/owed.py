"""What the CSMS still has to hear: kept through outages and restarts, oldest first, told one at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.core.context import Context
from agent.core.outbox import Outbox
from config_keys import comm


class Owed:
    """Messages of one action. Each is an entry of `table`, under its number, until the CSMS has it."""

    def __init__(
        self, outbox: Outbox, stored: Mapping[str, Any], *, table: str, action: str, then: str, bound: int
    ) -> None:
        """`then` names the handler of the answer; beyond `bound` the oldest make room."""
        self._outbox = outbox
        self._table, self._action, self._then, self._bound = table, action, then, bound
        self._waiting: dict[int, dict[str, Any]] = {int(name): dict(stored[name]) for name in sorted(stored, key=int)}
        self._last = max(self._waiting, default=0)
        self._tries = 0

    def __bool__(self) -> bool:
        """The CSMS has not heard everything yet."""
        return bool(self._waiting)

    def add(self, cx: Context, data: dict[str, Any], *, lazy: bool = False) -> None:
        """One more, behind the others."""
        self._last += 1
        self._waiting[self._last] = data
        cx.put(self._table, str(self._last), data, lazy=lazy)
        while len(self._waiting) > self._bound:
            self.told(cx, next(iter(self._waiting)))

    def settle(self, cx: Context) -> None:
        """At the end of a step: say the oldest, while the CSMS listens."""
        rests = cx.timers.at(self._table) is not None
        if self._waiting and self._outbox.online and not rests and not self._outbox.has_call(self._action):
            number, data = next(iter(self._waiting.items()))
            self._outbox.call(self._action, data, self._then, number=number)

    def refused(self, cx: Context, number: int) -> None:
        """A CALLERROR: said again after a rest, as often as a TransactionEvent is; never when the CSMS knows none."""
        self._tries += 1
        if self._action in self._outbox.declined or self._tries >= cx.keys[comm.MESSAGE_ATTEMPTS]:
            self.told(cx, number)
        else:
            cx.after(self._table, cx.keys[comm.MESSAGE_ATTEMPT_INTERVAL] * self._tries)

    def told(self, cx: Context, number: int) -> None:
        """The CSMS has it, or wants no part of it."""
        self._tries = 0
        if self._waiting.pop(number, None) is not None:
            cx.put(self._table, str(number), None)
