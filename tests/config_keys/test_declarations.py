"""Every declared key is well-formed, and nothing of the standard is missing."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from config_keys import comm, registry, sampled, security, site
from config_keys.key import RO, RW, WO, Key, key
from config_keys.types import Boolean, Decimal, Integer, MemberList, OptionList
from docs.generate import keys as reference

ALL = registry.all_keys()
with (Path(__file__).parent / "standard_variables.csv").open(encoding="utf-8") as file:
    STANDARD = list(csv.DictReader(file))


@pytest.mark.parametrize("declared", ALL, ids=lambda declared: declared.name)
def test_a_declaration_is_well_formed(declared: Key[Any]) -> None:
    assert declared.doc.strip() == declared.doc and len(declared.doc) <= 120
    assert len(declared.component) <= 50 and len(declared.variable) <= 50
    assert len(declared.instance or "") <= 50
    assert len(",".join(declared.type.values_list)) <= 1000
    assert declared.default is None or declared.type.parse(declared.type.format(declared.default)) is not None
    assert declared.access is RO or declared.persistent
    names = (declared.component, declared.variable, declared.instance, declared.component_instance)
    assert registry.find(*names) is declared
    assert registry.by_name(declared.name.upper()) is declared


@pytest.mark.parametrize(
    "row", STANDARD, ids=lambda row: f"{row['component']}.{row['variable']}{row['instance']}"
)
def test_a_variable_of_the_standard_is_declared_as_the_standard_has_it(row: dict[str, str]) -> None:
    absent = reference.why_absent(row["component"], row["variable"], row["instance"])
    declared = _declared(row)
    assert (absent is None) == (declared is not None)
    if declared is None:
        assert row["required"] != "yes"
        return
    assert (declared.type.name, declared.unit) in ((row["dataType"], row["unit"]), ("OptionList", row["unit"]))
    assert declared.access.name in row["mutability"].split(" or ") or declared.locked
    assert declared.standard


def _declared(row: dict[str, str]) -> Key[Any] | None:
    found = registry.find(row["component"], row["variable"], row["instance"] or None)
    several = [k for k in registry.of_component(row["component"]) if k.variable == row["variable"]]
    return several[0] if found is None and several and not row["instance"] else found


def test_every_reason_for_an_absent_variable_is_about_one_of_the_standard() -> None:
    known = {(row["component"], row["variable"]) for row in STANDARD}
    components = {component for component, _ in known}
    for component, variables, reason in reference.absent():
        assert reason.endswith(".") and component in components
        names = {variable.partition("[")[0] for variable in variables}
        assert variables == ("*",) or all((component, variable) in known for variable in names), component


def test_settings_that_may_be_written_have_a_value_unless_it_cannot_be_known() -> None:
    without = {declared.name for declared in ALL if declared.access is RW and declared.default is None}
    assert without == {"SecurityCtrlr.Identity", "ClockCtrlr.NextTimeOffsetTransitionDateTime"}


@pytest.mark.parametrize(
    ("alias", "expected"),
    [
        ("HeartbeatInterval", comm.HEARTBEAT_INTERVAL),
        ("metervaluesampleinterval", sampled.TX_UPDATED_INTERVAL),
        ("MeterValuesSampledData", sampled.TX_UPDATED_MEASURANDS),
        ("TransactionMessageAttempts", comm.MESSAGE_ATTEMPTS),
        ("AuthorizationKey", security.BASIC_AUTH_PASSWORD),
    ],
)
def test_a_key_answers_to_its_1_6_name(alias: str, expected: Key[Any]) -> None:
    assert registry.by_name(alias) is expected


def test_a_key_is_found_by_what_people_call_it() -> None:
    assert site.OFFLINE_LIMIT in registry.search("safe current")
    assert comm.HEARTBEAT_INTERVAL in registry.search("heartbeat")
    assert registry.search("no such thing") == ()
    assert registry.by_name("No.Such") is None


def test_components_are_known_by_name() -> None:
    assert "FallbackCtrlr" in registry.components()
    assert site.OFFLINE_LIMIT in registry.of_component("fallbackctrlr")
    assert not site.OFFLINE_LIMIT.standard and comm.RESET_RETRIES.standard
    assert registry.of_component("Nobody") == ()


def test_the_password_is_secret_and_write_only() -> None:
    assert security.BASIC_AUTH_PASSWORD.access is WO
    assert security.BASIC_AUTH_PASSWORD.secret


@pytest.mark.parametrize(
    ("name", "type_", "more", "complaint"),
    [
        ("NoVariable", Boolean(), {}, "expected Component.Variable"),
        ("A.B", Integer(min=1), {"default": 0}, "1 or more"),
        ("A.B", Boolean(), {"default": 1}, "expected a bool"),
        ("A.B", OptionList(("x",)), {"default": "y"}, "one of x"),
        ("A.B", MemberList(("x",)), {"default": "x,x"}, "each once"),
        ("A.B", Decimal(), {"unit": "furlong"}, "furlong"),
        ("A.B", Boolean(), {"doc": "No full stop"}, "full stop"),
        ("A.B", Boolean(), {"doc": ""}, "one line"),
        ("A.B", Boolean(), {"locked": "Because."}, "read-only"),
        ("A.B", Boolean(), {"access": WO}, "secret"),
        ("fallbackctrlr.offlinelimit", Boolean(), {}, "declared twice"),
        ("A.B", Boolean(), {"alias16": "heartbeatinterval"}, "taken"),
    ],
)
def test_a_wrong_declaration_fails_at_import(
    name: str, type_: Any, more: dict[str, Any], complaint: str
) -> None:
    given: dict[str, Any] = {"doc": "Meaning.", "access": RW} | more
    with pytest.raises(ValueError, match=complaint):
        key(name, type_, **given)
    assert registry.all_keys() == ALL


def test_the_reference_is_current() -> None:
    assert reference.main(["--check"]) == 0


def test_the_reference_tells_everything_of_a_key() -> None:
    text = reference.markdown()
    assert (
        "| `FallbackCtrlr.OfflineLimit` | own | Current offered per phase while the CSMS is unreachable; "
        "0 pauses charging. | A | decimal | 0 to 80 | 6 | RW |  | yes | station |  "
        "| current | Alfen safe current, KEBA failsafe current | 0.1 |"
    ) in text
    assert all(f"`{declared.name}`" in text for declared in ALL)


def test_nearly_everything_that_can_be_set_can_be_set_over_ocpp() -> None:
    score = reference.reachability()
    assert score["over_ocpp"] >= 0.8 * score["settings"]
    assert all(reason.endswith(".") for reason in score["locked"].values())
    assert f"{score['over_ocpp']} of {score['settings']} settings" in reference.markdown()
