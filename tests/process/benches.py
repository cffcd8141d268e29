"""What the tests of the real process share: a bench of two EVSEs, and the agent's control socket."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hil.plan import DEFAULT, BenchPlan, load
from hil.rig import Rig

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
