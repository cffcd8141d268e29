"""G: status of connectors, and the heartbeat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.core.context import Context
from agent.protocol.block import Block, follows, moment, sends
from agent.protocol.v201 import call, call_result


class Availability(Block):
    """G01, G02."""

    @sends("StatusNotification")
    def status(self, data: Mapping[str, Any], cx: Context) -> call.StatusNotification:
        return call.StatusNotification(
            timestamp=moment(cx, data["at"]),
            connector_status=data["status"],
            evse_id=data["evse"],
            connector_id=data["connector"],
        )

    @sends("Heartbeat")
    def heartbeat(self, data: Mapping[str, Any], cx: Context) -> call.Heartbeat:
        return call.Heartbeat()

    @follows("heartbeat")
    def beaten(
        self, response: call_result.Heartbeat, data: Mapping[str, Any], asked: Mapping[str, Any], cx: Context
    ) -> None:
        """G02.FR.06: the CSMS's time."""
        self.charger.registration.learn_time(cx, response.current_time)
