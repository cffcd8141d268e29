"""B: the CSMS reads and writes variables."""

from __future__ import annotations

from hil.certification.registry import case
from hil.certification.states import Lab
from hil.certification.talk import Json, NotApplicable, described

THRESHOLD, LOCAL_OFFLINE = "OCPPCommCtrlr.OfflineThreshold", "AuthCtrlr.LocalAuthorizeOffline"
TYPED = {
    THRESHOLD: "integer",
    "SmartChargingCtrlr.LimitChangeSignificance": "decimal",
    "AuthCtrlr.AuthorizeRemoteStart": "boolean",
    "ClockCtrlr.NextTimeOffsetTransitionDateTime": "dateTime",
}
"""Variables that are tried with values of every kind."""
NO_ERROR = (None, "NoError")


def _asked(lab: Lab, *elements: Json) -> list[Json]:
    """GetVariables; its results, in the order of the request."""
    results = lab.bench.call("GetVariables", {"getVariableData": list(elements)})["getVariableResult"]
    return _in_order(lab, elements, results)


def _written(lab: Lab, *elements: Json) -> list[Json]:
    results = lab.bench.call("SetVariables", {"setVariableData": list(elements)})["setVariableResult"]
    return _in_order(lab, elements, results)


def _in_order(lab: Lab, elements: tuple[Json, ...], results: list[Json]) -> list[Json]:
    """One result for each element, that names what was asked for."""
    lab.check("number of results", len(results), len(elements))
    found = []
    for element in elements:
        same = [r for r in results if all(r[part] == element[part] for part in ("component", "variable"))]
        lab.check(f"results for {element['component']['name']}.{element['variable']['name']}", len(same), 1)
        lab.check("attributeType", same[0].get("attributeType", "Actual"), element.get("attributeType", "Actual"))
        found += same
    return found


def _reason(result: Json) -> str | None:
    reason: str | None = result.get("attributeStatusInfo", {}).get("reasonCode")
    return reason


def _accepted(lab: Lab, result: Json, value: str | None = None) -> None:
    lab.check("attributeStatus", result["attributeStatus"], "Accepted")
    lab.check("reasonCode", _reason(result), NO_ERROR)
    if value is not None:
        lab.check("attributeValue", result.get("attributeValue"), value)


# ---------------------------------------------------------------------------------------------- get


@case("TC_B_06")
def get_one(lab: Lab) -> None:
    lab.write(THRESHOLD, "300")
    for element in ({**described(THRESHOLD), "attributeType": "Actual"}, described(THRESHOLD)):
        (result,) = _asked(lab, element)
        _accepted(lab, result, "300")


@case("TC_B_07")
def get_two(lab: Lab) -> None:
    lab.write(THRESHOLD, "300")
    lab.write(LOCAL_OFFLINE, "true")
    elements = [{**described(name), "attributeType": "Actual"} for name in (THRESHOLD, LOCAL_OFFLINE)]
    first, second = _asked(lab, *elements)
    _accepted(lab, first, "300")
    _accepted(lab, second, "true")


@case("TC_B_32")
def get_of_an_unknown_component(lab: Lab) -> None:
    _unknown(lab, _asked(lab, described("UnknownComponent.OfflineThreshold")), "UnknownComponent")


@case("TC_B_33")
def get_an_unknown_variable(lab: Lab) -> None:
    _unknown(lab, _asked(lab, described("OCPPCommCtrlr.UnknownVariable")), "UnknownVariable")


@case("TC_B_34")
def get_an_attribute_that_is_not_supported(lab: Lab) -> None:
    _unknown(lab, _asked(lab, {**described(THRESHOLD), "attributeType": "Target"}), "NotSupportedAttributeType")


def _unknown(lab: Lab, results: list[Json], status: str) -> None:
    (result,) = results
    lab.check("attributeStatus", result["attributeStatus"], status)
    lab.check("attributeValue", result.get("attributeValue"), None)


# ---------------------------------------------------------------------------------------------- set


@case("TC_B_09")
def set_one(lab: Lab) -> None:
    element = {**described(THRESHOLD), "attributeValue": "300", "attributeType": "Actual"}
    (result,) = _written(lab, element)
    _accepted(lab, result)
    lab.check(THRESHOLD, lab.read(THRESHOLD), "300")


@case("TC_B_10")
def set_two(lab: Lab) -> None:
    wanted = {THRESHOLD: "300", LOCAL_OFFLINE: "true"}
    elements = [
        {**described(name), "attributeValue": value, "attributeType": "Actual"} for name, value in wanted.items()
    ]
    for result in _written(lab, *elements):
        _accepted(lab, result)
    for name, value in wanted.items():
        lab.check(name, lab.read(name), value)


@case("TC_B_35")
def set_of_an_unknown_component(lab: Lab) -> None:
    element = {**described("UnknownComponent.OfflineThreshold"), "attributeValue": "300"}
    _unknown(lab, _written(lab, element), "UnknownComponent")


@case("TC_B_36")
def set_an_unknown_variable(lab: Lab) -> None:
    element = {**described("OCPPCommCtrlr.UnknownVariable"), "attributeValue": "300"}
    _unknown(lab, _written(lab, element), "UnknownVariable")


@case("TC_B_37")
def set_an_attribute_that_is_not_supported(lab: Lab) -> None:
    element = {**described(THRESHOLD), "attributeValue": "300", "attributeType": "Target"}
    _unknown(lab, _written(lab, element), "NotSupportedAttributeType")


@case("TC_B_39")
def set_what_is_read_only(lab: Lab) -> None:
    name = "OCPPCommCtrlr.MessageTimeout[Default]"
    before = lab.read(name)
    (result,) = _written(lab, {**described(name), "attributeValue": "300"})
    lab.check("attributeStatus", result["attributeStatus"], "Rejected")
    lab.check(name, lab.read(name), before)


@case("TC_B_11")
def set_values_of_the_wrong_kind(lab: Lab) -> None:
    tried = 0
    for name, kind in TYPED.items():
        (now,) = _asked(lab, described(name))
        if now["attributeStatus"] != "Accepted":
            continue
        values = {"integer": "300", "decimal": "300.1", "boolean": "true", "dateTime": lab.read("ClockCtrlr.DateTime")}
        for shape, value in {**values, "text": "abc"}.items():
            (result,) = _written(lab, {**described(name), "attributeValue": value})
            fits = shape == kind or (shape, kind) == ("integer", "decimal")
            allowed = ("Accepted", "Rejected") if fits else ("Rejected",)
            lab.check(f"{name} = {value}", result["attributeStatus"], allowed)
            tried += 1
        if kind in ("integer", "boolean"):
            lab.check(f"{name} afterwards", lab.read(name), values[kind])
    if not tried:
        raise NotApplicable("none of the variables of this case is there")
