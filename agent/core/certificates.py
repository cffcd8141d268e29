"""The certificates that a CSMS installs (block M). Files and X.509 are the business of agent/io/pki.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from agent.core.context import Context
from agent.core.jobs import Jobs
from agent.core.security import RECONFIGURED, SecurityEvents
from config_keys import security

TABLE = "certificates"
ENTRIES, CSMS_ROOTS, FALLBACKS = "entries", "roots", "fallbacks"
"""Counts: all, those of the CSMS, and those before them."""
ROOT, FALLBACK_ROOT = "CSMSRootCertificate", "CSMSRootCertificate.fallback"
"""Where the store keeps the roots of the CSMS, and the one before them (AdditionalRootCertificateCheck)."""
ROOTS = ("V2GRootCertificate", "MORootCertificate", "CSMSRootCertificate", "ManufacturerRootCertificate")


class Outcome(NamedTuple):
    """What became of a request: its OCPP status, the reason of a refusal, and what was found."""

    status: str
    reason: str = ""
    info: str = ""
    found: tuple[Mapping[str, Any], ...] = ()


Done = Callable[[Context, Outcome], None]


class Certificates:
    """Asks the store and keeps the count of what it holds."""

    def __init__(self, jobs: Jobs, events: SecurityEvents, stored: Mapping[str, Any]) -> None:
        self._jobs = jobs
        self._events = events
        self._counts = {name: int(stored.get(name, 0)) for name in (ENTRIES, CSMS_ROOTS, FALLBACKS)}

    def start(self, cx: Context) -> None:
        """What was installed before the restart still is."""
        cx.keys.put(security.CERTIFICATE_ENTRIES, self._counts[ENTRIES])

    @property
    def has_root(self) -> bool:
        """A root of the CSMS is installed."""
        return self._counts[CSMS_ROOTS] > 0

    def proven(self, cx: Context) -> None:
        """M05.FR.13: the CSMS was trusted by the present root; the one before it is not needed any more."""
        if self._counts[FALLBACKS]:
            self._ask(cx, "certificates.retire", {}, lambda cx, outcome: None)

    def install(self, cx: Context, kind: str, pem: str, done: Done) -> None:
        """M05: Accepted, Rejected with the reason, or Failed when it cannot be stored."""
        data = {
            "kind": kind, "pem": pem, "most": cx.keys.type_of(security.CERTIFICATE_ENTRIES).max_limit,
            "by_old": cx.keys[security.ADDITIONAL_ROOT_CERTIFICATE_CHECK],
        }  # fmt: skip
        self._ask(cx, "certificates.install", data, done)

    def delete(self, cx: Context, hashes: Mapping[str, Any], done: Done) -> None:
        """M04: Accepted, NotFound, or Failed for what the connection needs."""
        needed = cx.keys[security.SECURITY_PROFILE] > 1
        self._ask(cx, "certificates.delete", {"hashes": dict(hashes), "last_root_stays": needed}, done)

    def installed(self, cx: Context, kinds: tuple[str, ...], done: Done) -> None:
        """M03: Accepted with what is there of these types (of all when none is named), or NotFound."""
        self._ask(cx, "certificates.list", {"kinds": list(kinds)}, done)

    def _ask(self, cx: Context, kind: str, data: Mapping[str, Any], done: Done) -> None:
        def ended(cx: Context, ok: bool, told: Mapping[str, Any]) -> None:
            if not ok:
                cx.note("certificates", f"{kind}: {told['error']}", "error")
                done(cx, Outcome("Failed", "InternalError", str(told["error"])))
                return
            if kind != "certificates.list" and told["status"] == "Accepted":
                changed = f"{kind} {data.get('kind', '')}".rstrip()
                self._events.report(cx, RECONFIGURED, changed)
            self._counted(cx, told)
            found = tuple(told.get("found", ()))
            done(cx, Outcome(told["status"], told.get("reason", ""), told.get("info", ""), found))

        self._jobs.start(cx, kind, data, ended)

    def _counted(self, cx: Context, told: Mapping[str, Any]) -> None:
        for name, before in self._counts.items():
            now = told.get(name, before)
            if now != before:
                self._counts[name] = now
                cx.put(TABLE, name, now)
        cx.keys.put(security.CERTIFICATE_ENTRIES, self._counts[ENTRIES])
