"""New values from outside: staged, checked as a whole, put into force, read back; and taken back when they did harm.

What is accepted is in force and on flash. A batch that did not reach the flash leaves the old values in force. A new
value is on trial until the station has lived with it through a start; when starts fail again and again meanwhile,
the values on trial give way to those before them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from agent.core.context import Context
from config_keys import site
from config_keys.key import Key
from config_keys.rules import RULES, Rule
from config_keys.values import Refusal, Slot, Values, format_name

Tables = Mapping[str, Mapping[str, Any]]
"""The small mappings as they were found on flash, by name."""
TABLE = "keys"
TRIAL = "trial"
"""Small mapping: scoped name -> stored text before the first change on trial; boot and failed starts at the last."""
TRIAL_TIMER = "keys.trial"
TRIAL_S = 300
"""A start that lives so long has not failed."""
FAILED_MOST = 3
"""Failed starts in a row after which values on trial are taken back (bug 17 of real chargers)."""
UNDO_STEPS = 64
"""Steps whose old values are remembered until their batch is on flash: a store answers within a few."""


class Wish(NamedTuple):
    """A new value for a slot, as text."""

    slot: Slot
    text: str


class _Before(NamedTuple):
    """What held at a slot, what was stored for it, and whether it was on trial."""

    slot: Slot
    value: Any
    stored: str | None
    trial: Mapping[str, Any] | None


class Settings:
    """The one way in which a value comes into force from outside."""

    def __init__(self, keys: Values, changed: Callable[[Context, Key[Any]], None], rules: Sequence[Rule] = ()) -> None:
        self._keys = keys
        self._changed = changed
        self._rules = (*RULES, *rules)
        self._stored: dict[str, str] = {}
        self._trial: dict[str, Any] = {}
        self._undo: dict[int, list[_Before]] = {}
        self._taken_back: dict[str, str | None] = {}
        self._failed_starts = 0
        self.checks: Mapping[Key[Any], Callable[[str], Refusal | None]] = {}
        """What a key's value must be beside what its type says, told by the part that reads it."""

    # ---------------------------------------------------------------------------------------- start

    def load(self, tables: Tables, failed_starts: int) -> list[str]:
        """Take what was stored, without what is on trial when starts keep failing; complaints of what does not fit."""
        self._stored, self._trial = dict(tables.get(TABLE, {})), dict(tables.get(TRIAL, {}))
        self._failed_starts = failed_starts
        self._taken_back = {name: entry["old"] for name, entry in self._trial.items() if self._broke_starts(entry)}
        for name, old in self._taken_back.items():
            _set(self._stored, name, old)
            del self._trial[name]
        return self._keys.load(self._stored)

    def _broke_starts(self, entry: Mapping[str, Any]) -> bool:
        """So many starts in a row have failed with this value that it is to blame."""
        before = entry["failed"] if entry["failed"] <= self._failed_starts else 0
        return self._failed_starts - before >= FAILED_MOST

    def start(self, cx: Context) -> None:
        """Write down what was taken back; the others are proven when this start has lived."""
        for name, old in self._taken_back.items():
            cx.put(TABLE, name, old)
            cx.put(TRIAL, name, None)
            cx.note("config", f"{name}: starts failed with its new value; the one before is back", "error")
        if self._taken_back:
            cx.keys.put(site.QUARANTINED_KEYS, ",".join(sorted(self._taken_back))[:1000])
        if self._trial:
            cx.after(TRIAL_TIMER, TRIAL_S)

    def proven(self, cx: Context) -> None:
        """This start has lived: what was changed before it does no harm."""
        for name in [name for name, entry in self._trial.items() if entry["boot"] != cx.boot_id]:
            del self._trial[name]
            cx.put(TRIAL, name, None)

    # ---------------------------------------------------------------------------------------- change

    def refusals(self, wishes: Sequence[Wish]) -> list[Refusal | None]:
        """Why each of these would not be taken, all of them together; None for those that would be."""
        found = [self._refusal(*wish) for wish in wishes]
        while broken := self._broken([w for w, refusal in zip(wishes, found, strict=True) if refusal is None]):
            rule, refusal = broken
            found = [r or (refusal if w.slot[0] in rule.keys else None) for w, r in zip(wishes, found, strict=True)]
        return found

    def _refusal(self, slot: Slot, text: str) -> Refusal | None:
        refusal = self._keys.check(slot[0], text, *slot[1:])
        return self.checks[slot[0]](text) if refusal is None and slot[0] in self.checks else refusal

    def _broken(self, wishes: Sequence[Wish]) -> tuple[Rule, Refusal] | None:
        """The first rule among those that concern `wishes` which would not hold with them in force."""
        staged = {wish.slot[0]: wish.slot[0].type.parse(wish.text) for wish in wishes}
        for rule in self._rules:
            if not staged.keys().isdisjoint(rule.keys):
                why = rule.broken(*(staged.get(key, self._keys.next(key)) for key in rule.keys))
                if why is not None:
                    return rule, Refusal("InvalidValue", why)
        return None

    def apply(self, cx: Context, wishes: Iterable[Wish]) -> None:
        """Put into force and keep what `refusals` has passed; AssertionError when it cannot be read back."""
        undo = self._undo.setdefault(cx.step, [])
        for (key, evse, connector), text in wishes:
            name = format_name(key, evse, connector)
            before = self._keys.next(key, evse, connector)
            undo.append(_Before((key, evse, connector), before, self._stored.get(name), self._trial.get(name)))
            self._keys.set(key, text, evse, connector)
            if key.persistent:
                self._keep(cx, name, self._keys.text(key, evse, connector))
            cx.note("config", f"{name} = {'***' if key.secret else text}")
            self._changed(cx, key)
        while len(self._undo) > UNDO_STEPS:
            del self._undo[next(iter(self._undo))]

    def _keep(self, cx: Context, name: str, text: str) -> None:
        old = self._trial[name]["old"] if name in self._trial else self._stored.get(name)
        self._trial[name] = {"old": old, "boot": cx.boot_id, "failed": self._failed_starts}
        cx.put(TRIAL, name, self._trial[name])
        _set(self._stored, name, text)
        cx.put(TABLE, name, text)

    def lost(self, cx: Context, step: int) -> None:
        """The batch of `step` did not reach the flash, and its answer was no: the old values hold again.

        They are written, too: a batch that was given up may still arrive.
        """
        newer = [rows for number, rows in self._undo.items() if number > step]
        for before in reversed(self._undo.pop(step, [])):
            later = next((rows for rows in newer if any(b.slot == before.slot for b in rows)), None)
            if later is None:
                self._take_back(cx, before)
            else:
                first = next(n for n, b in enumerate(later) if b.slot == before.slot)
                later[first] = before

    def _take_back(self, cx: Context, before: _Before) -> None:
        key, evse, connector = before.slot
        name = format_name(key, evse, connector)
        self._keys.restore(key, before.value, evse, connector)
        _set(self._stored, name, before.stored)
        _set(self._trial, name, before.trial)
        cx.put(TABLE, name, before.stored)
        cx.put(TRIAL, name, before.trial)
        cx.note("config", f"{name}: the new value could not be kept; the one before is back", "error")
        self._changed(cx, key)


def _set(table: dict[str, Any], name: str, value: Any) -> None:
    """An entry, or none."""
    if value is None:
        table.pop(name, None)
    else:
        table[name] = value
