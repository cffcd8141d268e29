"""Variables of the device model between the wire and the core."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agent.core.variables import Where
from agent.protocol.v201 import datatypes
from config_keys.values import Refusal


def where(asked: Any) -> Where:
    """What a CSMS asks about, in the core's words: any type with a component and a variable."""
    evse = asked.component.evse
    return Where(
        asked.component.name, asked.variable.name, asked.variable.instance, asked.component.instance,
        evse.id if evse else None, evse.connector_id if evse else None,
        getattr(asked, "attribute_type", None) or "Actual",
    )  # fmt: skip


def info(refusal: Refusal | None) -> datatypes.StatusInfoType | None:
    """The reason of a refusal as statusInfo."""
    return None if refusal is None else datatypes.StatusInfoType(refusal.reason_code, refusal.info)


def named(parts: Sequence[Any]) -> tuple[datatypes.ComponentType, datatypes.VariableType]:
    """Component and variable of [component, instance, EVSE, connector, variable, instance]."""
    component, of, evse, connector, variable, instance = parts
    place = None if evse is None else datatypes.EVSEType(evse, connector)
    return datatypes.ComponentType(component, of, place), datatypes.VariableType(variable, instance)
