"""The screens of chargerctl, from what a real station answers in a simulated world."""

from __future__ import annotations

import pytest

from agent import cli_screens as screens
from tests.sim.world import World


@pytest.fixture(scope="module")
def charging() -> World:
    """EVSE 1 charges, EVSE 2 is free, the CSMS has accepted."""
    world = World().runs(seconds=20)
    world.ev(1).plugs_in().presents("04AABBCC")
    return world.runs(minutes=3)


def test_the_status_screen_shows_what_a_person_looks_for(charging: World) -> None:
    screen = screens.status(charging.asks_station("status"))
    for expected in ("Open Chargers Twin", "connected for", "accepted", "EVSE 1", "EVSE 2", "closed", "Meter"):
        assert expected in screen, screen
    assert "A because of" in screen
    assert "04AABBCC" in screen
    assert "\x1b" not in screen


def test_the_status_screen_of_a_station_that_has_seen_nothing_yet() -> None:
    screen = screens.status(World(network=False).runs(ms=10).asks_station("status"))
    assert "none configured, standalone" in screen
    assert "no reading yet" in screen


def test_why_begins_with_the_winner(charging: World) -> None:
    first, *rest = screens.why(charging.asks_station("why", evse=1)).splitlines()
    assert first.startswith("EVSE 1: ")
    assert "because of" in first
    assert any("nameplate" in line for line in rest)


def test_why_shows_the_end_of_a_limit() -> None:
    claims = [{"owner": "external EMS", "amps": 16.0, "why": "16 A", "until": "2026-01-31T12:00:00.000Z", "then": 6.0},
              {"owner": "operator", "amps": 20.0, "why": "", "left_s": 65, "then": 0.0}]  # fmt: skip
    told = {"evse": 1, "amps": 16.0, "owner": "external EMS", "commanded_amps": 16.0, "session": "powered"}
    *_, first, second = screens.why([told | {"claims": claims}]).splitlines()
    assert first.endswith("16 A  external EMS until 2026-01-31T12:00:00.000Z, then 6 A: 16 A")
    assert second.endswith("20 A  operator for 1 min 5 s, then 0 A")


def test_variables_are_a_table_and_one_value_is_bare(charging: World) -> None:
    table = screens.variables(charging.asks_station("config.list", search="OfflineLimit")).splitlines()
    assert table[0].split()[:3] == ["NAME", "VALUE", "ACCESS"]
    assert any(line.split()[:3] == ["FallbackCtrlr.OfflineLimit", "6", "A"] for line in table)
    name = "FallbackCtrlr.OfflineLimit"
    assert screens.value(charging.asks_station("config.get", name=name)) == "6"
    assert screens.written(charging.asks_station("config.set", name=name, value="8")) == f"{name} = 8"


def test_transactions_and_meters(charging: World) -> None:
    running = charging.asks_station("tx.list")
    assert running["running"][0]["id"] in screens.transactions(running)
    meters = screens.meters(charging.asks_station("meter.read"))
    assert "EVSE 1" in meters
    assert "kWh" in meters
    assert " V" in meters
    assert screens.meters([{"evse": 1, "point": "power", "value": "5"}]).splitlines()[0] == "EVSE  POINT  VALUE"


def test_faults(charging: World) -> None:
    assert screens.faults(charging.asks_station("fault.list")) == "no faults"
    text = screens.faults([{"evse": 1, "code": "ground_fault", "detail": "F17"}])
    assert text == "EVSE 1: ground_fault (F17)"


@pytest.mark.parametrize(
    ("seconds", "text"), [(5, "5 s"), (65, "1 min 5 s"), (7300, "2 h 1 min"), (200_000, "2 d 7 h")]
)
def test_durations(seconds: int, text: str) -> None:
    assert screens.duration(seconds) == text


def test_energy_is_exact_to_the_watt_hour_and_odd_text_is_shown_as_it_is() -> None:
    assert screens.kwh("12345678.4") == "12345.678 kWh"
    assert screens.kwh("??") == "??"
    assert screens.kwh(None) == ""
