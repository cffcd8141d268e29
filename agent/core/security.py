"""Security events (A04): each is told to the CSMS until it has answered, through outages and restarts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.core.context import Context
from agent.core.metering import stamp
from agent.core.outbox import Outbox

TABLE = "security_events"
ACTION = "SecurityEventNotification"
BOUND = 100
"""Events kept for the CSMS; the oldest make room."""
INFO_MOST = 255
STORE_EVENTS = {"full": "MemoryExhaustion", "restored": "StoreDamaged", "dead": "StoreDamaged"}
"""What the state of the store is as a security event; the standard list has no type for a damaged one."""


class SecurityEvents:
    """What the CSMS still has to hear of, oldest first."""

    def __init__(self, outbox: Outbox, stored: Mapping[str, Any]) -> None:
        self._outbox = outbox
        self._waiting: dict[int, dict[str, Any]] = {int(name): dict(stored[name]) for name in sorted(stored, key=int)}
        self._last = max(self._waiting, default=0)

    def report(self, cx: Context, kind: str, info: str) -> None:
        """Something happened that the CSMS must hear of (A04.FR.01); nobody is told by a standalone station."""
        if not self._outbox.delivers:
            return
        self._last += 1
        self._waiting[self._last] = {"type": kind, "info": info[:INFO_MOST], **stamp(cx, cx.ms)}
        cx.put(TABLE, str(self._last), self._waiting[self._last])
        while len(self._waiting) > BOUND:
            self.told(cx, next(iter(self._waiting)))

    def settle(self, cx: Context) -> None:
        """Tell the oldest, one at a time, while the CSMS listens (A04.FR.02)."""
        if self._waiting and self._outbox.online and not self._outbox.has_call(ACTION):
            number, data = next(iter(self._waiting.items()))
            self._outbox.call(ACTION, data, "security_event", number=number)

    def told(self, cx: Context, number: int) -> None:
        """The CSMS has it, or wants no part of it."""
        if self._waiting.pop(number, None) is not None:
            cx.put(TABLE, str(number), None)
