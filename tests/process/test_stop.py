"""SIGSTOP of the real agent while both EVSEs charge: each device lives on by itself on what was written to it."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from hil.instruments.board import RawBoard
from hil.instruments.smart import FAILSAFE_CURRENT, WATCHDOG_MS, HeidelbergEnergyControl
from hil.judge import broken
from hil.real_bench import RealBench
from hil.scenarios.charging_session import profile
from tests.process.benches import both_charge, leave, plan

LIMIT = 10.0
LATE_S = 1.5
"""What a busy machine may add to a device's own time."""


@pytest.mark.parametrize("failsafe", [6.0, 0.0])
def test_a_frozen_agent_and_its_devices(tmp_path: Path, failsafe: float) -> None:
    keys = {"FallbackCtrlr.DeviceFailsafe": f"{failsafe:g}"}
    with RealBench(plan(tmp_path, **keys)) as bench:
        both_charge(bench)
        answer = bench.call("SetChargingProfile", {"evseId": 0, "chargingProfile": profile(LIMIT)})
        assert answer["status"] == "Accepted"
        bench.wait_until("10 A at both", lambda: flows(bench, LIMIT))
        bench.wait_until("what is for the worst is in the devices", lambda: written(bench) == [failsafe] * 2)

        frozen_at = bench.now()
        bench.rig.agent.freeze()
        bench.wait_until("the failsafe current flows", lambda: flows(bench, failsafe))
        if failsafe == 0:
            bench.wait_until("both are open", lambda: not bench.closed(1) and not bench.closed(2))
        for evse, own_s in times(bench).items():
            assert fell_back(bench, evse, frozen_at, failsafe) <= own_s + LATE_S

        bench.rig.agent.thaw()
        bench.wait_until("10 A again", lambda: flows(bench, LIMIT), 60)
        assert len(bench.transactions()) == 2, "the transactions go on"
        leave(bench)
        assert broken(bench) == []


def flows(bench: RealBench, amps: float) -> bool:
    return all(abs(max(bench.amps(evse)) - amps) < 0.1 for evse in (1, 2))


def devices(bench: RealBench) -> tuple[HeidelbergEnergyControl, RawBoard]:
    box, board = (bench.rig.outlet(evse).stage for evse in (1, 2))
    return cast(HeidelbergEnergyControl, box), cast(RawBoard, board)


def written(bench: RealBench) -> list[float]:
    """The failsafe currents that the devices hold (A)."""
    box, board = devices(bench)
    return [box.holding[FAILSAFE_CURRENT] / 10, board.failsafe_tenths / 10]


def times(bench: RealBench) -> dict[int, float]:
    """How long each device waits for the agent (s)."""
    box, board = devices(bench)
    return {1: box.holding[WATCHDOG_MS] / 1000, 2: board.timeout_ms / 1000}


def fell_back(bench: RealBench, evse: int, since: float, amps: float) -> float:
    """Seconds until the device offered no more than that, by the bench's recording."""
    samples = [s for s in bench.rig.history if s.evse == evse and s.t > since]
    return next(s.t for s in samples if s.offered <= amps) - since
