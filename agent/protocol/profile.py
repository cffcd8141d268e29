"""Charging profiles and schedules between the wire and the core."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from agent.core.composite import Plan
from agent.core.instant import parse_rfc3339, rfc3339
from agent.core.profiles import Period, Profile, Schedule
from agent.protocol.codec import to_wire
from agent.protocol.v201 import datatypes

PAGE_PERIODS = 300
"""Periods in one report: some 20 KB of text, which every CSMS takes."""


def to_profile(evse_id: int, given: Any) -> Profile:
    """A ChargingProfileType as the core's Profile; the core never sees the OCPP type."""
    recurring = given.charging_profile_kind == "Recurring" and given.recurrency_kind
    return Profile(
        id=given.id,
        evse=evse_id,
        purpose=str(given.charging_profile_purpose),
        stack_level=given.stack_level,
        kind=str(given.charging_profile_kind),
        schedules=tuple(to_schedule(schedule) for schedule in given.charging_schedule),
        recurrency=str(given.recurrency_kind) if recurring else None,
        valid_from_ms=_ms(given.valid_from),
        valid_to_ms=_ms(given.valid_to),
        tx_id=given.transaction_id,
        raw=to_wire(given),
    )


def to_schedule(given: Any) -> Schedule:
    """A ChargingScheduleType as the core's Schedule."""
    return Schedule(
        unit=str(given.charging_rate_unit),
        periods=tuple(
            Period(p.start_period, float(p.limit), p.number_phases, p.phase_to_use)
            for p in given.charging_schedule_period
        ),
        start_ms=_ms(given.start_schedule),
        duration_s=given.duration,
        min_rate=None if given.min_charging_rate is None else float(given.min_charging_rate),
        id=given.id,
    )


def _ms(text: str | None) -> int | None:
    return None if text is None else parse_rfc3339(text)


def profile_on_wire(profile: Profile) -> dict[str, Any]:
    """A profile as JSON: what the CSMS has set as it came, with the transaction that it was bound to."""
    wire = dict(profile.raw) if profile.raw else _profile(profile)
    return {**wire, "transactionId": profile.tx_id} if profile.tx_id is not None else wire


def _profile(profile: Profile) -> dict[str, Any]:
    return {
        "id": profile.id,
        "stackLevel": profile.stack_level,
        "chargingProfilePurpose": profile.purpose,
        "chargingProfileKind": profile.kind,
        "chargingSchedule": [schedule_on_wire(schedule) for schedule in profile.schedules],
    }


def schedule_on_wire(schedule: Schedule) -> dict[str, Any]:
    """A schedule as JSON."""
    wire = {
        "id": schedule.id,
        "startSchedule": None if schedule.start_ms is None else rfc3339(schedule.start_ms),
        "duration": schedule.duration_s,
        "chargingRateUnit": schedule.unit,
        "minChargingRate": schedule.min_rate,
        "chargingSchedulePeriod": [_period(period) for period in schedule.periods],
    }
    return {name: value for name, value in wire.items() if value is not None}


def _period(period: Period) -> dict[str, Any]:
    wire = {"startPeriod": period.start_s, "limit": period.limit, "numberPhases": period.phases,
            "phaseToUse": period.phase_to_use}  # fmt: skip
    return {name: value for name, value in wire.items() if value is not None}


def report_pages(profiles: Iterable[Profile]) -> Iterator[dict[str, Any]]:
    """K09: what goes into each report, one source and EVSE in each; `profiles` come in that order."""
    for (source, evse), here in groupby(profiles, key=lambda p: (p.source, p.evse)):
        page: list[dict[str, Any]] = []
        room = PAGE_PERIODS
        for profile in here:
            size = sum(len(schedule.periods) for schedule in profile.schedules)
            if page and size > room:
                yield {"source": source, "evse": evse, "profiles": page}
                page, room = [], PAGE_PERIODS
            page.append(profile_on_wire(profile))
            room -= size
        yield {"source": source, "evse": evse, "profiles": page}


def composite_schedule(evse_id: int, plan: Plan) -> datatypes.CompositeScheduleType:
    """A plan as OCPP's CompositeSchedule."""
    periods = [
        datatypes.ChargingSchedulePeriodType(start_period=s.start_s, limit=s.limit, number_phases=s.phases)
        for s in plan.slices
    ]
    return datatypes.CompositeScheduleType(
        evse_id=evse_id,
        duration=plan.duration_s,
        schedule_start=rfc3339(plan.start_ms),
        charging_rate_unit=plan.unit,
        charging_schedule_period=periods,
    )
