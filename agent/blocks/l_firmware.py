"""L: firmware updates (L01, L02). L03 and L04 are a local controller's: answered with NotSupported like all unknown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.blocks.status_info import status_info
from agent.core.context import Context
from agent.core.firmware_order import Order, Verdict
from agent.core.instant import parse_rfc3339
from agent.protocol.block import Block, answers, follows, sends, triggers
from agent.protocol.later import Later
from agent.protocol.v201 import call, call_result


class FirmwareManagement(Block):
    """UpdateFirmware and its statuses."""

    @answers("UpdateFirmware")
    def update(self, request: call.UpdateFirmware, cx: Context) -> call_result.UpdateFirmware | Later:
        later = Later()

        def done(cx: Context, verdict: Verdict) -> None:
            later.answer(cx, _said(verdict))

        verdict = self.charger.firmware.ask(cx, _order(request), done)
        return later if verdict is None else _said(verdict)

    @sends("FirmwareStatusNotification")
    def status(self, data: Mapping[str, Any], cx: Context) -> call.FirmwareStatusNotification:
        return call.FirmwareStatusNotification(status=data["status"], request_id=data["request"])

    @follows("firmware_status")
    def heard(
        self,
        response: call_result.FirmwareStatusNotification,
        data: Mapping[str, Any],
        asked: Mapping[str, Any],
        cx: Context,
    ) -> None:
        self.charger.firmware.statuses.owed.told(cx, asked["number"])

    @triggers("FirmwareStatusNotification")
    def trigger(self, request: call.TriggerMessage, cx: Context) -> bool:
        return self.charger.firmware.statuses.trigger(cx)


def _order(request: call.UpdateFirmware) -> Order:
    firmware = request.firmware
    install = firmware.install_date_time
    return Order(
        request.request_id, firmware.location, "", parse_rfc3339(firmware.retrieve_date_time),
        None if install is None else parse_rfc3339(install), request.retries, request.retry_interval,
        firmware.signing_certificate, firmware.signature,
    )  # fmt: skip


def _said(verdict: Verdict) -> call_result.UpdateFirmware:
    status: Any = verdict.status
    return call_result.UpdateFirmware(status=status, status_info=status_info(verdict.reason_code, verdict.info))
