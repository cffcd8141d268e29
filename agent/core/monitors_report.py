"""Reports of the monitors in force, in parts (N02)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from agent.core.context import Context
from agent.core.metering import stamp
from agent.core.monitors import PERIODIC, THRESHOLDS, Kind, Monitor, parts
from agent.core.outbox import Outbox

CRITERIA: Mapping[str, tuple[Kind, ...]] = {
    "ThresholdMonitoring": THRESHOLDS,
    "DeltaMonitoring": ("Delta",),
    "PeriodicMonitoring": PERIODIC,
}
"""N02.FR.12 to FR.14."""
PART = 25
"""Variables in one NotifyMonitoringReport."""


class Sought(NamedTuple):
    """One componentVariable of a request; what is None is everything (N02.FR.16 to FR.21)."""

    component: str
    component_instance: str | None = None
    evse: int | None = None
    connector: int | None = None
    variable: str | None = None
    instance: str | None = None

    def fits(self, monitor: Monitor) -> bool:
        """Whether a monitor's variable is meant."""
        return all(wish is None or _same(wish, has) for wish, has in zip(self, parts(monitor.slot), strict=True))


def _same(wish: str | int, has: str | int | None) -> bool:
    """Names are compared without case (Part 2, CiString)."""
    return wish == has or (isinstance(wish, str) and isinstance(has, str) and wish.lower() == has.lower())


def select(monitors: Iterable[Monitor], criteria: Sequence[str], sought: Sequence[Sought]) -> list[Monitor]:
    """The monitors that meet the criteria and are sought; with neither: all (N02.FR.05 to FR.11)."""
    kinds = {kind for criterion in criteria for kind in CRITERIA[criterion]}
    return [
        monitor
        for monitor in monitors
        if (not criteria or monitor.kind in kinds) and (not sought or any(s.fits(monitor) for s in sought))
    ]


def send(cx: Context, outbox: Outbox, request_id: int, found: Iterable[Monitor]) -> None:
    """Queue a report, grouped by variable; a part that the link loses is not repeated."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for m in found:
        entry = {"id": m.id, "transaction": m.transaction, "value": m.value, "kind": m.kind, "severity": m.severity}
        groups.setdefault(tuple(parts(m.slot)), []).append(entry)
    rows = [{"where": list(where), "monitors": monitors} for where, monitors in groups.items()]
    for number, start in enumerate(range(0, len(rows), PART)):
        data = {"request": request_id, "seq": number, "at": stamp(cx, cx.ms), "rows": rows[start : start + PART],
                "more": start + PART < len(rows)}  # fmt: skip
        outbox.call("NotifyMonitoringReport", data)
