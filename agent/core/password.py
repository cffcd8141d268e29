"""The password of HTTP Basic authentication: a new one is used at once, the old one when that is refused (A01)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.core.context import Context
from agent.core.security import RECONFIGURED, SecurityEvents
from agent.core.settings import Settings, Wish
from config_keys import security

TABLE = "credentials"
OLD = "old_password"
REFUSALS = (401, 403)


class Password:
    """Which password the next attempt uses; the other one waits until a connection has shown which is good."""

    def __init__(self, events: SecurityEvents, settings: Settings, stored: Mapping[str, Any]) -> None:
        self._events = events
        self._settings = settings
        self._old: str | None = stored.get(OLD)
        """The password before the present one, until that has opened a connection."""
        self._good: str | None = None
        self._has_opened = False
        self._uses_old = False
        self._busy = False

    def of(self, cx: Context) -> str | None:
        """The password for an attempt now."""
        return self._old if self._uses_old else cx.keys.get(security.BASIC_AUTH_PASSWORD)

    def changed(self, cx: Context) -> bool:
        """A01.FR.11: a new one holds. True when the connection, which rests on the old one, has to be renewed."""
        self._events.report(cx, RECONFIGURED, "BasicAuthPassword was changed")
        if self._busy or not self._has_opened:
            return False
        if self._old is None and self._good is not None:
            self._old = self._good
            cx.put(TABLE, OLD, self._old)
        self._uses_old = False
        return True

    def refused(self, cx: Context, status: int | None) -> None:
        """The CSMS does not take this password: the next attempt is made with the other one."""
        if status in REFUSALS and self._old is not None:
            self._uses_old = not self._uses_old
            which = "the one before" if self._uses_old else "the new one"
            cx.note("security", f"the password was refused; {which} is tried next", "warning")

    def opened(self, cx: Context) -> None:
        """A connection is open: the password that it was opened with is the station's."""
        good = self.of(cx)
        if self._old is not None:
            self._forget(cx, good)
        self._good, self._has_opened = good, True

    def _forget(self, cx: Context, good: str | None) -> None:
        """The other password is of no use any more."""
        if self._uses_old and good is not None:
            self._events.report(cx, RECONFIGURED, "the old BasicAuthPassword is back")
            self._busy = True
            self._settings.apply(cx, [Wish((security.BASIC_AUTH_PASSWORD, None, None), good)])
            self._busy = False
        self._old, self._uses_old = None, False
        cx.put(TABLE, OLD, None)
