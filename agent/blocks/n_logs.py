"""N: logs that the CSMS wants to have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.blocks.status_info import info
from agent.core.context import Context
from agent.core.instant import parse_rfc3339
from agent.core.uploads import Wanted
from agent.protocol.block import Block, answers, follows, sends, triggers
from agent.protocol.v201 import call, call_result


class Logs(Block):
    """N01."""

    @answers("GetLog")
    def get(self, request: call.GetLog, cx: Context) -> call_result.GetLog:
        log = request.log
        answer = self.charger.uploads.ask(cx, Wanted(
            str(request.log_type), request.request_id, log.remote_location, _moment(log.oldest_timestamp),
            _moment(log.latest_timestamp), request.retries, request.retry_interval,
        ))  # fmt: skip
        status: Any = answer.status
        return call_result.GetLog(status=status, filename=answer.filename, status_info=info(answer.refusal))

    @sends("LogStatusNotification")
    def status(self, data: Mapping[str, Any], cx: Context) -> call.LogStatusNotification:
        return call.LogStatusNotification(status=data["status"], request_id=data["request"])

    @follows("log_status")
    def heard(
        self,
        response: call_result.LogStatusNotification,
        data: Mapping[str, Any],
        asked: Mapping[str, Any],
        cx: Context,
    ) -> None:
        self.charger.uploads.told(cx, asked["number"])

    @triggers("LogStatusNotification")
    def trigger(self, request: call.TriggerMessage, cx: Context) -> bool:
        return self.charger.uploads.trigger(cx)


def _moment(text: str | None) -> int | None:
    return None if text is None else parse_rfc3339(text)
