"""Keys in a PKCS#11 token, as an OEM would bring them (docs/private-keys.md): made and used through OpenSSL's provider
for PKCS#11, which OPENSSL_CONF has to activate. A key's file here is the PEM form of its URI and holds no secret.
"""

from __future__ import annotations

import secrets
import subprocess

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from agent.io.credentials import KeyFiles

TOKEN = "chargerd"
ECDSA_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")


class TokenKeys(KeyFiles):
    """The port `Keys`: the files are handled as any key's, but what makes and reads a key is the token.

    `discard` takes the file; the key in the token is a matter of the token's own tools.
    """

    def make(self, subject: x509.Name) -> tuple[str, x509.CertificateSigningRequest]:
        name = secrets.token_hex(8)
        uri = f"pkcs11_uri:pkcs11:token={TOKEN};object={name};id=%{'%'.join(name[i : i + 2] for i in range(0, 16, 2))}"
        _openssl(
            "genpkey", "-propquery", "provider=pkcs11", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-pkeyopt", uri, "-out", str(self._pending(name)),
        )  # fmt: skip
        return name, self._request(name, subject)

    def _request(self, name: str, subject: x509.Name) -> x509.CertificateSigningRequest:
        """`openssl req` of OpenSSL 3.0 would write the curve's parameters, which verifiers refuse: put it together."""
        passing = ec.generate_private_key(ec.SECP256R1())
        made = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(passing, SHA256())
        theirs = passing.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        asked = made.tbs_certrequest_bytes.replace(theirs, self.public(name))
        signed = _openssl("dgst", "-sha256", "-sign", str(self._pending(name)), given=asked)
        return x509.load_der_x509_csr(_der(0x30, asked + ECDSA_SHA256 + _der(0x03, b"\0" + signed)))

    def public(self, name: str) -> bytes:
        key = load_pem_public_key(_openssl("pkey", "-in", str(self._pending(name)), "-pubout"))
        return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _openssl(*words: str, given: bytes = b"") -> bytes:
    """Its output. Raises OSError."""
    done = subprocess.run(["openssl", *words], input=given, capture_output=True, check=False, timeout=60)
    if done.returncode:
        raise OSError(done.returncode, done.stderr.decode(errors="replace").strip()[-200:])
    return done.stdout


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag]) + (length if size < 0x80 else bytes([0x80 | len(length)]) + length) + content
