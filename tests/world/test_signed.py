"""Signed meter values: from the meter to the wire without one byte changed (J.2)."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import replace
from typing import Any

from tests.marks import req
from tests.sim.hardware import PUBLIC_KEY, ocmf
from tests.sim.outlet import raw
from tests.sim.world import World

CARD = "04AABBCC"
SIGNING = replace(raw(16), signs=True)
KEYS = {"SampledDataCtrlr.SignReadings": "true"}


def session(keys: dict[str, str]) -> World:
    """One session of ten minutes at a meter that signs."""
    world = World([SIGNING], keys={**KEYS, **keys}).runs(seconds=20)
    world.ev(1).plugs_in().presents(CARD)
    world.runs(minutes=10)
    world.ev(1).presents(CARD)
    world.runs(minutes=1)
    world.settles()
    return world


def signed(event: dict[str, Any]) -> list[tuple[str, dict[str, str]]]:
    """(context, signedMeterValue) of every signed sample of an event."""
    samples = [s for value in event.get("meterValue", ()) for s in value["sampledValue"]]
    return [(s["context"], s["signedMeterValue"]) for s in samples if "signedMeterValue" in s]


def data(value: dict[str, str]) -> str:
    return b64decode(value["signedMeterData"]).decode()


@req("E02.FR.14", "E03.FR.10", "E07.FR.12", "J02.FR.21")
def test_the_end_carries_begin_and_end_as_the_meter_wrote_them() -> None:
    ended = session({}).csms.transaction(1).events[-1]
    values = signed(ended)
    assert [context for context, _ in values] == ["Transaction.Begin", "Transaction.End"]
    begin, end = (value for _, value in values)
    assert data(begin).startswith('OCMF|{"FV" : "1.0",  "PG":"T1","RD":[{"TX":"B"')
    wh = next(s["value"] for v in ended["meterValue"] for s in v["sampledValue"] if "signedMeterValue" in s
              and s["context"] == "Transaction.End")  # fmt: skip
    assert data(end).replace(" ", "") == ocmf("end", wh).replace(" ", "")
    assert (begin["encodingMethod"], begin["signingMethod"]) == ("OCMF", "")


@req("J02.FR.21")
def test_the_public_key_goes_as_often_as_the_key_says() -> None:
    for setting, times in (("Never", 0), ("OncePerTransaction", 1), ("EveryMeterValue", 2)):
        ended = session({"OCPPCommCtrlr.PublicKeyWithSignedMeterValue": setting}).csms.transaction(1).events[-1]
        keys = [b64decode(value["publicKey"]).decode() for _, value in signed(ended)]
        assert keys.count(PUBLIC_KEY) == times and keys.count("") == 2 - times, setting


@req("E01.FR.04")
def test_data_signed_starts_the_transaction_and_no_energy_flows_before() -> None:
    points = {"TxCtrlr.TxStartPoint": "DataSigned", "TxCtrlr.TxStopPoint": "EVConnected,Authorized"}
    world = session(points)
    started = world.csms.transaction(1).events[0]
    assert (started["eventType"], started["triggerReason"]) == ("Started", "SignedDataReceived")


def test_a_signed_begin_value_is_told_at_once_when_the_key_says_so() -> None:
    world = session({"SampledDataCtrlr.SignStartedReadings": "true"})
    reasons = [e["triggerReason"] for e in world.csms.transaction(1).events]
    assert reasons.count("SignedDataReceived") == 1


def test_a_meter_that_never_signs_ends_the_transaction_all_the_same() -> None:
    world = World([SIGNING], keys=KEYS).runs(seconds=20)
    world.ev(1).plugs_in().presents(CARD)
    world.runs(minutes=5)
    world.hardware.drivers[1].mute = True
    world.ev(1).unplugs()
    world.runs(minutes=2)
    assert world.csms.transaction(1).ended


def test_without_a_signing_meter_the_key_is_refused() -> None:
    world = World([raw(16)]).runs(seconds=20)
    datum = {"component": {"name": "SampledDataCtrlr"}, "variable": {"name": "SignReadings"}, "attributeValue": "true"}
    answer = world.csms_asks("SetVariables", {"setVariableData": [datum]})
    result = answer["setVariableResult"][0]
    assert (result["attributeStatus"], result["attributeStatusInfo"]["reasonCode"]) == ("Rejected", "ReadOnly")


def both(world: World) -> None:
    """The transaction's last event carries begin and end, each signed."""
    event = world.csms.transaction(1).events[-1]
    assert [context for context, _ in signed(event)] == ["Transaction.Begin", "Transaction.End"]


@req("E04.FR.10", "E08.FR.12", "E11.FR.08", "E12.FR.10")
def test_offline_from_start_to_end() -> None:
    world = World([SIGNING], keys={**KEYS, "AuthCtrlr.OfflineTxForUnknownIdEnabled": "true"}).runs(seconds=20)
    world.csms.vanishes()
    world.runs(seconds=20)
    world.ev(1).plugs_in().presents(CARD).after(seconds=300).presents(CARD)
    world.runs(minutes=10)
    world.csms.returns()
    world.runs(minutes=20)
    both(world)


@req("E09.FR.08", "E10.FR.07")
def test_unplugged_in_the_middle() -> None:
    world = World([SIGNING], keys=KEYS).runs(seconds=20)
    world.ev(1).plugs_in().presents(CARD).after(seconds=300).unplugs()
    world.runs(minutes=10)
    both(world)


@req("E05.FR.06")
def test_a_token_that_is_refused_afterwards() -> None:
    keys = {**KEYS, "AuthCtrlr.OfflineTxForUnknownIdEnabled": "true"}
    world = World([SIGNING], keys=keys).runs(seconds=20)
    world.csms.blocked_tokens.add(CARD)
    world.csms.vanishes()
    world.runs(seconds=20)
    world.ev(1).plugs_in().presents(CARD)
    world.runs(minutes=5)
    world.csms.returns()
    world.runs(minutes=20)
    both(world)
