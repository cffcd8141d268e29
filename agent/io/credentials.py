"""The station's keys and certificates: made, asked for and judged here; used by the TLS library only (A02, A03).

A private key never leaves where it was made. `Keys` is the port: files of mode 0600 are the one way that is built in;
an OEM's PKCS#11 token or TPM takes their place as an entry point of the group `chargerd.keys`, a callable that takes
the directory `credentials`. docs/private-keys.md has one that was tried.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from agent.io.durable import write
from agent.io.jobs import Data, JobFailed, Place, Tell
from agent.io.pki import CSMS_ROOT, Refused, Store, check_key, signed_by

CHAIN_MOST = 10
GROUP = "chargerd.keys"


class Keys(Protocol):
    """Where private keys are. `name` is what the key is known by from then on."""

    def make(self, subject: x509.Name) -> tuple[str, x509.CertificateSigningRequest]:
        """A new key, and a request for a certificate that it has signed. Raises OSError."""

    def public(self, name: str) -> bytes:
        """The public half (DER). Raises OSError or ValueError when there is no such key."""

    def bind(self, name: str, certificate: str) -> None:
        """The key belongs to this certificate from now on: `CERTIFICATE.key` in the directory is a PEM file that leads
        the TLS library to it. Raises OSError."""

    def discard(self, certificate: str) -> None:
        """The key of a certificate is of no use any more."""


class KeyFiles:
    """Keys as files for the agent only: `NAME.pending` until there is a certificate, then `CERTIFICATE.key`."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def make(self, subject: x509.Name) -> tuple[str, x509.CertificateSigningRequest]:
        key = ec.generate_private_key(ec.SECP256R1())
        request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, SHA256())
        name = x509.SubjectKeyIdentifier.from_public_key(key.public_key()).digest.hex()
        for old in self._home.glob("*.pending"):
            old.unlink()
        write(self._pending(name), key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return name, request

    def public(self, name: str) -> bytes:
        key = load_pem_private_key(self._pending(name).read_bytes(), None)
        return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def bind(self, name: str, certificate: str) -> None:
        os.replace(self._pending(name), self._home / f"{certificate}.key")

    def discard(self, certificate: str) -> None:
        with suppress(FileNotFoundError):
            (self._home / f"{certificate}.key").unlink()

    def _pending(self, name: str) -> Path:
        return self._home / f"{name}.pending"


def keys_at(home: Path) -> Keys:
    """The OEM's where he has brought some, else files."""
    found = entry_points(group=GROUP)
    make: Callable[[Path], Keys] = next(iter(found)).load() if found else KeyFiles
    return make(home)


class Credentials:
    """Certificates of the station below `credentials`, each in a file with its chain, and their keys."""

    def __init__(self, state_dir: Path) -> None:
        self.home = state_dir / "credentials"
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.keys = keys_at(self.home)
        self._roots = Store(state_dir)

    def request(self, organization: str, serial: str) -> tuple[str, str]:
        """A new key and its request in PEM: CN is the serial number, O the operator (A00.FR.507, FR.509, FR.511)."""
        parts = [x509.NameAttribute(NameOID.COMMON_NAME, serial or "unknown")]
        if organization:
            parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
        name, request = self.keys.make(x509.Name(parts))
        return name, request.public_bytes(Encoding.PEM).decode()

    def take(self, chain: str, key: str, serial: str, now: datetime) -> tuple[str, datetime]:
        """Check a signed certificate and store it with its key (A02.FR.06). Raises Refused and OSError."""
        try:
            own, *others = x509.load_pem_x509_certificates(chain.encode())
        except ValueError as error:
            raise Refused("InvalidCertificate", f"no PEM certificate: {error}") from None
        self._check(own, key, serial, now)
        self._check_hierarchy([own, *others[:CHAIN_MOST]], now)
        name = own.fingerprint(SHA256()).hex()
        write(self.home / f"{name}.pem", chain.encode())
        self.keys.bind(key, name)
        return name, own.not_valid_after_utc

    def _check(self, own: x509.Certificate, key: str, serial: str, now: datetime) -> None:
        """It is valid today, of the key that was made, and names this station (A00.FR.501 to FR.511)."""
        if not own.not_valid_before_utc <= now <= own.not_valid_after_utc:
            since, until = own.not_valid_before_utc.isoformat(), own.not_valid_after_utc.isoformat()
            raise Refused("InvalidCertificate", f"valid from {since} to {until}; this clock says {now.isoformat()}")
        try:
            public = own.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            mine = self.keys.public(key)
        except (ValueError, OSError, TypeError) as error:
            raise Refused("InvalidCertificate", f"its key cannot be compared: {error}") from None
        if public != mine:
            raise Refused("InvalidCertificate", "it is not for the key that was asked for")
        check_key(own)
        names = [part.value for part in own.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        if names != [serial or "unknown"]:
            raise Refused("InvalidCertificate", f"its CN is {names}; expected the serial number {serial!r}")

    def _check_hierarchy(self, chain: list[x509.Certificate], now: datetime) -> None:
        """It leads to a root of the operator that is installed, each signed by the next."""
        roots = [entry.certificate for entry in self._roots.entries() if entry.kind == CSMS_ROOT]
        for at, certificate in enumerate(chain):
            if any(certificate == root or signed_by(certificate, root) for root in roots):
                return
            if at + 1 == len(chain) or not signed_by(certificate, chain[at + 1]):
                break
            if not chain[at + 1].not_valid_before_utc <= now <= chain[at + 1].not_valid_after_utc:
                raise Refused("InvalidCertificate", "an authority in its chain has expired")
        raise Refused("InvalidCertificate", "it does not lead to an installed root of the operator")

    def discard(self, name: str) -> None:
        """A certificate and its key go. Raises OSError."""
        with suppress(FileNotFoundError):
            (self.home / f"{name}.pem").unlink()
        self.keys.discard(name)


# ---------------------------------------------------------------------------------------- workers


async def request(place: Place, data: Data, tell: Tell) -> Data:
    """credentials.request: organization, serial -> key, csr."""

    def work() -> Data:
        try:
            key, csr = Credentials(place.state_dir).request(data["organization"], data["serial"])
        except OSError as error:
            raise JobFailed(f"the key cannot be stored: {error.strerror}") from None
        return {"key": key, "csr": csr}

    return await asyncio.to_thread(work)


async def signed(place: Place, data: Data, tell: Tell) -> Data:
    """credentials.signed: chain, key, serial, utc_ms -> status, info or name and until_ms."""

    def work() -> Data:
        now = datetime.fromtimestamp(data["utc_ms"] / 1000, UTC)
        try:
            name, until = Credentials(place.state_dir).take(data["chain"], data["key"], data["serial"], now)
        except Refused as refused:
            return {"status": "Rejected", "info": str(refused)}
        except OSError as error:
            raise JobFailed(f"the certificate cannot be stored: {error.strerror}") from None
        return {"status": "Accepted", "name": name, "until_ms": round(until.timestamp() * 1000)}

    return await asyncio.to_thread(work)


async def discard(place: Place, data: Data, tell: Tell) -> Data:
    """credentials.discard: name."""
    try:
        await asyncio.to_thread(Credentials(place.state_dir).discard, data["name"])
    except OSError as error:
        raise JobFailed(str(error.strerror)) from None
    return {}
