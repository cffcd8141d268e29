"""Signed meter values: from the meter to the wire without one byte changed (J.2)."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import replace
from typing import Any

import pytest

from agent.core.events import LimitReleased, LimitSet
from tests.blocks.stories import get_variable, heard, set_variable, utc_s
from tests.marks import req
from tests.sim.hardware import PUBLIC_KEY, ocmf
from tests.sim.outlet import raw
from tests.sim.transactions import consecutive
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


POINTS = {"TxCtrlr.TxStartPoint": "DataSigned", "TxCtrlr.TxStopPoint": "EVConnected,Authorized"}
STARTED = {"SampledDataCtrlr.SignStartedReadings": "true"}
UPDATED = {"SampledDataCtrlr.SignUpdatedReadings": "true", "SampledDataCtrlr.TxUpdatedInterval": "60"}
ALIGNED = {"AlignedDataCtrlr.SignReadings": "true", "AlignedDataCtrlr.Interval": "60"}


def keys_told(world: World) -> list[bool]:
    """Whether the public key was told, for every signed value of the transaction in order."""
    events = sorted(world.csms.transaction(1).events, key=lambda event: int(event["seqNo"]))
    return [value["publicKey"] != "" for event in events for _, value in signed(event)]


@req("J02.FR.21", "E01.FR.04")
@pytest.mark.parametrize("keys", [{}, POINTS, STARTED, UPDATED, {**POINTS, **STARTED, **UPDATED}])
def test_the_public_key_is_told_once_however_often_the_begin_value_is(keys: dict[str, str]) -> None:
    told = keys_told(session(keys))
    assert told == [True] + [False] * (len(told) - 1)


@req("J02.FR.21")
def test_begin_value_and_told_key_survive_a_power_cut() -> None:
    world = World([SIGNING], keys={**KEYS, **STARTED}).runs(seconds=20)
    world.ev(1).plugs_in().presents(CARD)
    world.runs(minutes=5)
    world.loses_power().returns_after(seconds=20)
    world.runs(minutes=3)
    world.ev(1).presents(CARD)
    world.runs(minutes=1)
    both(world)
    assert keys_told(world).count(True) == 1
    world.settles()


@req("E04.FR.01", "J02.FR.21")
def test_signed_values_of_an_outage_survive_a_power_cut_within_it() -> None:
    """What waits in the journal may be signed, and the station starts all the same."""
    offline = {"AuthCtrlr.OfflineTxForUnknownIdEnabled": "true"}
    world = World([SIGNING], keys={**KEYS, **STARTED, **UPDATED, **offline}).runs(seconds=20)
    world.csms.vanishes()
    world.ev(1).plugs_in().presents(CARD)
    world.runs(minutes=5)
    world.loses_power().returns_after(seconds=20)
    world.runs(minutes=3)
    world.ev(1).presents(CARD)
    world.csms.returns()
    world.runs(minutes=2)
    world.settles()
    told = world.csms.transaction(1)
    assert told.seq_numbers == consecutive() and keys_told(world).count(True) == 1
    assert [context for context, _ in signed(told.events[-1])] == ["Transaction.Begin", "Transaction.End"]


@req("J02.FR.16", "J02.FR.21")
def test_a_signed_reading_is_told_in_the_register_that_goes_on_when_the_meter_was_swapped() -> None:
    world = World([SIGNING], keys={**KEYS, **STARTED}).runs(seconds=20)
    world.outlets[1].register.is_swapped(7.0, world.now_ms)
    world.runs(seconds=10)
    world.ev(1).plugs_in().presents(CARD)
    world.runs(minutes=10)
    world.ev(1).presents(CARD)
    world.runs(minutes=1)
    world.settles()
    ended = world.csms.transaction(1).events[-1]
    samples = [s for value in ended["meterValue"] for s in value["sampledValue"]]
    begun = {s["value"] for s in samples if s["context"] == "Transaction.Begin"}
    assert len(begun) == 1 and min(begun) > 1000
    assert '"RV":7' in data(signed(ended)[0][1]).replace(" ", "")


@req("E06.FR.07", "J02.FR.21")
def test_a_signed_end_is_not_told_after_a_newer_plain_one_where_energy_flows_on() -> None:
    """A pause ended the transaction, and the contactor never opened: the car keeps S2 closed, the pause is over."""
    ends = {"TxCtrlr.TxStartPoint": "EnergyTransfer", "TxCtrlr.TxStopPoint": "EVConnected,Authorized,EnergyTransfer"}
    world = World([SIGNING], keys={**KEYS, **STARTED, **ends}).runs(seconds=20)
    world.ev(1).plugs_in(bad=frozenset({"keeps_s2"})).presents(CARD)
    world.runs(minutes=1)
    world.hear(LimitSet("EMS", 1, 0.0, "A"))
    world.runs(seconds=5)
    world.hear(LimitReleased("EMS", 1))
    world.runs(minutes=2)
    ended = world.csms.transaction(1).events[-1]
    assert ended["eventType"] == "Ended" and world.outlets[1].amps > 6
    stamps = [value["timestamp"] for value in ended["meterValue"]]
    assert stamps == sorted(stamps) and len(signed(ended)) == 2
    world.settles()


@req("E02.FR.14", "E03.FR.10", "J02.FR.21")
def test_signed_updates_follow_their_samples() -> None:
    world = session(UPDATED)
    told = [(e["triggerReason"], e["meterValue"][0]["sampledValue"][0]["context"])
            for e in world.csms.transaction(1).events if e["eventType"] == "Updated" and "meterValue" in e]  # fmt: skip
    plain, after = ("MeterValuePeriodic", "Sample.Periodic"), ("SignedDataReceived", "Sample.Periodic")
    assert len(told) >= 18 and told == [plain, after] * (len(told) // 2)


@req("J01.FR.21")
def test_aligned_values_of_an_idle_evse_are_signed_and_keep_their_round_moments() -> None:
    world = World([SIGNING], keys={**ALIGNED, "OCPPCommCtrlr.PublicKeyWithSignedMeterValue": "EveryMeterValue"})
    world.hardware.drivers[1].meter_idle_ms = 1_000
    world.runs(minutes=5)
    values = [value for _, message in heard(world, "MeterValues") for value in message["meterValue"]]
    assert len(values) >= 4 and all(utc_s(value) % 60 == 0 for value in values)
    (sample,) = values[-1]["sampledValue"]
    assert data(sample["signedMeterValue"]) == ocmf("now", sample["value"])
    assert b64decode(sample["signedMeterValue"]["publicKey"]).decode() == PUBLIC_KEY
    assert sample["context"] == "Sample.Clock"


@req("J01.FR.21")
def test_aligned_values_in_a_transaction_are_signed_by_keys_of_their_own() -> None:
    world = session({**ALIGNED, "AlignedDataCtrlr.SignUpdatedReadings": "true"})
    contexts = [context for e in world.csms.transaction(1).events[:-1] for context, _ in signed(e)]
    assert len(contexts) >= 8 and set(contexts) == {"Sample.Clock"}


@req("J01.FR.21")
def test_a_meter_that_does_not_sign_in_time_loses_no_aligned_value() -> None:
    world = World([SIGNING], keys=ALIGNED)
    world.hardware.drivers[1].meter_idle_ms = 1_000
    world.runs(seconds=178)
    world.hardware.drivers[1].mute = True
    world.runs(seconds=30)
    values = [message["meterValue"][0] for _, message in heard(world, "MeterValues")]
    assert ["signedMeterValue" in value["sampledValue"][0] for value in values] == [True, True, False]


@req("E01.FR.04")
def test_a_meter_that_signs_late_is_asked_again_and_each_session_has_its_own_begin_value() -> None:
    world = World([SIGNING], keys={**KEYS, **POINTS}).runs(seconds=20)
    world.hardware.drivers[1].mute = True
    world.ev(1).plugs_in().presents(CARD).after(seconds=60).unplugs()
    world.runs(seconds=70)
    assert not world.csms.transactions and not world.outlets[1].permitted
    world.ev(1).plugs_in().presents("04DDEEFF")
    world.runs(seconds=40)
    world.hardware.drivers[1].mute = False
    world.runs(minutes=2)
    assert world.outlets[1].amps > 6
    started = world.csms.transaction(1).events[0]
    assert started["idToken"]["idToken"] == "04DDEEFF" and len(signed(started)) == 1
    world.settles()


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


@req("J01.FR.21", "J02.FR.21")
def test_without_a_signing_meter_there_is_no_variable_about_signing() -> None:
    world = World([raw(16)]).runs(seconds=20)
    for component in ("SampledDataCtrlr", "AlignedDataCtrlr"):
        for variable in ("SignReadings", "SignUpdatedReadings"):
            assert set_variable(world, f"{component}.{variable}", "true") == "UnknownVariable"
            assert get_variable(world, f"{component}.{variable}") is None


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
