"""N: monitors are set, replaced, reported and removed; base and level (N02 to N06)."""

from __future__ import annotations

from hil.certification.monitoring import (
    NEAR,
    accept,
    base,
    clear,
    entries,
    level,
    max_limit,
    new_events,
    power,
    report,
    results,
    set_all,
    state,
    variable,
    wish,
)
from hil.certification.registry import case
from hil.certification.states import Lab
from hil.certification.talk import CaseFailed, Json, NotApplicable
from hil.csms import CallFailed

ENUM_CODES = ("PropertyConstraintViolation", "TypeConstraintViolation", "FormatViolation")
"""What a station may answer to a value that the schema does not list."""


def _states(lab: Lab) -> list[Json]:
    """AvailabilityState of the station and of the EVSE."""
    return [variable("ChargingStation", "AvailabilityState"), state(lab)]


def _watch_states(lab: Lab) -> list[int]:
    """Delta monitors on both, set by the CSMS."""
    return [accept(lab, wish(of)) for of in _states(lab)]


# ---------------------------------------------------------------------------------------------- reports


@case("TC_N_01")
def report_by_criteria(lab: Lab) -> None:
    accept(lab, wish(power(lab), "LowerThreshold", 1.0))
    accept(lab, wish(power(lab), "UpperThreshold", NEAR))
    accept(lab, wish(power(lab), "Periodic", 60))
    accept(lab, wish(power(lab), "Delta", NEAR))
    accept(lab, wish(power(lab), "PeriodicClockAligned", 60))
    threshold, periodic = {"UpperThreshold", "LowerThreshold"}, {"Periodic", "PeriodicClockAligned"}
    for criteria, kinds in (
        (["ThresholdMonitoring"], threshold),
        (["ThresholdMonitoring", "DeltaMonitoring"], threshold | {"Delta"}),
        (["DeltaMonitoring", "PeriodicMonitoring"], periodic | {"Delta"}),
    ):
        found = {monitor["type"] for monitor in report(lab, criteria)}
        lab.check(f"types of monitors for {criteria}", found, kinds)


@case("TC_N_02")
def report_by_component_and_variable(lab: Lab) -> None:
    _watch_states(lab)
    evse = {"component": {"name": "EVSE", "evse": {"id": lab.evse}}}
    found = report(lab, of=[_states(lab)[0], evse])
    told = {(m["component"]["name"], m["variable"]["name"]) for m in found if m["type"] == "Delta"}
    wanted = {("ChargingStation", "AvailabilityState"), ("EVSE", "AvailabilityState")}
    lab.check("Delta monitors on AvailabilityState", wanted <= told, True)
    for monitor in found:
        lab.check("component", monitor["component"]["name"], ("ChargingStation", "EVSE"))


@case("TC_N_03")
def report_by_criteria_and_component(lab: Lab) -> None:
    _watch_states(lab)
    accept(lab, wish(power(lab), "Periodic", 60))
    lab.check("ThresholdMonitoring of both states", report(lab, ["ThresholdMonitoring"], _states(lab)), [])
    found = report(lab, ["DeltaMonitoring"], _states(lab))
    lab.check("types", {monitor["type"] for monitor in found}, {"Delta"})
    lab.check("components", {m["component"]["name"] for m in found}, {"ChargingStation", "EVSE"})


@case("TC_N_04")
def report_by_unknown_criterion(lab: Lab) -> None:
    _not_supported(lab, "GetMonitoringReport", {"requestId": 7, "monitoringCriteria": ["DeltaMonitoring", "Other"]})


@case("TC_N_47")
def report_of_all(lab: Lab) -> None:
    mine = set(_watch_states(lab))
    lab.check("all are reported", mine <= {monitor["id"] for monitor in report(lab)}, True)


def _not_supported(lab: Lab, action: str, payload: Json) -> None:
    """A value outside the enumeration: NotSupported, unless the parser has caught it."""
    try:
        lab.check(f"status of {action}Response", lab.bench.call(action, payload).get("status"), "NotSupported")
    except CallFailed as failed:
        lab.check(f"CALLERROR to {action}", failed.code, ENUM_CODES)


# ---------------------------------------------------------------------------------------------- base


@case("TC_N_05")
def every_base(lab: Lab) -> None:
    for name in ("All", "FactoryDefault", "HardWiredOnly"):
        base(lab, name)


@case("TC_N_06")
def base_drops_custom_monitors(lab: Lab) -> None:
    station = variable("ChargingStation", "AvailabilityState")
    accept(lab, wish(station))
    lab.check("types before", {monitor["type"] for monitor in report(lab, of=[station])}, {"Delta"})
    base(lab, "HardWiredOnly")
    lab.check("monitors after", report(lab, of=[station]), [])


@case("TC_N_07")
def unknown_base(lab: Lab) -> None:
    _not_supported(lab, "SetMonitoringBase", {"monitoringBase": "Other"})


@case("TC_N_41")
def factory_default_brings_a_preconfigured_monitor_back(lab: Lab) -> None:
    base(lab, "FactoryDefault")
    before, changed = _change_preconfigured(lab)
    (found,) = [monitor for monitor in report(lab) if monitor["id"] == before["id"]]
    lab.check("severity after the change", found["severity"], changed)
    base(lab, "FactoryDefault")
    (found,) = [monitor for monitor in report(lab) if monitor["id"] == before["id"]]
    lab.check("severity after FactoryDefault", found["severity"], before["severity"])


def _change_preconfigured(lab: Lab) -> tuple[Json, int]:
    """The first monitor that lets its severity be changed, as it was, and its severity now."""
    for monitor in report(lab):
        severity = monitor["severity"] + 1 if monitor["severity"] < 9 else 0
        of = {"component": monitor["component"], "variable": monitor["variable"]}
        (result,) = set_all(lab, wish(of, monitor["type"], monitor["value"], severity, id=monitor["id"]))
        if result["status"] == "Accepted":
            return monitor, severity
    raise NotApplicable("the station has no preconfigured monitor")


# ---------------------------------------------------------------------------------------------- set


@case("TC_N_08")
def set_one(lab: Lab) -> None:
    accept(lab, wish(state(lab), severity=8))
    found = report(lab, of=[state(lab)])
    entries(lab, found, component={"name": "EVSE", "evse": {"id": lab.evse}})
    lab.check("types", {monitor["type"] for monitor in found}, {"Delta"})


@case("TC_N_09")
def set_on_two_variables(lab: Lab) -> None:
    answers = results(lab, [wish(of) for of in _states(lab)], ("Accepted", "Accepted"))
    found = {monitor["id"] for monitor in report(lab, of=_states(lab))}
    lab.check("both are reported", {answer["id"] for answer in answers} <= found, True)


@case("TC_N_10")
def set_two_on_one_variable(lab: Lab) -> None:
    one, two = results(lab, [wish(state(lab), severity=8), wish(state(lab), severity=7)], ("Accepted", "Accepted"))
    lab.check("ids differ", one["id"] != two["id"], True)


@case("TC_N_11")
def set_on_unknown_components(lab: Lab) -> None:
    nowhere = variable("EVSE", "AvailabilityState", evse=99)
    nothing = variable("NonExistent", "Power")
    wishes = [wish(nowhere), wish(nothing, "UpperThreshold", 1234.0)]
    statuses = (("UnknownComponent", "Rejected"), ("UnknownComponent", "UnknownVariable"))
    for answer in results(lab, wishes, statuses):
        lab.check("id", answer.get("id"), None)


@case("TC_N_12")
def set_a_negative_delta(lab: Lab) -> None:
    (answer,) = results(lab, [wish(power(lab), "Delta", -1)], ("Rejected",))
    lab.check("id", answer.get("id"), None)
    _reason(lab, answer, "ValueOutOfRange", "ValuePositiveOnly")


@case("TC_N_13")
def set_a_threshold_beyond_the_limit(lab: Lab) -> None:
    (answer,) = results(lab, [wish(power(lab), "UpperThreshold", max_limit(lab) + 1)], ("Rejected",))
    lab.check("id", answer.get("id"), None)
    _reason(lab, answer, "ValueOutOfRange")


def _reason(lab: Lab, answer: Json, *codes: str) -> None:
    if "statusInfo" in answer:
        lab.check("reasonCode", answer["statusInfo"]["reasonCode"], codes)


@case("TC_N_15")
def set_a_duplicate(lab: Lab) -> None:
    _, second = results(lab, [wish(state(lab)), wish(state(lab))], ("Accepted", "Duplicate"))
    _reason(lab, second, "InvalidValue")


@case("TC_N_37")
def set_on_an_unknown_variable(lab: Lab) -> None:
    results(lab, [wish({"component": {"name": "EVSE"}, "variable": {"name": "unknownVariable"}})], ("UnknownVariable",))


@case("TC_N_38")
def set_an_unsupported_type(lab: Lab) -> None:
    results(lab, [wish(state(lab), "UpperThreshold")], (("UnsupportedMonitorType", "Rejected"),))


@case("TC_N_39")
def replace_on_another_variable(lab: Lab) -> None:
    id = accept(lab, wish(state(lab)))
    results(lab, [wish(power(lab), id=id)], ("Rejected",))
    (found,) = [monitor for monitor in report(lab) if monitor["id"] == id]
    entries(lab, [found], type="Delta", value=1, **state(lab))


@case("TC_N_40")
def replace_one(lab: Lab) -> None:
    id = accept(lab, wish(state(lab), severity=5))
    results(lab, [wish(state(lab), severity=4, id=id)], ("Accepted",))
    (found,) = [monitor for monitor in report(lab, ["DeltaMonitoring"], [state(lab)]) if monitor["id"] == id]
    lab.check("severity", found["severity"], 4)


@case("TC_N_43")
def one_of_three_is_out_of_range(lab: Lab) -> None:
    wishes = [wish(power(lab), "UpperThreshold", NEAR), wish(power(lab), "Delta", -1.0),
              wish(power(lab), "LowerThreshold", 1.0)]  # fmt: skip
    for answer in results(lab, wishes, ("Accepted", "Rejected", "Accepted")):
        _reason(lab, answer, "NoError")


@case("TC_N_53")
def monitors_survive_a_reboot(lab: Lab) -> None:
    id = accept(lab, wish(power(lab), "UpperThreshold", NEAR))
    boots = len(lab.bench.calls("BootNotification"))
    lab.bench.lose_power()
    lab.bench.wait(2)
    lab.bench.return_power()
    lab.bench.wait_until("the next boot", lambda: len(lab.bench.calls("BootNotification")) > boots, 60)
    lab.bench.wait_until("the connection", lab.bench.connected)
    lab.bench.wait(2)
    types = {monitor["id"]: monitor["type"] for monitor in report(lab, ["ThresholdMonitoring"])}
    lab.check("type of the monitor", types.get(id), "UpperThreshold")


# ---------------------------------------------------------------------------------------------- level, clear


@case("TC_N_16")
def the_level_holds_events_back(lab: Lab) -> None:
    id = accept(lab, wish(state(lab), severity=8))
    level(lab, 7)
    lab.plug_in()
    lab.bench.wait(3)
    lab.check("events above the level", new_events(lab, id), [])


@case("TC_N_17")
def a_level_out_of_range(lab: Lab) -> None:
    for severity, code in ((10, "ValueTooHigh"), (-1, "ValueTooLow")):
        _reason(lab, lab.call("SetMonitoringLevel", {"severity": severity}, status="Rejected"), "ValueOutOfRange", code)


@case("TC_N_18")
def clear_two(lab: Lab) -> None:
    ids = _watch_states(lab)
    clear(lab, ids, ("Accepted", "Accepted"))
    lab.check("monitors left", report(lab, of=_states(lab)), [])


@case("TC_N_19")
def clear_an_unknown_one(lab: Lab) -> None:
    clear(lab, [max((monitor["id"] for monitor in report(lab)), default=123455) + 1], ("NotFound",))


@case("TC_N_44")
def clear_a_hard_wired_one(lab: Lab) -> None:
    found = report(lab)
    if not found:
        raise CaseFailed("the station reports no monitor")
    clear(lab, [found[0]["id"]], ("Rejected",))
