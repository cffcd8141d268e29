"""From exec to the BootNotification frame on the wire, seen by a listener that parses nothing it need not."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import statistics
import sys
import time

from benchmarks.figures import Figure, spread
from benchmarks.process import peak_rss_mb
from benchmarks.workbench import Workbench, workbench

RUNS = 15
FLOOR = "import asyncio, sqlite3, websockets.asyncio.client; import os; os._exit(0)"
"""What any such agent loads at least; a start is judged by its ratio to this, since machines differ."""
RATIO = 1.4
"""DESIGN.md section 7: 120 ms where that floor is 85."""
WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
MASKED = 0x80


class Listener:
    """A websocket server of one page: `frames` gets the text of the first frame of every connection."""

    def __init__(self) -> None:
        self.frames: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def start(self) -> int:
        """Listen on a free port; returns it."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        lines = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
        key = next(value for name, value in lines.items() if name.lower() == b"sec-websocket-key")
        accept = base64.b64encode(hashlib.sha1(key + WEBSOCKET_GUID).digest())
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\nSec-WebSocket-Protocol: ocpp2.0.1\r\n\r\n"
        )
        text = await _frame(reader)
        self.frames.put_nowait((time.perf_counter(), text))
        await reader.read()
        writer.close()


async def _frame(reader: asyncio.StreamReader) -> bytes:
    """The payload of one masked frame of less than 64 KiB (RFC 6455, 5.2)."""
    _, length = await reader.readexactly(2)
    assert length & MASKED, "a client's frame is masked"
    size = length & ~MASKED
    if size == 126:
        size = int.from_bytes(await reader.readexactly(2))
    mask = await reader.readexactly(4)
    payload = await reader.readexactly(size)
    return bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


async def _start(bench: Workbench, listener: Listener) -> tuple[float, float]:
    """One start: milliseconds until the frame, and the memory used until then (MB)."""
    began = time.perf_counter()
    bench.start_agent()
    arrived, text = await asyncio.wait_for(listener.frames.get(), 30)
    memory = peak_rss_mb(bench.pid)
    bench.kill_agent()
    assert b'"BootNotification"' in text, f"the first frame was {text!r}"
    return 1000 * (arrived - began), memory


async def _floor() -> float:
    """Milliseconds from exec until Python has loaded an event loop, websockets and SQLite."""
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", FLOOR)
    await process.wait()
    return 1000 * (time.perf_counter() - began)


async def measure() -> list[Figure]:
    """15 starts on a store that exists, after one that makes it and warms the caches; the floor in between."""
    listener = Listener()
    async with workbench() as bench:
        bench.point_at(await listener.start())
        await _start(bench, listener)
        starts = [(*await _start(bench, listener), await _floor()) for _ in range(RUNS)]
    times, memory, floor = zip(*starts, strict=True)
    ratio = statistics.median(times) / statistics.median(floor)
    return [
        *spread("start: exec to BootNotification on the wire", times, "ms", p50=120),
        *spread("start: asyncio, websockets and sqlite3 alone", floor, "ms"),
        Figure("start: ratio of the medians", ratio, "", RUNS, below=RATIO),
        Figure("start: RSS at that moment", max(memory), "MB", RUNS),
    ]
