"""B01 to B04: registration, silence before it, and an idle station that was offline."""

from __future__ import annotations

import pytest

from agent.core.instant import rfc3339
from tests.blocks.stories import (
    CARD,
    OFFLINE_FOR_ALL,
    QUIET,
    gaps,
    get_variable,
    heard,
    idle,
    name,
    now_s,
    remote_start,
    spoken,
    station,
    statuses,
    utc_s,
    why,
)
from tests.marks import req
from tests.sim.outlet import raw, smart
from tests.sim.world import World

TWO = (smart(16), raw(32))


def answers(world: World) -> list[tuple[str, str | None]]:
    """(action, error code) of everything the CSMS asked."""
    return [(e.action, e.error[0] if e.error else None) for e in world.csms.exchanges]


def next_dial_s(world: World) -> float:
    """When the station next tries to connect."""
    count = world.network.connects
    world.until(lambda: world.network.connects > count, within_s=100)
    return now_s(world)


# ---------------------------------------------------------------------------------------- B01


@req("B01.FR.01", "B01.FR.05", "B01.FR.09")
def test_a_cold_boot_tells_who_why_and_how_every_connector_is() -> None:
    world = idle(TWO)
    boot = world.csms.requests("BootNotification")
    station = {"model": "Twin", "vendorName": "Open Chargers", "serialNumber": "SN1", "firmwareVersion": "1.0"}
    assert boot == [{"reason": "PowerUp", "chargingStation": station}]
    assert sorted(statuses(world)) == [(1, "Available"), (2, "Available")]
    assert spoken(world)[0] == "BootNotification"


@req("B01.FR.03", "B01.FR.09")
def test_every_boot_is_notified_with_its_own_reason() -> None:
    world = idle()
    world.loses_power().returns_after(seconds=5)
    world.runs(seconds=60)
    world.kills_agent().returns_after(seconds=5)
    world.runs(seconds=60)
    assert [b["reason"] for b in world.csms.requests("BootNotification")] == ["PowerUp", "PowerUp", "Watchdog"]


@req("B01.FR.08")
def test_nothing_but_boot_notifications_until_one_is_answered() -> None:
    world = station(TWO)
    world.csms.ignores("BootNotification", times=3)
    world.ev(2).plugs_in()
    world.until(lambda: len(heard(world, "BootNotification")) == 4, within_s=600)
    assert set(spoken(world)) == {"BootNotification"}
    assert all(gap >= 30 for gap in gaps(at for at, _ in heard(world, "BootNotification")))
    world.runs(seconds=20)
    assert (2, "Occupied") in statuses(world)


@req("B01.FR.08")
@pytest.mark.parametrize("code", ["InternalError", "NotImplemented"])
def test_a_refused_boot_notification_is_repeated_without_flooding(code: str) -> None:
    world = station(TWO)
    world.csms.fails("BootNotification", times=5, code=code)
    world.runs(minutes=10)
    assert 6 <= len(heard(world, "BootNotification")) <= 11
    assert set(spoken(world)[:6]) == {"BootNotification"}


@req("B01.FR.04", "G02.FR.01")
def test_the_interval_of_the_answer_becomes_the_heartbeat_interval() -> None:
    world = station()
    world.csms.boots("Accepted", 45)
    world.runs(seconds=20)
    assert get_variable(world, "OCPPCommCtrlr.HeartbeatInterval") == "45"


@req("B01.FR.04")
def test_interval_zero_keeps_the_heartbeat_interval() -> None:
    world = station(keys={"OCPPCommCtrlr.HeartbeatInterval": "77"})
    world.csms.boots("Accepted", 0)
    world.runs(seconds=20)
    assert get_variable(world, "OCPPCommCtrlr.HeartbeatInterval") == "77"


@req("B01.FR.06")
def test_a_board_without_a_clock_takes_the_time_of_the_csms() -> None:
    world = station()
    world.clock.synchronised = False
    world.runs(seconds=20)
    at, status = heard(world, "StatusNotification")[0]
    assert abs(utc_s(status) - world.clock.utc_ms / 1000 + now_s(world) - at) <= 2


@req("B01.FR.06")
def test_a_csms_that_lives_in_1970_does_not_stop_a_board_without_a_clock() -> None:
    world = station()
    world.clock.synchronised = False
    world.csms.answers(
        "BootNotification",
        lambda _: {"currentTime": "1970-01-01T00:00:07Z", "interval": 60, "status": "Accepted"},
    )
    world.csms.answers("Heartbeat", lambda _: {"currentTime": "1970-01-01T00:00:07Z"})
    world.ev(1).plugs_in()
    world.runs(minutes=3)
    assert set(spoken(world)) == {"BootNotification", "Heartbeat"}
    world.csms.answers("Heartbeat", lambda _: {"currentTime": rfc3339(world.clock.utc_ms)})
    world.runs(minutes=3)
    _, status = heard(world, "StatusNotification")[0]
    assert status["connectorStatus"] == "Occupied" and status["timestamp"] < "2026-03-01T12:00:10Z"


@pytest.mark.parametrize("time", ["9999-12-31T23:59:30Z", "0001-01-01T00:00:00Z", "2026-19-39T29:00:00Z"])
@req("B01.FR.06", "G02.FR.06")
def test_no_time_that_a_csms_may_send_ends_the_process(time: str) -> None:
    world = station()
    world.csms.answers("BootNotification", lambda _: {"currentTime": time, "interval": 60, "status": "Accepted"})
    world.csms.answers("Heartbeat", lambda _: {"currentTime": time})
    world.ev(1).plugs_in()
    world.runs(minutes=5)
    assert all("2026-03-01" in p["timestamp"] for _, p in heard(world, "StatusNotification"))


# ---------------------------------------------------------------------------------------- B02, B03


@req("B02.FR.01", "B02.FR.02", "B02.FR.05", "B02.FR.06", "B02.FR.08")
def test_pending_answers_and_waits_for_the_interval() -> None:
    world = station(TWO, keys=QUIET)
    world.csms.boots("Pending", 40)
    world.runs(seconds=10)
    assert get_variable(world, "OCPPCommCtrlr.HeartbeatInterval") is not None
    assert remote_start(world, evseId=1)["status"] == "Rejected"
    stop = world.csms_asks("RequestStopTransaction", {"transactionId": "none"})
    assert stop["status"] == "Rejected"
    world.runs(seconds=80)
    assert gaps(at for at, _ in heard(world, "BootNotification")) == [40, 40]
    assert set(spoken(world)) == {"BootNotification"} and world.csms.connections == 1
    world.csms.boots("Accepted")
    world.runs(seconds=60)
    assert sorted(statuses(world)) == [(1, "Available"), (2, "Available")]


@req("B02.FR.07", "B03.FR.05")
@pytest.mark.parametrize("status", ["Pending", "Rejected"])
def test_interval_zero_leaves_the_choice_to_the_station_which_does_not_flood(status: str) -> None:
    world = station()
    world.csms.boots(status, 0)
    world.runs(minutes=10)
    assert 2 <= len(heard(world, "BootNotification")) <= 21


@req("B03.FR.02", "B03.FR.06", "B03.FR.08")
def test_rejected_is_silent_until_the_interval_and_answers_security_error() -> None:
    world = station(TWO)
    world.csms.boots("Rejected", 50)
    world.runs(seconds=10)
    world.csms.sends("GetVariables", {"getVariableData": [name("OCPPCommCtrlr.HeartbeatInterval")]})
    world.csms.sends("RequestStopTransaction", {"transactionId": "x"})
    world.csms.sends("NoSuchAction", {})
    world.runs(seconds=10)
    assert [code for _, code in answers(world)] == ["SecurityError"] * 3
    world.runs(seconds=100)
    assert gaps(at for at, _ in heard(world, "BootNotification")) == [50, 50]


@req("B03.FR.08")
def test_rejected_stays_rejected_while_the_next_boot_notification_is_not_answered() -> None:
    world = station()
    world.csms.boots("Rejected", 20)
    world.runs(seconds=10)
    world.csms.ignores("BootNotification", times=1)
    world.runs(seconds=45)
    world.csms.sends("GetVariables", {"getVariableData": [name("OCPPCommCtrlr.HeartbeatInterval")]})
    world.runs(seconds=5)
    assert answers(world) == [("GetVariables", "SecurityError")]


@req("B02.FR.04", "B03.FR.02")
@pytest.mark.parametrize("status", ["Pending", "Rejected"])
def test_a_reconnect_does_not_cut_the_interval_short(status: str) -> None:
    world = station(keys={"OCPPCommCtrlr.RetryBackOffRandomRange": "0"})
    world.csms.boots(status, 120)
    world.runs(seconds=10)
    world.csms.vanishes()
    world.csms.returns()
    world.runs(seconds=100)
    assert len(heard(world, "BootNotification")) == 1 and world.csms.connections == 2
    world.csms.boots("Accepted")
    world.runs(seconds=30)
    assert statuses(world) == [(1, "Available")]


@req("B02.FR.01", "B03.FR.08")
def test_a_csms_that_talks_first_is_answered() -> None:
    world = station()
    world.csms.first_words = [("GetVariables", {"getVariableData": [
        {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "HeartbeatInterval"}}]})]  # fmt: skip
    world.csms.ignores("BootNotification", times=1)
    world.runs(seconds=20)
    assert answers(world) == [("GetVariables", None)]
    assert set(spoken(world)) == {"BootNotification"}


@req("B02.FR.03", "B03.FR.01", "E04.FR.01")
@pytest.mark.parametrize("status", ["Pending", "Rejected"])
def test_charging_before_acceptance_is_held_to_the_boot_limit_and_told_afterwards(status: str) -> None:
    world = station(keys=OFFLINE_FOR_ALL)
    world.csms.boots(status, 60)
    world.ev(1).after(seconds=5).plugs_in().presents(CARD)
    world.runs(minutes=3)
    assert world.outlets[1].offered == 6 and not world.csms.transactions
    world.csms.boots("Accepted")
    world.until(lambda: bool(world.csms.transactions), within_s=90)
    world.runs(seconds=30)
    assert world.csms.transaction(1).offline[0] is True and world.outlets[1].offered == 32
    world.settles()


@req("B02.FR.03", "B03.FR.01")
def test_no_charging_before_acceptance_unless_configured() -> None:
    world = station(keys={**OFFLINE_FOR_ALL, "TxCtrlr.TxBeforeAcceptedEnabled": "false"})
    world.csms.boots("Pending", 60)
    world.ev(1).after(seconds=5).plugs_in().presents(CARD)
    world.runs(minutes=3)
    assert not world.outlets[1].permitted
    world.csms.boots("Accepted")
    world.runs(minutes=2)
    world.ev(1).presents(CARD)
    world.runs(minutes=1)
    assert world.outlets[1].amps > 6
    world.settles()


@req("B02.FR.03", "B03.FR.01")
def test_a_resumed_transaction_waits_for_acceptance_when_the_key_demands_it() -> None:
    world = idle(keys={"TxCtrlr.TxBeforeAcceptedEnabled": "false"})
    world.ev(1).plugs_in().presents(CARD)
    world.runs(minutes=1)
    world.csms.boots("Pending", 60)
    world.loses_power().returns_after(seconds=5)
    world.runs(minutes=2)
    assert not world.outlets[1].permitted and why(world)["amps"] == 0
    world.csms.boots("Accepted")
    world.runs(minutes=2)
    assert world.outlets[1].amps > 6
    world.settles()


# ---------------------------------------------------------------------------------------- B04


@req("B04.FR.01", "G02.FR.06")
def test_after_a_long_absence_every_connector_is_told_again() -> None:
    world = idle(TWO, keys={"OCPPCommCtrlr.OfflineThreshold": "30"})
    world.csms.vanishes()
    world.runs(seconds=40)
    world.csms.returns()
    back = now_s(world)
    world.runs(seconds=60)
    assert sorted(statuses(world, back)) == [(1, "Available"), (2, "Available")]
    assert "Heartbeat" in spoken(world, back) and "BootNotification" not in spoken(world, back)


@req("B04.FR.02")
def test_after_a_short_absence_only_changed_connectors_are_told() -> None:
    world = idle(TWO, keys={"OCPPCommCtrlr.OfflineThreshold": "300"})
    world.csms.vanishes()
    world.ev(2).plugs_in()
    world.runs(seconds=30)
    world.csms.returns()
    back = now_s(world)
    world.runs(seconds=60)
    assert statuses(world, back) == [(2, "Occupied")]


@req("B04.FR.02")
def test_plugged_and_gone_again_while_offline_for_a_moment_is_nothing_to_tell() -> None:
    world = idle(TWO, keys={"OCPPCommCtrlr.OfflineThreshold": "300"})
    world.csms.vanishes()
    world.ev(2).plugs_in().after(seconds=5).unplugs()
    world.runs(seconds=30)
    world.csms.returns()
    back = now_s(world)
    world.runs(seconds=60)
    assert statuses(world, back) == []


@req("B04.FR.02")
def test_a_status_that_was_on_its_way_when_the_link_broke_is_told_afterwards() -> None:
    world = idle(TWO, keys={"OCPPCommCtrlr.OfflineThreshold": "300"})
    world.csms.ignores("StatusNotification", times=1)
    world.ev(2).plugs_in()
    world.runs(seconds=3)
    world.csms.vanishes()
    world.csms.returns()
    back = now_s(world)
    world.runs(seconds=60)
    assert statuses(world, back) == [(2, "Occupied")]


def test_reconnection_attempts_wait_longer_each_time_and_start_over_after_a_success() -> None:
    """Part 4 5.3 and TC_B_57."""
    keys = {"RandomRange": "0", "WaitMinimum": "10", "RepeatTimes": "2"}
    world = idle(keys={f"OCPPCommCtrlr.RetryBackOff{k}": v for k, v in keys.items()})
    world.csms.vanishes()
    tries = []
    for _ in range(6):
        tries.append(next_dial_s(world))
    assert gaps(tries) == [20, 40, 40, 40, 40]
    world.csms.returns()
    world.runs(seconds=60)
    left = now_s(world)
    world.csms.vanishes()
    assert round(next_dial_s(world) - left) == 10


def test_a_subprotocol_that_is_not_ours_is_a_failed_attempt() -> None:
    from agent.core.events import LinkUp

    world = idle()
    world.csms.vanishes()
    world.runs(seconds=1)
    world.hear(LinkUp(1, "ocpp1.6"))
    world.csms.returns()
    world.runs(minutes=2)
    assert world.csms.connections == 2


# ---------------------------------------------------------------------------------------- asked for


def trigger(world: World, message: str, evse: int | None = None) -> str:
    """TriggerMessage; its status."""
    place = {} if evse is None else {"evse": {"id": evse, "connectorId": 1}}
    return str(world.csms_asks("TriggerMessage", {"requestedMessage": message, **place})["status"])


@req("B02.FR.02", "B02.FR.04", "F06.FR.04", "F06.FR.05", "F06.FR.10", "F06.FR.17")
def test_a_pending_station_may_be_asked_for_its_boot_notification_before_the_interval() -> None:
    world = station(TWO)
    world.csms.boots("Pending", 600)
    world.runs(seconds=30)
    assert trigger(world, "BootNotification") == "Accepted"
    world.runs(seconds=5)
    assert [p["reason"] for _, p in heard(world, "BootNotification")] == ["PowerUp", "Triggered"]
    assert [trigger(world, message) for message in ("Heartbeat", "StatusNotification")] == ["Rejected", "Rejected"]
    world.runs(seconds=500)
    assert set(spoken(world)) == {"BootNotification"} and len(spoken(world)) == 2
    world.csms.boots("Accepted")
    world.runs(seconds=200)
    assert [p["reason"] for _, p in heard(world, "BootNotification")] == ["PowerUp", "Triggered", "PowerUp"]
    assert trigger(world, "BootNotification") == "Rejected"


@req("F06.FR.03", "F06.FR.08", "F06.FR.09", "F06.FR.11")
def test_an_accepted_station_tells_its_status_and_asks_for_the_time_when_it_is_asked() -> None:
    world = idle(TWO)
    since = now_s(world)
    assert [trigger(world, "StatusNotification", evse) for evse in (2, None, 9)] == ["Accepted", "Accepted", "Rejected"]
    assert trigger(world, "Heartbeat", 1) == "Accepted"
    world.runs(seconds=5)
    assert sorted(statuses(world, since)) == [(1, "Available"), (2, "Available"), (2, "Available")]
    assert "Heartbeat" in spoken(world, since)
    assert trigger(world, "SignV2GCertificate") == "NotImplemented"
