"""The phase switches of all EVSEs: what moves them, what keeps them from moving, and how they wear (F1 to F3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from agent.core.context import Context
from agent.core.electrics import RESTS_AMPS, closed_phases
from agent.core.evse import Evse
from agent.core.limits import Claim, Limits
from agent.core.phase_choice import Choice, Demand
from agent.core.phase_relay import PhaseSwitch
from config_keys import phase_switch as keys
from config_keys import smart_charging
from hal.ports import Capabilities, ContactorReported

OWNER = "phase switch"
HELD = frozenset({"unknown", "ramping", "proving", "pausing", "switching", "settling"})
"""States in which nothing may flow."""
UNDER_WAY = frozenset({"ramping", "proving", "pausing"})
"""States in which a switch can still be called off."""
FREE = frozenset({"steady", "verifying"})
Demands = Callable[[Context, Evse], Iterable[Demand]]


class Phases:
    """Drives the machine of each EVSE whose hardware can move its phases; the others cost nothing."""

    def __init__(self, evses: Mapping[int, Evse], demands: Demands, limits: Limits, stored: Mapping[str, Any]) -> None:
        """`demands` are those of everybody who may ask for fewer phases: profiles and external systems."""
        self.switches = {i: PhaseSwitch(evse, stored.get(str(i))) for i, evse in evses.items()}
        self.choice = Choice(demands, limits)
        self._able: list[PhaseSwitch] = []

    def start(self, cx: Context) -> None:
        """The first step: what was counted before, and the pause between moves begins anew."""
        for switch in self.switches.values():
            switch.start(cx)

    def deadlines(self) -> Mapping[str, Callable[[Context], None]]:
        """Name -> what happens then."""
        return {switch.deadline_name: switch.expire for switch in self.switches.values()}

    # ---------------------------------------------------------------------------------------- what is told

    def introduced(self, cx: Context, evse: Evse, told: Capabilities) -> None:
        """The device has said what it can: what is reported to the CSMS is what the hardware really does (F2)."""
        switch, able = self.switches[evse.id], told.phase_switch and evse.site.phases == 3
        evse.relay = evse.relay or 0 if able else None
        self._able = [s for s in self.switches.values() if s.evse.relay is not None]
        cx.keys.put(keys.AVAILABLE, able, evse.id)
        cx.keys.put(smart_charging.PHASES_3_TO_1, bool(self._able))
        switch.show(cx)

    def relay_told(self, cx: Context, evse: Evse, phases: int) -> None:
        """Feedback of the relay: it is believed, whatever was wanted."""
        if evse.relay is not None:
            evse.relay = phases
            self.switches[evse.id].fire("told", cx)
            self.switches[evse.id].show(cx)

    def contacts(self, cx: Context, evse: Evse, event: ContactorReported, before: int) -> None:
        """The contactor's feedback: closings are counted; more phases than were selected is a fault."""
        switch = self.switches[evse.id]
        switch.wears(cx, before, evse.phases_closed)
        switch.fire("made" if event.closed else "broken", cx)
        if evse.relay and evse.phases_closed > evse.relay:
            cx.note("phases", f"EVSE {evse.id}: {evse.phases_closed} phases closed, {evse.relay} selected", "error")
            evse.contactor.fire("misphased", cx)
            evse.session.fire("fault", cx)

    def measured(self, cx: Context, evse: Evse) -> None:
        """A reading: current on open contacts stops a switch, its absence is the proof that one needs."""
        if evse.relay is None:
            return
        switch = self.switches[evse.id]
        if any((evse.value("current_a", line) or 0.0) >= RESTS_AMPS for line in (1, 2, 3)):
            switch.flowed_ms = cx.ms
            switch.fire("flows", cx)

    def unplugged(self, cx: Context, evse: Evse) -> None:
        """The car has left: what was counted for its session ends."""
        self.switches[evse.id].leaves(cx)

    def hindered(self, cx: Context, evse: Evse, trigger: str) -> None:
        """A fault, or the device is lost, or has refused to move."""
        if evse.relay is not None:
            evse.relay = 0 if trigger == "lost" else evse.relay
            self.switches[evse.id].fire(trigger, cx)
            self.switches[evse.id].show(cx)

    def unrecorded(self, cx: Context, step: int) -> None:
        """The batch of `step` was lost: moves that were to follow it did not happen."""
        for switch in self._able:
            if switch.told_in >= step:
                switch.fire("unrecorded", cx)

    # ---------------------------------------------------------------------------------------- what is claimed

    def claims(self, cx: Context, evse: Evse) -> Iterable[Claim]:
        """Nothing flows while a switch is under way, or on more phases than a limit in A allows."""
        if evse.relay is None or evse.supposed is not None:
            return
        switch = self.switches[evse.id]
        if switch.state in HELD or not evse.relay:
            yield Claim(OWNER, 0.0, why=f"{switch.state}: from {evse.relay} to {switch.target} phases")
            return
        for demand in self.choice.demands(cx, evse):
            if demand.unit == "A" and demand.phases < closed_phases(evse):
                yield Claim("numberPhases", 0.0, why=f"{demand.who} allows {demand.phases}; {self._excuse(switch)}")

    def _excuse(self, switch: PhaseSwitch) -> str:
        return f"not switched: {switch.obstacle}" if switch.obstacle else "about to switch"

    # ---------------------------------------------------------------------------------------- what is decided

    def settle(self, cx: Context) -> None:
        """Before the arbiter: begin, go on with or call off what the choice of phases asks for."""
        for switch in self._able:
            self._follow(cx, switch)

    def _follow(self, cx: Context, switch: PhaseSwitch) -> None:
        evse = switch.evse
        if switch.state == "ramping" and evse.contactor.state == "open":
            switch.fire("opened", cx)
        if switch.state == "verifying":
            switch.verify(cx)
        if switch.state == "proving":
            switch.prove(cx)
        if switch.state in FREE and evse.relay:
            self._begin(cx, switch, self.choice.wanted(cx, switch))
        elif switch.state in UNDER_WAY:
            there, unwanted = evse.relay == switch.target, switch.target != self.choice.wanted(cx, switch)
            if there or unwanted:
                switch.fire("abort", cx)
        if switch.state == "proving":
            switch.prove(cx)
        switch.show(cx)

    def _begin(self, cx: Context, switch: PhaseSwitch, wanted: int) -> None:
        before, switch.obstacle = switch.obstacle, None
        if wanted == switch.evse.relay:
            return
        switch.obstacle = self.choice.obstacle(cx, switch)
        if switch.obstacle is None:
            switch.target = wanted
            switch.fire("begin", cx)
        elif switch.obstacle != before:
            cx.note("phases", f"EVSE {switch.evse.id} stays on {switch.evse.relay}: {switch.obstacle}")

    def consider(self, cx: Context) -> None:
        """After the arbiter: whether a limit in W is too small for three phases, or no longer is."""
        for switch in self._able:
            if switch.state in FREE:
                self.choice.weigh(cx, switch)

    def free(self, cx: Context, evse: Evse) -> tuple[int, ...]:
        """The phases that an EVSE would choose when nobody asks for fewer, the better first."""
        forced, few_too = self.switches[evse.id].kept["forced"], cx.keys[keys.MODE] != "Never"
        return (forced,) if forced else (3, 1) if few_too else (3,)

    # ---------------------------------------------------------------------------------------- people

    def force(self, cx: Context, evse: Evse, phases: int) -> None:
        """A person wants 1 or 3 phases from now on, or (0) leaves the choice to the station."""
        self.switches[evse.id].force(cx, phases)

    def describe(self, evse: Evse) -> dict[str, Any]:
        """For people: where it is, where it goes, what is in the way, and its wear."""
        switch, able = self.switches[evse.id], evse.relay is not None
        return {
            "evse": evse.id, "able": able, "state": switch.state if able else "fixed",
            "phases": evse.site.phases if evse.relay is None else evse.relay, "closed": evse.phases_closed,
            "chosen": switch.kept["forced"] or "auto", "obstacle": switch.obstacle, "moves": switch.kept["moves"],
            "this_session": switch.kept["session"],
        }  # fmt: skip
