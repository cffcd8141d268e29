"""B: variables. BootNotification is sent before any block is loaded (`agent.core.registration`)."""

from __future__ import annotations

from typing import Any

from agent.blocks.status_info import info
from agent.blocks.variables import where
from agent.core.context import Context
from agent.core.variables import Outcome
from agent.protocol.block import Block, answers, too_many, triggers
from agent.protocol.errors import Violation
from agent.protocol.v201 import call, call_result, datatypes
from config_keys import device


class Provisioning(Block):
    """B05, B06: the CSMS reads and writes variables."""

    @answers("GetVariables", most_bytes=device.BYTES_PER_GET_VARIABLES)
    def get_variables(self, request: call.GetVariables, cx: Context) -> call_result.GetVariables | Violation:
        if wrong := too_many(len(request.get_variable_data), cx.keys[device.ITEMS_PER_GET_VARIABLES]):
            return wrong
        results = [
            self._got(one, self.charger.variables.read(cx, where(one))) for one in request.get_variable_data
        ]
        return call_result.GetVariables(get_variable_result=results)

    @answers("SetVariables", most_bytes=device.BYTES_PER_SET_VARIABLES)
    def set_variables(self, request: call.SetVariables, cx: Context) -> call_result.SetVariables | Violation:
        if wrong := too_many(len(request.set_variable_data), cx.keys[device.ITEMS_PER_SET_VARIABLES]):
            return wrong
        wanted = [(where(one), one.attribute_value) for one in request.set_variable_data]
        outcomes = self.charger.variables.write_all(cx, wanted)
        results = [self._set(one, made) for one, made in zip(request.set_variable_data, outcomes, strict=True)]
        return call_result.SetVariables(set_variable_result=results)

    @triggers("BootNotification")
    def boot(self, request: call.TriggerMessage, cx: Context) -> bool:
        return self.charger.registration.trigger(cx)

    def _got(self, asked: Any, outcome: Outcome) -> datatypes.GetVariableResultType:
        return datatypes.GetVariableResultType(
            attribute_status=outcome.status, component=asked.component, variable=asked.variable,
            attribute_type=asked.attribute_type or "Actual", attribute_value=outcome.value,
            attribute_status_info=info(outcome.refusal),
        )  # fmt: skip

    def _set(self, asked: Any, outcome: Outcome) -> datatypes.SetVariableResultType:
        return datatypes.SetVariableResultType(
            attribute_status=outcome.status, component=asked.component, variable=asked.variable,
            attribute_type=asked.attribute_type or "Actual", attribute_status_info=info(outcome.refusal),
        )  # fmt: skip
