"""Every request of a CSMS, whole, minimal and wrong in one place, from a CSMS of another make to the real process."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

from agent.protocol.actions import FROM_CSMS
from docs.generate.feature_matrix import matrix
from hil.cutter import Address
from hil.real_bench import RealBench
from tests.interop.node_csms import NodeCsms, node_csms
from tests.marks import req
from tests.process.benches import plan
from tests.protocol.instances import instance, mutations, schemas
from tests.protocol.test_validators import expected_codes

MUTANTS = 60
"""Wrong payloads of each action, chosen at random but always the same."""
LENIENT = "is 2026-01-31T12:00:00"
"""A moment without an offset is none (RFC 3339), which the other schemas let pass."""
ANSWERED = {row["message"] for row in matrix()["messages"] if "CSMS" in row["direction"] and "block" in row}
"""What docs/feature-matrix.md calls implemented; a valid request of another kind is answered with NotSupported."""
HARMLESS = {"Reset": {"type": "OnIdle", "evseId": 99}, "SetNetworkProfile": None}
"""Valid payloads that change nothing which the test needs; None: no valid one is sent."""


def payloads(action: str) -> tuple[list[Any], list[Any]]:
    """Payloads made to be valid, and changed ones, of which some still are."""
    root, random = schemas()[f"{action}Request"], Random(action)
    whole, least = instance(root, root, random), instance(root, root, random, 0.0)
    changed = [mutant for name, mutant in mutations(root, whole) if not name.endswith(LENIENT)]
    chosen = random.sample(changed, min(MUTANTS, len(changed)))
    if action not in HARMLESS:
        return [whole, least], chosen
    harmless = HARMLESS[action]
    return ([harmless] if harmless else []), [one for one in chosen if expected_codes(root, one)]


def wrong_answers(csms: NodeCsms, action: str) -> list[str]:
    root = schemas()[f"{action}Request"]
    valid, changed = payloads(action)
    sent = [*valid, *changed]
    found, usual = [], None if action in ANSWERED else "NotSupported"
    for payload, line in zip(sent, csms.probe([(action, one) for one in sent]), strict=True):
        codes: set[str | None] = {str(code.value) for code in expected_codes(root, payload)}
        if line["valid"] == bool(codes):
            found.append(f"{action}: the schemas differ on {payload}")
        elif line["code"] not in (codes or {usual}):
            found.append(f"{action} {payload}: {line['code']}, expected one of {codes or usual}")
    return found


@req("FR.02", "FR.03")
def test_every_request_is_answered_and_every_wrong_one_with_its_code(tmp_path: Path) -> None:
    with node_csms() as csms, RealBench(plan(tmp_path), csms=Address("127.0.0.1", csms.port)) as bench:
        bench.wait_until("a boot", lambda: csms.seen("call", "StatusNotification"))
        found = [wrong for action in sorted(FROM_CSMS) for wrong in wrong_answers(csms, action)]
        connections = Counter(line["what"] for line in csms.lines)["connected"]
    assert found == []
    assert csms.violations == []
    assert connections == 1


@req("B07.FR.08")
def test_the_full_inventory_is_valid_in_every_part(tmp_path: Path) -> None:
    with node_csms() as csms, RealBench(plan(tmp_path), csms=Address("127.0.0.1", csms.port)) as bench:
        bench.wait_until("a boot", lambda: csms.seen("call", "StatusNotification"))
        answer = csms.call("GetBaseReport", {"requestId": 5, "reportBase": "FullInventory"})
        assert answer["payload"] == {"status": "Accepted"}
        parts = bench.wait_until("the last part", lambda: whole(csms), 60)
    assert csms.violations == []
    rows = [row for part in parts for row in part["reportData"]]
    told = {(r["component"]["name"], r["component"].get("evse", {}).get("id"), r["variable"]["name"]) for r in rows}
    assert {("ChargingStation", None, "Available"), ("EVSE", 1, "Available"), ("EVSE", 2, "Available")} <= told
    assert {("Connector", 1, "Available"), ("Connector", 2, "Available")} <= told
    for controller in ("SmartChargingCtrlr", "AuthCacheCtrlr", "LocalAuthListCtrlr", "MonitoringCtrlr"):
        assert {(controller, None, "Available"), (controller, None, "Enabled")} <= told, controller


def whole(csms: NodeCsms) -> list[dict[str, Any]]:
    """The parts of the report in their order, once the last one is there."""
    parts = [line["payload"] for line in csms.seen("call", "NotifyReport")]
    assert [part["seqNo"] for part in parts] == list(range(len(parts)))
    return parts if parts and not parts[-1].get("tbc") else []
