"""Which file servers this station speaks to (L01, N01), and how it knows an SSH server.

OCPP gives a station no way to learn the key of an SSH server. So SFTP is off until somebody says which keys are good:
FileTransferProtocols follows SecurityCtrlr.SftpHostKeys.
"""

from __future__ import annotations

from typing import Any

from agent.core.site import Site
from agent.core.urls import Url, checked_url
from config_keys.comm import FILE_TRANSFER_PROTOCOLS
from config_keys.security import SFTP_HOST_KEYS
from config_keys.values import Refusal, Values

SFTP = "SFTP"
NO_LIBRARY = "this station has no library for SFTP (pip install 'chargerd[sftp]')"
NO_HOST_KEY = f"sftp needs the fingerprint of the server's key in {SFTP_HOST_KEYS.name} (ssh-keygen -lf)"


def fit(site: Site, keys: Values) -> list[str]:
    """At the start: a station without the library has no SFTP at all; complaints name what was chosen in vain."""
    complaints = []
    if not site.sftp:
        without = [protocol for protocol in FILE_TRANSFER_PROTOCOLS.type.values_list if protocol != SFTP]
        complaints += keys.narrow(FILE_TRANSFER_PROTOCOLS, values=without)
        if keys[SFTP_HOST_KEYS]:
            complaints.append(f"{SFTP_HOST_KEYS.name}: {NO_LIBRARY}")
        keys.lock(SFTP_HOST_KEYS, NO_LIBRARY)
    follow(keys)
    return complaints


def follow(keys: Values) -> None:
    """SFTP is among the protocols of this station while there are keys to know a server by."""
    possible = keys.type_of(FILE_TRANSFER_PROTOCOLS).parse(keys.factory_text(FILE_TRANSFER_PROTOCOLS))
    known = bool(keys[SFTP_HOST_KEYS])
    keys.put(FILE_TRANSFER_PROTOCOLS, tuple(protocol for protocol in possible if known or protocol != SFTP))


def allowed_url(url: str, keys: Values) -> Url | Refusal:
    """The parts of a URL that this station may use now; a Refusal says what would have to be set."""
    protocols = keys[FILE_TRANSFER_PROTOCOLS]
    if url[:5].lower() == "sftp:" and SFTP not in protocols:
        if not keys.is_writable(SFTP_HOST_KEYS):
            return Refusal("InvalidURL", NO_LIBRARY)
        if not keys[SFTP_HOST_KEYS]:
            return Refusal("InvalidURL", NO_HOST_KEY)
    return checked_url(url, protocols)


def servers(keys: Values) -> dict[str, Any]:
    """What a worker has to know of the servers it may speak to: protocols, host_keys."""
    return {"protocols": sorted(keys[FILE_TRANSFER_PROTOCOLS]), "host_keys": keys[SFTP_HOST_KEYS]}


def host_keys(text: str, host: str) -> frozenset[str]:
    """The fingerprints in a value of SftpHostKeys by which `host` is known: its own, else those of any server."""
    entries = [entry.strip().rpartition("=") for entry in text.split(",")]
    own = frozenset(key for name, _, key in entries if name.lower() == host.lower())
    return own or frozenset(key for name, _, key in entries if key and not name)
