"""What the CSMS allows (block K), told by its own words and the station's answers alone, and by no code of the agent.

Where it cannot be known what is in force, all that may be is told: a current has to fit one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

EVER = 1 << 60
TURNS = {"Daily": 86_400_000, "Weekly": 604_800_000}
MAX = "ChargingStationMaxProfile"
DEFAULT = "TxDefaultProfile"
TX = "TxProfile"
ROUNDING_A, ROUNDING_W = 1e-6, 1.0


class Span(NamedTuple):
    """A moment that is known to lie between two (ms)."""

    first: int
    last: int


class Rate(NamedTuple):
    """A limit: A per phase, or W."""

    amount: float
    unit: str

    def allows(self, amps: float, watts: float) -> bool:
        """Whether so much is not above it."""
        return amps <= self.amount + ROUNDING_A if self.unit == "A" else watts <= self.amount + ROUNDING_W


class Moment(NamedTuple):
    """When a question is asked (UTC), and when Relative schedules began; `utc` None: the station knows no time."""

    utc: Span | None
    elapsed: Span
    """ms since Relative schedules began."""


class Said(NamedTuple):
    """What one profile may say, and whether it surely says something."""

    rates: tuple[Rate, ...]
    surely: bool


Rates = tuple[Rate, ...] | None
"""One of these holds; None: perhaps none."""


@dataclass(frozen=True)
class Schedule:
    """Limits from `start` (UTC ms; None: relative) on."""

    unit: str
    periods: tuple[tuple[int, float], ...]
    start: int | None
    duration: int

    @property
    def all(self) -> tuple[Rate, ...]:
        """Every limit in it."""
        return tuple(Rate(limit, self.unit) for _, limit in self.periods)

    def within(self, first: int, last: int) -> Iterator[Rate]:
        """The limits of all periods that touch this part of it (ms since its start, both included)."""
        ends = [*(start for start, _ in self.periods[1:]), EVER]
        for (start, limit), end in zip(self.periods, ends, strict=True):
            if start <= last and first < min(end, self.duration) and start < self.duration:
                yield Rate(limit, self.unit)

    def says(self, elapsed: Span, turn: int) -> Said:
        """K01.FR.31, FR.35: the period that has begun last; nothing before the start and after the duration."""
        first, last = max(0, elapsed.first), elapsed.last
        if last < 0:
            return Said((), False)
        if last - first >= turn:
            first, last = 0, turn - 1
        begin, end = first % turn, last % turn
        parts = [(begin, end)] if begin <= end else [(begin, turn - 1), (0, end)]
        rates = tuple(rate for part in parts for rate in self.within(*part))
        return Said(rates, elapsed.first >= 0 and all(end < self.duration for _, end in parts))


@dataclass(frozen=True)
class Profile:
    """A chargingProfile, as far as it matters for what it allows."""

    id: int
    evse: int
    purpose: str
    level: int
    schedules: tuple[Schedule, ...]
    valid: Span
    turn: int
    tx: str | None

    def says(self, moment: Moment) -> Said:
        """What it says then: any of its schedules may be the one that the EV has chosen (K15)."""
        if moment.utc is None:
            return self._timeless(moment)
        first, last = moment.utc
        if last < self.valid.first or first >= self.valid.last:
            return Said((), False)
        told = [s.says(moment.elapsed if s.start is None else _since(s.start, moment.utc), self.turn)
                for s in self.schedules]  # fmt: skip
        inside = self.valid.first <= first and last < self.valid.last
        return Said(tuple(rate for said in told for rate in said.rates), inside and all(said.surely for said in told))

    def _timeless(self, moment: Moment) -> Said:
        """Without a clock any period may be the one; only what is Relative may be known to be over."""
        rates = tuple(rate for schedule in self.schedules for rate in schedule.all)
        over = [s for s in self.schedules if s.start is None and moment.elapsed.last >= s.duration]
        return Said(rates, not over)


def _since(start: int, utc: Span) -> Span:
    return Span(utc.first - start, utc.last - start)


def profile_of(request: Any) -> Profile | None:
    """What a SetChargingProfileRequest carries; None where it makes no sense."""
    try:
        return _profile(int(request["evseId"]), request["chargingProfile"])
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _profile(evse: int, data: dict[str, Any]) -> Profile:
    valid = Span(_utc(data.get("validFrom"), -EVER), _utc(data.get("validTo"), EVER))
    turn = TURNS[data["recurrencyKind"]] if data["chargingProfileKind"] == "Recurring" else EVER
    schedules = tuple(_schedule(schedule) for schedule in data["chargingSchedule"])
    name = (data["id"], evse, data["chargingProfilePurpose"], data["stackLevel"])
    return Profile(*name, schedules, valid, turn, data.get("transactionId"))


def _schedule(data: dict[str, Any]) -> Schedule:
    periods = tuple((1000 * p["startPeriod"], float(p["limit"])) for p in data["chargingSchedulePeriod"])
    start = _utc(data["startSchedule"], 0) if "startSchedule" in data else None
    return Schedule(data["chargingRateUnit"], periods, start, 1000 * data["duration"] if "duration" in data else EVER)


def _utc(text: str | None, default: int) -> int:
    return default if text is None else round(datetime.fromisoformat(text).timestamp() * 1000)


@dataclass(eq=False)
class Slip:
    """A profile that the CSMS has sent."""

    profile: Profile
    accepted: bool = False
    doubtful: bool = False
    """It may have been taken away since."""


@dataclass(eq=False)
class Ask:
    """A request of the CSMS that the station has not answered yet."""

    action: str
    request: Any
    slip: Slip | None = None

    def takes_away(self, slip: Slip) -> bool:
        """K01.FR.05: the same id replaces; K10.FR.03, FR.04: an id names one alone, else all criteria have to fit."""
        profile = slip.profile
        if self.slip is not None:
            return slip is not self.slip and profile.id == self.slip.profile.id
        if self.action != "ClearChargingProfile" or not isinstance(self.request, dict):
            return False
        if "chargingProfileId" in self.request:
            return bool(self.request["chargingProfileId"] == profile.id)
        by = self.request.get("chargingProfileCriteria", {})
        fields = {"chargingProfilePurpose": profile.purpose, "stackLevel": profile.level, "evseId": profile.evse}
        return all(by.get(name, value) == value for name, value in fields.items())


@dataclass
class ProfileJudge:
    """All that the CSMS has sent. `over` tells of a transaction whether the CSMS has heard of its end."""

    over: Callable[[str], bool] = lambda tx: False
    slips: list[Slip] = field(default_factory=list)
    asks: list[Ask] = field(default_factory=list)

    # -------------------------------------------------- what is said

    def asked(self, action: str, request: Any) -> None:
        """The CSMS wants this; from now on it may be in force."""
        if action == "SetChargingProfile":
            self._proposed(action, request, profile_of(request))
        elif action == "ClearChargingProfile":
            self.asks.append(Ask(action, request))
        elif action == "RequestStartTransaction" and isinstance(request, dict) and "chargingProfile" in request:
            evse = request.get("evseId", 0)
            self._proposed(action, request, profile_of({"evseId": evse, "chargingProfile": request["chargingProfile"]}))

    def _proposed(self, action: str, request: Any, profile: Profile | None) -> None:
        if profile is not None:
            self.slips.append(Slip(profile))
            self.asks.append(Ask(action, request, self.slips[-1]))

    def answered(self, action: str, request: Any, accepted: bool) -> None:
        """The station has done it, or has not; a TxProfile that waits for its transaction is never sure."""
        ask = next((a for a in reversed(self.asks) if (a.action, a.request) == (action, request)), None)
        if ask is None:
            return
        self.asks.remove(ask)
        if accepted:
            self.slips = [slip for slip in self.slips if not ask.takes_away(slip)]
            if ask.slip is not None:
                ask.slip.accepted = action == "SetChargingProfile"
        elif ask.slip is not None:
            self.slips.remove(ask.slip)

    def unheard(self) -> None:
        """No answer comes any more to what was asked: it was done or not."""
        for slip in self.slips:
            slip.doubtful = slip.doubtful or self._challenged(slip)
        self.asks.clear()

    def interrupted(self, evse: int) -> None:
        """The transaction at an EVSE may end now, and its profiles with it (K02.FR.05)."""
        for slip in self.slips:
            if slip.profile.purpose == TX and slip.profile.evse in (0, evse):
                slip.doubtful = True

    def _certain(self, slip: Slip) -> bool:
        return slip.accepted and not slip.doubtful and not self._challenged(slip)

    def _challenged(self, slip: Slip) -> bool:
        return any(ask.takes_away(slip) for ask in self.asks)

    # -------------------------------------------------- what holds

    def at(self, evse: int, moment: Moment) -> Rates:
        """What holds for a transaction at an EVSE, or (0) for the sum of all of them: a current fits one of these."""
        found: list[Rate] = []
        for slip in self._ranked(evse):
            said = slip.profile.says(moment)
            found += said.rates
            if said.surely and self._certain(slip):
                return tuple(found)
        return None

    def timeless(self, evse: int, moment: Moment) -> Rates:
        """The same for a station that does not know the time: any profile may be the leading one."""
        ranked = list(self._ranked(evse))
        rates = [rate for slip in ranked for rate in slip.profile.says(moment).rates]
        sure = any(slip.profile.says(moment).surely and self._certain(slip) for slip in ranked)
        return tuple(rates) if sure else None

    def may_speak(self, evse: int, moment: Moment) -> bool:
        """Whether any of them may say something."""
        return any(slip.profile.says(moment).rates for slip in self._ranked(evse))

    def _ranked(self, evse: int) -> Iterator[Slip]:
        """K01.FR.17, K02.FR.04: TxProfile goes before TxDefaultProfile, then the highest level, then the EVSE's own."""
        for purpose in (TX, DEFAULT) if evse else (MAX,):
            mine = [slip for slip in self.slips if slip.profile.purpose == purpose and self._here(slip.profile, evse)]
            yield from sorted(mine, key=lambda slip: (-slip.profile.level, slip.profile.evse == 0))

    def _here(self, profile: Profile, evse: int) -> bool:
        return profile.evse in (0, evse) and (profile.tx is None or not self.over(profile.tx))


def allows(rates: Rates, amps: float, watts: float) -> bool:
    """Whether so much fits one of these, or nothing is known."""
    return rates is None or any(rate.allows(amps, watts) for rate in rates)


def shown(rates: Iterable[Rate]) -> str:
    """For a person: what at most holds."""
    best: Sequence[Rate] = sorted(set(rates), key=lambda rate: (rate.unit, rate.amount))
    return " or ".join(f"{rate.amount:g} {rate.unit}" for rate in best) or "nothing"
