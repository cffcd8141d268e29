"""Roots of the CSMS that an installer brings along, and what the certificate store holds at a start.

Read at every start, so neither X.509 nor `cryptography` is needed: a certificate is known by the hash of its bytes.
"""

from __future__ import annotations

import hashlib
import os
import re
import ssl
from collections.abc import Mapping
from pathlib import Path

from agent.core.certificates import CSMS_ROOTS, ENTRIES, FALLBACK_ROOT, FALLBACKS, ROOT

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def provision(state_dir: Path, root_file: Path | None) -> Mapping[str, int]:
    """Take the file's roots where the store has none of the CSMS yet, and count what there is.

    Raises OSError when the file cannot be read, and ValueError when there is no certificate in it.
    """
    home = state_dir / "certificates"
    if root_file is not None and not any((home / ROOT).glob("*.pem")):
        _take(root_file, home / ROOT)
    counts = {path.name: len(list(path.glob("*.pem"))) for path in home.glob("*")}
    fallbacks = counts.get(FALLBACK_ROOT, 0)
    roots = counts.get(ROOT, 0) + fallbacks
    return {ENTRIES: sum(counts.values()), CSMS_ROOTS: roots, FALLBACKS: fallbacks}


def _take(source: Path, home: Path) -> None:
    found = _PEM.findall(source.read_text("ascii"))
    if not found:
        raise ValueError(f"{source}: no certificate in PEM is in it")
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    for pem in found:
        name = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
        handle = os.open(home / f"{name}.pem", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(pem + "\n")
            file.flush()
            os.fsync(handle)
