"""Limits of energy management, grid operator and the person here (K11 to K13). Each source has one for each EVSE.

The newest word of a source holds until it is released, for as long as it is valid, and over a restart: there it
counts with the lowest value since it was last written down, until the source speaks again or its time is over.
The person's is told as Other: the CSMS hears each change of either, and that it is cleared when neither is left.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from agent.core.context import Context
from agent.core.electrics import watts_per_amp
from agent.core.events import LimitReleased, LimitSet
from agent.core.evse import Evse
from agent.core.limits import Claim
from agent.core.outbox import Outbox
from agent.core.phase_choice import Demand
from agent.core.profiles import EXTERNAL, Period, Profile, Schedule
from agent.core.schedules import Schedules, wake
from agent.core.sharing import Lapse, Shared
from config_keys import limits, smart_charging

TABLE = "external"
PERSON = "Operator"
"""The person at the charger: no external system, so ExternalControlSignalsEnabled does not concern him."""
SOURCES = ("EMS", "SO", "Other", PERSON)
"""Who may set a limit: chargingLimitSource (K11.FR.05: never CSO), and the person."""
KEEP_MS = 600_000
"""How often at most a limit that rises is written down: a lower one always is."""


@dataclass(slots=True)
class Bound:
    """One external limit, what of it is on flash, and what the CSMS knows of it."""

    profile_id: int
    word: LimitSet
    said_ms: int
    until_ms: int | None
    kept: LimitSet | None = None
    kept_ms: int = 0
    told: float | None = None
    told_ms: int = 0

    def limit(self, now_ms: int) -> float:
        """What holds now, in its unit: after its time it is its own fallback."""
        lapsed = self.until_ms is not None and now_ms >= self.until_ms
        return self.word.fallback if lapsed else self.word.limit

    def lapse(self) -> Lapse:
        """Until when it holds, and its fallback."""
        return Lapse(self.until_ms, self.word.fallback)

    @property
    def place(self) -> str:
        """Its name in the table."""
        return _place(self.word)


def _place(word: LimitSet | LimitReleased) -> str:
    return f"{word.source}@{word.evse}"


def _wire(word: LimitSet | LimitReleased) -> str:
    """chargingLimitSource: OCPP has no name for the person."""
    return "Other" if word.source == PERSON else word.source


def _told_as(word: LimitSet | LimitReleased) -> str:
    """What the CSMS can tell apart: its source and EVSE."""
    return f"{_wire(word)}@{word.evse}"


def _owner(word: LimitSet) -> str:
    return "operator" if word.source == PERSON else f"external {word.source}"


class External:
    """Takes what external systems say, claims it, and tells the CSMS."""

    def __init__(self, schedules: Schedules, outbox: Outbox, stored: Mapping[str, Any]) -> None:
        self._schedules = schedules
        self._outbox = outbox
        self._bounds: dict[str, Bound] = {}
        self._cleared: set[str] = set()
        """Released limits of which the CSMS still has to be told."""
        self._restored = [word for data in stored.values() if (word := _restored(data)) is not None]

    def start(self, cx: Context) -> None:
        """Limits of before the restart hold; their time begins anew."""
        for word in self._restored:
            self._put(cx, word)
            bound = self._bounds[_place(word)]
            bound.kept, bound.kept_ms = word, cx.ms

    # ---------------------------------------------------------------------------------------- what is said

    def set(self, cx: Context, word: LimitSet) -> str | None:
        """K11, K12: take a limit; the answer is why not, in plain words."""
        wrong = self._wrong(cx, word)
        if wrong is None:
            self._put(cx, word)
            self._keep(cx, self._bounds[_place(word)])
        else:
            cx.note("limit", f"a limit of {word.source} was refused: {wrong}", "warning")
        return wrong

    def release(self, cx: Context, word: LimitReleased) -> bool:
        """K13.FR.01: a limit is taken back; False when there was none."""
        bound = self._bounds.pop(_place(word), None)
        if bound is None:
            return False
        self._schedules.release(cx, bound.profile_id)
        cx.put(TABLE, bound.place, None)
        if bound.told is not None:
            self._gone(_told_as(word))
        cx.note("limit", f"{word.source} releases its limit of EVSE {word.evse}")
        return True

    def _gone(self, told_as: str) -> None:
        """The CSMS is told that a limit is cleared; of another by the same name, which still holds, it is told anew."""
        self._cleared.add(told_as)
        for other in self._bounds.values():
            if _told_as(other.word) == told_as:
                other.told = None

    def describe(self, cx: Context) -> list[dict[str, Any]]:
        """All limits, for people: what was said, what holds, and for how many seconds more."""
        return [
            {
                "source": bound.word.source, "evse": bound.word.evse, "limit": bound.word.limit,
                "unit": bound.word.unit, "holds": bound.limit(cx.ms),
                "left_s": None if bound.until_ms is None else max(0, bound.until_ms - cx.ms) // 1000,
            }
            for bound in self._bounds.values()
        ]  # fmt: skip

    def _wrong(self, cx: Context, word: LimitSet) -> str | None:
        if word.source != PERSON and not cx.keys[smart_charging.EXTERNAL_CONTROL_SIGNALS_ENABLED]:
            return "SmartChargingCtrlr.ExternalControlSignalsEnabled is false"
        if word.source not in SOURCES or word.unit not in ("A", "W"):
            return f"expected a source of {', '.join(SOURCES)} and a limit in A or W"
        if not self._schedules.has_place(word.evse):
            return f"there is no EVSE {word.evse}"
        if word.phases not in (None, 1, 2, 3):
            return "expected 1 to 3 phases"
        if word.phases in (1, 2) and not self._schedules.switches(word.evse):
            return "the hardware there does not switch phases"
        if not all(0 <= amount < float("inf") for amount in (word.limit, word.fallback)):
            return "expected limits from 0 on"
        return None if word.valid_s is None or word.valid_s > 0 else "expected a validity of at least a second"

    def _put(self, cx: Context, word: LimitSet) -> None:
        old = self._bounds.get(_place(word))
        until = None if word.valid_s is None else cx.ms + word.valid_s * 1000
        if old is None:
            ident = self._schedules.free_id()
            old = self._bounds[_place(word)] = Bound(ident, word, cx.ms, until)
            cx.note("limit", f"{word.source} sets {word.limit:g} {word.unit} at EVSE {word.evse}")
        old.word, old.said_ms, old.until_ms = word, cx.ms, until
        self._schedules.hold(cx, _profile(cx, old))

    def refresh(self, cx: Context) -> None:
        """Show all limits among the profiles as they are by the clock as it is now: it may have been set."""
        for bound in self._bounds.values():
            self._schedules.show(_profile(cx, bound))

    def _keep(self, cx: Context, bound: Bound) -> None:
        """What would be too high after a restart is written down at once, what would be too low now and then."""
        word, kept = bound.word, bound.kept
        may_rise = cx.ms - bound.kept_ms >= KEEP_MS
        if kept == word or (kept is not None and _is_lower(kept, word) and not may_rise):
            return
        bound.kept, bound.kept_ms = word, cx.ms
        cx.put(TABLE, bound.place, word._asdict())

    # ---------------------------------------------------------------------------------------- what holds

    def claims(self, cx: Context, evse: Evse) -> Iterable[Claim]:
        """Limits of one EVSE (K11.FR.01)."""
        for bound in self._bounds.values():
            if bound.word.evse == evse.id:
                per_amp = watts_per_amp(cx, evse) if bound.word.unit == "W" else 1.0
                word = bound.word
                self._wake(cx, bound)
                yield Claim(_owner(word), word.limit / per_amp, bound.until_ms, word.fallback / per_amp,
                            why=f"{word.limit:g} {word.unit} said by {word.source}")  # fmt: skip

    def shared(self, cx: Context) -> Iterable[Shared]:
        """Limits of the station bound the sum of all EVSEs (K12.FR.01)."""
        for bound in self._bounds.values():
            if bound.word.evse == 0:
                self._wake(cx, bound)
                word, limit = bound.word, bound.limit(cx.ms)
                yield Shared(_owner(word), limit, f"said by {word.source}", word.unit,
                             lapse=None if bound.until_ms is None else bound.lapse)  # fmt: skip

    def demands(self, cx: Context, evse: Evse) -> Iterable[Demand]:
        """Who allows an EVSE fewer than three phases, for as long as the limit stands, lapsed or not."""
        for bound in self._bounds.values():
            word = bound.word
            if word.phases is not None and word.phases < 3 and word.evse in (0, evse.id):
                yield Demand(word.phases, word.unit, _owner(word))

    def _wake(self, cx: Context, bound: Bound) -> None:
        if bound.until_ms is not None:
            wake(cx, bound.until_ms)

    # ---------------------------------------------------------------------------------------- what is told

    def tell(self, cx: Context) -> None:
        """Tell the CSMS of limits that have changed by more than LimitChangeSignificance, or are gone."""
        if not cx.keys[smart_charging.EXTERNAL_CONTROL_SIGNALS_ENABLED]:
            for bound in [bound for bound in self._bounds.values() if bound.word.source != PERSON]:
                self.release(cx, LimitReleased(bound.word.source, bound.word.evse))
        if not self._outbox.online:
            return
        if self._cleared:
            self._clear()
        for bound in self._bounds.values():
            self._tell(cx, bound)

    def _clear(self) -> None:
        for place in sorted(self._cleared.difference(_told_as(bound.word) for bound in self._bounds.values())):
            source, _, evse = place.partition("@")
            self._outbox.call("ClearedChargingLimit", {"source": source, "evse": int(evse)}, "unlimited", place=place)
        self._cleared.clear()

    def _tell(self, cx: Context, bound: Bound) -> None:
        limit = bound.limit(cx.ms)
        if bound.told is not None and not is_significant(cx, bound.told, limit):
            return
        due = bound.told_ms + cx.keys[limits.NOTIFY_SPACING] * 1000
        if bound.told is not None and cx.ms < due:
            wake(cx, due)
            return
        bound.told, bound.told_ms = limit, cx.ms
        word = bound.word
        data = {"source": _wire(word), "evse": word.evse, "critical": word.critical, "profile": bound.profile_id}
        self._outbox.call("NotifyChargingLimit", data, "limited", place=bound.place)

    def void(self, then: str, place: str) -> None:
        """The CSMS was not reached: it is told again."""
        if then == "unlimited":
            self._cleared.add(place)
        elif place in self._bounds:
            self._bounds[place].told = None


def is_significant(cx: Context, before: float, now: float) -> bool:
    """Whether a limit has changed by more than LimitChangeSignificance percent (K11.FR.02, SC.03)."""
    return abs(now - before) * 100 > float(cx.keys[smart_charging.LIMIT_CHANGE_SIGNIFICANCE]) * before


def _profile(cx: Context, bound: Bound) -> Profile:
    """How an external limit is reported (K11.FR.06): negative ids never meet those of a CSMS.

    Its time is counted on the clock that never steps; without one on the wall only what holds now can be told.
    """
    word, utc = bound.word, cx.utc()
    periods, start_ms = [Period(0, bound.limit(cx.ms), word.phases)], 0
    if utc is not None:
        start_ms = utc - (cx.ms - bound.said_ms)
        periods[0] = Period(0, word.limit, word.phases)
        periods += [] if word.valid_s is None else [Period(word.valid_s, word.fallback, word.phases)]
    schedule = Schedule(word.unit, tuple(periods), start_ms)
    return Profile(bound.profile_id, word.evse, EXTERNAL, 0, "Absolute", (schedule,), source=_wire(word))


def _is_lower(kept: LimitSet, word: LimitSet) -> bool:
    """Whether what is written down differs from a newer word in nothing but a lower limit."""
    return kept._replace(limit=word.limit) == word and kept.limit < word.limit


def _restored(data: Any) -> LimitSet | None:
    try:
        return LimitSet(**data)
    except TypeError:
        return None
