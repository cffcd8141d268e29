"""The flight recorder: why each EVSE had its current, at any second of the recorded past (`chargerctl why --at`)."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Mapping
from typing import Any, NamedTuple

from agent.core.blackbox import Blackbox
from agent.core.context import Context
from agent.core.electrics import closed_phases
from agent.core.evse import Evse
from agent.core.instant import rfc3339
from agent.core.limits import Verdict

_NOTHING = (None, None, None)
KEPT = 400
"""Changes kept per EVSE, about 600 bytes each; the oldest go."""

TOLD = 100
"""Changes per EVSE that go into a bundle."""


def explain(cx: Context, evse: Evse, verdict: Verdict) -> dict[str, Any]:
    """The winner, every losing claim, and what stands in the way, as JSON; ends in monotonic ms."""
    return {"evse": evse.id, "amps": verdict.amps, "owner": verdict.owner, "commanded_amps": evse.commanded_amps,
            "session": evse.session.state, "phases": closed_phases(evse), "obstacle": evse.obstacle(cx),
            "claims": verdict.explain()}  # fmt: skip


def dated(cx: Context, told: dict[str, Any], at_ms: int) -> dict[str, Any]:
    """What was explained, for a person who asks about `at_ms`: ends in UTC, or in seconds while no clock is known.

    An end that was told before and is over by then is left out: the limit was said anew.
    """
    return told | {"claims": [_dated(cx, claim, at_ms) for claim in told["claims"]]}


def _dated(cx: Context, claim: Mapping[str, Any], at_ms: int) -> dict[str, Any]:
    bare = {name: value for name, value in claim.items() if name not in ("until_ms", "then")}
    until_ms, utc = claim.get("until_ms"), cx.utc()
    if until_ms is None or until_ms <= at_ms:
        return bare
    end = {"left_s": (until_ms - at_ms) // 1000} if utc is None else {"until": rfc3339(utc - cx.ms + until_ms)}
    return bare | end | {"then": claim["then"]}


class _Change(NamedTuple):
    at_ms: int
    told: str


class Recorder:
    """What was explained, from the step at which it began to hold."""

    def __init__(self, evses: Mapping[int, Evse]) -> None:
        self.minute = Blackbox(evses)
        self._changes: dict[int, list[_Change]] = {evse: [] for evse in evses}
        self._seen: dict[int, tuple[Any, Any, Any]] = {}
        """What was recorded last; a verdict whose claims are the very same ones was not found anew."""

    def follow(self, cx: Context, evse: Evse, verdict: Verdict) -> None:
        """At the end of a step: keep what has changed."""
        now = (verdict.amps, evse.commanded_amps, evse.session.state, evse.contactor.state)
        told, claims, seen = self._seen.get(evse.id, _NOTHING)
        if told == now and claims is verdict.claims:
            return
        bounds = tuple((claim.owner, claim.at(cx.ms), claim.why) for claim in verdict.claims)
        self._seen[evse.id] = (now, verdict.claims, bounds)
        if (told, seen) == (now, bounds):
            return
        changes = self._changes[evse.id]
        changes.append(_Change(cx.ms, json.dumps(explain(cx, evse, verdict), separators=(",", ":"))))
        del changes[:-KEPT]
        cx.note("limit", f"EVSE {evse.id}: {verdict.amps:g} A by {verdict.owner}, commanded {evse.commanded_amps}; "
                f"session {evse.session.state}, contactor {evse.contactor.state}", "trace")  # fmt: skip

    def at(self, evse_id: int, mono_ms: int) -> dict[str, Any] | None:
        """What held at a moment of this boot; None when nothing is recorded of it."""
        changes = self._changes[evse_id]
        index = bisect_right(changes, mono_ms, key=lambda change: change.at_ms)
        return dict(json.loads(changes[index - 1].told)) if index else None

    def history(self, evse_id: int) -> list[dict[str, Any]]:
        """The newest changes, each with the moment of this boot at which it began to hold."""
        return [{"mono_ms": at_ms, **json.loads(told)} for at_ms, told in self._changes[evse_id][-TOLD:]]

    def begins_ms(self, evse_id: int) -> int | None:
        """The first recorded moment."""
        changes = self._changes[evse_id]
        return changes[0].at_ms if changes else None
