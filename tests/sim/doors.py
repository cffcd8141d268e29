"""Addresses of the simulated CSMS behind TLS: a handshake goes as X.509 says of the files that the station holds."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509

from agent.core.effects import Connect
from agent.io.pki import signed_by
from hil.pki import Made
from tests.sim.csms import Csms
from tests.sim.network import Flaw, Network


class SimDoor:
    """One address; see hil.bench.SecureDoor."""

    def __init__(self, network: Network, host: str, csms: Csms) -> None:
        self._network = network
        self.host = host
        self._shown: Made | None = None
        self._old = False
        self._authority: Made | None = None
        self.presented: list[int] = []
        network.elsewhere[host] = csms
        self._before, network.tls = network.tls, self._shakes_hands

    @property
    def url(self) -> str:
        return f"wss://{self.host}/ocpp"

    @property
    def knocks(self) -> int:
        return self._network.dialled.count(self.host)

    def shows(self, made: Made, *, old: bool = False) -> None:
        self._shown, self._old = made, old

    def wants(self, authority: Made) -> None:
        self._authority = authority

    def drop(self) -> None:
        self._network.vanishes()
        self._network.returns()

    def _shakes_hands(self, order: Connect) -> str | Flaw:
        if urlsplit(order.url).netloc != self.host:
            return self._before(order)
        home = self._network.home
        assert self._shown is not None and home is not None
        if self._old:
            return Flaw("InvalidTLSVersion", "the CSMS offers no TLS version that is allowed")
        root = _vouches(self._shown.certificate, self.host, home, order.roots)
        if not root:
            return Flaw("InvalidCsmsCertificate", "certificate of the CSMS not trusted")
        serial = _own(home, order.certificate, self._authority)
        if self._authority is not None and not serial:
            return Flaw("FailedToAuthenticateAtCsms", "the CSMS refused this station's certificate")
        self.presented.append(serial)
        return root


def _vouches(shown: x509.Certificate, host: str, home: Path, sets: tuple[str, ...]) -> str:
    """The first set of roots that vouches for the server."""
    now = datetime.now(UTC)
    names = [part.value for part in shown.subject]
    if names != [host] or not shown.not_valid_before_utc <= now <= shown.not_valid_after_utc:
        return ""
    for kind in sets:
        for path in sorted((home / "certificates" / kind).glob("*.pem")):
            if signed_by(shown, x509.load_pem_x509_certificate(path.read_bytes())):
                return kind
    return ""


def _own(home: Path, name: str, authority: Made | None) -> int:
    """The serial number of the station's certificate when the authority has made it, else 0."""
    if not name or authority is None:
        return 0
    own = x509.load_pem_x509_certificates((home / "credentials" / f"{name}.pem").read_bytes())[0]
    return own.serial_number if signed_by(own, authority.certificate) else 0
