"""What becomes of files that are brought by SFTP: taken, or not, by the name of the user."""

from __future__ import annotations

import asyncio
from collections import defaultdict

import asyncssh

from hil.file_server import Taken
from hil.sftp_server import Folder


class Incoming(Folder):
    """Takes files in the mood that the user's name says."""

    def __init__(self, taken: list[Taken], user: str) -> None:
        self._taken = taken
        self._user = user
        self._content: dict[str, bytes] = defaultdict(bytes)

    async def opened(self, path: str) -> None:
        if self._user == "forbidden":
            raise asyncssh.SFTPPermissionDenied("not for you")
        if "missing" in path:
            raise asyncssh.SFTPNoSuchFile("no such folder")
        if self._user == "read-only":
            raise asyncssh.SFTPOpUnsupported("nothing can be written here")

    async def write(self, path: str, at: int, content: bytes) -> None:
        if self._user == "stalls":
            await asyncio.Event().wait()
        if self._user == "cuts":
            self.hang_up()
        if self._user == "full":
            raise asyncssh.SFTPNoSpaceOnFilesystem("no room")
        self._content[path] = self._content[path][:at] + content

    async def closed(self, path: str) -> None:
        content = self._content.pop(path, None)
        if content is not None and self._user != "cuts":
            self._taken.append(Taken("SFTP", path, content, {"user": self._user}))
