"""B05: new values are checked as a whole, come into force together with the flash, and give way when starts fail."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from random import Random
from typing import Any

import pytest

from agent.core.events import Asked
from agent.core.site import Site
from agent.station import Station
from config_keys.key import Key
from config_keys.values import Values, format_name
from tests.blocks.stories import get_variable, heard, idle, name, set_variable
from tests.marks import req
from tests.sim.outlet import raw, smart
from tests.sim.world import World

HEARTBEAT = "OCPPCommCtrlr.HeartbeatInterval"
MINIMUM = "OCPPCommCtrlr.RetryBackOffWaitMinimum"
RANDOM = "OCPPCommCtrlr.RetryBackOffRandomRange"
THRESHOLD = "OCPPCommCtrlr.OfflineThreshold"


def set_all(world: World, values: Mapping[str, str]) -> list[str]:
    """One SetVariables; the statuses in order."""
    data = [{**name(variable), "attributeValue": value} for variable, value in values.items()]
    results = world.csms_asks("SetVariables", {"setVariableData": data})["setVariableResult"]
    return [result["attributeStatus"] for result in results]


# ---------------------------------------------------------------------------------------- as a whole


@req("B05.FR.09", "B05.FR.10")
def test_values_that_contradict_each_other_are_refused_together_and_nothing_of_them_is_in_force() -> None:
    world = idle()
    assert set_all(world, {MINIMUM: "0", THRESHOLD: "33", RANDOM: "0"}) == ["Rejected", "Accepted", "Rejected"]
    assert [get_variable(world, v) for v in (MINIMUM, THRESHOLD, RANDOM)] == ["10", "33", "10"]


@req("B05.FR.09")
def test_a_value_that_contradicts_what_is_in_force_is_refused_with_the_reason() -> None:
    world = idle()
    assert set_variable(world, MINIMUM, "0") == "Accepted"
    answer = world.csms_asks("SetVariables", {"setVariableData": [{**name(RANDOM), "attributeValue": "0"}]})
    refused = answer["setVariableResult"][0]
    assert refused["attributeStatus"] == "Rejected"
    assert MINIMUM in refused["attributeStatusInfo"]["additionalInfo"]


@req("B05.FR.10")
def test_values_that_only_fit_together_are_taken_together() -> None:
    world = idle(keys={MINIMUM: "0", RANDOM: "5"})
    assert set_all(world, {RANDOM: "0", MINIMUM: "7"}) == ["Accepted", "Accepted"]
    assert [get_variable(world, v) for v in (MINIMUM, RANDOM)] == ["7", "0"]


# ---------------------------------------------------------------------------------------- with the flash


@req("B05.FR.10")
def test_what_could_not_be_kept_does_not_hold_now_and_not_after_a_reboot() -> None:
    world = idle()
    assert set_variable(world, THRESHOLD, "70") == "Accepted"
    world.disk.full = True
    for value in ("71", "72"):
        world.csms.sends("SetVariables", {"setVariableData": [{**name(THRESHOLD), "attributeValue": value}]})
    world.runs(seconds=10)
    assert world.asks_station("config.get", name=THRESHOLD)["value"] == "70"
    with pytest.raises(AssertionError, match="cannot store it now"):
        world.asks_station("config.set", name=THRESHOLD, value="73")
    world.disk.full = False
    world.runs(seconds=30)
    world.kills_agent("all").returns_after(seconds=5)
    world.runs(seconds=60)
    assert get_variable(world, THRESHOLD) == "70"


# ---------------------------------------------------------------------------------------- on trial


class Failing:
    """Builds the station as a process does whose starts before this one have failed `times` times."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, site: Site, presets: Mapping[str, str], stored: Mapping[str, Mapping[str, Any]]) -> Station:
        return Station(site, presets, stored, failed_starts=self.times)


def restarts(world: World, live_s: float) -> None:
    """The process dies, comes back, and lives for a while."""
    world.kills_agent("all").returns_after(seconds=5)
    world.runs(seconds=5 + live_s)


def test_values_give_way_to_those_before_them_after_failed_starts_and_it_is_reported() -> None:
    starts = Failing()
    world = idle(build=starts)
    assert set_variable(world, THRESHOLD, "70") == "Accepted"
    restarts(world, live_s=400)
    set_all(world, {THRESHOLD: "71", HEARTBEAT: "77"})
    set_variable(world, THRESHOLD, "72")
    starts.times = 2
    restarts(world, live_s=60)
    assert get_variable(world, THRESHOLD) == "72", "two failed starts are no proof"
    starts.times = 3
    restarts(world, live_s=60)
    assert get_variable(world, THRESHOLD) == "70"
    assert str(get_variable(world, "RecoveryCtrlr.QuarantinedKeys")).split(",") == [HEARTBEAT, THRESHOLD]
    events = [event for _, payload in heard(world, "NotifyEvent") for event in payload["eventData"]]
    [told] = [event for event in events if event["variable"]["name"] == "QuarantinedKeys"]
    assert told["actualValue"] == f"{HEARTBEAT},{THRESHOLD}"
    assert told["eventNotificationType"] == "HardWiredNotification"
    assert any(topic == "config" and THRESHOLD in text for _, level, topic, text in world.notes if level == "error")
    starts.times = 0
    restarts(world, live_s=60)
    assert get_variable(world, THRESHOLD) == "70", "for good"
    assert get_variable(world, "RecoveryCtrlr.QuarantinedKeys") == ""


def test_a_value_that_a_start_has_lived_with_stays_whatever_happens_later() -> None:
    starts = Failing()
    world = idle(build=starts)
    set_variable(world, THRESHOLD, "70")
    world.runs(minutes=10)
    restarts(world, live_s=301)
    starts.times = 5
    restarts(world, live_s=60)
    assert get_variable(world, THRESHOLD) == "70"


def test_a_value_that_no_start_has_seen_yet_is_on_trial_however_long_ago_it_was_set() -> None:
    starts = Failing()
    world = idle(build=starts)
    set_variable(world, THRESHOLD, "70")
    world.runs(hours=3)
    starts.times = 3
    restarts(world, live_s=60)
    assert get_variable(world, THRESHOLD) == "60"


# ---------------------------------------------------------------------------------------- anything


ODD = ("", " ", "0", "-1", "1e9", "NaN", "true", "FALSE", "null", "\x00", "é" * 40, "9" * 40, "a,b,,c", "x" * 99, "1.5")
ROUNDS, VALUES = 25, 8
"""Every key gets 200 values, and a reboot after each eight."""


def candidates(values: Values, key: Key[Any], place: Any, rng: Random) -> list[str]:
    """Values at and around the bounds of a key, members of its list, and what no key expects."""
    type_ = values.type_of(key, *place)
    low, high = type_.min_limit, type_.max_limit
    found = [*ODD, values.text(key, *place), str(rng.randint(-5, 100_000))]
    found += [str(bound + step) for bound in (low, high) if bound is not None for step in (-1, 0, 1)]
    listed = list(type_.values_list)
    found += [*listed, ",".join(listed), ",".join(rng.sample(listed, rng.randint(0, len(listed))))]
    found.append("".join(chr(rng.randint(32, 126)) for _ in range(rng.randint(1, 60))))
    return found


def has_booted(world: World, before: int) -> bool:
    """The CSMS has heard one BootNotification more."""
    return len(world.csms.requests("BootNotification")) > before


@req("B05.FR.07", "B05.FR.08", "B05.FR.09", "B05.FR.10")
@pytest.mark.parametrize("seed", [1])
def test_config_fuzz_then_reboot(seed: int) -> None:
    """Bug 17: whatever was written, the station comes back, accepted, and with what it had accepted."""
    rng = Random(seed)
    world = idle((smart(16), raw(32, cable="socket")), seed=seed)
    for _ in range(ROUNDS):
        station = world.station
        assert isinstance(station, Station)
        values = station.charger.keys
        slots = [(key, *place) for key in values.declared() if values.is_writable(key) for place in values.places(key)]
        for slot in slots:
            for text in rng.choices(candidates(values, slot[0], slot[1:], rng), k=VALUES):
                world.hear(Asked(0, "config.set", {"name": format_name(*slot), "value": text}))
        kept = {slot: values.text(*slot) for slot in slots}
        world.runs(seconds=2)
        boots = len(world.csms.requests("BootNotification"))
        (world.loses_power("all") if rng.random() < 0.5 else world.kills_agent("all")).returns_after(seconds=5)
        world.until(partial(has_booted, world, boots), within_s=60)
        after = world.station
        assert isinstance(after, Station)
        assert {slot: after.charger.keys.text(*slot) for slot in slots} == kept
    world.settles()
