"""The certificate store: files below the state directory, checked before anything is written (blocks A and M).

Loaded for a certificate job only: `cryptography` is too big for the start. Private keys are of mode 0600 and leave
this module only to the TLS library.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, Hash, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.ocsp import OCSPRequestBuilder

from agent.io.durable import write
from agent.io.jobs import Data, JobFailed, Place, Tell

HASHES: Mapping[str, type[HashAlgorithm]] = {"SHA256": SHA256, "SHA384": SHA384, "SHA512": SHA512}
CSMS_ROOT, FALLBACK = "CSMSRootCertificate", "CSMSRootCertificate.fallback"
RSA_BITS, EC_BITS = 2048, 224
"""Least key sizes (A00.FR.508, A00.FR.509)."""
PEM_MOST = 5_500
_LOCK = threading.Lock()
"""One job at a time changes the store."""


class Refused(Exception):
    """A certificate that is not taken: an OCPP reason code and the words for people."""

    def __init__(self, reason: str, info: str) -> None:
        super().__init__(info)
        self.reason = reason


class Entry(NamedTuple):
    """An installed certificate. What was the CSMS's root before is of that type still."""

    kind: str
    path: Path
    certificate: x509.Certificate

    def hashes(self, algorithm: str = "SHA256") -> dict[str, str]:
        """CertificateHashDataType of a root: it is its own issuer (M03, RFC 6960)."""
        return hash_data(self.certificate, self.certificate, algorithm)


def hash_data(certificate: x509.Certificate, issuer: x509.Certificate, algorithm: str) -> dict[str, str]:
    """CertificateHashDataType: hashes of the issuer's name and key, and the serial number, all in hex."""
    request = OCSPRequestBuilder().add_certificate(certificate, issuer, HASHES[algorithm]()).build()
    return {
        "hashAlgorithm": algorithm,
        "issuerNameHash": request.issuer_name_hash.hex(),
        "issuerKeyHash": request.issuer_key_hash.hex(),
        "serialNumber": f"{certificate.serial_number:x}",
    }


def parse(pem: str) -> x509.Certificate:
    """The one certificate of a PEM text. Raises Refused."""
    try:
        found = x509.load_pem_x509_certificates(pem.encode())
    except ValueError as error:
        raise Refused("InvalidCertificate", f"no PEM certificate: {error}") from None
    if len(found) != 1:
        raise Refused("InvalidCertificate", f"{len(found)} certificates; expected one")
    return found[0]


def check_root(certificate: x509.Certificate, now: datetime) -> None:
    """A root is valid today, may sign certificates, and has a key that is worth it. Raises Refused."""
    check_dates(certificate, now)
    try:
        if not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            raise Refused("InvalidCertificate", "it is no certificate of an authority (CA is false)")
    except x509.ExtensionNotFound:
        if certificate.issuer != certificate.subject:
            raise Refused("InvalidCertificate", "it does not say that it is of an authority") from None
    except ValueError as error:
        raise Refused("InvalidCertificate", f"damaged: {error}") from None
    check_key(certificate)


def check_dates(certificate: x509.Certificate, now: datetime) -> None:
    """It is valid today. Raises Refused."""
    if now > certificate.not_valid_after_utc:
        raise Refused("CertificateExpired", f"it was valid until {certificate.not_valid_after_utc.isoformat()}")
    if now < certificate.not_valid_before_utc:
        before = certificate.not_valid_before_utc.isoformat()
        raise Refused("InvalidCertificate", f"it is valid from {before}; this station's clock says {now.isoformat()}")


def check_key(certificate: x509.Certificate) -> None:
    """Its key is worth something (A00.FR.508, A00.FR.509). Raises Refused."""
    try:
        key = certificate.public_key()
    except (ValueError, TypeError) as error:
        raise Refused("InvalidCertificate", f"its key cannot be read: {error}") from None
    if isinstance(key, rsa.RSAPublicKey):
        enough = key.key_size >= RSA_BITS
    elif isinstance(key, ec.EllipticCurvePublicKey):
        enough = key.key_size >= EC_BITS
    else:
        enough = isinstance(key, ed25519.Ed25519PublicKey)
    if not enough:
        raise Refused("InvalidCertificate", f"its key is too weak: expected RSA {RSA_BITS} or EC {EC_BITS} bits")


class Store:
    """The files: one directory per type, one certificate per file, named by its fingerprint."""

    def __init__(self, state_dir: Path) -> None:
        self.home = state_dir / "certificates"

    def entries(self) -> list[Entry]:
        """Everything installed; a damaged file is left out."""
        return list(self._entries())

    def _entries(self) -> Iterator[Entry]:
        for path in sorted(self.home.glob("*/*.pem")):
            with suppress(Refused, OSError):
                yield Entry(path.parent.name.removesuffix(".fallback"), path, parse(path.read_text("ascii")))

    def install(self, kind: str, pem: str, most: int, by_old: bool, now: datetime) -> None:
        """Check a root certificate and store it. Raises Refused, and OSError when it cannot be written."""
        new = parse(pem)
        check_root(new, now)
        present = self.entries()
        if by_old and kind == CSMS_ROOT:
            self._succeed(new, [entry for entry in present if entry.kind == kind])
        elif len(present) >= most and not any(e.kind == kind and e.certificate == new for e in present):
            raise Refused("NoSpace", f"{len(present)} certificates are installed, which is the most")
        self._write(kind, new)

    def _succeed(self, new: x509.Certificate, old: list[Entry]) -> None:
        """M05.FR.10 to FR.12: signed by the present root, which becomes the fallback; an older fallback goes."""
        present = [entry for entry in old if entry.path.parent.name == CSMS_ROOT]
        if any(entry.certificate == new for entry in present):
            return
        if present and not any(signed_by(new, entry.certificate) for entry in present):
            raise Refused("InvalidCertificate", "it is not signed by the present root (AdditionalRootCertificateCheck)")
        for entry in old:
            if entry not in present:
                entry.path.unlink()
        for entry in present:
            self._write(FALLBACK, entry.certificate)
            entry.path.unlink()

    def delete(self, hashes: Mapping[str, str], last_root_stays: bool) -> str:
        """DeleteCertificateStatus; the CSMS root that the connection needs stays."""
        wanted = {**hashes, **{name: hashes[name].lower().lstrip("0") for name in ("serialNumber",)}}
        present = self.entries()
        found = [entry for entry in present if _fits(entry, wanted)]
        if not found:
            return "Failed" if self.is_own(wanted) else "NotFound"
        roots = [entry for entry in present if entry.kind == CSMS_ROOT]
        if last_root_stays and {id(entry) for entry in roots} <= {id(entry) for entry in found}:
            return "Failed"
        for entry in found:
            entry.path.unlink()
        return "Accepted"

    def retire(self) -> None:
        """The root before the present one goes (M05.FR.13). Raises OSError."""
        for path in (self.home / FALLBACK).glob("*.pem"):
            path.unlink()

    def counts(self) -> dict[str, int]:
        """How many there are: all, the CSMS's, and those before them."""
        present = self.entries()
        return {
            "entries": len(present),
            "roots": sum(1 for entry in present if entry.kind == CSMS_ROOT),
            "fallbacks": sum(1 for entry in present if entry.path.parent.name == FALLBACK),
        }

    def is_own(self, wanted: Mapping[str, str]) -> bool:
        """Whether these hashes are of the station's own certificate, which stays (M04.FR.06)."""
        for path in (self.home.parent / "credentials").glob("*.pem"):
            own = x509.load_pem_x509_certificates(path.read_bytes())[0]
            name = Hash(HASHES[wanted["hashAlgorithm"]]())
            name.update(own.issuer.public_bytes())
            same = name.finalize().hex() == wanted["issuerNameHash"].lower()
            if same and f"{own.serial_number:x}" == wanted["serialNumber"]:
                return True
        return False

    def _write(self, kind: str, certificate: x509.Certificate) -> None:
        directory = self.home / kind
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        write(directory / f"{certificate.fingerprint(SHA256()).hex()}.pem", certificate.public_bytes(Encoding.PEM))


def _fits(entry: Entry, wanted: Mapping[str, str]) -> bool:
    own = entry.hashes(wanted["hashAlgorithm"])
    return all(own[name].lower() == wanted[name].lower() for name in own)


def signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether this authority has made it: name and signature."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except Exception:  # the library has many ways to say no; none of them is a yes
        return False
    return True


# ---------------------------------------------------------------------------------------- workers


async def install(place: Place, data: Data, tell: Tell) -> Data:
    """certificates.install: kind, pem, most, by_old -> status, reason, info, entries."""
    return await asyncio.to_thread(_install, Store(place.state_dir), data)


def _install(store: Store, data: Data) -> Data:
    with _LOCK:
        try:
            store.install(data["kind"], data["pem"], data["most"], data["by_old"], datetime.now(UTC))
        except Refused as refused:
            return {"status": "Rejected", "reason": refused.reason, "info": str(refused)}
        except OSError as error:
            raise JobFailed(f"the certificate cannot be stored: {error.strerror}") from None
        return {"status": "Accepted", **store.counts()}


async def delete(place: Place, data: Data, tell: Tell) -> Data:
    """certificates.delete: hashes, last_root_stays -> status, entries."""
    return await asyncio.to_thread(_delete, Store(place.state_dir), data)


def _delete(store: Store, data: Data) -> Data:
    with _LOCK:
        try:
            status = store.delete(data["hashes"], data["last_root_stays"])
        except OSError as error:
            raise JobFailed(f"the certificate cannot be deleted: {error.strerror}") from None
        told: dict[str, Any] = {"status": status, **store.counts()}
        if status == "Failed":
            told |= {"reason": "InUse", "info": "the connection to the CSMS needs it"}
        return told


async def retire(place: Place, data: Data, tell: Tell) -> Data:
    """certificates.retire -> status, entries."""

    def work() -> Data:
        store = Store(place.state_dir)
        with _LOCK:
            try:
                store.retire()
            except OSError as error:
                raise JobFailed(f"the old root cannot be deleted: {error.strerror}") from None
            return {"status": "Accepted", **store.counts()}

    return await asyncio.to_thread(work)


async def listing(place: Place, data: Data, tell: Tell) -> Data:
    """certificates.list: kinds -> status, found (CertificateHashDataChainType)."""
    return await asyncio.to_thread(_list, Store(place.state_dir), data)


def _list(store: Store, data: Data) -> Data:
    kinds = data["kinds"]
    with _LOCK:
        entries = [entry for entry in store.entries() if not kinds or entry.kind in kinds]
    found = [{"certificateType": e.kind, "certificateHashData": e.hashes()} for e in entries]
    return {"status": "Accepted" if found else "NotFound", "found": found}
