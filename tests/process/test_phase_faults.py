"""Phase switches that go wrong, on real wires: parts and cars that fail, and power that goes in between."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from hil.instruments.board import BoardMake
from hil.instruments.contactor import Wiring
from hil.judge import broken
from hil.outlet import Sample
from hil.plan import BenchPlan, ControllerPlan, EvsePlan, ReaderPlan
from hil.real_bench import RealBench
from hil.scenarios.charging_session import status
from state_machines.phase_switch import PHASE_SWITCH
from tests.marks import req
from tests.process.benches import ask, limits_all, plan

AMPS = 12.0
KEYS = {"PhaseSwitchCtrlr.PauseTime": "2", "PhaseSwitchCtrlr.MinDwell": "60", "LimitCtrlr.InstallationMaxCurrent": "80"}
DEAD_S = 1.0
STOPS_S = 9.0
"""From the limit to no current on the phases that it forbids: 6 s by IEC 61851-1 for a car that goes on, the wires, and
a busy machine."""
RELAY, WELD, HALF, CAR, SOUND = range(1, 6)
WIRINGS: dict[int, Wiring | None] = {
    RELAY: "mutual", WELD: "serial", HALF: "simultaneous", CAR: "serial", SOUND: "simultaneous",
}  # fmt: skip
FAULTS = {
    RELAY: ("relay_stuck",), WELD: ("contactor_welded",), HALF: ("second_welded",),
    CAR: ("ev_ignores_limit", "ev_keeps_s2_closed"),
}  # fmt: skip


def station(directory: Path, wirings: Mapping[int, Wiring | None], **keys: str) -> BenchPlan:
    """Per entry an EVSE with a reader: a raw board with contactors wired so, or (None) a smart box with a relay."""
    made = plan(directory, **KEYS, **keys)
    smart, raw = made.evses
    assert smart.controller is not None
    controller = ControllerPlan(smart.controller.wire, smart.controller.unit, "amperfied-connect")

    def evse(number: int, wiring: Wiring | None) -> EvsePlan:
        if wiring is None:
            return replace(smart, id=number, max_amps=AMPS, controller=controller)
        board = BoardMake(max_amps=AMPS, phases=3, wiring=wiring)
        meter = replace(raw.meter, unit=20 + number, serial=22150020 + number)
        return replace(raw, id=number, max_amps=AMPS, board=board, meter=meter)

    evses = tuple(evse(number, wiring) for number, wiring in wirings.items())
    return replace(made, evses=evses, readers=tuple(ReaderPlan(f"reader{n}", 9600, (n,)) for n in wirings))


@req("K01.FR.43", "E02.FR.19")
def test_a_switch_among_failing_parts_then_without_power_and_process(tmp_path: Path) -> None:
    """All at once: relay, contactor, half a contactor and car fail; the power goes in `pausing`, the process later."""
    with RealBench(station(tmp_path, WIRINGS)) as bench:
        charge(bench, WIRINGS)
        for evse, code in causes():
            bench.raise_fault(evse, code)
        began = bench.now()
        asks_for_one(bench)
        fails_as_it_should(bench)
        bench.lose_power()
        for evse, code in causes():
            bench.clear_fault(evse, code)
        for evse in (RELAY, WELD, HALF):
            bench.unplug(evse)
        bench.wait(1)
        bench.return_power()
        bench.wait_until("the relay has moved", lambda: state(bench, CAR) in ("settling", "verifying"), 60)
        bench.crash(0.0, 0.5)
        bench.wait_until("the agent is back", lambda: bench.rig.agent.starts == 3 and state(bench, CAR))
        authorise(bench, (RELAY, WELD, HALF))
        ends_on_one(bench, WIRINGS, began)
        left = ["EVDisconnected"]
        assert endings(bench) == {
            RELAY: ["PowerLoss", *left], WELD: ["Other", *left], HALF: ["Other", *left], CAR: left, SOUND: left,
        }  # fmt: skip


def causes() -> list[tuple[int, str]]:
    """Every fault with its EVSE."""
    return [(evse, code) for evse, codes in FAULTS.items() for code in codes]


def fails_as_it_should(bench: RealBench) -> None:
    """Whose hardware obeys is on one phase; the others do not charge, say why, and keep their transactions."""
    bench.wait_until("one phase where nothing is broken", lambda: on_one(bench, SOUND))
    bench.wait_until("the relay is given up", lambda: state(bench, RELAY) == "failed")
    bench.wait_until("the car rests", lambda: state(bench, CAR) == "pausing")
    assert [status(bench, evse) for evse in WIRINGS] == ["Occupied", "Faulted", "Faulted", "Occupied", "Occupied"]
    assert all("ContactorWelded" in problems(bench, evse) for evse in (WELD, HALF))
    assert told_state(bench, RELAY) == "failed"
    assert {evse: bench.rig.outlet(evse).stage.selected_phases for evse in WIRINGS} == {
        **dict.fromkeys(FAULTS, 3), SOUND: 1,
    }  # fmt: skip
    assert len(bench.transactions()) == len(WIRINGS) and not any(t.ended for t in bench.transactions())


STATES = [name for name in PHASE_SWITCH.states if name not in ("unknown", "steady", "failed")]
EACH: dict[int, Wiring | None] = {1: "serial", 2: "simultaneous", 3: None}


@pytest.mark.soak
@pytest.mark.parametrize("end", ["power", "kill"])
@pytest.mark.parametrize("where", STATES)
def test_power_and_process_gone_in_each_state_of_a_switch(tmp_path: Path, where: str, end: str) -> None:
    """The first EVSE is in that state, the others are near it; each transaction goes on, on one phase."""
    with RealBench(station(tmp_path, EACH, **{"PhaseSwitchCtrlr.SettleTime": "3"})) as bench:
        charge(bench, EACH)
        if where == "switching":
            bench.raise_fault(1, "relay_stuck")
        began = bench.now()
        asks_for_one(bench)
        bench.wait_until(where, lambda: state(bench, 1) == where)
        if end == "kill":
            bench.crash(0.0, 3.0)
        else:
            bench.lose_power()
            bench.wait(2)
            bench.return_power()
        bench.clear_fault(1, "relay_stuck")
        ends_on_one(bench, EACH, began)
        assert len(bench.transactions()) == len(EACH)


@pytest.mark.soak
def test_a_box_with_a_relay_that_sticks_charges_the_next_car(tmp_path: Path) -> None:
    with RealBench(station(tmp_path, {1: None})) as bench:
        charge(bench, (1,))
        bench.raise_fault(1, "relay_stuck")
        began = bench.now()
        asks_for_one(bench)
        bench.wait_until("the relay is given up", lambda: state(bench, 1) == "failed", 60)
        assert told_state(bench, 1) == "failed" and not bench.transactions()[0].ended
        bench.clear_fault(1, "relay_stuck")
        bench.unplug(1)
        bench.wait_until("the car has left", lambda: status(bench, 1) == "Available")
        authorise(bench, (1,))
        ends_on_one(bench, (1,), began)


# -------------------------------------------------- people and the CSMS


def charge(bench: RealBench, evses: Collection[int]) -> None:
    """A session at each of them; returns when all of them charge on three phases."""
    bench.wait_until("all are Available", lambda: all(status(bench, n) == "Available" for n in evses))
    authorise(bench, evses)
    bench.wait_until("current", lambda: all(min(bench.amps(n)) > AMPS - 0.1 for n in evses))


def authorise(bench: RealBench, evses: Collection[int]) -> None:
    """A car and a card at each."""
    for evse in evses:
        bench.plug(evse, amps=AMPS)
    bench.wait_until("all are Occupied", lambda: all(status(bench, n) == "Occupied" for n in evses))
    for evse in evses:
        bench.present(f"04A1B2C3D4E5F{evse}", evse)


def asks_for_one(bench: RealBench) -> None:
    """A default for all transactions: the same amps, on one phase."""
    limits_all(bench, AMPS, "A", 1)


def ends_on_one(bench: RealBench, evses: Collection[int], began: float) -> None:
    """All charge on one phase at last, then leave; nothing may have gone wrong since `began`."""
    bench.wait_until("one phase everywhere", lambda: all(on_one(bench, n) for n in evses), 150)
    for evse in evses:
        bench.unplug(evse)
    bench.wait_until("all transactions have ended", lambda: all(t.ended for t in bench.transactions()), 60)
    bench.wait_until("all are Available", lambda: all(status(bench, n) == "Available" for n in evses))
    for evse in evses:
        judge([sample for sample in list(bench.rig.history) if sample.evse == evse], began)
    assert broken(bench) == []


# -------------------------------------------------- what is seen


def state(bench: RealBench, evse: int) -> str | None:
    """Where the switch of an EVSE is; None while the agent does not answer."""
    return next((str(row["state"]) for row in ask(bench.rig, "phase") or () if row["evse"] == evse), None)


def told_state(bench: RealBench, evse: int) -> str:
    """The same as the CSMS reads it."""
    component = {"name": "PhaseSwitchCtrlr", "evse": {"id": evse}}
    answer = bench.call("GetVariables", {"getVariableData": [{"component": component, "variable": {"name": "State"}}]})
    return str(answer["getVariableResult"][0]["attributeValue"])


def problems(bench: RealBench, evse: int) -> str:
    """What the CSMS was told of the contactor of an EVSE."""
    data = [data for frame in bench.calls("NotifyEvent") for data in frame.payload["eventData"]]
    here = [d for d in data if d["component"] == {"name": "PowerContactor", "evse": {"id": evse}}]
    return " ".join(d.get("techInfo", "") for d in here)


def endings(bench: RealBench) -> dict[int, list[str]]:
    """The reasons for which the transactions of each EVSE have ended, in their order."""
    found: dict[int, list[str]] = {evse: [] for evse in bench.rig.outlets}
    for transaction in bench.transactions():
        events = transaction.ordered()
        found[events[0]["evse"]["id"]].append(events[-1]["transactionInfo"]["stoppedReason"])
    return found


def on_one(bench: RealBench, evse: int) -> bool:
    one, two, three = bench.amps(evse)
    return one > AMPS - 0.1 and two == three == 0.0


def judge(samples: list[Sample], began: float) -> None:
    """The relay moved once, dead for a second; no current above the limit, nor on a forbidden phase."""
    moves = [after for before, after in pairwise(samples) if before.selected != after.selected]
    assert [sample.selected for sample in moves] == [1]
    dead = [s for s in samples if moves[0].t - DEAD_S <= s.t <= moves[0].t]
    assert dead and all(max(s.amps) == 0 and not any(s.contacts) for s in dead)
    assert all(max(s.amps) <= AMPS + 0.1 for s in samples)
    assert all(s.amps[1] == s.amps[2] == 0 for s in samples if s.t > began + STOPS_S)
