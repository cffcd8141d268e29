"""Monitors on variables: which there are, and how the CSMS changes them (N03, N04, N06)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

from agent.core.context import Context
from agent.core.variables import Where
from config_keys import monitoring
from config_keys.key import Key
from config_keys.types import DateTime, Decimal, Integer
from config_keys.values import Refusal, Slot, Values, format_name

TABLE = "monitors"
Kind = Literal["UpperThreshold", "LowerThreshold", "Delta", "Periodic", "PeriodicClockAligned"]
Origin = Literal["HardWiredMonitor", "PreconfiguredMonitor", "CustomMonitor"]
THRESHOLDS: tuple[Kind, ...] = ("UpperThreshold", "LowerThreshold")
PERIODIC: tuple[Kind, ...] = ("Periodic", "PeriodicClockAligned")
CRITERIA: Mapping[str, tuple[Kind, ...]] = {
    "ThresholdMonitoring": THRESHOLDS,
    "DeltaMonitoring": ("Delta",),
    "PeriodicMonitoring": PERIODIC,
}
"""N02.FR.12 to FR.14."""
FACTORY_IDS = 100_000
"""Custom monitors have ids below; those of the factory, which keep theirs for the station's life, from here on."""
LONGEST_S = 31_536_000
"""A year: no periodic monitor is slower."""
Find = Callable[[Where], tuple[Key[Any] | None, str]]


class Monitor(NamedTuple):
    """One monitor. `value` is a threshold, an absolute difference, or an interval in seconds.

    `severity` 0 is the gravest, 9 the slightest. With `transaction` it watches while one runs at its EVSE (on the
    station: anywhere).
    """

    id: int
    slot: Slot
    kind: Kind
    value: float
    severity: int
    transaction: bool = False
    origin: Origin = "CustomMonitor"


class Wish(NamedTuple):
    """A monitor that the CSMS wants; with an id it replaces that one."""

    where: Where
    kind: Kind
    value: float
    severity: int
    id: int | None = None
    transaction: bool = False


class Outcome(NamedTuple):
    """OCPP's SetMonitoringStatus, the monitor's id when Accepted, and the reason of a refusal."""

    status: str
    id: int | None = None
    refusal: Refusal | None = None


class Monitors:
    """All monitors in force by id. What the CSMS changed survives restarts (N07.FR.13)."""

    def __init__(self, keys: Values, find: Find, factory: Iterable[Monitor], stored: Mapping[str, Any]) -> None:
        self._keys = keys
        self._find = find
        self._factory = {monitor.id: monitor for monitor in factory}
        self._custom: dict[int, Monitor] = {}
        self._cleared: set[int] = set()
        """Preconfigured ones that the CSMS removed, or replaced and then removed."""
        self.touched: set[int] = set()
        """Ids that were set, replaced or removed and not yet looked at by whoever watches."""
        self.complaints = list(self._load(stored))
        self._count()

    # ------------------------------------------------------------------------------------------ reading

    def __iter__(self) -> Iterator[Monitor]:
        """All in force on variables that exist here now, hard-wired ones first, then by id."""
        here = (monitor for monitor in self.all() if self._keys.has(*monitor.slot))
        yield from sorted(here, key=lambda monitor: (monitor.origin != "HardWiredMonitor", monitor.id))

    def all(self) -> Iterator[Monitor]:
        """All in force, those on variables that may come later included."""
        yield from self._custom.values()
        yield from filter(self._is_in_force, self._factory.values())

    def get(self, id: int) -> Monitor | None:
        """The monitor in force with this id, or None."""
        factory = self._factory.get(id)
        return factory if factory is not None and self._is_in_force(factory) else self._custom.get(id)

    def _is_in_force(self, made: Monitor) -> bool:
        """As the factory made it: neither replaced nor removed, and the base does not disable it."""
        if made.origin == "HardWiredMonitor":
            return True
        if made.id in self._cleared or made.id in self._custom:
            return False
        return self._keys[monitoring.ACTIVE_MONITORING_BASE] != "HardWiredOnly"

    # ------------------------------------------------------------------------------------------ changing

    def set(self, cx: Context, wish: Wish) -> Outcome:
        """N04: install or replace one; what is Accepted is in force and kept."""
        key, status = self._find(wish.where)
        if key is None:
            return Outcome(self._missing(wish) or status)
        slot = (key, wish.where.evse, wish.where.connector)
        refused = self._refusal(wish, slot)
        if refused is not None:
            return refused
        id = wish.id if wish.id is not None else max((i for i in self._custom if i < FACTORY_IDS), default=0) + 1
        self._keep(cx, Monitor(id, slot, wish.kind, wish.value, wish.severity, wish.transaction))
        return Outcome("Accepted", id)

    def clear(self, cx: Context, id: int) -> str:
        """N06: Accepted, NotFound, or Rejected for a hard-wired one."""
        monitor = self.get(id)
        if monitor is None:
            return "NotFound"
        if monitor.origin == "HardWiredMonitor":
            return "Rejected"
        self._custom.pop(id, None)
        cleared = id in self._factory
        if cleared:
            self._cleared.add(id)
        cx.put(TABLE, str(id), {"cleared": True} if cleared else None)
        self._changed(id)
        return "Accepted"

    def set_base(self, cx: Context, base: str) -> None:
        """N03: All keeps custom monitors, FactoryDefault and HardWiredOnly drop them; the last disables the rest."""
        gone = set(self._cleared)
        if base != "All":
            gone |= self._custom.keys()
            self._custom.clear()
        self._cleared.clear()
        for id in gone:
            cx.put(TABLE, str(id), None)
        self._keys.put(monitoring.ACTIVE_MONITORING_BASE, base)
        cx.put("keys", monitoring.ACTIVE_MONITORING_BASE.name, base)
        self._changed(*gone, *self._factory)

    def _changed(self, *ids: int) -> None:
        self.touched.update(ids)
        self._count()

    def _count(self) -> None:
        self._keys.put(monitoring.ENTRIES, len(self._custom))

    # ------------------------------------------------------------------------------------------ refusals

    def _missing(self, wish: Wish) -> str | None:
        """What is wrong whatever the place, with a wish that names a place where the component is not."""
        at = wish.where
        key = self._keys.find(at.component, at.variable, at.instance, at.component_instance)
        if key is None:
            return "UnknownVariable" if self._keys.of_component(at.component) else None
        return None if wish.kind in kinds(key) else "UnsupportedMonitorType"

    def _refusal(self, wish: Wish, slot: Slot) -> Outcome | None:
        """Why a wish for an existing variable is not granted."""
        old = self.get(wish.id) if wish.id is not None else None
        if wish.id is not None and (old is None or old.slot != slot):
            return _rejected("NotFound", f"no monitor {wish.id} on {format_name(*slot)} (N04.FR.13, FR.16)")
        if old is not None and old.origin == "HardWiredMonitor":
            return _rejected("ReadOnly", f"monitor {wish.id} is hard-wired (N04.FR.18)")
        if wish.kind not in kinds(slot[0]):
            return Outcome("UnsupportedMonitorType")
        if wish.kind == "Delta" and wish.value < 0:
            return Outcome("Rejected")  # without a reason: TC_N_43 allows none
        return self._out_of_range(wish, slot) or self._clash(wish, slot, old)

    def _out_of_range(self, wish: Wish, slot: Slot) -> Outcome | None:
        if not 0 <= wish.severity <= 9:
            return _rejected("ValueOutOfRange", "severity is 0 to 9")
        if wish.kind in PERIODIC and not 1 <= wish.value <= LONGEST_S:
            return _rejected("ValueOutOfRange", f"an interval is 1 to {LONGEST_S} s")
        limits = self._keys.type_of(*slot)
        low, high = limits.min_limit, limits.max_limit
        outside = (low is not None and wish.value < low) or (high is not None and wish.value > high)
        if wish.kind in THRESHOLDS and outside:
            return _rejected("ValueOutOfRange", f"{format_name(*slot)} is {limits.expected} (N04.FR.06)")
        return None

    def _clash(self, wish: Wish, slot: Slot, old: Monitor | None) -> Outcome | None:
        alike = (m for m in self if (m.slot, m.kind, m.severity) == (slot, wish.kind, wish.severity))
        if any(m.id != wish.id for m in alike):
            info = f"a {wish.kind} of severity {wish.severity} is there already (N04.FR.10)"
            return Outcome("Duplicate", refusal=Refusal("InvalidValue", info))
        most = self._keys.type_of(monitoring.ENTRIES).max_limit
        if old is None and most is not None and len(self._custom) >= most:
            return _rejected("OutOfStorage", f"there are {most} custom monitors already")
        return None

    # ------------------------------------------------------------------------------------------ keeping

    def _keep(self, cx: Context, monitor: Monitor) -> None:
        self._custom[monitor.id] = monitor
        self._cleared.discard(monitor.id)
        cx.put(TABLE, str(monitor.id), {
            "name": format_name(*monitor.slot), "kind": monitor.kind, "value": monitor.value,
            "severity": monitor.severity, "transaction": monitor.transaction,
        })  # fmt: skip
        self._changed(monitor.id)

    def _load(self, stored: Mapping[str, Any]) -> Iterator[str]:
        """What was kept; a monitor whose variable this release does not have is named and left out (N04, remark)."""
        for id, entry in stored.items():
            try:
                if entry.get("cleared"):
                    self._cleared.add(int(id))
                else:
                    self._custom[int(id)] = self._restored(int(id), entry)
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                yield f"monitor {id} is left out: {error!r}"

    def _restored(self, id: int, entry: Mapping[str, Any]) -> Monitor:
        slot = self._keys.parse_name(entry["name"], absent=True)
        if entry["kind"] not in kinds(slot[0]):
            raise ValueError(f"{entry['name']} cannot be monitored so")
        return Monitor(id, slot, entry["kind"], float(entry["value"]), int(entry["severity"]), entry["transaction"])


def kinds(key: Key[Any]) -> tuple[Kind, ...]:
    """The types of monitor that a variable can have (Part 1, 4.4)."""
    if not key.monitored:
        return ()
    if isinstance(key.type, DateTime):
        return ("Delta",)
    if isinstance(key.type, Integer | Decimal):
        return (*THRESHOLDS, "Delta", *PERIODIC)
    return ("Delta", *PERIODIC)


def _rejected(reason: str, info: str) -> Outcome:
    return Outcome("Rejected", refusal=Refusal(reason, info))
