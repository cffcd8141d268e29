"""The whole configuration for people: read, written, searched, compared, carried to another charger."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from agent.core.context import Context
from agent.core.settings import Settings, Wish
from agent.core.site import Site
from agent.core.variables import Variables
from config_keys import iso15118, physical, security
from config_keys.key import Key
from config_keys.values import Refusal, Slot, Values, format_name

FORMAT = "chargerd-config/1"
OF_ONE_STATION = frozenset({security.IDENTITY, physical.ISO15118_EVSE_ID, iso15118.SECC_ID})
"""Names of one station: an export leaves them out."""
MISSING = frozenset({"NotFound", "ReadOnly"})
"""Refusals of an entry that another model of charger does not have or cannot change."""


class Configuration:
    """Answers the verbs config.*; a ValueError says in plain words what is wrong."""

    def __init__(self, site: Site, keys: Values, variables: Variables, settings: Settings) -> None:
        self._site = site
        self._keys = keys
        self._variables = variables
        self._settings = settings

    def read(self, cx: Context, args: Mapping[str, Any]) -> dict[str, Any]:
        """One value by scoped or 1.6 name."""
        name = _text(args, "name")
        outcome = self._variables.by_name(cx, name)
        if outcome.refusal is not None:
            raise ValueError(outcome.refusal.info)
        return {"name": name, "value": outcome.value}

    def write(self, cx: Context, args: Mapping[str, Any]) -> dict[str, Any]:
        """Write one value."""
        name, value = _text(args, "name"), _text(args, "value")
        outcome = self._variables.set_by_name(cx, name, value)
        if outcome.refusal is not None:
            raise ValueError(f"{name}: {outcome.refusal.reason_code}: {outcome.refusal.info}")
        return {"name": name, "value": value, "status": outcome.status}

    def rows(self, cx: Context, args: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Every variable, or those that contain a text."""
        return [*self._variables.rows(cx, str(args.get("search") or ""))]

    def diff(self, cx: Context, args: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What differs from the factory's values and the presets of board.toml, or from an export (`file`)."""
        if "file" in args:
            return self._diff_to(_entries(_text(args, "file")))
        return [
            {"name": format_name(*slot), "value": self._keys.text(*slot), "factory": self._keys.factory_text(*slot)}
            for slot in self._settable()
            if self._keys.text(*slot) != self._keys.factory_text(*slot)
        ]

    def _diff_to(self, told: Mapping[str, str]) -> list[dict[str, Any]]:
        """Whatever names and spellings of values the export has; None stands for what one side does not have."""
        wishes, unknown = self._find(told)
        file = {wish.slot: wish.text for wish in wishes.values()}
        ours = [slot for slot in self._settable() if slot[0] not in OF_ONE_STATION or slot in file]
        slots = [*ours, *(slot for slot in file if slot not in ours)]
        rows = [
            {"name": format_name(*slot), "value": self._keys.text(*slot), "file": file.get(slot)}
            for slot in slots if slot not in file or self._differs(slot, file[slot])
        ]  # fmt: skip
        return rows + [{"name": name, "value": None, "file": told[name]} for name in unknown]

    def _differs(self, slot: Slot, text: str) -> bool:
        try:
            return self._is_news(Wish(slot, text))
        except ValueError:
            return True

    def export(self, cx: Context, args: Mapping[str, Any]) -> dict[str, Any]:
        """Every setting that another charger can take over; no secret, no name of this station."""
        by_1_6 = args.get("names_1_6") is True
        chosen = (slot for slot in self._settable() if slot[0] not in OF_ONE_STATION)
        return {
            "format": FORMAT,
            "station": {"vendor": self._site.vendor, "model": self._site.model, "serial": self._site.serial},
            "firmware": self._site.firmware,
            "keys": {_name(slot, by_1_6): self._keys.text(*slot) for slot in chosen},
        }

    def import_(self, cx: Context, args: Mapping[str, Any]) -> dict[str, Any]:
        """Put a whole export into force, or say all that is wrong with it and change nothing.

        `dry_run` only checks. `ignore_missing` leaves out what this charger does not have or cannot change.
        """
        wanted = _entries(_text(args, "file"))
        wishes, wrong, left_out = self._judge(wanted, args.get("ignore_missing") is True)
        if wrong:
            raise ValueError("nothing was changed:\n" + "\n".join(wrong))
        new = {name: wish for name, wish in wishes.items() if self._is_news(wish)}
        before = {name: self._keys.text(*wish.slot) for name, wish in new.items()}
        if args.get("dry_run") is not True:
            self._settings.apply(cx, new.values())
        changed = [self._change(name, wish, before[name]) for name, wish in new.items()]
        return {"changed": changed, "unchanged": len(wishes) - len(new), "left_out": left_out}

    def _judge(
        self, wanted: Mapping[str, str], ignore_missing: bool
    ) -> tuple[dict[str, Wish], list[str], list[str]]:
        """What can be put into force, what is wrong, and what is left out."""
        wishes, refused = self._find(wanted)
        found = zip(wishes, self._settings.refusals([*wishes.values()]), strict=True)
        refused |= {name: refusal for name, refusal in found if refusal is not None}
        left_out = [n for n, refusal in refused.items() if ignore_missing and refusal.reason_code in MISSING]
        wrong = [f"{name}: {refusal.info}" for name, refusal in refused.items() if name not in left_out]
        return {name: wish for name, wish in wishes.items() if name not in refused}, wrong, left_out

    def _find(self, wanted: Mapping[str, str]) -> tuple[dict[str, Wish], dict[str, Refusal]]:
        wishes: dict[str, Wish] = {}
        unknown: dict[str, Refusal] = {}
        for name, text in wanted.items():
            try:
                wishes[name] = Wish(self._keys.parse_name(name), text)
            except ValueError as error:
                unknown[name] = Refusal("NotFound", str(error).removeprefix(f"{name}: "))
        return wishes, unknown

    def _is_news(self, wish: Wish) -> bool:
        key: Key[Any] = wish.slot[0]
        return self._keys.text(*wish.slot) != key.type.format(key.type.parse(wish.text))

    def _change(self, name: str, wish: Wish, before: str) -> dict[str, Any]:
        key = wish.slot[0]
        old, new = ("***", "***") if key.secret else (before, wish.text)
        return {"name": name, "old": old, "value": new, "status": "RebootRequired" if key.reboot else "Accepted"}

    def _settable(self) -> Iterator[Slot]:
        """Every slot that may be written here and is no secret."""
        for key in self._keys.declared():
            if self._keys.is_writable(key) and not key.secret:
                yield from ((key, *place) for place in self._keys.places(key))


def _name(slot: Slot, by_1_6: bool) -> str:
    return slot[0].alias16 if by_1_6 and slot[0].alias16 and slot[1] is None else format_name(*slot)


def _text(args: Mapping[str, Any], name: str) -> str:
    value = args.get(name)
    if not isinstance(value, str):
        raise ValueError(f"{name} is missing; expected a text")
    return value


def _entries(text: str) -> dict[str, str]:
    """The names and values of an export. Raises ValueError for anything else."""
    try:
        file = json.loads(text)
    except ValueError as error:
        raise ValueError(f"no JSON: {error}") from None
    if not isinstance(file, dict) or file.get("format") != FORMAT:
        raise ValueError(f'expected an export: a JSON object with "format": "{FORMAT}"')
    keys = file.get("keys")
    if not isinstance(keys, dict) or not all(isinstance(value, str) for value in keys.values()):
        raise ValueError('"keys": expected an object of names and texts')
    return keys
