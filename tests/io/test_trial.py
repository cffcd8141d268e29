"""The dry run of a network profile against real sockets: what it says of good, wrong and silent servers."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest
from websockets.typing import Subprotocol

from agent.core.effects import Connect, StartJob
from agent.core.events import Event, JobEnded
from agent.io import trial
from agent.io.jobs import Jobs, Place
from tests.io.test_link import Csms, csms
from tests.io.waiting import until


async def tried(port: int, **fields: Any) -> JobEnded:
    """How a dry run ended."""
    heard: list[Event] = []
    jobs = Jobs(Place(Path()), heard.append, lambda level, topic, text: None)
    order = Connect(0, **{"url": f"ws://127.0.0.1:{port}/ocpp", "identity": "CD-0001", "password": "word", **fields})
    jobs.execute(StartJob(1, "network.try", order._asdict()))
    await until(lambda: heard)
    (ended,) = heard
    assert isinstance(ended, JobEnded)
    return ended


def test_a_good_profile_connects_says_nothing_and_hangs_up() -> None:
    async def story() -> tuple[JobEnded, Csms]:
        async with csms() as server:
            ended = await tried(server.port)
            await until(lambda: server.endings)
            return ended, server

    ended, server = asyncio.run(story())
    assert ended.ok and (ended.data["result"], ended.data["subprotocol"]) == ("connects", "ocpp2.0.1")
    assert server.frames == [] and server.endings == [(1000, "dry run")]
    assert server.requests[0].path == "/ocpp/CD-0001" and "Authorization" in server.requests[0].headers


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"url": "ws://127.0.0.1:1/ocpp"}, "Connection refused"),
        ({"url": "ws://nobody.invalid/ocpp"}, "host name not found"),
        ({"security_profile": 2}, "needs a wss:// URL"),
    ],
)
def test_what_keeps_a_profile_from_connecting_is_said_in_plain_words(fields: dict[str, Any], reason: str) -> None:
    async def story() -> JobEnded:
        async with csms() as server:
            return await tried(server.port, **fields)

    ended = asyncio.run(story())
    assert not ended.ok and reason in ended.data["error"]


def test_a_server_that_speaks_no_ocpp_is_told_apart() -> None:
    async def story() -> JobEnded:
        async with csms(subprotocols=[Subprotocol("mqtt")]) as server:
            return await tried(server.port)

    ended = asyncio.run(story())
    assert not ended.ok and "127.0.0.1" in ended.data["error"]


def test_a_port_that_answers_nothing_does_not_keep_the_question_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "OPEN_WITHIN_S", 0.3)

    async def story() -> JobEnded:
        with socket.create_server(("127.0.0.1", 0)) as mute:
            return await tried(mute.getsockname()[1])

    ended = asyncio.run(story())
    assert not ended.ok and "no answer within 0.3 s" in ended.data["error"]
