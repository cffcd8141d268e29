"""Why an answer is not Accepted: OCPP's statusInfo."""

from __future__ import annotations

from agent.protocol.v201 import datatypes
from config_keys.values import MAX_INFO, Refusal

MAX_REASON = 20


def status_info(reason: str | None, text: str = "") -> datatypes.StatusInfoType | None:
    """A reason code and its plain words, cut to what the schema allows; None where there is no reason."""
    return datatypes.StatusInfoType(reason[:MAX_REASON], text[:MAX_INFO] or None) if reason else None


def info(refusal: Refusal | None) -> datatypes.StatusInfoType | None:
    """The reason of a refusal."""
    return None if refusal is None else status_info(refusal.reason_code, refusal.info)
