"""Words of the scripts about monitors: what the CSMS asks, and what it is told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hil.certification.states import Lab
from hil.certification.talk import WAIT_S, Json

SEVERITY = 5
NEAR = 100.0
"""W: a threshold and a difference that any charging car passes."""
REQUEST = 17
Status = str | tuple[str, ...]


def variable(component: str, name: str, evse: int | None = None, connector: int | None = None) -> Json:
    """A component and a variable of it."""
    described: Json = {"component": {"name": component}, "variable": {"name": name}}
    if evse is not None:
        described["component"]["evse"] = {"id": evse} | ({} if connector is None else {"connectorId": connector})
    return described


def state(lab: Lab) -> Json:
    """AvailabilityState of the EVSE."""
    return variable("EVSE", "AvailabilityState", lab.evse)


def power(lab: Lab) -> Json:
    """Power of the EVSE, a number."""
    return variable("EVSE", "Power", lab.evse)


def wish(of: Json, kind: str = "Delta", value: float = 1, severity: int = SEVERITY, **more: Any) -> Json:
    """One element of SetVariableMonitoring."""
    return {**of, "type": kind, "value": value, "severity": severity, **more}


def set_all(lab: Lab, *wishes: Json) -> list[Json]:
    """SetVariableMonitoring; its results, each of which repeats what was asked."""
    found: list[Json] = lab.call("SetVariableMonitoring", {"setMonitoringData": list(wishes)})["setMonitoringResult"]
    lab.check("number of results", len(found), len(wishes))
    for asked, result in zip(wishes, found, strict=True):
        for name in ("component", "variable", "type", "severity"):
            lab.check(f"{name} of the result", result[name], asked[name])
    return found


def results(lab: Lab, wishes: Sequence[Json], statuses: Sequence[Status]) -> list[Json]:
    """The same, with the statuses that are due; what was accepted has an id and no reason but NoError."""
    found = set_all(lab, *wishes)
    for result, status in zip(found, statuses, strict=True):
        lab.check("status of the result", result["status"], status)
        if result["status"] == "Accepted":
            lab.check("id of an accepted monitor is there", "id" in result, True)
            lab.check("reasonCode", result.get("statusInfo", {}).get("reasonCode", "NoError"), "NoError")
    return found


def accept(lab: Lab, wanted: Json) -> int:
    """Set one monitor; its id."""
    (result,) = results(lab, [wanted], ("Accepted",))
    return int(result["id"])


def clear(lab: Lab, ids: Sequence[int], statuses: Sequence[str]) -> None:
    """ClearVariableMonitoring, and what is due for each id."""
    found = lab.call("ClearVariableMonitoring", {"id": list(ids)})["clearMonitoringResult"]
    told = sorted((result["id"], result["status"]) for result in found)
    lab.check("results of ClearVariableMonitoring", told, sorted(zip(ids, statuses, strict=True)))


def base(lab: Lab, name: str) -> None:
    """SetMonitoringBase."""
    lab.call("SetMonitoringBase", {"monitoringBase": name}, status="Accepted")


def level(lab: Lab, severity: int) -> None:
    """SetMonitoringLevel."""
    lab.call("SetMonitoringLevel", {"severity": severity}, status="Accepted")


def report(lab: Lab, criteria: Sequence[str] = (), of: Sequence[Json] = ()) -> list[Json]:
    """GetMonitoringReport: every monitor with its component and variable; none when the result set is empty."""
    before = len(lab.bench.calls("NotifyMonitoringReport"))
    request: Json = {"requestId": REQUEST + before}
    request |= {"monitoringCriteria": list(criteria)} if criteria else {}
    request |= {"componentVariable": list(of)} if of else {}
    if lab.call("GetMonitoringReport", request, status=("Accepted", "EmptyResultSet"))["status"] == "EmptyResultSet":
        lab.bench.wait(1)
        lab.check("NotifyMonitoringReport", len(lab.bench.calls("NotifyMonitoringReport")), before)
        return []

    def parts() -> list[Json]:
        return [frame.payload for frame in lab.bench.calls("NotifyMonitoringReport")[before:]]

    lab.bench.wait_until("the last part of the report", lambda: parts() and not parts()[-1].get("tbc"))
    lab.check("requestIds", {part["requestId"] for part in parts()}, {request["requestId"]})
    lab.check("seqNos", [part["seqNo"] for part in parts()], list(range(len(parts()))))
    rows = [row for part in parts() for row in part["monitor"]]
    return [
        {**monitor, "component": row["component"], "variable": row["variable"]}
        for row in rows
        for monitor in row["variableMonitoring"]
    ]


def entries(lab: Lab, found: Sequence[Json], **wanted: object) -> None:
    """Fields that every reported monitor must have."""
    lab.check("something is reported", bool(found), True)
    for monitor in found:
        for name, value in wanted.items():
            lab.check(f"{name} of monitor {monitor['id']}", monitor[name], value)


def max_limit(lab: Lab) -> float:
    """The upper limit of the EVSE's power, as GetReport tells it."""
    before = len(lab.bench.calls("NotifyReport"))
    lab.call("GetReport", {"requestId": REQUEST, "componentVariable": [power(lab)]}, status="Accepted")
    told = lab.next_call("NotifyReport", before)
    return float(told["reportData"][0]["variableCharacteristics"]["maxLimit"])


# ---------------------------------------------------------------------------------------------- events


def new_events(lab: Lab, monitor: int | None = None, since: int = 0) -> list[Json]:
    """What NotifyEvent has brought of a monitor (None: of all) after the first `since` events of it."""
    frames = lab.bench.calls("NotifyEvent")
    found = [event for frame in frames for event in frame.payload["eventData"]]
    return [event for event in found if monitor in (None, event.get("variableMonitoringId"))][since:]


def event(lab: Lab, monitor: int, since: int = 0, within_s: float = WAIT_S, **wanted: object) -> Json:
    """The event of a monitor after the first `since`; it must have the fields that are `wanted` (None: be absent)."""
    lab.bench.wait_until(f"an event of monitor {monitor}", lambda: new_events(lab, monitor, since), within_s)
    for frame in lab.bench.calls("NotifyEvent"):
        lab.check("seqNo of NotifyEvent", frame.payload["seqNo"], 0)
    found = new_events(lab, monitor, since)[0]
    for name, value in wanted.items():
        lab.check(f"{name} of the event", found.get(name), value)
    return found
