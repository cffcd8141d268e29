"""What a charging profile is refused for, with a reason of the specification's list and a plain sentence (K01)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from itertools import pairwise

from agent.core.context import Context
from agent.core.electrics import grid_phases
from agent.core.evse import Evse
from agent.core.profiles import DEFAULT, EXTERNAL, MAX, TX, Period, Profile, Schedule
from config_keys import smart_charging
from config_keys.values import Refusal


def place(new: Profile, evse: Evse | None) -> Refusal | None:
    """Where it is to hold: EVSE, purpose, transaction."""
    if new.evse != 0 and evse is None:
        return Refusal("UnknownEvse", f"there is no EVSE {new.evse} (K01.FR.28)")
    if new.purpose not in (MAX, DEFAULT, TX):
        return Refusal("InvalidProfile", f"the CSMS cannot set {new.purpose} (K01.FR.22)")
    if new.purpose == MAX and (new.evse != 0 or new.kind == "Relative"):
        return Refusal("InvalidProfile", f"{MAX} is for EVSE 0 and never Relative (K01.FR.38, K04.FR.03)")
    return transaction(new, evse) if new.purpose == TX else None


def transaction(new: Profile, evse: Evse | None) -> Refusal | None:
    """A TxProfile belongs to the transaction that runs at its EVSE."""
    if new.evse == 0:
        return Refusal("InvalidProfile", "a TxProfile needs an EVSE (K01.FR.16)")
    if new.tx_id is None:
        return Refusal("MissingParam", "a TxProfile needs a transactionId (K01.FR.03)")
    if evse is None or evse.tx is None:
        return Refusal("TxNotFound", "no transaction there (K01.FR.09)")
    if evse.tx.id != new.tx_id:
        return Refusal("UnknownTxId", "that transaction is not running there (K01.FR.33)")
    return None


def shape(new: Profile, several: bool) -> Refusal | None:
    """Whether it makes sense in itself; `several` schedules are for ISO 15118 sessions."""
    if len(new.schedules) > 1 and not several:
        return Refusal("InvalidSchedule", "one chargingSchedule without ISO 15118 (K01.FR.34)")
    if new.kind == "Recurring" and new.recurrency is None:
        return Refusal("InvalidSchedule", "Recurring needs a recurrencyKind")
    return _first(_schedule(new, schedule) for schedule in new.schedules)


def _schedule(new: Profile, schedule: Schedule) -> Refusal | None:
    starts = [period.start_s for period in schedule.periods]
    if starts[0] != 0 or any(before >= after for before, after in pairwise(starts)):
        return Refusal("InvalidSchedule", "periods start at 0 and ascend (K01.FR.31, K01.FR.35)")
    if (schedule.start_ms is None) != (new.kind == "Relative"):
        return Refusal("InvalidSchedule", f"startSchedule does not fit kind {new.kind} (K01.FR.40, K01.FR.41)")
    numbers = [schedule.min_rate or 0.0, *(period.limit for period in schedule.periods)]
    if not all(0 <= number < math.inf for number in numbers):
        return Refusal("InvalidSchedule", "a limit is no number of A or W from 0 on")
    return None


def bounds(cx: Context, new: Profile) -> Refusal | None:
    """The station's keys: levels, periods, units."""
    level, periods = cx.keys[smart_charging.PROFILE_STACK_LEVEL], cx.keys[smart_charging.PERIODS_PER_SCHEDULE]
    if not 0 <= new.stack_level <= level:
        return Refusal("InvalidStackLevel", f"stackLevel {new.stack_level}; expected 0 to {level}")
    longest = max(len(schedule.periods) for schedule in new.schedules)
    if longest > periods:
        return Refusal("TooManyElements", f"{longest} periods; at most {periods}")
    units = cx.keys[smart_charging.RATE_UNIT]
    if any(schedule.unit not in units for schedule in new.schedules):
        return Refusal("UnsupportedRateUnit", f"expected a unit of {', '.join(units)} (K01.FR.26)")
    return None


def phases(cx: Context, new: Profile, evses: Iterable[Evse]) -> Refusal | None:
    """numberPhases and phaseToUse must be possible at every EVSE that it is for (K01.FR.19, FR.20, FR.43 to FR.48)."""
    here = [evse for evse in evses if new.evse in (0, evse.id)]
    periods = {(p.phases, p.phase_to_use): p for schedule in new.schedules for p in schedule.periods}
    return _first(_phases(cx, period, evse) for period in periods.values() for evse in here)


def _phases(cx: Context, period: Period, evse: Evse) -> Refusal | None:
    wired, wanted = evse.site.phases, period.phase_to_use
    if wanted is not None and period.phases != 1:
        return Refusal("InvalidSchedule", "phaseToUse goes with numberPhases 1 only (K01.FR.19)")
    if period.phases is not None and period.phases < wired and evse.relay is None:
        return Refusal("InvalidSchedule", f"EVSE {evse.id} charges on {wired} phases, none can be switched off"
                       " (K01.FR.43)")  # fmt: skip
    alone = wired == 1 or evse.relay is not None
    uses = alone and wanted is not None and grid_phases(cx, evse, (1,)) == {wanted - 1}
    if wanted is None or uses or cx.keys.at(smart_charging.AC_PHASE_SWITCHING_SUPPORTED, evse.id):
        return None
    return Refusal("InvalidSchedule", f"EVSE {evse.id} cannot choose phase {wanted} (K01.FR.20, K01.FR.48)")


def rivals(new: Profile, installed: Iterable[Profile]) -> Refusal | None:
    """Profiles that would contradict it: same purpose, level, place and time, or another phase."""
    return _first(_rival(new, old) for old in installed if old.id != new.id)


def _rival(new: Profile, old: Profile) -> Refusal | None:
    if (old.purpose, old.stack_level) == (new.purpose, new.stack_level) and old.tx_id == new.tx_id:
        same_place = old.evse == new.evse or (new.purpose == DEFAULT and 0 in (old.evse, new.evse))
        if same_place and (_overlap(old, new) or new.purpose == TX or old.evse != new.evse):
            return Refusal("DuplicateProfile", f"profile {old.id} has the same purpose, stackLevel and place")
    if old.purpose != new.purpose and (old.evse == new.evse or 0 in (old.evse, new.evse)):
        ours, theirs = _wanted(new), _wanted(old)
        if ours and theirs and (len(ours | theirs) > 1):
            return Refusal("InvalidSchedule", f"profile {old.id} wants another phaseToUse")
    return None


def _overlap(a: Profile, b: Profile) -> bool:
    return max(a.validity[0], b.validity[0]) < min(a.validity[1], b.validity[1])


def _wanted(profile: Profile) -> set[int]:
    """Every phaseToUse that occurs in it."""
    return {p.phase_to_use for schedule in profile.schedules for p in schedule.periods if p.phase_to_use is not None}


def taken(cx: Context, new: Profile, installed: Mapping[int, Profile]) -> Refusal | None:
    """Its id may replace what the CSMS has set (K01.FR.05); otherwise there must be room for one more."""
    old = installed.get(new.id)
    if old is not None and old.purpose == EXTERNAL:
        return Refusal("InvalidProfile", f"id {new.id} is an external limit's, which the CSMS cannot replace")
    capacity = cx.keys.type_of(smart_charging.ENTRIES).max_limit
    count = sum(1 for profile in installed.values() if profile.purpose != EXTERNAL)
    if old is None and capacity is not None and count >= capacity:
        return Refusal("TooManyElements", f"{count} profiles are installed already, at most {capacity}")
    return None


def _first(refusals: Iterable[Refusal | None]) -> Refusal | None:
    return next((refusal for refusal in refusals if refusal is not None), None)
