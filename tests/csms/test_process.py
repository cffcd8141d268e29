"""`hil csms` as a process: HTTP control, record file, exit code."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from tests.csms.station import BOOT, station

COMMAND = "import sys; from hil.csms import main; sys.exit(main(sys.argv[1:]))"


class Process:
    """A running `hil csms` and its HTTP control."""

    def __init__(self, record: Path) -> None:
        options = ["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--record", str(record)]
        self.popen = subprocess.Popen(
            [sys.executable, "-c", COMMAND, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.popen.stdout is not None
        ports = re.findall(r":(\d+)", self.popen.stdout.readline())
        self.port = int(ports[0])
        self._control = f"http://127.0.0.1:{ports[1]}"

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(self._control + path, data, timeout=10) as answer:
            return json.load(answer)

    def end(self) -> tuple[int, str]:
        self.popen.send_signal(signal.SIGTERM)
        _, errors = self.popen.communicate(timeout=10)
        return self.popen.returncode, errors


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    running = Process(tmp_path / "record.jsonl")
    yield running
    running.popen.kill()
    running.popen.communicate()


def test_control_and_record(process: Process, tmp_path: Path) -> None:
    async def story() -> None:
        async with station(process.port) as wire:
            await wire.calls("BootNotification", BOOT)
            call = asyncio.create_task(asyncio.to_thread(process.ask, "/call", {"action": "ClearCache"}))
            await wire.says([3, (await wire.hears())[1], {"status": "Accepted"}])
            assert await call == {"result": {"status": "Accepted"}}
            await wire.calls("Heartbeat", {"extra": 1})
            health = await asyncio.to_thread(process.ask, "/health")
            assert health == {"stations": {"CD-1": "Accepted"}, "frames": 6, "violations": 1}

    asyncio.run(story())
    assert [f["action"] for f in process.ask("/frames?since=4")["frames"]] == ["Heartbeat", "Heartbeat"]
    assert process.ask("/transactions") == {}
    assert process.ask("/behaviour", {"silent": True})["silent"] is True
    refusals: tuple[tuple[str, dict[str, Any] | None, int], ...] = (
        ("/behaviour", {"silly": 1}, 400),
        ("/call", {"action": "X"}, 409),
        ("/no", None, 404),
    )
    for path, body, status in refusals:
        with pytest.raises(HTTPError) as refused:
            process.ask(path, body)
        assert refused.value.code == status
    code, errors = process.end()
    assert code == 1 and "schema" in errors
    lines = [json.loads(line) for line in (tmp_path / "record.jsonl").read_text().splitlines()]
    assert sorted(line["what"] for line in lines) == ["frame"] * 6 + ["violation"]
