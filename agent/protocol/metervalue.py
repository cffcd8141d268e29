"""Meter values on the wire, for every block that sends some."""

from __future__ import annotations

from base64 import b64encode
from decimal import Decimal
from typing import Any

from agent.core.context import Context
from agent.protocol.block import moment
from agent.protocol.v201 import datatypes


def meter_value(value: dict[str, Any], cx: Context) -> datatypes.MeterValueType:
    """A sampled instant: one timestamp for all its values (J01.FR.17)."""
    sampled = [_sampled(value["context"], *row) for row in value["values"]]
    return datatypes.MeterValueType(timestamp=moment(cx, value), sampled_value=sampled)


def _sampled(
    context: str, measurand: str, phase: str | None, unit: str, value: str, signed: dict[str, str] | None = None
) -> Any:
    return datatypes.SampledValueType(
        signed_meter_value=_signed(signed) if signed else None,
        value=Decimal(value),
        context=context,
        measurand=measurand,
        phase=phase,
        unit_of_measure=datatypes.UnitOfMeasureType(unit=unit) if unit else None,
    )


def _signed(signed: dict[str, str]) -> Any:
    """The meter's container in Base64, not one byte changed, and the key as it says itself (J.2)."""
    return datatypes.SignedMeterValueType(
        signed_meter_data=b64encode(signed["data"].encode()).decode(),
        signing_method=signed["method"],
        encoding_method=signed["encoding"],
        public_key=b64encode(signed["key"].encode()).decode(),
    )
