"""N: monitors on variables, and the events that they and the hardware cause."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.core.context import Context
from agent.core.monitors import Wish
from agent.core.monitors_report import Sought
from agent.protocol.block import Block, answers, follows, moment, sends
from agent.protocol.errors import ErrorCode, Violation
from agent.protocol.v201 import call, call_result, datatypes
from agent.protocol.variables import info, named, where
from config_keys import device, monitoring
from config_keys.values import Refusal


class Monitoring(Block):
    """N02 to N08."""

    @answers("SetVariableMonitoring")
    def set(self, request: call.SetVariableMonitoring, cx: Context) -> call_result.SetVariableMonitoring | Violation:
        asked = request.set_monitoring_data
        if wrong := _too_many(len(asked), cx.keys[monitoring.ITEMS_PER_SET]):
            return wrong
        return call_result.SetVariableMonitoring(set_monitoring_result=[self._set(cx, one) for one in asked])

    def _set(self, cx: Context, asked: Any) -> datatypes.SetMonitoringResultType:
        done = self.charger.monitoring.monitors.set(cx, Wish(
            where(asked), asked.type, float(asked.value), asked.severity, asked.id, bool(asked.transaction)
        ))  # fmt: skip
        return datatypes.SetMonitoringResultType(
            status=_status(done.status), type=asked.type, severity=asked.severity, component=asked.component,
            variable=asked.variable, id=done.id, status_info=info(done.refusal),
        )  # fmt: skip

    @answers("ClearVariableMonitoring")
    def clear(
        self, request: call.ClearVariableMonitoring, cx: Context
    ) -> call_result.ClearVariableMonitoring | Violation:
        if wrong := _too_many(len(request.id), cx.keys[monitoring.ITEMS_PER_CLEAR]):
            return wrong
        results: list[Any] = [self._clear(cx, id) for id in request.id]
        return call_result.ClearVariableMonitoring(clear_monitoring_result=results)

    def _clear(self, cx: Context, id: int) -> datatypes.ClearMonitoringResultType:
        status = self.charger.monitoring.monitors.clear(cx, id)
        refusals = {
            "NotFound": Refusal("NotFound", f"no monitor {id}"),
            "Rejected": Refusal("ReadOnly", f"monitor {id} is hard-wired"),
        }
        return datatypes.ClearMonitoringResultType(_status(status), id, info(refusals.get(status)))

    @answers("SetMonitoringBase")
    def set_base(self, request: call.SetMonitoringBase, cx: Context) -> call_result.SetMonitoringBase:
        self.charger.monitoring.monitors.set_base(cx, str(request.monitoring_base))
        return call_result.SetMonitoringBase(status=_status("Accepted"))

    @answers("SetMonitoringLevel")
    def set_level(self, request: call.SetMonitoringLevel, cx: Context) -> call_result.SetMonitoringLevel:
        if self.charger.monitoring.set_level(cx, request.severity):
            return call_result.SetMonitoringLevel(status=_status("Accepted"))
        refusal = Refusal("ValueOutOfRange", "severity is 0 to 9 (N05.FR.02)")
        return call_result.SetMonitoringLevel(status=_status("Rejected"), status_info=info(refusal))

    @answers("GetMonitoringReport")
    def report(
        self, request: call.GetMonitoringReport, cx: Context
    ) -> call_result.GetMonitoringReport | Violation:
        sought = [_sought(one) for one in request.component_variable or ()]
        if wrong := _too_many(len(sought), cx.keys[device.ITEMS_PER_GET_REPORT]):
            return wrong
        criteria = [str(criterion) for criterion in request.monitoring_criteria or ()]
        if self.charger.monitoring.report(cx, request.request_id, criteria, sought):
            return call_result.GetMonitoringReport(status=_status("Accepted"))
        nothing = info(Refusal("NotFound", "no monitor fits"))
        return call_result.GetMonitoringReport(status=_status("EmptyResultSet"), status_info=nothing)

    @sends("NotifyMonitoringReport")
    def monitoring_report(self, data: Mapping[str, Any], cx: Context) -> call.NotifyMonitoringReport:
        return call.NotifyMonitoringReport(
            request_id=data["request"], seq_no=data["seq"], generated_at=moment(cx, data["at"]), tbc=data["more"],
            monitor=[_monitored(row) for row in data["rows"]],
        )  # fmt: skip

    @sends("NotifyEvent")
    def notify_event(self, data: Mapping[str, Any], cx: Context) -> call.NotifyEvent:
        """Each NotifyEvent is a report of its own: seqNo is 0 (N07.FR.07, N08.FR.04)."""
        events = [_event(cx, event) for event in data["events"]]
        return call.NotifyEvent(generated_at=moment(cx, data["at"]), seq_no=0, event_data=events)

    @follows("notices")
    def notified(
        self, response: call_result.NotifyEvent, data: Mapping[str, Any], asked: Mapping[str, Any], cx: Context
    ) -> None:
        self.charger.monitoring.notices.answered(cx, asked["ids"])


def _too_many(items: int, most: int) -> Violation | None:
    return Violation(ErrorCode.OCCURRENCE, f"{items} items; at most {most}") if items > most else None


def _status(text: str) -> Any:
    return text


def _sought(asked: Any) -> Sought:
    evse, variable = asked.component.evse, asked.variable
    return Sought(
        asked.component.name, asked.component.instance, evse.id if evse else None,
        evse.connector_id if evse else None, variable.name if variable else None,
        variable.instance if variable else None,
    )  # fmt: skip


def _monitored(row: Mapping[str, Any]) -> datatypes.MonitoringDataType:
    component, variable = named(row["where"])
    monitors = [
        datatypes.VariableMonitoringType(m["id"], m["transaction"], m["value"], m["kind"], m["severity"])
        for m in row["monitors"]
    ]
    return datatypes.MonitoringDataType(component, variable, monitors)


def _event(cx: Context, event: Mapping[str, Any]) -> datatypes.EventDataType:
    component, variable = named(event["where"])
    return datatypes.EventDataType(
        event_id=event["id"], timestamp=moment(cx, event["at"]), trigger=event["trigger"],
        actual_value=event["value"], event_notification_type=event["origin"], component=component,
        variable=variable, cause=event.get("cause"), tech_code=event.get("code"), tech_info=event.get("info"),
        cleared=event.get("cleared"), transaction_id=event.get("tx"), variable_monitoring_id=event.get("monitor"),
    )  # fmt: skip
