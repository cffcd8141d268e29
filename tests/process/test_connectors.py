"""Two connectors on one EVSE: board, wires, process and CSMS agree on which of them is in use."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hil import judge
from hil.plan import DEFAULT, load
from hil.real_bench import RealBench
from tests.marks import req
from tests.process.benches import CARDS, QUICK

TWO = load(DEFAULT.with_name("two_connectors.toml"))
"""A fixed cable and a socket whose cable carries 20 A."""
CARD, OTHER = CARDS.values()


def told(bench: RealBench) -> dict[int, list[str]]:
    """Every status of each connector."""
    found: dict[int, list[str]] = {1: [], 2: []}
    for frame in bench.calls("StatusNotification"):
        found[frame.payload["connectorId"]].append(frame.payload["connectorStatus"])
    return found


def charges(bench: RealBench, connector: int, card: str, amps: float) -> None:
    """The driver at a connector shows his card; returns when `amps` flow there."""
    bench.present(card, 1)
    outlet = bench.rig.outlet(1)
    bench.wait_until(f"{amps} A at connector {connector}", lambda: min(outlet.cars[connector].amps) > amps - 0.1)
    assert outlet.stage.connector == connector and outlet.cars[3 - connector].amps == (0, 0, 0)


def charged_wh(events: list[dict[str, Any]]) -> float:
    """By the CSMS's records."""
    samples = [s for e in events for v in e.get("meterValue", ()) for s in v["sampledValue"]]
    registers = [s for s in samples if s.get("measurand", "").endswith("Import.Register") and "phase" not in s]
    by_context = {s.get("context"): float(s["value"]) for s in registers}
    return by_context["Transaction.End"] - by_context["Transaction.Begin"]


@req("E01.FR.14", "E01.FR.16", "G01.FR.01", "G01.FR.08", "G05.FR.01")
def test_a_car_at_each_connector_of_one_evse_one_after_the_other(tmp_path: Path) -> None:
    plan = replace(TWO, directory=tmp_path / "b", keys={**TWO.keys, **QUICK})
    with RealBench(plan) as bench:
        outlet = bench.rig.outlet(1)
        connectors = tomllib.loads(bench.rig.board_file.read_text())["evse"][0]["connectors"]
        assert [(c["type"], c["cable"]) for c in connectors] == [("cType2", "fixed"), ("sType2", "socket")]
        bench.wait_until("both are Available", lambda: told(bench) == {1: ["Available"], 2: ["Available"]})
        bench.plug(1, connector=2)
        bench.wait_until("connector 2 is Occupied", lambda: told(bench)[2][1:] == ["Occupied"])
        charges(bench, 2, CARD, 20.0)
        assert outlet.locks == {2}
        bench.plug(1, connector=1)
        bench.wait_until("the second car is told", lambda: told(bench)[1][1:] == ["Occupied"])
        assert outlet.stage.connector == 2 and min(outlet.amps) > 19.9 and outlet.cars[1].load == "B"
        first = bench.transactions()[0].transaction_id
        assert bench.call("RequestStopTransaction", {"transactionId": first}) == {"status": "Accepted"}
        bench.wait_until("the plug is free", lambda: outlet.locks == set())
        bench.unplug(1, connector=2)
        bench.wait_until("connector 2 is Available", lambda: told(bench)[2][2:] == ["Available"])
        charges(bench, 1, OTHER, 32.0)
        assert outlet.locks == set()
        bench.unplug(1, connector=1)
        bench.wait_until("both have ended", lambda: [t.ended for t in bench.transactions()] == [True, True])
        bench.wait_until("connector 1 is Available", lambda: told(bench)[1][2:] == ["Available"])
        judged(bench)


def judged(bench: RealBench) -> None:
    """Each transaction names its connector and its driver, and the meter counted what they took."""
    sessions = [transaction.ordered() for transaction in bench.transactions()]
    places = [{(e["evse"]["id"], e["evse"]["connectorId"]) for e in events if "evse" in e} for events in sessions]
    assert places == [{(1, 2)}, {(1, 1)}]
    assert [next(e["idToken"]["idToken"] for e in events if "idToken" in e) for events in sessions] == [CARD, OTHER]
    assert [events[-1]["transactionInfo"]["stoppedReason"] for events in sessions] == ["Remote", "EVDisconnected"]
    assert sum(map(charged_wh, sessions)) == pytest.approx(bench.energy_wh(1), abs=2)
    assert judge.broken(bench) == []
