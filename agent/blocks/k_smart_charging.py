"""K: the CSMS lowers what an EVSE may draw, and asks what it will be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.blocks.status_info import info
from agent.core.context import Context
from agent.core.schedules import Wanted
from agent.protocol.block import Block, answers, follows, sends
from agent.protocol.errors import ErrorCode, Violation
from agent.protocol.profile import composite_schedule, report_pages, schedule_on_wire, to_profile
from agent.protocol.v201 import call, call_result, datatypes
from config_keys import smart_charging
from config_keys.values import Refusal

OFF = Violation(ErrorCode.NOT_SUPPORTED, "smart charging is switched off: SmartChargingCtrlr.Enabled (K01.FR.29)")


class SmartCharging(Block):
    """K01, K08 to K13, K15 to K17."""

    @answers("SetChargingProfile")
    def set_profile(
        self, request: call.SetChargingProfile, cx: Context
    ) -> call_result.SetChargingProfile | Violation:
        if not cx.keys[smart_charging.ENABLED]:
            return OFF
        profile = to_profile(request.evse_id, request.charging_profile)
        talks = self.charger.energy.high_level
        refusal = talks.refusal(profile) or self.charger.schedules.install(cx, profile, talks.speaks(profile.evse))
        status: Any = "Accepted" if refusal is None else "Rejected"
        return call_result.SetChargingProfile(status=status, status_info=info(refusal))

    @answers("ClearChargingProfile")
    def clear_profile(
        self, request: call.ClearChargingProfile, cx: Context
    ) -> call_result.ClearChargingProfile | Violation:
        if not cx.keys[smart_charging.ENABLED]:
            return OFF
        if self.charger.schedules.clear(cx, _to_clear(request)):
            return call_result.ClearChargingProfile(status="Accepted")
        nothing = Refusal("NotFound", "no profile of the CSMS fits (K10.FR.01, K10.FR.08, K10.FR.09)")
        return call_result.ClearChargingProfile(status="Unknown", status_info=info(nothing))

    @answers("GetCompositeSchedule")
    def composite(
        self, request: call.GetCompositeSchedule, cx: Context
    ) -> call_result.GetCompositeSchedule | Violation:
        if not cx.keys[smart_charging.ENABLED]:
            return OFF
        unit = str(request.charging_rate_unit) if request.charging_rate_unit else None
        refusal = self._cannot_plan(cx, request.evse_id, request.duration, unit)
        if refusal is not None:
            return call_result.GetCompositeSchedule(status="Rejected", status_info=info(refusal))
        chosen = unit or cx.keys[smart_charging.RATE_UNIT][0]
        plan = self.charger.energy.composite.plan(cx, request.evse_id, request.duration, chosen)
        return call_result.GetCompositeSchedule(
            status="Accepted", schedule=composite_schedule(request.evse_id, plan)
        )

    def _cannot_plan(self, cx: Context, evse_id: int, duration_s: int, unit: str | None) -> Refusal | None:
        units = cx.keys[smart_charging.RATE_UNIT]
        if evse_id != 0 and evse_id not in self.charger.evses:
            return Refusal("UnknownEvse", f"there is no EVSE {evse_id} (K08.FR.05)")
        if unit is not None and unit not in units:
            return Refusal("UnsupportedRateUnit", f"expected a unit of {', '.join(units)} (K08.FR.07)")
        if duration_s < 0:
            return Refusal("ValueTooLow", "a duration below 0")
        return None if cx.utc() is not None else Refusal("InternalError", "the station does not know the time")

    @answers("GetChargingProfiles")
    def get_profiles(
        self, request: call.GetChargingProfiles, cx: Context
    ) -> call_result.GetChargingProfiles | Violation:
        if not cx.keys[smart_charging.ENABLED]:
            return OFF
        self.charger.energy.external.refresh(cx)
        pages = list(report_pages(self.charger.schedules.select(_to_report(request))))
        for number, page in enumerate(pages, start=1):
            data = {**page, "request": request.request_id, "tbc": number < len(pages)}
            self.charger.outbox.call("ReportChargingProfiles", data)
        if pages:
            return call_result.GetChargingProfiles(status="Accepted")
        nothing = Refusal("NotFound", "no installed profile fits")
        return call_result.GetChargingProfiles(status="NoProfiles", status_info=info(nothing))

    @sends("ReportChargingProfiles")
    def report(self, data: Mapping[str, Any], cx: Context) -> call.ReportChargingProfiles:
        return call.ReportChargingProfiles(
            request_id=data["request"],
            charging_limit_source=data["source"],
            evse_id=data["evse"],
            charging_profile=data["profiles"],
            tbc=data["tbc"],
        )

    @sends("NotifyChargingLimit")
    def notify(self, data: Mapping[str, Any], cx: Context) -> call.NotifyChargingLimit:
        limit = datatypes.ChargingLimitType(data["source"], is_grid_critical=data["critical"] or None)
        self.charger.energy.external.refresh(cx)
        profile = self.charger.schedules.profile(data["profile"])
        told = profile is not None and cx.keys[smart_charging.NOTIFY_CHARGING_LIMIT_WITH_SCHEDULES]
        schedules: Any = [schedule_on_wire(s) for s in profile.schedules] if told and profile else None
        return call.NotifyChargingLimit(limit, charging_schedule=schedules, evse_id=data["evse"] or None)

    @sends("ClearedChargingLimit")
    def cleared(self, data: Mapping[str, Any], cx: Context) -> call.ClearedChargingLimit:
        return call.ClearedChargingLimit(data["source"], evse_id=data["evse"] or None)


    @sends("NotifyEVChargingNeeds")
    def needs(self, data: Mapping[str, Any], cx: Context) -> call.NotifyEVChargingNeeds:
        ac = datatypes.ACChargingParametersType(**data["ac"]) if data["ac"] else None
        dc = datatypes.DCChargingParametersType(**data["dc"]) if data["dc"] else None
        needs = datatypes.ChargingNeedsType(data["transfer"], data["departure"], ac, dc)
        return call.NotifyEVChargingNeeds(needs, data["evse"], max_schedule_tuples=data["tuples"])

    @follows("needs")
    def needs_answered(
        self,
        response: call_result.NotifyEVChargingNeeds,
        data: Mapping[str, Any],
        context: Mapping[str, Any],
        cx: Context,
    ) -> None:
        self.charger.energy.high_level.answered(cx, context["evse"], str(response.status))

    @sends("NotifyEVChargingSchedule")
    def ev_schedule(self, data: Mapping[str, Any], cx: Context) -> call.NotifyEVChargingSchedule:
        periods = [datatypes.ChargingSchedulePeriodType(start, limit) for start, limit in data["periods"]]
        schedule = datatypes.ChargingScheduleType(data["id"], data["unit"], periods, duration=data["duration"])
        return call.NotifyEVChargingSchedule(data["base"], schedule, data["evse"])


def _to_clear(request: call.ClearChargingProfile) -> Wanted:
    """K10.FR.03, FR.04: an id names it alone, else all criteria have to fit."""
    by = request.charging_profile_criteria
    if request.charging_profile_id is not None:
        return Wanted(ids=frozenset((request.charging_profile_id,)))
    if by is None:
        return Wanted()
    purpose = str(by.charging_profile_purpose) if by.charging_profile_purpose else None
    return Wanted(evse=by.evse_id, purpose=purpose, stack_level=by.stack_level)


def _to_report(request: call.GetChargingProfiles) -> Wanted:
    """K09.FR.04 to FR.06: an EVSE, the station itself (0), or everything."""
    by = request.charging_profile
    return Wanted(
        ids=frozenset(by.charging_profile_id) if by.charging_profile_id else None,
        evse=request.evse_id,
        purpose=str(by.charging_profile_purpose) if by.charging_profile_purpose else None,
        stack_level=by.stack_level,
        sources=frozenset(str(source) for source in by.charging_limit_source) if by.charging_limit_source else None,
    )
