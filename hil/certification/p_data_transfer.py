"""P: vendor messages and customData."""

from __future__ import annotations

from hil.certification.registry import case
from hil.certification.states import Lab

CUSTOM = {"vendorId": "org.openchargealliance.octt", "Mixed_case-key": {"any": [1, "thing"]}}


@case("TC_P_01")
def a_vendor_that_nobody_knows(lab: Lab) -> None:
    lab.call(
        "DataTransfer", {"vendorId": "org.openchargealliance.octt", "messageId": "none"},
        status=("UnknownVendorId", "UnknownMessageId", "Rejected"),
    )  # fmt: skip


@case("TC_P_03")
def custom_data_in_set_variables(lab: Lab) -> None:
    item = {
        "component": {"name": "OCPPCommCtrlr", "customData": CUSTOM}, "variable": {"name": "OfflineThreshold"},
        "attributeValue": "200", "customData": CUSTOM,
    }  # fmt: skip
    (result,) = lab.call("SetVariables", {"setVariableData": [item], "customData": CUSTOM})["setVariableResult"]
    lab.check("attributeStatus", result["attributeStatus"], "Accepted")
    lab.check("OfflineThreshold", lab.read("OCPPCommCtrlr.OfflineThreshold"), "200")


@case("TC_P_04")
def custom_data_in_a_charging_profile(lab: Lab) -> None:
    schedule = {
        "id": 1, "chargingRateUnit": "A", "duration": 300, "startSchedule": lab.read("ClockCtrlr.DateTime"),
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 6.0, "customData": CUSTOM}], "customData": CUSTOM,
    }  # fmt: skip
    profile = {
        "id": 7, "stackLevel": 0, "chargingProfilePurpose": "TxDefaultProfile", "chargingProfileKind": "Absolute",
        "chargingSchedule": [schedule], "customData": CUSTOM,
    }  # fmt: skip
    lab.call("SetChargingProfile", {"evseId": lab.evse, "chargingProfile": profile}, status="Accepted")
