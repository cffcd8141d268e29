"""SFTP servers on loopback, on a loop and thread of their own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator

import asyncssh

from hil.sftp_server import Door, Folder, open_sftp
from tests.io.file_servers import Manners


@contextlib.contextmanager
def serving(folder: Callable[[str], Folder], door: Door) -> Iterator[int]:
    """A server; its port."""
    ready, over = threading.Event(), asyncio.Event()
    loop, ports = asyncio.new_event_loop(), []

    async def serve() -> None:
        async with await open_sftp(folder, door) as server:
            ports.append(server.get_port())
            ready.set()
            await over.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert ready.wait(20)
    try:
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(20)
        loop.close()


class Offered(Folder):
    """One file, given with these manners."""

    def __init__(self, manners: Manners) -> None:
        self._manners = manners
        self._sent = 0

    async def about(self, path: str) -> tuple[int, int]:
        if self._manners.status != 200:
            raise asyncssh.SFTPNoSuchFile("no such file")
        return len(self._manners.content) + self._manners.lies, len(self._manners.tag)

    async def opened(self, path: str) -> None:
        self._manners.asked.append(path)

    async def read(self, path: str, at: int, most: int) -> bytes:
        if not self._sent:
            self._manners.asked.append(str(at))
        manners = self._manners
        if manners.cuts and self._sent >= manners.cuts[0]:
            return await self._breaks_off()
        most = min(most, manners.cuts[0] - self._sent if manners.cuts else 20_000)
        chunk = bytes(20_000) if manners.endless else manners.content[at : at + most]
        self._sent += len(chunk)
        return chunk

    async def _breaks_off(self) -> bytes:
        if self._manners.stalls:
            self._manners.stalled.set()
            await asyncio.Event().wait()
        self._manners.cuts.pop(0)
        self.hang_up()
        return b""
