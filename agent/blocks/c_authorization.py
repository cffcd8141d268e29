"""C: the CSMS is asked who may charge, and lets the station forget what it answered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.blocks.status_info import status_info
from agent.core.context import Context
from agent.core.evse import Token
from agent.protocol.block import Block, answers, follows, sends
from agent.protocol.token import id_token_info, languages
from agent.protocol.v201 import call, call_result, datatypes
from config_keys import auth_cache


class Authorization(Block):
    """C01: Authorize and its answer; C11: ClearCache."""

    @sends("Authorize")
    def authorize(self, data: Mapping[str, Any], cx: Context) -> call.Authorize:
        return call.Authorize(id_token=datatypes.IdTokenType(*data["token"]))

    @follows("authorize")
    def authorized(
        self, response: call_result.Authorize, data: Mapping[str, Any], asked: Mapping[str, Any], cx: Context
    ) -> None:
        given, token = response.id_token_info, Token(*asked["token"])
        text = given.personal_message
        self.charger.tariffs.told(token, text.content if text else None, languages(given))
        self.charger.authorizer.answered(cx, asked, id_token_info(given))

    @answers("ClearCache")
    def clear_cache(self, request: call.ClearCache, cx: Context) -> call_result.ClearCache:
        """C11.FR.01 to FR.05."""
        if not cx.keys[auth_cache.ENABLED]:
            why = status_info("NotEnabled", "AuthCacheCtrlr.Enabled is false")
            return call_result.ClearCache("Rejected", why)
        if not self.charger.can_store:
            why = status_info("InternalError", "the store is not well")
            return call_result.ClearCache("Rejected", why)
        self.charger.cache.clear(cx)
        return call_result.ClearCache("Accepted")
