"""An SFTP server for benches and tests on loopback: what a client finds there is a Folder of theirs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import asyncssh

HOME = "/home/user"
"""Where a path without a beginning begins."""


class Folder:
    """One client's view. A method may wait as long as it likes, or `hang_up`."""

    hang_up: Callable[[], None]

    async def opened(self, path: str) -> None:
        """The client wants to read or write a file. Raises asyncssh.SFTPError."""

    async def about(self, path: str) -> tuple[int, int]:
        """Size and time of a file. Raises asyncssh.SFTPError."""
        raise asyncssh.SFTPNoSuchFile(path)

    async def read(self, path: str, at: int, most: int) -> bytes:
        """Some bytes of a file; none at its end."""
        raise asyncssh.SFTPNoSuchFile(path)

    async def write(self, path: str, at: int, content: bytes) -> None:
        """Some bytes more of a new file."""
        raise asyncssh.SFTPPermissionDenied(path)

    async def closed(self, path: str) -> None:
        """The client has done with a file."""


@dataclass
class Door:
    """Who may come in, and what a server has been told by those who knocked."""

    password: str = "x"
    algorithms: dict[str, list[str]] = field(default_factory=dict)
    """Other algorithms than the usual ones, as asyncssh names them."""
    key: asyncssh.SSHKey = field(default_factory=lambda: asyncssh.generate_private_key("ssh-ed25519"))
    told: list[str] = field(default_factory=list)
    """Users, passwords and keys, in the order in which they were told."""

    @property
    def fingerprint(self) -> str:
        """As ssh-keygen -lf prints it."""
        return self.key.get_fingerprint()


async def open_sftp(folder: Callable[[str], Folder], door: Door, host: str = "127.0.0.1") -> asyncssh.SSHAcceptor:
    """Serve; `folder` is made for each user that has come in."""

    def files(channel: asyncssh.SSHServerChannel[bytes]) -> asyncssh.SFTPServer:
        made = folder(channel.get_connection().get_extra_info("username"))
        made.hang_up = channel.get_connection().abort
        return _Files(channel, made)

    return await asyncssh.listen(
        host, 0, config=None, server_factory=lambda: _Server(door), server_host_keys=[door.key], sftp_factory=files,
        **door.algorithms,
    )  # fmt: skip


class _Server(asyncssh.SSHServer):
    def __init__(self, door: Door) -> None:
        self._door = door

    def begin_auth(self, username: str) -> bool:
        self._door.told.append(username)
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        self._door.told.append(password)
        return password == self._door.password

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        self._door.told.append(key.get_fingerprint())
        return False


class _Files(asyncssh.SFTPServer):
    """Files are known by their paths alone."""

    def __init__(self, channel: asyncssh.SSHServerChannel[bytes], folder: Folder) -> None:
        super().__init__(channel)
        self._folder = folder

    async def stat(self, path: bytes) -> asyncssh.SFTPAttrs:
        size, time = await self._folder.about(_whole(path))
        return asyncssh.SFTPAttrs(size=size, mtime=time, atime=time, permissions=0o100644)

    async def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:
        await self._folder.opened(_whole(path))
        return _whole(path)

    async def read(self, file_obj: object, offset: int, size: int) -> bytes:
        return await self._folder.read(str(file_obj), offset, size)

    async def write(self, file_obj: object, offset: int, data: bytes) -> int:
        await self._folder.write(str(file_obj), offset, data)
        return len(data)

    async def close(self, file_obj: object) -> None:
        await self._folder.closed(str(file_obj))


def _whole(path: bytes) -> str:
    text = path.decode()
    return text if text.startswith("/") else f"{HOME}/{text.removeprefix('./')}"
