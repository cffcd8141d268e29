"""What an EV and the CSMS agree on by ISO 15118: needs go up, schedules go down, the EV's choice goes up (K15 to K17).

A controller behind `hal.ports` holds the conversation with the EV. Nothing of it survives a restart: the contactor is
open then, and the EV begins anew. Limits hold whatever was agreed: the arbiter never asks the EV.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from agent.core.composite import Composite
from agent.core.context import Context
from agent.core.evse import Evse
from agent.core.instant import rfc3339
from agent.core.outbox import Outbox
from agent.core.profiles import EVER, Period, Profile, Schedule
from agent.core.schedules import Leading, Schedules
from config_keys import iso15118
from config_keys.values import Refusal
from hal.ports import EvNeeds, EvOffer, EvSchedule, OfferSchedules

AWAITED_S = 50.0
"""How long a profile is awaited that the CSMS has announced: the EV gives up after 60 s (ISO 15118-2)."""
HORIZON_S = 86_400
"""What an EV is offered that does not say when it leaves."""
MOST_OFFERS = 3
"""Schedules from which an EV can choose (K15.FR.07, K15.FR.22)."""
CLOSE = 0.05
"""Rounding of limits between here and the EV."""
EV = "EV"


@dataclass(slots=True)
class _Talk:
    """What is known of the EV at an EVSE."""

    needs: EvNeeds
    revision: int
    """Of the installed profiles, when they were looked at last."""
    awaited_until_ms: int | None = None
    """The CSMS has the needs, and what it makes of them is awaited."""
    offered: tuple[EvOffer, ...] = ()
    chosen: Profile | None = None
    """The EV's own schedule."""


class HighLevel:
    """The EVs that speak ISO 15118."""

    def __init__(
        self, evses: Mapping[int, Evse], schedules: Schedules, composite: Composite, outbox: Outbox
    ) -> None:
        self._evses = evses
        self._schedules = schedules
        self._composite = composite
        self._outbox = outbox
        self._talks: dict[int, _Talk] = {}

    # ---------------------------------------------------------------------------------------- the EV speaks

    def introduced(self, cx: Context, evse: Evse) -> None:
        """The hardware has said whether it speaks ISO 15118."""
        speaks = evse.capabilities is not None and evse.capabilities.iso15118
        for key in (iso15118.AVAILABLE, iso15118.ENABLED):
            if cx.keys.at(key, evse.id) != speaks:
                cx.keys.put(key, speaks, evse.id)

    def needs(self, cx: Context, event: EvNeeds) -> None:
        """K15.FR.01, K17.FR.01: tell the CSMS; without one the EV gets what holds here (K15.FR.15, K17.FR.15)."""
        talk = self._talks[event.evse] = _Talk(event, self._schedules.revision)
        if not self._outbox.online:
            self._offer(cx, event.evse, talk)
            return
        talk.awaited_until_ms = cx.ms + round(AWAITED_S * 1000)
        cx.timers.set(f"evse{event.evse}.needs", talk.awaited_until_ms)
        departure = None if event.departure_utc_ms is None else rfc3339(event.departure_utc_ms)
        data = {
            "evse": event.evse, "transfer": event.transfer, "departure": departure, "tuples": event.most_periods,
            "ac": event.ac._asdict() if event.ac else None, "dc": event.dc._asdict() if event.dc else None,
        }  # fmt: skip
        self._outbox.call("NotifyEVChargingNeeds", data, "needs", evse=event.evse)

    def chosen(self, cx: Context, event: EvSchedule) -> None:
        """The EV's schedule, or which of those offered it takes; one that exceeds the offer is asked for anew."""
        talk = self._talks.get(event.evse)
        offer = next((offer for offer in talk.offered if offer.id == event.offer), None) if talk is not None else None
        if talk is None or offer is None:
            cx.note("iso15118", f"EVSE {event.evse}: the EV chose {event.offer}, which was not offered", "warning")
            return
        if not _within(event.periods, _plain(offer)):
            cx.note("iso15118", f"EVSE {event.evse}: the EV's schedule exceeds the offer (K15.FR.09)", "warning")
            self._offer(cx, event.evse, talk, again=True)
            return
        self._schedules.choose(cx, event.evse, talk.offered.index(offer))
        talk.revision = self._schedules.revision
        utc = cx.utc()
        if utc is None:
            return
        periods = tuple(Period(start, limit) for start, limit in event.periods or _plain(offer))
        ident = self._schedules.schedule_id(event.evse, talk.offered.index(offer))
        schedule = Schedule(offer.unit, periods, duration_s=offer.duration_s, id=ident)
        talk.chosen = Profile(0, event.evse, EV, 0, "Relative", (schedule,), valid_from_ms=utc)
        self._outbox.call("NotifyEVChargingSchedule", {
            "evse": event.evse, "base": rfc3339(utc), "unit": offer.unit, "id": ident,
            "duration": offer.duration_s, "periods": [list(period[:2]) for period in periods],
        })  # fmt: skip

    def leading(self, evse_id: int, at_ms: int) -> Leading:
        """What the EV has said that it will take, for looks ahead (K15.FR.14, K16.FR.10, K17.FR.14)."""
        talk = self._talks.get(evse_id)
        if talk is None or talk.chosen is None:
            return Leading(None, None, EVER)
        return Leading(talk.chosen, *talk.chosen.at(at_ms, talk.chosen.validity[0]))

    # ---------------------------------------------------------------------------------------- the CSMS speaks

    def refusal(self, profile: Profile) -> Refusal | None:
        """An EV that has said its needs takes schedules of so many periods and no more (K15.FR.07)."""
        talk = self._talks.get(profile.evse)
        most = talk.needs.most_periods if talk is not None else None
        longest = max(len(schedule.periods) for schedule in profile.schedules)
        if most is None or longest <= most or len(profile.schedules) == 1:
            return None
        return Refusal("InvalidSchedule", f"{longest} periods; the EV takes at most {most} (K15.FR.07)")

    def speaks(self, evse_id: int) -> bool:
        """Whether the EV at an EVSE has said its needs."""
        return evse_id in self._talks

    def answered(self, cx: Context, evse_id: int, status: str) -> None:
        """Accepted: a profile will come. Processing: it may come later, and the EV does not wait for it."""
        talk = self._talks.get(evse_id)
        if talk is not None and talk.awaited_until_ms is not None and status != "Accepted":
            self._offer(cx, evse_id, talk)

    def settle(self, cx: Context) -> None:
        """At the end of a step: what has changed for an EV is offered to it (K16.FR.01, K16.FR.02)."""
        for evse_id, talk in list(self._talks.items()):
            if not self._evses[evse_id].connected:
                del self._talks[evse_id]
                cx.forget(f"evse{evse_id}.needs")
            elif talk.awaited_until_ms is not None:
                if talk.revision != self._schedules.revision or cx.ms >= talk.awaited_until_ms:
                    self._offer(cx, evse_id, talk)
            elif talk.revision != self._schedules.revision:
                self._renegotiate(cx, evse_id, talk)

    # ---------------------------------------------------------------------------------------- the offer

    def _offer(self, cx: Context, evse_id: int, talk: _Talk, *, again: bool = False) -> None:
        """Hand the EV its schedules; `again`: it is asked to negotiate anew."""
        talk.awaited_until_ms, talk.revision, talk.chosen = None, self._schedules.revision, None
        cx.forget(f"evse{evse_id}.needs")
        talk.offered = self._offers(cx, evse_id, talk.needs)
        cx.energise(OfferSchedules(evse_id, cx.step, talk.offered, again))

    def _renegotiate(self, cx: Context, evse_id: int, talk: _Talk) -> None:
        """Profiles were changed: if that changes what lies ahead of the EV, it is asked (K16.FR.02)."""
        wish, talk.chosen, talk.revision = talk.chosen, None, self._schedules.revision
        utc = cx.utc() or 0
        if _ahead(self._offers(cx, evse_id, talk.needs), utc) == _ahead(talk.offered, utc):
            talk.chosen = wish
        else:
            self._offer(cx, evse_id, talk, again=True)

    def _offers(self, cx: Context, evse_id: int, needs: EvNeeds) -> tuple[EvOffer, ...]:
        """K16.FR.03: composite schedules; nth with nth where profiles have several (K15.FR.22)."""
        utc, leaves = cx.utc(), needs.departure_utc_ms
        if utc is None:
            return ()
        stays_s = HORIZON_S if leaves is None else max(60, min(HORIZON_S, (leaves - utc) // 1000))
        count = min(MOST_OFFERS, self._schedules.alternatives(evse_id))
        offers = []
        for number in range(count):
            plan = self._composite.plan(cx, evse_id, stays_s, "A", number if count > 1 else None)
            periods = tuple((s.start_s, s.limit, s.phases) for s in plan.slices)
            most = needs.most_periods or len(periods)
            duration = plan.duration_s if len(periods) <= most else periods[most][0]
            offers.append(EvOffer(number + 1, plan.start_ms // 1000 * 1000, duration, plan.unit, periods[:most]))
        return tuple(offers)


def _plain(offer: EvOffer) -> tuple[tuple[int, float], ...]:
    return tuple((start, limit) for start, limit, _ in offer.periods)


def _ahead(offers: tuple[EvOffer, ...], now_ms: int) -> list[list[tuple[int, float]]]:
    """What offers say from now on, by the clock on the wall."""
    return [
        [
            (max(now_ms, offer.start_ms + start * 1000), limit)
            for (start, limit), (end, _) in pairwise((*_plain(offer), (offer.duration_s, 0.0)))
            if offer.start_ms + end * 1000 > now_ms
        ]
        for offer in offers
    ]


def _within(mine: tuple[tuple[int, float], ...], offered: tuple[tuple[int, float], ...]) -> bool:
    """Whether the EV's limit is nowhere above the offer (K15.FR.09)."""
    starts = {start for start, _ in (*mine, *offered)} if mine else ()
    return all(_limit(mine, start) <= _limit(offered, start) + CLOSE for start in starts)


def _limit(rows: tuple[tuple[int, float], ...], at_s: int) -> float:
    return next((limit for start, limit in reversed(rows) if start <= at_s), 0.0)
