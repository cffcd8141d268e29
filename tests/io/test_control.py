"""The control socket: one JSON line each way, clear errors, many clients, and the frames' tail."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import stat
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from agent.core.effects import Answer
from agent.core.events import Asked
from agent.io.control import ControlError, ControlSocket, Refused
from agent.io.logs import StationLog
from agent.io.redaction import Redactor
from tests.io.waiting import until


class Agent:
    """What stands behind the socket: it echoes the question, and refuses to speak of EVSE 9."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "control.sock"
        self.frames = StationLog(directory / "station.log.gz", lambda: 5, Redactor(b"salt"))
        self.socket = ControlSocket(
            self.path, self.asked, {"bus.scan": self.scan, "meter.read-raw": self.scan}, self.frames
        )
        self.deaf = False

    def asked(self, event: Asked) -> None:
        if not self.deaf:
            ok = event.args.get("evse") != 9
            data = {"verb": event.verb, **event.args} if ok else {"error": "no EVSE 9"}
            asyncio.get_running_loop().call_soon(self.socket.answer, Answer(event.ask, ok, data))

    async def scan(self, args: Mapping[str, Any]) -> Any:
        if args.get("bus") == "none":
            raise Refused("no such bus")
        return [{"unit": 1}]


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self, request: Any) -> Any:
        self.writer.write(request if isinstance(request, bytes) else json.dumps(request).encode() + b"\n")
        return await self.line()

    async def line(self) -> Any:
        return json.loads(await asyncio.wait_for(self.reader.readline(), 10))


@contextlib.asynccontextmanager
async def agent(directory: Path) -> AsyncIterator[Agent]:
    made = Agent(directory)
    await made.socket.open()
    yield made
    await made.socket.close()


async def client(made: Agent) -> Client:
    return Client(*await asyncio.open_unix_connection(made.path))


def test_questions_to_the_station_and_beside_it(tmp_path: Path) -> None:
    async def story() -> None:
        async with agent(tmp_path) as made:
            one = await client(made)
            assert await one.ask({"verb": "status"}) == {"ok": True, "data": {"verb": "status"}}
            assert await one.ask({"verb": "why", "args": {"evse": 9}}) == {
                "ok": False,
                "data": {"error": "no EVSE 9"},
            }
            assert await one.ask({"verb": "bus.scan"}) == {"ok": True, "data": [{"unit": 1}]}
            assert await one.ask({"verb": "bus.scan", "args": {"bus": "none"}}) == {
                "ok": False,
                "data": {"error": "no such bus"},
            }
            assert (await one.ask({"verb": "meter.read"}))["data"] == {"verb": "meter.read"}
            assert (await one.ask({"verb": "meter.read", "args": {"raw": True}}))["data"] == [{"unit": 1}]

    asyncio.run(story())


BAD = [
    (b"what\n", "not JSON"),
    (b"\xff\xfe\n", "not JSON"),
    (b"[" * 60_000 + b"\n", "not JSON"),
    (b"[]\n", 'expected {"verb"'),
    (b'{"verb": 7}\n', 'expected {"verb"'),
    (b'{"verb": "%s"}\n' % (b"r" * 1000), "no such verb: 'rrrr"),
    (b'{"verb": "status", "args": []}\n', "args: expected an object"),
    (b'{"verb": "why", "args": {"evse": []}}\n', "args: evse: expected a text, a number"),
    (b'{"verb": "ocpp.tail", "args": {"last": -1}}\n', "last: expected a number from 0 to 1000"),
]


@pytest.mark.parametrize(("line", "complaint"), BAD)
def test_a_bad_request_gets_a_clear_line_and_the_connection_stays(
    tmp_path: Path, line: bytes, complaint: str
) -> None:
    async def story() -> None:
        async with agent(tmp_path) as made:
            one = await client(made)
            answer = await one.ask(line)
            assert answer["ok"] is False
            assert complaint in answer["data"]["error"]
            assert (await one.ask({"verb": "status"}))["ok"] is True

    asyncio.run(story())


def test_a_line_too_long_is_refused_and_ends_that_client_only(tmp_path: Path) -> None:
    async def story() -> None:
        async with agent(tmp_path) as made:
            one, two = await client(made), await client(made)
            answer = await one.ask(b"x" * 70_000)
            assert "longer than 65536 bytes" in answer["data"]["error"]
            assert await one.reader.read() == b""
            assert (await two.ask({"verb": "status"}))["ok"] is True

    asyncio.run(story())


def test_many_clients_at_once_each_get_their_own_answer_and_too_many_are_told(tmp_path: Path) -> None:
    async def story() -> None:
        async with agent(tmp_path) as made:
            clients = [await client(made) for _ in range(32)]
            answers = await asyncio.gather(
                *(c.ask({"verb": "why", "args": {"evse": 100 + n}}) for n, c in enumerate(clients))
            )
            assert [answer["data"]["evse"] for answer in answers] == [100 + n for n in range(32)]
            assert "more than 32 clients" in (await (await client(made)).line())["data"]["error"]

    asyncio.run(story())


def test_only_owner_and_group_may_open_the_socket(tmp_path: Path) -> None:
    async def story() -> None:
        async with agent(tmp_path) as made:
            assert stat.S_IMODE(made.path.stat().st_mode) == 0o660
        assert not made.path.exists()

    asyncio.run(story())


def test_a_stale_socket_is_replaced_but_a_living_agent_and_a_file_are_not(tmp_path: Path) -> None:
    async def story() -> None:
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(tmp_path / "control.sock"))
        async with agent(tmp_path) as made:
            assert (await (await client(made)).ask({"verb": "status"}))["ok"] is True
            with pytest.raises(ControlError, match="another chargerd"):
                await Agent(tmp_path).socket.open()
        (tmp_path / "control.sock").write_text("")
        with pytest.raises(ControlError, match="no socket"):
            await Agent(tmp_path).socket.open()

    asyncio.run(story())


def test_a_client_that_leaves_early_harms_nobody(tmp_path: Path) -> None:
    async def story() -> None:
        async with agent(tmp_path) as made:
            made.deaf = True
            one = await client(made)
            one.writer.write(b'{"verb": "status"}\n')
            await one.writer.drain()
            one.writer.close()
            made.deaf = False
            made.socket.answer(Answer(99, True, {}))
            assert (await (await client(made)).ask({"verb": "status"}))["ok"] is True

    asyncio.run(story())


def test_the_tail_shows_the_last_frames_then_each_new_one(tmp_path: Path) -> None:
    async def story() -> None:
        async with agent(tmp_path) as made:
            for n in range(5):
                made.frames.seen(">", 1, f"[2,{n}]")
            one = await client(made)
            first = await one.ask({"verb": "ocpp.tail", "args": {"last": 2}})
            assert (first["frame"], first["dir"], first["connection"], first["mono_ms"]) == ("[2,3]", ">", 1, 5)
            assert first["ts"].endswith("Z")
            assert (await one.line())["frame"] == "[2,4]"
            made.frames.seen("<", 1, "[3,4]")
            assert (await one.line())["frame"] == "[3,4]"
            one.writer.close()
            await one.writer.wait_closed()
            made.frames.seen("<", 1, "nobody looks")
            await until(lambda: made.frames.listeners == 0)

    asyncio.run(story())
