"""The local control socket's verbs for limits: an energy management system on this board, or a person, sets them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from agent.core.context import Context
from agent.core.energy import Energy
from agent.core.events import LimitReleased, LimitSet
from agent.core.evse import Evse
from agent.core.external import PERSON, SOURCES

Args = Mapping[str, Any]
CHOICES = {"1": 1, "3": 3, "auto": 0}
"""What a person may want of the phases, and how it is kept."""


class LimitVerbs:
    """limit.set, limit.release, limit.list and phase; a ValueError says what was expected."""

    def __init__(self, energy: Energy, evses: Mapping[int, Evse]) -> None:
        self._external = energy.external
        self._phases = energy.phases
        self._evses = evses

    def verbs(self) -> Mapping[str, Callable[[Context, Args], Any]]:
        """Name -> what answers it."""
        return {"limit.set": self._set, "limit.release": self._release, "limit.list": self._list,
                "phase": self._phase}  # fmt: skip

    def _set(self, cx: Context, args: Args) -> dict[str, Any]:
        """K11, K12: `limit` in A per phase or W, for `valid_s` seconds and then `fallback`."""
        unit = args.get("unit", "A")
        limit, fallback = _number(args.get("limit"), "limit"), _number(args.get("fallback", 0), "fallback")
        valid_s = args.get("valid_s")
        if valid_s is not None and type(valid_s) is not int:
            raise ValueError("expected whole seconds as valid_s")
        source, evse = _place(args)
        word = LimitSet(source, evse, limit, unit, valid_s, fallback, args.get("critical") is True, args.get("phases"))
        wrong = self._external.set(cx, word)
        if wrong is not None:
            raise ValueError(wrong)
        return {"source": source, "evse": evse, "limit": limit, "unit": unit}

    def _release(self, cx: Context, args: Args) -> dict[str, Any]:
        source, evse = _place(args)
        if not self._external.release(cx, LimitReleased(source, evse)):
            raise ValueError(f"{source} has set no limit at EVSE {evse}")
        return {"source": source, "evse": evse, "released": True}

    def _list(self, cx: Context, args: Args) -> list[dict[str, Any]]:
        return self._external.describe(cx)

    def _phase(self, cx: Context, args: Args) -> list[dict[str, Any]]:
        """What is; with `phases` "1", "3" or "auto" also what shall be, at one EVSE or at all that can switch."""
        meant, phases = self._meant(args), str(args.get("phases", ""))
        if phases not in ("", *CHOICES):
            raise ValueError(f"expected one of {', '.join(CHOICES)} as phases")
        if phases:
            meant = [evse for evse in meant if evse.relay is not None]
        if not meant:
            raise ValueError("the hardware there does not switch phases")
        for evse in meant if phases else ():
            self._phases.force(cx, evse, CHOICES[phases])
        return [self._phases.describe(evse) for evse in meant]

    def _meant(self, args: Args) -> list[Evse]:
        wanted = args.get("evse")
        found = [evse for evse in self._evses.values() if wanted in (None, evse.id)]
        if not found:
            raise ValueError(f"no EVSE {wanted!r}; expected one of {', '.join(map(str, self._evses))}")
        return found


def _place(args: Args) -> tuple[Any, int]:
    """Source and EVSE; 0 is the station. Who gives no name is the person at the charger."""
    source, evse = args.get("source", PERSON), args.get("evse", 0)
    if source not in SOURCES:
        raise ValueError(f"expected a source of {', '.join(SOURCES)}")
    if type(evse) is not int:
        raise ValueError("expected a number as evse")
    return source, evse


def _number(value: Any, name: str) -> float:
    if type(value) not in (int, float):
        raise ValueError(f"{name} is missing; expected a number")
    return float(cast("float", value))
