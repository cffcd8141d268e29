"""The monitoring cases see what they claim to see: a station that tells it wrongly fails."""

from __future__ import annotations

import pytest

from tests.certification.test_cases import STATION
from tests.certification.test_not_blind import Change, DistortedBench, Json, judged
from tests.sim.sim_bench import SimBench


def in_events(**fields: object) -> Change:
    """Every event of a NotifyEvent says this."""
    return lambda payload: [event.update(fields) for event in payload["eventData"]]


def without(field: str) -> Change:
    """No event has this field."""
    return lambda payload: [event.pop(field, None) for event in payload["eventData"]]


def in_report(**fields: object) -> Change:
    """Every reported monitor says this."""
    return lambda payload: [m.update(fields) for row in payload["monitor"] for m in row["variableMonitoring"]]


def in_results(name: str, **fields: object) -> Change:
    """Every result of an answer says this."""
    return lambda payload: [result.update(fields) for result in payload[name]]


def every_other(payload: Json) -> bool:
    """Half of the events are lost."""
    return all(event["eventId"] % 2 == 0 for event in payload["eventData"])


LIES: list[tuple[str, str, Change]] = [
    ("TC_N_01", "NotifyMonitoringReport", in_report(type="Delta")),
    ("TC_N_06", "SetMonitoringBase", lambda payload: payload.update(status="NotSupported")),
    ("TC_N_13", "SetVariableMonitoring", in_results("setMonitoringResult", status="Accepted")),
    ("TC_N_15", "SetVariableMonitoring", in_results("setMonitoringResult", severity=9)),
    ("TC_N_19", "ClearVariableMonitoring", in_results("clearMonitoringResult", status="Accepted")),
    ("TC_N_20", "NotifyEvent", without("cleared")),
    ("TC_N_20", "NotifyEvent", without("transactionId")),
    ("TC_N_21", "NotifyEvent", in_events(eventNotificationType="HardWiredMonitor")),
    ("TC_N_22", "NotifyEvent", lambda payload: False),
    ("TC_N_24", "NotifyEvent", every_other),
    ("TC_N_25", "LogStatusNotification", lambda payload: payload["status"] != "Uploaded"),
    ("TC_N_26", "LogStatusNotification", lambda payload: payload.update(requestId=4711)),
    ("TC_N_34", "GetLog", lambda payload: payload.update(status="Accepted")),
    ("TC_N_35", "GetLog", lambda payload: payload.pop("filename")),
    ("TC_N_36", "GetLog", lambda payload: payload.update(status="Accepted")),
    ("TC_N_41", "NotifyMonitoringReport", in_report(severity=6)),
    ("TC_N_44", "ClearVariableMonitoring", in_results("clearMonitoringResult", status="Accepted")),
    ("TC_N_48", "NotifyEvent", in_events(actualValue="secret")),
    ("TC_N_53", "NotifyMonitoringReport", in_report(id=4711)),
    ("TC_N_56", "NotifyEvent", in_events(trigger="Alerting")),
]


@pytest.mark.parametrize(("case", "action", "change"), LIES, ids=[f"{c}-{i}" for i, (c, *_) in enumerate(LIES)])
def test_a_lie_makes_the_case_fail(case: str, action: str, change: Change) -> None:
    assert judged(case, SimBench(STATION)).outcome == "passed"
    verdict = judged(case, DistortedBench(action, change))
    assert verdict.outcome == "failed" and verdict.reason
