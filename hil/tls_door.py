"""An address of the CSMS behind TLS: it ends the TLS and forwards what is inside to the CSMS."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import tempfile
from collections.abc import Callable
from pathlib import Path

from hil.cutter import Address
from hil.pki import Made

HOST = "localhost"


class TlsDoor:
    """Listens on a free port. What it shows and wants may change at any time, for the connections that come then."""

    def __init__(self, target: Address, path: str) -> None:
        self._target = target
        self._path = path
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._server: asyncio.Server | None = None
        self._pairs: set[asyncio.Task[None]] = set()
        self.port = 0
        self.knocks = 0
        """Connections tried since the start."""
        self.presented: list[int] = []
        """Serial number of the client's certificate at each handshake that was good; 0 where there was none."""

    @property
    def host(self) -> str:
        return HOST

    @property
    def url(self) -> str:
        return f"wss://{HOST}:{self.port}{self._path}"

    def shows(self, made: Made, *, old: bool = False) -> None:
        """This certificate of the server from now on; `old`: with TLS 1.1 at most."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if old:
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        with tempfile.TemporaryDirectory() as home:
            file = Path(home) / "server.pem"
            file.write_text(made.both)
            context.load_cert_chain(file)
        if self._context.verify_mode is ssl.CERT_REQUIRED:
            context.verify_mode = ssl.CERT_REQUIRED
            for root in self._context.get_ca_certs(binary_form=True):
                context.load_verify_locations(cadata=root)
        self._context = context

    def wants(self, authority: Made) -> None:
        """From now on a client needs a certificate by this authority."""
        self._context.load_verify_locations(cadata=authority.pem)
        self._context.verify_mode = ssl.CERT_REQUIRED

    def drop(self) -> None:
        """End every connection."""
        for pair in self._pairs:
            pair.cancel()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        self.drop()
        await asyncio.gather(*self._pairs, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.knocks += 1
        task = asyncio.current_task()
        assert task is not None
        self._pairs.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.start_tls(self._context)
                certificate = writer.get_extra_info("ssl_object").getpeercert()
                self.presented.append(int(certificate["serialNumber"], 16) if certificate else 0)
                await self._forward(reader, writer)
        finally:
            self._pairs.discard(task)
            writer.transport.abort()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inside, out = await asyncio.open_connection(self._target.host, self._target.port)
        ways = [asyncio.create_task(_pump(reader, out)), asyncio.create_task(_pump(inside, writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            out.transport.abort()


class SafeDoor:
    """A door that a scenario's thread may use: `do` runs something on the loop and waits for it."""

    def __init__(self, door: TlsDoor, do: Callable[[Callable[[], object]], None]) -> None:
        self._door = door
        self._do = do
        self.host, self.url = door.host, door.url

    @property
    def knocks(self) -> int:
        return self._door.knocks

    @property
    def presented(self) -> list[int]:
        return self._door.presented

    def shows(self, made: Made, *, old: bool = False) -> None:
        self._do(lambda: self._door.shows(made, old=old))

    def wants(self, authority: Made) -> None:
        self._do(lambda: self._door.wants(authority))

    def drop(self) -> None:
        self._do(self._door.drop)


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
