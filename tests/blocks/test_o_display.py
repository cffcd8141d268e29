"""O01 to O06: messages of the CSMS, and what the display shows."""

from __future__ import annotations

from typing import Any

import pytest

from agent.core.instant import rfc3339
from agent.core.site import DisplaySite
from hal.ports import FaultRaised
from tests.blocks.stories import CARD, QUIET, charge, charging, idle, remote_start, set_variable
from tests.marks import req
from tests.sim.outlet import raw
from tests.sim.world import World


def shown(world: World) -> list[str]:
    return [page.text for page in world.screens["front"].pages]


def sets(world: World, number: int, text: str = "Hello", priority: str = "NormalCycle", **more: Any) -> dict[str, Any]:
    """SetDisplayMessage; `format` and `language` belong to the message, the rest to MessageInfo."""
    content = {"format": more.pop("format", "UTF8"), "content": text}
    if "language" in more:
        content["language"] = more.pop("language")
    info = {"id": number, "priority": priority, "message": content, **more}
    return world.csms_asks("SetDisplayMessage", {"message": info})


def status(world: World, number: int, *args: Any, **more: Any) -> str:
    return str(sets(world, number, *args, **more)["status"])


def found(world: World, **criteria: Any) -> tuple[str, list[dict[str, Any]]]:
    """GetDisplayMessages, and the messages that were told because of it."""
    before = len(world.csms.requests("NotifyDisplayMessages"))
    answer = world.csms_asks("GetDisplayMessages", {"requestId": 77, **criteria})
    world.runs(seconds=3)
    parts = world.csms.requests("NotifyDisplayMessages")[before:]
    assert all(part["requestId"] == 77 for part in parts)
    assert [part.get("tbc", False) for part in parts] == [True] * (len(parts) - 1) + [False] * bool(parts)
    return str(answer["status"]), [info for part in parts for info in part["messageInfo"]]


def at(world: World, seconds: float) -> str:
    utc = world.clock.utc_ms
    return rfc3339(round(utc + seconds * 1000))


@req("O01.FR.12", "O01.FR.13", "O01.FR.14", "O01.FR.15", "O01.FR.16")
def test_the_front_most_rotation_is_shown() -> None:
    world = idle()
    assert status(world, 1, "one") == status(world, 2, "two") == "Accepted"
    assert shown(world) == ["one", "two"]
    assert status(world, 3, "three", "InFront") == status(world, 4, "four", "InFront") == "Accepted"
    assert shown(world) == ["three", "four"]
    assert status(world, 5, "five", "AlwaysFront") == "Accepted"
    assert shown(world) == ["five"]
    assert status(world, 6, "six", "AlwaysFront") == "Accepted"
    assert shown(world) == ["six"]
    assert found(world, id=[5]) == ("Unknown", [])


@req("O01.FR.01", "O01.FR.03", "O02.FR.01", "O02.FR.03", "O02.FR.05")
def test_refusals_name_what_is_wrong_and_change_nothing() -> None:
    world = idle(keys={"DisplayMessageCtrlr.SupportedPriorities": "InFront,NormalCycle"})
    assert status(world, 1, "x", "AlwaysFront") == "NotSupportedPriority"
    assert status(world, 1, "<b>x</b>", format="HTML") == "NotSupportedMessageFormat"
    assert status(world, 1, "x", transactionId="none such") == "UnknownTransaction"
    assert status(world, 1, "x", startDateTime=at(world, 60), endDateTime=at(world, 30)) == "Rejected"
    assert set_variable(world, "DisplayMessageCtrlr.Enabled", "false") == "Accepted"
    assert status(world, 1) == "Rejected"
    assert shown(world) == [] and found(world) == ("Unknown", [])


@req("O01.FR.06", "O01.FR.07", "O02.FR.06", "O02.FR.07")
def test_start_and_end_are_kept_to_the_second() -> None:
    world = idle()
    assert status(world, 1, startDateTime=at(world, 60), endDateTime=at(world, 120)) == "Accepted"
    assert found(world)[0] == "Accepted"
    world.runs(seconds=50)
    assert shown(world) == []
    world.runs(seconds=20)
    assert shown(world) == ["Hello"]
    world.runs(seconds=60)
    assert shown(world) == [] and found(world) == ("Unknown", [])


@req("O01.FR.10", "O02.FR.10")
def test_messages_survive_a_power_cut() -> None:
    world = idle()
    assert status(world, 1, "kept") == status(world, 2, "cleared") == "Accepted"
    assert world.csms_asks("ClearDisplayMessage", {"id": 2})["status"] == "Accepted"
    world.loses_power().returns_after(seconds=30).runs(minutes=2)
    assert shown(world) == ["kept"] and len(found(world)[1]) == 1


@req("O01.FR.11", "O02.FR.11", "O06.FR.01", "O03.FR.01", "O03.FR.02", "O03.FR.03", "O03.FR.04", "O03.FR.05")
def test_as_many_as_the_key_says_and_replacing_costs_nothing() -> None:
    world = idle()
    told = [status(world, number, f"text {number}") for number in range(1, 52)]
    assert told == ["Accepted"] * 50 + ["Rejected"]
    assert status(world, 50, "another") == "Accepted"
    answer, messages = found(world)
    assert answer == "Accepted" and [m["id"] for m in messages] == list(range(1, 51))
    assert messages[49]["message"]["content"] == "another"


@req("O03.FR.06", "O04.FR.01", "O04.FR.02", "O04.FR.03", "O04.FR.04", "O04.FR.05", "O04.FR.06", "O04.FR.07")
def test_criteria_must_all_be_met() -> None:
    world = idle()
    assert found(world) == ("Unknown", []) and found(world, id=[1]) == ("Unknown", [])
    sets(world, 1, state="Charging")
    sets(world, 2, priority="InFront")
    assert [m["id"] for m in found(world, id=[1, 2])[1]] == [1, 2]
    assert [m["id"] for m in found(world, priority="InFront")[1]] == [2]
    assert [m["id"] for m in found(world, state="Charging")[1]] == [1]
    assert found(world, id=[2], state="Charging") == ("Unknown", [])


@req("O05.FR.01", "O05.FR.02")
def test_a_message_is_cleared_once() -> None:
    world = idle()
    sets(world, 1)
    assert world.csms_asks("ClearDisplayMessage", {"id": 1})["status"] == "Accepted"
    assert shown(world) == []
    assert world.csms_asks("ClearDisplayMessage", {"id": 1})["status"] == "Unknown"


@req("O02.FR.02", "O02.FR.14", "O02.FR.15", "O02.FR.16", "O02.FR.17", "O02.FR.18")
def test_a_message_for_a_transaction_ends_with_it() -> None:
    world = charging(keys=QUIET)
    tx = world.csms.transaction(1).id
    assert status(world, 1, "general") == "Accepted"
    for number, text in ((2, "two"), (3, "three")):
        assert status(world, number, text, "InFront", transactionId=tx) == "Accepted"
    assert shown(world) == ["two", "three"]
    assert status(world, 4, "first", "AlwaysFront", transactionId=tx) == "Accepted"
    assert status(world, 5, "second", "AlwaysFront", transactionId=tx) == "Accepted"
    assert shown(world) == ["second"] and found(world, id=[4])[0] == "Unknown"
    world.ev(1).presents(CARD).unplugs()
    world.runs(minutes=1)
    assert shown(world) == ["general"] and [m["id"] for m in found(world)[1]] == [1]


@req("O01.FR.12")
def test_states_follow_the_station() -> None:
    world = idle()
    for number, state in enumerate(("Charging", "Idle", "Faulted"), 1):
        sets(world, number, state, state=state)
    assert shown(world) == ["Idle"]
    charge(world)
    assert shown(world) == ["Charging"]
    world.hear(FaultRaised(1, "emergency_stop"))
    world.runs(seconds=5)
    assert shown(world) == ["Idle", "Faulted"]


@req("O01.FR.08", "O01.FR.09", "O01.FR.17", "O02.FR.08", "O02.FR.09", "O02.FR.12")
@pytest.mark.parametrize(("language", "read"), [("de-AT", ["Hallo"]), ("fr", ["Hello"]), (None, ["Hello", "Hallo"])])
def test_the_drivers_language_or_english(language: str | None, read: list[str]) -> None:
    world = idle()
    known: dict[str, Any] = {"status": "Accepted"} | ({"language1": language} if language else {})
    world.csms.answers("Authorize", lambda _: {"idTokenInfo": known})
    sets(world, 1, "Hello", language="en-GB")
    sets(world, 2, "Hallo", language="de")
    charge(world)
    assert shown(world) == read


@req("C01.FR.08", "C01.FR.09", "C01.FR.12", "C01.FR.13", "C01.FR.17", "C04.FR.05", "C05.FR.04")
@pytest.mark.parametrize("way", ["ISO14443", "KeyCode", "Central"])
@pytest.mark.parametrize(
    ("first", "second", "read"), [("de-AT", "fr", "Hallo"), ("fr", "de", "Hallo"), ("fr", "it-IT", "Hello")]
)
def test_the_first_language_of_the_driver_else_the_second_else_english(
    way: Any, first: str, second: str, read: str
) -> None:
    world = idle()
    world.csms.token_info["*"] = {"status": "Accepted", "language1": first, "language2": second}
    sets(world, 1, "Hello", language="en-GB")
    sets(world, 2, "Hallo", language="de")
    world.ev(1).plugs_in()
    if way == "Central":
        world.runs(seconds=3)
        remote_start(world, 1, type="Central", evseId=1)
    else:
        world.ev(1).presents("123456", kind=way)
    world.runs(seconds=30)
    assert shown(world) == [read]


@req("O01.FR.20", "O01.FR.22", "O01.FR.23")
def test_a_message_for_one_display_and_for_an_unknown_one() -> None:
    world = World((raw(32),), displays=(DisplaySite("front"), DisplaySite("side", 1))).runs(seconds=20)
    assert status(world, 1, display={"name": "Display", "instance": "side"}) == "Accepted"
    assert shown(world) == [] and [page.text for page in world.screens["side"].pages] == ["Hello"]
    assert status(world, 2, display={"name": "Display", "instance": "roof"}) == "Rejected"
    assert status(world, 3, "all") == "Accepted"
    assert shown(world) == ["all"]


def test_without_a_display_nothing_is_pretended() -> None:
    world = World((raw(32),), displays=()).runs(seconds=20)
    answer = world.csms.sends("SetDisplayMessage", {"message": {
        "id": 1, "priority": "InFront", "message": {"format": "UTF8", "content": "x"},
    }})  # fmt: skip
    world.runs(seconds=2)
    assert answer.error is not None and answer.error[0] == "NotSupported"


@req("O01.FR.21")
def test_every_display_is_a_component_that_a_message_can_name() -> None:
    world = World((raw(32),), displays=(DisplaySite("front"), DisplaySite("side", 1))).runs(seconds=20)
    world.csms_asks("GetBaseReport", {"requestId": 5, "reportBase": "FullInventory"})
    world.runs(seconds=60)
    rows = [row for page in world.csms.requests("NotifyReport") for row in page["reportData"]]
    there = [row["component"] for row in rows if row["variable"]["name"] == "Available"]
    found = [component for component in there if component["name"] == "Display"]
    side = {"name": "Display", "instance": "side", "evse": {"id": 1}}
    assert found == [{"name": "Display", "instance": "front"}, side]
    assert [status(world, n, "hello", display=component) for n, component in enumerate(found)] == ["Accepted"] * 2
