"""Reports that are longer than a message: page by page, one after the other, each page made when it is sent.

No step does more than one page, and a report begins only when the one before it is through, so that pages of two
reports never mix (B07.FR.10, B08.FR.14). Other messages may go between two pages.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from agent.core.context import Context
from agent.core.outbox import Outbox
from config_keys.values import Refusal

MOST_WAITING = 4
"""Reports that may wait; one more is refused for now (B07.FR.13, B08.FR.16)."""
TRIES = 3
"""Times that a page is sent to a CSMS that does not answer it."""


class Report:
    """One report: what is left of it, and which page is next. `action` is the message that carries a page."""

    def __init__(self, action: str, request_id: int, rows: Sequence[Any]) -> None:
        self.action = action
        self.request_id = request_id
        self.seq = 0
        self._rows = rows
        self._done = 0
        self._page = 0
        self._tries = 0

    @property
    def left(self) -> Sequence[Any]:
        """The rows that no answered page had."""
        return self._rows[self._done :]

    @property
    def continues(self) -> bool:
        """More follows after the page that was made last (tbc)."""
        return self._done + self._page < len(self._rows)

    def made(self, rows: int) -> None:
        """A page was made of the first `rows` rows that were left."""
        self._page = rows

    def delivered(self) -> bool:
        """The last page was answered; True when it was the last of all."""
        self._done += self._page
        self._tries = 0
        self.seq += 1
        return self._done >= len(self._rows)

    def silenced(self) -> bool:
        """The last page was not answered; True when it was sent often enough."""
        self._tries += 1
        return self._tries >= TRIES


class Reports:
    """The report on its way and those that wait for it."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._waiting: deque[Report] = deque()

    @property
    def current(self) -> Report:
        """The report of which a page is to be made."""
        return self._waiting[0]

    def begin(self, action: str, request_id: int, rows: Sequence[Any]) -> Refusal | None:
        """Send `rows` in pages, after the reports that wait already; or why that cannot be now."""
        if any((report.action, report.request_id) == (action, request_id) for report in self._waiting):
            return Refusal("DuplicateRequestId", f"report {request_id} is still on its way")
        if len(self._waiting) >= MOST_WAITING:
            return Refusal("OutOfMemory", f"{MOST_WAITING} reports are on their way; ask again later")
        self._waiting.append(Report(action, request_id, rows))
        return None

    def settle(self, cx: Context) -> None:
        """At the end of a step: the next page is due when none is on its way."""
        if self._waiting and not self._outbox.has_call(self.current.action):
            self._outbox.call(self.current.action, {}, "page", gate="asked")

    def delivered(self) -> None:
        """The CSMS has taken the page."""
        if self.current.delivered():
            self._waiting.popleft()

    def void(self, cx: Context, *, refused: bool) -> None:
        """The page has failed: it is sent again, unless the CSMS wants none of it or is silent too often."""
        if self._waiting and (refused or self.current.silenced()):
            report = self._waiting.popleft()
            cx.note("report", f"report {report.request_id} was given up at page {report.seq}", "warning")

    def forget(self) -> None:
        """The link is gone: who asked has to ask again."""
        self._waiting.clear()
