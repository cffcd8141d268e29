"""Sessions as drivers, cars and the CSMS live them: the real station in the simulated world."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.marks import req
from tests.sim.asks import station_maximum
from tests.sim.outlet import OutletSpec, raw, smart
from tests.sim.transactions import consecutive
from tests.sim.world import World

CARD = "04AABBCC"
OFFLINE_FOR_ALL = {"AuthCtrlr.OfflineTxForUnknownIdEnabled": "true"}


@pytest.fixture(params=["smart", "raw"])
def world(request: pytest.FixtureRequest) -> World:
    """One EVSE of each kind in turn, registered and idle."""
    return World([smart(16) if request.param == "smart" else raw(16)]).runs(seconds=20)


@req("B01.FR.01", "G01.FR.01")
def test_a_station_says_who_it_is_and_what_its_connectors_are_like(world: World) -> None:
    boots = world.csms.requests("BootNotification")
    assert [b["reason"] for b in boots] == ["PowerUp"]
    assert world.csms.last_status == {(1, 1): "Available"}


@req("E02.FR.01", "E02.FR.05", "E03.FR.01", "E06.FR.02", "C01.FR.01")
def test_plug_first_then_a_card_then_the_card_again_and_away(world: World) -> None:
    world.ev(1).plugs_in().presents(CARD)
    world.runs(minutes=20)
    assert world.outlets[1].amps == 16
    assert world.csms.last_status == {(1, 1): "Occupied"}
    world.ev(1).presents(CARD).after(seconds=10).unplugs()
    world.runs(minutes=1)
    session = world.csms.transaction(1)
    assert session.seq_numbers == consecutive()
    assert session.ended and session.stopped_reason == "Local"
    assert session.charging_states[0] == "EVConnected" and "Charging" in session.charging_states
    assert world.csms.last_status == {(1, 1): "Available"}
    world.settles()


@req("E03.FR.01", "C01.FR.01")
def test_card_first_then_plug(world: World) -> None:
    world.ev(1).presents(CARD).after(seconds=30).plugs_in()
    world.runs(minutes=10)
    assert world.outlets[1].amps == 16
    world.settles()
    assert world.csms.transaction(1).stopped_reason == "EVDisconnected"


@req("E03.FR.05")
def test_card_first_and_nobody_comes(world: World) -> None:
    world.ev(1).presents(CARD).after(seconds=130).plugs_in()
    world.runs(minutes=10)
    assert not world.outlets[1].permitted
    world.settles()


@req("C01.FR.03")
def test_a_blocked_card_gets_nothing(world: World) -> None:
    world.csms.blocked_tokens.add("DEAD")
    world.ev(1).plugs_in().presents("DEAD")
    world.runs(minutes=5)
    assert not world.outlets[1].permitted and world.outlets[1].register.watts == 0
    world.settles()


def test_a_card_meant_for_one_evse_does_not_charge_the_car_at_another() -> None:
    """Each EVSE has its own reader: who authorises at one has not allowed a stranger's car at the other."""
    world = World([raw(16), raw(16)]).runs(seconds=20)
    world.ev(2).presents(CARD)
    world.ev(1).after(seconds=5).plugs_in()
    world.runs(minutes=1)
    assert not world.outlets[1].permitted
    world.settles()


def test_a_shared_reader_starts_where_the_car_is() -> None:
    world = World([raw(16), raw(16)]).runs(seconds=20)
    world.ev(2).plugs_in().presents(CARD, evses=(1, 2))
    world.runs(minutes=2)
    assert world.outlets[2].amps == 16 and not world.outlets[1].permitted
    world.settles()


def _permitted(world: World) -> Callable[[], bool]:
    return lambda: world.outlets[1].permitted


@pytest.mark.parametrize("kind", [raw(16), smart(16)])
def test_a_stop_at_any_moment_of_the_closing_leaves_no_fault(kind: OutletSpec) -> None:
    """The withdrawal may be on the wire while the contactor closes: that is no weld, and the next driver charges."""
    for tap_ms in range(100, 3500, 50):
        world = World([kind], seed=tap_ms, keys={"RfidCtrlr.Debounce": "0"}).runs(seconds=20)
        world.ev(1).plugs_in().presents(CARD)
        world.until(_permitted(world), within_s=10)
        world.runs(ms=tap_ms)
        world.ev(1).presents(CARD).after(seconds=20).unplugs().after(seconds=20).plugs_in().presents(CARD)
        world.runs(minutes=2)
        assert world.outlets[1].amps == 16, f"second tap {tap_ms} ms after the permission"
        world.settles()


@req("F01.FR.01", "F01.FR.02")
def test_the_csms_starts_and_stops(world: World) -> None:
    world.ev(1).plugs_in()
    world.runs(seconds=10)
    start = {"evseId": 1, "remoteStartId": 7, "idToken": {"idToken": CARD, "type": "ISO14443"}}
    assert world.csms_asks("RequestStartTransaction", start)["status"] == "Accepted"
    world.runs(minutes=5)
    assert world.outlets[1].amps == 16
    session = world.csms.transaction(1)
    stop = {"transactionId": session.id}
    assert world.csms_asks("RequestStopTransaction", stop)["status"] == "Accepted"
    world.runs(minutes=1)
    assert session.ended and session.stopped_reason == "Remote"
    assert any(e["transactionInfo"].get("remoteStartId") == 7 for e in session.events)
    world.settles()


def test_a_remote_start_for_one_evse_is_not_taken_by_a_car_at_another() -> None:
    world = World([raw(16), raw(16)]).runs(seconds=20)
    start = {"evseId": 2, "remoteStartId": 7, "idToken": {"idToken": CARD, "type": "ISO14443"}}
    assert world.csms_asks("RequestStartTransaction", start)["status"] == "Accepted"
    world.ev(1).after(seconds=5).plugs_in()
    world.runs(minutes=1)
    assert not world.outlets[1].permitted
    world.settles()


@req("E02.FR.10", "J02.FR.01")
def test_a_car_that_pauses_and_resumes_keeps_its_transaction(world: World) -> None:
    world.ev(1).plugs_in().presents(CARD)
    world.runs(minutes=5)
    world.ev(1).pauses()
    world.runs(minutes=10)
    assert world.outlets[1].amps == 0
    world.ev(1).resumes()
    world.runs(minutes=5)
    assert world.outlets[1].amps == 16
    assert len(world.csms.transactions) == 1
    assert "SuspendedEV" in world.csms.transaction(1).charging_states
    world.settles()


@req("K01.FR.03")
def test_the_csms_lowers_the_limit_and_the_car_follows(world: World) -> None:
    world.ev(1).plugs_in().presents(CARD)
    world.runs(minutes=2)
    assert world.csms_asks("SetChargingProfile", station_maximum(10))["status"] == "Accepted"
    world.runs(seconds=15)
    assert world.outlets[1].amps == 10
    assert world.csms_asks("SetChargingProfile", station_maximum(5))["status"] == "Accepted"
    world.runs(seconds=15)
    assert world.outlets[1].amps == 0 and world.outlets[1].offered == 0
    assert world.csms_asks("SetChargingProfile", station_maximum(32))["status"] == "Accepted"
    world.runs(minutes=1)
    assert world.outlets[1].amps == 16
    assert len(world.csms.transactions) == 1
    assert "SuspendedEVSE" in world.csms.transaction(1).charging_states
    world.settles()


@req("E04.FR.01", "E04.FR.02", "E04.FR.03", "E04.FR.04", "E13.FR.02")
def test_what_happens_offline_is_delivered_in_order_afterwards(world: World) -> None:
    world.ev(1).plugs_in().presents(CARD)
    world.runs(minutes=5)
    world.csms.vanishes()
    world.runs(minutes=20)
    world.ev(1).presents(CARD).unplugs()
    world.runs(minutes=5)
    session = world.csms.transaction(1)
    assert not session.ended
    world.csms.returns()
    world.runs(minutes=10)
    assert session.ended and session.seq_numbers == consecutive()
    assert session.offline[0] is False and session.offline[-1] is True
    world.settles()


@req("C15.FR.02", "E04.FR.03")
def test_a_whole_session_offline() -> None:
    world = World([raw(16)], keys=OFFLINE_FOR_ALL).runs(seconds=20)
    world.csms.vanishes()
    world.ev(1).plugs_in().presents(CARD)
    world.runs(minutes=20)
    assert world.outlets[1].amps > 0
    world.ev(1).presents(CARD).unplugs()
    world.runs(minutes=3)
    world.csms.returns()
    world.runs(minutes=10)
    session = world.csms.transaction(1)
    assert session.seq_numbers == consecutive() and session.ended and all(session.offline)
    world.settles()


def test_a_long_silence_lowers_the_current_to_the_fallback(world: World) -> None:
    world.ev(1).plugs_in().presents(CARD)
    world.runs(minutes=5)
    world.csms.vanishes()
    world.runs(minutes=4)
    assert world.outlets[1].amps == 16
    world.runs(minutes=2)
    assert world.outlets[1].amps == 6
    world.csms.returns()
    world.runs(minutes=7)
    assert world.outlets[1].amps == 16
    world.settles()


def test_a_half_open_link_is_noticed_and_nothing_is_lost(world: World) -> None:
    world.ev(1).plugs_in().presents(CARD)
    world.runs(minutes=2)
    world.csms.vanishes(half_open=True)
    world.runs(minutes=10)
    world.csms.returns()
    world.settles()
    assert world.csms.transaction(1).seq_numbers == consecutive()


@req("E13.FR.01", "E13.FR.02", "E13.FR.03")
def test_events_that_the_csms_fails_to_process_are_tried_again(world: World) -> None:
    world.csms.fails("TransactionEvent", times=2)
    world.ev(1).plugs_in().presents(CARD)
    world.runs(minutes=20)
    session = world.csms.transaction(1)
    assert session.repeats == 2 and not session.refused
    world.settles()


@req("E04.FR.01")
def test_transactions_made_offline_arrive_in_order_after_a_power_cut() -> None:
    world = World([raw(16)], keys=OFFLINE_FOR_ALL).runs(seconds=20)
    world.csms.vanishes()
    world.ev(1).plugs_in().presents(CARD)
    world.runs(minutes=20)
    world.loses_power().returns_after(seconds=40)
    world.runs(minutes=2)
    world.csms.returns()
    world.runs(minutes=15)
    assert world.csms.transaction(1).seq_numbers == consecutive()
    world.settles()
    assert len(world.csms.transactions) == 1


def test_a_short_power_cut_resumes_the_session(world: World) -> None:
    world.ev(1).plugs_in().presents(CARD)
    world.runs(minutes=10)
    world.loses_power().returns_after(seconds=30)
    world.runs(minutes=3)
    assert world.outlets[1].amps == 16
    world.settles()
    assert len(world.csms.transactions) == 1


def test_a_car_that_left_during_the_power_cut_is_not_charged_on(world: World) -> None:
    world.ev(1).plugs_in().presents(CARD)
    world.runs(minutes=10)
    world.loses_power().returns_after(seconds=60)
    world.ev(1).after(seconds=20).unplugs().after(seconds=120).plugs_in()
    world.runs(minutes=10)
    assert world.csms.transaction(1).ended
    assert not world.outlets[1].permitted
    world.settles()


def test_a_killed_agent_comes_back_and_goes_on(world: World) -> None:
    world.ev(1).plugs_in().presents(CARD)
    world.runs(minutes=10)
    world.kills_agent().returns_after(seconds=5)
    world.runs(minutes=3)
    assert world.outlets[1].amps == 16
    world.settles()
    assert len(world.csms.transactions) == 1


def test_an_orderly_restart_opens_and_goes_on(world: World) -> None:
    world.ev(1).plugs_in().presents(CARD)
    world.runs(minutes=10)
    world.stops_agent().returns_after(seconds=20)
    world.runs(seconds=9)
    assert world.station is None and not world.outlets[1].closed
    world.runs(minutes=3)
    assert world.outlets[1].amps == 16
    world.settles()
    assert len(world.csms.transactions) == 1


def test_a_frozen_agent_lets_the_device_fall_back_and_then_goes_on(world: World) -> None:
    world.ev(1).plugs_in().presents(CARD)
    world.runs(minutes=10)
    world.freezes_agent().returns_after(seconds=60)
    world.runs(seconds=30)
    assert world.outlets[1].amps <= 6
    world.runs(minutes=5)
    world.settles()
    assert len(world.csms.transactions) == 1


@req("B02.FR.01", "B02.FR.02", "B02.FR.05", "B02.FR.08")
def test_a_pending_station_answers_and_keeps_quiet() -> None:
    world = World([raw(16)])
    world.csms.boots("Pending", interval=30)
    world.runs(seconds=20)
    data = [{"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "HeartbeatInterval"}}]
    answer = world.csms_asks("GetVariables", {"getVariableData": data})
    assert answer["getVariableResult"][0]["attributeStatus"] == "Accepted"
    start = {"evseId": 1, "remoteStartId": 7, "idToken": {"idToken": CARD, "type": "ISO14443"}}
    assert world.csms_asks("RequestStartTransaction", start)["status"] == "Rejected"
    world.csms.boots("Accepted")
    world.runs(seconds=40)
    assert len(world.csms.requests("BootNotification")) == 2
    assert world.csms.last_status == {(1, 1): "Available"}


@req("B03.FR.02", "B03.FR.06", "B03.FR.08")
def test_a_rejected_station_is_silent_until_the_interval_is_over() -> None:
    world = World([raw(16)])
    world.csms.boots("Rejected", interval=120)
    world.runs(seconds=20)
    refused = world.csms.sends("ClearCache", {})
    world.runs(seconds=60)
    assert refused.error is not None and refused.error[0] == "SecurityError"
    world.csms.boots("Accepted")
    world.runs(minutes=3)
    assert len(world.csms.requests("BootNotification")) == 2


def test_without_a_csms_the_station_charges_by_key() -> None:
    world = World([raw(16)], network=False, keys={"FreeCharging.Enabled": "true"}).runs(seconds=20)
    world.ev(1).plugs_in()
    world.runs(minutes=5)
    assert world.outlets[1].amps == 16
    world.ev(1).unplugs()
    world.runs(minutes=1)
    assert not world.outlets[1].closed
    assert not world.disk.stored("tx")


def test_a_single_phase_car(world: World) -> None:
    world.ev(1).plugs_in(phases=1, amps=10).presents(CARD)
    world.runs(minutes=30)
    assert world.outlets[1].register.watts == 2300
    world.settles()


def test_a_car_that_never_opens_s2_is_opened_under_it(world: World) -> None:
    world.ev(1).plugs_in(bad=frozenset({"keeps_s2"})).presents(CARD)
    world.runs(minutes=5)
    world.ev(1).presents(CARD)
    world.runs(seconds=15)
    assert not world.outlets[1].closed
    world.settles()


def test_the_cable_of_a_socket_limits_the_current() -> None:
    world = World([raw(32, cable="socket")]).runs(seconds=20)
    world.ev(1).plugs_in(cable_amps=13).presents(CARD)
    world.runs(minutes=2)
    assert world.outlets[1].amps == 13
    world.settles()


def test_the_installation_is_shared() -> None:
    world = World([raw(32), raw(32)], keys={"LimitCtrlr.InstallationMaxCurrent": "40"})
    world.judge.installation_amps = 40
    world.runs(seconds=20)
    world.ev(1).plugs_in().presents(CARD)
    world.ev(2).after(seconds=60).plugs_in().presents("04DD")
    world.runs(minutes=5)
    assert world.outlets[1].amps >= 6 and world.outlets[2].amps >= 6
    assert world.outlets[1].amps + world.outlets[2].amps <= 40
    world.settles()


def test_a_meter_that_speaks_only_after_the_start_still_gives_the_energy_at_the_beginning(world: World) -> None:
    world.hardware.drivers[1].mute = True
    world.runs(minutes=2)
    world.ev(1).plugs_in().presents(CARD)
    world.runs(seconds=1)
    world.hardware.drivers[1].mute = False
    world.runs(minutes=10)
    world.settles()


def test_the_tick_each_second_changes_nothing() -> None:
    told = []
    for ticking in (False, True):
        world = World([raw(16)], seed=5, ticking=ticking).runs(seconds=20)
        world.ev(1).plugs_in().presents(CARD)
        world.runs(minutes=10)
        world.csms.vanishes()
        world.runs(minutes=10)
        world.csms.returns()
        world.runs(minutes=5)
        world.settles()
        session = world.csms.transaction(1)
        told.append([(e["eventType"], e["triggerReason"], e["timestamp"]) for e in session.events])
    assert told[0] == told[1]


def test_the_same_seed_gives_the_same_trace() -> None:
    prints = []
    for seed in (3, 3, 4):
        world = World(seed=seed).runs(seconds=20)
        world.ev(1).plugs_in().presents(CARD)
        world.runs(minutes=5)
        world.loses_power().returns_after(seconds=20)
        world.runs(minutes=5)
        world.settles()
        prints.append(world.fingerprint)
    assert prints[0] == prints[1] != prints[2]


def test_a_power_cut_while_the_disk_is_full_never_gives_a_sequence_number_twice() -> None:
    """What was said is said for good, even if it could not be written down: nothing else may bear its number."""
    world = World([raw(16)], keys={"SampledDataCtrlr.TxUpdatedInterval": "15"}).runs(seconds=20)
    world.ev(1).plugs_in().presents(CARD)
    world.runs(minutes=2)
    world.disk.full = True
    world.runs(seconds=50)
    world.loses_power().returns_after(seconds=20)
    world.disk.full = False
    world.runs(minutes=5)
    world.settles()


def test_a_csms_that_answers_late_and_in_whole_seconds_does_not_move_a_good_clock() -> None:
    world = World([raw(16)])
    world.csms.latency_ms = (300, 900)
    world.csms.boots("Accepted", 60)
    world.runs(hours=1)
    assert not [note for note in world.notes if note[2] == "clock"]
