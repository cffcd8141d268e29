"""How fast the agent answers the CSMS while two EVSEs charge: round trips seen by the CSMS, one at a time."""

from __future__ import annotations

import time
from typing import Any

from benchmarks.figures import Figure, spread
from benchmarks.workbench import Workbench, workbench

COUNT = 1000
VARIABLE = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "HeartbeatInterval"}}


def profile(amps: float, periods: int = 24) -> dict[str, Any]:
    """A TxDefaultProfile of one-hour periods for EVSE 1, the same limit in all of them (A)."""
    schedule = {
        "id": 1,
        "startSchedule": time.strftime("%Y-%m-%dT00:00:00Z", time.gmtime()),
        "chargingRateUnit": "A",
        "chargingSchedulePeriod": [{"startPeriod": 3600 * i, "limit": amps} for i in range(periods)],
    }
    body = {
        "id": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": [schedule],
    }
    return {"evseId": 1, "chargingProfile": body}


async def _round_trips(
    bench: Workbench, name: str, payload: dict[str, Any], **budgets: float
) -> list[Figure]:
    """Round trips of one call in ms, and how many there are in a second."""
    _, _, answer = await bench.csms.exchange(name, payload)
    if "error" in answer:
        print(f"{name}: not measured, the agent answers {answer['error']}")
        return []
    began = time.perf_counter()
    seconds = [(await bench.csms.exchange(name, payload))[1] for _ in range(COUNT)]
    rate = COUNT / (time.perf_counter() - began)
    figures = spread(f"{name} round trip", [1000 * s for s in seconds], "ms", **budgets)
    return [*figures, Figure(f"{name} round trips", rate, "/s", COUNT)]


async def measure() -> list[Figure]:
    """1,000 round trips of each call."""
    async with workbench(SampledDataCtrlr__TxUpdatedInterval="60") as bench:
        await bench.boots()
        await bench.charges(1, 2)
        variables = {"getVariableData": [VARIABLE]}
        schedule = {"evseId": 1, "duration": 86400, "chargingRateUnit": "A"}
        return [
            *await _round_trips(bench, "GetVariables", variables, p50=0.40),
            *await _round_trips(bench, "SetChargingProfile", profile(10), p50=0.9),
            *await _round_trips(bench, "GetCompositeSchedule", schedule, p50=0.8),
        ]
