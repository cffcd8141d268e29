"""The link against a real websocket server on loopback: what opens, what does not, and why it ended."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import http
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from agent.core.effects import Connect, Disconnect, Say, SetPing
from agent.core.events import Event, FrameReceived, LinkDown, LinkUp
from agent.io.dial import address
from agent.io.link import Link
from tests.io.waiting import until
from tests.marks import req

Ending = TypeVar("Ending", LinkUp, LinkDown)
NOWHERE = Path("no certificates")
Talk = Callable[[ServerConnection], Awaitable[None]]


class Csms:
    """A server that records what it receives and lets each test say what it does."""

    def __init__(self) -> None:
        self.port = 0
        self.requests: list[Request] = []
        self.frames: list[str | bytes] = []
        self.peers: list[ServerConnection] = []
        self.endings: list[tuple[int | None, str | None]] = []

    async def listen(self, peer: ServerConnection) -> None:
        self.peers.append(peer)
        with contextlib.suppress(Exception):
            async for frame in peer:
                self.frames.append(frame)
        self.endings.append((peer.close_code, peer.close_reason))


class Side:
    """The agent's side: the link and what it emitted."""

    def __init__(self, port: int, home: Path = NOWHERE, **timing: Any) -> None:
        self.events: list[Event] = []
        self.seen: list[tuple[str, int, str]] = []
        self.port = port
        self.link = Link(self.events.append, lambda *frame: self.seen.append(frame), home, **timing)

    def connect(self, number: int = 1, **fields: Any) -> None:
        values: dict[str, Any] = {"url": f"ws://127.0.0.1:{self.port}/ocpp", "identity": "CD-0001", **fields}
        self.link.execute(Connect(number, **values))

    async def up(self, number: int = 1) -> LinkUp:
        await until(lambda: self._of(LinkUp, number))
        return self._of(LinkUp, number)[0]

    async def down(self, number: int = 1) -> LinkDown:
        await until(lambda: self._of(LinkDown, number))
        return self._of(LinkDown, number)[0]

    def _of(self, kind: type[Ending], number: int) -> list[Ending]:
        return [e for e in self.events if isinstance(e, kind) and e.connection == number]


@contextlib.asynccontextmanager
async def csms(talk: Talk | None = None, **options: Any) -> AsyncIterator[Csms]:
    server = Csms()

    async def note(_: ServerConnection, request: Request) -> Response | None:
        server.requests.append(request)
        return None

    options = {"process_request": note, "close_timeout": 0.1, **options}
    options.setdefault("subprotocols", [Subprotocol("ocpp2.0.1")])
    async with serve(talk or server.listen, "127.0.0.1", 0, **options) as listening:
        server.port = listening.sockets[0].getsockname()[1]
        yield server


@req("A00.FR.202", "A00.FR.204")
def test_it_opens_with_identity_credentials_and_subprotocol_and_carries_frames_in_order() -> None:
    async def story() -> None:
        async with csms() as server:
            side = Side(server.port)
            side.connect(identity="CD 1/ä", password="p:w%1")
            assert await side.up() == LinkUp(1, "ocpp2.0.1")
            request = server.requests[0]
            assert request.path == "/ocpp/CD%201%2F%C3%A4"
            assert "User-Agent" not in request.headers
            token = request.headers["Authorization"].removeprefix("Basic ")
            assert base64.b64decode(token).decode() == "CD 1/ä:p:w%1"
            for n in range(200):
                side.link.execute(Say(1, f"[2,{n}]"))
            await until(lambda: len(server.frames) == 200)
            assert server.frames == [f"[2,{n}]" for n in range(200)]
            await server.peers[0].send("[3,1]")
            await until(lambda: FrameReceived(1, "[3,1]") in side.events)
            assert side.seen[-1] == ("<", 1, "[3,1]")
            assert side.seen[0] == (">", 1, "[2,0]")
            side.link.execute(Say(1, "last"))
            side.link.execute(Disconnect(1, "new profile"))
            assert await side.down() == LinkDown(1, "new profile")
            await until(lambda: server.endings)
            assert server.frames[-1] == "last"
            assert server.endings == [(1000, "new profile")]

    asyncio.run(story())


def test_without_a_password_no_credentials_are_sent() -> None:
    async def story() -> None:
        async with csms() as server:
            side = Side(server.port)
            side.connect()
            await side.up()
            assert "Authorization" not in server.requests[0].headers
            await side.link.close()
            assert await side.down() == LinkDown(1, "agent stops")

    asyncio.run(story())


@pytest.mark.parametrize("offered", [True, False])
def test_compression_is_offered_as_told(offered: bool) -> None:
    async def story() -> None:
        async with csms() as server:
            side = Side(server.port)
            side.connect(compression=offered)
            await side.up()
            extensions = server.requests[0].headers.get("Sec-WebSocket-Extensions", "")
            assert ("permessage-deflate" in extensions) is offered
            assert [e.name for e in server.peers[0].protocol.extensions] == ["permessage-deflate"] * offered
            side.link.execute(Say(1, "[2,1]" * 100))
            await until(lambda: server.frames == ["[2,1]" * 100])
            await side.link.close()

    asyncio.run(story())


def test_the_identity_goes_into_the_path_before_any_query() -> None:
    assert address("wss://h:1/a/?x=1", "CP 1") == "wss://h:1/a/CP%201?x=1"
    assert address("ws://h", "CP1") == "ws://h/CP1"


def test_a_server_without_our_subprotocol_is_left() -> None:
    async def story() -> None:
        async with csms(subprotocols=None) as server:
            side = Side(server.port)
            side.connect()
            down = await side.down()
            assert "server chose no subprotocol" in down.reason
            await until(lambda: server.endings)
            assert server.endings[0][0] == 1002
            assert not [e for e in side.events if isinstance(e, LinkUp)]

    asyncio.run(story())


def test_a_server_that_chooses_another_subprotocol_is_left() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        key = next(line.split(": ")[1] for line in head.split("\r\n") if line.startswith("Sec-WebSocket-Key"))
        from websockets.utils import accept_key

        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: "
            + accept_key(key).encode()
            + b"\r\nSec-WebSocket-Protocol: ocpp1.6\r\n\r\n"
        )
        await reader.read()
        writer.close()

    async def story() -> None:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            side = Side(server.sockets[0].getsockname()[1])
            side.connect()
            assert "server chose other subprotocol" in (await side.down()).reason

    asyncio.run(story())


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_a_refusal_tells_its_http_status(status: int) -> None:
    def refuse(peer: ServerConnection, _: Request) -> Response:
        return peer.respond(http.HTTPStatus(status), "no\n")

    async def story() -> None:
        async with csms(process_request=refuse) as server:
            side = Side(server.port)
            side.connect()
            down = await side.down()
            assert down.status == status
            assert down.reason == f"HTTP {status} {http.HTTPStatus(status).phrase}"

    asyncio.run(story())


def test_a_redirect_is_not_followed() -> None:
    asked: list[str] = []

    def redirect(peer: ServerConnection, request: Request) -> Response:
        asked.append(request.path)
        response = peer.respond(http.HTTPStatus.FOUND, "")
        response.headers["Location"] = "/elsewhere"
        return response

    async def story() -> None:
        async with csms(process_request=redirect) as server:
            side = Side(server.port)
            side.connect()
            down = await side.down()
            assert (down.status, len(asked)) == (302, 1)
            assert "not followed" in down.reason

    asyncio.run(story())


def test_a_closing_by_the_csms_tells_code_and_reason_and_a_drop_says_so() -> None:
    async def story() -> None:
        async with csms() as server:
            side = Side(server.port)
            side.connect(1)
            await side.up(1)
            await server.peers[0].close(1012, "restart")
            assert (await side.down(1)).reason == "closed by the CSMS: 1012 restart"
            side.connect(2)
            await side.up(2)
            server.peers[1].transport.abort()
            assert (await side.down(2)).reason == "connection lost"
            side.link.execute(Say(2, "too late"))

    asyncio.run(story())


def test_nobody_there_and_a_name_that_does_not_exist() -> None:
    async def story() -> None:
        async with csms() as server:
            gone = server.port
        side = Side(gone)
        side.connect(1)
        assert "refused" in (await side.down(1)).reason.lower()
        side.connect(2, url="ws://no-such-host.invalid/")
        assert (await side.down(2)).reason
        side.connect(3, url="gopher://host/")
        assert "not valid" in (await side.down(3)).reason

    asyncio.run(story())


def test_a_server_that_never_answers_the_handshake() -> None:
    async def story() -> None:
        async with await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0) as server:
            side = Side(server.sockets[0].getsockname()[1], open_timeout_s=0.1)
            side.connect()
            assert (await side.down()).reason == "no answer within 0.1 s"

    asyncio.run(story())


def test_a_message_over_the_limit_ends_the_connection_with_1009() -> None:
    async def talk(peer: ServerConnection) -> None:
        await peer.send("x" * (256 * 1024))
        await peer.send("x" * (256 * 1024 + 1))
        await peer.wait_closed()

    async def story() -> None:
        async with csms(talk) as server:
            side = Side(server.port)
            side.connect()
            down = await side.down()
            assert "1009" in down.reason
            sizes = [len(e.text or "") for e in side.events if isinstance(e, FrameReceived)]
            assert sizes == [256 * 1024]

    asyncio.run(story())


def test_a_binary_frame_arrives_without_text_and_the_connection_stays() -> None:
    async def talk(peer: ServerConnection) -> None:
        await peer.send(b"\x00\x01")
        await peer.send("text")
        await peer.wait_closed()

    async def story() -> None:
        async with csms(talk) as server:
            side = Side(server.port)
            side.connect()
            await until(lambda: len(side.events) == 3)
            assert side.events[1:] == [FrameReceived(1, None), FrameReceived(1, "text")]
            await side.link.close()

    asyncio.run(story())


def test_text_that_utf8_cannot_carry_is_sent_with_replacements() -> None:
    async def story() -> None:
        async with csms() as server:
            side = Side(server.port)
            side.connect()
            await side.up()
            side.link.execute(Say(1, '[3,"\ud800",{}]'))
            await until(lambda: server.frames)
            assert server.frames == ['[3,"?",{}]']
            await side.link.close()

    asyncio.run(story())


class SilentProxy:
    """Passes bytes until it is told to hold them; the TCP connections stay open."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._tasks: set[asyncio.Task[None]] = set()
        self.open = asyncio.Event()
        self.open.set()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        for pair in ((reader, far_writer), (far_reader, writer)):
            self._tasks.add(asyncio.create_task(self._pass(*pair)))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await self.open.wait()
                writer.write(data)

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()


@contextlib.asynccontextmanager
async def through_proxy(**timing: Any) -> AsyncIterator[tuple[Csms, SilentProxy, Side]]:
    async with csms(ping_interval=None) as server:
        proxy = SilentProxy(server.port)
        async with await asyncio.start_server(proxy.accept, "127.0.0.1", 0) as listening:
            yield server, proxy, Side(listening.sockets[0].getsockname()[1], **timing)
            proxy.stop()


def test_a_half_open_connection_is_found_by_ping() -> None:
    async def story() -> None:
        async with through_proxy(close_timeout_s=0.2) as (_, proxy, side):
            side.connect(ping_s=1)
            await side.up()
            proxy.open.clear()
            assert (await side.down()).reason == "no pong: connection is dead"

    asyncio.run(story())


def test_a_new_ping_interval_holds_at_once() -> None:
    async def story() -> None:
        async with through_proxy(close_timeout_s=0.2) as (_, proxy, side):
            side.connect(ping_s=3600, pong_s=3600)
            await side.up()
            side.link.execute(SetPing(1, 0))
            side.link.execute(SetPing(1, 2, 1))
            proxy.open.clear()
            assert (await side.down()).reason == "no pong: connection is dead"

    asyncio.run(story())


def test_a_csms_that_takes_no_frames_is_given_up_and_a_disconnect_never_hangs() -> None:
    async def story() -> None:
        async with through_proxy(close_timeout_s=0.2) as (_, proxy, side):
            side.connect(1, ping_s=0)
            side.connect(2, ping_s=0)
            await side.up(1)
            await side.up(2)
            proxy.open.clear()
            side.link.execute(Disconnect(2, "told so"))
            assert (await side.down(2)).reason == "told so"
            for _ in range(1100):
                side.link.execute(Say(1, "y" * 10_000))
            assert "does not take frames" in (await side.down(1)).reason

    asyncio.run(story())


def test_a_disconnect_while_dialling_ends_the_attempt() -> None:
    async def story() -> None:
        async with await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0) as server:
            side = Side(server.sockets[0].getsockname()[1])
            side.connect(1)
            side.link.execute(Disconnect(1, "at once"))
            assert await side.down(1) == LinkDown(1, "at once")
            assert len(side.events) == 1

    asyncio.run(story())


def test_a_flood_of_calls_is_read_no_faster_than_answers_leave() -> None:
    async def talk(peer: ServerConnection) -> None:
        for n in range(3000):
            await peer.send(f"call {n}")
        async for _ in peer:
            pass

    async def story() -> None:
        async with csms(talk) as server:
            side = Side(server.port)

            def answer(event: Event) -> None:
                side.events.append(event)
                if isinstance(event, FrameReceived):
                    side.link.execute(Say(1, f"answer to {event.text} " + "z" * 300))

            side.link.emit = answer
            side.connect()
            await until(lambda: sum(isinstance(e, FrameReceived) for e in side.events) == 3000, 30)
            assert not [e for e in side.events if isinstance(e, LinkDown)]
            await side.link.close()

    asyncio.run(story())


def test_a_security_profile_above_one_needs_tls() -> None:
    async def story() -> None:
        side = Side(9)
        side.connect(1, security_profile=2)
        assert (await side.down(1)).reason == "security profile 2 needs a wss:// URL"

    asyncio.run(story())
