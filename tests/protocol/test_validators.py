"""The generated validators against an independent one, and the error code for each kind of wrong."""

from __future__ import annotations

from random import Random
from typing import Any

import jsonschema
import pytest

from agent.core.instant import parse_rfc3339
from agent.protocol.codec import check_request, check_response
from agent.protocol.errors import CODE_OF_RULE, ErrorCode, Violation
from docs.generate import validators
from tests.marks import req
from tests.protocol.instances import WRONG_DATES, instance, mutations, schemas

MUTATIONS = 20
BOOT: dict[str, Any] = {"reason": "PowerUp", "chargingStation": {"model": "M", "vendorName": "V"}}
BOOTED: dict[str, Any] = {"currentTime": "2026-01-31T12:00:00Z", "interval": 300, "status": "Accepted"}

_dates = jsonschema.FormatChecker(formats=())


@_dates.checks("date-time")
def _is_date_time(value: object) -> bool:
    return value not in WRONG_DATES and value not in ("text", "x") and not str(value).startswith("y")


def check(message: str, payload: Any) -> Violation | None:
    """Our verdict on the payload of a message such as ResetRequest, unknown properties included."""
    if message.endswith("Request"):
        return check_request(message.removesuffix("Request"), payload)
    _, violation, dropped = check_response(message.removesuffix("Response"), payload)
    return violation or (Violation(ErrorCode.FORMAT, "dropped") if dropped else None)


def expected_codes(root: dict[str, Any], payload: Any) -> set[ErrorCode]:
    """The codes of all that jsonschema finds wrong; empty: nothing."""
    if not isinstance(payload, dict):
        return {ErrorCode.FORMAT}
    errors = jsonschema.Draft6Validator(root, format_checker=_dates).iter_errors(payload)
    return {CODE_OF_RULE[str(error.validator)] for error in errors}


@req("FR.03")
@pytest.mark.parametrize("message", sorted(schemas()))
def test_verdicts_agree_with_jsonschema(message: str) -> None:
    root, random = schemas()[message], Random(message)
    payload = instance(root, root, random)
    assert check(message, payload) is None
    changes = list(mutations(root, payload))
    for change, mutant in random.sample(changes, min(MUTATIONS, len(changes))):
        violation, codes = check(message, mutant), expected_codes(root, mutant)
        assert (violation is None) == (not codes), (change, violation, codes)
        assert violation is None or violation.code in codes, change


@req("FR.03")
@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"reason": None}, ErrorCode.TYPE),
        ({"reason": "Boredom"}, ErrorCode.PROPERTY),
        ({"surprise": 1}, ErrorCode.FORMAT),
        ({"chargingStation": {"model": "M"}}, ErrorCode.OCCURRENCE),
        ({"chargingStation": {"model": "M" * 21, "vendorName": "V"}}, ErrorCode.PROPERTY),
        ({"chargingStation": {"model": 5, "vendorName": "V"}}, ErrorCode.TYPE),
        ({"chargingStation": {"model": "M", "vendorName": "V", "colour": "red"}}, ErrorCode.FORMAT),
        ({"customData": {"any": "thing"}}, ErrorCode.OCCURRENCE),
    ],
)
def test_error_code_of_each_kind_of_wrong(change: dict[str, Any], code: ErrorCode) -> None:
    violation = check_request("BootNotification", {**BOOT, **change})
    assert violation is not None and violation.code == code


@pytest.mark.parametrize("payload", [None, [], "text", 5, True])
def test_a_payload_that_is_no_object_is_a_format_violation(payload: Any) -> None:
    assert check_request("Heartbeat", payload) == Violation(ErrorCode.FORMAT, "payload must be an object")


def test_too_few_and_too_many_items_are_occurrences() -> None:
    empty = check_request("GetVariables", {"getVariableData": []})
    assert empty is not None and empty.code == ErrorCode.OCCURRENCE
    criteria = {"requestId": 1, "componentCriteria": ["Active"] * 5}
    many = check_request("GetReport", criteria)
    assert many is not None and many.code == ErrorCode.OCCURRENCE


@pytest.mark.parametrize(("periods", "code"), [(1024, None), (1025, ErrorCode.OCCURRENCE)])
def test_a_schedule_has_at_most_1024_periods(periods: int, code: ErrorCode | None) -> None:
    period = {"startPeriod": 0, "limit": 16}
    schedule = {"id": 1, "chargingRateUnit": "A", "chargingSchedulePeriod": [period] * periods}
    profile = {
        "id": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": "Relative",
        "chargingSchedule": [schedule],
    }
    violation = check_request("SetChargingProfile", {"evseId": 1, "chargingProfile": profile})
    assert (violation and violation.code) == code


@pytest.mark.parametrize(
    ("interval", "code"),
    [
        (300.0, None),
        (2**31 - 1, None),
        (2**31, ErrorCode.PROPERTY),
        (-(2**31) - 1, ErrorCode.PROPERTY),
        (10**39, ErrorCode.PROPERTY),
        (300.5, ErrorCode.TYPE),
        (True, ErrorCode.TYPE),
    ],
)
def test_integers_are_32_bit_and_may_be_written_with_a_point(interval: Any, code: ErrorCode | None) -> None:
    _, violation, _ = check_response("BootNotification", {**BOOTED, "interval": interval})
    assert (violation and violation.code) == code


def test_decimals_that_no_charger_can_mean_are_refused() -> None:
    violation = check_request("CostUpdated", {"transactionId": "t", "totalCost": 1e300})
    assert violation is not None and violation.code == ErrorCode.PROPERTY


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("2026-01-31T12:00:00Z", True),
        ("2026-01-31T12:00:00.123Z", True),
        ("2026-01-31T12:00:00.1234567+05:30", True),
        ("2026-01-31T12:00:00-0800", True),
        ("2000-02-29T00:00:00Z", True),
        ("0001-01-01T00:00:00Z", True),
        ("0000-01-01T00:00:00Z", False),
        ("1900-02-29T00:00:00Z", False),
        ("2026-04-31T00:00:00Z", False),
        ("2026-01-31T24:00:00Z", False),
        ("2026-01-31T12:00:60Z", False),
        ("2026-01-31T12:00:00z", False),
        ("2026-01-31t12:00:00Z", False),
        ("2026-01-31 12:00:00Z", False),
        ("٢٠٢٦-01-31T12:00:00Z", False),
        ("2026-01-31T12:00:00Z\n", False),
        *((text, False) for text in WRONG_DATES),
    ],
)
def test_a_date_time_is_one_that_the_core_can_read(text: str, valid: bool) -> None:
    _, violation, _ = check_response("Heartbeat", {"currentTime": text})
    if valid:
        assert violation is None
        parse_rfc3339(text)
    else:
        assert violation is not None and violation.code == ErrorCode.PROPERTY


def test_a_refusal_names_the_place_and_never_a_value() -> None:
    secret = "hunter2" * 10
    for change in (
        {"reason": secret},
        {secret: 1},
        {"chargingStation": {"model": secret, "vendorName": "V"}},
        {"chargingStation": {"model": "M", "vendorName": "V", secret: secret}},
    ):
        violation = check_request("BootNotification", {**BOOT, **change})
        assert violation is not None
        assert "hunter2" not in violation.description
        assert violation.description.startswith("payload")
        assert len(violation.description) <= 255
    nested = check_request(
        "SendLocalList", {"versionNumber": 1, "updateType": "Full", "localAuthorizationList": [{}]}
    )
    assert nested == Violation(
        ErrorCode.OCCURRENCE, "payload.localAuthorizationList[0] must contain ['idToken'] properties"
    )


@req("TC_P_03_CS")
def test_custom_data_may_hold_anything_beside_its_vendor() -> None:
    custom = {"vendorId": "com.example", "nested": {"deep": [1, None, {"X": 1.5}]}}
    station = {**BOOT["chargingStation"], "customData": custom}
    assert (
        check_request("BootNotification", {**BOOT, "chargingStation": station, "customData": custom}) is None
    )


def test_unknown_properties_of_an_answer_are_dropped_and_named() -> None:
    received = {**BOOTED, "mood": "good", "statusInfo": {"reasonCode": "R", "extra": {"a": 1}}}
    payload, violation, dropped = check_response("BootNotification", received)
    assert violation is None
    assert payload == {**BOOTED, "statusInfo": {"reasonCode": "R"}}
    assert sorted(dropped) == ["extra", "mood"]
    assert received["mood"] == "good"


def test_what_else_is_wrong_with_an_answer_is_still_found() -> None:
    _, violation, dropped = check_response("BootNotification", {**BOOTED, "mood": "good", "interval": "soon"})
    assert violation is not None and violation.code in (ErrorCode.TYPE, ErrorCode.FORMAT)
    assert dropped in ([], ["mood"])


def test_an_answer_full_of_unknown_properties_is_refused_in_bounded_work() -> None:
    info = [{"additionalIdToken": "a", "type": "t", "unknown": 1} for _ in range(20_000)]
    group = {"idToken": "g", "type": "Central", "additionalInfo": info}
    answer = {"idTokenInfo": {"status": "Accepted", "groupIdToken": group}}
    _, violation, dropped = check_response("Authorize", answer)
    assert violation is not None and violation.code == ErrorCode.FORMAT
    assert len(dropped) <= 32


def test_committed_validators_are_what_the_schemas_generate(capsys: pytest.CaptureFixture[str]) -> None:
    assert validators.main(["--check"]) == 0, capsys.readouterr().err


def test_a_stale_validator_is_named(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "agent" / "protocol" / "validators"
    target.parent.mkdir(parents=True)
    monkeypatch.setattr(validators, "TARGET", target)
    assert validators.main([]) == 0
    assert validators.main(["--check"]) == 0
    (target / "ResetRequest.py").write_text("changed by hand")
    (target / "GoneRequest.py").write_text("left over")
    assert validators.main(["--check"]) == 1
    assert "ResetRequest" in (said := capsys.readouterr().err) and "GoneRequest" in said
    assert validators.main([]) == 0
    assert validators.main(["--check"]) == 0
