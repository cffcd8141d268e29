"""Phase switching of the real process: a smart controller on Modbus, a raw board on its line, recorded currents."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

from hil.instruments.board import BoardMake
from hil.outlet import Sample
from hil.plan import BenchPlan, ControllerPlan
from hil.real_bench import RealBench
from hil.scenarios.charging_session import status
from tests.marks import req
from tests.process.benches import both_charge, chargerctl, leave, limits_all, plan

WATTS = 3_680.0
"""16 A on one phase, 5.3 A on three."""
DEAD_S = 1.0
KEYS = {"PhaseSwitchCtrlr.PauseTime": "2", "PhaseSwitchCtrlr.MinDwell": "60"}


def switching(directory: Path) -> BenchPlan:
    """The default bench with a phase relay at each EVSE: one behind a register, one between mutual contactors."""
    made = plan(directory, **KEYS)
    smart, raw = made.evses
    assert smart.controller is not None and raw.board is not None
    controller = ControllerPlan(smart.controller.wire, smart.controller.unit, "amperfied-connect")
    board = BoardMake(max_amps=raw.max_amps, phases=3, wiring="mutual")
    return replace(made, evses=(replace(smart, controller=controller), replace(raw, board=board)))


def asks_for(bench: RealBench, phases: int) -> None:
    """A default for all transactions, in watts."""
    limits_all(bench, WATTS, "W", phases)


@req("K01.FR.43", "E02.FR.19")
def test_both_kinds_switch_on_the_wire_and_never_above_the_watts(tmp_path: Path) -> None:
    """EVerest#1060: amps follow the phases that are closed, before, during and after; one transaction each."""
    with RealBench(switching(tmp_path)) as bench:
        both_charge(bench)
        began = bench.now()
        asks_for(bench, 1)
        for evse in (1, 2):
            bench.wait_until(f"one phase at EVSE {evse}", partial(on_one, bench, evse), 90)
        record: list[Sample] = []
        bench._do(lambda: record.extend(bench.rig.since(began)))
        for evse in (1, 2):
            judge([sample for sample in record if sample.evse == evse], began)
        assert '"phases": 1' in chargerctl(bench.rig, "phase", "--json").stdout
        assert len(bench.transactions()) == 2
        trips(bench)
        leave(bench)


def trips(bench: RealBench) -> None:
    """A residual current, gone before the car: the board keeps it until it is told that the car has left."""
    bench.raise_fault(2, "residual_current")
    bench.wait_until("EVSE 2 is Faulted", lambda: status(bench, 2) == "Faulted")
    bench.clear_fault(2, "residual_current")


def on_one(bench: RealBench, evse: int) -> bool:
    one, two, three = bench.amps(evse)
    return one > 15.5 and two == three == 0.0


def judge(samples: list[Sample], began: float) -> None:
    """The relay moved once, dead for a second, and the watts held from the reaction time on."""
    moves = [after for before, after in pairwise(samples) if before.selected != after.selected]
    assert [sample.selected for sample in moves] == [1]
    dead = [s for s in samples if moves[0].t - DEAD_S <= s.t <= moves[0].t]
    assert dead and all(max(s.amps) == 0 and not any(s.contacts) for s in dead)
    assert all(sum(s.amps) * 231.1 <= WATTS * 1.01 for s in samples if s.t > began + 6)
    assert all(s.offered * s.selected * 230 <= WATTS * 1.01 for s in samples if s.t > began + 1.5)
