"""chargerctl fw: what runs, an update from a file, and the way back."""

from __future__ import annotations

import argparse
import base64
from pathlib import Path
from typing import Any

from agent import cli_screens as screens
from agent.cli_failure import USAGE, Failure

SIGNED_MOST = 64 * 1024


def add(fw: Any, verb: Any) -> None:
    """Add the commands."""
    verb(fw, "status", "what runs, and how the last update went", "fw.status", screens.pairs)
    install = verb(fw, "install", "install a file that lies on this board", "fw.install", screens.pairs)
    install.add_argument("file", metavar="FILE", help="where chargerd can read it, too: /srv, a memory stick")
    install.add_argument("--certificate", metavar="PEM", help="of who has signed it (FILE.pem, when it is there)")
    install.add_argument("--signature", metavar="SIG", help="base64 or binary (FILE.sig, when it is there)")
    install.set_defaults(read=_signed)
    verb(fw, "rollback", "start the firmware before this one", "fw.rollback", screens.pairs)


def _signed(options: argparse.Namespace) -> None:
    """Certificate and signature travel as a CSMS would send them. Raises Failure when one cannot be read."""
    file = Path(options.file).absolute()
    options.file = str(file)
    certificate = _content(options.certificate, file.with_name(f"{file.name}.pem"))
    signature = _content(options.signature, file.with_name(f"{file.name}.sig"))
    options.certificate = None if certificate is None else certificate.decode("ascii", "replace")
    options.signature = None if signature is None else _base64(signature)


def _content(named: str | None, beside: Path) -> bytes | None:
    if named is None and not beside.is_file():
        return None
    path = beside if named is None else Path(named)
    try:
        with path.open("rb") as file:
            return file.read(SIGNED_MOST)
    except OSError as error:
        raise Failure(USAGE, f"{path}: {error.strerror}") from None


def _base64(signature: bytes) -> str:
    try:
        return base64.b64encode(base64.b64decode(b"".join(signature.split()), validate=True)).decode()
    except ValueError:
        return base64.b64encode(signature).decode()
