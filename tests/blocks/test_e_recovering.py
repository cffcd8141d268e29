"""What comes in, and what is kept, while it is not known yet whether a transaction of before a restart goes on."""

from __future__ import annotations

import pytest

from tests.blocks.stories import (
    CARD,
    OTHER,
    QUIET,
    SOCKET,
    back_online,
    charge,
    charging,
    goes_off,
    idle,
    last,
    let_in_offline,
    list_entry,
    meter_values,
    send_list,
    trail,
)
from tests.blocks.test_c_groups import MASTER, POLICE, TRUSTING, info
from tests.marks import req
from tests.sim.outlet import raw
from tests.sim.transactions import consecutive
from tests.sim.world import World


def recovering(world: World) -> World:
    """The agent is killed, and its hardware does not answer to the next process for half a minute."""
    world.kills_agent("all").returns_after(seconds=10)
    world.runs(seconds=9)
    world.hardware.falls_silent(1)
    world.runs(seconds=25)
    assert world.asks_station("status")["evses"][0]["transaction"]["state"] == "Recovering"
    return world


def goes_on(world: World) -> World:
    """The hardware answers again."""
    world.hardware.answers_again(1)
    return world.runs(minutes=3)


def refused_while_recovering(keys: dict[str, str]) -> World:
    """Killed before the CSMS, which is there again, has refused who was let in offline."""
    world = let_in_offline(keys).runs(seconds=30)
    world.csms.returns()
    return goes_on(recovering(world))


@req("C15.FR.03", "C15.FR.04", "E05.FR.02", "E05.FR.09", "E05.FR.10")
@pytest.mark.parametrize("stop", ["Authorized", "EVConnected"])
def test_who_is_refused_while_the_hardware_is_waited_for_does_not_charge_on(stop: str) -> None:
    world = refused_while_recovering({"TxCtrlr.TxStopPoint": stop})
    session = world.csms.transaction(1)
    assert not world.outlets[1].permitted and ("Deauthorized" in [trigger for _, trigger, _ in trail(session)])
    if stop == "Authorized":
        assert session.stopped_reason == "DeAuthorized"
    assert session.seq_numbers == consecutive() and world.outlets[1].locked
    world.ev(1).presents(CARD)
    world.runs(seconds=20)
    assert not world.outlets[1].locked
    world.settles()


@req("C15.FR.06", "E05.FR.03")
def test_who_is_refused_but_may_stay_charges_no_more_than_that_energy() -> None:
    world = refused_while_recovering({"TxCtrlr.StopTxOnInvalidId": "false"})
    assert not world.csms.transaction(1).ended and world.outlets[1].amps == 0
    world.settles()


@req("F03.FR.02", "F03.FR.03", "F03.FR.09")
@pytest.mark.parametrize("stop", ["Authorized", "EVConnected"])
def test_a_stop_from_afar_reaches_a_transaction_that_waits_for_the_hardware(stop: str) -> None:
    world = charging(keys={**QUIET, "TxCtrlr.TxStopPoint": stop})
    session = world.csms.transaction(1)
    recovering(world)
    assert world.csms_asks("RequestStopTransaction", {"transactionId": session.id})["status"] == "Accepted"
    goes_on(world)
    assert not world.outlets[1].permitted and "RemoteStop" in [trigger for _, trigger, _ in trail(session)]
    if stop == "Authorized":
        assert (last(session)["triggerReason"], session.stopped_reason) == ("RemoteStop", "Remote")
    world.settles()


@req("E07.FR.01", "E07.FR.02", "C09.FR.03", "C16.FR.02")
@pytest.mark.parametrize(("card", "reason"), [(CARD, "Local"), (OTHER, "Local"), (POLICE, "MasterPass")])
def test_a_card_stops_a_transaction_that_waits_for_the_hardware(card: str, reason: str) -> None:
    world = idle(keys={**TRUSTING, **MASTER})
    send_list(world, list_entry(CARD, group="FLEET"), list_entry(OTHER, group="FLEET"))
    world.csms.token_info[POLICE] = info(group="POLICE")
    charge(world)
    recovering(world)
    world.ev(1).presents(card)
    world.runs(seconds=10)
    goes_on(world)
    session = world.csms.transaction(1)
    assert (session.stopped_reason, last(session)["triggerReason"]) == (reason, "StopAuthorized")
    assert last(session)["idToken"]["idToken"] == card and not world.outlets[1].permitted
    world.settles()


@req("F03.FR.02", "F03.FR.03", "F03.FR.09")
@pytest.mark.parametrize(("stop", "ends"), [("EVConnected", False), ("Authorized", True), ("EnergyTransfer", True)])
def test_a_stop_from_afar_of_a_transaction_nobody_was_authorised_in(stop: str, ends: bool) -> None:
    world = idle(keys={**QUIET, "TxCtrlr.TxStartPoint": "EVConnected", "TxCtrlr.TxStopPoint": stop})
    world.ev(1).plugs_in()
    world.runs(seconds=20)
    session = world.csms.transaction(1)
    assert world.csms_asks("RequestStopTransaction", {"transactionId": session.id})["status"] == "Accepted"
    world.runs(seconds=30)
    assert "RemoteStop" in [trigger for _, trigger, _ in trail(session)] and session.ended == ends
    world.ev(1).unplugs()
    world.runs(seconds=30)
    assert session.stopped_reason == "Remote" and len(world.csms.transactions) == 1
    world.settles()


@req("C09.FR.03", "C09.FR.07")
def test_a_group_that_an_answer_has_told_is_known_after_a_restart() -> None:
    world = idle(keys={**TRUSTING, "SampledDataCtrlr.TxUpdatedInterval": "60"})
    world.csms.token_info["*"] = info(group="FLEET")
    charge(world)
    world.runs(minutes=6)
    world.kills_agent("all").returns_after(seconds=20)
    world.runs(minutes=3)
    world.ev(1).presents(OTHER)
    world.runs(seconds=30)
    assert world.csms.transaction(1).stopped_reason == "Local"
    world.settles()


@req("E09.FR.03", "E05.FR.11")
@pytest.mark.parametrize("end", ["power", "kill"])
def test_a_restart_does_not_free_a_cable_that_waits_for_its_owner(end: str) -> None:
    world = idle([SOCKET], keys={**QUIET, "OCPPCommCtrlr.UnlockOnEVSideDisconnect": "false"})
    charge(world, cable_amps=32)
    world.outlets[1].pilot_breaks("A")
    world.runs(seconds=20)
    for _ in range(2):
        goes_off(world, end, "all").returns_after(seconds=5)
        world.runs(minutes=1)
        assert world.outlets[1].locked
    world.ev(1).presents(CARD)
    world.runs(seconds=20)
    assert not world.outlets[1].locked


@req("E05.FR.11", "C15.FR.05")
def test_a_cable_that_went_while_the_power_was_off_is_kept_for_nobody() -> None:
    world = back_online(let_in_offline())
    assert world.outlets[1].locked
    world.loses_power().returns_after(seconds=60)
    world.runs(seconds=10)
    world.outlets[1].locks.clear()
    world.ev(1).unplugs()
    world.runs(minutes=3)
    assert not world.outlets[1].locked
    world.ev(1).plugs_in(cable_amps=20).presents("04FEED")
    world.runs(minutes=1)
    assert world.outlets[1].amps >= 6
    world.ev(1).presents("04FEED").after(seconds=20).unplugs()
    world.runs(minutes=1)
    assert not world.outlets[1].locked


@req("E07.FR.02", "C15.FR.05", "E05.FR.11")
def test_whose_session_was_over_before_the_restart_is_not_kept_his_cable() -> None:
    """Its transaction goes on until the car leaves, and the CSMS refuses the token while the hardware is waited for."""
    world = idle([SOCKET], keys={**QUIET, "TxCtrlr.TxStopPoint": "EVConnected"})
    charge(world, cable_amps=32)
    world.ev(1).presents(CARD)
    world.runs(seconds=30)
    assert not world.outlets[1].locked
    world.csms.answers("TransactionEvent", lambda _: {"idTokenInfo": {"status": "Blocked"}})
    recovering(world)
    world.csms_asks("TriggerMessage", {"requestedMessage": "TransactionEvent"})
    goes_on(world)
    assert not world.outlets[1].locked and "Deauthorized" not in [t for _, t, _ in trail(world.csms.transaction(1))]


@req("E01.FR.18")
def test_the_cable_of_a_running_transaction_stays_locked_over_a_restart() -> None:
    world = idle([SOCKET], keys=QUIET)
    charge(world, cable_amps=32)
    world.kills_agent("all").returns_after(seconds=5)
    for _ in range(300):
        assert world.runs(ms=100).outlets[1].locked
    assert world.outlets[1].amps > 6


@pytest.mark.parametrize("interval", ["0", "900"])
@pytest.mark.parametrize("end", ["power", "kill"])
@pytest.mark.parametrize("online", [True, False], ids=["online", "offline"])
@req("E01.FR.07", "E06.FR.08")
def test_how_long_it_was_away_is_not_counted_from_an_event_long_ago(online: bool, end: str, interval: str) -> None:
    """ResumeTimeout is 300 s, and no event tells anything for hours."""
    world = charging(keys={"AlignedDataCtrlr.Interval": "0", "SampledDataCtrlr.TxUpdatedInterval": interval})
    if not online:
        world.csms.vanishes()
    world.runs(minutes=14)
    goes_off(world, end, "all").returns_after(seconds=120)
    world.runs(minutes=5)
    assert world.outlets[1].amps >= 6
    if not online:
        world.csms.returns()
    world.runs(minutes=5)
    assert not world.csms.transaction(1).ended and len(world.csms.transactions) == 1
    world.settles()


@req("E06.FR.08")
def test_after_more_than_the_resume_window_it_ends_as_before() -> None:
    world = charging(keys=QUIET)
    world.runs(hours=2)
    world.loses_power("all").returns_after(seconds=330)
    world.runs(minutes=10)
    assert world.csms.transaction(1).stopped_reason == "PowerLoss" and not world.outlets[1].permitted
    world.settles()


@req("E06.FR.08")
@pytest.mark.parametrize("event", [True, False], ids=["event", "no event"])
def test_a_sign_of_life_from_the_future_holds_nothing_up(*, event: bool) -> None:
    """The clock was an hour ahead while the station wrote down that it was there."""
    world = charging(keys=QUIET)
    world.judge.clock_changed()
    world.clock.steps_by(3600)
    world.runs(minutes=4)
    world.clock.steps_by(-3600)
    if event:
        world.ev(1).pauses()
    world.runs(seconds=30)
    world.loses_power("all").returns_after(seconds=10)
    world.runs(minutes=3)
    assert not world.csms.transaction(1).ended and len(world.csms.transactions) == 1


@req("E06.FR.08", "J02.FR.20")
def test_an_evse_that_is_no_longer_there_leaves_what_its_meter_had_told() -> None:
    keys = {"SampledDataCtrlr.TxEndedInterval": "60",
            "SampledDataCtrlr.TxEndedMeasurands": "Energy.Active.Import.Register"}  # fmt: skip
    world = idle((raw(32), raw(32)), keys={**QUIET, **keys})
    charge(world, 2)
    world.runs(minutes=5)
    world.kills_agent("all").returns_after(seconds=5)
    world.site = world.site._replace(evses=world.site.evses[:1])
    world.runs(minutes=3)
    session = world.csms.transaction(1)
    contexts = [value["sampledValue"][0]["context"] for value in meter_values([last(session)])]
    assert session.stopped_reason == "Reboot" and contexts == ["Transaction.Begin", *["Sample.Periodic"] * 5]
