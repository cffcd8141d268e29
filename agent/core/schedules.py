"""Installed charging profiles: what the CSMS and external systems allow, when, and what it amounts to (block K).

A profile that needs a clock while there is none counts with its lowest period: less current rather than more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from agent.core import profile_rules as rules
from agent.core.context import Context
from agent.core.electrics import watts_per_amp
from agent.core.evse import Evse
from agent.core.limits import Claim
from agent.core.operators import Owned
from agent.core.phase_choice import Demand
from agent.core.profiles import DEFAULT, EVER, EXTERNAL, MAX, TX, Period, Profile
from agent.core.sharing import Shared
from config_keys import failsafe, smart_charging
from config_keys.values import Refusal

RELATIVE = "relative"
"""The mapping that keeps when Relative schedules began, by EVSE."""
TABLE = "profiles"
CHARGING, STATION = (TX, DEFAULT), (MAX,)
"""Purposes that bind an EVSE, the first that says something alone, and those that bind all EVSEs together."""
NO_LIMIT_AMPS = 80.0
"""FallbackCtrlr.ProfileExpiredLimit from which on it says nothing."""


@dataclass(slots=True)
class Began:
    """When an EV was connected and authorised: on the monotonic clock of this boot, and in UTC; None is unknown."""

    mono_ms: int | None
    utc_ms: int | None = None


class Leading(NamedTuple):
    """What a purpose says at a moment: the leading profile and its period, if any, and until when that may hold."""

    profile: Profile | None
    period: Period | None
    until_ms: int


NOTHING = Leading(None, None, EVER)


class Wanted(NamedTuple):
    """Which profiles are meant (K09, K10): all that is given must fit."""

    ids: frozenset[int] | None = None
    evse: int | None = None
    purpose: str | None = None
    stack_level: int | None = None
    sources: frozenset[str] | None = None

    def fits(self, profile: Profile) -> bool:
        """Whether a profile is meant."""
        return (
            (self.ids is None or profile.id in self.ids)
            and self.evse in (None, profile.evse)
            and self.purpose in (None, profile.purpose)
            and self.stack_level in (None, profile.stack_level)
            and (self.sources is None or profile.source in self.sources)
        )


class Schedules(Owned):
    """All installed profiles."""

    TABLES, BELONGINGS = (TABLE, RELATIVE), ("_profiles", "_relative")

    def __init__(self, evses: Mapping[int, Evse]) -> None:
        self._evses = evses
        self._profiles: dict[int, Profile] = {}
        self._ranked: dict[tuple[str, int], tuple[Profile, ...]] = {}
        """Profiles by purpose and EVSE, the highest stack level first; made when they are asked for."""
        self._relative: dict[int, Began] = {}
        """When a Relative schedule began at an EVSE: connected and authorised (K01.FR.42)."""
        self._few = False
        """A profile somewhere allows fewer than three phases."""
        self._carried: list[Profile] = []
        self.revision = 0
        """Counts the changes of what is installed."""
        self._leading: dict[tuple[tuple[str, ...], int], tuple[Any, Leading]] = {}
        """What was found last for purposes and EVSE, and from what."""

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
                complaints.append(f"kept profile is unreadable: {error!r}")
        return complaints

    # ---------------------------------------------------------------------------------------- operators

    def load(self, *tables: Mapping[str, Any]) -> None:
        """Another operator's profiles; limits from elsewhere hold on."""
        profiles, relative = tables
        self._profiles = {}
        self.restore(profiles.values())
        self.restore_relative(relative)

    def parked(self, cx: Context) -> Mapping[str, Any]:
        """All that the CSMS has set; limits from elsewhere are nobody's."""
        self._carried = [profile for profile in self._profiles.values() if profile.purpose == EXTERNAL]
        for profile in self._carried:
            self.release(cx, profile.id)
        return super().parked(cx)

    def adopted(self, cx: Context) -> None:
        """Limits from elsewhere are put in again; TxProfiles of transactions that are over go."""
        for profile in self._carried:
            self.hold(cx, profile)
        self._carried = []
        self.start(cx, {evse.tx.id for evse in self._evses.values() if evse.tx is not None})

    def start(self, cx: Context, running: set[str]) -> None:
        """After a restart a TxProfile whose transaction is gone goes too."""
        for profile in [p for p in self._profiles.values() if p.purpose == TX and p.tx_id not in running]:
            self._remove(cx, profile)
        self._count(cx)

    # ---------------------------------------------------------------------------------------- installing

    def install(self, cx: Context, profile: Profile, several: bool = False) -> Refusal | None:
        """K01: take a profile or say why not. One with the same id is replaced (K01.FR.05)."""
        refusal = rules.place(profile, self._evses.get(profile.evse)) or self._refuse(cx, profile, several)
        if refusal is None:
            self.keep(cx, profile)
        return refusal

    def check_new(self, cx: Context, profile: Profile) -> Refusal | None:
        """A TxProfile for a transaction that is yet to start (F01.FR.26): everything but the transaction."""
        return self._refuse(cx, profile, several=False)

    def await_tx(self, cx: Context, profile: Profile, evse: Evse) -> None:
        """Hold a TxProfile for the transaction that begins at an EVSE, or bind it to the running one."""
        running = evse.tx
        self.keep(cx, replace(profile, evse=evse.id, tx_id=running.id if running else None))

    def _refuse(self, cx: Context, new: Profile, several: bool) -> Refusal | None:
        return (
            rules.shape(new, several)
            or rules.bounds(cx, new)
            or rules.phases(cx, new, self._evses.values())
            or rules.taken(cx, new, self._profiles)
            or rules.rivals(new, self._profiles.values())
        )

    def keep(self, cx: Context, profile: Profile) -> None:
        """Hold a profile that is known to be right; one that changes nothing costs no flash."""
        data = profile.data()
        old = self._profiles.get(profile.id)
        if old is not None and old.data() == data:
            return
        self._profiles[profile.id] = profile
        cx.put(TABLE, str(profile.id), data)
        self._count(cx)

    def has_place(self, evse_id: int) -> bool:
        """Whether a limit can be set there: an EVSE, or 0 for the station."""
        return evse_id == 0 or evse_id in self._evses

    def switches(self, evse_id: int) -> bool:
        """Whether the EVSE, or with 0 each that has three phases, can charge on one."""
        meant = [e for e in self._evses.values() if evse_id in (0, e.id) and e.site.phases == 3]
        return all(evse.relay is not None for evse in meant)

    def free_id(self) -> int:
        """An id for an external limit: negative, so that it never meets one of the CSMS (K11.FR.06)."""
        return min([0, *self._profiles]) - 1

    def hold(self, cx: Context, profile: Profile) -> None:
        """Show an external limit among the profiles; who holds it keeps it."""
        self._profiles[profile.id] = profile
        self._count(cx)

    def show(self, profile: Profile) -> None:
        """An external limit that has not changed, as it is told by the clock now: nothing is looked at anew for it."""
        if self._profiles[profile.id] != profile:
            self._profiles[profile.id] = profile
            self._ranked.clear()

    def release(self, cx: Context, profile_id: int) -> None:
        """An external limit is gone."""
        del self._profiles[profile_id]
        self._count(cx)

    def profile(self, profile_id: int) -> Profile | None:
        """An installed profile by its id."""
        return self._profiles.get(profile_id)

    def select(self, wanted: Wanted) -> list[Profile]:
        """K09: the profiles that are meant, in order of their source, EVSE and id."""
        return sorted(filter(wanted.fits, self._profiles.values()), key=lambda p: (p.source, p.evse, p.id))

    def clear(self, cx: Context, wanted: Wanted) -> bool:
        """K10: take away what the CSMS has set and means; False when that is nothing (K10.FR.01, FR.08, FR.09)."""
        found = [profile for profile in self.select(wanted) if profile.purpose != EXTERNAL]
        for profile in found:
            self._remove(cx, profile)
        return bool(found)

    def alternatives(self, evse_id: int) -> int:
        """From how many schedules an EV can choose (K15.FR.22)."""
        return max([1, *(len(profile.schedules) for profile in self._of(TX, evse_id))])

    def choose(self, cx: Context, evse_id: int, which: int) -> None:
        """The EV has chosen the nth schedule of each profile that has several."""
        for profile in [p for p in self._of(TX, evse_id) if len(p.schedules) > 1]:
            self.keep(cx, replace(profile, chosen=min(which, len(profile.schedules) - 1)))

    def schedule_id(self, evse_id: int, which: int) -> int:
        """The id that the CSMS has given to the nth schedule at an EVSE; counted from 1 where there is none."""
        first = next(iter((*self._of(TX, evse_id), *self._of(DEFAULT, evse_id))), None)
        return which + 1 if first is None else first.schedules[min(which, len(first.schedules) - 1)].id

    def ended(self, cx: Context, tx_id: str) -> None:
        """K02.FR.05: a TxProfile goes with its transaction."""
        for profile in [p for p in self._profiles.values() if p.tx_id == tx_id]:
            self._remove(cx, profile)

    def _remove(self, cx: Context, profile: Profile) -> None:
        del self._profiles[profile.id]
        cx.put(TABLE, str(profile.id), None)
        self._count(cx)

    def _count(self, cx: Context) -> None:
        self._ranked.clear()
        few = (p.phases for profile in self._profiles.values() for s in profile.schedules for p in s.periods)
        self._few = any(phases is not None and phases < 3 for phases in few)
        self.revision += 1
        cx.keys.put(smart_charging.ENTRIES, sum(1 for p in self._profiles.values() if p.purpose != EXTERNAL))

    # ---------------------------------------------------------------------------------------- following

    def follow(self, cx: Context, evse: Evse) -> None:
        """A Relative schedule begins when the EV is connected and authorised (K01.FR.42); bind what awaits a tx."""
        for profile in [p for p in self._of(TX, evse.id) if p.tx_id is None]:
            if evse.tx is not None:
                self.keep(cx, replace(profile, tx_id=evse.tx.id))
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

    # ---------------------------------------------------------------------------------------- judging

    def began_ms(self, cx: Context, evse_id: int, utc_ms: int) -> int:
        """When Relative schedules began at an EVSE (UTC ms): now where nobody charges."""
        began = self._relative.get(evse_id)
        return utc_ms if began is None or began.mono_ms is None else utc_ms - (cx.ms - began.mono_ms)

    def leading(self, purpose: str, evse_id: int, at_ms: int, began_ms: int, which: int | None = None) -> Leading:
        """The valid profile of the highest stack level that has a period at `at_ms` (UTC), and until when (K01.FR.17).

        `which` asks for other schedules of the profiles than the chosen ones (K15.FR.22).
        """
        until = EVER
        for profile in self._of(purpose, evse_id):
            period, change = profile.at(at_ms, began_ms, which)
            until = min(until, change)
            if period is not None:
                return Leading(profile, period, until)
        return Leading(None, None, until)

    def leading_for_tx(self, evse_id: int, at_ms: int, began_ms: int, which: int | None = None) -> Leading:
        """TxProfile's leading period, else TxDefaultProfile's (K02.FR.04, K02.FR.08)."""
        own = self.leading(TX, evse_id, at_ms, began_ms, which)
        if own.profile is not None:
            return own
        default = self.leading(DEFAULT, evse_id, at_ms, began_ms)
        return default._replace(until_ms=min(own.until_ms, default.until_ms))

    def external(self, evse_id: int, at_ms: int) -> tuple[tuple[Leading, ...], int]:
        """What external limits of one EVSE, or (0) of the station, say at `at_ms` (UTC), each, and until when."""
        mine = [profile for profile in self._of(EXTERNAL, evse_id) if profile.evse == evse_id]
        found = tuple(Leading(profile, *profile.at(at_ms, at_ms)) for profile in mine)
        return found, min((lead.until_ms for lead in found), default=EVER)

    def shared(self, cx: Context) -> Iterable[Shared]:
        """ChargingStationMaxProfile bounds the sum of all EVSEs (K04.FR.05)."""
        for profile, period in self._now(cx, STATION, 0):
            yield Shared(MAX, period.limit, _why(profile, period), profile.schedule.unit)

    def claims(self, cx: Context, evse: Evse) -> Iterable[Claim]:
        """What holds for the transaction at an EVSE, or for one that may begin."""
        for profile, period in self._now(cx, CHARGING, evse.id):
            yield Claim(profile.purpose, self._amps(cx, evse, profile, period.limit), why=_why(profile, period))
        most = self.expired_limit(cx)
        if most < EVER and (self._is_over(cx, CHARGING, evse.id) or self._is_over(cx, STATION, 0)):
            yield Claim("profile expired", most, why=failsafe.PROFILE_EXPIRED_LIMIT.name)

    def _is_over(self, cx: Context, purposes: tuple[str, ...], evse_id: int) -> bool:
        """None of these profiles is in force, and the time of one is over; without a clock: that may be so."""
        utc = cx.utc()
        if utc is None:
            known = any(self._of(purpose, evse_id) for purpose in purposes)
            return known and not self._timeless(cx, purposes, evse_id)[1]
        over = self.has_expired(evse_id, utc, self.began_ms(cx, evse_id, utc), purposes)
        return over and not self._now(cx, purposes, evse_id)

    def expired_limit(self, cx: Context) -> float:
        """What holds (A per phase) when the time of a profile is over; EVER where that is left to other limits."""
        most = float(cx.keys[failsafe.PROFILE_EXPIRED_LIMIT]) if self._enabled(cx) else EVER
        return most if most < NO_LIMIT_AMPS else EVER

    def has_expired(
        self, evse_id: int, utc_ms: int, began_ms: int, purposes: tuple[str, ...] = CHARGING
    ) -> bool:
        """Whether a profile at an EVSE (0: of the station) was in force and its time is over."""
        return any(p.is_over(utc_ms, began_ms) for purpose in purposes for p in self._of(purpose, evse_id))

    def efficient(self, cx: Context, evse: Evse) -> float:
        """minChargingRate of what holds, in A per phase; 0 when none is given (K01.FR.21)."""
        for profile, _ in self._now(cx, CHARGING, evse.id)[:1]:
            if profile.schedule.min_rate:
                return self._amps(cx, evse, profile, profile.schedule.min_rate)
        return 0.0

    def demands(self, cx: Context, evse: Evse) -> Iterable[Demand]:
        """numberPhases of what holds now, where it is fewer than three (K01.FR.49: absent is three)."""
        for purposes, place in ((CHARGING, evse.id), (STATION, 0)) if self._few else ():
            for profile, period in self._now(cx, purposes, place):
                if period.phases is not None and period.phases < 3:
                    yield Demand(period.phases, profile.schedule.unit, f"profile {profile.id}")

    def any_live(self, cx: Context, evse: Evse) -> bool:
        """Whether a CSMS profile says something for this EVSE now."""
        return bool(self._now(cx, CHARGING, evse.id) or self._now(cx, STATION, 0))

    def _enabled(self, cx: Context) -> bool:
        return bool(cx.keys[smart_charging.ENABLED])

    def _amps(self, cx: Context, evse: Evse, profile: Profile, limit: float) -> float:
        """A watt limit is divided by the phases that may carry current and their voltage (K01.FR.50, invariant 7)."""
        return limit if profile.schedule.unit == "A" else limit / watts_per_amp(cx, evse)

    def _of(self, purpose: str, evse_id: int) -> tuple[Profile, ...]:
        """Profiles of a purpose that hold at an EVSE, the leading ones first."""
        found = self._ranked.get((purpose, evse_id))
        if found is None:
            mine = [p for p in self._profiles.values() if p.purpose == purpose and p.evse in (0, evse_id)]
            found = tuple(sorted(mine, key=lambda p: (-p.stack_level, p.id)))
            self._ranked[purpose, evse_id] = found
        return found

    def _now(self, cx: Context, purposes: tuple[str, ...], evse_id: int) -> Sequence[tuple[Profile, Period]]:
        """What the first of these purposes that says something says now; sets the deadline of its change.

        Without a clock it is what each profile says that may be in force: all of it holds.
        """
        if not self._profiles or not self._enabled(cx):
            return ()
        utc = cx.utc()
        if utc is None:
            return self._timeless(cx, purposes, evse_id)[0]
        found = self._timed(cx, purposes, evse_id, utc)
        return () if found.profile is None or found.period is None else ((found.profile, found.period),)

    def _timed(self, cx: Context, purposes: tuple[str, ...], evse_id: int, utc: int) -> Leading:
        """Looked up anew when it changes by itself, or anything that it follows from has changed."""
        began = self._relative.get(evse_id)
        inputs = (utc - cx.ms, self.revision, began.mono_ms if began is not None else None)
        known, found = self._leading.get((purposes, evse_id), (None, NOTHING))
        if known != inputs or utc >= found.until_ms:
            found = self._first(purposes, evse_id, utc, self.began_ms(cx, evse_id, utc))
            self._leading[purposes, evse_id] = (inputs, found)
        if found.until_ms < EVER:
            wake(cx, cx.ms + found.until_ms - utc)
        return found

    def _first(self, purposes: tuple[str, ...], evse_id: int, utc: int, began_ms: int) -> Leading:
        until = EVER
        for purpose in purposes:
            found = self.leading(purpose, evse_id, utc, began_ms)
            until = min(until, found.until_ms)
            if found.period is not None:
                return found._replace(until_ms=until)
        return Leading(None, None, until)

    def _timeless(
        self, cx: Context, purposes: tuple[str, ...], evse_id: int
    ) -> tuple[list[tuple[Profile, Period]], bool]:
        """Without a clock: all that may be in force, down to the first profile that surely is, if there is one."""
        found = []
        for profile in (profile for purpose in purposes for profile in self._of(purpose, evse_id)):
            period, sure = self._uncounted(cx, profile, evse_id)
            if period is not None:
                found.append((profile, period))
            if sure:
                return found, True
        return found, False

    def _uncounted(self, cx: Context, profile: Profile, evse_id: int) -> tuple[Period | None, bool]:
        """Without a clock: a Relative profile is still counted, all others bind with their lowest period.

        And whether it surely is in force: then it hides those below it.
        """
        began = self._relative.get(evse_id)
        relative = profile.schedule.start_ms is None and profile.validity == (0, EVER)
        if relative and began is not None and began.mono_ms is not None:
            period, until = profile.at(cx.ms, began.mono_ms)
            if until < EVER:
                wake(cx, until)
            return period, period is not None
        if profile.is_over(cx.clock.floor_ms, EVER):
            return None, False
        return profile.schedule.lowest, profile.is_endless(cx.clock.floor_ms)


def wake(cx: Context, at_ms: int) -> None:
    """Let a step come at `at_ms` (monotonic), when a schedule changes."""
    known = cx.timers.at("schedules")
    if at_ms > cx.ms and (known is None or at_ms < known):
        cx.timers.set("schedules", at_ms)


def _why(profile: Profile, period: Period) -> str:
    on = "" if period.phases is None else f" on {period.phases} phases"
    return f"profile {profile.id}, stack level {profile.stack_level}: {period.limit:g} {profile.schedule.unit}{on}"
