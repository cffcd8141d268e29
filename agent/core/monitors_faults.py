"""Hardware faults as events: one when a fault begins and one when it is over, with what a technician needs.

Each is a HardWiredNotification at the component that has the fault, with techCode and techInfo. What stands at the
first acceptance after a start is told anew, so that a CSMS knows why a connector is Faulted (bug 21 of real chargers).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from agent.core.context import Context
from agent.core.evse import Evse
from agent.core.failsafe_table import fault, row, tech_code
from agent.core.monitors_queue import Notices
from agent.core.variables import parts
from config_keys import monitoring, physical
from config_keys.values import Slot

if TYPE_CHECKING:
    from agent.core.charger import Charger

TABLE = "told_faults"
TIMER = "monitors.faults"
SETTLED_MS = 60_000
"""After a start, how long the hardware has to tell whether a fault of before still stands."""
MAX_INFO = 500
TRIGGERS: Mapping[str, str] = {"lock": "Delta"}
"""What is told as something else than Alerting (TC_G_20)."""
Place = tuple[int, str]
"""EVSE (0: the station) and code."""


class _Told(NamedTuple):
    id: int
    tx: str | None


class Faults:
    """What stands, against what was told."""

    def __init__(self, charger: Charger, notices: Notices, stored: Mapping[str, Any]) -> None:
        self._charger = charger
        self._notices = notices
        self._told: dict[Place, _Told] = {}
        self._before = {_place(name): _Told(entry["id"], entry.get("tx")) for name, entry in stored.items()}
        """What was told before the restart."""
        self._seen: frozenset[Place] = frozenset()
        """What stood at the end of the last step."""
        self._quiet: dict[Place, int] = {}
        self._until_ms = 0

    def start(self, cx: Context) -> None:
        """Faults of before the restart are over when the hardware does not tell them again."""
        self._until_ms = cx.ms + SETTLED_MS
        if self._before:
            cx.timers.set(TIMER, self._until_ms)

    def settle(self, cx: Context, online: bool) -> None:
        """At the end of a step."""
        now = self.standing()
        if now.keys() != self._seen:
            self._remember(cx, now)
        if self._before and cx.ms >= self._until_ms:
            self._told |= {place: told for place, told in self._before.items() if place not in self._told}
            self._before.clear()
        if now.keys() == self._told.keys():
            return
        for place in [place for place in now if place not in self._told and self._may_tell(cx, place, online)]:
            self._begins(cx, place, now[place])
        for place in [place for place in self._told if place not in now and self._may_tell(cx, place, online)]:
            self._is_over(cx, place)

    def _remember(self, cx: Context, now: Mapping[Place, str]) -> None:
        """What led to a fault goes into the log, whether the CSMS hears of it or not."""
        for place in [place for place in now if place not in self._seen]:
            if (evse := self._charger.evses.get(place[0])) is not None:
                self._charger.recorder.minute.tell(cx, evse, place[1])
        self._seen = frozenset(now)

    def cause(self, slot: Slot, text: str) -> int | None:
        """The event that explains a Faulted or a Problem at an EVSE (N07.FR.05)."""
        if (slot[0].variable, text) not in (("AvailabilityState", "Faulted"), ("Problem", "true")):
            return None
        return max((told.id for (evse, _), told in self._told.items() if slot[1] in (None, evse)), default=None)

    # ------------------------------------------------------------------------------------------ what stands

    def standing(self) -> dict[Place, str]:
        """What is wrong now, with the vendor's own detail."""
        evses = self._charger.evses.values()
        found = {(evse.id, code): detail for evse in evses for code, detail in evse.standing().items()}
        if self._charger.devices.silent_readers:
            found[0, "reader_silent"] = ", ".join(sorted(self._charger.devices.silent_readers))
        if self._charger.store_state != "ok":
            found[0, f"store_{self._charger.store_state}"] = ""
        return found

    def _may_tell(self, cx: Context, place: Place, online: bool) -> bool:
        """The level and the queue hold for faults as for monitors; so does the least time between two events."""
        severity = row(place[1]).severity
        if severity > cx.keys[monitoring.ACTIVE_MONITORING_LEVEL]:
            return False
        if not online and severity > cx.keys[monitoring.OFFLINE_QUEUING_SEVERITY]:
            return False
        quiet_until = self._quiet.get(place, 0)
        if cx.ms < quiet_until:
            cx.timers.set(TIMER, quiet_until)
            return False
        return True

    # ------------------------------------------------------------------------------------------ telling

    def _begins(self, cx: Context, place: Place, detail: str) -> None:
        before = self._before.pop(place, None)
        if before is not None and self._notices.waits(before.id):
            self._told[place] = before
            return
        evse = self._charger.evses.get(place[0])
        tx = evse.tx.id if evse is not None and evse.tx is not None else None
        self._told[place] = told = _Told(self._tell(cx, place, detail, tx), tx)
        cx.put(TABLE, _name(place), {"id": told.id, "tx": tx})

    def _is_over(self, cx: Context, place: Place) -> None:
        told = self._told.pop(place)
        self._tell(cx, place, "", told.tx, cleared=True)
        cx.put(TABLE, _name(place), None)

    def _tell(self, cx: Context, place: Place, detail: str, tx: str | None, **more: Any) -> int:
        self._quiet[place] = cx.ms + cx.keys[monitoring.EVENT_INTERVAL] * 1000
        slot = self._slot(place)
        return self._notices.add(
            cx, row(place[1]).severity, trigger=TRIGGERS.get(place[1], "Alerting"),
            origin="HardWiredNotification",
            where=parts(slot), value=self._charger.variables.text(cx, *slot), code=tech_code(place[1]),
            info=self._info(cx, place, detail)[:MAX_INFO], tx=tx, **more,
        )  # fmt: skip

    def _slot(self, place: Place) -> Slot:
        """The variable that has it; one that is not built in gives way to the EVSE."""
        key, evse = row(place[1]).shows[0], self._charger.evses.get(place[0])
        if evse is None:
            return (key if key.scope == "station" else physical.STATION_PROBLEM, None, None)
        slot = (key, evse.id, evse.plug.id if key.scope == "connector" else None)
        return slot if self._charger.keys.has(*slot) else (physical.EVSE_PROBLEM, evse.id, None)

    def _info(self, cx: Context, place: Place, detail: str) -> str:
        meant, evse = fault(place[1]), self._charger.evses.get(place[0])
        said = f"{meant.name} {detail}".strip()
        return f"{said}. {meant.field_action}" + (f" [{self._snapshot(evse)}]" if evse is not None else "")

    def _snapshot(self, evse: Evse) -> str:
        """What was the case, for whoever reads only this line (buyers' D3)."""
        verdict = self._charger.limits.verdicts.get(evse.id)
        facts = [f"pilot {evse.pilot}", f"contactor {evse.contactor.state}", f"session {evse.session.state}"]
        if verdict is not None:
            facts.append(f"{evse.applied_amps or 0:g} A offered, limit {verdict.amps:g} A by {verdict.owner}")
        for phase in (1, 2, 3):
            amps, volts = evse.value("current_a", phase), evse.value("voltage_v", phase)
            facts += [f"L{phase} {amps or 0:g} A {volts or 0:g} V"] if volts is not None else []
        return "; ".join([*facts, *(f"{where} {celsius:g} Celsius" for where, celsius in evse.temperatures.items())])


def _name(place: Place) -> str:
    return f"{place[0]} {place[1]}"


def _place(name: str) -> Place:
    evse, _, code = name.partition(" ")
    return int(evse), code
