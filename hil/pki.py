"""Certificates for benches and tests: roots and what they sign, good ones and bad ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.ocsp import OCSPRequestBuilder
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

HASHES = {"SHA256": SHA256(), "SHA384": SHA384(), "SHA512": SHA512()}
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class Made(NamedTuple):
    """A certificate and its key."""

    certificate: x509.Certificate
    key: Key

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def both(self) -> str:
        """Key and certificate, as a server wants them in one file."""
        plain = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return plain.decode() + self.pem

    def hashes(self, algorithm: str = "SHA256") -> dict[str, str]:
        """CertificateHashDataType of a root."""
        return hashes_of(self.certificate, self, algorithm)


def hashes_of(certificate: x509.Certificate, issuer: Made, algorithm: str = "SHA256") -> dict[str, str]:
    """CertificateHashDataType."""
    made = OCSPRequestBuilder().add_certificate(certificate, issuer.certificate, HASHES[algorithm]).build()
    return {
        "hashAlgorithm": algorithm, "issuerNameHash": made.issuer_name_hash.hex(),
        "issuerKeyHash": made.issuer_key_hash.hex(), "serialNumber": f"{made.serial_number:x}",
    }  # fmt: skip


@cache
def root(name: str = "Root", days: float = 365, since: float = -1, ca: bool | None = True, kind: str = "ec") -> Made:
    """A root certificate, valid from `since` for `days` days; `ca` None leaves the constraint out."""
    return issue(name, None, days=days, since=since, ca=ca, kind=kind)


def issue(
    name: str, issuer: Made | None, *, days: float = 365, since: float = -1, ca: bool | None = True, kind: str = "ec",
    hosts: Sequence[str] = (), ocsp: str = "", crl: str = "", answers: bool = False,
) -> Made:  # fmt: skip
    """A certificate by an issuer, or by itself. `kind` is ec, rsa or weak (RSA 1024); `hosts` are names beside CN.

    `ocsp` and `crl` are the addresses where its issuer tells of revocations; with `answers` it may do so itself.
    """
    key: Key
    if kind == "ec":
        key = ec.generate_private_key(ec.SECP256R1())
    else:
        key = rsa.generate_private_key(65537, 1024 if kind == "weak" else 2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    begin = datetime.now(UTC) + timedelta(days=since)
    signer = key if issuer is None else issuer.key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=days))
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    if hosts:
        names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
        builder = builder.add_extension(names, critical=False)
    for extension in _revocation(ocsp, crl, answers):
        builder = builder.add_extension(extension, critical=False)
    return Made(builder.sign(signer, SHA256()), key)


def _revocation(ocsp: str, crl: str, answers: bool) -> Iterator[x509.ExtensionType]:
    if ocsp:
        place = x509.UniformResourceIdentifier(ocsp)
        yield x509.AuthorityInformationAccess([x509.AccessDescription(AuthorityInformationAccessOID.OCSP, place)])
    if crl:
        yield x509.CRLDistributionPoints(
            [x509.DistributionPoint([x509.UniformResourceIdentifier(crl)], None, None, None)]
        )
    if answers:
        yield x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING])


def sign(
    csr: str, issuer: Made, *, days: float = 800, since: float = -400, serial: str | None = None
) -> x509.Certificate:
    """What an authority makes of a request in PEM: its key, and its CN or another one.

    By default it is valid long enough for a bench whose clock is a year off.
    """
    request = x509.load_pem_x509_csr(csr.encode())
    own = [part for part in request.subject if part.oid == NameOID.COMMON_NAME]
    names = own if serial is None else [x509.NameAttribute(NameOID.COMMON_NAME, serial)]
    begin = datetime.now(UTC) + timedelta(days=since)
    builder = x509.CertificateBuilder(
        issuer.certificate.subject, x509.Name(names), request.public_key(), x509.random_serial_number(), begin,
        begin + timedelta(days=days),
    )  # fmt: skip
    return builder.sign(issuer.key, SHA256())
