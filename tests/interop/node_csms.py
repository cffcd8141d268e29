"""Starts the Node CSMS and talks to it: another implementation's view of what a station sends."""

from __future__ import annotations

import json
import queue
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
Line = dict[str, Any]


class NodeCsms:
    """A running server.js. `lines` is everything it has printed so far; see there for their forms."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            ["node", str(HERE / "server.js")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self._printed: queue.SimpleQueue[Line] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._read, name="node-csms", daemon=True)
        self._thread.start()
        self.lines: list[Line] = []
        self.port: int = self.wait_for(lambda line: line["what"] == "listening")["port"]

    @property
    def violations(self) -> list[Line]:
        return self.seen("violation")

    def seen(self, what: str, action: str | None = None) -> list[Line]:
        """The lines of a kind so far, of one action if it is given; commands of ours are left out."""
        self._collect()
        return [
            line
            for line in self.lines
            if line["what"] == what and action in (None, line.get("action")) and not line.get("outbound")
        ]

    def wait_for(self, condition: Callable[[Line], bool], timeout: float = 20.0, since: int = 0) -> Line:
        """The first line from index `since` on that fulfils `condition`; raises TimeoutError without one."""
        deadline = time.monotonic() + timeout
        while True:
            for line in self.lines[since:]:
                if condition(line):
                    return line
            since = len(self.lines)
            try:
                self.lines.append(self._printed.get(timeout=max(0.0, deadline - time.monotonic())))
            except queue.Empty:
                raise TimeoutError(f"not seen within {timeout} s; last lines: {self.lines[-5:]}") from None

    def call(self, action: str, payload: dict[str, Any] | None = None, timeout: float = 20.0) -> Line:
        """Call the station that connected last; returns its line, which has a `payload` or an `error`."""
        self._collect()
        since = len(self.lines)
        self._command({"action": action, "payload": payload or {}})
        return self.wait_for(lambda x: x["what"] == "answer" and x["action"] == action, timeout, since)

    def probe(self, calls: Sequence[tuple[str, Any]], timeout: float = 120.0) -> list[Line]:
        """Send (action, payload) one after the other, wrong ones too; for each, whether it is valid by the schemas of
        this CSMS, and the `code` of the CALLERROR that came back (None: a result that is valid, too)."""
        self._collect()
        since = len(self.lines)
        named = [(f"probe-{since}-{number}", action, payload) for number, (action, payload) in enumerate(calls)]
        self._command({"probe": named})
        if named:
            self.wait_for(lambda line: line.get("id") == named[-1][0], timeout, since)
        return [line for line in self.lines[since:] if line["what"] == "probed"]

    def answers(self, **by_action: dict[str, Any]) -> None:
        """Answer these actions with these payloads from now on."""
        self._command({"answers": by_action})

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._thread.join(10)
        self._process.stdout.close()
        self._collect()

    def _command(self, command: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for text in self._process.stdout:
            self._printed.put(json.loads(text))

    def _collect(self) -> None:
        while not self._printed.empty():
            self.lines.append(self._printed.get())


@contextmanager
def node_csms() -> Iterator[NodeCsms]:
    """A Node CSMS on a free port of 127.0.0.1; skips the test with a reason where it cannot run."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    if not (HERE / "node_modules" / "ocpp-rpc").is_dir():
        pytest.skip("tests/interop/node_modules is missing: run npm ci there")
    csms = NodeCsms()
    try:
        yield csms
    finally:
        csms.close()
