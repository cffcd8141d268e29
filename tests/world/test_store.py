"""The real journal's file below the simulated flash: torn by cuts at any byte, and damaged at any page."""

from __future__ import annotations

import pytest

from tests.sim.outlet import raw
from tests.sim.world import World

CARD = "04AABBCC"
KEYS = {"SampledDataCtrlr.TxUpdatedInterval": "15", "AuthCtrlr.OfflineTxForUnknownIdEnabled": "true"}


def charging(seed: int) -> World:
    """A session that writes often."""
    world = World([raw(16)], keys=KEYS, seed=seed, on_file=True).runs(seconds=20)
    world.ev(1).plugs_in().presents(CARD)
    return world.runs(seconds=60)


@pytest.mark.parametrize("seed", range(12))
def test_a_torn_tail_leaves_the_state_before_or_after_a_commit(seed: int) -> None:
    world = charging(seed)
    for _ in range(5):
        world.cut_at, world.cut_for_s = world.boundaries + world.rng.randint(1, 30), 2
        world.runs(seconds=50)
    world.settles()
    assert world.boots > 2


@pytest.mark.parametrize("seed", range(12))
def test_a_damaged_page_costs_at_most_what_was_on_it_and_the_charger_charges_on(seed: int) -> None:
    world = charging(seed)
    world.csms.vanishes()
    world.runs(minutes=10)
    world.disk.damages_a_page()
    world.loses_power().returns_after(seconds=5)
    world.runs(minutes=5)
    world.csms.returns()
    world.ev(1).unplugs()
    world.runs(minutes=5)
    world.ev(1).plugs_in().presents(CARD)
    world.until(lambda: world.outlets[1].amps == 16, within_s=300, what="charges again")
    world.settles()


def test_the_model_notices_a_store_that_forgets() -> None:
    world = charging(1)
    world.loses_power("none").returns_after(seconds=5)
    world.disk.rows[999] = ("event", "{}")
    with pytest.raises(AssertionError, match="neither before nor after"):
        world.runs(seconds=60)
