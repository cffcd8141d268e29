"""Every message and every property of the official schemas through the `ocpp` types and back."""

from __future__ import annotations

import json
from dataclasses import fields
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from agent.protocol.actions import FROM_CSMS, FROM_STATION, known, refusal
from agent.protocol.codec import check_request, check_response, from_wire, to_wire, wire_name
from agent.protocol.errors import ErrorCode
from agent.protocol.rpc import Call, decode, encode_call
from agent.protocol.v201 import REQUESTS, RESPONSES, call, call_result, datatypes, enums
from tests.marks import req
from tests.protocol.instances import instance, schemas


def type_of(message: str) -> type[Any]:
    """The dataclass of a message such as ResetRequest."""
    request = message.endswith("Request")
    return (
        REQUESTS[message.removesuffix("Request")] if request else RESPONSES[message.removesuffix("Response")]
    )


def is_valid(message: str, payload: Any) -> bool:
    if message.endswith("Request"):
        return check_request(message.removesuffix("Request"), payload) is None
    return check_response(message.removesuffix("Response"), payload)[1:] == (None, [])


def holds(message: Any, payload: Any) -> bool:
    """Whether every name of the payload is an attribute with that value, all the way down."""
    if isinstance(payload, list):
        return all(holds(m, p) for m, p in zip(message, payload, strict=True))
    if not isinstance(payload, dict) or isinstance(message, dict):
        return bool(message == payload)
    names = {wire_name(name): name for name in vars(message)}
    return all(holds(getattr(message, names[wire]), value) for wire, value in payload.items())


@pytest.mark.parametrize("message", sorted(schemas()))
def test_every_property_of_every_message_survives_the_round_trip(message: str) -> None:
    root, random = schemas()[message], Random(message)
    for optional in (1.0, 1.0, 0.0, 0.5, 0.5):
        payload = instance(root, root, random, optional)
        frame = decode(encode_call("i", "Any", payload))
        assert isinstance(frame, Call) and frame.payload == payload
        decoded = from_wire(type_of(message), frame.payload)
        assert holds(decoded, payload)
        assert to_wire(decoded) == payload
        assert is_valid(message, payload)


def test_every_field_of_every_message_is_a_property_of_its_schema() -> None:
    assert len(schemas()) == 128
    for message, root in schemas().items():
        assert {wire_name(f.name) for f in fields(type_of(message))} == set(root["properties"]), message


def test_names_that_camel_case_alone_would_get_wrong() -> None:
    needs = datatypes.DCChargingParametersType(32, 400, bulk_soc=80, full_soc=100)
    assert to_wire(needs) == {"evMaxCurrent": 32, "evMaxVoltage": 400, "bulkSoC": 80, "fullSoC": 100}
    assert wire_name("responder_url") == "responderURL"
    assert wire_name("ocpp_csms_url") == "ocppCsmsUrl"
    assert wire_name("iso15118_certificate_hash_data") == "iso15118CertificateHashData"


@req("P01.FR.07", "P02.FR.08")
@pytest.mark.parametrize(
    "data",
    [
        {"associated": {"other_key": 1, "X-Api": [], "a_b_": {}, "none": None}},
        [],
        {},
        "text",
        0,
        False,
        [None],
    ],
)
def test_vendor_data_passes_untouched(data: Any) -> None:
    request = call.DataTransfer(vendor_id="com.example", data=data)
    assert to_wire(request) == {"vendorId": "com.example", "data": data}
    assert from_wire(call.DataTransfer, to_wire(request)) == request


@req("TC_P_03_CS", "TC_P_04_CS")
def test_custom_data_passes_untouched_at_every_level() -> None:
    custom = {"vendorId": "com.example", "other_key": {"X": [None]}}
    payload = {
        "evseId": 1,
        "chargingProfile": {
            "id": 1,
            "stackLevel": 0,
            "chargingProfilePurpose": "TxDefaultProfile",
            "chargingProfileKind": "Relative",
            "chargingSchedule": [
                {
                    "id": 1,
                    "chargingRateUnit": "A",
                    "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16.0, "customData": custom}],
                    "customData": custom,
                }
            ],
            "customData": custom,
        },
        "customData": custom,
    }
    assert check_request("SetChargingProfile", payload) is None
    request = from_wire(call.SetChargingProfile, payload)
    assert request.custom_data == custom
    assert to_wire(request) == payload


def test_what_is_unset_or_empty_stays_away_from_the_wire() -> None:
    value = datatypes.SampledValueType(value=1, unit_of_measure=datatypes.UnitOfMeasureType())
    sample = datatypes.MeterValueType("2026-01-31T12:00:00Z", [value])
    assert to_wire(sample) == {"timestamp": "2026-01-31T12:00:00Z", "sampledValue": [{"value": 1}]}
    assert to_wire(call_result.GetInstalledCertificateIds("NotFound", certificate_hash_data_chain=[])) == {
        "status": "NotFound"
    }
    assert to_wire(call.GetVariables([])) == {"getVariableData": []}
    assert to_wire(call.Heartbeat()) == {}


def test_numbers_and_enumerations_reach_the_wire_as_they_are() -> None:
    value = datatypes.SampledValueType(value=Decimal("12345.670"), phase=enums.PhaseEnumType.l1_n)
    payload = to_wire(call.MeterValues(1, [datatypes.MeterValueType("2026-01-31T12:00:00Z", [value])]))
    assert check_request("MeterValues", payload) is None
    assert '"value":12345.670,"phase":"L1-N"' in encode_call("i", "MeterValues", payload)


def test_an_integer_written_with_a_point_arrives_as_one() -> None:
    request = from_wire(call.SetMonitoringLevel, json.loads('{"severity":5.0}'))
    assert type(request.severity) is int


def test_enumerations_compare_equal_to_what_was_received() -> None:
    request = from_wire(call.Reset, {"type": "OnIdle"})
    assert request.type == enums.ResetEnumType.on_idle


def test_each_action_is_known_with_its_direction() -> None:
    actions = {message.removesuffix("Request") for message in schemas() if message.endswith("Request")}
    assert actions == FROM_STATION | FROM_CSMS
    assert [action for action in actions if action in FROM_STATION and action in FROM_CSMS] == [
        "DataTransfer"
    ]
    assert set(REQUESTS) == set(RESPONSES) == actions
    assert known("Reset") and known("BootNotification") and not known("reset") and not known("ResetRequest")


@req("FR.03")
@pytest.mark.parametrize(
    ("action", "code"),
    [
        ("Reset", None),
        ("DataTransfer", None),
        ("BootNotification", ErrorCode.NOT_SUPPORTED),
        ("TransactionEvent", ErrorCode.NOT_SUPPORTED),
        ("reset", ErrorCode.NOT_IMPLEMENTED),
        ("ResetRequest", ErrorCode.NOT_IMPLEMENTED),
        ("../errors", ErrorCode.NOT_IMPLEMENTED),
    ],
)
def test_actions_that_a_csms_may_not_ask_for_are_refused(action: str, code: ErrorCode | None) -> None:
    assert refusal(action) == code
