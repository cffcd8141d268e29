"""Where a CSMS wants a file fetched from or brought to (L01, N01): only places on the network, never a local file."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from config_keys.values import Refusal

PORTS = {"http": 80, "https": 443, "ftp": 21, "ftps": 21, "sftp": 22}
"""The schemes there are at all, with their ports; ftps is FTP with TLS on the ordinary port (RFC 4217)."""
_SHAPE = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://"
    r"(?:(?P<user>[^/@:?#\\]*)(?::(?P<password>[^/@?#]*))?@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^/@:?#\[\]\\]+)(?::(?P<port>\d{1,5}))?"
    r"(?P<path>/[^?#]*)?(?P<query>\?[^#]*)?(?:#.*)?"
)


class Url(NamedTuple):
    """A checked address. `path` and `query` are as they were written; user, password and host are plain text."""

    scheme: str
    host: str
    port: int
    path: str
    query: str = ""
    user: str | None = None
    password: str | None = None

    @property
    def text(self) -> str:
        """The address without the secret part, for logs and for a request's line."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.path}"

    @property
    def file(self) -> str:
        """The path as a file server knows it, decoded."""
        return decoded(self.path)

    def __repr__(self) -> str:
        return f"Url({self.text!r})"


def checked_url(url: str, protocols: Iterable[str]) -> Url | Refusal:
    """The parts of a URL that names a server and one of `protocols` (members of FileTransferProtocols).

    Anything else is a Refusal with OCPP's InvalidURL: other schemes, no host, a bad port, control characters,
    plain or encoded (they would be commands to an FTP server).
    """
    found = _SHAPE.fullmatch(url)
    allowed = {protocol.lower() for protocol in protocols}
    if found is None:
        return Refusal("InvalidURL", "expected scheme://host/path")
    scheme = found["scheme"].lower()
    if scheme not in allowed or scheme not in PORTS:
        return Refusal("InvalidURL", f"{scheme[:20]} is none of {', '.join(sorted(allowed))}")
    port = int(found["port"] or PORTS[scheme])
    if not 0 < port < 65536:
        return Refusal("InvalidURL", f"there is no port {port}")
    plain = [decoded(part) if part is not None else None for part in (found["user"], found["password"])]
    host = found["host"].strip("[]")
    if scheme == "sftp" and ".." in decoded(found["path"] or "/").split("/"):
        return Refusal("InvalidURL", "no path leads upwards (..)")
    if " " in url or any(_is_rough(part) for part in (url, decoded(found["path"] or "/"), *plain) if part):
        return Refusal("InvalidURL", "blanks have to be encoded, and no name has control characters")
    return Url(scheme, host, port, found["path"] or "/", found["query"] or "", *plain)


def decoded(text: str) -> str:
    """Percent-encoded text as plain text (UTF-8; what is none is replaced)."""
    raw = re.sub(rb"%([0-9A-Fa-f]{2})", lambda found: bytes([int(found[1], 16)]), text.encode())
    return raw.decode("utf-8", "replace")


def _is_rough(text: str) -> bool:
    """Whether there are characters that no name of a file, user or host can have."""
    return any(ord(char) < 32 or ord(char) == 127 for char in text)
