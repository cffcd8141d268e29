"""E.3: transactions over a power cut, a killed process, and a person who forces the end."""

from __future__ import annotations

import pytest

from agent.core.instant import parse_rfc3339
from tests.blocks.stories import (
    CARD,
    OFFLINE_FOR_ALL,
    QUIET,
    back_online,
    charge,
    charging,
    goes_off,
    idle,
    last,
    trail,
)
from tests.marks import req
from tests.sim.disk import Keep
from tests.sim.outlet import OutletSpec, raw, smart
from tests.sim.transactions import consecutive
from tests.sim.world import World


@req("E01.FR.07", "E01.FR.16")
@pytest.mark.parametrize("end", ["power", "kill"])
def test_after_a_short_absence_the_transaction_goes_on_with_the_next_number(end: str) -> None:
    world = charging()
    goes_off(world, end).returns_after(seconds=30)
    world.runs(minutes=3)
    session = world.csms.transaction(1)
    assert world.outlets[1].amps > 6 and len(world.csms.transactions) == 1
    world.ev(1).presents(CARD)
    world.runs(minutes=1)
    assert session.ended and session.stopped_reason == "Local"
    world.settles()


@req("E01.FR.07", "E01.FR.16")
@pytest.mark.parametrize("interval", ["1", "60"])
@pytest.mark.parametrize("keep", ["none", "all"])
@pytest.mark.parametrize("after_s", [3, 9, 17, 121, 181, 200])
def test_what_was_answered_is_repeated_at_most_and_no_number_is_used_twice(
    interval: str, after_s: int, keep: Keep
) -> None:
    """The record of a transaction is written rarely: its events tell how far it is, until both are renewed."""
    world = charging(keys={"SampledDataCtrlr.TxUpdatedInterval": interval})
    world.runs(seconds=after_s)
    world.kills_agent(keep).returns_after(seconds=5)
    world.runs(minutes=2)
    session = world.csms.transaction(1)
    assert session.seq_numbers == consecutive() and session.repeats <= 20
    world.settles()


@req("E01.FR.18", "E02.FR.13")
@pytest.mark.parametrize("end", ["power", "kill"])
@pytest.mark.parametrize("outlet", [raw(32), smart(16)], ids=["raw", "smart"])
def test_a_resumed_transaction_is_not_charging_before_energy_flows_again(outlet: OutletSpec, end: str) -> None:
    world = charging([outlet], keys=QUIET)
    goes_off(world, end).returns_after(seconds=30)
    world.runs(seconds=20)
    world.until(lambda: world.station is not None, within_s=30)
    assert world.asks_station("status")["evses"][0]["transaction"]["state"] == "Recovering"
    world.runs(minutes=1)
    told = trail(world.csms.transaction(1))
    assert [state for _, trigger, state in told if trigger != "ChargingRateChanged"] == [
        "EVConnected", "Charging", "SuspendedEVSE", "Charging",
    ]  # fmt: skip
    world.settles()


@req("E06.FR.06", "E06.FR.07", "E01.FR.07")
@pytest.mark.parametrize("stop", ["EnergyTransfer", "PowerPathClosed", "EVConnected,Authorized,EnergyTransfer"])
@pytest.mark.parametrize("end", ["power", "kill"])
def test_that_the_power_was_gone_is_no_stop_point_where_transactions_go_on(end: str, stop: str) -> None:
    world = charging(keys={**QUIET, "TxCtrlr.TxStopPoint": stop})
    goes_off(world, end).returns_after(seconds=30)
    world.runs(minutes=3)
    session = world.csms.transaction(1)
    assert world.outlets[1].amps > 6 and len(world.csms.transactions) == 1 and not session.ended
    world.ev(1).pauses() if "PowerPath" not in stop else world.ev(1).presents(CARD)
    world.runs(minutes=1)
    assert session.ended
    world.settles()


@pytest.mark.parametrize(("end", "reason"), [("power", "PowerLoss"), ("kill", "Reboot")])
@req("E06.FR.08", "E06.FR.15")
def test_gone_while_the_station_was_away(end: str, reason: str) -> None:
    world = charging()
    goes_off(world, end).returns_after(seconds=60)
    world.ev(1).after(seconds=5).unplugs()
    world.runs(minutes=3)
    session = world.csms.transaction(1)
    assert (last(session)["triggerReason"], session.stopped_reason) == ("AbnormalCondition", reason)
    world.settles()


@req("E06.FR.08")
@pytest.mark.parametrize(
    "keys", [{"RecoveryCtrlr.ResumeTransactionsOnBoot": "false"}, {"RecoveryCtrlr.ResumeTimeout": "20"}]
)
def test_by_key_a_power_cut_ends_the_transaction(keys: dict[str, str]) -> None:
    world = charging(keys=keys)
    world.loses_power().returns_after(seconds=60)
    world.runs(minutes=3)
    assert world.csms.transaction(1).stopped_reason == "PowerLoss" and not world.outlets[1].permitted
    world.ev(1).presents(CARD)
    world.runs(minutes=1)
    assert world.outlets[1].amps > 6 and len(world.csms.transactions) == 2
    world.settles()


def _cut_without_a_battery(seconds: float, *, online: bool) -> World:
    """A car charges, the power is gone for so long, and the board does not know the time when it is back."""
    world = charging(keys={**QUIET, **OFFLINE_FOR_ALL})
    if not online:
        world.csms.vanishes()
    world.runs(seconds=30)
    world.clock.battery = False
    world.judge.clock_changed()
    world.loses_power().returns_after(seconds=seconds)
    return world.runs(seconds=seconds)


@req("E06.FR.08")
@pytest.mark.parametrize("cut_s", [30, 86_400])
def test_without_a_clock_at_the_start_the_time_of_the_csms_tells_whether_it_goes_on(cut_s: int) -> None:
    world = _cut_without_a_battery(cut_s, online=True)
    world.runs(minutes=3)
    session = world.csms.transaction(1)
    if cut_s == 30:
        assert world.outlets[1].amps > 6 and not session.ended
    else:
        assert session.stopped_reason == "PowerLoss" and not world.outlets[1].permitted
    world.settles()


@req("E06.FR.08")
@pytest.mark.parametrize("cut_s", [30, 86_400])
def test_while_no_clock_comes_it_waits_without_power_and_then_ends(cut_s: int) -> None:
    world = _cut_without_a_battery(cut_s, online=False)
    world.runs(seconds=270)
    assert world.asks_station("status")["evses"][0]["transaction"]["state"] == "Recovering"
    assert not world.outlets[1].permitted
    world.runs(seconds=120)
    assert world.asks_station("status")["evses"][0]["transaction"] is None and not world.outlets[1].permitted
    back_online(world)
    assert world.csms.transaction(1).stopped_reason == "PowerLoss"
    world.settles()


@req("E01.FR.07", "E06.FR.08")
@pytest.mark.parametrize("away_s", [5, 400])
def test_a_board_that_kept_its_power_knows_the_time_that_the_csms_once_told(away_s: int) -> None:
    """No link, no synchronised clock: the time away is known all the same, and so is what is told of it later."""
    world = World([raw(32)], keys={**QUIET, **OFFLINE_FOR_ALL})
    world.clock.synchronised = False
    charge(world.runs(seconds=20))
    world.csms.vanishes()
    world.runs(seconds=30)
    world.kills_agent("all").returns_after(seconds=away_s)
    world.runs(seconds=away_s + 60)
    assert (world.outlets[1].amps >= 6) == (away_s == 5)
    utc_ms = world.clock.utc_ms
    world.ev(1).unplugs()
    back_online(world)
    session = world.csms.transaction(1)
    assert session.ended and len(world.csms.transactions) == 1
    assert session.stopped_reason == ("EVDisconnected" if away_s == 5 else "Reboot")
    ended_ms = parse_rfc3339(session.events[-1]["timestamp"])
    assert (-1_000 if away_s == 5 else -65_000) <= ended_ms - utc_ms <= 5_000
    world.settles()


def test_a_clock_from_elsewhere_lets_it_go_on_and_a_car_that_leaves_before_ends_it() -> None:
    world = _cut_without_a_battery(30, online=False)
    world.runs(seconds=60)
    assert not world.outlets[1].permitted
    world.clock.battery = world.clock.synchronised = True
    world.judge.clock_changed()
    world.runs(seconds=60)
    assert world.outlets[1].amps >= 6
    world.clock.battery = False
    world.loses_power().returns_after(seconds=30)
    world.ev(1).after(seconds=60).unplugs()
    world.runs(seconds=90)
    assert world.asks_station("status")["evses"][0]["transaction"] is None
    back_online(world)
    assert len(world.csms.transactions) == 1 and world.csms.transaction(1).stopped_reason == "PowerLoss"
    world.settles()


def test_a_clock_that_was_set_back_does_not_make_the_absence_short() -> None:
    world = charging(keys={**QUIET, **OFFLINE_FOR_ALL})
    world.csms.vanishes()
    world.runs(seconds=30)
    world.judge.clock_changed()
    world.loses_power().returns_after(seconds=86_400)
    world.clock.steps_by(-2 * 86_400)
    world.runs(seconds=86_400 + 270)
    assert not world.outlets[1].permitted
    world.runs(seconds=120)
    assert world.asks_station("status")["evses"][0]["transaction"] is None and not world.outlets[1].permitted


def test_what_was_never_stamped_with_the_time_does_not_go_on() -> None:
    """No clock that comes later can tell how long ago it was."""
    world = _cut_without_a_battery(30, online=False)
    world.runs(minutes=6)
    world.ev(1).presents(CARD)
    world.runs(minutes=1)
    assert world.outlets[1].amps >= 6
    world.loses_power().returns_after(seconds=86_400)
    world.runs(seconds=86_400 + 20)
    back_online(world)
    assert world.outlets[1].amps == 0
    assert [session.stopped_reason for session in world.csms.transactions.values()] == ["PowerLoss", "PowerLoss"]
    world.settles()


@req("E04.FR.01", "E04.FR.02")
def test_a_session_offline_with_power_cuts_arrives_once() -> None:
    """Bugs 10 and 12."""
    world = idle(keys=OFFLINE_FOR_ALL)
    world.csms.vanishes()
    world.ev(1).after(seconds=5).plugs_in().presents(CARD)
    world.runs(minutes=2)
    world.loses_power().returns_after(seconds=10)
    world.runs(minutes=2)
    world.ev(1).presents(CARD)
    world.runs(seconds=12)
    world.loses_power().returns_after(seconds=10)
    world.runs(minutes=2)
    back_online(world)
    assert len(world.csms.transactions) == 1 and world.csms.transaction(1).ended
    world.settles()


@req("E06.FR.08", "E06.FR.16")
def test_forced_to_end_by_a_person() -> None:
    world = charging(keys=QUIET)
    world.asks_station("tx.force-end", transaction_id=world.csms.transaction(1).id)
    world.runs(minutes=1)
    assert world.csms.transaction(1).ended and world.outlets[1].amps == 0
    world.settles()


def _charged(world: World) -> float:
    """Ten minutes of charging; what has flowed (Wh)."""
    before = world.outlets[1].register.at(world.now_ms)
    charge(world).runs(minutes=10)
    return world.outlets[1].register.at(world.now_ms) - before


def _comes_back_without_a_meter(world: World) -> None:
    """A minute without power, the car leaves, and the meter does not answer afterwards."""
    world.loses_power().returns_after(seconds=60)
    world.hardware.wires[1].mute = True
    world.ev(1).after(seconds=5).unplugs()


@req("E02.FR.21")
def test_a_meter_that_starts_later_than_the_station_still_tells_the_end() -> None:
    """What flowed since the last sample is in its register only: the end waits a minute for it, no longer."""
    world = idle(keys=QUIET)
    flowed = _charged(world)
    _comes_back_without_a_meter(world)
    world.runs(seconds=100)
    session = world.csms.transaction(1)
    assert not session.ended and world.asks_station("status")["evses"][0]["transaction"]["ending"]
    world.hardware.wires[1].mute = False
    world.runs(seconds=15)
    assert session.ended and session.stopped_reason == "PowerLoss"
    assert abs((session.energy_wh or 0) - flowed) < 5
    world.settles()


@req("E02.FR.21")
def test_a_dead_meter_does_not_hold_the_end_for_ever() -> None:
    world = charging(keys=QUIET)
    world.runs(minutes=1)
    _comes_back_without_a_meter(world)
    world.runs(seconds=150)
    assert world.csms.transaction(1).ended
    world.settles()


@req("E02.FR.21", "E01.FR.09")
def test_a_begin_that_was_read_late_is_on_flash_before_a_sample_tells_it() -> None:
    world = idle(keys=QUIET)
    world.hardware.wires[1].mute = True
    world.runs(seconds=20)
    charge(world).runs(minutes=2)
    world.hardware.wires[1].mute = False
    world.runs(seconds=10)
    before = world.outlets[1].register.at(world.now_ms)
    world.runs(minutes=1)
    world.loses_power().returns_after(seconds=60)
    world.runs(minutes=2)
    world.ev(1).unplugs()
    world.runs(minutes=1)
    session = world.csms.transaction(1)
    flowed = world.outlets[1].register.at(world.now_ms)
    assert session.ended and abs((session.energy_wh or 0) - (flowed - before)) < 60 < flowed - before
    world.settles()


@req("E02.FR.21")
def test_a_dead_meter_leaves_what_was_known_before_the_restart() -> None:
    """With the moment of that reading; the last value in Ended is not the begin of it all."""
    world = idle(keys={"SampledDataCtrlr.TxUpdatedInterval": "60"})
    flowed = _charged(world)
    _comes_back_without_a_meter(world)
    world.runs(seconds=150)
    session = world.csms.transaction(1)
    told = [v["sampledValue"][0] for v in last(session)["meterValue"]]
    assert session.ended and [v["context"] for v in told] == ["Transaction.Begin", "Interruption.Begin"]
    assert flowed * 0.7 < told[1]["value"] - told[0]["value"] <= flowed
    world.settles()


@req("E06.FR.15")
def test_the_next_car_after_a_cut_does_not_charge_on_the_card_of_the_last_one() -> None:
    """The stop point was reached, only the last reading was missing when the power went."""
    world = charging(keys=QUIET)
    world.runs(minutes=1)
    world.hardware.wires[1].mute = True
    world.ev(1).unplugs()
    world.runs(seconds=1)
    session = world.csms.transaction(1)
    assert not session.ended
    world.loses_power().returns_after(seconds=30)
    world.hardware.wires[1].mute = False
    world.ev(1).after(seconds=10).plugs_in()
    world.runs(minutes=2)
    assert session.ended and session.stopped_reason == "EVDisconnected" and not world.outlets[1].closed
    world.settles()
