"""FirmwareStatusNotification: every status in order, kept until the CSMS has it, through outages and restarts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.core.context import Context
from agent.core.outbox import Outbox
from agent.core.owed import Owed
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
        kept = {name: data for name, data in stored.items() if name != LAST}
        self.owed = Owed(outbox, kept, table=TABLE, action=ACTION, then="firmware_status", bound=BOUND)

    def start(self, cx: Context) -> None:
        """What was said before the restart can be read still (B14)."""
        self._show(cx)

    @property
    def last(self) -> Mapping[str, Any]:
        """`status`, `request` and, when it went wrong, `why`."""
        return self._last

    def tell(self, cx: Context, status: str, request: int | None, why: str = "") -> None:
        """A new status; the CSMS hears only of updates that it has asked for (L01.FR.20)."""
        if (status, request) == (self._last["status"], self._last["request"]):
            return
        self._last = {"status": status, "request": request, "why": why}
        cx.put(TABLE, LAST, self._last)
        self._show(cx)
        cx.note("firmware", f"{status}{f': {why}' if why else ''}", "error" if why else "info")
        if request is not None and self._outbox.delivers:
            self.owed.add(cx, {"status": status, "request": request})

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
