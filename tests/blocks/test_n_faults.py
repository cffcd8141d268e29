"""Faults of the hardware reach the CSMS as events that somebody can act on (buyers' D2, D3, D11; G05; bug 21)."""

from __future__ import annotations

import json

import pytest

from agent.core.events import StoreReported
from agent.core.failsafe_table import OWN_FAULTS, STANDING, tech_code
from docs.generate import monitoring as documents
from hal.faults import FAULTS
from hal.ports import Alive, ContactorReported, FaultCleared, FaultRaised, PilotChanged, Silent, TemperatureMeasured
from tests.blocks.monitors import AVAILABILITY, base, events, level, report, set_monitors, watch, wish
from tests.blocks.stories import CARD, QUIET, back_online, charging, get_variable, idle, set_variable, statuses
from tests.marks import req
from tests.sim.outlet import raw, smart
from tests.sim.transactions import Payload
from tests.sim.world import World

TWO = (smart(16), raw(32, cable="socket"))


@pytest.fixture
def world() -> World:
    """Two EVSEs, registered and idle."""
    return idle(TWO, keys=QUIET)


def told(world: World) -> list[Payload]:
    """The events that no monitor caused."""
    return [event for event in events(world) if event["eventNotificationType"] == "HardWiredNotification"]


def short(event: Payload) -> tuple[str, int | None, str, str, bool]:
    """Component.Variable, EVSE, techCode, value, cleared."""
    component = event["component"]
    name = f"{component['name']}.{event['variable']['name']}"
    return name, component.get("evse", {}).get("id"), event["techCode"], event["actualValue"], "cleared" in event


# ---------------------------------------------------------------------------------------- every fault


@req("N07.FR.06", "N07.FR.07")
@pytest.mark.parametrize("code", sorted(FAULTS))
def test_every_fault_opens_and_clears_exactly_one_event_pair(world: World, code: str) -> None:
    world.hear(FaultRaised(2, code, "E 17"))
    world.runs(seconds=10)
    world.hear(FaultCleared(2, code))
    world.runs(seconds=10)
    begins, is_over = told(world)
    wanted = "Delta" if code == "lock" else "Alerting"
    assert (begins["trigger"], begins.get("cleared"), is_over["cleared"]) == (wanted, None, True)
    assert begins["techCode"] == is_over["techCode"] == tech_code(code)
    assert (begins["component"], begins["variable"]) == (is_over["component"], is_over["variable"])
    assert (begins["actualValue"], is_over["actualValue"]) == ("true", "false")
    assert begins["component"].get("evse", {"id": 2})["id"] == 2
    for text in (FAULTS[code].name, "E 17", FAULTS[code].field_action):
        assert text in begins["techInfo"]


def test_every_fault_has_a_component_of_its_own() -> None:
    """A new fault gets its place in the device model, or it shows at the EVSE only."""
    assert set(STANDING) == set(FAULTS) | set(OWN_FAULTS)
    assert all(key.monitored and key.type.name == "boolean" for row in STANDING.values() for key in row.shows)


def test_the_documents_are_current() -> None:
    assert documents.main(["--check"]) == 0


@req("G05.FR.02")
def test_a_plug_that_cannot_be_locked_is_told_at_its_lock(world: World) -> None:
    world.hear(FaultRaised(2, "lock"))
    world.runs(seconds=5)
    (event,) = told(world)
    assert short(event) == ("ConnectorPlugRetentionLock.Problem", 2, "CX001", "true", False)
    assert event["component"]["evse"] == {"id": 2, "connectorId": 1}


def test_a_part_that_is_not_built_in_gives_way_to_the_evse(world: World) -> None:
    world.hear(FaultRaised(1, "lock"))
    world.hear(FaultRaised(2, "of an OEM's own", "0x3"))
    world.runs(seconds=5)
    one, two = told(world)
    assert short(one) == ("EVSE.Problem", 1, "CX001", "true", False)
    assert short(two) == ("EVSE.Problem", 2, "of an OEM's own", "true", False)


# ---------------------------------------------------------------------------------------- what is found out here


def test_a_welded_contactor_is_danger() -> None:
    world = charging([raw(16)], keys=QUIET)
    level(world, 0)
    world.outlets[1].welded = True
    world.ev(1).presents(CARD)
    world.runs(minutes=1)
    (event,) = told(world)
    assert short(event) == ("PowerContactor.Tripped", 1, "CX017", "true", False)
    assert event["transactionId"] == world.csms.transaction(1).id


def test_a_contactor_that_opens_by_itself_is_told_until_unplug() -> None:
    world = charging(keys=QUIET)
    world.hear(ContactorReported(1, False))
    world.runs(seconds=10)
    world.ev(1).unplugs()
    world.runs(seconds=10)
    assert [short(e) for e in told(world)] == [
        ("PowerContactor.Problem", 1, "CX017", "true", False), ("PowerContactor.Problem", 1, "CX017", "false", True),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("device", "name", "code"),
    [("meter", "FiscalMetering.Problem", "MeterSilent"), ("board", "Controller.Problem", "CommunicationFault"),
     ("controller", "Controller.Problem", "CommunicationFault")],
)  # fmt: skip
def test_a_silent_device_is_told_and_so_is_its_return(world: World, device: str, name: str, code: str) -> None:
    world.hear(Silent(2, device))
    world.runs(seconds=10)
    world.hear(Alive(2, device))
    world.runs(seconds=10)
    assert [short(e) for e in told(world)] == [(name, 2, code, "true", False), (name, 2, code, "false", True)]


def test_a_silent_reader_and_a_sick_store_are_told_of_the_station(world: World) -> None:
    world.hear(Silent(0, "reader", "front"))
    world.hear(StoreReported("full", "no space left"))
    world.runs(seconds=10)
    world.hear(Alive(0, "reader", "front"))
    world.hear(StoreReported("ok"))
    world.runs(seconds=10)
    assert [short(e) for e in told(world)] == [
        ("TokenReader.Problem", None, "ReaderSilent", "true", False),
        ("ChargingStation.Problem", None, "StoreFull", "true", False),
        ("TokenReader.Problem", None, "ReaderSilent", "false", True),
        ("ChargingStation.Problem", None, "StoreFull", "false", True),
    ]
    assert "front" in told(world)[0]["techInfo"]


def test_pilot_error_is_a_fault(world: World) -> None:
    world.hear(PilotChanged(2, "E"))
    world.runs(seconds=10)
    world.hear(PilotChanged(2, "A"))
    world.runs(seconds=10)
    assert [short(e)[2:] for e in told(world)] == [("CX014", "true", False), ("CX014", "false", True)]
    assert "pilot E" in told(world)[0]["techInfo"]


# ---------------------------------------------------------------------------------------- what it is good for


def test_a_ground_fault_tells_when_where_and_in_which_situation() -> None:
    """D3: "Ground fault at connector 1 at 14:32, here is the context"."""
    world = charging([raw(32)], keys=QUIET)
    world.hear(TemperatureMeasured(1, "cable", 41.5))
    world.hear(FaultRaised(1, "residual_current", "0x20"))
    world.runs(seconds=5)
    (event,) = told(world)
    assert short(event)[:3] == ("RCD.Tripped", 1, "CX002")
    assert event["transactionId"] == world.csms.transaction(1).id and event["timestamp"].startswith("2026-03-01T12:00:")
    for fact in ("ResidualCurrent 0x20", "Measure insulation", "pilot C", "32 A offered", "L2 32 A 230 V",
                 "cable 41.5 Celsius"):  # fmt: skip
        assert fact in event["techInfo"]
    world.settles()


def test_the_minute_before_a_fault_is_in_the_log_even_offline() -> None:
    """D3: pilot, current and voltage per phase, limit, temperature and transaction of the last 60 s."""
    world = charging([raw(32)], keys=QUIET)
    world.hear(TemperatureMeasured(1, "cable", 41.5))
    world.csms.vanishes()
    world.runs(seconds=90)
    world.hear(FaultRaised(1, "residual_current", "0x20"))
    world.runs(seconds=2)
    [context] = [json.loads(text) for _, level, topic, text in world.notes if (level, topic) == ("trace", "context")]
    samples = context["samples"]
    assert (context["evse"], context["fault"]) == (1, "residual_current")
    assert -60 <= samples[0]["s"] < -45 and samples[-1]["s"] > -15 and len(samples) <= 64
    first = {name: samples[0][name] for name in ("pilot", "offered_a", "A2", "V2", "celsius", "tx")}
    assert first == {"pilot": "C", "offered_a": 32.0, "A2": 32.0, "V2": 230.0, "celsius": {"cable": 41.5},
                     "tx": world.csms.transaction(1).id}  # fmt: skip
    decisions = [text for _, level, topic, text in world.notes if topic == "limit"]
    assert any("EVSE 1: 32 A" in text for text in decisions) and "contactor open" in decisions[-1]


@req("N07.FR.05")
def test_a_monitor_that_a_fault_sets_off_names_it_as_its_cause(world: World) -> None:
    status, problem = watch(world, "EVSE.AvailabilityState@2"), watch(world, "EVSE.Problem@2")
    other = watch(world, AVAILABILITY)
    world.hear(FaultRaised(2, "over_voltage"))
    world.ev(1).plugs_in()
    world.runs(seconds=10)
    (fault,) = told(world)
    for id in (status, problem):
        assert [event["cause"] for event in events(world, id)] == [fault["eventId"]]
    assert [event.get("cause") for event in events(world, other)] == [None]


def test_a_fault_that_flutters_does_not_flood(world: World) -> None:
    for _ in range(60):
        world.hear(FaultRaised(2, "under_voltage"))
        world.runs(ms=250)
        world.hear(FaultCleared(2, "under_voltage"))
        world.runs(ms=250)
    world.runs(seconds=20)
    assert 2 <= len(told(world)) <= 8 and told(world)[-1].get("cleared")
    assert [bool(e.get("cleared")) for e in told(world)] == [n % 2 == 1 for n in range(len(told(world)))]


@req("N05.FR.03")
def test_the_level_holds_for_faults_too(world: World) -> None:
    level(world, 2)
    world.hear(FaultRaised(2, "over_voltage"))
    world.runs(seconds=10)
    assert told(world) == []
    level(world, 3)
    world.runs(seconds=2)
    assert len(told(world)) == 1


def test_faults_are_told_when_monitoring_is_switched_off(world: World) -> None:
    set_variable(world, "MonitoringCtrlr.Enabled", "false")
    base(world, "HardWiredOnly")
    world.hear(FaultRaised(2, "ground"))
    world.runs(seconds=10)
    assert len(told(world)) == 1


# ---------------------------------------------------------------------------------------- offline and boot


@req("N07.FR.04")
def test_a_fault_of_an_outage_is_told_after_it_with_its_own_time(world: World) -> None:
    world.csms.vanishes()
    world.runs(seconds=30)
    world.hear(FaultRaised(2, "ground"))
    world.runs(minutes=5)
    world.hear(FaultCleared(2, "ground"))
    back_online(world)
    begins, is_over = told(world)
    assert begins["timestamp"] == "2026-03-01T12:00:50Z" and is_over["timestamp"] == "2026-03-01T12:05:50Z"


@req("N07.FR.04")
def test_a_fault_that_stands_at_boot_tells_why_the_connector_is_faulted() -> None:
    """Bug 21 of real chargers: told before the acceptance, dropped, and never said again."""
    world = World(TWO, keys=QUIET)
    world.csms.boots("Pending", 60)
    world.runs(seconds=5)
    world.hear(FaultRaised(2, "ground"))
    world.runs(minutes=5)
    world.csms.boots("Accepted")
    world.runs(minutes=5)
    assert (2, "Faulted") in statuses(world) and [short(e)[:3] for e in told(world)] == [
        ("GroundIsolationProtection.Problem", 2, "CX002")
    ]
    world.kills_agent("none").returns_after(seconds=5)
    world.runs(seconds=5)
    world.hear(FaultRaised(2, "ground"))
    world.runs(seconds=90)
    assert [short(e)[4] for e in told(world)] == [False, False]


@req("N07.FR.14")
def test_a_fault_that_a_reboot_has_cured_is_cleared(world: World) -> None:
    world.hear(FaultRaised(2, "device_error"))
    world.runs(seconds=20)
    world.loses_power("none").returns_after(seconds=20)
    world.runs(minutes=3)
    assert [short(e)[4] for e in told(world)] == [False, True]
    assert get_variable(world, "ChargingStation.Problem") == "false"


def test_bug_30_safe_mode_is_not_faulted_but_is_told(world: World) -> None:
    """Bug 30 of real chargers."""
    world.hear(FaultRaised(2, "derating"))
    world.runs(seconds=10)
    assert short(told(world)[0]) == ("TemperatureSensor.Active", 2, "CX003", "true", False)
    assert (2, "Faulted") not in statuses(world)


# ---------------------------------------------------------------------------------------- hard-wired monitors


def hard_wired(world: World) -> int:
    """The id of the monitor that the firmware brings along for events that the CSMS never took: told first."""
    row = report(world)[0]
    assert row["variable"]["name"] == "EventsSetAside"
    return int(row["variableMonitoring"][0]["id"])


@req("N04.FR.18", "N06.FR.03", "N03.FR.05")
def test_a_hard_wired_monitor_can_neither_be_changed_nor_removed(world: World) -> None:
    id = hard_wired(world)
    (refused,) = set_monitors(world, wish("RecoveryCtrlr.EventsSetAside", "Delta", 100, id=id))
    assert refused["status"] == "Rejected"
    answer = world.csms_asks("ClearVariableMonitoring", {"id": [id]})
    assert answer["clearMonitoringResult"][0]["status"] == "Rejected"
    base(world, "HardWiredOnly")
    assert hard_wired(world) == id


def test_an_event_that_the_csms_never_took_is_told() -> None:
    """Bug 20 of real chargers: the poisoned message is set aside, and somebody hears of it."""
    world = idle([raw(32)], keys={**QUIET, "OCPPCommCtrlr.MessageAttempts[TransactionEvent]": "1"})
    id = hard_wired(world)
    world.csms.fails("TransactionEvent", 2)
    world.ev(1).plugs_in().presents(CARD)
    world.runs(minutes=2)
    found = events(world, id)
    assert found and found[-1]["actualValue"] == "2" and found[0]["eventNotificationType"] == "HardWiredMonitor"
