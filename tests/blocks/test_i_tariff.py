"""I01 to I06: tariff and cost in front of the driver."""

from __future__ import annotations

from typing import Any

import pytest

from tests.blocks.stories import CARD, OFFLINE_FOR_ALL, QUIET, charge, charging, idle, set_variable
from tests.marks import req
from tests.sim.world import World

FALLBACK = {
    "TariffCostCtrlr.TariffFallbackMessage": "0.59 EUR/kWh",
    "TariffCostCtrlr.TotalCostFallbackMessage": "You get a bill",
}


def lines(world: World) -> tuple[str, ...]:
    return tuple(world.screens["front"].lines)


def text(content: str) -> dict[str, str]:
    return {"format": "UTF8", "content": content}


def greets(world: World, **info: Any) -> None:
    world.csms.answers("Authorize", lambda _: {"idTokenInfo": {"status": "Accepted", **info}})


def answers_events(world: World, **answer: Any) -> None:
    """The CSMS answers transaction events with this, and counts them as always."""

    def answered(payload: dict[str, Any]) -> dict[str, Any]:
        world.csms.record(payload)
        return answer

    world.csms.answers("TransactionEvent", answered)


@req("I01.FR.03", "I06.FR.03")
def test_the_drivers_tariff_and_its_update() -> None:
    world = idle(keys=FALLBACK)
    greets(world, personalMessage=text("0.40 EUR/kWh for you"))
    charge(world)
    assert lines(world) == ("0.40 EUR/kWh for you",)
    answers_events(world, updatedPersonalMessage=text("0.35 EUR/kWh from now on"))
    world.runs(minutes=2)
    assert lines(world) == ("0.35 EUR/kWh from now on",)


@req("I04.FR.01")
@pytest.mark.parametrize("online", [True, False])
def test_the_fallback_text_when_no_tariff_is_known(online: bool) -> None:
    world = idle(keys={**FALLBACK, **OFFLINE_FOR_ALL})
    if not online:
        world.csms.vanishes()
        world.runs(minutes=2)
    charge(world)
    assert lines(world) == ("0.59 EUR/kWh",)


@req("I02.FR.02", "I02.FR.03", "I02.FR.04")
def test_the_running_cost_from_either_message() -> None:
    world = charging()
    tx = world.csms.transaction(1).id
    assert world.csms_asks("CostUpdated", {"transactionId": tx, "totalCost": 1.234}) == {}
    assert lines(world) == ("1.23 EUR",)
    answers_events(world, totalCost=2.5)
    world.runs(minutes=2)
    assert lines(world) == ("2.50 EUR",)
    assert world.csms_asks("CostUpdated", {"transactionId": "unknown", "totalCost": 99}) == {}
    assert lines(world) == ("2.50 EUR",)


@req("I03.FR.01", "I03.FR.03")
@pytest.mark.parametrize("total", [7.2, 0])
def test_the_final_cost_is_shown_for_a_while_and_kept(total: float) -> None:
    world = charging(keys=QUIET)
    tx = world.csms.transaction(1).id
    answers_events(world, totalCost=total)
    world.ev(1).presents(CARD)
    world.runs(seconds=30)
    world.ev(1).unplugs()
    world.runs(seconds=20)
    assert world.csms.transaction(1).ended
    assert lines(world) == (f"{total:.2f} EUR",)
    world.runs(minutes=3)
    assert lines(world) == ()
    world.loses_power().returns_after(seconds=20).runs(minutes=1)
    (ended,) = [one for one in world.asks_station("tx.list")["ended"] if one["id"] == tx]
    assert ended["cost"] == total


@req("I05.FR.02")
def test_offline_at_the_end_the_fallback_text() -> None:
    world = charging(keys={**QUIET, **FALLBACK})
    world.csms.vanishes()
    world.runs(seconds=30)
    world.ev(1).presents(CARD)
    world.runs(seconds=20)
    world.ev(1).unplugs()
    world.runs(seconds=20)
    assert lines(world) == ("You get a bill",)


@req("I03.FR.05")
def test_nobody_is_shown_a_cost_after_driving_away() -> None:
    world = idle(keys={**QUIET, "TxCtrlr.TxStopPoint": "ParkingBayOccupancy"})
    assert lines(world) == ()


def test_money_is_not_shown_when_the_keys_say_so() -> None:
    world = idle(keys=FALLBACK)
    greets(world, personalMessage=text("cheap"))
    charge(world)
    assert set_variable(world, "TariffCostCtrlr.Enabled[Tariff]", "false") == "Accepted"
    assert lines(world) == ()
