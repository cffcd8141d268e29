"""What the tests of the real process share: a bench of two EVSEs, and the agent's control socket."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hil.agent_process import SOURCES
from hil.plan import DEFAULT, BenchPlan, load
from hil.real_bench import RealBench
from hil.rig import Rig
from hil.scenarios.charging_session import status

CARDS = {1: "04A1B2C3D4E5F6", 2: "04112233"}
STRANGER = "0BADC0DE"
"""A card that the CSMS does not accept."""
QUICK = {
    "OCPPCommCtrlr.RetryBackOffWaitMinimum": "1",
    "OCPPCommCtrlr.RetryBackOffRandomRange": "0",
    "OCPPCommCtrlr.RetryBackOffRepeatTimes": "0",
}
"""Keys that shorten a test: dial again after a second."""


def plan(directory: Path, **keys: str) -> BenchPlan:
    """The default bench in a directory with a short name: the control socket's path is bounded."""
    default = load(DEFAULT)
    return replace(default, directory=directory / "b", keys={**default.keys, **QUICK, **keys})


def socket_of(rig: Rig) -> Path:
    """The agent's control socket."""
    return rig.home / "state" / "control.sock"


def ask(rig: Rig, verb: str, args: Mapping[str, Any] | None = None) -> Any:
    """The data that the running agent answers; None while it does not."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(5)
        try:
            connection.connect(str(socket_of(rig)))
            connection.sendall(json.dumps({"verb": verb, "args": args or {}}).encode() + b"\n")
            with connection.makefile("r", encoding="utf-8") as lines:
                answer = json.loads(lines.readline() or "{}")
        except OSError:
            return None
    return answer.get("data") if answer.get("ok") else None


def evse_of(rig: Rig, number: int) -> dict[str, Any] | None:
    """An EVSE on the status screen; None while the agent does not answer."""
    status = ask(rig, "status")
    return next((evse for evse in status["evses"] if evse["id"] == number), None) if status else None


def charge(bench: RealBench, evse: int) -> None:
    """A car comes and a card is shown; returns when 16 A flow."""
    bench.plug(evse, amps=16)
    bench.wait_until(f"EVSE {evse} is Occupied", lambda: status(bench, evse) == "Occupied")
    bench.present(CARDS[evse], evse)
    bench.wait_until(f"16 A at EVSE {evse}", lambda: min(bench.amps(evse)) > 15.9)


def ready(bench: RealBench) -> None:
    """The station is registered and both EVSEs are free."""
    bench.wait_until("both are Available", lambda: all(status(bench, n) == "Available" for n in (1, 2)))


def both_charge(bench: RealBench) -> None:
    """A session begins at each EVSE."""
    ready(bench)
    for evse in (1, 2):
        charge(bench, evse)


def leave(bench: RealBench) -> None:
    """All cars leave; returns when the CSMS knows everything."""
    for evse in (1, 2):
        bench.unplug(evse)
    bench.wait_until("all transactions have ended", lambda: all(t.ended for t in bench.transactions()))
    ready(bench)


def limits_all(bench: RealBench, limit: float, unit: str, phases: int) -> None:
    """The CSMS sets a default for all transactions, which holds already."""
    schedule = {
        "id": 1, "startSchedule": "2026-01-02T00:00:00Z", "chargingRateUnit": unit,
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit, "numberPhases": phases}],
    }  # fmt: skip
    profile = {
        "id": 1, "stackLevel": 0, "chargingProfilePurpose": "TxDefaultProfile", "chargingProfileKind": "Absolute",
        "chargingSchedule": [schedule],
    }  # fmt: skip
    assert bench.call("SetChargingProfile", {"evseId": 0, "chargingProfile": profile}) == {"status": "Accepted"}


def session_state(rig: Rig, number: int) -> str | None:
    """What the session of an EVSE is at; None while the agent does not answer."""
    found = evse_of(rig, number)
    return None if found is None else str(found["session"])


def chargerctl(rig: Rig, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line against the rig's agent."""
    command = [sys.executable, "-m", "agent.cli", *arguments, "--socket", str(socket_of(rig))]
    return subprocess.run(command, cwd=SOURCES, capture_output=True, text=True, timeout=180, check=False)
