"""FirmwareStatusNotification: every status in order, kept until the CSMS has it, through outages and restarts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.core.context import Context
from agent.core.outbox import Outbox
from config_keys import firmware

TABLE = "firmware_statuses"
LAST = "last"
ACTION = "FirmwareStatusNotification"
BOUND = 50
"""Statuses kept for the CSMS; the oldest make room."""


class Statuses:
    """What the CSMS still has to hear, oldest first, and the last that was said (L01.FR.01, FR.10, bug 22)."""

    def __init__(self, outbox: Outbox, stored: Mapping[str, Any]) -> None:
        self._outbox = outbox
        self._last: dict[str, Any] = dict(stored.get(LAST, {"status": "Idle", "request": None, "why": ""}))
        names = sorted((name for name in stored if name != LAST), key=int)
        self._waiting: dict[int, dict[str, Any]] = {int(name): dict(stored[name]) for name in names}
        self._number = max(self._waiting, default=0)

    def start(self, cx: Context) -> None:
        """What was said before the restart can be read still (B14)."""
        self._show(cx)

    @property
    def last(self) -> Mapping[str, Any]:
        """`status`, `request` and, when it went wrong, `why`."""
        return self._last

    @property
    def owes(self) -> bool:
        """The CSMS has not heard everything yet."""
        return bool(self._waiting)

    def tell(self, cx: Context, status: str, request: int | None, why: str = "") -> None:
        """A new status; the CSMS hears only of updates that it has asked for (L01.FR.20)."""
        if (status, request) == (self._last["status"], self._last["request"]):
            return
        self._last = {"status": status, "request": request, "why": why}
        cx.put(TABLE, LAST, self._last)
        self._show(cx)
        cx.note("firmware", f"{status}{f': {why}' if why else ''}", "error" if why else "info")
        if request is None or not self._outbox.delivers:
            return
        self._number += 1
        self._waiting[self._number] = {"status": status, "request": request}
        cx.put(TABLE, str(self._number), self._waiting[self._number])
        while len(self._waiting) > BOUND:
            self.told(cx, next(iter(self._waiting)))

    def settle(self, cx: Context) -> None:
        """Say the oldest, one at a time, while the CSMS listens."""
        if self._waiting and self._outbox.online and not self._outbox.has_call(ACTION):
            number, data = next(iter(self._waiting.items()))
            self._outbox.call(ACTION, data, "firmware_status", number=number)

    def told(self, cx: Context, number: int) -> None:
        """The CSMS has it, or wants no part of it."""
        if self._waiting.pop(number, None) is not None:
            cx.put(TABLE, str(number), None)

    def trigger(self, cx: Context) -> bool:
        """L01.FR.25, FR.26: the last status once more, behind those that wait; Idle after Installed, or with none."""
        status, request = self._last["status"], self._last["request"]
        if status == "Installed" or request is None:
            status, request = "Idle", None
        self._outbox.call(ACTION, {"status": status, "request": request}, gate="asked")
        return True

    def _show(self, cx: Context) -> None:
        request = self._last["request"]
        cx.keys.put(firmware.STATUS, self._last["status"])
        cx.keys.put(firmware.REQUEST_ID, "" if request is None else str(request))
        cx.keys.put(firmware.REASON, self._last["why"][:500])
