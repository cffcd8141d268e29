"""Security events (A04): all are logged; the critical ones are told until the CSMS has answered, whatever happens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.core.context import Context
from agent.core.effects import LogSecurity
from agent.core.metering import stamp
from agent.core.outbox import Outbox
from agent.core.owed import Owed

TABLE = "security_events"
ACTION = "SecurityEventNotification"
BOUND = 100
"""Events kept for the CSMS; the oldest make room."""
INFO_MOST = 255
STORE_EVENTS = {"full": "MemoryExhaustion", "restored": "StoreDamaged", "dead": "StoreDamaged"}
"""What the state of the store is as a security event; the standard list has no type for a damaged one."""
EVENTS: Mapping[str, bool] = {
    "FirmwareUpdated": True,
    "FailedToAuthenticateAtCsms": False,
    "CsmsFailedToAuthenticate": False,
    "SettingSystemTime": True,
    "StartupOfTheDevice": True,
    "ResetOrReboot": True,
    "SecurityLogWasCleared": True,
    "ReconfigurationOfSecurityParameters": False,
    "MemoryExhaustion": True,
    "InvalidMessages": False,
    "AttemptedReplayAttacks": False,
    "TamperDetectionActivated": True,
    "InvalidFirmwareSignature": True,
    "InvalidFirmwareSigningCertificate": True,
    "InvalidCsmsCertificate": True,
    "InvalidChargingStationCertificate": True,
    "InvalidTLSVersion": True,
    "InvalidTLSCipherSuite": True,
    "MaintenanceLoginAccepted": True,
    "MaintenanceLoginFailed": True,
    "DiscardedRenewedClientCertificate": True,
    "StoreDamaged": True,
}
"""Every type, and whether it is critical: told to the CSMS, not only logged (Part 2 appendix 1; A02.FR.29; ours)."""
RECONFIGURED = "ReconfigurationOfSecurityParameters"
POWER_UPS = ("PowerUp", "LocalReset", "Unknown")
"""BootReasons of a device that starts up; the others are resets."""


class SecurityEvents:
    """The security log, and what the CSMS still has to hear of, oldest first."""

    def __init__(self, outbox: Outbox, stored: Mapping[str, Any]) -> None:
        self._outbox = outbox
        self.owed = Owed(outbox, stored, table=TABLE, action=ACTION, then="security_event", bound=BOUND)
        self._same: set[tuple[str, str]] = set()
        """What has been reported since the last connection: the next attempt fails the same way."""

    def report(self, cx: Context, kind: str, info: str, *, lazy: bool = False) -> None:
        """Something happened: it is logged (A04.FR.04), and the CSMS hears of what is critical (A04.FR.01)."""
        cx.do(LogSecurity(kind, info, cx.utc()))
        if EVENTS[kind] and self._outbox.delivers:
            self.owed.add(cx, {"type": kind, "info": info[:INFO_MOST], **stamp(cx, cx.ms)}, lazy=lazy)

    def once(self, cx: Context, kind: str, info: str) -> None:
        """Report what may happen again and again, but the same only once until a connection opens (bug 15)."""
        if kind and (kind, info) not in self._same and len(self._same) < BOUND:
            self._same.add((kind, info))
            self.report(cx, kind, info)

    def connected(self) -> None:
        """A connection has opened: what goes wrong from now on is news."""
        self._same.clear()

    def started(self, cx: Context, reason: str) -> None:
        """The process has begun; nothing is lost when this is."""
        kind = "StartupOfTheDevice" if reason in POWER_UPS else "ResetOrReboot"
        self.report(cx, kind, f"{reason}", lazy=True)
