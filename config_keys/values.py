"""The values in force on one station: defaults, then presets of board.toml, then what was stored.

A value lives at a slot: a key and its place, which is the station, an EVSE or a connector. In presets and in
the store the place follows the wire name: `EVSE.Power@1`, `Connector.AvailabilityState@1.1`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from config_keys.key import RO, WO, Access, Key
from config_keys.own import OwnVariable, registry_of
from config_keys.registry import REGISTRY, Registry
from config_keys.types import BadValue, Number, ValueType

T = TypeVar("T")
Place = tuple[int | None, int | None]
Slot = tuple[Key[Any], int | None, int | None]

_SCOPED = re.compile(r"(?P<name>[^@]*)(@(?P<evse>[1-9]\d{0,3})(\.(?P<connector>[1-9]\d{0,3}))?)?", re.ASCII)
MAX_INFO = 512


class Refusal(NamedTuple):
    """Why a value is not taken: OCPP's statusInfo."""

    reason_code: str
    info: str


def parse_name(text: str, *more: Registry) -> Slot:
    """The key and place of a scoped name, looked up in `more` too; raises ValueError that names near misses."""
    match = _SCOPED.fullmatch(text.strip())
    found = [r.by_name(match["name"]) for r in (REGISTRY, *more)] if match else []
    key = next((key for key in found if key is not None), None)
    if match is None or key is None:
        raise ValueError(f"{text}: no such variable{_near(text, more)}")
    evse, connector = (None if part is None else int(part) for part in match.group("evse", "connector"))
    return key, evse, connector


def format_name(key: Key[Any], evse: int | None = None, connector: int | None = None) -> str:
    """The scoped name, for instance `EVSE.Power@1`."""
    if evse is None:
        return key.name
    return f"{key.name}@{evse}" if connector is None else f"{key.name}@{evse}.{connector}"


def _lower(text: str | None) -> str | None:
    return text if text is None else text.lower()


def _near(text: str, more: Sequence[Registry]) -> str:
    import difflib  # only for a complaint, so that no start pays for it

    names = {key.name.lower(): key.name for registry in (REGISTRY, *more) for key in registry.all_keys()}
    close = difflib.get_close_matches(text.partition("@")[0].lower(), names, n=3)
    return f"; did you mean {', '.join(names[name] for name in close)}?" if close else ""


class Values:
    """Typed access to every variable of one station.

    `values[KEY]` and `values.at(KEY, evse, connector)` are for keys that always have a value; `values.get`
    gives None for "no value". Asking at a place that the key does not have is a bug (AssertionError).
    A key that needs a reboot keeps its value until the next start, though `text` already shows the new one.
    What this station does not have is left out: it exists at no place (`leave_out`, `bring_in`).
    """

    def __init__(
        self, evses: Mapping[int, Sequence[int]], presets: Mapping[str, str], own: Sequence[OwnVariable] = ()
    ) -> None:
        """`evses` maps EVSE ids to connector ids; `own` are variables of this station alone.

        Wrong presets raise one ValueError that names them all.
        """
        self._evses = {evse: tuple(connectors) for evse, connectors in evses.items()}
        self._own = registry_of(own)
        self._types: dict[Slot, ValueType[Any]] = {}
        self._locks: dict[Key[Any], str] = {}
        self._given: set[Slot] = set()
        self._pending: dict[Slot, Any] = {}
        self._absent: set[Slot] = set()
        self._components: set[tuple[str, str | None, int | None, int | None]] | None = None
        """What `has_component` looks at; None when it has to be made again."""
        self.written: set[Slot] = set()
        """What was written since somebody last emptied this: monitors follow it."""
        self._values: dict[Slot, Any] = {
            (key, *place): key.default for key in self.declared() for place in self._all_places(key)
        }
        for key in self._own.all_keys():
            for place in self._all_places(key):
                if format_name(key, *place).lower() not in {variable.name.lower() for variable in own}:
                    self.leave_out(key, *place)
        given = {variable.name: variable.value for variable in own if variable.value}
        if wrong := list(self._take({**given, **presets})):
            raise ValueError("; ".join(wrong))
        self._factory = dict(self._values)

    # ------------------------------------------------------------------------------------------ reading

    def __getitem__(self, key: Key[T]) -> T:
        """The value of a station-wide key."""
        value = self._values.get((key, None, None))
        return self.at(key) if value is None else value

    def at(self, key: Key[T], evse: int | None = None, connector: int | None = None) -> T:
        """The value at a place; AssertionError when there is none."""
        value: T | None = self._values.get((key, evse, connector))
        if value is not None:
            return value
        value = self.get(key, evse, connector)
        assert value is not None, f"{format_name(key, evse, connector)} has no value"
        return value

    def get(self, key: Key[T], evse: int | None = None, connector: int | None = None) -> T | None:
        """The value at a place, or None when it has none."""
        slot = (key, evse, connector)
        assert slot in self._values, f"{format_name(key, evse, connector)} does not exist here"
        value: T | None = self._values[slot]
        return value

    def next(self, key: Key[T], evse: int | None = None, connector: int | None = None) -> T | None:
        """The value from the next start on: the one in force unless a new one waits for a reboot."""
        value: T | None = self._pending.get((key, evse, connector), self.get(key, evse, connector))
        return value

    def text(self, key: Key[Any], evse: int | None = None, connector: int | None = None) -> str:
        """The canonical text of the value, empty when there is none. Secrets are not hidden here."""
        value = self.next(key, evse, connector)
        return "" if value is None else key.type.format(value)

    def factory_text(self, key: Key[Any], evse: int | None = None, connector: int | None = None) -> str:
        """The text of what holds without anybody's change: the default or the preset, within this station's bounds."""
        value = self._factory[key, evse, connector]
        return "" if value is None else key.type.format(self.type_of(key, evse, connector).fit(value))

    def has(self, key: Key[Any], evse: int | None = None, connector: int | None = None) -> bool:
        """Whether the key exists at this place."""
        slot = (key, evse, connector)
        return slot in self._values and slot not in self._absent

    def has_component(
        self, name: str, instance: str | None = None, evse: int | None = None, connector: int | None = None
    ) -> bool:
        """Whether some variable of this component exists at this place."""
        if self._components is None:
            there = (slot for slot in self._values if slot not in self._absent)
            self._components = {(k.component.lower(), _lower(k.component_instance), e, c) for k, e, c in there}
        return (name.lower(), _lower(instance), evse, connector) in self._components

    def find(
        self, component: str, variable: str, instance: str | None = None, component_instance: str | None = None
    ) -> Key[Any] | None:
        """The key of these names, ours or the station's own, whether it exists at some place or not."""
        names = (component, variable, instance, component_instance)
        return REGISTRY.find(*names) or self._own.find(*names)

    def parse_name(self, text: str, *, absent: bool = False) -> Slot:
        """The slot of a scoped name; raises ValueError when there is none, which names near misses.

        `absent`: what was left out will do, for it may be brought in later.
        """
        key, evse, connector = parse_name(text, self._own)
        known = (key, evse, connector) in self._values if absent else self.has(key, evse, connector)
        if not known:
            places = ", ".join(format_name(key, *place) for place in self.places(key)) or "none"
            raise ValueError(f"{text}: does not exist here; expected one of {places}")
        return key, evse, connector

    def declared(self) -> tuple[Key[Any], ...]:
        """Every key, ours and the station's own, in the order of declaration; `places` tells where it exists."""
        return REGISTRY.all_keys() + self._own.all_keys()

    def of_component(self, component: str) -> tuple[Key[Any], ...]:
        """The keys of one component; empty when there is no such component."""
        return REGISTRY.of_component(component) + self._own.of_component(component)

    def places(self, key: Key[Any]) -> tuple[Place, ...]:
        """Where the key exists: (None, None) for the station, (evse, None), or (evse, connector)."""
        return tuple(place for place in self._all_places(key) if (key, *place) not in self._absent)

    def _all_places(self, key: Key[Any]) -> tuple[Place, ...]:
        if key.scope == "station":
            return ((None, None),)
        if key.scope == "evse":
            return tuple((evse, None) for evse in self._evses)
        return tuple((evse, c) for evse, connectors in self._evses.items() for c in connectors)

    def type_of(self, key: Key[Any], evse: int | None = None, connector: int | None = None) -> ValueType[Any]:
        """The type with the bounds that hold on this station (see `narrow`)."""
        return self._types.get((key, evse, connector), key.type)

    def access(self, key: Key[Any]) -> Access:
        """The access that holds on this station (see `lock`); what is write-only is never readable."""
        return RO if key in self._locks and key.access is not WO else key.access

    def is_writable(self, key: Key[Any]) -> bool:
        """Whether a new value may come from outside, here."""
        return key.access is not RO and key not in self._locks

    # ------------------------------------------------------------------------------------------ writing

    def check(
        self, key: Key[Any], text: str, evse: int | None = None, connector: int | None = None
    ) -> Refusal | None:
        """Why `text` would not be taken from outside, or None when it would."""
        if not self.is_writable(key):
            return Refusal(
                "ReadOnly", (self._locks.get(key) or key.locked or f"{key.name} is read-only.")[:MAX_INFO]
            )
        try:
            self.type_of(key, evse, connector).parse(text)
        except BadValue as error:
            info = f"expected {error.expected}" if key.secret else str(error)
            return Refusal(error.reason_code, info[:MAX_INFO])
        return None

    def set(self, key: Key[Any], text: str, evse: int | None = None, connector: int | None = None) -> None:
        """Take a value that `check` has passed; AssertionError otherwise."""
        refusal = self.check(key, text, evse, connector)
        assert refusal is None, f"{format_name(key, evse, connector)}: {refusal}"
        slot = (key, evse, connector)
        value = self.type_of(*slot).parse(text)
        if key.reboot:
            self._pending[slot] = value
            self.written.add(slot)
        else:
            self._write(slot, value)

    def put(
        self, key: Key[T], value: T | float | None, evse: int | None = None, connector: int | None = None
    ) -> None:
        """The station's own update of any key. Bounds are not checked: a measured fact may exceed them.

        A decimal may be given as a float. TypeError when the value's Python type is wrong.
        """
        self._write((key, evse, connector), None if value is None else key.type.typed(value))

    def preset(self, key: Key[T], value: T | None) -> None:
        """What a station-wide key has where nobody has chosen: what board.toml says of it elsewhere than in [keys]."""
        self._factory[key, None, None] = value
        if self.get(key) is None:
            self.put(key, value)

    def restore(self, key: Key[T], value: T | None, evse: int | None = None, connector: int | None = None) -> None:
        """Take back what `set` did: `value` is what `next` gave before."""
        slot = (key, evse, connector)
        if key.reboot:
            self._pending[slot] = value
        else:
            self._write(slot, value)

    def load(self, stored: Mapping[str, object]) -> list[str]:
        """Take what was stored. What no longer fits is complained of and the value in force stays."""
        return list(self._take(stored, kept_only=True))

    # ------------------------------------------------------------------------------------------ narrowing

    def narrow(
        self,
        key: Key[Any],
        min: Number | None = None,
        max: Number | None = None,
        values: Sequence[str] | None = None,
        evse: int | None = None,
        connector: int | None = None,
    ) -> list[str]:
        """Tighten what fits to what this station's hardware can do, at every place or at one.

        Values in force are moved to the nearest that fits; the complaints returned name those that somebody
        had chosen (by preset or from the store). TypeError when the key's type has no such bounds.
        """
        complaints = []
        for place in self._all_places(key) if evse is None else ((evse, connector),):
            slot = (key, *place)
            narrowed = self._types[slot] = self.type_of(*slot).narrowed(min, max, values)
            before = self.get(*slot)
            if before is None:
                continue
            self._values[slot] = narrowed.fit(before)
            if slot in self._given and self._values[slot] != before:
                complaints.append(
                    f"{format_name(*slot)}: {key.type.format(before)} became {self.text(*slot)}: "
                    f"here it must be {narrowed.expected}"
                )
        return complaints

    def lock(self, key: Key[Any], reason: str) -> None:
        """Make a writable key read-only on this station, for instance because a cable is fixed."""
        self._locks[key] = reason

    def leave_out(self, key: Key[Any], evse: int | None = None, connector: int | None = None) -> None:
        """The key does not exist: everywhere, at all connectors of an EVSE, or at one place."""
        self._absent |= self._slots_within(key, evse, connector)
        self._components = None

    def bring_in(self, key: Key[Any], evse: int | None = None, connector: int | None = None) -> None:
        """What was left out exists after all."""
        if back := self._absent & self._slots_within(key, evse, connector):
            self._absent -= back
            self._components = None

    def _slots_within(self, key: Key[Any], evse: int | None, connector: int | None) -> frozenset[Slot]:
        places = self._all_places(key)
        return frozenset((key, e, c) for e, c in places if evse in (None, e) and connector in (None, c))

    # ------------------------------------------------------------------------------------------ inside

    def _write(self, slot: Slot, value: Any) -> None:
        assert slot in self._values, f"{format_name(*slot)} does not exist here"
        self._values[slot] = value
        self.written.add(slot)
        self._given.add(slot)
        self._pending.pop(slot, None)

    def _take(self, texts: Mapping[str, object], kept_only: bool = False) -> Iterator[str]:
        """Write what fits and yield a complaint for each that does not."""
        for name, text in sorted(texts.items(), key=lambda item: "@" in item[0]):
            try:
                for slot in self._slots(name):
                    if kept_only and not slot[0].persistent:
                        raise ValueError(f"{name}: this variable is not kept across restarts")
                    self._write(slot, self._parsed(slot, text))
            except ValueError as error:
                yield str(error)

    def _slots(self, name: str) -> list[Slot]:
        """The slots a name means: without a place, every place of its key."""
        key, evse, _ = parse_name(name, self._own)
        return [(key, *place) for place in self.places(key)] if evse is None else [self.parse_name(name)]

    def _parsed(self, slot: Slot, text: object) -> Any:
        if not isinstance(text, str):
            raise ValueError(f"{format_name(*slot)}: expected a text, found {type(text).__name__}")
        try:
            return self.type_of(*slot).parse(text)
        except BadValue as error:
            what = f"expected {error.expected}" if slot[0].secret else str(error)
            raise ValueError(f"{format_name(*slot)}: {what}") from None
