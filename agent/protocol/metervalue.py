"""Meter values on the wire, for every block that sends some."""

from __future__ import annotations

from base64 import b64encode
from decimal import Decimal
from typing import Any

from agent.core.context import Context
from agent.protocol import codec
from agent.protocol.block import moment
from agent.protocol.v201 import datatypes


def meter_value(value: dict[str, Any], cx: Context) -> datatypes.MeterValueType:
    """A sampled instant: one timestamp for all its values (J01.FR.17).

    Its values are most of what a station ever says: they are written as they go out, without the `ocpp` types.
    """
    where = value.get("location")
    sampled = [_sampled(value["context"], where, *row) for row in value["values"]]
    return datatypes.MeterValueType(timestamp=moment(cx, value), sampled_value=sampled)


def _sampled(
    context: str, where: str | None, measurand: str, phase: str | None, unit: str, value: str,
    signed: dict[str, str] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """J01.FR.09: `where` it was measured is told when it is not at the outlet."""
    sampled: dict[str, Any] = {"value": _number(value), "context": context, "measurand": measurand}
    if where is not None:
        sampled["location"] = where
    if phase is not None:
        sampled["phase"] = phase
    if unit:
        sampled["unitOfMeasure"] = {"unit": unit}
    if signed:
        sampled["signedMeterValue"] = codec.to_wire(_signed(signed))
    return sampled


def _number(text: str) -> Decimal | float:
    """The very digits of the reading; as a float where that is written with the same ones, for JSON's sake."""
    number = float(text)
    return number if repr(number) == text else int(number) if text == f"{number:.0f}" else Decimal(text)


def _signed(signed: dict[str, str]) -> datatypes.SignedMeterValueType:
    """The meter's container in Base64, not one byte changed, and the key as it says itself (J.2)."""
    return datatypes.SignedMeterValueType(
        signed_meter_data=b64encode(signed["data"].encode()).decode(),
        signing_method=signed["method"],
        encoding_method=signed["encoding"],
        public_key=b64encode(signed["key"].encode()).decode(),
    )
