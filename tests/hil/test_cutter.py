"""The network between agent and CSMS: cut, black hole, restored."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from hil.cutter import Address, Cutter


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1000):
        writer.write(data)
    writer.close()


@asynccontextmanager
async def network() -> AsyncIterator[Cutter]:
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    cutter = Cutter(Address(*server.sockets[0].getsockname()[:2]), Address("127.0.0.1", 0))
    await cutter.open()
    try:
        yield cutter
    finally:
        await cutter.close()
        server.close()


async def connect(cutter: Cutter) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(cutter.listen.host, cutter.listen.port)


def test_it_forwards_and_passes_the_end_on() -> None:
    async def story() -> None:
        async with network() as cutter:
            reader, writer = await connect(cutter)
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
            writer.write_eof()
            assert await reader.read() == b""
            writer.close()

    asyncio.run(story())


def test_a_cut_resets_what_is_open_and_what_comes() -> None:
    async def story() -> None:
        async with network() as cutter:
            reader, writer = await connect(cutter)
            writer.write(b"hello")
            await reader.readexactly(5)
            cutter.cut()
            with pytest.raises(ConnectionResetError):
                await reader.read(1)
            late, _ = await connect(cutter)
            with pytest.raises(ConnectionResetError):
                await late.read(1)
            cutter.restore()
            reader, writer = await connect(cutter)
            writer.write(b"again")
            assert await reader.readexactly(5) == b"again"
            writer.close()

    asyncio.run(story())


def test_a_black_hole_is_silent_and_loses_nothing_of_a_connection_that_survives() -> None:
    async def story() -> None:
        async with network() as cutter:
            reader, writer = await connect(cutter)
            writer.write(b"hello")
            await reader.readexactly(5)
            cutter.blackhole()
            writer.write(b"lost?")
            new_reader, new_writer = await connect(cutter)
            new_writer.write(b"new")
            for silent in (reader, new_reader):
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(silent.read(1), 0.1)
            cutter.restore()
            assert await reader.readexactly(5) == b"lost?"
            assert await new_reader.readexactly(3) == b"new"
            writer.close()
            new_writer.close()

    asyncio.run(story())


@pytest.mark.parametrize("text", ["", "9000", "host:", "host:x", ":1", "h:70000"])
def test_addresses_are_checked(text: str) -> None:
    with pytest.raises(ValueError, match="host:port"):
        Address.parse(text)
