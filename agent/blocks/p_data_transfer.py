"""P: vendor messages. What a vendor adds stands in agent/blocks/vendors.py; nothing of ours depends on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.blocks.vendors import VENDORS
from agent.core.context import Context
from agent.protocol.block import Block, answers, follows, sends
from agent.protocol.v201 import call, call_result


class DataTransfer(Block):
    """P01 and P02."""

    @answers("DataTransfer")
    def received(self, request: call.DataTransfer, cx: Context) -> call_result.DataTransfer:
        """P01.FR.05 to FR.07: an unknown vendor or message changes nothing."""
        vendor = VENDORS.get(request.vendor_id)
        if vendor is None:
            return call_result.DataTransfer(status="UnknownVendorId")
        handler = vendor.get(request.message_id)
        if handler is None:
            return call_result.DataTransfer(status="UnknownMessageId")
        accepted, data = handler(self.charger, cx, request.data)
        return call_result.DataTransfer(status="Accepted" if accepted else "Rejected", data=data)

    @sends("DataTransfer")
    def send(self, data: Mapping[str, Any], cx: Context) -> call.DataTransfer:
        return call.DataTransfer(data["vendor"], message_id=data["message"], data=data["data"])

    @follows("data_transfer")
    def answered(
        self, response: call_result.DataTransfer, data: Mapping[str, Any], asked: Mapping[str, Any], cx: Context
    ) -> None:
        if str(response.status) != "Accepted":
            cx.note("vendor", f"{data['vendor']} {data['message'] or ''}: the CSMS says {response.status}", "warning")
