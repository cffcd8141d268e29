"""G: status of connectors, their availability, and the heartbeat."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.blocks.status_info import status_info
from agent.core.context import Context
from agent.protocol.block import Block, answers, follows, moment, sends, triggers
from agent.protocol.v201 import call, call_result


class Availability(Block):
    """G01, G02, G03, G04."""

    @answers("ChangeAvailability")
    def change(self, request: call.ChangeAvailability, cx: Context) -> call_result.ChangeAvailability:
        evse = request.evse
        verdict = self.charger.availability.change(
            cx, evse.id if evse else None, evse.connector_id if evse else None,
            operative=str(request.operational_status) == "Operative",
        )  # fmt: skip
        status: Any = verdict.status
        return call_result.ChangeAvailability(status=status, status_info=status_info(verdict.reason_code, verdict.info))

    @sends("StatusNotification")
    def status(self, data: Mapping[str, Any], cx: Context) -> call.StatusNotification:
        return call.StatusNotification(
            timestamp=moment(cx, data["at"]),
            connector_status=data["status"],
            evse_id=data["evse"],
            connector_id=data["connector"],
        )

    @triggers("StatusNotification")
    def status_asked_for(self, request: call.TriggerMessage, cx: Context) -> bool:
        """Without a connector: of all connectors of the EVSE; without an EVSE: of the station (F06.FR.12)."""
        evse = request.evse
        place = (evse.id, evse.connector_id) if evse else (None, None)
        return self.charger.is_online and self.charger.availability.tell(*place)

    @triggers("Heartbeat")
    def heartbeat_asked_for(self, request: call.TriggerMessage, cx: Context) -> bool:
        return self.charger.beat(cx)

    @sends("Heartbeat")
    def heartbeat(self, data: Mapping[str, Any], cx: Context) -> call.Heartbeat:
        return call.Heartbeat()

    @follows("heartbeat")
    def beaten(
        self, response: call_result.Heartbeat, data: Mapping[str, Any], asked: Mapping[str, Any], cx: Context
    ) -> None:
        """G02.FR.06: the CSMS's time."""
        self.charger.registration.learn_time(cx, response.current_time)
