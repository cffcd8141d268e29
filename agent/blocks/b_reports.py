"""B: reports about variables (B07, B08)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.blocks.status_info import info, status_info
from agent.blocks.variables import named, page, sought
from agent.core.context import Context
from agent.core.instant import rfc3339
from agent.core.variables import parts
from agent.protocol.block import Block, answers, follows, sends, too_many
from agent.protocol.errors import Violation
from agent.protocol.v201 import call, call_result, datatypes
from config_keys import device
from config_keys.key import WO
from config_keys.types import Bound
from config_keys.values import Slot

Verdict = tuple[Any, datatypes.StatusInfoType | None]
"""Status and statusInfo of an answer."""


class Reports(Block):
    """Answers at once; the pages follow one by one (`agent.core.reports`)."""

    @answers("GetBaseReport")
    def get_base_report(self, request: call.GetBaseReport, cx: Context) -> call_result.GetBaseReport:
        rows = self.charger.selection.base(cx, str(request.report_base))
        status, reason = self._begin(request.request_id, rows)
        return call_result.GetBaseReport(status=status, status_info=reason)

    @answers("GetReport", most_bytes=device.BYTES_PER_GET_REPORT)
    def get_report(self, request: call.GetReport, cx: Context) -> call_result.GetReport | Violation:
        wanted, criteria = request.component_variable or [], request.component_criteria or []
        if wrong := too_many(len(wanted), cx.keys[device.ITEMS_PER_GET_REPORT]):
            return wrong
        rows = self.charger.selection.custom(cx, [str(c) for c in criteria], [sought(one) for one in wanted])
        status: Any
        if not rows:
            status, reason = "EmptyResultSet", status_info("NotFound", "no variable of this station fits")
        else:
            status, reason = self._begin(request.request_id, rows)
        return call_result.GetReport(status=status, status_info=reason)

    def _begin(self, request_id: int, rows: list[Slot]) -> Verdict:
        """B07.FR.13, B08.FR.16: not while so many reports wait, or one with this id."""
        refusal = self.charger.reports.begin("NotifyReport", request_id, rows)
        return "Accepted" if refusal is None else "Rejected", info(refusal)

    @sends("NotifyReport")
    def notify_report(self, data: Mapping[str, Any], cx: Context) -> call.NotifyReport:
        """As many of the rows that are left as fit in a page, with their values of now."""
        report, utc = self.charger.reports.current, cx.utc()
        assert utc is not None, "a report before any clock"
        rows = page(cx, report.left, lambda slot: self._row(cx, *slot))
        report.made(len(rows))
        return call.NotifyReport(
            request_id=report.request_id, generated_at=rfc3339(utc), seq_no=report.seq, tbc=report.continues,
            report_data=rows,
        )  # fmt: skip

    def _row(self, cx: Context, key: Any, evse: int | None, connector: int | None) -> datatypes.ReportDataType:
        kind, keys = self.charger.keys.type_of(key, evse, connector), self.charger.keys
        hidden = key.access is WO or key.secret
        value = None if hidden else self.charger.variables.text(cx, key, evse, connector)
        attribute = datatypes.VariableAttributeType(
            type="Actual", value=value, mutability=keys.access(key).value, persistent=key.persistent
        )
        characteristics = datatypes.VariableCharacteristicsType(
            data_type=kind.name, supports_monitoring=key.monitored, unit=key.unit or None,
            min_limit=_number(kind.min_limit), max_limit=_number(kind.max_limit),
            values_list=",".join(kind.values_list) or None,
        )  # fmt: skip
        return datatypes.ReportDataType(
            *named(parts((key, evse, connector))),
            variable_attribute=[attribute],
            variable_characteristics=characteristics,
        )

    @follows("page")
    def delivered(
        self, response: Any, data: Mapping[str, Any], asked: Mapping[str, Any], cx: Context
    ) -> None:
        """The CSMS has the page."""
        self.charger.reports.delivered()


def _number(bound: Bound | None) -> float | None:
    """A bound as JSON has it: 6 stays 6."""
    return bound if bound is None or isinstance(bound, int) else float(bound)
