"""N: what is kept about a customer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.blocks.status_info import info
from agent.core.context import Context
from agent.core.customers import CLEARED, anybody
from agent.core.evse import Token
from agent.core.instant import rfc3339
from agent.protocol.block import Block, answers, sends
from agent.protocol.v201 import call, call_result
from config_keys.values import Refusal


class CustomerInformation(Block):
    """N09, N10."""

    @answers("CustomerInformation")
    def customer(self, request: call.CustomerInformation, cx: Context) -> call_result.CustomerInformation:
        names = (request.id_token, request.customer_certificate, request.customer_identifier)
        if sum(name is not None for name in names) != 1:
            return _said("Invalid", Refusal("InvalidValue", "one idToken, certificate or identifier (N09.FR.09)"))
        if not request.report and not request.clear:
            return _said("Rejected", Refusal("MissingParam", "neither report nor clear (N09.FR.07, N10.FR.07)"))
        who = _who(request)
        rows = self.charger.customers.tell(cx, who) if request.report else [CLEARED]
        refusal = self.charger.reports.begin("NotifyCustomerInformation", request.request_id, rows)
        if refusal is None and request.clear:
            self.charger.customers.forget(cx, who)
        return _said("Accepted" if refusal is None else "Rejected", refusal)

    @sends("NotifyCustomerInformation")
    def notify(self, data: Mapping[str, Any], cx: Context) -> call.NotifyCustomerInformation:
        """One piece of the text; without data an empty one (N09.FR.06)."""
        report, utc = self.charger.reports.current, cx.utc()
        assert utc is not None, "a report before any clock"
        report.made(1)
        return call.NotifyCustomerInformation(
            data=report.left[0], seq_no=report.seq, generated_at=rfc3339(utc), request_id=report.request_id,
            tbc=report.continues,
        )  # fmt: skip


def _who(request: call.CustomerInformation) -> tuple[Token, ...]:
    """The tokens that are meant. No certificate of a customer is ever kept: contract certificates stay in the EV."""
    if request.id_token is not None:
        return (Token(request.id_token.id_token, str(request.id_token.type)),)
    return anybody(request.customer_identifier) if request.customer_identifier is not None else ()


def _said(status: Any, refusal: Refusal | None) -> call_result.CustomerInformation:
    return call_result.CustomerInformation(status=status, status_info=info(refusal))
