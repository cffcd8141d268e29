"""The configuration for people: compared with the factory's, exported, and imported whole or not at all."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.blocks.stories import idle
from tests.sim.outlet import raw, smart
from tests.sim.world import World

INTERVAL = "SampledDataCtrlr.TxUpdatedInterval"
LIMIT = "FallbackCtrlr.OfflineLimit"
MINIMUM = "OCPPCommCtrlr.RetryBackOffWaitMinimum"
RANDOM = "OCPPCommCtrlr.RetryBackOffRandomRange"


def twin(**options: Any) -> World:
    """Two EVSEs."""
    return idle((smart(16), raw(32, cable="socket")), **options)


def value(world: World, name: str) -> str:
    """chargerctl config get."""
    return str(world.asks_station("config.get", name=name)["value"])


def take_over(world: World, keys: dict[str, Any], **options: bool) -> dict[str, Any]:
    """chargerctl config import."""
    file = json.dumps({"format": "chargerd-config/1", "keys": keys})
    answer: dict[str, Any] = world.asks_station("config.import", file=file, **options)
    return answer


def refusal(world: World, file: str) -> str:
    """Why an import is refused."""
    with pytest.raises(AssertionError) as refused:
        world.asks_station("config.import", file=file)
    return str(refused.value)


def test_the_difference_is_what_somebody_changed() -> None:
    world = twin(keys={LIMIT: "8"})
    assert world.asks_station("config.diff") == []
    world.asks_station("config.set", name=INTERVAL, value="30")
    world.asks_station("config.set", name="LimitCtrlr.EvseMaxCurrent@2", value="20")
    world.asks_station("config.set", name=LIMIT, value="10")
    assert {(row["name"], row["value"]) for row in world.asks_station("config.diff")} == {
        (INTERVAL, "30"), ("LimitCtrlr.EvseMaxCurrent@2", "20"), (LIMIT, "10"),
    }  # fmt: skip
    world.asks_station("config.set", name=LIMIT, value="8")
    assert LIMIT not in str(world.asks_station("config.diff"))


@pytest.mark.parametrize("by_old_names", [False, True])
def test_an_export_is_compared_by_meaning_not_by_spelling(by_old_names: bool) -> None:
    world = twin()
    export = world.asks_station("config.export", names_1_6=by_old_names)
    assert world.asks_station("config.diff", file=json.dumps(export)) == []
    world.asks_station("config.set", name=INTERVAL, value="30")
    export["keys"] |= {LIMIT: export["keys"][LIMIT] + ".0", "No.Such": "1", "ChargingStation.Model": "x"}
    del export["keys"]["LimitCtrlr.EvseMaxCurrent@2"]
    found = world.asks_station("config.diff", file=json.dumps(export))
    assert [(row["name"], row["value"], row["file"]) for row in found] == [
        (INTERVAL, "30", "60"), ("LimitCtrlr.EvseMaxCurrent@2", "80", None),
        ("ChargingStation.Model", "Twin", "x"), ("No.Such", None, "1"),
    ]  # fmt: skip
    with pytest.raises(AssertionError, match="expected an export"):
        world.asks_station("config.diff", file="{}")


@pytest.mark.parametrize("by_old_names", [False, True])
def test_an_export_makes_another_charger_the_same(by_old_names: bool) -> None:
    one, other = twin(), twin(seed=2, keys={INTERVAL: "45"})
    one.asks_station("config.set", name=INTERVAL, value="30")
    one.asks_station("config.set", name="LimitCtrlr.EvseMaxCurrent@2", value="20")
    one.asks_station("config.set", name="TxCtrlr.TxStopPoint", value="EVConnected")
    export = one.asks_station("config.export", names_1_6=by_old_names)
    assert ("MeterValueSampleInterval" in export["keys"]) is by_old_names
    done = other.asks_station("config.import", file=json.dumps(export))
    assert {change["name"] for change in done["changed"]} == {
        "MeterValueSampleInterval" if by_old_names else INTERVAL, "LimitCtrlr.EvseMaxCurrent@2", "TxCtrlr.TxStopPoint",
    }  # fmt: skip
    assert other.asks_station("config.export", names_1_6=by_old_names)["keys"] == export["keys"]
    other.kills_agent("all").returns_after(seconds=5)
    other.runs(seconds=60)
    assert other.asks_station("config.export", names_1_6=by_old_names)["keys"] == export["keys"], "kept"


def test_an_export_has_no_secret_and_nothing_that_belongs_to_one_station() -> None:
    keys = twin().asks_station("config.export")["keys"]
    assert not {"SecurityCtrlr.BasicAuthPassword", "SecurityCtrlr.Identity"} & keys.keys()
    assert "ChargingStation.Model" not in keys, "what cannot be written is not carried over"


def test_an_import_is_checked_as_a_whole_and_everything_wrong_is_told_at_once() -> None:
    world = twin()
    wrong = {
        INTERVAL: "30", LIMIT: "900", "FallbackCtrlr.OfflneGrace": "3", "LimitCtrlr.EvseMaxCurrent@7": "16",
        "ChargingStation.Model": "Other", MINIMUM: "0", RANDOM: "0",
    }  # fmt: skip
    why = refusal(world, json.dumps({"format": "chargerd-config/1", "keys": wrong}))
    assert "nothing was changed" in why
    assert "0 to 80" in why and "did you mean FallbackCtrlr.OfflineGrace" in why
    assert "LimitCtrlr.EvseMaxCurrent@1, LimitCtrlr.EvseMaxCurrent@2" in why
    assert "ChargingStation.Model" in why and "cannot both be 0" in why
    assert value(world, INTERVAL) == "60"


@pytest.mark.parametrize(
    "file",
    ["", "{", "[]", '{"keys": {}}', '{"format": "chargerd-config/1"}', '{"format": "chargerd-config/1", "keys": [1]}'],
)
def test_what_is_no_export_is_refused(file: str) -> None:
    assert ("expected" if len(file) > 1 else "no JSON") in refusal(idle(), file)


def test_a_dry_run_tells_and_changes_nothing() -> None:
    world = twin()
    told = take_over(world, {INTERVAL: "30", LIMIT: "6.0"}, dry_run=True)
    assert [(c["name"], c["old"], c["value"]) for c in told["changed"]] == [(INTERVAL, "60", "30")]
    assert told["unchanged"] == 1 and value(world, INTERVAL) == "60"


def test_what_another_model_has_can_be_left_out() -> None:
    world = idle()
    told = take_over(
        world, {INTERVAL: "30", "LimitCtrlr.EvseMaxCurrent@2": "20", "ChargingStation.Model": "x"}, ignore_missing=True
    )
    assert set(told["left_out"]) == {"LimitCtrlr.EvseMaxCurrent@2", "ChargingStation.Model"}
    assert value(world, INTERVAL) == "30"
    with pytest.raises(AssertionError, match="0 to 80"):
        take_over(world, {LIMIT: "900"}, ignore_missing=True)


def test_what_needs_a_reboot_says_so() -> None:
    world = twin()
    connection = {
        "ocppVersion": "OCPP20", "ocppTransport": "JSON", "ocppCsmsUrl": "ws://other.example/ocpp",
        "messageTimeout": 25, "securityProfile": 1, "ocppInterface": "Wired0",
    }  # fmt: skip
    world.csms_asks("SetNetworkProfile", {"configurationSlot": 1, "connectionData": connection})
    told = take_over(world, {"OCPPCommCtrlr.NetworkConfigurationPriority": "0,1"})
    assert [change["status"] for change in told["changed"]] == ["RebootRequired"]
