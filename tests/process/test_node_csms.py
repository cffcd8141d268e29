"""A whole session of the real process against a CSMS of another make, which validates by its own schemas."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hil.cutter import Address
from hil.real_bench import RealBench
from hil.scenarios.charging_session import profile
from tests.interop.node_csms import Line, NodeCsms, node_csms
from tests.marks import req
from tests.process.benches import CARDS, plan

EVSE = 2
TOKEN = {"idToken": "REMOTE-1", "type": "Central"}
INTERVAL = {"component": {"name": "SampledDataCtrlr"}, "variable": {"name": "TxUpdatedInterval"}}


@req("B01.FR.01", "C01.FR.02", "E01.FR.07", "F02.FR.01")
def test_a_session_without_a_violation(tmp_path: Path) -> None:
    with node_csms() as csms, RealBench(plan(tmp_path), csms=Address("127.0.0.1", csms.port)) as bench:
        bench.wait_until("Available", lambda: status(csms) == "Available")
        variables(csms)
        by_card(bench, csms)
        limited(bench, csms)
        offline(bench, csms)
        power_cut(bench, csms)
        from_afar(bench, csms)
        bench.unplug(EVSE)
        bench.wait_until("all ended", lambda: len(ended(csms)) == 2)
        bench.wait_until("Available", lambda: status(csms) == "Available")
        bench.wait_until("both registers add up", lambda: abs(told_wh(csms) - bench.energy_wh(EVSE)) <= 2)
    assert csms.violations == []
    assert not [line for line in csms.seen("answer") if "error" in line]
    actions = {line["action"] for line in csms.seen("call")}
    assert actions >= {"BootNotification", "Authorize", "StatusNotification", "TransactionEvent", "Heartbeat"}


def variables(csms: NodeCsms) -> None:
    """B05, B06: written, and read back."""
    answer = csms.call("SetVariables", {"setVariableData": [{**INTERVAL, "attributeValue": "1"}]})
    assert [r["attributeStatus"] for r in answer["payload"]["setVariableResult"]] == ["Accepted"]
    unknown = {"component": {"name": "Teleport"}, "variable": {"name": "Target"}}
    answer = csms.call("GetVariables", {"getVariableData": [INTERVAL, unknown]})
    results = answer["payload"]["getVariableResult"]
    assert [r["attributeStatus"] for r in results] == ["Accepted", "UnknownComponent"]
    assert results[0]["attributeValue"] == "1"


def by_card(bench: RealBench, csms: NodeCsms) -> None:
    bench.plug(EVSE, amps=16)
    bench.wait_until("Occupied", lambda: status(csms) == "Occupied")
    bench.present(CARDS[EVSE], EVSE)
    bench.wait_until("current", lambda: min(bench.amps(EVSE)) > 15.9)
    bench.wait_until("samples", lambda: len(events(csms, "Updated")) > 2)


def limited(bench: RealBench, csms: NodeCsms) -> None:
    answer = csms.call("SetChargingProfile", {"evseId": EVSE, "chargingProfile": profile(10.0)})
    assert answer["payload"] == {"status": "Accepted"}
    bench.wait_until("10 A", lambda: 9.9 < max(bench.amps(EVSE)) < 10.1)


def offline(bench: RealBench, csms: NodeCsms) -> None:
    bench.cut()
    before = bench.energy_wh(EVSE)
    bench.wait_until("energy flows on", lambda: bench.energy_wh(EVSE) > before + 4)
    bench.restore()
    bench.wait_until("offline events", lambda: any(event.get("offline") for event in events(csms)))


def power_cut(bench: RealBench, csms: NodeCsms) -> None:
    boots = len(csms.seen("call", "BootNotification"))
    bench.lose_power()
    assert not bench.closed(EVSE)
    bench.return_power()
    bench.wait_until("another boot", lambda: len(csms.seen("call", "BootNotification")) > boots)
    bench.wait_until("10 A again", lambda: 9.9 < max(bench.amps(EVSE)) < 10.1, 45)


def from_afar(bench: RealBench, csms: NodeCsms) -> None:
    """F03, F02: stopped by the CSMS, and another one started with the car still there."""
    running = events(csms)[-1]["transactionInfo"]["transactionId"]
    assert csms.call("RequestStopTransaction", {"transactionId": running})["payload"] == {"status": "Accepted"}
    bench.wait_until("ended", lambda: [e["transactionInfo"]["transactionId"] for e in ended(csms)] == [running])
    assert not bench.closed(EVSE)
    wanted: dict[str, Any] = {"remoteStartId": 7, "idToken": TOKEN, "evseId": EVSE}
    assert csms.call("RequestStartTransaction", wanted)["payload"]["status"] == "Accepted"
    bench.wait_until("current again", lambda: min(bench.amps(EVSE)) > 9.9, 45)
    started = events(csms, "Started")[-1]
    assert started["transactionInfo"]["remoteStartId"] == 7 and started["idToken"] == TOKEN


def events(csms: NodeCsms, kind: str | None = None) -> list[Line]:
    """Payloads of the TransactionEvents so far."""
    told: list[Line] = [line["payload"] for line in csms.seen("call", "TransactionEvent")]
    return [event for event in told if kind in (None, event["eventType"])]


def ended(csms: NodeCsms) -> list[Line]:
    return events(csms, "Ended")


def status(csms: NodeCsms) -> str | None:
    told = [line["payload"] for line in csms.seen("call", "StatusNotification")]
    return next((n["connectorStatus"] for n in reversed(told) if n["evseId"] == EVSE), None)


def told_wh(csms: NodeCsms) -> float:
    """The sum of what both transactions say at their end."""
    return sum(_register(event, "Transaction.End") - _register(event, "Transaction.Begin") for event in ended(csms))


def _register(event: Line, context: str) -> float:
    samples = [sample for value in event["meterValue"] for sample in value["sampledValue"]]
    return next(
        float(s["value"]) for s in samples
        if s["context"] == context and s["measurand"] == "Energy.Active.Import.Register" and "phase" not in s
    )  # fmt: skip
