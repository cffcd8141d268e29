"""A TCP proxy between the agent and the CSMS, to take the network away in the ways in which networks go."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Mode = Literal["open", "cut", "blackhole"]
Death = Literal["half-open", "reset", "fin", "torn to the agent", "torn to the CSMS"]
"""Ends of the open connections only: silence for ever, RST, FIN without a word, RST amid a frame that goes that way."""
TORN_BYTES = 30
"""Shorter chunks are pings and pongs; the next longer one is torn."""


@dataclass(frozen=True)
class Address:
    """A TCP end point."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """From `host:port`; raises ValueError."""
        host, _, port = text.rpartition(":")
        if not host or not port.isdigit() or int(port) > 0xFFFF:
            raise ValueError(f"{text!r} is no address; expected host:port")
        return cls(host, int(port))

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Cutter:
    """Forwards connections to `target`. `cut` resets and refuses; `blackhole` lets nothing pass, in silence.

    What is sent into a black hole stays in the senders' buffers, as with TCP's retransmission, and passes
    after `restore` if the connection still lives then.
    """

    def __init__(self, target: Address, listen: Address) -> None:
        self.target = target
        self.listen = listen
        self.mode: Mode = "open"
        self.connections = 0
        """Connections accepted since the start, refused ones excluded."""
        self.knocks = 0
        """Connections tried since the start."""
        self._server: asyncio.Server | None = None
        self._open = asyncio.Event()
        self._open.set()
        self._pairs: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._stranded: set[asyncio.StreamWriter] = set()
        self._torn: Death | None = None

    async def open(self) -> None:
        """Listen; `listen` tells the real port afterwards."""
        self._server = await asyncio.start_server(self._accept, self.listen.host, self.listen.port)
        self.listen = Address(self.listen.host, self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop listening and drop everything."""
        if self._server is not None:
            self._server.close()
        tasks = list(self._pairs)
        for task in tasks:
            task.cancel()
        self._reset(self._writers)
        await asyncio.gather(*tasks, return_exceptions=True)

    def cut(self) -> None:
        """Reset every connection and refuse new ones."""
        self.mode = "cut"
        self._open.set()
        self._reset(self._writers)

    def blackhole(self) -> None:
        """Let no byte pass any more, and say nothing."""
        self.mode = "blackhole"
        self._open.clear()

    def restore(self) -> None:
        """Forward again."""
        self.mode = "open"
        self._open.set()

    def kill(self, death: Death) -> None:
        """End the connections that are open now; new ones are forwarded at once."""
        if death == "half-open":
            self._stranded |= self._writers
        elif death == "reset":
            self._reset(self._writers)
        elif death == "fin":
            for writer in self._writers:
                writer.close()
        else:
            self._torn = death

    async def vanish(self) -> None:
        """Listen no more and reset what is open: who knocks is refused by TCP itself. `open` listens again."""
        assert self._server is not None
        self._server.close()
        self._reset(self._writers)

    def _reset(self, writers: Iterable[asyncio.StreamWriter]) -> None:
        """End connections with RST instead of FIN."""
        for writer in list(writers):
            peer = writer.get_extra_info("socket")
            if peer is not None:
                with contextlib.suppress(OSError):
                    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.knocks += 1
        self._pairs.add(task)
        self._writers.add(writer)
        try:
            await self._join(reader, writer)
        except (OSError, asyncio.CancelledError):
            self._reset([writer])
        finally:
            self._writers.discard(writer)
            self._pairs.discard(task)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Connect to the target and pump both ways until both have ended."""
        await self._open.wait()
        if self.mode == "cut":
            raise ConnectionResetError
        self.connections += 1
        far_reader, far_writer = await asyncio.open_connection(self.target.host, self.target.port)
        self._writers.add(far_writer)
        try:
            up = self._pump(reader, far_writer, "torn to the CSMS")
            await asyncio.gather(up, self._pump(far_reader, writer, "torn to the agent"))
        finally:
            self._writers.discard(far_writer)
            self._stranded -= {writer, far_writer}
            far_writer.close()
            writer.close()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, tears: Death) -> None:
        while data := await source.read(65_536):
            await self._open.wait()
            if sink in self._stranded:
                continue
            if self._torn == tears and len(data) > TORN_BYTES:
                self._torn = None
                sink.write(data[: len(data) // 2])
                self._reset(self._writers)
                return
            sink.write(data)
            await sink.drain()
        await self._open.wait()
        if sink.can_write_eof() and sink not in self._stranded:
            sink.write_eof()
