"""O: messages of the CSMS on the station's displays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.blocks.status_info import status_info
from agent.core.context import Context
from agent.core.displays import Message, message
from agent.protocol import codec
from agent.protocol.block import Block, answers, sends
from agent.protocol.errors import ErrorCode, Violation
from agent.protocol.v201 import call, call_result, datatypes

PART = 20
"""Messages in one NotifyDisplayMessages: below 30 KB."""
ABSENT = Violation(ErrorCode.NOT_SUPPORTED, "this station has no display")


class DisplayMessages(Block):
    """O01 to O06. A station without a display supports none of it."""

    @answers("SetDisplayMessage")
    def install(self, request: call.SetDisplayMessage, cx: Context) -> call_result.SetDisplayMessage | Violation:
        if not self.charger.site.displays:
            return ABSENT
        named = None
        if request.message.display is not None:
            site = self._display(request.message.display)
            if site is None:
                return _answer("Rejected", "no such display")  # O01.FR.22
            named = site.name
        try:
            new = message(codec.to_wire(request.message), named)
        except ValueError as wrong:
            return Violation(ErrorCode.PROPERTY, str(wrong))
        return _answer(*self.charger.displays.install(cx, new))

    def _display(self, component: Any) -> Any:
        """A Display component: by its instance, its EVSE, or as the only one there is."""
        if component.name.lower() != "display":
            return None
        return self.charger.displays.called(component.instance, component.evse.id if component.evse else None)

    @answers("GetDisplayMessages")
    def get(self, request: call.GetDisplayMessages, cx: Context) -> call_result.GetDisplayMessages | Violation:
        if not self.charger.site.displays:
            return ABSENT
        found = self.charger.displays.find(
            request.id, _text(request.priority), _text(request.state)
        )
        self._report(request.request_id, found)
        return call_result.GetDisplayMessages(status="Accepted" if found else "Unknown")

    def _report(self, number: int, found: list[Message]) -> None:
        """O03.FR.03 to FR.05: in parts, in order, behind the answer."""
        parts = [found[at : at + PART] for at in range(0, len(found), PART)]
        for at, part in enumerate(parts, 1):
            data = {"request": number, "messages": [m.given for m in part], "more": at < len(parts)}
            self.charger.outbox.call("NotifyDisplayMessages", data)

    @sends("NotifyDisplayMessages")
    def notify(self, data: Mapping[str, Any], cx: Context) -> call.NotifyDisplayMessages:
        messages = [codec.from_wire(datatypes.MessageInfoType, given) for given in data["messages"]]
        return call.NotifyDisplayMessages(
            request_id=data["request"], message_info=messages, tbc=True if data["more"] else None
        )

    @answers("ClearDisplayMessage")
    def clear(self, request: call.ClearDisplayMessage, cx: Context) -> call_result.ClearDisplayMessage | Violation:
        if not self.charger.site.displays:
            return ABSENT
        done = self.charger.displays.clear(cx, request.id)
        return call_result.ClearDisplayMessage(status="Accepted" if done else "Unknown")


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _answer(status: str, why: str) -> call_result.SetDisplayMessage:
    return call_result.SetDisplayMessage(status=status, status_info=status_info(status if why else None, why))
