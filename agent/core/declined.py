"""What the CSMS has said that it does not know: it is not told that any more."""

from __future__ import annotations

from agent.core.context import Context

OPTIONAL = frozenset(
    (
        "ClearedChargingLimit",
        "FirmwareStatusNotification",
        "LogStatusNotification",
        "MeterValues",
        "NotifyChargingLimit",
        "NotifyEvent",
        "ReservationStatusUpdate",
        "SecurityEventNotification",
    )
)
"""What a station tells by itself and a CSMS may do without. Transactions, statuses and the boot always go out, and
what a CSMS has asked for (reports, DataTransfer, certificates) goes to who asked."""
UNKNOWN = frozenset(("NotImplemented", "NotSupported"))


class Declined:
    """Messages that the CSMS does not know; forgotten when the station registers, or when it asks for one (F06)."""

    def __init__(self) -> None:
        self._actions: set[str] = set()

    def learn(self, cx: Context, action: str, code: str) -> None:
        """A CALLERROR came instead of an answer: of an unknown message nothing more is said, and that is told once."""
        if action in OPTIONAL and code in UNKNOWN and action not in self._actions:
            self._actions.add(action)
            text = f"the CSMS does not know {action} ({code}): none is sent until the next registration"
            cx.note("rpc", text, "warning")

    def forget(self, action: str | None = None) -> None:
        """The CSMS may know it after all (None: all of them)."""
        self._actions -= {action} if action is not None else set(self._actions)

    def __contains__(self, action: str) -> bool:
        return action in self._actions

    def names(self) -> list[str]:
        """Of the status screen."""
        return sorted(self._actions)
