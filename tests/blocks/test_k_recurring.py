"""Recurring profiles give their limit on the right weekday and at the same UTC second, whatever the calendar does."""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.blocks.stories import CARD, QUIET, idle, install, profile
from tests.marks import req
from tests.sim.world import World

KEYS = {**QUIET, "FallbackCtrlr.OfflineLimit": "32", "ClockCtrlr.TimeZone": "Europe/Berlin"}
HOUR_S = 3600


def ahead_s(world: World, moment: str) -> float:
    """How long it is until then (RFC 3339)."""
    return datetime.fromisoformat(moment).timestamp() - world.clock.utc_ms / 1000


def across(world: World, moment: str, *, offline: bool) -> tuple[float, float]:
    """What is offered a second before `moment` and a second after it, in a session that began three minutes before.

    Until ten minutes before, the station is switched off; it knows the profile and the time from before.
    """
    world.loses_power().returns_after(seconds=ahead_s(world, moment) - 600)
    world.runs(seconds=ahead_s(world, moment) - 180)
    world.ev(1).plugs_in().presents(CARD)
    world.until(lambda: world.outlets[1].amps > 6, within_s=60)
    if offline:
        world.csms.vanishes()
    world.runs(seconds=ahead_s(world, moment) - 1)
    before = world.outlets[1].offered
    after = world.runs(seconds=2).outlets[1].offered
    world.ev(1).unplugs()
    world.csms.returns()
    world.runs(minutes=2)
    return before, after


@req("K01.FR.13", "K01.FR.07")
def test_a_weekly_profile_holds_on_its_weekday_and_returns_the_next_week() -> None:
    """2026-03-04 and 2026-03-11 are Wednesdays; the other six days are free."""
    world = idle(keys=KEYS)
    weekly = profile(1, (0, 9.0), startSchedule="2026-03-04T00:00:00Z", duration=24 * HOUR_S,
                     chargingProfileKind="Recurring", recurrencyKind="Weekly")  # fmt: skip
    assert install(world, 1, weekly) == {"status": "Accepted"}
    days = {"02": 32, "03": 32, "04": 9, "05": 32, "06": 32, "08": 32, "10": 32, "11": 9, "12": 32, "18": 9}
    seen = {day: across(world, f"2026-03-{day}T00:00:00Z", offline=False)[1] for day in days}
    assert seen == days
    assert across(world, "2026-03-26T00:00:00Z", offline=True) == (9, 32)
    world.settles()


@req("K01.FR.13", "K01.FR.07")
@pytest.mark.parametrize(
    "curve",
    [
        {"2026-03-02T00:00:00Z": (9, 12), "2026-03-31T22:00:00Z": (32, 9), "2026-04-01T00:00:00Z": (9, 12)},
        {"2026-03-28T22:00:00Z": (32, 9), "2026-03-29T01:00:00Z": (12, 20), "2026-03-29T05:00:00Z": (20, 20),
         "2026-03-29T06:00:00Z": (20, 32), "2026-03-29T21:00:00Z": (32, 32), "2026-03-29T22:00:00Z": (32, 9)},
        {"2026-10-24T21:00:00Z": (32, 32), "2026-10-24T22:00:00Z": (32, 9), "2026-10-25T00:00:00Z": (9, 12),
         "2026-10-25T01:00:00Z": (12, 20), "2026-10-25T06:00:00Z": (20, 32), "2026-10-25T22:00:00Z": (32, 9)},
        {"2026-12-31T22:00:00Z": (32, 9), "2027-01-01T00:00:00Z": (9, 12), "2028-02-29T00:00:00Z": (9, 12)},
    ],
    ids=["the end of a month", "summer begins", "summer ends", "the end of a year, and a leap day"],
)  # fmt: skip
def test_a_daily_profile_comes_every_24_hours_offline_too(curve: dict[str, tuple[float, float]]) -> None:
    """From 22:00 UTC for eight hours over midnight; a local clock of Berlin moves it neither forth nor back."""
    world = idle(keys=KEYS)
    daily = profile(1, (0, 9.0), (2 * HOUR_S, 12.0), (3 * HOUR_S, 20.0), startSchedule="2026-03-01T22:00:00Z",
                    duration=8 * HOUR_S, chargingProfileKind="Recurring", recurrencyKind="Daily")  # fmt: skip
    assert install(world, 1, daily) == {"status": "Accepted"}
    assert {moment: across(world, moment, offline=True) for moment in curve} == curve
    world.settles()
