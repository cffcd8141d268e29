"""What keeps the station's connection trustworthy: security events, password, certificates, and the last known time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from agent.core import certificates, file_servers, password, security, station_certificate, timekeeping
from agent.core.certificates import ROOT, Certificates
from agent.core.context import Context
from agent.core.events import LinkDown
from agent.core.jobs import Jobs
from agent.core.outbox import Outbox
from agent.core.password import Password
from agent.core.security import RECONFIGURED, SecurityEvents
from agent.core.settings import Settings
from agent.core.site import Site
from agent.core.station_certificate import StationCertificate
from agent.core.timekeeping import Floor
from config_keys import security as keys
from config_keys.key import Key
from config_keys.values import Refusal, Values

Stored = Mapping[str, Mapping[str, Any]]


class Safeguards:
    """The parts of block A, and what they have in common with block M."""

    def __init__(
        self, site: Site, outbox: Outbox, jobs: Jobs, settings: Settings, stored: Stored
    ) -> None:
        self.events = SecurityEvents(outbox, stored.get(security.TABLE, {}))
        self.certificates = Certificates(jobs, self.events, stored.get(certificates.TABLE, {}))
        self.password = Password(self.events, settings, stored.get(password.TABLE, {}))
        self.certificate = StationCertificate(
            site, outbox, jobs, self.events, stored.get(station_certificate.TABLE, {})
        )
        self.floor = Floor(stored.get(timekeeping.TABLE, {}))

    def start(self, cx: Context, reason: str) -> None:
        """The process has begun, for this BootReason."""
        self.floor.start(cx)
        self.events.started(cx, reason)
        self.certificates.start(cx)
        self.certificate.start(cx)

    def deadlines(self) -> dict[str, Callable[[Context], None]]:
        return {
            timekeeping.TIMER: self.floor.struck,
            station_certificate.WAIT: self.certificate.waited,
            station_certificate.CHECK: self.certificate.struck,
        }

    def lacks(self, values: Values, level: int) -> Refusal | None:
        """Why a security profile cannot be gone up to yet (A05.FR.02, FR.03)."""
        if level > 1 and not self.certificates.has_root and not values[keys.USE_SYSTEM_TRUST_STORE]:
            return Refusal("InvalidNetworkConf", "no CSMSRootCertificate is installed")
        if level > 2 and not self.certificate.is_installed:
            return Refusal("InvalidNetworkConf", "no certificate of the station is installed")
        return None

    def changed(self, cx: Context, key: Key[Any]) -> bool:
        """A variable of SecurityCtrlr has a new value. True when the connection has to be renewed."""
        if key is keys.BASIC_AUTH_PASSWORD:
            return self.password.changed(cx)
        if key is keys.SFTP_HOST_KEYS:
            file_servers.follow(cx.keys)
        self.events.report(cx, RECONFIGURED, f"{key.name} = {cx.keys.text(key)}")
        return False

    def opened(self, cx: Context, root: str) -> None:
        """A connection is open: what was on trial with it is good, what it replaces goes."""
        self.events.connected()
        self.password.opened(cx)
        self.certificate.opened(cx)
        if root == ROOT:
            self.certificates.proven(cx)

    def failed(self, cx: Context, event: LinkDown) -> None:
        """The connection, or an attempt at it, has ended."""
        self.events.once(cx, event.flaw, event.reason)
        self.password.refused(cx, event.status)
