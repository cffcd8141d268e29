"""What keeps the station's connection trustworthy: security events, certificates, and the last known time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from agent.core import certificates, security, timekeeping
from agent.core.certificates import Certificates
from agent.core.context import Context
from agent.core.jobs import Jobs
from agent.core.outbox import Outbox
from agent.core.security import SecurityEvents
from agent.core.timekeeping import Floor

Stored = Mapping[str, Mapping[str, Any]]


class Safeguards:
    """The parts of block A, and what they have in common with block M."""

    def __init__(self, outbox: Outbox, jobs: Jobs, stored: Stored) -> None:
        self.events = SecurityEvents(outbox, stored.get(security.TABLE, {}))
        self.certificates = Certificates(jobs, stored.get(certificates.TABLE, {}))
        self.floor = Floor(stored.get(timekeeping.TABLE, {}))

    def start(self, cx: Context, reason: str) -> None:
        """The process has begun, for this BootReason."""
        self.floor.start(cx)
        self.events.started(cx, reason)
        self.certificates.start(cx)

    def deadlines(self) -> dict[str, Callable[[Context], None]]:
        return {timekeeping.TIMER: self.floor.struck}
