"""Words for the stories about monitors: what the CSMS asks, and the events that it hears."""

from __future__ import annotations

from typing import Any

from tests.blocks.stories import heard, name
from tests.sim.transactions import Payload
from tests.sim.world import World

AVAILABILITY = "EVSE.AvailabilityState@1"
POWER = "EVSE.Power@1"
THRESHOLD_KEY = "OCPPCommCtrlr.OfflineThreshold"


def at(text: str) -> Payload:
    """Component and variable of "Component.Variable[instance]@evse.connector"."""
    variable, _, place = text.partition("@")
    described = name(variable)
    if place:
        evse, _, connector = place.partition(".")
        described["component"]["evse"] = {"id": int(evse)} | ({"connectorId": int(connector)} if connector else {})
    return described


def wish(variable: str, kind: str = "Delta", value: float = 1, severity: int = 4, **more: Any) -> Payload:
    """One element of SetVariableMonitoring."""
    return {**at(variable), "type": kind, "value": value, "severity": severity, **more}


def set_monitors(world: World, *wishes: Payload) -> list[Payload]:
    """SetVariableMonitoring; its results."""
    answer = world.csms_asks("SetVariableMonitoring", {"setMonitoringData": list(wishes)})
    results: list[Payload] = answer["setMonitoringResult"]
    return results


def watch(world: World, variable: str, kind: str = "Delta", value: float = 1, severity: int = 4, **more: Any) -> int:
    """A monitor that is Accepted; its id."""
    (result,) = set_monitors(world, wish(variable, kind, value, severity, **more))
    assert result["status"] == "Accepted", result
    return int(result["id"])


def clear(world: World, *ids: int) -> list[str]:
    """ClearVariableMonitoring; the statuses."""
    answer = world.csms_asks("ClearVariableMonitoring", {"id": list(ids)})
    assert [result["id"] for result in answer["clearMonitoringResult"]] == list(ids)
    return [result["status"] for result in answer["clearMonitoringResult"]]


def base(world: World, monitoring_base: str) -> None:
    """SetMonitoringBase, accepted."""
    assert world.csms_asks("SetMonitoringBase", {"monitoringBase": monitoring_base}) == {"status": "Accepted"}


def level(world: World, severity: int) -> None:
    """SetMonitoringLevel, accepted."""
    assert world.csms_asks("SetMonitoringLevel", {"severity": severity}) == {"status": "Accepted"}


def report(world: World, *criteria: str, of: list[Payload] | None = None, id: int = 1) -> list[Payload]:
    """GetMonitoringReport, accepted; the rows of all its parts."""
    before = len(heard(world, "NotifyMonitoringReport"))
    request: Payload = {"requestId": id}
    if criteria:
        request["monitoringCriteria"] = list(criteria)
    if of is not None:
        request["componentVariable"] = of
    answer = world.csms_asks("GetMonitoringReport", request)
    if answer["status"] == "EmptyResultSet":
        assert answer["statusInfo"]["reasonCode"] == "NotFound"
        return []
    assert answer == {"status": "Accepted"}
    world.runs(seconds=10)
    parts = [payload for _, payload in heard(world, "NotifyMonitoringReport")][before:]
    assert [part["seqNo"] for part in parts] == list(range(len(parts)))
    assert [part["tbc"] for part in parts] == [True] * (len(parts) - 1) + [False]
    assert {part["requestId"] for part in parts} == {id}
    return [row for part in parts for row in part["monitor"]]


def ids(rows: list[Payload]) -> list[int]:
    """The ids of all monitors in a report."""
    return [monitor["id"] for row in rows for monitor in row["variableMonitoring"]]


def events(world: World, monitor: int | None = None) -> list[Payload]:
    """Every event that the CSMS has heard, of one monitor or of all, each once: a lost answer makes it come again.

    Each NotifyEvent is the first part of its report.
    """
    told = [payload for _, payload in heard(world, "NotifyEvent")]
    assert all(payload["seqNo"] == 0 and not payload.get("tbc") for payload in told)
    found: dict[int, Payload] = {}
    for event in (event for payload in told for event in payload["eventData"]):
        assert found.setdefault(event["eventId"], event) == event
    return [event for event in found.values() if monitor is None or event.get("variableMonitoringId") == monitor]


def values(world: World, monitor: int) -> list[str]:
    """The values in the events of a monitor."""
    return [event["actualValue"] for event in events(world, monitor)]
