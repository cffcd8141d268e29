"""Servers that take files, over HTTP, FTP and SFTP, in a good or one of many bad moods, and give some over HTTP.

For benches on loopback only.

The mood is the first part of an HTTP path, or the name of the FTP or SFTP user.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncssh import SSHAcceptor

    from hil.sftp_server import Door

BODY_MOST = 64 * 1024 * 1024
GIVEN_IN = 20
"""Parts in which a file is sent."""
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Taken:
    """A file that has arrived: how, where, and what came with it."""

    how: str
    path: str
    content: bytes
    fields: dict[str, str] = field(default_factory=dict)


class FileServer:
    """Keeps in memory what it is given. `open` and `close` on the loop it lives on."""

    def __init__(self) -> None:
        self.taken: list[Taken] = []
        self.offered: dict[str, tuple[bytes, float]] = {}
        """What can be fetched, by path, and for how many seconds it is on its way."""
        self._servers: list[asyncio.Server | SSHAcceptor] = []
        self._clients: set[asyncio.Task[None]] = set()

    async def open_http(self, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> int:
        """Serve HTTP; returns the port."""
        return await self._open(self._http, host, tls)

    async def open_ftp(self, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> int:
        """Serve FTP, with AUTH TLS where there is `tls`; returns the port."""
        return await self._open(lambda reader, writer: _FtpSession(self, (reader, writer), tls).run(), host, None)

    async def open_sftp(self, door: Door, host: str = "127.0.0.1") -> int:
        """Serve SFTP to whom this door lets in; returns the port."""
        from hil.sftp_moods import Incoming
        from hil.sftp_server import open_sftp

        server = await open_sftp(lambda user: Incoming(self.taken, user), door, host)
        self._servers.append(server)
        return server.get_port()

    async def _open(
        self,
        serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
        host: str,
        tls: ssl.SSLContext | None,
    ) -> int:
        async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._clients.add(task)
            try:
                await serve(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, ssl.SSLError):
                pass
            finally:
                self._clients.discard(task)
                writer.close()

        server = await asyncio.start_server(client, host, 0, ssl=tls)
        self._servers.append(server)
        port: int = server.sockets[0].getsockname()[1]
        return port

    async def close(self) -> None:
        """Stop serving and end every client."""
        for server in self._servers:
            server.close()
        for client in list(self._clients):
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)

    # ------------------------------------------------------------------------------------------ HTTP

    async def _http(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ")
        if method == "GET":
            return await self._give(path, writer)
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        mood = path.split("/")[1]
        answer = await _moody(mood, method, (reader, writer))
        if answer is None:
            body = await reader.readexactly(min(int(fields.get("content-length", 0)), BODY_MOST))
            self.taken.append(Taken(method, path, body, fields))
            answer = "201 Created"
        writer.write(f"HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()

    async def _give(self, path: str, writer: asyncio.StreamWriter) -> None:
        content, seconds = self.offered.get(path, (b"", 0.0))
        status = "200 OK" if path in self.offered else "404 Not Found"
        length = f"Content-Length: {len(content)}"
        writer.write(f"HTTP/1.1 {status}\r\n{length}\r\nConnection: close\r\n\r\n".encode())
        part = len(content) // GIVEN_IN + 1
        for start in range(0, len(content), part):
            writer.write(content[start : start + part])
            await writer.drain()
            await asyncio.sleep(seconds / GIVEN_IN)


REFUSALS = {"missing": "404 Not Found", "forbidden": "403 Forbidden", "broken": "503 Service Unavailable",
            "strict": "400 Bad Request", "moved": "302 Found\r\nLocation: http://127.0.0.1:1/"}  # fmt: skip


async def _moody(mood: str, method: str, stream: Stream) -> str | None:
    """What a server in a bad mood does; None in a good one, or the answer that it gives."""
    reader, writer = stream
    if mood == "stalls":
        await asyncio.Event().wait()
    if mood == "cuts":
        await reader.read(1000)
        writer.transport.abort()
        raise ConnectionError
    if mood == "babbles":
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
    if mood == "floods":
        with suppress(ConnectionError):
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()
    if mood == "no-put" and method == "PUT":
        return "405 Method Not Allowed"
    if mood == "read-only":
        return "405 Method Not Allowed"
    return REFUSALS.get(mood)


class _FtpSession:
    """One client of the FTP server."""

    def __init__(self, server: FileServer, stream: Stream, tls: ssl.SSLContext | None) -> None:
        self._server = server
        self._reader, self._writer = stream
        self._tls = tls
        self._user, self._folder, self._private = "", "", False
        self._arrived: asyncio.Future[bytes] | None = None
        self._data: asyncio.Server | None = None

    async def run(self) -> None:
        """Answer until the client goes."""
        await self._say("220 bench")
        while line := await self._reader.readline():
            verb, _, text = line.decode("latin-1").strip().partition(" ")
            if verb.upper() == "QUIT":
                return await self._say("221 bye")
            act = getattr(self, f"do_{verb.lower()}", None)
            await (act(text) if act else self._say("502 not implemented"))

    async def _say(self, line: str) -> None:
        self._writer.write(f"{line}\r\n".encode())
        await self._writer.drain()

    async def do_auth(self, text: str) -> None:
        if self._tls is None:
            return await self._say("502 no TLS here")
        await self._say("234 go ahead")
        await self._writer.start_tls(self._tls)

    async def do_user(self, text: str) -> None:
        self._user = text
        if text == "stalls":
            await asyncio.Event().wait()
        while text == "floods":
            await self._say("331-more")
        await self._say("530 no" if text == "forbidden" else "331 password")

    async def do_pass(self, text: str) -> None:
        await self._say("230 welcome")

    async def do_pbsz(self, text: str) -> None:
        await self._say("200 ok")

    async def do_prot(self, text: str) -> None:
        self._private = text == "P"
        await self._say("200 ok")

    async def do_type(self, text: str) -> None:
        await self._say("200 ok")

    async def do_cwd(self, text: str) -> None:
        self._folder = f"{self._folder}/{text}".lstrip("/")
        await self._say("550 no such folder" if "missing" in text else "250 ok")

    async def do_pasv(self, text: str) -> None:
        """The address that is told is a stranger's: a client has to take the one that it speaks to."""
        self._arrived = asyncio.get_running_loop().create_future()
        tls = self._tls if self._private else None
        self._data = await asyncio.start_server(self._take, "127.0.0.1", 0, ssl=tls)
        port = self._data.sockets[0].getsockname()[1]
        await self._say(f"227 passive (192,0,2,1,{port // 256},{port % 256})")

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert self._arrived is not None and self._data is not None
        self._data.close()
        content = await reader.read(1000) if self._user == "cuts" else await reader.read()
        writer.close()
        if not self._arrived.done():
            self._arrived.set_result(content)

    async def do_stor(self, text: str) -> None:
        if self._arrived is None:
            return await self._say("425 no data connection")
        await self._say("150 go on")
        content = await self._arrived
        if self._user == "cuts":
            self._writer.transport.abort()
            raise ConnectionError
        self._server.taken.append(Taken("STOR", f"{self._folder}/{text}".lstrip("/"), content, {"user": self._user}))
        await self._say("226 stored")
