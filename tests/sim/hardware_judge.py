"""Invariants 2, 3, 4 and 11: contactors, faults, welds and boots, from what the station was told and what is true."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from agent.core.events import Event
from agent.core.failsafe_table import blocks, row
from hal.ports import (
    ContactorReported,
    DeviceBooted,
    FaultCleared,
    FaultRaised,
    Offer,
    Permit,
    PilotChanged,
    PowerCommand,
    SetLock,
    SetPhases,
    Silent,
)
from tests.sim.limit_judge import MIN_AMPS, LimitJudge
from tests.sim.outlet import Outlet

Fail = Callable[[str, str], None]
WELDED_MS = 5_000
"""A contact that is still told closed so long after a withdrawal is welded (2 s by the device, and its report)."""
FOLLOWS_MS = 10_000
"""Contactor and car have followed a command after this."""
CUT_OFF_MS = 150_000
"""A car that draws too much is cut off after this: 12 s, and the readings that the long runs leave out."""
GONE_MS = 1_000
"""A smaller offer is at the device after this, or, on a slow line, when it is free again."""


@dataclass(slots=True)
class Seen:
    """What the station was told of one EVSE in this boot."""

    pilots: dict[int, str] = field(default_factory=dict)
    """By connector, without E and F: they say nothing about a car."""
    in_use: int | None = None
    """The connector with a car, the first of them if there are several."""
    open: bool = False
    closed: bool = False
    closed_ms: int = 0
    """When it was told closed."""
    withdrawn_ms: int | None = None
    faults: set[str] = field(default_factory=set)
    over: set[str] = field(default_factory=set)
    """Those whose cause has gone."""
    welded: bool = False
    deaf: bool = False
    greedy_ms: int = 0
    """Since when the car has drawn much more than was commanded; 0: it does not."""
    calm_since_ms: int = 0
    """Since when the line to the device has been as it should."""


class HardwareJudge:
    """Watches one station's contactors."""

    def __init__(self, now_ms: Callable[[], int], fail: Fail, outlets: dict[int, Outlet], limits: LimitJudge) -> None:
        self.now_ms, self.fail, self.outlets, self.limits = now_ms, fail, outlets, limits
        self.evses = {evse: Seen() for evse in outlets}

    def booted(self) -> None:
        """A new process knows nothing."""
        self.evses = {evse: Seen(calm_since_ms=self.now_ms()) for evse in self.outlets}

    def hears(self, event: Event) -> None:
        """The station is about to be told this."""
        seen = self.evses.get(getattr(event, "evse", 0))
        if seen is None:
            return
        match event:
            case PilotChanged():
                self._pilot(seen, event)
            case ContactorReported(closed=closed):
                seen.closed, seen.closed_ms = closed, self.now_ms()
                seen.open = seen.open or (not closed and seen.withdrawn_ms is not None)
            case FaultRaised(code=code) if blocks(code):
                seen.faults.add(code)
                seen.over.discard(code)
            case FaultCleared(code=code):
                seen.over.add(code)
                if seen.in_use is None or not _until_unplug(code):
                    seen.faults.discard(code)
            case Silent(device="board" | "controller") | DeviceBooted():
                seen.closed, seen.calm_since_ms = False, self.now_ms()

    def _pilot(self, seen: Seen, event: PilotChanged) -> None:
        if event.pilot in ("A", "B", "C", "D"):
            seen.pilots[event.connector] = event.pilot
        if event.pilot == "A" and seen.in_use in (None, event.connector):
            seen.faults, seen.in_use = {c for c in seen.faults if not (_until_unplug(c) and c in seen.over)}, None
        cars = [connector for connector, pilot in seen.pilots.items() if pilot != "A"]
        seen.in_use = seen.in_use or min(cars, default=None)

    # -------------------------------------------------- commands

    def commands(self, command: PowerCommand, rises: bool) -> None:
        """A command is about to be executed; `rises`: it permits or offers more than before."""
        seen = self.evses[command.evse]
        if seen.welded and (rises or isinstance(command, SetPhases) or _unlocks(command)):
            self.fail("4 weld", f"{command} although the contactor did not open after a withdrawal")
        if rises and seen.faults:
            self.fail("2 close", f"{command} although {', '.join(sorted(seen.faults))} stands")
        known = seen.withdrawn_ms is not None and seen.open and bool(seen.pilots)
        if isinstance(command, Permit | Offer) and rises and not known:
            self.fail("11 boot", f"{command} before EVSE {command.evse} was withdrawn, seen open, and its pilot seen")
        if rises or isinstance(command, Permit):
            seen.withdrawn_ms = seen.withdrawn_ms if seen.withdrawn_ms is None else -1

    def withdraws(self, evse: int) -> None:
        """A withdrawal is about to be executed."""
        seen = self.evses[evse]
        if seen.withdrawn_ms is None or seen.withdrawn_ms < 0:
            seen.withdrawn_ms = self.now_ms()

    def closes(self, evse: int) -> None:
        """The contactor has just closed: if the killed process permitted it and the next is not heard yet."""
        outlet = self.outlets[evse]
        if outlet.pilot not in ("C", "D"):
            self.fail("2 close", f"EVSE {evse} closed in pilot {outlet.pilot}")
        seen = self.evses[evse]
        told_ms = None if seen.withdrawn_ms is None else max(seen.withdrawn_ms, seen.calm_since_ms)
        if not seen.open and told_ms is not None and self.now_ms() - told_ms > GONE_MS:
            self.fail("11 boot", f"EVSE {evse} closed before it was seen open in this boot")

    # -------------------------------------------------- what is true

    def stepped(self) -> None:
        """3, 4 and the measured part of 1: devices and cars have followed what was commanded."""
        now = self.now_ms()
        for evse, seen in self.evses.items():
            outlet = self.outlets[evse]
            withdrawn_ms = seen.withdrawn_ms
            withdrawn = withdrawn_ms is not None and withdrawn_ms >= 0
            if withdrawn and seen.closed and now - max(withdrawn_ms or 0, seen.closed_ms) > WELDED_MS:
                seen.welded = True
            if outlet.deaf or seen.deaf:
                seen.deaf, seen.calm_since_ms = outlet.deaf, now
            if outlet.closed or outlet.offered:
                self._followed(evse, outlet, seen, now)

    def _followed(self, evse: int, outlet: Outlet, seen: Seen, now: int) -> None:
        told = self.limits.evses[evse]
        calm_ms = now - max(told.since_ms, seen.calm_since_ms)
        travels = now <= outlet.hears_by_ms and calm_ms <= FOLLOWS_MS
        if calm_ms > GONE_MS and not travels and outlet.offered > told.amps + 0.05:
            self.fail("1 limit", f"EVSE {evse} offers {outlet.offered} A, {told.amps} A were commanded")
        if calm_ms <= FOLLOWS_MS:
            return
        if outlet.closed and not told.permitted and not (outlet.welded or outlet.half_welded):
            self.fail("3 open", f"EVSE {evse} is closed {calm_ms} ms after the permission was withdrawn")
        greedy = outlet.car is not None and bool({"ignores_limit", "overdraws"} & outlet.car.bad)
        self._greedy(evse, outlet, seen, now)
        if outlet.amps > told.amps + 0.1 and not greedy:
            self.fail("1 limit", f"EVSE {evse}: {outlet.amps} A flow, {told.amps} A were commanded")


    def _greedy(self, evse: int, outlet: Outlet, seen: Seen, now: int) -> None:
        """A car that draws more than it is offered is cut off, as long as its meter tells."""
        told = self.limits.evses[evse]
        much = outlet.amps > 1.15 * (max(told.amps, MIN_AMPS) + 1) and told.meter_lost_ms is None
        seen.greedy_ms = (seen.greedy_ms or now) if much else 0
        if much and now - seen.greedy_ms > CUT_OFF_MS:
            self.fail("1 limit", f"EVSE {evse}: {outlet.amps} A flow for {CUT_OFF_MS} ms, {told.amps} A were commanded")


def _until_unplug(code: str) -> bool:
    return row(code).clears == "unplug"


def _unlocks(command: PowerCommand) -> bool:
    return isinstance(command, SetLock) and not command.locked
