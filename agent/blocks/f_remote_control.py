"""F: start, stop and unlock from afar, and messages that are asked for."""

from __future__ import annotations

from typing import Any

from agent.blocks.status_info import status_info
from agent.core.context import Context
from agent.core.evse import Token
from agent.core.remote import RemoteStart, Unlocking, Verdict
from agent.protocol.block import Block, answers
from agent.protocol.later import Later
from agent.protocol.profile import to_profile
from agent.protocol.v201 import call, call_result
from config_keys import smart_charging


class RemoteControl(Block):
    """F01, F02, F03, F05, F06."""

    @answers("RequestStartTransaction")
    def start(
        self, request: call.RequestStartTransaction, cx: Context
    ) -> call_result.RequestStartTransaction:
        obeys = cx.keys[smart_charging.ENABLED]
        profile = request.charging_profile if obeys else None
        group = request.group_id_token.id_token if request.group_id_token else None
        verdict = self.charger.remote.start(cx, RemoteStart(
            request.remote_start_id, Token(request.id_token.id_token, str(request.id_token.type)),
            request.evse_id, group, to_profile(request.evse_id or 0, profile) if profile else None,
        ))  # fmt: skip
        return call_result.RequestStartTransaction(
            status=_status(verdict),
            transaction_id=verdict.transaction_id,
            status_info=status_info(verdict.reason, verdict.info),
        )

    @answers("RequestStopTransaction")
    def stop(self, request: call.RequestStopTransaction, cx: Context) -> call_result.RequestStopTransaction:
        verdict = self.charger.remote.stop(cx, request.transaction_id)
        why = status_info(verdict.reason, verdict.info)
        return call_result.RequestStopTransaction(status=_status(verdict), status_info=why)

    @answers("UnlockConnector")
    def unlock(self, request: call.UnlockConnector, cx: Context) -> call_result.UnlockConnector | Later:
        """F05: the answer comes when the lock has moved, or has not in time."""
        later = Later()
        known = self.charger.remote.unlock(
            cx, request.evse_id, request.connector_id, lambda cx, end: later.answer(cx, _unlocked(end))
        )
        return later if known is None else _unlocked(known)

    @answers("TriggerMessage")
    def trigger(self, request: call.TriggerMessage, cx: Context) -> call_result.TriggerMessage:
        """F06: each block knows whether what it sends can come now."""
        self.charger.outbox.declined.forget(str(request.requested_message))
        wanted = self.triggers.get(str(request.requested_message))
        return call_result.TriggerMessage(status=_triggered(wanted(request, cx) if wanted else None))


def _unlocked(end: Unlocking) -> call_result.UnlockConnector:
    status: Any = end.status
    return call_result.UnlockConnector(status=status, status_info=status_info(end.code, end.info))


def _triggered(comes: bool | None) -> Any:
    return "NotImplemented" if comes is None else "Accepted" if comes else "Rejected"


def _status(verdict: Verdict) -> Any:
    return "Accepted" if verdict.reason is None else "Rejected"
