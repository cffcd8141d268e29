"""Charging profiles: what the CSMS allows, when, and what it amounts to in amps per phase (block K).

The core's own type; the block translates OCPP's. Times are UTC ms. A profile that needs a clock while there is none
counts with its lowest period: less current rather than more.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from agent.core.context import Context
from agent.core.evse import Evse
from agent.core.limits import Claim, Shared
from agent.core.site import Site
from config_keys import smart_charging

RECURRENCE_MS = {"Daily": 86_400_000, "Weekly": 604_800_000}
MAX = "ChargingStationMaxProfile"
DEFAULT = "TxDefaultProfile"
TX = "TxProfile"
RELATIVE = "relative"
"""The mapping that keeps when Relative schedules began, by EVSE."""


class Period(NamedTuple):
    """From `start_s` on: `limit` in the schedule's unit, on `phases` phases (None: three)."""

    start_s: int
    limit: float
    phases: int | None = None
    phase_to_use: int | None = None


@dataclass(slots=True)
class Began:
    """When an EV was connected and authorised: on the monotonic clock of this boot, and in UTC; None is unknown."""

    mono_ms: int | None
    utc_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """One installed charging profile with its one schedule (K01.FR.34)."""

    id: int
    evse: int
    purpose: str
    stack_level: int
    kind: str
    unit: str
    periods: tuple[Period, ...]
    start_ms: int | None = None
    duration_s: int | None = None
    recurrency: str | None = None
    valid_from_ms: int | None = None
    valid_to_ms: int | None = None
    tx_id: str | None = None
    raw: dict[str, Any] = field(default_factory=dict, compare=False)
    """The profile as it came, for reports."""

    def data(self) -> dict[str, Any]:
        """What is kept of it."""
        return {**{name: getattr(self, name) for name in self.__slots__ if name != "periods"},
                "periods": [[p.start_s, p.limit, p.phases] for p in self.periods]}  # fmt: skip

    @classmethod
    def of(cls, data: dict[str, Any]) -> Profile:
        """From what was kept; raises TypeError or KeyError when it is not one."""
        return cls(**{**data, "periods": tuple(Period(*p) for p in data["periods"])})

    def valid(self, utc_ms: int) -> bool:
        """K01.FR.10, FR.36, FR.37: validFrom <= now < validTo, open ends allowed."""
        return self.validity[0] <= utc_ms < self.validity[1]

    @property
    def validity(self) -> tuple[int, int]:
        """From and to (UTC ms), open ends made finite."""
        return (
            0 if self.valid_from_ms is None else self.valid_from_ms,
            1 << 62 if self.valid_to_ms is None else self.valid_to_ms,
        )

    def period_at(self, utc_ms: int, relative_ms: int | None) -> tuple[Period | None, int | None]:
        """The period in force at `utc_ms` and when that changes; `relative_ms` is when a Relative one began."""
        start = relative_ms if self.kind == "Relative" else self.start_ms
        if start is None:
            return None, None
        if utc_ms < start:
            return None, start
        elapsed = utc_ms - start
        turn = RECURRENCE_MS.get(self.recurrency or "") if self.kind == "Recurring" else None
        if turn is not None:
            start += elapsed // turn * turn
            elapsed %= turn
        end = math.inf if self.duration_s is None else self.duration_s * 1000
        if elapsed >= end:
            return None, (start + turn if turn is not None else None)
        current = [p for p in self.periods if p.start_s * 1000 <= elapsed][-1]
        ends = [p.start_s * 1000 for p in self.periods if p.start_s * 1000 > elapsed] + [
            end,
            turn or math.inf,
        ]
        return current, (None if min(ends) == math.inf else start + int(min(ends)))

    @property
    def lowest(self) -> Period:
        """Its most cautious period."""
        return min(self.periods, key=lambda p: p.limit)


class Refused(NamedTuple):
    """Why a profile is not installed: OCPP's statusInfo."""

    reason: str
    info: str


class Schedules:
    """All installed profiles."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._profiles: dict[int, Profile] = {}
        self._relative: dict[int, Began] = {}
        """When a Relative schedule began at an EVSE: connected and authorised (K01.FR.42)."""

    def restore_relative(self, stored: Mapping[str, Any]) -> None:
        """When Relative schedules began before the restart."""
        kept = {evse: utc for evse, utc in stored.items() if evse.isdigit() and isinstance(utc, int)}
        self._relative = {int(evse): Began(None, utc) for evse, utc in kept.items()}

    def restore(self, stored: Iterable[Any]) -> list[str]:
        """Take what was kept; complaints name what could not be read."""
        complaints = []
        for data in stored:
            try:
                profile = Profile.of(data)
                self._profiles[profile.id] = profile
            except (TypeError, KeyError, ValueError) as error:
                complaints.append(f"kept profile is unreadable: {error}")
        return complaints

    # ---------------------------------------------------------------------------------------- installing

    def install(self, cx: Context, profile: Profile, evse: Evse | None) -> Refused | None:
        """K01: take a profile or say why not. One with the same id is replaced (K01.FR.05)."""
        refusal = self._refuse(cx, profile, evse)
        if refusal is not None:
            return refusal
        self._keep(cx, profile)
        return None

    def check_new(self, cx: Context, profile: Profile) -> Refused | None:
        """A TxProfile for a transaction that is yet to start (F01.FR.26): everything but the transaction."""
        checks = (self._shape(cx, profile), self._bounds(cx, profile))
        return next((refusal for refusal in checks if refusal is not None), None)

    def await_tx(self, cx: Context, profile: Profile, evse: Evse) -> None:
        """Hold a TxProfile for the transaction that begins at an EVSE, or bind it to the running one."""
        running = evse.tx
        self._keep(cx, replace(profile, evse=evse.id, tx_id=running.id if running else None))

    def _keep(self, cx: Context, profile: Profile) -> None:
        self._profiles[profile.id] = profile
        cx.put("profiles", str(profile.id), profile.data())

    def clear(
        self,
        cx: Context,
        profile_id: int | None,
        purpose: str | None,
        stack_level: int | None,
        evse_id: int | None,
    ) -> bool:
        """K10: by id, else all that match; False when nothing did."""
        found = [
            p for p in self._profiles.values()
            if (p.id == profile_id if profile_id is not None else
                purpose in (None, p.purpose) and stack_level in (None, p.stack_level) and evse_id in (None, p.evse))
        ]  # fmt: skip
        for profile in found:
            self._remove(cx, profile)
        return bool(found)

    def ended(self, cx: Context, tx_id: str) -> None:
        """K02.FR.05: a TxProfile goes with its transaction."""
        for profile in [p for p in self._profiles.values() if p.tx_id == tx_id]:
            self._remove(cx, profile)

    def _remove(self, cx: Context, profile: Profile) -> None:
        del self._profiles[profile.id]
        cx.put("profiles", str(profile.id), None)

    def forget_orphans(self, cx: Context, running: set[str]) -> None:
        """After a restart: a TxProfile whose transaction is gone goes too."""
        for profile in [p for p in self._profiles.values() if p.purpose == TX and p.tx_id not in running]:
            self._remove(cx, profile)

    def _refuse(self, cx: Context, new: Profile, evse: Evse | None) -> Refused | None:
        checks = (self._place(new, evse), self._shape(cx, new), self._bounds(cx, new), self._rivals(new))
        return next((refusal for refusal in checks if refusal is not None), None)

    def _place(self, new: Profile, evse: Evse | None) -> Refused | None:
        if new.evse != 0 and evse is None:
            return Refused("UnknownEvse", f"there is no EVSE {new.evse}")
        if new.purpose not in (MAX, DEFAULT, TX):
            return Refused("InvalidProfile", f"the CSMS cannot set {new.purpose} (K01.FR.22)")
        if new.purpose == MAX and (new.evse != 0 or new.kind == "Relative"):
            return Refused("InvalidProfile", f"{MAX} is for EVSE 0 and never Relative (K01.FR.38, K04.FR.03)")
        if new.purpose == TX and new.evse == 0:
            return Refused("InvalidProfile", "a TxProfile needs an EVSE (K01.FR.16)")
        if new.purpose == TX and new.tx_id is None:
            return Refused("MissingParam", "a TxProfile needs a transactionId (K01.FR.03)")
        if new.purpose == TX and (evse is None or evse.tx is None):
            return Refused("TxNotFound", "no transaction there (K01.FR.09)")
        if new.purpose == TX and evse is not None and evse.tx is not None and evse.tx.id != new.tx_id:
            return Refused("UnknownTxId", "that transaction is not running there (K01.FR.33)")
        return None

    def _shape(self, cx: Context, new: Profile) -> Refused | None:
        starts = [p.start_s for p in new.periods]
        if starts[0] != 0 or starts != sorted(set(starts)):
            return Refused("InvalidSchedule", "periods start at 0 and ascend (K01.FR.31, K01.FR.35)")
        if (new.start_ms is None) != (new.kind == "Relative"):
            return Refused("InvalidSchedule", f"startSchedule does not fit kind {new.kind} (K01.FR.40, K01.FR.41)")
        if new.kind == "Recurring" and new.recurrency is None:
            return Refused("InvalidSchedule", "Recurring needs a recurrencyKind")
        if any(p.limit < 0 for p in new.periods):
            return Refused("InvalidSchedule", "a limit below 0")
        return None

    def _bounds(self, cx: Context, new: Profile) -> Refused | None:
        level, periods = (
            cx.keys[smart_charging.PROFILE_STACK_LEVEL],
            cx.keys[smart_charging.PERIODS_PER_SCHEDULE],
        )
        if not 0 <= new.stack_level <= level:
            return Refused("InvalidStackLevel", f"stackLevel {new.stack_level}; highest is {level}")
        if len(new.periods) > periods:
            return Refused("TooManyElements", f"{len(new.periods)} periods; at most {periods}")
        wired = max((e.phases for e in self._site.evses if new.evse in (0, e.id)), default=1)
        if any(p.phase_to_use is not None or (p.phases is not None and p.phases < wired) for p in new.periods):
            return Refused(
                "InvalidSchedule", f"{wired} phases carry current, none can be switched off (K01.FR.20, K01.FR.43)"
            )
        if new.unit not in cx.keys[smart_charging.RATE_UNIT]:
            return Refused("UnsupportedRateUnit", f"unit {new.unit} is not in RateUnit (K01.FR.26)")
        capacity = cx.keys.type_of(smart_charging.ENTRIES).max_limit
        if capacity is not None and new.id not in self._profiles and len(self._profiles) >= capacity:
            return Refused("TooManyElements", f"{capacity} profiles are installed already")
        return None

    def _rivals(self, new: Profile) -> Refused | None:
        for old in self._profiles.values():
            if old.id == new.id or (old.purpose, old.stack_level) != (new.purpose, new.stack_level):
                continue
            same_place = old.evse == new.evse or (new.purpose == DEFAULT and 0 in (old.evse, new.evse))
            if same_place and old.tx_id == new.tx_id and _overlap(old, new):
                return Refused("DuplicateProfile", f"profile {old.id} has the same purpose, stackLevel and time")
        return None

    # ---------------------------------------------------------------------------------------- judging

    def follow(self, cx: Context, evse: Evse) -> None:
        """A Relative schedule begins when the EV is connected and authorised (K01.FR.42); bind what awaits a tx."""
        for profile in [
            p for p in self._profiles.values() if p.purpose == TX and p.tx_id is None and p.evse == evse.id
        ]:
            if evse.tx is not None:
                self._keep(cx, replace(profile, tx_id=evse.tx.id))
            elif evse.authorization is None:
                self._remove(cx, profile)
        if evse.connected and evse.authorization is not None:
            self._count_from(cx, evse)
        elif evse.tx is None and self._relative.pop(evse.id, None) is not None:
            cx.put(RELATIVE, str(evse.id), None)

    def _count_from(self, cx: Context, evse: Evse) -> None:
        """When Relative schedules began here: kept in UTC for a restart, counted on the clock that never steps."""
        began, utc = self._relative.setdefault(evse.id, Began(cx.ms)), cx.utc()
        if utc is not None and began.mono_ms is None and began.utc_ms is not None:
            began.mono_ms = cx.ms - max(0, utc - began.utc_ms)
        if utc is not None and began.mono_ms is not None and began.utc_ms is None:
            began.utc_ms = utc - (cx.ms - began.mono_ms)
            cx.put(RELATIVE, str(evse.id), began.utc_ms)

    def shared(self, cx: Context) -> Iterable[Shared]:
        """ChargingStationMaxProfile bounds the sum of all EVSEs (K04.FR.05)."""
        profile, period = self._leading(cx, (MAX,), 0, 0)
        if profile is not None and period is not None:
            evses = self._site.evses
            volts, phases = max(e.volts for e in evses), max(e.phases for e in evses)
            yield Shared(MAX, _amps(profile, period, volts, phases), _why(profile, period))

    def claims(self, cx: Context, evse: Evse) -> Iterable[Claim]:
        """TxProfile's leading period, else TxDefaultProfile's (K02.FR.04, K02.FR.08)."""
        for purposes in ((TX,), (DEFAULT,)):
            profile, period = self._leading(cx, purposes, evse.id, evse.id)
            if profile is not None and period is not None:
                amps = _amps(profile, period, evse.site.volts, _phases(evse))
                yield Claim(profile.purpose, amps, why=_why(profile, period))
                return

    def any_live(self, cx: Context, evse: Evse) -> bool:
        """Whether a CSMS profile says something for this EVSE now."""
        return any(True for _ in self.claims(cx, evse)) or any(True for _ in self.shared(cx))

    def _leading(
        self, cx: Context, purposes: tuple[str, ...], evse_id: int, relative_of: int
    ) -> tuple[Profile | None, Period | None]:
        """The valid profile of the highest stack level that has a period now; sets the deadline of its change."""
        utc = cx.utc()
        mine = [p for p in self._profiles.values() if p.purpose in purposes and p.evse in (0, evse_id)]
        for profile in sorted(mine, key=lambda p: (-p.stack_level, p.id)):
            if utc is None:
                return profile, profile.lowest
            self._wake(cx, utc, profile.valid_from_ms, profile.valid_to_ms)
            if not profile.valid(utc):
                continue
            period, change = profile.period_at(utc, self._began_ms(cx, relative_of, utc))
            self._wake(cx, utc, change)
            if period is not None:
                return profile, period
        return None, None

    def _began_ms(self, cx: Context, evse_id: int, utc_ms: int) -> int:
        began = self._relative.get(evse_id)
        return utc_ms if began is None or began.mono_ms is None else utc_ms - (cx.ms - began.mono_ms)

    def _wake(self, cx: Context, utc_ms: int, *changes: int | None) -> None:
        for change in changes:
            if change is not None and change > utc_ms:
                at = cx.ms + change - utc_ms
                known = cx.timers.at("schedules")
                if known is None or at < known:
                    cx.timers.set("schedules", at)


def _overlap(a: Profile, b: Profile) -> bool:
    return max(a.validity[0], b.validity[0]) < min(a.validity[1], b.validity[1])


def _phases(evse: Evse) -> int:
    """Phases that may carry current: those closed, else all that are wired."""
    return evse.phases_closed or evse.site.phases


def _amps(profile: Profile, period: Period, volts: float, phases: int) -> float:
    """K01.FR.50: W = A x V x phases; divided by the phases that really carry current (invariant 7)."""
    return period.limit if profile.unit == "A" else period.limit / (volts * phases)


def _why(profile: Profile, period: Period) -> str:
    return f"profile {profile.id}, stack level {profile.stack_level}: {period.limit:g} {profile.unit}"
