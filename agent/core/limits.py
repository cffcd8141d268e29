"""The arbiter: the lowest live claim wins, and its name travels with the setpoint (DESIGN.md section 3).

A claim is owner, EVSE, amps per phase, until, fallback. A lapsed claim becomes its own fallback, never "no limit".
This is the only place that commands a current: once, at the end of a step. Decreases go out at once; increases
need fresh inputs and are spaced. Anything between 0 and the EV minimum is a pause, never rounded up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from agent.core.context import Context
from agent.core.electrics import grid_phases, watts_per_amp
from agent.core.evse import RECLOSE_MS, TOO_SOON, Evse
from agent.core.sharing import Lapse, Shared, Taker, Turns, room, split
from config_keys import site
from hal.ports import Offer, Permit, Withdraw

REACTION_MS = 10_000
"""How long an EVSE's older, higher setpoint still counts against a shared limit (5 s of the EV, 5 s of margin)."""
STEP_AMPS = 0.1
"""Resolution of setpoints; limits are rounded down to it."""
REST_S = 30.0
"""A car that was offered current for so long and did not ask for it is SuspendedEV."""


def rest_timer(evse_id: int) -> str:
    """Name of the deadline for a car that does not take what is offered."""
    return f"evse{evse_id}.rest"


class Claim(NamedTuple):
    """Somebody's upper bound for one EVSE, in amps per phase."""

    owner: str
    amps: float
    until_ms: int | None = None
    fallback: float = 0.0
    why: str = ""
    lapse: Callable[[], Lapse] | None = None
    """Of a part of a shared bound, whose end is the bound's: only told, it ends nothing."""

    def explain(self, now_ms: int) -> dict[str, Any]:
        """Owner, amps and reason; `until_ms` (monotonic) and what it becomes `then`, where it has an end to come."""
        told = {"owner": self.owner, "amps": self.at(now_ms), "why": self.why}
        until_ms, then = (self.until_ms, self.fallback) if self.lapse is None else self.lapse()
        return told if until_ms is None or until_ms <= now_ms else told | {"until_ms": until_ms, "then": then}

    def at(self, now_ms: int) -> float:
        """The bound now: after `until_ms` it is the claim's own fallback."""
        return self.amps if self.until_ms is None or now_ms < self.until_ms else self.fallback


class Verdict(NamedTuple):
    """What an EVSE may draw, who says so, and what everybody else said."""

    amps: float
    owner: str
    claims: tuple[Claim, ...]
    at_ms: int

    def explain(self) -> list[dict[str, Any]]:
        """All claims, the winner first, for `chargerctl why`."""
        ranked = sorted(self.claims, key=lambda c: c.at(self.at_ms))
        return [claim.explain(self.at_ms) for claim in ranked]


Source = Callable[[Context, Evse], Iterable[Claim]]
SharedSource = Callable[[Context], Iterable[Shared]]


@dataclass(slots=True)
class _Setpoint:
    """What an EVSE was told, and the higher values that it may still be following."""

    amps: float = 0.0
    raised_ms: int = -1_000_000
    step: int = 0
    """The step that told it."""
    older: list[tuple[int, float]] = field(default_factory=list)

    def exposure(self, now_ms: int) -> float:
        """The most that the EV may still draw."""
        if not self.older:
            return self.amps
        return max((self.amps, *(amps for until, amps in self.older if until > now_ms)))

    def becomes(self, amps: float, now_ms: int) -> None:
        """A new value; the old one counts for as long as the EV may take to follow."""
        self.older = [(until, a) for until, a in self.older if until > now_ms]
        if self.amps > amps:
            self.older.append((now_ms + REACTION_MS, self.amps))
        self.amps = amps


class Round(NamedTuple):
    """One look at everything: each EVSE's own claims, the shared bounds, and every EVSE as one that takes a part."""

    own: dict[int, list[Claim]]
    bounds: tuple[Shared, ...]
    takers: dict[int, Taker]
    taking: frozenset[int]


def _part_lapses(lapse: Callable[[], Lapse], bound: Shared, rivals: tuple[Taker, ...], evse_id: int) -> Lapse:
    """When the bound ends, and the part of what it becomes then, as those who take part are now."""
    until_ms, then = lapse()
    return Lapse(until_ms, split(bound._replace(limit=then), rivals)[evse_id])


class _Judged(NamedTuple):
    """A verdict, what it was found from, and until when (monotonic ms) no claim in it lapses."""

    inputs: tuple[Any, ...]
    until_ms: float
    verdict: Verdict


class Limits:
    """Holds every source of claims and commands the current of every EVSE.

    `local` are the sources that hold whatever the time, `scheduled` those that follow a schedule.
    """

    def __init__(
        self,
        evses: Mapping[int, Evse],
        local: Iterable[Source],
        scheduled: Iterable[Source],
        shared: Iterable[SharedSource],
        efficient: Callable[[Context, Evse], float] = lambda cx, evse: 0.0,
    ) -> None:
        """`efficient` tells the minChargingRate of an EVSE in A per phase, 0 for none (K01.FR.21)."""
        self._evses = evses
        self._local = tuple(local)
        self._scheduled = tuple(scheduled)
        self._shared = tuple(shared)
        self._efficient = efficient
        self._setpoints = {evse_id: _Setpoint() for evse_id in evses}
        self._turns = Turns()
        self._judged: dict[int, _Judged] = {}
        self.verdicts: dict[int, Verdict] = {}

    def local(self, cx: Context, evse: Evse) -> list[Claim]:
        """The claims that do not follow a schedule."""
        return [claim for source in self._local for claim in source(cx, evse)]

    def judge(self, cx: Context, evse: Evse) -> Verdict:
        """The lowest live claim of an EVSE, rounded down; below the EV minimum it is a pause (0 A)."""
        return self._verdict(cx, evse, self._look(cx))

    def apply(self, cx: Context) -> None:
        """At the end of a step: judge every EVSE, let its session follow, and command the current."""
        seen = self._look(cx)
        self._turns.follow(cx, {i: seen.takers[i] for i in sorted(seen.taking)}, seen.bounds)
        for evse in sorted(self._evses.values(), key=lambda e: self._rank(cx, e)):
            verdict = self._verdict(cx, evse, seen)
            self._publish(cx, evse, verdict)
            self._steer(cx, evse, verdict)
            locking = evse.needs_lock and not evse.plug.locked
            evse.held = evse.session.state in ("ready", "pausing") and not locking
            self._command(cx, evse, verdict)
        self._wake(cx)

    # ---------------------------------------------------------------------------------------- judging

    def _look(self, cx: Context) -> Round:
        own = {e.id: self.local(cx, e) + [c for s in self._scheduled for c in s(cx, e)] for e in self._evses.values()}
        bounds = tuple(bound for source in self._shared for bound in source(cx))
        takers = {e.id: self.taker(cx, e, own[e.id]) for e in self._evses.values()}
        return Round(own, bounds, takers, self.taking(cx))

    def taking(self, cx: Context) -> frozenset[int]:
        """The EVSEs that take part in the sharing of bounds."""
        return frozenset(evse.id for evse in self._evses.values() if self._takes(cx, evse))

    def taker(self, cx: Context, evse: Evse, own: list[Claim]) -> Taker:
        """An EVSE as one that takes a part of shared bounds, if `own` claims were all that holds."""
        assert own, "no claim at all: not even a nameplate"
        return Taker(
            evse.id,
            ceiling=min(claim.at(cx.ms) for claim in own),
            least=float(cx.keys[site.EV_MINIMUM]),
            phases=grid_phases(cx, evse),
            watts_per_amp=watts_per_amp(cx, evse),
            efficient=self._efficient(cx, evse),
            priority=evse.priority,
            turn=self._turns.of(evse.id),
            resting=evse.rested and evse.contactor.state == "armed",
        )

    def _verdict(self, cx: Context, evse: Evse, seen: Round) -> Verdict:
        """What follows from the claims; found anew only when something that it follows from has changed."""
        drawn = {i: setpoint.exposure(cx.ms) for i, setpoint in self._setpoints.items()}
        inputs = (seen.own[evse.id], seen.bounds, seen.takers, seen.taking, drawn)
        known = self._judged.get(evse.id)
        if known is not None and cx.ms < known.until_ms and known.inputs == inputs:
            return Verdict(known.verdict.amps, known.verdict.owner, known.verdict.claims, cx.ms)
        verdict = self._find(cx, evse, seen, drawn)
        lapses = (claim.until_ms for claim in verdict.claims if claim.until_ms is not None and claim.until_ms > cx.ms)
        self._judged[evse.id] = _Judged(inputs, min(lapses, default=math.inf), verdict)
        return verdict

    def _find(self, cx: Context, evse: Evse, seen: Round, drawn: Mapping[int, float]) -> Verdict:
        claims = [*seen.own[evse.id], *(c for bound in seen.bounds for c in self._part(evse, bound, seen, drawn))]
        lowest = min(claims, key=lambda claim: claim.at(cx.ms))
        amps = math.floor(lowest.at(cx.ms) / STEP_AMPS + 1e-6) * STEP_AMPS
        if amps < cx.keys[site.EV_MINIMUM]:
            amps = 0.0
        return Verdict(round(amps, 1), lowest.owner, tuple(claims), cx.ms)

    def _part(self, evse: Evse, bound: Shared, seen: Round, drawn: Mapping[int, float]) -> Iterable[Claim]:
        """A fair, stable part of a shared bound, and never what others may still be drawing."""
        me = seen.takers[evse.id]
        me = me._replace(ceiling=max(me.ceiling, me.least))
        rivals = tuple(me if i == me.id else seen.takers[i] for i in sorted(seen.taking | {me.id}))
        free = room(bound, me, drawn, (t for t in seen.takers.values() if t.id != me.id))
        if free == math.inf:
            return
        others = sum(amps for i, amps in drawn.items() if i != me.id)
        why = f"{bound.limit:g} {bound.unit} shared by {len(rivals)}; others may draw {others:g} A. {bound.why}"
        lapse = None if bound.lapse is None else partial(_part_lapses, bound.lapse, bound, rivals, me.id)
        yield Claim(bound.owner, min(free, split(bound, rivals)[me.id]), why=why.strip(), lapse=lapse)

    def _rank(self, cx: Context, evse: Evse) -> tuple[bool, int]:
        """Those that give back go before those that take."""
        return (self._setpoints[evse.id].amps == 0, evse.id)

    def _wake(self, cx: Context) -> None:
        """Step again when an EV's older setpoint no longer counts."""
        lapses = [until for s in self._setpoints.values() if s.older for until, _ in s.older if until > cx.ms]
        if lapses:
            cx.timers.set("limits.share", min(lapses))

    def _takes(self, cx: Context, evse: Evse) -> bool:
        """Whether an EVSE takes part in the sharing: it has power, or only the current is missing."""
        if evse.session.state == "ready":
            return evse.obstacle(cx) in (None, TOO_SOON)
        return evse.session.state in ("powered", "pausing", "stopping")

    def _publish(self, cx: Context, evse: Evse, verdict: Verdict) -> None:
        before = self.verdicts.get(evse.id)
        self.verdicts[evse.id] = verdict
        if before is None or (before.amps, before.owner) != (verdict.amps, verdict.owner):
            cx.keys.put(site.EFFECTIVE_LIMIT, verdict.amps, evse.id)
            cx.keys.put(site.EFFECTIVE_LIMIT_REASON, verdict.owner, evse.id)
            cx.note("limit", f"EVSE {evse.id}: {verdict.amps:g} A because of {verdict.owner}")

    def _steer(self, cx: Context, evse: Evse, verdict: Verdict) -> None:
        """A limit of 0 pauses a session, a limit above lets it go (on)."""
        session = evse.session
        if session.state == "powered" and verdict.amps == 0:
            session.fire("pause", cx)
        elif session.state == "pausing" and verdict.amps > 0 and evse.contactor.permitted:
            session.fire("resume", cx)
        elif session.state == "ready":
            self._go(cx, evse, verdict)

    def _go(self, cx: Context, evse: Evse, verdict: Verdict) -> None:
        """Ask for power if nothing is in the way; what is in the way is noted once."""
        waits = evse.obstacle(cx)
        if waits is None and verdict.amps == 0:
            waits = f"limit {verdict.owner}"
        if waits is None and evse.contactor.state != "open":
            waits = f"contactor {evse.contactor.state}"
        if waits is None:
            evse.session.fire("go", cx)
        elif waits == TOO_SOON:
            cx.timers.set(f"evse{evse.id}.reclose", evse.contactor.closed_ms + RECLOSE_MS)
        if waits != evse.waits_for and waits is not None:
            cx.note("session", f"EVSE {evse.id} waits: {waits}")
        evse.waits_for = waits

    def _command(self, cx: Context, evse: Evse, verdict: Verdict) -> None:
        setpoint = self._setpoints[evse.id]
        if not evse.contactor.permitted:
            self._gone(cx, evse, setpoint)
            return
        if evse.contactor.state == "armed" and not evse.rested and cx.timers.at(rest_timer(evse.id)) is None:
            cx.after(rest_timer(evse.id), REST_S)
        target = verdict.amps if evse.wants_current else 0.0
        if evse.commanded_amps is None:
            self._permit(cx, evse, setpoint, target)
        elif target < evse.commanded_amps:
            self._lower(cx, evse, setpoint, target)
        elif target > evse.commanded_amps:
            self._raise(cx, evse, setpoint, target)

    def _gone(self, cx: Context, evse: Evse, setpoint: _Setpoint) -> None:
        """The permission was withdrawn; the Withdraw command itself offers 0 A."""
        evse.unconfirmed = None
        if evse.commanded_amps is not None:
            evse.commanded_amps = None
            setpoint.becomes(0.0, cx.ms)

    def _permit(self, cx: Context, evse: Evse, setpoint: _Setpoint, target: float) -> None:
        evse.rested = False
        cx.after(rest_timer(evse.id), REST_S)
        self._give(cx, evse, target)
        self._now(cx, evse, setpoint, target)
        setpoint.raised_ms = cx.ms

    def _give(self, cx: Context, evse: Evse, amps: float) -> None:
        phases = min(evse.relay or evse.site.phases, evse.capabilities.phases if evse.capabilities is not None else 1)
        cx.energise(Permit(evse.id, cx.step, amps, phases, evse.plug.id))
        evse.unconfirmed = cx.step

    def _lower(self, cx: Context, evse: Evse, setpoint: _Setpoint, target: float) -> None:
        """Less, at once. A permission that may still wait for the flash is taken back and given anew with less."""
        if evse.permission_waits:
            cx.make_safe(Withdraw(evse.id, cx.step, "less than was permitted a moment ago"))
            self._give(cx, evse, target)
        else:
            cx.make_safe(Offer(evse.id, cx.step, target))
        self._now(cx, evse, setpoint, target)

    def _raise(self, cx: Context, evse: Evse, setpoint: _Setpoint, target: float) -> None:
        spacing = cx.keys[site.INCREASE_SPACING]
        wait_ms = setpoint.raised_ms + spacing * 1000 - cx.ms
        if wait_ms > 0:
            cx.after(f"evse{evse.id}.raise", wait_ms / 1000)
            return
        cx.energise(Offer(evse.id, cx.step, target))
        self._now(cx, evse, setpoint, target)
        setpoint.raised_ms = cx.ms

    def _now(self, cx: Context, evse: Evse, setpoint: _Setpoint, amps: float) -> None:
        evse.commanded_amps = amps
        setpoint.step = cx.step
        setpoint.becomes(amps, cx.ms)

    def holds_more(self, evse: Evse, step: int) -> bool:
        """Whether the offer of `step` is the newest, and a device that refused it still offers more."""
        told = evse.commanded_amps
        return told is not None and self._setpoints[evse.id].step == step and (evse.applied_amps or 0.0) > told

    def doubt(self, cx: Context, evse: Evse) -> None:
        """The last increase may not have arrived: back to what the device has confirmed, and up again from there."""
        confirmed = evse.applied_amps or 0.0
        if evse.commanded_amps is not None and confirmed < evse.commanded_amps:
            cx.make_safe(Offer(evse.id, cx.step, confirmed))
            self._now(cx, evse, self._setpoints[evse.id], confirmed)

    def unrecorded(self, evse: Evse) -> None:
        """The step that permitted or raised was not recorded, so its command was dropped: nothing is out."""
        evse.commanded_amps = None
        self._setpoints[evse.id].becomes(0.0, 0)
