"""J: meter values outside transactions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.core.context import Context
from agent.protocol.block import Block, sends, triggers
from agent.protocol.metervalue import meter_value
from agent.protocol.v201 import call


class Metering(Block):
    """J01: clock-aligned values of an EVSE without a transaction."""

    @sends("MeterValues")
    def values(self, data: Mapping[str, Any], cx: Context) -> call.MeterValues:
        return call.MeterValues(evse_id=data["evse"], meter_value=[meter_value(v, cx) for v in data["meter"]])

    @triggers("MeterValues")
    def asked_for(self, request: call.TriggerMessage, cx: Context) -> bool:
        return self.charger.sampling.trigger_values(cx, request.evse.id if request.evse else None)
