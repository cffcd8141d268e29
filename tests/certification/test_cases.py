"""Every certification case of blocks E and J in the simulated world, in both ways and at every EVSE it applies to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from hil.certification import CASES, Way, choose, features, run
from tests.marks import req
from tests.sim.outlet import raw, smart
from tests.sim.pki import store_behind
from tests.sim.releases import releases_behind
from tests.sim.sim_bench import SimBench

STATION = (smart(16), replace(raw(32, cable="socket"), bay_detector=True, signs=True))
"""A wallbox with a fixed cable; a socket with a lock and a meter that signs, in a bay with a detector."""
HIGH_LEVEL = {"TC_K_53", "TC_K_54", "TC_K_56", "TC_K_57", "TC_K_58"}
"""Cases with an EV that speaks ISO 15118."""
SHARED_READER = {"TC_J_08"}
"""Cases for stations at which nobody chooses the EVSE before authorization: one reader serves both."""


@dataclass(frozen=True)
class Run:
    """One case, one way, at one EVSE; 0: the first to which it applies."""

    case: str
    way: Way
    evse: int

    def __str__(self) -> str:
        return f"{self.case}-{self.way}-{self.evse or 'nowhere'}"


class ControlledBench(SimBench):
    """With an energy management system at the station's control socket."""

    def limits_from_outside(self, amps: float) -> None:
        self.world.asks_station("limit.set", source="EMS", limit=amps)


def bench(case: str) -> SimBench:
    station = (replace(STATION[0], iso15118=True), STATION[1]) if case in HIGH_LEVEL else STATION
    return ControlledBench(station, keys=CASES[case].presets, own_readers=case not in SHARED_READER)


def runs() -> Iterator[Run]:
    declared = features.load()
    for id, case in CASES.items():
        outfits = bench(id).outfits()
        places = [evse for evse, outfit in outfits.items() if choose(case, declared, {evse: outfit})[0]]
        if id in SHARED_READER:
            places = places[:1]
        for way in case.ways:
            yield from (Run(id, way, evse) for evse in places or [0])


def param(run: Run) -> object:
    """A case that applies nowhere covers nothing."""
    requirements = CASES[run.case].row.requirements if run.evse else ()
    return pytest.param(run, id=str(run), marks=[req(*requirements)] if requirements else [])


@pytest.mark.parametrize("wanted", [param(run) for run in runs()])
def test_case(wanted: Run, tmp_path: Path) -> None:
    case, at = CASES[wanted.case], bench(wanted.case)
    store_behind(at.world, tmp_path)
    if wanted.case.startswith(("TC_L", "TC_F_19")):
        releases_behind(at, tmp_path)
    evse, why = choose(case, features.load(), at.outfits())
    if not evse:
        pytest.skip(why)
    verdict = run(case, at, wanted.evse, wanted.way)
    if verdict.outcome == "not applicable":
        pytest.skip(verdict.reason)
    assert verdict.outcome == "passed", verdict.reason
