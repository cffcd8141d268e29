"""Write docs/limits-truth-table.md: what a limit in A or W, on so many phases, becomes at each kind of EVSE.

`python -m docs.generate.truth_table` writes it; with `--check` it exits 1 when it is stale. Each cell is what the core
did with an obedient device: a car charges, the limit is set, and half an hour passes.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from agent.core.effects import Answer, Effect, Energise, MakeSafe
from agent.core.events import Asked, Event, Start, Tick
from agent.core.instant import Instant
from agent.core.site import EvseSite, Site
from agent.station import Station
from hal.ports import (
    Applied,
    Capabilities,
    Command,
    ContactorReported,
    Offer,
    Permit,
    PhasesReported,
    PilotChanged,
    SetPhases,
    Withdraw,
)

PAGE = Path(__file__).resolve().parent.parent / "limits-truth-table.md"
VOLTS = 230.0
KEYS = {"FreeCharging.Enabled": "true", "PhaseSwitchCtrlr.MinDwell": "60"}
SETTLES_MS = 1_800_000


class Make(NamedTuple):
    """A kind of EVSE: its name, wired phases, and PhaseSwitchCtrlr.Mode where it has a phase relay."""

    name: str
    phases: int
    mode: str | None = None


class Request(NamedTuple):
    """A limit as a charging profile or an external system says it; `phases` is numberPhases (None: absent)."""

    limit: float
    unit: str
    phases: int | None = None

    def __str__(self) -> str:
        on = {None: "absent", 1: "1", 3: "3"}[self.phases]
        return f"{self.limit:g} {self.unit} | {on}"


MAKES = (
    Make("1 phase", 1),
    Make("3 phases", 3),
    Make("relay, `Mode` Never", 3, "Never"),
    Make("relay, `Mode` Both", 3, "Both"),
)
AMPS, WATTS = (32.0, 16.0, 6.0, 5.9, 0.0), (22_080.0, 11_040.0, 4_200.0, 4_100.0, 3_680.0, 1_400.0, 1_300.0, 0.0)
REQUESTS = tuple(
    Request(limit, unit, phases)
    for unit, limits in (("A", AMPS), ("W", WATTS))
    for limit, phases in product(limits, (None, 3, 1))
)


class Rehearsal:
    """One station without a CSMS, and a device that does at once what it is told."""

    def __init__(self, make: Make) -> None:
        keys = KEYS | ({"PhaseSwitchCtrlr.Mode": make.mode} if make.mode else {})
        evse = EvseSite(1, 32.0, make.phases, VOLTS, has_meter=False)
        self.station = Station(Site("v", "m", "s", "1", (evse,)), keys, {})
        self.now_ms, self.answers = 1_000, list[Answer]()
        self.amps, self.phases, self.closed, self.permitted = 0.0, make.phases, False, False
        relay = make.mode is not None
        self.happens(Start("boot", 1), Capabilities(1, True, 32.0, make.phases, relay), ContactorReported(1, False))
        self.happens(*([PhasesReported(1, make.phases)] if relay else []), PilotChanged(1, "B"))
        self.passes(60_000)

    def happens(self, *events: Event) -> None:
        """These, and what the device does about what the station then says."""
        waiting = deque(events)
        while waiting:
            effects = self.station.step(Instant(self.now_ms), waiting.popleft())
            self.answers += [e for e in effects if isinstance(e, Answer)]
            for command in _commands(effects):
                waiting += self._obeys(command)

    def passes(self, ms: int) -> None:
        """Time, from deadline to deadline."""
        end = self.now_ms + ms
        while (due := self.station.next_deadline()) is not None and due <= end:
            self.now_ms = max(self.now_ms, due)
            self.happens(Tick())
        self.now_ms = end
        self.happens(Tick())

    def _obeys(self, command: Command) -> Iterable[Event]:
        what, amps = type(command).__name__.lower(), getattr(command, "amps", None)
        yield Applied(1, command.step, what, amps)
        if isinstance(command, SetPhases):
            self.phases = command.phases
            yield PhasesReported(1, command.phases)
        if isinstance(command, Permit | Offer | Withdraw):
            self.permitted = isinstance(command, Permit) or (self.permitted and isinstance(command, Offer))
            self.amps = amps or 0.0
            yield from self._contacts(self.permitted and self.amps > 0)

    def _contacts(self, closed: bool) -> Iterable[Event]:
        if closed != self.closed:
            self.closed = closed
            yield PilotChanged(1, "C" if closed else "B")
            yield ContactorReported(1, closed, self.phases * closed)

    def sets(self, source: str, request: Request) -> bool:
        """An external system sets a limit; False when it is refused."""
        args: dict[str, Any] = {"source": source, "evse": 1, "limit": request.limit, "unit": request.unit}
        on = {} if request.phases is None else {"phases": request.phases}
        self.happens(Asked(1, "limit.set", args | on))
        return self.answers[-1].ok

    def asks(self, request: Request) -> str:
        """What becomes of it: amps and phases, a pause, or a refusal."""
        if not self.sets("EMS", request):
            return "refused"
        self.passes(SETTLES_MS)
        return f"{self.amps:g} A x {self.phases}" if self.closed else "pause"


def _commands(effects: Iterable[Effect]) -> list[Command]:
    return [effect.command for effect in effects if isinstance(effect, MakeSafe | Energise)]


def rows() -> list[tuple[Request, tuple[str, ...]]]:
    """Every request, and what each kind of EVSE makes of it."""
    return [(request, tuple(Rehearsal(make).asks(request) for make in MAKES)) for request in REQUESTS]


INTRODUCTION = """\
# From a limit to amps and phases

Generated by `python -m docs.generate.truth_table` from what the core really does; it is test data as well
(`tests/station/test_truth_table.py`). An EVSE of 32 A and 230 V (`LimitCtrlr.WattVoltage` is Nominal) charges, the
limit is set by a charging profile or an external system, and half an hour passes. A limit in A holds per phase; a limit
in W is divided by the voltage and by the phases that may carry current, and rounded down to 0.1 A. Less than 6 A is a
pause, never 6 A: the transaction goes on as SuspendedEVSE. `numberPhases` is a most, not a wish: more phases than it
allows never carry current. Without a phase relay a limit on fewer phases than are wired is refused (K01.FR.43). With
`PhaseSwitchCtrlr.Mode` Both a limit in W that is a pause on three phases charges on one. Before a move of the relay
0 A is offered, all contacts are proven open, and a second without current passes; `docs/state-machines.md` has the
machine `phase_switch`, `docs/config-keys.md` the keys `PhaseSwitchCtrlr`.

"""


def text() -> str:
    """The whole page."""
    head = f"| limit | numberPhases | {' | '.join(make.name for make in MAKES)} |"
    lines = [head, "|---" * (2 + len(MAKES)) + "|"]
    lines += [f"| {request} | {' | '.join(cells)} |" for request, cells in rows()]
    return INTRODUCTION + "\n".join(lines) + "\n"


def main(argv: Sequence[str]) -> int:
    """Write the page, or check it."""
    if "--check" not in argv:
        PAGE.write_text(text(), encoding="utf-8")
        return 0
    stale = not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text()
    if stale:
        print(f"{PAGE.name} is stale: run python -m docs.generate.truth_table", file=sys.stderr)
    return int(stale)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
