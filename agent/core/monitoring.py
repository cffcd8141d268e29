"""Monitoring as a whole: monitors, who watches them, and the queue to the CSMS (N02 to N08)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agent.core.context import Context
from agent.core.failsafe_table import WARNING
from agent.core.inventory import fact
from agent.core.monitors import CRITERIA, TABLE, Monitor, Monitors
from agent.core.monitors_factory import factory
from agent.core.monitors_faults import TABLE as TOLD_FAULTS
from agent.core.monitors_faults import Faults
from agent.core.monitors_queue import IDS, Notices
from agent.core.monitors_watch import ALERTS, Watch
from agent.core.selection import Filter
from agent.core.variables import parts
from config_keys import monitoring, site
from config_keys.values import Slot

if TYPE_CHECKING:
    from agent.core.charger import Charger


class Monitoring:
    """Composes the parts; the charger starts and settles it."""

    def __init__(self, charger: Charger, stored: Mapping[str, Mapping[str, Any]]) -> None:
        self._charger = charger
        self.monitors = Monitors(charger.keys, charger.variables.find, factory(charger.site), stored.get(TABLE, {}))
        self.notices = Notices(charger.outbox, charger.site.network is not None, stored.get(IDS, {}))
        self.faults = Faults(charger, self.notices, stored.get(TOLD_FAULTS, {}))
        self.watch = Watch(
            self.monitors, self.notices, charger.evses, self._read, self._fact, self.faults.cause,
            stored.get(ALERTS, {}),
        )  # fmt: skip

    def _read(self, cx: Context, slot: Slot) -> str:
        return self._charger.variables.text(cx, *slot)

    def _fact(self, cx: Context, slot: Slot) -> Any:
        return fact(self._charger, cx, slot[0], slot[1])

    def start(self, cx: Context) -> None:
        """The first step after a start."""
        self.faults.start(cx)
        self.watch.start(cx)
        if taken_back := self._charger.keys[site.QUARANTINED_KEYS]:
            self.notices.add(
                cx, WARNING, trigger="Alerting", origin="HardWiredNotification",
                where=parts((site.QUARANTINED_KEYS, None, None)), value=taken_back,
                info="starts failed with the new values of these keys; the ones before are back",
            )  # fmt: skip

    def settle(self, cx: Context) -> None:
        """At the end of a step."""
        self.faults.settle(cx, self._charger.outbox.online)
        self.watch.settle(cx, self._charger.keys, self._charger.outbox.online)
        self.notices.settle(cx)

    def set_level(self, cx: Context, severity: int) -> bool:
        """N05: report up to this severity number; False when there is no such severity."""
        key = monitoring.ACTIVE_MONITORING_LEVEL
        if not 0 <= severity <= 9:
            return False
        cx.keys.put(key, severity)
        cx.put("keys", key.name, str(severity))
        return True

    def select(self, criteria: Sequence[str], filters: Sequence[Filter]) -> list[list[Monitor]]:
        """N02.FR.05 to FR.11: the monitors that meet a criterion and are listed, by variable; with neither all."""
        kinds = {kind for criterion in criteria for kind in CRITERIA[criterion]}
        listed = set(self._charger.selection.listed(filters))
        found: dict[Slot, list[Monitor]] = {}
        for monitor in self.monitors:
            if (not criteria or monitor.kind in kinds) and (not filters or monitor.slot in listed):
                found.setdefault(monitor.slot, []).append(monitor)
        return list(found.values())
