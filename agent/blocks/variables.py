"""Variables of the device model between the wire and the core."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from agent.core.context import Context
from agent.core.selection import Filter
from agent.core.variables import Where
from agent.protocol.codec import to_wire
from agent.protocol.v201 import datatypes
from config_keys import device


def where(asked: Any) -> Where:
    """What a CSMS asks about, in the core's words: any type with a component and a variable."""
    evse = asked.component.evse
    return Where(
        asked.component.name, asked.variable.name, asked.variable.instance, asked.component.instance,
        evse.id if evse else None, evse.connector_id if evse else None,
        getattr(asked, "attribute_type", None) or "Actual",
    )  # fmt: skip


def sought(asked: Any) -> Filter:
    """What a ComponentVariableType of a request for a report means; what is left out is any."""
    evse, variable = asked.component.evse, asked.variable
    return Filter(
        asked.component.name, asked.component.instance, evse.id if evse else None,
        evse.connector_id if evse else None, variable.name if variable else None,
        variable.instance if variable else None,
    )  # fmt: skip


def named(parts: Sequence[Any]) -> tuple[datatypes.ComponentType, datatypes.VariableType]:
    """Component and variable of [component, instance, EVSE, connector, variable, instance]."""
    component, of, evse, connector, variable, instance = parts
    place = None if evse is None else datatypes.EVSEType(evse, connector)
    return datatypes.ComponentType(component, of, place), datatypes.VariableType(variable, instance)


def page(cx: Context, left: Sequence[Any], row: Callable[[Any], Any]) -> list[Any]:
    """As many rows of a report as fit into one message; one at least."""
    room, rows = cx.keys[device.BYTES_PER_NOTIFY_REPORT], list[Any]()
    for one in left[: cx.keys[device.ITEMS_PER_NOTIFY_REPORT]]:
        made = to_wire(row(one))
        room -= len(json.dumps(made))
        if rows and room < 0:
            break
        rows.append(made)
    return rows
