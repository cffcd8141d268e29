"""A: what the CSMS must hear of security."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.core.context import Context
from agent.protocol.block import Block, follows, moment, sends
from agent.protocol.v201 import call, call_result


class Security(Block):
    """A04: security events."""

    @sends("SecurityEventNotification")
    def event(self, data: Mapping[str, Any], cx: Context) -> call.SecurityEventNotification:
        return call.SecurityEventNotification(
            type=data["type"], timestamp=moment(cx, dict(data)), tech_info=data["info"] or None
        )

    @follows("security_event")
    def heard(
        self,
        response: call_result.SecurityEventNotification,
        data: Mapping[str, Any],
        asked: Mapping[str, Any],
        cx: Context,
    ) -> None:
        self.charger.security.told(cx, asked["number"])
