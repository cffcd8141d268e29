"""A private key that is in a PKCS#11 token from its making to the TLS handshake; files know only where it is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.marks import req

SOFTHSM = "/usr/lib/softhsm/libsofthsm2.so"
PROVIDER = os.environ.get("PKCS11_PROVIDER") or "/usr/lib/x86_64-linux-gnu/ossl-modules/pkcs11.so"
CONF = """openssl_conf = start
[start]
providers = providers
[providers]
default = default_provider
pkcs11 = token
[default_provider]
activate = 1
[token]
module = {provider}
pkcs11-module-path = {module}
pkcs11-module-token-pin = file:{home}/pin
pkcs11-module-encode-provider-uri-to-pem = true
pkcs11-module-quirks = no-deinit
activate = 1
"""
PLUGIN = "[chargerd.keys]\ntoken = tests.process.token_keys:TokenKeys\n"
STORY = """
import ssl, sys, threading, socket
from datetime import UTC, datetime
from pathlib import Path
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from agent.io.credentials import Credentials
from agent.io.pki import CSMS_ROOT, Store
from hil.pki import root, issue

home, now = Path(sys.argv[1]), datetime.now(UTC)
maker = root("Operator")
Store(home).install(CSMS_ROOT, maker.pem, 10, False, now)
box = Credentials(home)
key, pem = box.request("Operator", "BENCH-1")
asked = x509.load_pem_x509_csr(pem.encode())
assert asked.is_signature_valid
own = (x509.CertificateBuilder().subject_name(asked.subject).issuer_name(maker.certificate.subject)
       .public_key(asked.public_key()).serial_number(7).not_valid_before(maker.certificate.not_valid_before_utc)
       .not_valid_after(maker.certificate.not_valid_after_utc).sign(maker.key, SHA256()))
name, _ = box.take(own.public_bytes(Encoding.PEM).decode(), key, "BENCH-1", now)
text = (home / "credentials" / f"{name}.key").read_text()
assert "PKCS#11 PROVIDER URI" in text and "PRIVATE" not in text
(home / "server.pem").write_text(issue("csms", maker, ca=False).both)
theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
theirs.load_cert_chain(home / "server.pem")
theirs.load_verify_locations(cadata=maker.pem)
theirs.verify_mode = ssl.CERT_REQUIRED
ours = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
ours.check_hostname = False
ours.load_verify_locations(cadata=maker.pem)
ours.load_cert_chain(home / "credentials" / f"{name}.pem", home / "credentials" / f"{name}.key")
near, far = socket.socketpair()
seen = []
def serve():
    with theirs.wrap_socket(far, server_side=True) as met:
        seen.append(met.getpeercert()["serialNumber"])
        met.send(b"!")
thread = threading.Thread(target=serve)
thread.start()
with ours.wrap_socket(near) as talk:
    assert talk.recv(1) == b"!"
thread.join()
print("server saw", *seen)
"""


@req("A00.FR.402")
def test_a_key_in_a_token_is_made_asked_for_bound_and_used(tmp_path: Path) -> None:
    for what in (SOFTHSM, PROVIDER):
        if not Path(what).exists():
            pytest.skip(f"{what} is missing: SoftHSM2 and OpenSSL's pkcs11-provider (Debian 13) are needed")
    if shutil.which("softhsm2-util") is None:
        pytest.skip("softhsm2-util is missing")
    (tmp_path / "tokens").mkdir()
    (tmp_path / "softhsm2.conf").write_text(f"directories.tokendir = {tmp_path}/tokens\n")
    (tmp_path / "pin").write_text("1234")
    (tmp_path / "openssl.cnf").write_text(CONF.format(provider=PROVIDER, module=SOFTHSM, home=tmp_path))
    plugin = tmp_path / "site" / "oem-1.dist-info"
    plugin.mkdir(parents=True)
    (plugin / "entry_points.txt").write_text(PLUGIN)
    (plugin / "METADATA").write_text("Metadata-Version: 2.1\nName: oem\nVersion: 1\n")
    environment = os.environ | {
        "SOFTHSM2_CONF": str(tmp_path / "softhsm2.conf"), "OPENSSL_CONF": str(tmp_path / "openssl.cnf"),
        "PYTHONPATH": f"{plugin.parent}:{Path.cwd()}",
    }  # fmt: skip
    token = ["softhsm2-util", "--init-token", "--free", "--label", "chargerd", "--pin", "1234", "--so-pin", "12345678"]
    subprocess.run(token, env=environment, check=True, capture_output=True)
    command = [sys.executable, "-c", STORY, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout == "server saw 07\n", done.stderr
