"""What certificates the station has, for people: its own and the roots it trusts. No key is read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from agent.io.pki import Store

OWN = "ChargingStationCertificate"


def certificates(state_dir: Path) -> list[dict[str, Any]]:
    """Type, subject, serial number, validity, whole days left (negative when it is over), and kind of key."""
    now = datetime.now(UTC)
    return [_row(kind, certificate, now) for kind, certificate in _found(state_dir)]


def _found(state_dir: Path) -> Iterator[tuple[str, x509.Certificate]]:
    """The station's own without their chains, then the roots; a file that cannot be read is left out."""
    for path in sorted((state_dir / "credentials").glob("*.pem")):
        with suppress(OSError, ValueError):
            yield OWN, x509.load_pem_x509_certificates(path.read_bytes())[0]
    for entry in Store(state_dir).entries():
        yield entry.kind, entry.certificate


def _row(kind: str, certificate: x509.Certificate, now: datetime) -> dict[str, Any]:
    until = certificate.not_valid_after_utc
    return {
        "type": kind, "subject": certificate.subject.rfc4514_string(), "serial": f"{certificate.serial_number:x}",
        "from": certificate.not_valid_before_utc.strftime("%Y-%m-%d"), "until": until.strftime("%Y-%m-%d"),
        "days_left": (until - now).days, "key": _key(certificate),
    }  # fmt: skip


def _key(certificate: x509.Certificate) -> str:
    try:
        key = certificate.public_key()
    except (ValueError, TypeError):
        return "unknown"
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size}"
    return f"EC {key.key_size}" if isinstance(key, ec.EllipticCurvePublicKey) else type(key).__name__
