"""The local control socket's verbs for limits: an energy management system on this board, or a person, sets them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from agent.core.context import Context
from agent.core.energy import Energy
from agent.core.events import LimitReleased, LimitSet
from agent.core.external import SOURCES

Args = Mapping[str, Any]


class LimitVerbs:
    """limit.set, limit.release and limit.list; a ValueError says what was expected."""

    def __init__(self, energy: Energy) -> None:
        self._external = energy.external

    def verbs(self) -> Mapping[str, Callable[[Context, Args], Any]]:
        """Name -> what answers it."""
        return {"limit.set": self._set, "limit.release": self._release, "limit.list": self._list}

    def _set(self, cx: Context, args: Args) -> dict[str, Any]:
        """K11, K12: `limit` in A per phase or W, for `valid_s` seconds and then `fallback`."""
        unit = args.get("unit", "A")
        limit, fallback = _number(args.get("limit"), "limit"), _number(args.get("fallback", 0), "fallback")
        valid_s = args.get("valid_s")
        if valid_s is not None and type(valid_s) is not int:
            raise ValueError("expected whole seconds as valid_s")
        source, evse = _place(args)
        word = LimitSet(source, evse, limit, unit, valid_s, fallback, args.get("critical") is True)
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


def _place(args: Args) -> tuple[Any, int]:
    """Source and EVSE; 0 is the station."""
    source, evse = args.get("source", "EMS"), args.get("evse", 0)
    if source not in SOURCES:
        raise ValueError(f"expected a source of {', '.join(SOURCES)}")
    if type(evse) is not int:
        raise ValueError("expected a number as evse")
    return source, evse


def _number(value: Any, name: str) -> float:
    if type(value) not in (int, float):
        raise ValueError(f"{name} is missing; expected a number")
    return float(cast("float", value))
