"""A station that provisions wrongly fails: the cases of block B see what they claim to see."""

from __future__ import annotations

from typing import Any

import pytest

from tests.certification.test_cases import STATION
from tests.certification.test_not_blind import Change, DistortedBench, judged, only, sets, tells
from tests.sim.sim_bench import SimBench

Json = dict[str, Any]


def in_results(list_name: str, **fields: object) -> Change:
    """In every result of an answer."""

    def change(payload: Json) -> None:
        for result in payload.get(list_name, ()):
            result.update(fields)

    return change


def in_rows(change_row: Change, component: str = "") -> Change:
    """In every row of a report, or in those of one component."""

    def change(payload: Json) -> None:
        for row in payload["reportData"]:
            if component in ("", row["component"]["name"]):
                change_row(row)

    return change


def without(component: str, variable: str) -> Change:
    """Nothing is reported of a variable."""

    def change(payload: Json) -> None:
        payload["reportData"] = [
            row for row in payload["reportData"]
            if (row["component"]["name"], row["variable"]["name"]) != (component, variable)
        ]  # fmt: skip

    return change


def rebooted_with(reason: str) -> Change:
    return lambda payload: payload.update(reason=payload["reason"] if payload["reason"] == "PowerUp" else reason)


LIES: list[tuple[str, str, Change]] = [
    ("TC_B_02", "RequestStartTransaction", sets(status="Accepted")),
    ("TC_B_06", "GetVariables", in_results("getVariableResult", attributeValue="299")),
    ("TC_B_07", "GetVariables", lambda payload: payload["getVariableResult"].pop()),
    ("TC_B_09", "SetVariables", in_results("setVariableResult", attributeType="Target")),
    ("TC_B_11", "SetVariables", in_results("setVariableResult", attributeStatus="Accepted")),
    ("TC_B_32", "GetVariables", in_results("getVariableResult", attributeStatus="UnknownVariable")),
    ("TC_B_39", "SetVariables", in_results("setVariableResult", attributeStatus="Accepted")),
    ("TC_B_12", "GetBaseReport", sets(status="NotSupported")),
    ("TC_B_13", "NotifyReport", lambda payload: payload.update(seqNo=payload["seqNo"] + 1)),
    ("TC_B_13", "NotifyReport", in_rows(lambda row: row.pop("variableCharacteristics"), "TxCtrlr")),
    ("TC_B_53", "NotifyReport", in_rows(lambda row: row["variableAttribute"][0].update(value="none"), "SecurityCtrlr")),
    ("TC_B_53", "NotifyReport", without("Connector", "ConnectorType")),
    ("TC_B_53", "NotifyReport", without("TxCtrlr", "TxStopPoint")),
    ("TC_B_14", "NotifyReport", without("EVSE", "AvailabilityState")),
    ("TC_B_16", "GetVariables", in_results("getVariableResult", attributeValue="false")),
    ("TC_B_17", "NotifyReport", in_rows(lambda row: row["component"].update(evse={"id": 2}))),
    ("TC_B_18", "GetReport", sets(status="Accepted")),
    ("TC_B_54", "NotifyReport", in_rows(lambda row: row["variable"].update(instance="GetReport"))),
    ("TC_B_56", "NotifyReport", in_rows(lambda row: row["component"].update(evse={"id": 2}))),
    ("TC_B_20", "Reset", sets(status="Scheduled")),
    ("TC_B_21", "BootNotification", rebooted_with("RemoteReset")),
    ("TC_B_22", "TransactionEvent", only("Ended", sets(triggerReason="StopAuthorized"))),
    ("TC_B_22", "TransactionEvent", only("Ended", tells(stoppedReason="Reboot"))),
    ("TC_B_22", "BootNotification", rebooted_with("ScheduledReset")),
    ("TC_B_23", "StatusNotification", lambda p: p.update(connectorStatus="Available") if p["evseId"] == 1 else None),
    ("TC_B_26", "Reset", sets(status="Accepted")),
    ("TC_B_27", "TransactionEvent", only("Ended", tells(chargingState="Charging"))),
    ("TC_B_41", "BootNotification", rebooted_with("RemoteReset")),
    ("TC_B_43", "SetNetworkProfile", sets(status="Accepted")),
    ("TC_B_45", "SetVariables", in_results("setVariableResult", attributeStatus="Rejected")),
]


@pytest.mark.parametrize(("case", "action", "change"), LIES, ids=[f"{c}-{i}" for i, (c, *_) in enumerate(LIES)])
def test_a_lie_makes_the_case_fail(case: str, action: str, change: Change) -> None:
    assert judged(case, SimBench(STATION)).outcome == "passed"
    verdict = judged(case, DistortedBench(action, change))
    assert verdict.outcome == "failed" and verdict.reason


class StubbornBench(SimBench):
    """A station that goes back to its old CSMS after a single attempt."""

    def knocks(self, url: str) -> int:
        return min(super().knocks(url), 1) if "csms2" in url else super().knocks(url)


def test_too_few_attempts_at_a_new_address_are_seen() -> None:
    assert "attempts at the new address" in judged("TC_B_46", StubbornBench(STATION)).reason
