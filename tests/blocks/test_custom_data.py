"""customData and unknown properties: what a CSMS writes there comes back as it was, or is dropped and noted."""

from __future__ import annotations

from typing import Any

import pytest

from tests.blocks.stories import CARD, QUIET, charge, get_variable, idle, install, profile
from tests.sim.world import World

CUSTOM: dict[str, Any] = {
    "vendorId": "org.example", "snake_case": {"inner_key": [None, 1.50, {"evse_id": "x"}]}, "evseId": 7, "ID": True,
}  # fmt: skip
"""Names that a careless translation between snake and camel case would rewrite."""


def reports(world: World, action: str) -> list[dict[str, Any]]:
    """What `action` has told so far."""
    world.runs(seconds=10)
    return world.csms.requests(action)


@pytest.mark.parametrize("restart", [False, True])
def test_what_is_told_back_has_the_custom_data_that_it_came_with(restart: bool) -> None:
    world = idle(keys=QUIET)
    given = profile(3, customData=CUSTOM)
    given["chargingSchedule"][0]["customData"] = CUSTOM
    given["chargingSchedule"][0]["chargingSchedulePeriod"][0]["customData"] = CUSTOM
    assert install(world, 1, given)["status"] == "Accepted"
    content = {"format": "UTF8", "content": "Hello", "customData": CUSTOM}
    info = {"id": 1, "priority": "InFront", "message": content, "customData": CUSTOM}
    assert world.csms_asks("SetDisplayMessage", {"message": info, "customData": CUSTOM})["status"] == "Accepted"
    if restart:
        world.loses_power().returns_after(seconds=5)
        world.runs(minutes=1)
    world.csms_asks("GetChargingProfiles", {"requestId": 1, "chargingProfile": {}})
    world.csms_asks("GetDisplayMessages", {"requestId": 2})
    [told] = reports(world, "ReportChargingProfiles")
    assert told["chargingProfile"] == [given]
    [shown] = reports(world, "NotifyDisplayMessages")
    assert shown["messageInfo"] == [info]


def test_an_answer_names_its_component_with_its_custom_data() -> None:
    world = idle(keys=QUIET)
    asked = {"component": {"name": "TxCtrlr", "customData": CUSTOM},
             "variable": {"name": "TxStartPoint", "customData": CUSTOM}, "customData": CUSTOM}  # fmt: skip
    [got] = world.csms_asks("GetVariables", {"getVariableData": [asked]})["getVariableResult"]
    assert (got["component"], got["variable"]) == (asked["component"], asked["variable"])


def test_an_unknown_property_in_a_call_refuses_it_whole_and_changes_nothing() -> None:
    world = idle(keys=QUIET)
    before = get_variable(world, "OCPPCommCtrlr.HeartbeatInterval")
    data = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "HeartbeatInterval"}, "attributeValue": "77"}
    wrong = ({"setVariableData": [{**data, "more": 1}]}, {"setVariableData": [data], "vendor": "x"})
    exchanges = [world.csms.sends("SetVariables", dict(payload)) for payload in wrong]
    world.runs(seconds=10)
    assert [exchange.error and exchange.error[0] for exchange in exchanges] == ["FormatViolation"] * 2
    assert get_variable(world, "OCPPCommCtrlr.HeartbeatInterval") == before


def test_an_unknown_property_in_an_answer_is_dropped_and_noted() -> None:
    world = idle(keys=QUIET)
    info = {"status": "Accepted", "loyalty_points": 4, "customData": CUSTOM}
    world.csms.answers("Authorize", lambda _: {"idTokenInfo": info, "server": "v2"})
    charge(world, 1, CARD)
    [noted] = [text for _, level, topic, text in world.notes if topic == "rpc" and "unknown properties" in text]
    assert {"loyalty_points", "server"} <= set(noted.replace(",", "").split()) and world.outlets[1].amps > 6
