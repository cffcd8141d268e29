"""E: transaction events on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.core.context import Context
from agent.core.evse import Token
from agent.protocol.block import Block, answers, follows, moment, sends, triggers
from agent.protocol.metervalue import meter_value
from agent.protocol.token import id_token_info, languages
from agent.protocol.v201 import call, call_result, datatypes


class Transactions(Block):
    """E01 to E15: events out, their answers in, and what is still queued."""

    @sends("TransactionEvent")
    def event(self, data: Mapping[str, Any], cx: Context) -> call.TransactionEvent:
        token = data.get("token")
        return call.TransactionEvent(
            event_type=data["type"],
            timestamp=moment(cx, dict(data)),
            trigger_reason=data["trigger"],
            seq_no=data["seq"],
            transaction_info=self._info(data),
            meter_value=[meter_value(value, cx) for value in data.get("meter", ()) if value["values"]] or None,
            offline=True if data["offline"] else None,
            number_of_phases_used=data.get("phases"),
            cable_max_current=data.get("cable"),
            evse=datatypes.EVSEType(*data["evse"]) if "evse" in data else None,
            reservation_id=data.get("reservation"),
            id_token=datatypes.IdTokenType(*token) if token else None,
        )

    def _info(self, data: Mapping[str, Any]) -> datatypes.TransactionType:
        return datatypes.TransactionType(
            transaction_id=data["tx"],
            charging_state=data["state"],
            stopped_reason=data.get("stopped"),
            remote_start_id=data.get("remote_start_id"),
        )

    @triggers("TransactionEvent")
    def asked_for(self, request: call.TriggerMessage, cx: Context) -> bool:
        return self.charger.sampling.trigger_events(cx, request.evse.id if request.evse else None)

    @follows("transaction_event")
    def answered(
        self,
        response: call_result.TransactionEvent,
        data: Mapping[str, Any],
        asked: Mapping[str, Any],
        cx: Context,
    ) -> None:
        given = response.id_token_info
        if given is not None:
            token = Token(*data["token"]) if "token" in data else None
            self.charger.authorizer.event_answered(cx, data["tx"], token, id_token_info(given))
            if token is not None:
                text = given.personal_message
                self.charger.tariffs.told(token, text.content if text else None, languages(given))
        if response.charging_priority is not None:
            self.charger.authorizer.prioritised(cx, data["tx"], response.charging_priority)
        self._money(cx, response, data["tx"])

    def _money(self, cx: Context, response: call_result.TransactionEvent, tx: str) -> None:
        """I02.FR.04, I03.FR.03, I06.FR.03."""
        if response.total_cost is not None:
            self.charger.tariffs.cost(cx, tx, float(response.total_cost))
        text = response.updated_personal_message
        evse = next((e for e in self.charger.evses.values() if e.tx is not None and e.tx.id == tx), None)
        if text is not None and evse is not None:
            self.charger.tariffs.updated(evse, text.content)

    @answers("GetTransactionStatus")
    def status(self, request: call.GetTransactionStatus, cx: Context) -> call_result.GetTransactionStatus:
        """E14.FR.01 to FR.08."""
        if request.transaction_id is None:
            return call_result.GetTransactionStatus(messages_in_queue=self.charger.outbox.events_waiting > 0)
        running = any(
            e.tx is not None and e.tx.id == request.transaction_id for e in self.charger.evses.values()
        )
        waiting = self.charger.outbox.waiting_of(request.transaction_id) > 0
        return call_result.GetTransactionStatus(messages_in_queue=waiting, ongoing_indicator=running)
