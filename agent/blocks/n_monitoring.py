"""N: monitors on variables, and the events that they and the hardware cause."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agent.blocks.status_info import info
from agent.blocks.variables import named, page, sought, where
from agent.core.context import Context
from agent.core.instant import rfc3339
from agent.core.monitors import Monitor, Wish
from agent.core.variables import parts
from agent.protocol.block import Block, answers, follows, moment, sends, too_many
from agent.protocol.errors import Violation
from agent.protocol.v201 import call, call_result, datatypes
from config_keys import device, monitoring
from config_keys.values import Refusal


class Monitoring(Block):
    """N02 to N08."""

    @answers("SetVariableMonitoring", most_bytes=monitoring.BYTES_PER_SET)
    def set(self, request: call.SetVariableMonitoring, cx: Context) -> call_result.SetVariableMonitoring | Violation:
        asked = request.set_monitoring_data
        if wrong := too_many(len(asked), cx.keys[monitoring.ITEMS_PER_SET]):
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

    @answers("ClearVariableMonitoring", most_bytes=monitoring.BYTES_PER_CLEAR)
    def clear(
        self, request: call.ClearVariableMonitoring, cx: Context
    ) -> call_result.ClearVariableMonitoring | Violation:
        if wrong := too_many(len(request.id), cx.keys[monitoring.ITEMS_PER_CLEAR]):
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

    @answers("GetMonitoringReport", most_bytes=device.BYTES_PER_GET_REPORT)
    def report(
        self, request: call.GetMonitoringReport, cx: Context
    ) -> call_result.GetMonitoringReport | Violation:
        wanted = [sought(one) for one in request.component_variable or ()]
        if wrong := too_many(len(wanted), cx.keys[device.ITEMS_PER_GET_REPORT]):
            return wrong
        rows = self.charger.monitoring.select([str(c) for c in request.monitoring_criteria or ()], wanted)
        if not rows:
            nothing = info(Refusal("NotFound", "no monitor fits"))
            return call_result.GetMonitoringReport(status=_status("EmptyResultSet"), status_info=nothing)
        refusal = self.charger.reports.begin("NotifyMonitoringReport", request.request_id, rows)
        status = "Accepted" if refusal is None else "Rejected"
        return call_result.GetMonitoringReport(status=_status(status), status_info=info(refusal))

    @sends("NotifyMonitoringReport")
    def monitoring_report(self, data: Mapping[str, Any], cx: Context) -> call.NotifyMonitoringReport:
        report, utc = self.charger.reports.current, cx.utc()
        assert utc is not None, "a report before any clock"
        rows = page(cx, report.left, _monitored)
        report.made(len(rows))
        return call.NotifyMonitoringReport(
            request_id=report.request_id, seq_no=report.seq, generated_at=rfc3339(utc), tbc=report.continues,
            monitor=rows,
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


def _status(text: str) -> Any:
    return text


def _monitored(monitors: Sequence[Monitor]) -> datatypes.MonitoringDataType:
    """All monitors on one variable that a report tells."""
    component, variable = named(parts(monitors[0].slot))
    return datatypes.MonitoringDataType(component, variable, [
        datatypes.VariableMonitoringType(m.id, m.transaction, m.value, _status(m.kind), m.severity) for m in monitors
    ])  # fmt: skip


def _event(cx: Context, event: Mapping[str, Any]) -> datatypes.EventDataType:
    component, variable = named(event["where"])
    return datatypes.EventDataType(
        event_id=event["id"], timestamp=moment(cx, event["at"]), trigger=event["trigger"],
        actual_value=event["value"], event_notification_type=event["origin"], component=component,
        variable=variable, cause=event.get("cause"), tech_code=event.get("code"), tech_info=event.get("info"),
        cleared=event.get("cleared"), transaction_id=event.get("tx"), variable_monitoring_id=event.get("monitor"),
    )  # fmt: skip
