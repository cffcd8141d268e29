"""C: the CSMS is asked who may charge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.core.context import Context
from agent.core.evse import Token
from agent.protocol.block import Block, follows, sends
from agent.protocol.token import id_token_info
from agent.protocol.v201 import call, call_result, datatypes


class Authorization(Block):
    """C01: Authorize and its answer."""

    @sends("Authorize")
    def authorize(self, data: Mapping[str, Any], cx: Context) -> call.Authorize:
        return call.Authorize(id_token=datatypes.IdTokenType(*data["token"]))

    @follows("authorize")
    def authorized(
        self, response: call_result.Authorize, data: Mapping[str, Any], asked: Mapping[str, Any], cx: Context
    ) -> None:
        given, token = response.id_token_info, Token(*asked["token"])
        text = given.personal_message
        self.charger.tariffs.told(token, text.content if text else None, given.language_1)
        self.charger.authorizer.answered(
            cx, token, id_token_info(given), asked["evse"], asked["evses"], asked.get("remote")
        )
