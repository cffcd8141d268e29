"""TLS as OCPP wants it (A00, security profiles 2 and 3): what is offered, what is trusted, and why it came to nothing.

All checks are OpenSSL's own: versions, suites, the chain (RFC 5280), the name, the strength of keys (112 bits). What
it does not know is added behind its handshake, before anything is sent: names with a wildcard, the dates of a
certificate while the system's clock is known to be wrong, and what is known of revocations (agent/io/revocation.py).
`cryptography` is not needed for any of it.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agent.core.effects import Connect
from agent.io.revocation import OFF, Records, Shown

SUITES = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-RSA-AES256-GCM-SHA384:@SECLEVEL=2"
)
"""TLS 1.2 suites (A00.FR.319, FR.320), none without forward secrecy; level 2 refuses keys below 112 bits (FR.501)."""
NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME, which Python has no name for."""
CSMS, VERSION, SUITE, STATION = (
    "InvalidCsmsCertificate", "InvalidTLSVersion", "InvalidTLSCipherSuite", "FailedToAuthenticateAtCsms",
)  # fmt: skip
"""Names of security events."""
TOO_OLD = frozenset({"UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "WRONG_SSL_VERSION", "VERSION_TOO_LOW"})
NO_SUITE = frozenset({"SSLV3_ALERT_HANDSHAKE_FAILURE", "TLSV1_ALERT_INSUFFICIENT_SECURITY", "WRONG_CIPHER_RETURNED"})
NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "BAD_PROTOCOL_VERSION_NUMBER"})
CERTIFICATE_WORDS: Mapping[int, str] = {
    9: "it is not valid yet",
    10: "it has expired",
    18: "it is self-signed and not installed",
    19: "its root is not installed",
    20: "it was signed by no installed root",
    21: "it was signed by no installed root, and its chain is not complete",
    23: "it was revoked",
    62: "it is for another host name",
    64: "it is for another address",
    66: "its key is too weak (expected RSA 2048 or EC 224 bits)",
    67: "the key of its authority is too weak (expected RSA 2048 or EC 224 bits)",
    68: "it was signed with a hash that is too weak",
}
"""X509_V_ERR_* and what each means to people."""


DER = 2
"""ENCODING_DER of `_ssl`."""
EXPIRED = 10
"""X509_V_ERR_CERT_HAS_EXPIRED."""


class Untrusted(ssl.SSLError):
    """The handshake was good, but we do not go on: a flaw that OpenSSL does not look for."""


class NoSuite(ssl.SSLError):
    """The CSMS ended the handshake before a suite was chosen."""


class Unprepared(Exception):
    """What a secure connection needs is not there: a root, or the station's certificate."""


class _Session(ssl.SSLObject):
    """A handshake that ends with our own checks; nothing has been sent before they have passed."""

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except ssl.SSLWantReadError:
            raise
        except ssl.SSLError as error:
            assert isinstance(self.context, Context)
            if error.reason in NO_SUITE and self.cipher() is None:
                raise NoSuite(*error.args) from error
            if isinstance(error, ssl.SSLCertVerificationError) and error.verify_code == EXPIRED:
                self.context.blame_the_roots()
            raise
        assert isinstance(self.context, Context)
        certificate: Any = self.getpeercert()
        if wrong := self.context.rules.wrong(certificate, self.server_hostname or ""):
            raise Untrusted(wrong)
        if self.context.records is not None and (wrong := self.context.records.judge(self._chain()).wrong):
            raise Untrusted(wrong)

    def _chain(self) -> list[Shown]:
        """The verified chain, the trusted end included. Python has had it since 3.10, and a name for it since 3.13."""
        session: Any = self
        found = session._sslobj.get_verified_chain()
        return [Shown(shown.public_bytes(DER), shown.get_info()) for shown in found]

    def read(self, len: int = 1024, buffer: Any = None) -> Any:
        """TLS 1.3 refuses a client's certificate behind the handshake, where the websocket hears of an end only."""
        try:
            return super().read(len, buffer)
        except (ssl.SSLWantReadError, ssl.SSLSyscallError):
            raise
        except ssl.SSLError as error:
            assert isinstance(self.context, Context)
            self.context.alert = error
            raise


class _Rules:
    """What a certificate of the CSMS must be beside what OpenSSL asks for."""

    def __init__(self, order: Connect, system_ms: int) -> None:
        self._wildcards = order.wildcards
        self._judge_ms = order.utc_ms or order.floor_ms
        self.clock_is_wrong = system_ms < order.floor_ms

    def wrong(self, certificate: Mapping[str, Any], host: str) -> str | None:
        if not self._wildcards and not _is_named(certificate, host):
            return f"it names {host} by a wildcard only (SecurityCtrlr.AllowCSMSTLSWildcards)"
        return self._dates(certificate) if self.clock_is_wrong else None

    def _dates(self, certificate: Mapping[str, Any]) -> str | None:
        """The system's clock is before the last known time: the certificate is judged by the latter."""
        judge_s = self._judge_ms / 1000
        if ssl.cert_time_to_seconds(certificate["notAfter"]) < judge_s:
            return f"it was valid until {certificate['notAfter']}, and the station knows of {_date(judge_s)}"
        return None


class Context(ssl.SSLContext):
    """The context of one attempt: it carries our rules to the handshake, and back what ended the session."""

    rules: _Rules
    records: Records | None = None
    """What is known of revocations, where it is looked for."""
    alert: ssl.SSLError | None = None
    sslobject_class = _Session

    def blame_the_roots(self) -> None:
        """Something has expired: raises Untrusted when no installed root is valid any more (bug 18)."""
        ends = {str(root["notAfter"]): ssl.cert_time_to_seconds(str(root["notAfter"])) for root in self.get_ca_certs()}
        if ends and max(ends.values()) < time.time():
            last = max(ends, key=lambda end: ends[end])
            raise Untrusted(f"the installed root has expired ({last}); the operator has to install its successor")


def root_sets(order: Connect, home: Path) -> list[str]:
    """The order's sets of roots that hold any, at least the first."""
    first, *others = order.roots
    return [first, *(kind for kind in others if any((home / "certificates" / kind).glob("*.pem")))]


def records(order: Connect, home: Path) -> Records | None:
    """What is known of revocations, for an order that looks for them."""
    if order.revocation == OFF:
        return None

    def clock() -> tuple[float, bool]:
        now = time.time()
        is_wrong = now * 1000 < order.floor_ms
        return (order.utc_ms or order.floor_ms) / 1000 if is_wrong else now, is_wrong

    return Records(home, order.revocation, clock)


def context(order: Connect, home: Path, roots: str, known: Records | None) -> Context:
    """The client's side for `order`, with this set of the certificates below `home` as roots.

    Raises Unprepared, and OSError for files that cannot be read.
    """
    made = Context(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.set_ciphers(SUITES)
    made.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    made.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    made.records = known
    made.rules = _Rules(order, round(time.time() * 1000))
    if made.rules.clock_is_wrong:
        made.verify_flags |= NO_CHECK_TIME
    _trust(made, order, home / "certificates", roots)
    if order.certificate:
        _present(made, home / "credentials", order.certificate)
    return made


def _trust(made: ssl.SSLContext, order: Connect, home: Path, roots: str) -> None:
    found = [path.read_text("ascii") for path in sorted((home / roots).glob("*.pem"))]
    if found:
        made.load_verify_locations(cadata="".join(found))
    if order.system_roots:
        made.load_default_certs()
    elif not found:
        raise Unprepared("no root certificate of the CSMS is installed (CSMSRootCertificate)")


def _present(made: ssl.SSLContext, home: Path, name: str) -> None:
    """The station's certificate and its chain; its key is handed to the TLS library only (A00.FR.402)."""
    try:
        made.load_cert_chain(home / f"{name}.pem", home / f"{name}.key")
    except OSError as error:
        raise Unprepared(f"the station's certificate {name} cannot be used: {error.strerror or error}") from None


def flaw_of(error: BaseException) -> tuple[str, str] | None:
    """The security event and the words for people of a failure that TLS made; None when it was something else."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return CSMS, f"certificate of the CSMS not trusted: {_distrust(error)}"
    if isinstance(error, Untrusted):
        return CSMS, f"certificate of the CSMS not trusted: {error.args[0]}"
    if not isinstance(error, ssl.SSLError):
        return None
    if isinstance(error, NoSuite):
        return SUITE, "the CSMS offers no cipher suite that is allowed (ECDHE with AES-GCM)"
    reason = str(error.reason or "")
    if reason in TOO_OLD:
        return VERSION, "the CSMS offers no TLS version that is allowed; expected 1.2 or newer"
    if reason in NO_TLS:
        return "", "what answers there does not speak TLS"
    if "ALERT" in reason:
        return STATION, f"the CSMS refused this station's certificate: {_alert(reason)}"
    return "", f"TLS failed: {_alert(reason) or error}"


def _distrust(error: ssl.SSLCertVerificationError) -> str:
    words = CERTIFICATE_WORDS.get(error.verify_code, error.verify_message)
    if error.verify_code not in (9, 10):
        return words
    clock = f"{words}; this station's clock says {_date(time.time())}"
    if error.verify_code == 9:
        return f"{clock}: is it wrong?"
    return clock


def _alert(reason: str) -> str:
    return reason.partition("ALERT_")[2].replace("_", " ").lower() or reason.replace("_", " ").lower()


def _is_named(certificate: Mapping[str, Any], host: str) -> bool:
    """Whether the certificate, which fits the host, has its very name in it and no pattern (A00.FR.309, RFC 6125)."""
    if not host.strip("0123456789.") or ":" in host:
        return True
    others = certificate.get("subjectAltName", ())
    names = [value for kind, value in others if kind == "DNS"]
    if not names:
        names = [value for part in certificate["subject"] for name, value in part if name == "commonName"]
    return any(name.lower() == host.lower() for name in names)


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def described(transport: Any) -> str:
    """Version and suite of an open connection, for the log (A00.FR.314); empty without TLS."""
    session = transport.get_extra_info("ssl_object")
    return f"{session.version()} {session.cipher()[0]}" if session is not None else ""
