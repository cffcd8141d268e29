"""K: the CSMS lowers what an EVSE may draw."""

from __future__ import annotations

from agent.core.context import Context
from agent.core.schedules import Refused
from agent.protocol.block import Block, answers
from agent.protocol.profile import to_profile
from agent.protocol.v201 import call, call_result, datatypes


class SmartCharging(Block):
    """K01, K10."""

    @answers("SetChargingProfile")
    def set_profile(self, request: call.SetChargingProfile, cx: Context) -> call_result.SetChargingProfile:
        if len(request.charging_profile.charging_schedule) > 1:
            return self._said(
                Refused("InvalidSchedule", "one chargingSchedule without ISO 15118 (K01.FR.34)")
            )
        profile = to_profile(request.evse_id, request.charging_profile)
        return self._said(
            self.charger.schedules.install(cx, profile, self.charger.evses.get(request.evse_id))
        )

    def _said(self, refusal: Refused | None) -> call_result.SetChargingProfile:
        if refusal is None:
            return call_result.SetChargingProfile(status="Accepted")
        info = datatypes.StatusInfoType(refusal.reason, refusal.info)
        return call_result.SetChargingProfile(status="Rejected", status_info=info)

    @answers("ClearChargingProfile")
    def clear_profile(
        self, request: call.ClearChargingProfile, cx: Context
    ) -> call_result.ClearChargingProfile:
        by = request.charging_profile_criteria
        cleared = self.charger.schedules.clear(
            cx,
            request.charging_profile_id,
            str(by.charging_profile_purpose) if by and by.charging_profile_purpose else None,
            by.stack_level if by else None,
            by.evse_id if by else None,
        )
        return call_result.ClearChargingProfile(status="Accepted" if cleared else "Unknown")
