"""Debian's mbpoll, a Modbus client that knows nothing of us, reads the meters and sees what the agent reports."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from hil.csms import Transaction
from hil.real_bench import RealBench
from hil.scenarios.charging_session import last_amps, meter_values
from tests.process.benches import ask, both_charge, leave, plan

pytestmark = pytest.mark.skipif(
    shutil.which("mbpoll") is None, reason="mbpoll is not installed (Debian package mbpoll)"
)
VOLTS, AMPS, ENERGY_KWH = 0x0000, 0x0006, 0x0048
"""Input registers of the SDM630's manual (PDU addresses); float32, high word first."""


def test_mbpoll_sees_what_the_agent_reports(tmp_path: Path) -> None:
    with RealBench(plan(tmp_path)) as bench:
        both_charge(bench)
        lan = over_tcp(bench)
        bench.wait_until("steady samples", lambda: min(last_amps(bench), default=0) > 15.9)
        assert floats(lan, VOLTS, 3) == pytest.approx(agents(bench, "voltage_v"), abs=0.1)
        assert floats(lan, AMPS, 3) == pytest.approx(agents(bench, "current_a"), abs=0.05)
        assert floats(lan, AMPS, 3) == pytest.approx(told(bench, "Current.Import")[-3:], abs=0.05)
        assert floats(lan, VOLTS, 3) == pytest.approx(told(bench, "Voltage")[-3:], abs=0.1)

        before = energy_wh(bench)
        seen = exact_wh(lan)
        bench.wait_until("a newer reading", lambda: energy_wh(bench) >= seen - 1)
        assert before <= seen + 1, "the agent cannot know more than the meter counted"
        leave(bench)
        register = "Energy.Active.Import.Register"
        assert told(bench, register)[-1] == pytest.approx(exact_wh(lan), abs=1)
        ended = told(bench, register, evse=1)[-1]
        assert bench.stop_agent() == 0
        assert ended == pytest.approx(exact_wh(over_rtu(bench)), abs=1), "the wire is free now: the other meter"


def over_tcp(bench: RealBench) -> list[str]:
    """mbpoll's options for the meter of EVSE 2."""
    board = tomllib.loads((bench.rig.home / "board.toml").read_text())
    lan = next(bus for bus in board["bus"] if bus["name"] == "lan")
    return ["-m", "tcp", "-p", str(lan["tcp_port"]), "-a", "12", lan["host"]]


def over_rtu(bench: RealBench) -> list[str]:
    """For the meter of EVSE 1; a pty has no parity bit."""
    return ["-m", "rtu", "-b", "19200", "-P", "none", "-a", "11", str(bench.rig.home / "rs485")]


def floats(meter: list[str], address: int, count: int) -> list[float]:
    """Values as mbpoll itself makes them of the registers."""
    return [float(text) for text in poll(meter, "3:float", address, count)]


def exact_wh(meter: list[str]) -> float:
    """The import register; mbpoll prints six digits of a float, so the words are taken."""
    words = [int(text, 16) for text in poll(meter, "3:hex", ENERGY_KWH, 2)]
    value: float = struct.unpack(">f", struct.pack(">2H", *words))[0]
    return value * 1000


def poll(meter: list[str], kind: str, address: int, count: int) -> list[str]:
    command = ["mbpoll", "-t", kind, "-B", "-0", "-r", str(address), "-c", str(count), "-1", "-o", "2", *meter]
    printed = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
    return re.findall(r"^\[\d+\]:\s+(\S+)", printed, re.MULTILINE)


def reading(bench: RealBench) -> dict[str, dict[str, str]]:
    """`meter read` of EVSE 2 by the agent's control socket."""
    [row] = ask(bench.rig, "meter.read", {"evse": 2})
    values: dict[str, dict[str, str]] = row["reading"]["values"]
    return values


def agents(bench: RealBench, quantity: str) -> list[float]:
    return [float(reading(bench)[quantity][phase]) for phase in ("L1", "L2", "L3")]


def energy_wh(bench: RealBench) -> float:
    return float(reading(bench)["energy_import_wh"]["total"])


def told(bench: RealBench, measurand: str, evse: int = 2) -> list[float]:
    """What the CSMS heard of a measurand of that EVSE's transaction, per phase or the total, in order."""
    transaction = next(t for t in bench.transactions() if evse_of(t) == evse)
    samples = [s for value in meter_values(transaction) for s in value["sampledValue"]]
    total = measurand.startswith("Energy")
    return [float(s["value"]) for s in samples if s["measurand"] == measurand and ("phase" not in s) == total]


def evse_of(transaction: Transaction) -> Any:
    return next(event["evse"]["id"] for event in transaction.ordered() if "evse" in event)
