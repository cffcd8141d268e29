"""Invariants 1, 5 and 7: what the station commands, against every limit that the world knows of by itself.

It believes no word of the station but its answers: a limit that it accepted is in force, one that it was sent may be.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from agent.core.instant import parse_rfc3339
from hal.ports import Offer, Permit
from tests.sim.clock import EPOCH_MS
from tests.sim.outlet import Outlet

Fail = Callable[[str, str], None]
Key = Callable[[str, str], str]
MIN_AMPS = 6.0
ROUNDING = 1e-6
SPACING_MS = 5_000
LAPSE_MS = 2_000
"""After its grace a silent source has this long to take effect (DESIGN.md: one second, and a step)."""
VOLTS = 230.0
NONE = float("inf")
MAX = "ChargingStationMaxProfile"
DEFAULT = "TxDefaultProfile"


class Ceiling(NamedTuple):
    """A plain limit: for ever, for the whole station."""

    amount: float = NONE
    unit: str = "A"


FREE = Ceiling()


def ceiling(request: Any, purpose: str) -> Ceiling | None:
    """What a SetChargingProfileRequest allows when it is plain, `FREE` when it is not; None: of another purpose.

    Plain: one period for the whole station, in force since before the world began and for ever.
    """
    profile = request.get("chargingProfile", {}) if isinstance(request, dict) else {}
    if profile.get("chargingProfilePurpose") != purpose:
        return None
    schedule = profile["chargingSchedule"][0]
    periods = schedule["chargingSchedulePeriod"]
    special = {"validFrom", "validTo", "recurrencyKind"} & profile.keys() or {"duration"} & schedule.keys()
    plain = profile["chargingProfileKind"] == "Absolute" and len(periods) == 1 and request["evseId"] == 0
    begun = "startSchedule" in schedule and parse_rfc3339(schedule["startSchedule"]) <= EPOCH_MS
    if not plain or not begun or special or periods[0].keys() - {"startPeriod", "limit"}:
        return FREE
    return Ceiling(float(periods[0]["limit"]), schedule["chargingRateUnit"])


def _clears(request: Any, purpose: str) -> bool:
    """Whether a ClearChargingProfileRequest may take profiles of this purpose away."""
    criteria = request.get("chargingProfileCriteria", {}) if isinstance(request, dict) else {}
    return bool(criteria.get("chargingProfilePurpose", purpose) == purpose)


@dataclass(slots=True)
class Commanded:
    """What one EVSE was told."""

    amps: float = 0.0
    since_ms: int = 0
    permitted: bool = False
    decided: float = 0.0
    """Amps as the station last decided them, whether executed yet or not."""
    raised_ms: int = -1_000_000
    meter_lost_ms: int | None = None
    derated: bool = False


@dataclass
class Promise:
    """What the CSMS allows for one purpose: `accepted`, or one of those it has proposed and hears no answer of yet."""

    accepted: Ceiling = FREE
    proposed: list[Ceiling] = field(default_factory=list)
    _names: set[tuple[int, int]] = field(default_factory=set)
    """Ids and stack levels seen: of more than one this judge does not know which holds."""

    def asked(self, limit: Ceiling, name: tuple[int, int] | None) -> None:
        """The CSMS wants this; from now on it may be in force."""
        self.proposed.append(limit)
        if name is not None:
            self._names.add(name)

    def answered(self, limit: Ceiling, accepted: bool) -> None:
        """The station took it, in the place of all that it was asked before, or did not."""
        at = self.proposed.index(limit) if limit in self.proposed else -1
        if accepted:
            self.accepted, self.proposed = limit, self.proposed[at + 1 :]
        elif at >= 0:
            del self.proposed[at]

    def highest(self, unit: str) -> float:
        """The most that may be in force, in this unit."""
        if len(self._names) > 1:
            return NONE
        return max(c.amount if c.unit == unit else NONE for c in (self.accepted, *self.proposed))

    @property
    def free(self) -> bool:
        """No limit may be in force."""
        return self.accepted == FREE and all(limit == FREE for limit in self.proposed)


class LimitJudge:
    """Watches what is commanded."""

    def __init__(
        self, now_ms: Callable[[], int], fail: Fail, key: Key, outlets: dict[int, Outlet], allow: set[str]
    ) -> None:
        self.now_ms, self.fail, self.key, self.outlets, self.allow = now_ms, fail, key, outlets, allow
        self.installation_amps = NONE
        self.promises = {MAX: Promise(), DEFAULT: Promise()}
        self.foreign = False
        """A profile of another purpose was sent: it may take the place of a default."""
        self.special = False
        """A profile was sent that this judge cannot follow: it may be live at any time."""
        self.standalone = False
        """There is no CSMS that could be silent."""
        self.excused = False
        """Profiles were lost with the store."""
        self.silent_since_ms: int | None = 0
        self.accepted_once = False
        self.evses = {evse: Commanded() for evse in outlets}

    def booted(self) -> None:
        """A new process: nothing is commanded, the CSMS is silent, everything else goes on."""
        self.evses = {evse: Commanded(since_ms=self.now_ms()) for evse in self.outlets}
        self.silent_since_ms, self.accepted_once = self.now_ms(), False

    # -------------------------------------------------- the CSMS

    def link(self, up: bool) -> None:
        """The station is connected and accepted, or not."""
        if up:
            self.silent_since_ms, self.accepted_once = None, True
        elif self.silent_since_ms is None:
            self.silent_since_ms = self.now_ms()

    def asked(self, action: str, request: Any) -> None:
        """A CALL of the CSMS reaches the station."""
        if action == "SetChargingProfile":
            for purpose, promise in self.promises.items():
                if (limit := ceiling(request, purpose)) is not None:
                    profile = request["chargingProfile"]
                    promise.asked(limit, (profile["id"], profile["stackLevel"]))
                    self.special = self.special or limit == FREE
            self.foreign = self.foreign or all(ceiling(request, p) is None for p in self.promises)
        elif action == "ClearChargingProfile":
            for purpose, promise in self.promises.items():
                if _clears(request, purpose):
                    promise.asked(FREE, None)
        elif action == "RequestStartTransaction" and isinstance(request, dict) and "chargingProfile" in request:
            self.foreign = True

    def answered(self, action: str, request: Any, status: str) -> None:
        """The station has answered it: what it accepted is in force already, for it lowers before it speaks."""
        for purpose, promise in self.promises.items():
            if action == "ClearChargingProfile":
                limit = FREE if _clears(request, purpose) else None
            else:
                limit = ceiling(request, purpose) if action == "SetChargingProfile" else None
            if limit is not None:
                promise.answered(limit, status == "Accepted")
        self._allowed("when it was accepted")

    # -------------------------------------------------- decisions and commands

    def decides(self, command: Permit | Offer) -> None:
        """Increases of a flowing current are spaced."""
        state = self.evses[command.evse]
        if command.amps > state.decided:
            gap = self.now_ms() - state.raised_ms
            if state.decided > 0 and gap < SPACING_MS:
                self.fail("1 limit", f"{command}: the last increase was {gap} ms ago")
            state.raised_ms = self.now_ms()
        state.decided = command.amps

    def commands(self, command: Permit | Offer, *, safe: bool) -> None:
        """A current is about to be commanded; `safe`: before anything is on flash."""
        state = self.evses[command.evse]
        self.plate(command.evse, command.amps)
        raises = isinstance(command, Permit) or command.amps > state.amps
        if safe and raises:
            self.fail("1 limit", f"{command} raises {state.amps} A before it is recorded (MAKE_SAFE)")
        if not safe and isinstance(command, Offer) and command.amps < state.amps:
            self.fail("1 limit", f"{command} lowers {state.amps} A but waits for flash")
        if command.amps != state.amps:
            state.since_ms = self.now_ms()
        state.amps = command.amps
        state.permitted = state.permitted or isinstance(command, Permit)
        self._cable(command)
        self._allowed(str(command))

    def withdraws(self, evse: int) -> None:
        """Nothing is permitted any more."""
        state = self.evses[evse]
        if state.amps or state.permitted:
            state.since_ms = self.now_ms()
        state.amps, state.permitted = 0.0, False

    def plate(self, evse: int, amps: float) -> None:
        """Neither above the nameplate nor below the EV minimum."""
        if 0 < amps < MIN_AMPS:
            self.fail("1 limit", f"EVSE {evse}: {amps} A is below the EV minimum; it must be a pause")
        spec = self.outlets[evse].spec
        if amps > spec.max_amps or amps < 0:
            self.fail("1 limit", f"EVSE {evse}: {amps} A commanded, nameplate {spec.max_amps} A")

    def _cable(self, command: Permit | Offer) -> None:
        outlet = self.outlets[command.evse]
        connector = command.connector if isinstance(command, Permit) else outlet.connector
        cable = outlet.cables.get(connector)
        if cable is not None and outlet.cable_at(connector) == "socket" and command.amps > cable:
            self.fail("1 limit", f"{command}: the cable carries {cable} A")

    @property
    def total(self) -> float:
        """A per phase of all EVSEs."""
        return sum(state.amps for state in self.evses.values())

    @property
    def watts(self) -> float:
        """What all that was commanded amounts to."""
        return sum(self.watts_at(evse) for evse in self.evses)

    def watts_at(self, evse: int) -> float:
        """On every phase that may carry current there: where the relay is, and what contacts are closed."""
        return self.evses[evse].amps * self.outlets[evse].may_carry * VOLTS

    def _allowed(self, when: str) -> None:
        total, station = self.total, self.promises[MAX]
        if total > self.installation_amps + ROUNDING:
            self.fail("1 limit", f"{when}: {total} A in total, the installation has {self.installation_amps} A")
        if self.excused or "clock" in self.allow:
            return
        if total > station.highest("A") + ROUNDING:
            self.fail("1 limit", f"{when}: {total:g} A in total, the CSMS allows {station.highest('A')} A")
        if self.watts > station.highest("W") + 1:
            self.fail("7 watts", f"{when}: {self.watts:g} W in total, the CSMS allows {station.highest('W')} W")
        most = NONE if self.foreign else self.promises[DEFAULT].highest("A")
        power = NONE if self.foreign else self.promises[DEFAULT].highest("W")
        for evse, state in self.evses.items():
            if state.amps > most + ROUNDING:
                self.fail("1 limit", f"{when}: {state.amps} A at EVSE {evse}, the CSMS allows {most} A by default")
            if self.watts_at(evse) > power + 1:
                self.fail("7 watts", f"{when}: {self.watts_at(evse):g} W at EVSE {evse}, at most {power} W by default")

    # -------------------------------------------------- sources that fall silent

    def stepped(self) -> None:
        """5: each silent source has reached its own fallback."""
        for evse, state in self.evses.items():
            if state.amps > MIN_AMPS:
                self._lapsed(evse, state)

    def _lapsed(self, evse: int, state: Commanded) -> None:
        grace_ms = 1000 * float(self.key("FallbackCtrlr.MeterSilentGrace", "10"))
        if state.meter_lost_ms is not None and self.now_ms() - state.meter_lost_ms > grace_ms + LAPSE_MS:
            self._at_most(evse, state, "FallbackCtrlr.MeterLostLimit", "its meter is silent")
        if state.derated:
            self._at_most(evse, state, "", "it is derated")
        if self.standalone:
            return
        if not self.accepted_once:
            self._at_most(evse, state, "FallbackCtrlr.BootLimit", "the CSMS has not accepted since the start")
        if self.silent_since_ms is not None and not self._profiles:
            grace_ms = 1000 * float(self.key("FallbackCtrlr.OfflineGrace", "300"))
            if self.now_ms() - self.silent_since_ms > grace_ms + LAPSE_MS:
                self._at_most(evse, state, "FallbackCtrlr.OfflineLimit", "the CSMS is silent")

    @property
    def _profiles(self) -> bool:
        """Profiles may be live: they go on while the CSMS is silent, as the key FallbackCtrlr.Mode says."""
        return self.foreign or self.special or not all(promise.free for promise in self.promises.values())

    def _at_most(self, evse: int, state: Commanded, key: str, why: str) -> None:
        most = float(self.key(key, "6"))
        if state.amps > most + ROUNDING:
            self.fail("5 lapse", f"EVSE {evse}: {state.amps} A although {why}; at most {most:g} A")
