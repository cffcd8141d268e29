"""I: tariff and cost for the driver."""

from __future__ import annotations

from agent.core.context import Context
from agent.protocol.block import Block, answers
from agent.protocol.v201 import call, call_result


class TariffAndCost(Block):
    """I02. Costs in answers to TransactionEvent come through block E, texts of tariffs through block C."""

    @answers("CostUpdated")
    def cost_updated(self, request: call.CostUpdated, cx: Context) -> call_result.CostUpdated:
        if not self.charger.tariffs.cost(cx, request.transaction_id, float(request.total_cost)):
            cx.note("tariff", f"a cost for transaction {request.transaction_id}, which is not known", "warning")
        return call_result.CostUpdated()
