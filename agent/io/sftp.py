"""Speaks to SFTP servers that are known by their keys (L01, N01). Loaded for a transfer only, in its thread.

Nothing of the system is read: no configuration, no known hosts, no agent. No key is offered, a password only, and
nothing at all is told to a server before its key was found among those of SecurityCtrlr.SftpHostKeys.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Set
from contextlib import contextmanager
from typing import Any

import asyncssh

from agent.core.urls import Url

READ_CHUNK, WRITE_CHUNK = 256 * 1024, 32 * 1024
HOME = "/~/"
"""A path that begins so is one within the folder that the server puts the user into (as with curl)."""
ALGORITHMS = {
    "kex_algs": (
        "curve25519-sha256", "curve25519-sha256@libssh.org", "ecdh-sha2-nistp256", "ecdh-sha2-nistp384",
        "ecdh-sha2-nistp521", "diffie-hellman-group16-sha512", "diffie-hellman-group18-sha512",
        "diffie-hellman-group14-sha256",
    ),
    "server_host_key_algs": (
        "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "rsa-sha2-512",
        "rsa-sha2-256",
    ),
    "encryption_algs": (
        "chacha20-poly1305@openssh.com", "aes256-gcm@openssh.com", "aes128-gcm@openssh.com", "aes256-ctr",
        "aes192-ctr", "aes128-ctr",
    ),
    "mac_algs": (
        "hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512",
    ),
}  # fmt: skip
"""What OpenSSH 9 offers too, without what rests on SHA-1, 64-bit tags, or the library's rarer ones."""
NOTHING_OF_THE_SYSTEM: dict[str, Any] = {
    "config": None, "known_hosts": ([], [], []), "client_keys": None, "agent_path": None, "x509_trusted_certs": None,
    "x509_trusted_cert_paths": [], "gss_kex": False, "gss_auth": False, "host_based_auth": False,
    "public_key_auth": False, "kbdint_auth": False, "preferred_auth": ["password"], "compression_algs": None,
}  # fmt: skip
STATUSES: tuple[tuple[type[Exception], str], ...] = (
    (asyncssh.PermissionDenied, "PermissionDenied"),
    (asyncssh.SFTPPermissionDenied, "PermissionDenied"),
    (asyncssh.SFTPWriteProtect, "PermissionDenied"),
    (asyncssh.KeyExchangeFailed, "NotSupportedOperation"),
    (asyncssh.ChannelOpenError, "NotSupportedOperation"),
    (asyncssh.SFTPOpUnsupported, "NotSupportedOperation"),
    (asyncssh.ProtocolError, "BadMessage"),
    (asyncssh.ProtocolNotSupported, "BadMessage"),
    (asyncssh.MACError, "BadMessage"),
    (asyncssh.SFTPBadMessage, "BadMessage"),
)


class SftpError(ConnectionError):
    """What went wrong, for people; `status` is an UploadLogStatus."""

    def __init__(self, error: str, status: str = "UploadFailure") -> None:
        super().__init__(error)
        self.status = status


class Session:
    """A server that is known and has let us in. TimeoutError when it is silent for too long."""

    def __init__(self, client: asyncssh.SFTPClient, idle_s: float) -> None:
        self._client = client
        self._idle_s = idle_s

    async def about(self, path: str) -> tuple[int | None, str]:
        """The size of a file, when it is told, and what names its version."""
        attributes = await self._soon(self._client.stat(path))
        return attributes.size, f"{attributes.size} {attributes.mtime}"

    async def read(self, path: str, at: int) -> AsyncIterator[bytes]:
        """The file from `at` on; one request after the other, so that what comes is what stands there."""
        file = await self._soon(self._client.open(path, "rb", encoding=None, block_size=0))
        while chunk := await self._soon(file.read(READ_CHUNK, at)):
            yield bytes(chunk)
            at += len(chunk)

    async def write(self, path: str, content: bytes) -> None:
        """A new file, or another content of one that is there."""
        file = await self._soon(self._client.open(path, "wb", encoding=None, block_size=0))
        for start in range(0, len(content), WRITE_CHUNK):
            await self._soon(file.write(content[start : start + WRITE_CHUNK], start))
        await self._soon(file.close())

    async def _soon(self, answer: Awaitable[Any]) -> Any:
        async with asyncio.timeout(self._idle_s):
            return await answer


def place(url: Url) -> str:
    """The path of a URL as the server gets it: absolute, unless it begins in the user's folder."""
    path = url.file
    return path.removeprefix(HOME) or "." if path.startswith(HOME) else path


def speak(
    line: socket.socket, url: Url, keys: Set[str], idle_s: float, work: Callable[[Session], Awaitable[None]]
) -> None:
    """Do `work` with the server at the other end of `line`. OSError, with SftpError among them, when it fails."""
    asyncio.run(_speak(line, url, keys, idle_s, work))


async def _speak(
    line: socket.socket, url: Url, keys: Set[str], idle_s: float, work: Callable[[Session], Awaitable[None]]
) -> None:
    known = _Known(keys)
    with _plain_errors(known):
        async with asyncio.timeout(idle_s):
            connection = await asyncssh.connect(
                sock=line, client_factory=lambda: known, username=url.user or "anonymous",
                password=url.password or "", **NOTHING_OF_THE_SYSTEM, **ALGORITHMS,
            )  # fmt: skip
        try:
            async with asyncio.timeout(idle_s):
                client = await connection.start_sftp_client()
            await work(Session(client, idle_s))
        finally:
            connection.abort()


class _Known(asyncssh.SSHClient):
    """Judges the key of a server by its fingerprint."""

    def __init__(self, keys: Set[str]) -> None:
        self._keys = keys
        self.stranger = ""

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        found = key.get_fingerprint()
        if found not in self._keys:
            self.stranger = f"{found} ({key.get_algorithm()})"
        return found in self._keys


@contextmanager
def _plain_errors(known: _Known) -> Iterator[None]:
    """The library's errors as ours."""
    try:
        yield
    except asyncssh.HostKeyNotVerifiable as error:
        what = f"its key {known.stranger} is none of SecurityCtrlr.SftpHostKeys" if known.stranger else error.reason
        raise SftpError(what) from None
    except (asyncssh.Error, ValueError) as error:
        status = next((status for kind, status in STATUSES if isinstance(error, kind)), "UploadFailure")
        raise SftpError(str(error) or type(error).__name__, status) from None
