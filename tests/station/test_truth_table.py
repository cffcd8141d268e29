"""From limits to amps and phases: the generated page as test data, and a property over all that it does not list."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.core.events import Event
from docs.generate import truth_table
from docs.generate.truth_table import MAKES, PAGE, REQUESTS, VOLTS, Make, Rehearsal, Request
from hal.ports import Command, Offer, Permit, SetPhases
from tests.marks import req

CELLS = [line.split(" | ")[2:] for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ")][1:]


def test_the_page_is_current() -> None:
    assert truth_table.main(["--check"]) == 0


@pytest.mark.parametrize(("request_", "cells"), list(zip(REQUESTS, CELLS, strict=True)), ids=str)
@req("K01.FR.21", "K01.FR.43", "K01.FR.49", "K01.FR.50")
def test_every_cell_of_the_page_keeps_its_limit(request_: Request, cells: list[str]) -> None:
    """Bugs 1, 5 and 8: no more than asked, on no more phases, and below 6 A a pause."""
    for make, cell in zip(MAKES, (cell.strip(" |") for cell in cells), strict=True):
        if cell in ("pause", "refused"):
            assert (cell == "refused") == (request_.phases == 1 and make.phases == 3 and make.mode is None)
            continue
        amps, phases = (float(part) for part in cell.split(" A x "))
        assert 6 <= amps <= 32
        assert phases <= (request_.phases or 3)
        assert amps * (1 if request_.unit == "A" else phases * VOLTS) <= request_.limit + 0.01


class Judged(Rehearsal):
    """Every command is held against what is asked at that moment."""

    cap, asked = 80.0, Request(80.0, "A")

    def _obeys(self, command: Command) -> Iterable[Event]:
        assert not (isinstance(command, SetPhases) and self.closed), "the relay moves under voltage"
        events = list(super()._obeys(command))
        if isinstance(command, Permit | Offer):
            assert self.amps <= self.cap + 0.01, "the cap in A per phase"
            most = self.asked.limit if self.asked.unit == "A" else self.asked.limit / (VOLTS * self.phases)
            assert not self.amps or self.phases <= (self.asked.phases or 3), str((self.phases, self.asked))
            assert self.amps <= most + 0.01, f"{self.amps} A on {self.phases} phases, asked for {self.asked}"
        return events


LIMITS = st.builds(
    Request,
    st.one_of(st.floats(0, 23_000), st.sampled_from((1_379.9, 1_380.0, 4_139.9, 4_140.0, 4_400.0, 7_360.0))),
    st.just("W"),
    st.sampled_from((None, 1, 3)),
)
AMPS = st.builds(Request, st.floats(0, 40), st.just("A"), st.sampled_from((None, 1, 3)))


@settings(max_examples=40, deadline=None)
@given(st.floats(6, 32), st.lists(LIMITS | AMPS, min_size=2, max_size=4), st.sampled_from(("Never", "OneWay", "Both")))
@req("K01.FR.50", "K01.FR.43")
def test_phase_switch_never_exceeds_cap(cap: float, requests: list[Request], mode: str) -> None:
    """EVerest#1060: a cap of 16 A, and more than 20 A on one phase after a switch for a limit in W."""
    station = Judged(Make("any", 3, mode))
    station.cap = cap
    station.sets("SO", Request(cap, "A"))
    for request in requests:
        before, station.asked = station.asked, request
        if station.asks(request) == "refused":
            station.asked = before
