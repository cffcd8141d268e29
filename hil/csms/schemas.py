"""The official OCPP 2.0.1 schemas, checked with jsonschema: independent of the agent's own validators."""

from __future__ import annotations

import json
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any

from jsonschema import Draft6Validator, FormatChecker

FROM_STATION = frozenset(
    """Authorize BootNotification ClearedChargingLimit DataTransfer FirmwareStatusNotification
    Get15118EVCertificate GetCertificateStatus Heartbeat LogStatusNotification MeterValues
    NotifyChargingLimit NotifyCustomerInformation NotifyDisplayMessages NotifyEVChargingNeeds
    NotifyEVChargingSchedule NotifyEvent NotifyMonitoringReport NotifyReport
    PublishFirmwareStatusNotification ReportChargingProfiles ReservationStatusUpdate
    SecurityEventNotification SignCertificate StatusNotification TransactionEvent""".split()
)
"""The actions that a station may call (OCPP 2.0.1 Part 2)."""

ERROR_CODES = frozenset(
    """FormatViolation GenericError InternalError MessageTypeNotSupported NotImplemented NotSupported
    OccurrenceConstraintViolation PropertyConstraintViolation ProtocolError RpcFrameworkError
    SecurityError TypeConstraintViolation""".split()
)
"""The error codes of a CALLERROR (OCPP 2.0.1 Part 4, 4.3)."""

_formats = FormatChecker(formats=())


@_formats.checks("date-time", raises=ValueError)
def _is_date_time(value: object) -> bool:
    """RFC 3339 with a zone; jsonschema checks formats only when told how."""
    return not isinstance(value, str) or ("T" in value and datetime.fromisoformat(value).tzinfo is not None)


@cache
def _validator(name: str) -> Draft6Validator:
    text = files("ocpp.v201").joinpath("schemas", f"{name}.json").read_text("utf-8-sig")
    return Draft6Validator(json.loads(text), format_checker=_formats)


def complaints(action: str, kind: str, payload: Any) -> list[str]:
    """What the schema of `action` (kind: Request or Response) has against `payload`; empty when nothing."""
    errors = _validator(action + kind).iter_errors(payload)
    return [f"{action}{kind} at {e.json_path}: {e.message[:300]}" for e in errors]
