"""A bench, a quick CSMS and the agent as three processes, for measuring the agent from outside."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.csms import QuickCsms

ROOT = Path(__file__).resolve().parent.parent
CARDS = {1: "04AABBCC", 2: "04DDEEFF"}


class Workbench:
    """What a measurement drives: `csms`, `agent` and the verbs of the bench."""

    def __init__(self, csms: QuickCsms, control: str, home: Path) -> None:
        self.csms, self.home = csms, home
        self.board = home / "measured.toml"
        self._control = f"http://{control}"
        self._agent: subprocess.Popen[bytes] | None = None
        self.point_at(csms.port)

    def point_at(self, port: int, **wires: Path) -> None:
        """Write the agent's board.toml: the CSMS at `port`, no cutter between, perhaps other wires (rs485, front)."""
        text = (self.home / "board.toml").read_text("utf-8")
        text = re.sub(r'url = ".*"', f'url = "ws://127.0.0.1:{port}/ocpp"', text)
        for name, path in wires.items():
            text = text.replace(f'"{self.home / name}"', f'"{path}"')
        self.board.write_text(text, encoding="utf-8")

    # ------------------------------------------------------------------------------------------ the agent

    @property
    def pid(self) -> int:
        assert self._agent is not None, "the agent was not started"
        if self._agent.poll() is not None:
            raise RuntimeError(f"the agent ended with {self._agent.returncode}: see {self.home}/agent.log")
        return self._agent.pid

    def start_agent(self) -> None:
        """Start it as on a board: the installed command, or the package where it is not installed; with .pyc."""
        installed = Path(sys.executable).with_name("chargerd")
        command = [str(installed)] if installed.exists() else [sys.executable, "-m", "agent"]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": ""}
        with (self.home / "agent.log").open("ab") as log:
            self._agent = subprocess.Popen(
                [*command, "--config", str(self.board)], stdout=log, stderr=log, env=environment
            )

    def kill_agent(self) -> None:
        if self._agent is not None:
            self._agent.kill()
            self._agent.wait()

    async def boots(self) -> None:
        """Start the agent and wait for its BootNotification."""
        self.start_agent()
        await self.csms.wait_until(lambda: self.csms.booted)

    # ------------------------------------------------------------------------------------------ the bench

    async def verb(self, name: str, **fields: Any) -> None:
        """Run a verb of the bench and wait until it is done."""
        ticket = await asyncio.to_thread(self._ask, f"/{name}", fields)
        while ticket["state"] in ("queued", "running"):
            await asyncio.sleep(0.02)
            ticket = await asyncio.to_thread(self._ask, f"/verbs/{ticket['id']}")
        if ticket["state"] == "failed":
            raise RuntimeError(f"{name}: {ticket['error']}")

    async def charges(self, *evses: int, amps: float = 32.0) -> None:
        """Plug a car of `amps` in and show a card at each EVSE; returns when all of them have reported Charging."""
        for evse in evses:
            await self.csms.wait_until(partial(self._told, evse))
            await self.verb("ev/plug", evse=evse, amps=amps)
            await self.verb("token/present", value=CARDS[evse], evses=[evse])
            await self.csms.wait_until(partial(self._charging, evse))

    async def unplugs(self, *evses: int) -> None:
        """Pull the plugs and wait for the last event of each transaction."""
        ended = len(self.csms.events("Ended"))
        for evse in evses:
            await self.verb("ev/unplug", evse=evse)
        await self.csms.wait_until(lambda: len(self.csms.events("Ended")) >= ended + len(evses))

    def _told(self, evse: int) -> bool:
        """The hardware of this EVSE is known: its connector's status was told."""
        return any(a == "StatusNotification" and p["evseId"] == evse for _, a, p in self.csms.calls)

    def _charging(self, evse: int) -> bool:
        """A transaction of this EVSE has reported Charging. The EVSE is named in its first event at least."""
        events = self.csms.events("Started") + self.csms.events("Updated")
        here = {_transaction(e) for e in events if e.get("evse", {}).get("id") == evse}
        states = {_transaction(e): e["transactionInfo"].get("chargingState") for e in events}
        ended = {_transaction(e) for e in self.csms.events("Ended")}
        return any(states[name] == "Charging" for name in here - ended)

    def _ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(self._control + path, data, timeout=10) as answer:
            return json.load(answer)


def _transaction(event: dict[str, Any]) -> str:
    name: str = event["transactionInfo"]["transactionId"]
    return name


def _rig(port: int, presets: dict[str, str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "benchmarks.rig_process", f"127.0.0.1:{port}", json.dumps(presets)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@asynccontextmanager
async def workbench(**keys: str) -> AsyncIterator[Workbench]:
    """Open everything but the agent. `keys` are presets, with "." in their names written as "__".

    The bench's directory with agent.log stays when the measurement fails.
    """
    csms = QuickCsms()
    await csms.start()
    presets = {name.replace("__", "."): value for name, value in keys.items()}
    rig = _rig(csms.port, presets)
    assert rig.stdin is not None and rig.stdout is not None
    where = json.loads(await asyncio.to_thread(rig.stdout.readline))
    bench = Workbench(csms, where["control"], Path(where["home"]))
    try:
        yield bench
    finally:
        bench.kill_agent()
        rig.stdin.close()
        await asyncio.to_thread(rig.wait)
        rig.stdout.close()
        await csms.stop()
    shutil.rmtree(bench.home)
