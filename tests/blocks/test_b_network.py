"""B09, B10: network profiles, the order in which they are tried, and the way back to the one that works."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from tests.blocks.stories import charging, gaps, get_variable, heard, idle, name, now_s, set_variable, spoken
from tests.marks import req
from tests.sim.csms import Csms
from tests.sim.jobs import Ends
from tests.sim.world import World

HERE, THERE = "csms.example", "other.example:9000"
ORDER = "OCPPCommCtrlr.NetworkConfigurationPriority"
STEADY = {
    "OCPPCommCtrlr.RetryBackOffRandomRange": "0", "OCPPCommCtrlr.RetryBackOffWaitMinimum": "10",
    "OCPPCommCtrlr.NetworkProfileConnectionAttempts": "2",
}  # fmt: skip


def data(url: str = f"ws://{THERE}/ocpp", profile: int = 1, **changed: Any) -> dict[str, Any]:
    """connectionData; None removes a field."""
    whole = {
        "ocppVersion": "OCPP20", "ocppTransport": "JSON", "ocppCsmsUrl": url, "messageTimeout": 25,
        "securityProfile": profile, "ocppInterface": "Wired0",
    } | changed  # fmt: skip
    return {name: value for name, value in whole.items() if value is not None}


def write(world: World, slot: int = 1, **connection: Any) -> dict[str, Any]:
    """SetNetworkProfile; the whole answer."""
    return world.csms_asks("SetNetworkProfile", {"configurationSlot": slot, "connectionData": data(**connection)})


def order(world: World, value: str) -> tuple[str, str | None]:
    """Set NetworkConfigurationPriority; attributeStatus and reasonCode."""
    answer = world.csms_asks("SetVariables", {"setVariableData": [{**name(ORDER), "attributeValue": value}]})
    result = answer["setVariableResult"][0]
    return result["attributeStatus"], result.get("attributeStatusInfo", {}).get("reasonCode")


def other_csms(world: World, host: str = THERE) -> Csms:
    """A second CSMS, at another address."""
    other = Csms(world.timeline, Random(5), line=world.network)
    world.network.elsewhere[host] = other
    return other


def move(world: World, value: str = "1,0") -> None:
    """The whole migration: profile in slot 1, order, reset; until the process has ended."""
    assert write(world)["status"] == "Accepted"
    assert order(world, value) == ("RebootRequired", None)
    boots = world.boots
    assert world.csms_asks("Reset", {"type": "OnIdle"})["status"] == "Accepted"
    world.until(lambda: world.boots > boots, within_s=60)
    world.network.dialled.clear()


def dialled(world: World, count: int) -> list[str]:
    """The hosts of the next attempts, so many."""
    world.until(lambda: len(world.network.dialled) >= count, within_s=7200)
    return world.network.dialled[:count]


def next_dial_s(world: World) -> float:
    """When the station next tries to connect."""
    count = len(world.network.dialled)
    world.until(lambda: len(world.network.dialled) > count, within_s=3600)
    return now_s(world)


def listed(world: World) -> dict[int, dict[str, Any]]:
    """`chargerctl network list`, by slot."""
    return {row["slot"]: row for row in world.asks_station("network.list")}


# ---------------------------------------------------------------------------------------- B09


@req("B09.FR.01", "B09.FR.06")
def test_a_valid_profile_is_stored_and_survives_a_power_cut() -> None:
    world = idle()
    assert write(world, 3)["status"] == "Accepted"
    world.loses_power().returns_after(seconds=5)
    world.runs(seconds=30)
    assert set(listed(world)) == {0, 3}
    assert (listed(world)[3]["url"], listed(world)[3]["message_timeout_s"]) == (f"ws://{THERE}/ocpp", 25)
    slots = world.csms_asks("GetReport", {"requestId": 1, "componentVariable": [name(ORDER)]})
    world.runs(seconds=5)
    (page,) = [p for _, p in heard(world, "NotifyReport")]
    values = page["reportData"][0]["variableCharacteristics"]["valuesList"].split(",")
    assert slots["status"] == "Accepted" and len(values) >= 2


@req("B09.FR.02", "B09.FR.05")
@pytest.mark.parametrize(
    ("slot", "changed", "reason"),
    [
        (4, {}, "InvalidConfSlot"),
        (999, {}, "InvalidConfSlot"),
        (-1, {}, "InvalidConfSlot"),
        (1, {"url": "http://csms.example/ocpp"}, "InvalidNetworkConf"),
        (1, {"url": "ws://"}, "InvalidNetworkConf"),
        (1, {"url": "ws://user:word@csms.example/ocpp"}, "InvalidNetworkConf"),
        (1, {"url": "csms.example"}, "InvalidNetworkConf"),
        (1, {"url": "ws://csms.example/a b"}, "InvalidNetworkConf"),
        (1, {"url": "file:///etc/passwd"}, "InvalidNetworkConf"),
        (1, {"profile": 0}, "InvalidNetworkConf"),
        (1, {"profile": 4}, "InvalidNetworkConf"),
        (1, {"profile": 2}, "InvalidNetworkConf"),
        (1, {"messageTimeout": 0}, "InvalidNetworkConf"),
        (1, {"messageTimeout": -5}, "InvalidNetworkConf"),
        (1, {"messageTimeout": 100_000}, "InvalidNetworkConf"),
        (1, {"ocppTransport": "SOAP"}, "InvalidNetworkConf"),
        (1, {"ocppVersion": "OCPP16"}, "InvalidNetworkConf"),
        (1, {"apn": {"apn": "internet", "apnAuthentication": "AUTO"}}, "InvalidNetworkConf"),
        (
            1,
            {"vpn": {"server": "s", "user": "u", "password": "p", "key": "k", "type": "IPSec"}},
            "InvalidNetworkConf",
        ),
    ],
)
def test_a_profile_that_cannot_work_is_rejected_with_its_reason(
    slot: int, changed: dict[str, Any], reason: str
) -> None:
    """TC_B_43."""
    world = idle()
    answer = write(world, slot, **changed)
    assert (answer["status"], answer["statusInfo"]["reasonCode"]) == ("Rejected", reason)
    assert answer["statusInfo"]["additionalInfo"] and set(listed(world)) == {0}


@req("B09.FR.03")
def test_a_store_that_takes_nothing_fails_the_request() -> None:
    from agent.core.events import StoreReported

    world = idle()
    world.hear(StoreReported("full"))
    assert write(world)["status"] == "Failed"
    world.hear(StoreReported("ok"))
    assert write(world)["status"] == "Accepted"


@req("B09.FR.01")
def test_the_profile_in_use_can_be_overwritten_and_stays_in_use_until_the_next_boot() -> None:
    world = idle(keys=STEADY)
    other = other_csms(world)
    assert write(world, 0)["status"] == "Accepted"
    world.csms.vanishes()
    world.csms.returns()
    world.until(lambda: world.csms.connections == 2, within_s=60)
    world.csms_asks("Reset", {"type": "OnIdle"})
    world.until(lambda: other.connections == 1, within_s=60)
    world.runs(seconds=20)
    assert other.requests("BootNotification")[0]["reason"] == "RemoteReset"


# ---------------------------------------------------------------------------------------- security profiles


def secure(**keys: str) -> World:
    """A station that has come up to security profile 2."""
    world = idle(keys={**STEADY, "SecurityCtrlr.UseSystemTrustStore": "true", **keys})
    assert write(world, 1, url="wss://csms.example/ocpp", profile=2)["status"] == "Accepted"
    assert order(world, "1,0")[0] == "RebootRequired"
    world.csms_asks("Reset", {"type": "OnIdle"})
    return world.runs(seconds=60)


@req("B09.FR.04", "B09.FR.31", "A05.FR.04", "A05.FR.05", "A05.FR.06", "A05.FR.09", "A05.FR.10")
@pytest.mark.parametrize("allowed", ["false", "true"])
def test_a_station_that_has_come_up_never_goes_down_to_profile_1(allowed: str) -> None:
    world = secure(**{"SecurityCtrlr.AllowSecurityProfileDowngrade": allowed})
    assert get_variable(world, "SecurityCtrlr.SecurityProfile") == "2"
    assert get_variable(world, "OCPPCommCtrlr.ActiveNetworkProfile") == "1"
    assert get_variable(world, ORDER) == "1" and set(listed(world)) == {1}
    answer = write(world, 2)
    assert (answer["status"], answer["statusInfo"]["reasonCode"]) == ("Rejected", "NoSecurityDowngrade")
    assert order(world, "1,0") == ("Rejected", "InvalidConfSlot")
    world.loses_power().returns_after(seconds=5)
    world.runs(seconds=30)
    assert get_variable(world, "SecurityCtrlr.SecurityProfile") == "2" and set(listed(world)) == {1}


@req("B10.FR.03", "A05.FR.10")
def test_without_its_safe_csms_a_station_does_not_fall_back_to_an_unsafe_one() -> None:
    world = secure()
    world.network.elsewhere[HERE] = None
    world.csms.vanishes()
    world.csms.returns()
    world.runs(minutes=30)
    assert set(world.network.dialled[-5:]) == {HERE} and set(listed(world)) == {1}


def test_an_installer_can_begin_anew_by_changing_board_toml() -> None:
    """What OCPP may not lower, a person on site may."""
    world = secure()
    board = world.site.network
    assert board is not None
    world.site = world.site._replace(network=board._replace(url="ws://new.example/ocpp", identity="CD-0002"))
    other = other_csms(world, "new.example")
    world.loses_power().returns_after(seconds=5)
    world.runs(seconds=30)
    assert other.connections == 1 and set(listed(world)) == {0}
    assert world.asks_station("status")["link"]["identity"] == "CD-0002"
    assert world.asks_station("config.get", name=ORDER)["value"] == "0"


# ---------------------------------------------------------------------------------------- B10


@req("B10.FR.01", "B10.FR.04", "B10.FR.06", "B10.FR.10", "B01.FR.03")
def test_csms_migration_good() -> None:
    """Bug 29, TC_B_45: the first of the new order is dialled after the reboot, and the old one is left before."""
    world = idle(keys=STEADY)
    other = other_csms(world)
    move(world)
    assert dialled(world, 1) == [THERE] and world.csms.connection is None
    world.runs(seconds=30)
    assert [boot["reason"] for boot in other.requests("BootNotification")] == ["RemoteReset"]
    assert other.requests("StatusNotification") and len(world.csms.requests("BootNotification")) == 1
    assert listed(world)[1]["in_use"] and listed(world)[1]["good"] and not listed(world)[0]["good"]
    timeout = {"getVariableData": [name("OCPPCommCtrlr.MessageTimeout[Default]")]}
    exchange = other.sends("GetVariables", timeout)
    world.runs(seconds=5)
    assert exchange.answer and exchange.answer["getVariableResult"][0]["attributeValue"] == "25"
    world.csms = other
    world.settles()


@req("B10.FR.03", "B10.FR.04", "B10.FR.07", "B10.FR.09", "B10.FR.10")
def test_csms_migration_bad() -> None:
    """Bug 29, TC_B_46: nobody at the new address; after the attempts of the key the old CSMS is back."""
    world = idle(keys=STEADY)
    world.network.elsewhere[THERE] = None
    move(world)
    assert dialled(world, 3) == [THERE, THERE, HERE]
    world.runs(seconds=20)
    assert [boot["reason"] for boot in world.csms.requests("BootNotification")] == ["PowerUp", "RemoteReset"]
    assert get_variable(world, "OCPPCommCtrlr.ActiveNetworkProfile") == "0"
    world.settles()


@req("B10.FR.04")
@pytest.mark.parametrize("cut", ["profile", "order"])
def test_csms_migration_halfway(cut: str) -> None:
    """Bug 29: the power fails between the steps of a move; nothing is half applied."""
    world = idle(keys=STEADY)
    other = other_csms(world)
    write(world)
    if cut == "order":
        order(world, "1,0")
    world.loses_power().returns_after(seconds=5)
    world.runs(seconds=30)
    assert (other.connections, world.csms.connections) == ((0, 2) if cut == "profile" else (1, 1))


@req("B10.FR.03", "B10.FR.07", "B10.FR.08", "B10.FR.09")
def test_all_profiles_are_tried_over_and_over_and_the_good_one_between() -> None:
    world = idle(keys=STEADY)
    world.network.elsewhere.update({THERE: None, "third.example": None})
    write(world, 2, url="ws://third.example/x")
    move(world, "1,2")
    world.network.elsewhere[HERE] = None
    around = [THERE] * 2 + ["third.example"] * 2 + [HERE] * 2
    assert dialled(world, 18) == around * 3
    del world.network.elsewhere[HERE]
    world.until(lambda: world.csms.connection is not None, within_s=7200)


@req("B10.FR.07")
def test_a_list_that_names_only_a_bad_profile_leads_back_to_the_good_one() -> None:
    world = idle(keys=STEADY)
    world.network.elsewhere[THERE] = None
    move(world, "1")
    assert dialled(world, 3) == [THERE, THERE, HERE]
    world.runs(seconds=20)
    world.loses_power().returns_after(seconds=5)
    world.runs(minutes=2)
    assert world.csms.connection is not None


@req("B10.FR.07")
def test_a_good_profile_that_was_overwritten_is_still_known() -> None:
    world = idle(keys=STEADY)
    world.network.elsewhere[THERE] = None
    write(world, 0)
    world.csms_asks("Reset", {"type": "Immediate"})
    world.until(lambda: world.boots == 2, within_s=60)
    world.network.dialled.clear()
    assert dialled(world, 3) == [THERE, THERE, HERE]


@req("B10.FR.03")
def test_after_a_loss_the_csms_in_use_is_tried_first_then_the_others_and_then_it_again() -> None:
    world = idle(keys=STEADY)
    other = other_csms(world)
    move(world)
    world.until(lambda: other.connection is not None, within_s=60)
    world.runs(seconds=20)
    world.network.dialled.clear()
    world.csms.vanishes()
    assert dialled(world, 6) == [THERE, THERE, HERE, HERE, THERE, THERE]


@req("B10.FR.03", "B10.FR.10")
def test_another_csms_is_asked_anew_and_nothing_is_said_before() -> None:
    """B10.FR.10: without a reboot, and what the one before said holds no longer."""
    world = idle(keys=STEADY)
    other = other_csms(world)
    other.boots("Pending", 600)
    write(world)
    order(world, "0,1")
    world.csms_asks("Reset", {"type": "OnIdle"})
    world.runs(seconds=60)
    world.network.elsewhere[HERE] = None
    since = now_s(world)
    world.csms.vanishes()
    world.csms.returns()
    world.until(lambda: other.connection is not None, within_s=300)
    world.runs(seconds=60)
    assert [f.message[2] for f in other.frames if f.direction == "<"] == ["BootNotification"]
    assert not spoken(world, since)


@req("B10.FR.07")
@pytest.mark.parametrize("how", ["rejects", "is silent", "401", "refuses"])
def test_a_csms_that_does_not_take_the_station_in_is_left_for_the_good_one(how: str) -> None:
    world = idle(keys=STEADY)
    other = other_csms(world)
    if how == "rejects":
        other.boots("Rejected", 30)
    elif how == "is silent":
        other.ignores("BootNotification", times=100)
    elif how == "401":
        other.password = "another"
    else:
        other.fails("BootNotification", times=100)
    move(world)
    world.until(lambda: world.csms.connection is not None, within_s=3600)
    world.runs(seconds=30)
    assert len(world.csms.requests("BootNotification")) == 2
    assert get_variable(world, "OCPPCommCtrlr.HeartbeatInterval") == "300"


def test_a_csms_that_rejects_a_station_without_another_profile_keeps_its_connection() -> None:
    world = idle(keys=STEADY)
    world.csms.boots("Rejected", 30)
    world.kills_agent().returns_after(seconds=2)
    world.runs(minutes=10)
    assert world.csms.connections == 2 and len(heard(world, "BootNotification")) > 10


@req("B10.FR.02")
@pytest.mark.parametrize(
    ("value", "reason"),
    [("1", "InvalidConfSlot"), ("0,3", "InvalidConfSlot"), ("7", "InvalidValue"), ("", "InvalidValue")],
)
def test_an_order_with_a_slot_that_holds_no_profile_is_rejected(value: str, reason: str) -> None:
    world = idle()
    assert order(world, value) == ("Rejected", reason)
    assert get_variable(world, ORDER) == "0"


@req("B10.FR.03")
def test_the_next_profile_is_tried_soon_and_each_waits_longer_for_itself() -> None:
    world = idle(keys=STEADY)
    world.network.elsewhere[THERE] = None
    move(world)
    world.network.elsewhere[HERE] = None
    moments = []
    for _ in range(8):
        moments.append(next_dial_s(world))
    assert world.network.dialled[:8] == [THERE, THERE, HERE, HERE, HERE, HERE, THERE, THERE]
    assert gaps(moments) == [10, 10, 20, 40, 80, 20, 40]


def test_transactions_go_on_over_a_change_of_the_csms() -> None:
    world = charging(keys=STEADY)
    write(world)
    other_csms(world)
    world.network.elsewhere[HERE] = None
    assert set_variable(world, ORDER, "0,1") == "RebootRequired"
    world.csms.vanishes()
    world.csms.returns()
    world.runs(minutes=2)
    assert world.outlets[1].amps > 0 and set(world.network.dialled[1:]) == {HERE}
    del world.network.elsewhere[HERE]
    world.until(lambda: world.csms.connection is not None, within_s=600)
    world.settles()


# ---------------------------------------------------------------------------------------- dry run


def test_a_dry_run_tells_how_it_went_and_leaves_the_connection_alone() -> None:
    """Bug 29; the real one is in tests/io/test_trial.py."""
    world = idle()
    write(world)
    world.workers.do("network.try", lambda data: [Ends(0.5, "other" in data["url"], {"result": "connects"})])
    assert world.asks_station("network.try", slot=1) == {"result": "connects"}
    (job,) = world.workers.started
    assert (job.data["identity"], job.data["password"]) == ("CD-0001", "secret")
    for wrong in (2, "1", None):
        with pytest.raises(AssertionError, match="has no network profile"):
            world.asks_station("network.try", slot=wrong)
    with pytest.raises(AssertionError, match="connects"):
        world.asks_station("network.try", slot=0)
    assert world.csms.connections == 1
