"""Charging profiles between the wire and the core."""

from __future__ import annotations

from typing import Any

from agent.core.instant import parse_rfc3339
from agent.core.schedules import Period, Profile
from agent.protocol.codec import to_wire


def to_profile(evse_id: int, given: Any) -> Profile:
    """A ChargingProfileType as the core's Profile; the core never sees the OCPP type."""
    schedule = given.charging_schedule[0]
    return Profile(
        id=given.id,
        evse=evse_id,
        purpose=str(given.charging_profile_purpose),
        stack_level=given.stack_level,
        kind=str(given.charging_profile_kind),
        unit=str(schedule.charging_rate_unit),
        periods=tuple(
            Period(p.start_period, float(p.limit), p.number_phases, p.phase_to_use)
            for p in schedule.charging_schedule_period
        ),
        start_ms=_ms(schedule.start_schedule),
        duration_s=schedule.duration,
        recurrency=str(given.recurrency_kind) if given.recurrency_kind else None,
        valid_from_ms=_ms(given.valid_from),
        valid_to_ms=_ms(given.valid_to),
        tx_id=given.transaction_id,
        raw=to_wire(given),
    )


def _ms(text: str | None) -> int | None:
    return None if text is None else parse_rfc3339(text)
