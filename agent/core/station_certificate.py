"""The station's own certificate (A02, A03): asked for, waited for, tried, and kept or given up for the one before.

Keys, requests and X.509 are the business of agent/io/credentials.py; here a certificate is a name and its last day.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from agent.core.certificates import Done, Outcome
from agent.core.context import Context
from agent.core.jobs import Jobs
from agent.core.outbox import Outbox
from agent.core.security import RECONFIGURED, SecurityEvents
from agent.core.site import Site
from config_keys import security

TABLE = "station_certificate"
USED, NEW, REQUEST = "used", "new", "request"
"""Entries: the certificate that works; one that has not been tried; the request that waits for its certificate."""
ACTION = "SignCertificate"
KIND = "ChargingStationCertificate"
WAIT, CHECK = "certificate.wait", "certificate.check"
CHECK_S = 86_400.0
FIRST_CHECK_S = 60.0
DAY_MS = 86_400_000


class StationCertificate:
    """What there is, and what is under way; all of it survives a power cut."""

    def __init__(
        self, site: Site, outbox: Outbox, jobs: Jobs, events: SecurityEvents, stored: Mapping[str, Any]
    ) -> None:
        self._site = site
        self._outbox = outbox
        self._jobs = jobs
        self._events = events
        self._kept: dict[str, Any] = {name: dict(stored[name]) for name in (USED, NEW, REQUEST) if stored.get(name)}
        self.dialled = ""
        """The certificate of the present connection or attempt."""

    @property
    def is_installed(self) -> bool:
        """A05.FR.03: there is one to present."""
        return USED in self._kept or NEW in self._kept

    def start(self, cx: Context) -> None:
        """A request from before the restart goes on waiting; the days that are left are counted."""
        if REQUEST in self._kept:
            cx.after(WAIT, self._wait_s(cx))
        cx.after(CHECK, FIRST_CHECK_S)

    # ---------------------------------------------------------------------------------------- asking

    def renew(self, cx: Context) -> bool:
        """A02.FR.02: a new key, and a request to sign it; what was asked for before is forgotten."""
        if self._jobs.runs("credentials.request"):
            return True
        self._drop_request(cx)
        subject = {"organization": cx.keys.text(security.ORGANIZATION_NAME), "serial": self._site.serial}
        self._jobs.start(cx, "credentials.request", subject, self._requested)
        return True

    def _requested(self, cx: Context, ok: bool, told: Mapping[str, Any]) -> None:
        if not ok:
            cx.note("security", f"no certificate can be asked for: {told['error']}", "error")
            return
        self._keep(cx, REQUEST, {"key": told["key"], "csr": told["csr"], "waits": 0})
        self._ask(cx)

    def _ask(self, cx: Context) -> None:
        """SignCertificate; unless it is on its way already."""
        if not self._outbox.has_call(ACTION):
            request = self._kept[REQUEST]
            self._outbox.call(ACTION, {"csr": request["csr"], "kind": KIND}, "sign_certificate", key=request["key"])

    def answered(self, cx: Context, key: str, status: str) -> None:
        """The CSMS passes the request on, or not; then nothing comes until it asks for another one."""
        if self._kept.get(REQUEST, {}).get("key") != key:
            return
        if status == "Accepted":
            cx.after(WAIT, self._wait_s(cx))
            return
        cx.note("security", "the CSMS does not want the certificate request", "warning")
        self._drop_request(cx)

    def void(self, cx: Context, *, refused: bool) -> None:
        """SignCertificate was not answered, or with an error: it is said again after the wait."""
        if refused:
            self._drop_request(cx)
        elif REQUEST in self._kept:
            cx.after(WAIT, self._wait_s(cx))

    def waited(self, cx: Context) -> None:
        """No certificate came: ask again, each time after twice the wait, so many times (A02.FR.17 to FR.19)."""
        request = self._kept.get(REQUEST)
        if request is None:
            return
        if not self._outbox.online:
            cx.after(WAIT, self._wait_s(cx))
        elif request["waits"] > cx.keys[security.CERT_SIGNING_REPEAT_TIMES]:
            cx.note("security", "no certificate came; it is not asked for any more", "warning")
            self._drop_request(cx)
        else:
            self._keep(cx, REQUEST, {**request, "waits": request["waits"] + 1})
            self._ask(cx)

    def _wait_s(self, cx: Context) -> float:
        waits: int = self._kept[REQUEST]["waits"]
        return float(max(1, cx.keys[security.CERT_SIGNING_WAIT_MINIMUM]) * 2**waits)

    def _drop_request(self, cx: Context) -> None:
        cx.forget(WAIT)
        if REQUEST in self._kept:
            self._keep(cx, REQUEST, None)

    # ---------------------------------------------------------------------------------------- signed

    def signed(
        self, cx: Context, chain: str, kind: str, done: Done, renewed: Callable[[Context], None]
    ) -> Outcome | None:
        """CertificateSigned: what is wrong with it at first sight, else None, and `done` with the store's judgement.

        `renewed` when the connection has to be made anew with it.
        """
        request = self._kept.get(REQUEST)
        if len(chain) > cx.keys[security.MAX_CERTIFICATE_CHAIN_SIZE]:
            return self._rejected(cx, "the chain is too long")
        if kind != KIND or request is None:
            return self._rejected(cx, "no such certificate was asked for")

        def judged(cx: Context, ok: bool, told: Mapping[str, Any]) -> None:
            if not ok or told["status"] != "Accepted":
                self._drop_request(cx)
                done(cx, self._rejected(cx, str(told["info"] if ok else told["error"])))
                return
            self._drop_request(cx)
            self._discard(cx, NEW)
            self._keep(cx, NEW, {"name": told["name"], "until_ms": told["until_ms"]})
            self._events.report(cx, RECONFIGURED, "a new certificate of the station")
            done(cx, Outcome("Accepted"))
            renewed(cx)

        data = {"chain": chain, "key": request["key"], "serial": self._site.serial}
        self._jobs.start(cx, "credentials.signed", {**data, "utc_ms": cx.utc() or cx.clock.floor_ms}, judged)
        return None

    def _rejected(self, cx: Context, why: str) -> Outcome:
        """A02.FR.07, FR.16, FR.20."""
        self._events.report(cx, "InvalidChargingStationCertificate", why)
        return Outcome("Rejected", "InvalidCertificate", why)

    # ---------------------------------------------------------------------------------------- in use

    def of(self, *, with_old: bool) -> str:
        """The certificate for an attempt: the new one, or where that has led nowhere the old one (A02.FR.28)."""
        first, other = (USED, NEW) if with_old else (NEW, USED)
        found = self._kept.get(first) or self._kept.get(other)
        return str(found["name"]) if found is not None else ""

    def opened(self, cx: Context) -> None:
        """A connection is open with one of them: the other one goes (A02.FR.10, FR.29)."""
        new = self._kept.get(NEW)
        if new is None or not self.dialled:
            return
        if self.dialled == new["name"]:
            self._discard(cx, USED)
            self._keep(cx, USED, new)
            self._keep(cx, NEW, None)
            return
        self._discard(cx, NEW)
        self._events.report(cx, "DiscardedRenewedClientCertificate", "the CSMS was reached with the old one only")

    def _discard(self, cx: Context, entry: str) -> None:
        gone = self._kept.get(entry)
        if gone is not None:
            self._jobs.start(cx, "credentials.discard", {"name": gone["name"]}, _discarded)
            self._keep(cx, entry, None)

    def struck(self, cx: Context) -> None:
        """A03.FR.02: a certificate that has not long to live is renewed in time."""
        cx.after(CHECK, CHECK_S)
        used, utc_ms = self._kept.get(NEW) or self._kept.get(USED), cx.utc()
        if used is None or utc_ms is None or REQUEST in self._kept or not self._outbox.online:
            return
        if used["until_ms"] - utc_ms < cx.keys[security.CERT_RENEWAL_THRESHOLD] * DAY_MS:
            cx.note("security", "the station's certificate expires soon; a new one is asked for")
            self.renew(cx)

    def _keep(self, cx: Context, entry: str, data: Mapping[str, Any] | None) -> None:
        if data is None:
            self._kept.pop(entry, None)
        else:
            self._kept[entry] = dict(data)
        cx.put(TABLE, entry, data)


def _discarded(cx: Context, ok: bool, told: Mapping[str, Any]) -> None:
    if not ok:
        cx.note("security", f"an old certificate cannot be deleted: {told['error']}", "warning")
