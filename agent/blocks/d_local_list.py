"""D: the local authorization list, sent whole or in parts."""

from __future__ import annotations

from typing import Any

from agent.blocks.status_info import status_info
from agent.core.context import Context
from agent.core.evse import Token
from agent.core.locallist import Outcome, Update
from agent.protocol.block import Block, answers
from agent.protocol.token import id_token_info
from agent.protocol.v201 import call, call_result
from config_keys import local_list


class LocalListManagement(Block):
    """D01, D02."""

    @answers("SendLocalList", most_bytes=local_list.BYTES_PER_MESSAGE)
    def send(self, request: call.SendLocalList, cx: Context) -> call_result.SendLocalList:
        entries = [(_token(one), _entry(one)) for one in request.local_authorization_list or ()]
        update = Update(request.version_number, request.update_type == "Full", tuple(entries))
        if not self.charger.can_store:
            return _answer(Outcome("Failed", "OutOfStorage", "the station cannot store it now"))
        return _answer(self.charger.local_list.update(cx, update))

    @answers("GetLocalListVersion")
    def version(self, request: call.GetLocalListVersion, cx: Context) -> call_result.GetLocalListVersion:
        return call_result.GetLocalListVersion(version_number=self.charger.local_list.version(cx))


def _answer(outcome: Outcome) -> call_result.SendLocalList:
    why = status_info(outcome.reason, outcome.info)
    return call_result.SendLocalList(status=outcome.status, status_info=why)


def _token(one: Any) -> Token:
    return Token(one.id_token.id_token, str(one.id_token.type))


def _entry(one: Any) -> dict[str, Any] | None:
    return None if one.id_token_info is None else id_token_info(one.id_token_info)
