"""The agent as a process of its own, to be started, stopped, frozen and killed by the bench."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

EXIT_RESET = 10
SOURCES = Path(__file__).resolve().parents[1]
WITH_THE_BENCH = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
"""An agent that outlived its bench would go on speaking on ptys whose numbers belong to the next one (prctl(2))."""


class AgentProcess:
    """`python -m agent --config BOARD` with its output appended to `log`.

    With `releases` it is what the launcher finds there (docs/firmware.md).
    """

    def __init__(self, board: Path, log: Path, releases: Path | None = None) -> None:
        self.board = board
        self.releases = releases
        self.log = log
        self.started: list[float] = []
        """When it was started (monotonic seconds), each time."""
        self.killed: list[float] = []
        """When it was killed while it ran."""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def starts(self) -> int:
        """How often it was started."""
        return len(self.started)

    @property
    def running(self) -> bool:
        """It was started and has not ended (a stopped process counts as running)."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process is not None and self.running else None

    @property
    def exit_code(self) -> int | None:
        """Of the last process, negative for a signal; None while it runs or before the first start."""
        return None if self._process is None else self._process.poll()

    @property
    def resets(self) -> bool:
        """It is to be started again by the service manager: it has ended for a reset, or a release does not start."""
        code = self.exit_code
        return code == EXIT_RESET or (self.releases is not None and code is not None and code > 0)

    def start(self) -> None:
        """Start it; does nothing while it runs."""
        if self.running:
            return
        environment = os.environ | {"PYTHONUNBUFFERED": "1", "CHARGERD_PYTHON": sys.executable}
        if self.releases is None:
            environment["PYTHONPATH"] = str(SOURCES)
            command = [sys.executable, "-m", "agent"]
        else:
            environment["CHARGERD_HOME"] = str(self.releases)
            command = ["sh", str(SOURCES / "systemd" / "chargerd-launch")]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*WITH_THE_BENCH, *command, "--config", str(self.board)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=environment,
            )  # fmt: skip
        self.started.append(time.monotonic())

    def kill(self) -> None:
        """SIGKILL, and wait for the kernel to have it gone."""
        if self.running:
            self.killed.append(time.monotonic())
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def freeze(self) -> None:
        """SIGSTOP: the process stays but does nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    async def terminate(self, timeout_s: float = 15.0) -> int | None:
        """SIGTERM, and the exit code; SIGKILL when it does not end within `timeout_s`."""
        self._signal(signal.SIGCONT)
        self._signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(timeout_s):
                while self.running:
                    await asyncio.sleep(0.02)
        except TimeoutError:
            self.kill()
        return self.exit_code

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self.running:
            self._process.send_signal(number)
