"""Firmware files for benches and tests: releases (agent/io/releases.py), and signatures over anything."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from base64 import b64encode
from collections.abc import Iterable, Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.hashes import SHA256

from agent.io.releases import Releases
from hil.pki import Made

SOURCES = Path(__file__).resolve().parents[1]
PACKAGES = ("agent", "config_keys", "hal", "state_machines")
LAUNCHER = SOURCES / "systemd" / "chargerd-launch"
RELEASES, HARDWARE = "releases", "bench"
"""Where a bench keeps the agent's releases, and what it calls itself."""
START = """#!/bin/sh
here=$(dirname "$(dirname "$(readlink -f "$0")")")
PYTHONPATH="$here" exec "${CHARGERD_PYTHON:-python3}" -P -m agent "$@"
"""
TREE = """#!/bin/sh
PYTHONPATH={sources} exec "${{CHARGERD_PYTHON:-python3}}" -P -c '{first}
from agent.app import main
raise SystemExit(main())' "$@"
"""
DEAD = "#!/bin/sh\nexit 1\n"
DEAF = """
import agent.io.dial
async def dial(*args, **options):
    raise OSError("this firmware finds no CSMS")
agent.io.dial.dial = dial
"""


def signature(content: bytes, signer: Made) -> str:
    """As it goes into UpdateFirmwareRequest: base64 of RSA-PSS or ECDSA, over SHA-256."""
    if isinstance(signer.key, ec.EllipticCurvePrivateKey):
        return b64encode(signer.key.sign(content, ec.ECDSA(SHA256()))).decode()
    pss = padding.PSS(padding.MGF1(SHA256()), padding.PSS.DIGEST_LENGTH)
    return b64encode(signer.key.sign(content, pss, SHA256())).decode()


def release(version: str, files: Mapping[str, bytes], hardware: Iterable[str] = ()) -> bytes:
    """A release of these files; those in `bin` can be executed."""
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    about = json.dumps({"version": version, "hardware": list(hardware), "files": digests}).encode()
    return tar({"release.json": about, **files})


def tar(files: Mapping[str, bytes]) -> bytes:
    """A tar.gz with just these files, in this order."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz", compresslevel=1) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o755 if name.startswith("bin/") else 0o644
            archive.addfile(member, io.BytesIO(content))
    return target.getvalue()


def small(version: str = "2.0", hardware: Iterable[str] = ()) -> bytes:
    """A release that is quickly made and never started."""
    return release(version, {"bin/chargerd": DEAD.encode(), "agent/__init__.py": b""}, hardware)


def this_tree(version: str = "0.1.0", *, deaf: bool = False, dead: bool = False) -> bytes:
    """A release that starts the agent of this very tree; `deaf` never finds a CSMS, `dead` does not even start."""
    start = TREE.format(sources=SOURCES, first=DEAF if deaf else "")
    return release(version, {"bin/chargerd": (DEAD if dead else start).encode()}, [HARDWARE])


def agent_release(version: str) -> bytes:
    """The agent of this tree as a release of its own."""
    files = {"bin/chargerd": START.encode()}
    for package in PACKAGES:
        for path in sorted((SOURCES / package).rglob("*")):
            if path.is_file() and path.suffix in (".py", ".toml"):
                files[str(path.relative_to(SOURCES))] = path.read_bytes()
    system = files["agent/io/system.py"].decode()
    line = next(line for line in system.splitlines() if line.startswith("VERSION = "))
    files["agent/io/system.py"] = system.replace(line, f'VERSION = "{version}"').encode()
    return release(version, files, [HARDWARE])


def place(home: Path, content: bytes) -> None:
    """Make this release the one that runs."""
    box = Releases({"home": str(home)})
    home.mkdir(parents=True, exist_ok=True)
    image = home / "first"
    image.write_bytes(content)
    placed = box.install(image, "0", downgrade=False)
    image.unlink()
    box.switch(placed.place)
    box.confirm(placed.place)
