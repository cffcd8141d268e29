"""A04: security events reach the CSMS, whatever is between."""

from __future__ import annotations

from pathlib import Path

from agent.core.events import FrameReceived, StoreReported
from agent.core.instant import rfc3339
from agent.core.security import EVENTS
from hal.ports import FaultRaised
from tests.blocks.stories import back_online, heard, idle, set_variable
from tests.marks import req
from tests.sim.transactions import Payload
from tests.sim.world import World

ACTION = "SecurityEventNotification"


DOCUMENT = Path(__file__).parents[2] / "docs/diagnostics.md"
STARTS = ("StartupOfTheDevice", "ResetOrReboot")


def told(world: World) -> list[Payload]:
    """Events that the CSMS heard of, without those of every start."""
    return [payload for _, payload in heard(world, ACTION) if payload["type"] not in STARTS]


@req("A04.FR.01")
def test_a_full_and_a_damaged_store_are_told_once() -> None:
    world = idle()
    world.hear(StoreReported("full", "no room; the reserve was used"))
    world.hear(StoreReported("full", "no room"))
    world.runs(seconds=20)
    world.hear(StoreReported("restored", "journal.db.damaged-1, 40 rows saved"))
    world.runs(seconds=20)
    assert [(event["type"], event["techInfo"]) for event in told(world)] == [
        ("MemoryExhaustion", "full: no room; the reserve was used"),
        ("StoreDamaged", "restored: journal.db.damaged-1, 40 rows saved"),
    ]
    world.loses_power().returns_after(seconds=5)
    world.runs(minutes=5)
    assert len(told(world)) == 2, "what was answered is not told again"


@req("A04.FR.02")
def test_an_event_made_offline_survives_a_power_cut() -> None:
    world = idle()
    world.csms.vanishes()
    world.runs(seconds=30)
    world.hear(StoreReported("restored", "the file is missing"))
    made = rfc3339(world.clock.utc_ms)
    world.runs(seconds=5)
    world.loses_power().returns_after(seconds=60)
    world.runs(minutes=5)
    back_online(world)
    [event] = told(world)
    assert event["type"] == "StoreDamaged" and event["timestamp"] == made


def test_a_csms_that_knows_no_security_events_is_told_once() -> None:
    world = idle()
    world.runs(seconds=5)
    world.csms.fails(ACTION, times=1, code="NotImplemented")
    world.hear(StoreReported("full", ""))
    world.runs(minutes=10)
    assert len(told(world)) == 1


@req("A04.FR.02")
def test_an_event_that_the_csms_could_not_take_is_told_again_and_not_for_ever() -> None:
    world = idle()
    world.runs(seconds=5)
    world.csms.fails(ACTION, times=1)
    world.hear(StoreReported("full", ""))
    world.runs(minutes=10)
    assert [event["type"] for event in told(world)] == ["MemoryExhaustion"] * 2
    world.csms.fails(ACTION, times=100)
    world.hear(FaultRaised(1, "tamper", "bit 16"))
    world.runs(minutes=30)
    assert len(told(world)) == 2 + 3, "as often as MessageAttempts says"


@req("A04.FR.01")
def test_an_opened_enclosure_is_a_security_event_and_charging_goes_on() -> None:
    world = idle()
    world.ev(1).plugs_in().presents("04AABBCC")
    world.runs(minutes=1)
    world.outlets[1].breaks("tamper")
    world.runs(minutes=5)
    assert [event["type"] for event in told(world)] == ["TamperDetectionActivated"]
    assert world.outlets[1].amps > 0 and world.csms.last_status[1, 1] == "Occupied"
    world.outlets[1].recovers("tamper")
    world.runs(seconds=30)
    world.outlets[1].breaks("tamper")
    world.runs(seconds=30)
    assert len(told(world)) == 2, "each opening is one"


@req("A04.FR.04", "A04.FR.01")
def test_every_start_is_an_event_and_what_is_not_critical_is_only_logged() -> None:
    world = idle()
    assert set_variable(world, "SecurityCtrlr.OrganizationName", "Operator") == "Accepted"
    for _ in range(3):
        world.hear(FrameReceived(world.csms.connection or 0, "[3]"))
        world.runs(seconds=2)
    world.csms_asks("Reset", {"type": "Immediate"})
    world.runs(minutes=1)
    assert [(entry.kind, entry.info) for entry in world.security_log if entry.kind != "InvalidMessages"] == [
        ("StartupOfTheDevice", "PowerUp"),
        ("ReconfigurationOfSecurityParameters", "SecurityCtrlr.OrganizationName = Operator"),
        ("ResetOrReboot", "RemoteReset"),
    ]
    assert len([entry for entry in world.security_log if entry.kind == "InvalidMessages"]) == 1
    assert [event["type"] for _, event in heard(world, ACTION)] == ["StartupOfTheDevice", "ResetOrReboot"]


def hears_the_time(world: World, ahead_ms: int) -> None:
    """The CSMS says that it is so many ms later than the clock of the board."""
    world.csms.answers("Heartbeat", lambda request: {"currentTime": rfc3339(world.clock.utc_ms + ahead_ms)})
    world.csms_asks("TriggerMessage", {"requestedMessage": "Heartbeat"})
    world.runs(seconds=10)


@req("A04.FR.01")
def test_a_clock_that_is_set_by_much_is_told() -> None:
    world = idle()
    hears_the_time(world, 3_600_500)
    assert [(event["type"], event["techInfo"][:4]) for event in told(world)] == [("SettingSystemTime", "by 3")]


@req("A04.FR.01")
def test_how_much_is_much_for_a_clock_is_what_the_key_says() -> None:
    world = idle(keys={"ClockCtrlr.TimeAdjustmentReportingThreshold": "7200"})
    hears_the_time(world, 3_600_500)
    assert told(world) == []
    hears_the_time(world, 4 * 3_600_000)
    assert [event["type"] for event in told(world)] == ["SettingSystemTime"]


def test_the_guide_says_of_each_event_when_it_comes_and_whether_the_csms_hears_of_it() -> None:
    lines = DOCUMENT.read_text().splitlines()
    rows = [line.split("|") for line in lines if line.startswith("| `") and line.count("|") == 4]
    said = {name: row[2].strip() == "yes" for row in rows for name in row[1].split("`")[1::2]}
    assert {name: said[name] for name in EVENTS} == dict(EVENTS)
