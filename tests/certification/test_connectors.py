"""Cases at one connector of two: what the scripts say of a connector is not true of its sibling."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hil.certification import CASES, choose, features, run
from tests.sim.outlet import raw
from tests.sim.sim_bench import SimBench

TWIN = replace(raw(32), more=("socket",))
"""A fixed cable and a socket on one power path."""
AT_EACH = (
    "TC_B_20", "TC_B_21", "TC_B_23", "TC_B_24", "TC_B_51", "TC_E_01", "TC_E_09", "TC_E_15", "TC_F_01", "TC_F_02",
    "TC_G_01", "TC_G_07", "TC_G_11", "TC_G_14", "TC_G_17", "TC_G_18", "TC_G_19", "TC_G_21", "TC_H_01", "TC_H_15",
)  # fmt: skip
AT_THE_SOCKET = ("TC_E_14", "TC_E_24", "TC_F_05", "TC_F_06", "TC_F_07", "TC_F_10", "TC_G_20")


@pytest.mark.parametrize(
    ("id", "connector"),
    [*((id, connector) for id in AT_EACH for connector in (1, 2)), *((id, 2) for id in AT_THE_SOCKET)],
)
def test_a_case_passes_at_that_connector(id: str, connector: int) -> None:
    case = CASES[id]
    bench = SimBench([TWIN], keys=case.presets, connector=connector)
    assert choose(case, features.load(), bench.outfits()) == (1, "")
    verdict = run(case, bench, 1, case.ways[0])
    assert (verdict.outcome, verdict.reason) == ("passed", "")
