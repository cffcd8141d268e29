"""Who has signed a firmware file, and whether the signature is over this very file (L01.FR.04, FR.12, FR.21).

Loaded for a firmware job only. The signing certificate leads to a ManufacturerRootCertificate of the store, over
certificates between them that are told along with it. An RSA key signs with RSA-PSS, one on an elliptic curve with
ECDSA: the ECSchnorr of the specification is in no library that is kept.
"""

from __future__ import annotations

import asyncio
import hashlib
from base64 import b64decode
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256

from agent.io.jobs import Data, JobFailed, Place, Tell
from agent.io.pki import Refused, Store, check_dates, check_key, check_root, signed_by
from agent.io.transfers import IMAGE, home

CHAIN_MOST = 5
ROOT = "ManufacturerRootCertificate"


async def check_signer(place: Place, data: Data, tell: Tell) -> Data:
    """firmware.signer: certificate, utc_ms -> valid, info."""
    try:
        await asyncio.to_thread(_signer, place.state_dir, data)
    except Refused as refused:
        return {"valid": False, "info": str(refused)}
    return {"valid": True, "info": ""}


async def check_file(place: Place, data: Data, tell: Tell) -> Data:
    """firmware.check: certificate, signature, utc_ms -> genuine, info; the file is the one that was fetched."""
    try:
        await asyncio.to_thread(_check_file, place.state_dir, data)
    except Refused as refused:
        return {"genuine": False, "info": str(refused)}
    except OSError as error:
        raise JobFailed(f"the file cannot be read: {error.strerror}") from None
    return {"genuine": True, "info": ""}


def _signer(state_dir: Path, data: Data) -> x509.Certificate:
    """The certificate that signs, when its whole chain is good now. Raises Refused."""
    now = datetime.now(UTC) if data["utc_ms"] is None else datetime.fromtimestamp(data["utc_ms"] / 1000, UTC)
    try:
        leaf, *between = x509.load_pem_x509_certificates(data["certificate"].encode())
    except ValueError as error:
        raise Refused("InvalidCertificate", f"no PEM certificate: {error}") from None
    check_dates(leaf, now)
    check_key(leaf)
    _check_purpose(leaf)
    roots = [entry.certificate for entry in Store(state_dir).entries() if entry.kind == ROOT]
    if not roots:
        raise Refused("InvalidCertificate", f"no {ROOT} is installed to trust it by")
    _check_chain(leaf, between, roots, now)
    return leaf


def _check_purpose(leaf: x509.Certificate) -> None:
    """Where it says what its key is for, signatures are among it."""
    try:
        if not leaf.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature:
            raise Refused("InvalidCertificate", "its key is not for signatures")
    except x509.ExtensionNotFound:
        return
    except ValueError as error:
        raise Refused("InvalidCertificate", f"damaged: {error}") from None


def _check_chain(
    leaf: x509.Certificate, between: Sequence[x509.Certificate], roots: Sequence[x509.Certificate], now: datetime
) -> None:
    """From the leaf to a root, each made by the next, all of them good now. Raises Refused."""
    below = leaf
    for _ in range(CHAIN_MOST):
        root = next((root for root in roots if signed_by(below, root)), None)
        if root is not None:
            check_root(root, now)
            return
        above = next((one for one in between if one != below and signed_by(below, one)), None)
        if above is None:
            raise Refused("InvalidCertificate", f"no {ROOT} that is installed has made it")
        check_root(above, now)
        below = above
    raise Refused("InvalidCertificate", f"its chain is longer than {CHAIN_MOST}")


def _check_file(state_dir: Path, data: Data) -> None:
    """Raises Refused, and OSError when the file cannot be read."""
    leaf = _signer(state_dir, data)
    try:
        signature = b64decode("".join(data["signature"].split()), validate=True)
    except ValueError:
        raise Refused("InvalidSignature", "the signature is no base64") from None
    with (home(state_dir) / IMAGE).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
    try:
        _verify(leaf, signature, digest)
    except InvalidSignature:
        raise Refused("InvalidSignature", "the signature does not belong to this file and this signer") from None


def _verify(leaf: x509.Certificate, signature: bytes, digest: bytes) -> None:
    """Raises InvalidSignature, and Refused for a key that cannot sign so."""
    key = leaf.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        pss = padding.PSS(padding.MGF1(SHA256()), padding.PSS.AUTO)
        key.verify(signature, digest, pss, Prehashed(SHA256()))
    elif isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, digest, ec.ECDSA(Prehashed(SHA256())))
    else:
        raise Refused("InvalidCertificate", "its key is neither RSA nor on an elliptic curve")
