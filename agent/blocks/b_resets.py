"""B: resets (B11, B12)."""

from __future__ import annotations

from typing import Any

from agent.blocks.status_info import status_info
from agent.core.context import Context
from agent.protocol.block import Block, answers
from agent.protocol.v201 import call, call_result


class Resets(Block):
    """ResetRequest."""

    @answers("Reset")
    def reset(self, request: call.Reset, cx: Context) -> call_result.Reset:
        verdict = self.charger.resets.ask(cx, request.evse_id, immediate=str(request.type) == "Immediate")
        status: Any = verdict.status
        return call_result.Reset(status=status, status_info=status_info(verdict.reason_code, verdict.info))
