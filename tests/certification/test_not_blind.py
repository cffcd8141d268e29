"""A station that says one thing wrong fails: the cases see what they claim to see."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from hil.certification import CASES, Verdict, run
from hil.csms import Frame, Transaction
from tests.certification.test_cases import STATION
from tests.sim.sim_bench import SimBench

Json = dict[str, Any]
Change = Callable[[Json], object]


class DistortedBench(SimBench):
    """The true station, heard wrongly: `change` alters what it sends with `action`, its answers included.

    A change that returns False removes the frame.
    """

    def __init__(self, action: str, change: Change) -> None:
        super().__init__(STATION)
        self._action, self._change = action, change

    def calls(self, *actions: str) -> Sequence[Frame]:
        heard = [replace(frame, payload=deepcopy(frame.payload)) for frame in super().calls(*actions)]
        return [f for f in heard if f.action != self._action or self._change(f.payload) is not False]

    def call(self, action: str, payload: Json) -> Json:
        answer = deepcopy(super().call(action, payload))
        if action == self._action:
            self._change(answer)
        return answer

    def transactions(self) -> Sequence[Transaction]:
        found: dict[str, Transaction] = {}
        for frame in self.calls("TransactionEvent"):
            id = frame.payload["transactionInfo"]["transactionId"]
            found.setdefault(id, Transaction(id, frame.identity)).add(frame.payload)
        return list(found.values())


def judged(case: str, bench: SimBench, evse: int = 1) -> Verdict:
    return run(CASES[case], bench, evse, CASES[case].ways[0])


def sets(**fields: object) -> Change:
    return lambda payload: payload.update(fields)


def lacks(field: str) -> Change:
    return lambda payload: payload.pop(field, None)


def tells(**fields: object) -> Change:
    """In transactionInfo."""
    return lambda payload: payload["transactionInfo"].update(fields)


def only(kind: str, change: Change) -> Change:
    """Events of this eventType."""
    return lambda payload: change(payload) if payload["eventType"] == kind else True


def never(kind: str) -> Change:
    return lambda payload: payload["eventType"] != kind


def samples(**fields: object) -> Change:
    def change(payload: Json) -> None:
        for value in payload.get("meterValue", ()):
            for sample in value["sampledValue"]:
                sample.update(fields)

    return change


def off_beat(payload: Json) -> None:
    """Every second seqNo is three seconds late."""
    late = timedelta(seconds=3 * (payload.get("seqNo", 0) % 2))
    payload["timestamp"] = (datetime.fromisoformat(payload["timestamp"]) + late).isoformat()


def askew(payload: Json) -> None:
    """Every second aligned instant is a second late."""
    for value in payload["meterValue"]:
        moment = datetime.fromisoformat(value["timestamp"])
        value["timestamp"] = (moment + timedelta(seconds=moment.second // 5 % 2)).isoformat()


LIES: list[tuple[str, str, Change]] = [
    ("TC_B_01", "BootNotification", sets(reason="Unknown")),
    ("TC_B_03", "StatusNotification", lambda p: p["evseId"] == 1),
    ("TC_B_51", "StatusNotification", lambda p: p["connectorStatus"] != "Occupied"),
    ("TC_C_02", "Authorize", lambda p: p["idToken"].update(idToken="04AAAAAAAAAAAA")),
    ("TC_C_08", "TransactionEvent", lacks("idToken")),
    ("TC_C_14", "TransactionEvent", only("Ended", tells(stoppedReason="Local"))),
    ("TC_C_15", "TransactionEvent", sets(triggerReason="Deauthorized")),
    ("TC_C_16", "TransactionEvent", lambda p: p["triggerReason"] != "Deauthorized"),
    ("TC_C_17", "TransactionEvent", lambda p: p["transactionInfo"]["chargingState"] != "SuspendedEVSE"),
    ("TC_C_18", "TransactionEvent", only("Ended", sets(offline=True))),
    ("TC_C_21", "TransactionEvent", lacks("offline")),
    ("TC_C_34", "Authorize", lambda p: False),
    ("TC_C_37", "ClearCache", sets(status="Rejected")),
    ("TC_C_38", "ClearCache", sets(status="Accepted")),
    ("TC_C_40", "TransactionEvent", only("Ended", lacks("idToken"))),
    ("TC_C_49", "TransactionEvent", only("Ended", tells(stoppedReason="Local"))),
    ("TC_D_06", "SendLocalList", sets(status="Accepted")),
    ("TC_D_07", "GetLocalListVersion", sets(versionNumber=0)),
    ("TC_D_10", "GetLocalListVersion", sets(versionNumber=5)),
    ("TC_G_02", "StatusNotification", lambda p: p["connectorStatus"] != "Available"),
    ("TC_E_01", "TransactionEvent", only("Started", sets(triggerReason="Trigger"))),
    ("TC_E_01", "TransactionEvent", lacks("evse")),
    ("TC_E_01", "TransactionEvent", lacks("idToken")),
    ("TC_E_01", "TransactionEvent", sets(evse={"id": 2, "connectorId": 1})),
    ("TC_E_01", "TransactionEvent", only("Started", sets(eventType="Updated"))),
    ("TC_E_01", "StatusNotification", lambda p: p["connectorStatus"] != "Occupied"),
    ("TC_E_02", "TransactionEvent", tells(chargingState="SuspendedEV")),
    ("TC_E_04", "Authorize", lambda p: p["idToken"].update(idToken="04AAAAAAAAAAAA")),
    ("TC_E_05", "TransactionEvent", only("Ended", tells(stoppedReason="Local"))),
    ("TC_E_06", "TransactionEvent", only("Ended", sets(triggerReason="ChargingStateChanged"))),
    ("TC_E_06", "TransactionEvent", only("Ended", tells(stoppedReason="Remote"))),
    ("TC_E_07", "TransactionEvent", never("Ended")),
    ("TC_E_13", "TransactionEvent", lambda p: p["transactionInfo"].pop("remoteStartId", None)),
    ("TC_E_13", "RequestStartTransaction", sets(status="Rejected")),
    ("TC_E_22", "TransactionEvent", only("Ended", tells(stoppedReason="Other"))),
    ("TC_E_26", "TransactionEvent", lambda p: p["triggerReason"] != "CablePluggedIn" or p["eventType"] == "Started"),
    ("TC_E_27", "TransactionEvent", only("Ended", sets(triggerReason="EVCommunicationLost"))),
    ("TC_E_28", "GetTransactionStatus", sets(ongoingIndicator=True)),
    ("TC_E_29", "TransactionEvent", lacks("offline")),
    ("TC_E_30", "GetTransactionStatus", lacks("ongoingIndicator")),
    ("TC_E_34", "GetTransactionStatus", sets(ongoingIndicator=False)),
    ("TC_E_40", "TransactionEvent", lacks("meterValue")),
    ("TC_E_41", "TransactionEvent", lambda p: p["seqNo"] == 0),
    ("TC_E_43", "TransactionEvent", sets(offline=False)),
    ("TC_E_45", "TransactionEvent", lambda p: p.get("idToken", {}).update(idToken="04AAAAAAAAAAAA")),
    ("TC_J_01", "MeterValues", askew),
    ("TC_J_01", "MeterValues", samples(context="Sample.Periodic")),
    ("TC_J_02", "TransactionEvent", samples(measurand="SoC")),
    ("TC_J_03", "TransactionEvent", only("Ended", lacks("meterValue"))),
    ("TC_J_07", "TransactionEvent", only("Started", lacks("meterValue"))),
    ("TC_J_07", "TransactionEvent", samples(location="EV")),
    ("TC_J_09", "TransactionEvent", off_beat),
    ("TC_J_10", "TransactionEvent", samples(context="Sample.Periodic")),
]


@pytest.mark.parametrize(("case", "action", "change"), LIES, ids=[f"{c}-{i}" for i, (c, *_) in enumerate(LIES)])
def test_a_lie_makes_the_case_fail(case: str, action: str, change: Change) -> None:
    assert judged(case, SimBench(STATION)).outcome == "passed"
    verdict = judged(case, DistortedBench(action, change))
    assert verdict.outcome == "failed" and verdict.reason


def test_a_gap_in_the_sequence_numbers_is_seen() -> None:
    def skip_one(payload: Json) -> None:
        payload["seqNo"] += payload["seqNo"] > 0

    verdict = judged("TC_E_04", DistortedBench("TransactionEvent", skip_one))
    assert "seqNos" in verdict.reason


def test_a_broken_rule_of_the_protocol_is_seen() -> None:
    bench = SimBench(STATION)
    bench.csms.book.violation(0.0, "CD-0001", "schema", "a frame that was not valid")
    assert "not valid" in judged("TC_E_28", bench).reason


def test_a_csms_that_is_slow_to_answer_is_no_failure_of_the_station() -> None:
    bench = SimBench(STATION)
    bench.behaviour.delays["Authorize"] = 0.5
    assert judged("TC_E_04", bench).outcome == "passed"
