"""H: an EVSE kept for somebody."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.blocks.status_info import info
from agent.core import reservations
from agent.core.context import Context
from agent.core.evse import Token
from agent.core.instant import parse_rfc3339
from agent.protocol.block import Block, answers, follows, sends
from agent.protocol.v201 import call, call_result
from config_keys.values import Refusal


class Reservation(Block):
    """H01 to H04."""

    @answers("ReserveNow")
    def reserve(self, request: call.ReserveNow, cx: Context) -> call_result.ReserveNow:
        answer = self.charger.reservations.reserve(cx, reservations.Reservation(
            request.id, Token(request.id_token.id_token, str(request.id_token.type)),
            request.group_id_token.id_token if request.group_id_token else None, request.evse_id,
            str(request.connector_type) if request.connector_type else None,
            parse_rfc3339(request.expiry_date_time),
        ))  # fmt: skip
        status: Any = answer.status
        return call_result.ReserveNow(status=status, status_info=info(answer.refusal))

    @answers("CancelReservation")
    def cancel(self, request: call.CancelReservation, cx: Context) -> call_result.CancelReservation:
        known = self.charger.reservations.cancel(cx, request.reservation_id)
        status: Any = "Accepted" if known else "Rejected"
        refusal = None if known else Refusal("NotFound", f"no reservation {request.reservation_id}")
        return call_result.CancelReservation(status=status, status_info=info(refusal))

    @sends("ReservationStatusUpdate")
    def update(self, data: Mapping[str, Any], cx: Context) -> call.ReservationStatusUpdate:
        return call.ReservationStatusUpdate(data["id"], data["status"])

    @follows("reservation")
    def updated(
        self,
        response: call_result.ReservationStatusUpdate,
        data: Mapping[str, Any],
        asked: Mapping[str, Any],
        cx: Context,
    ) -> None:
        self.charger.reservations.told(cx, data["id"])
