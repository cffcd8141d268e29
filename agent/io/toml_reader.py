"""Reading a TOML file strictly: every mistake is found, named with its place, and told in one go."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


class BoardError(Exception):
    """The board file cannot be used; one line per mistake, each with file, table, found and expected."""


class Mistakes:
    """What was found wrong with one file so far."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lines: list[str] = []

    def add(self, place: str, text: str) -> None:
        self._lines.append(f"{self._file}: {place}: {text}" if place else f"{self._file}: {text}")

    def raise_any(self) -> None:
        """Raise BoardError when there is at least one."""
        if self._lines:
            raise BoardError("\n".join(self._lines))


class Table:
    """One table of the file. Every reading marks its name as known; `done` complains of the others.

    A reading that fails notes the mistake and returns a stand-in, so that all mistakes are found in one pass.
    """

    def __init__(self, content: dict[str, Any], place: str, mistakes: Mistakes) -> None:
        self.place = place
        self.mistakes = mistakes
        self._content = content
        self._known: list[str] = []

    def has(self, name: str) -> bool:
        return name in self._content

    def text(self, name: str, default: str | None = None, most: int = 0) -> str:
        """A text that is not empty; `most` bounds its length (0: no bound)."""
        value = self._take(name, default)
        if not isinstance(value, str):
            return self._wrong(name, value, "a text", "")
        if not value:
            return self._wrong(name, value, "a text that is not empty", "")
        if most and len(value) > most:
            return self._wrong(name, value, f"at most {most} characters", "")
        return value

    def one_of(self, name: str, choices: Sequence[str], default: str | None = None) -> str:
        value = self._take(name, default)
        if value not in choices or not isinstance(value, str):
            return self._wrong(name, value, f"one of {', '.join(choices)}", choices[0])
        return value

    def integer(self, name: str, low: int, high: int, default: int | None = None) -> int:
        value = self._take(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            return self._wrong(name, value, f"a whole number from {low} to {high}", low)
        return value

    def flag(self, name: str) -> bool:
        """true or false; false when it is not there."""
        value = self._take(name, False)
        return value if isinstance(value, bool) else self._wrong(name, value, "true or false", False)

    def number(self, name: str, low: float, high: float, default: float | None = None) -> float:
        value = self._take(name, default)
        if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
            return self._wrong(name, value, f"a number from {low:g} to {high:g}", low)
        return float(value)

    def integers(self, name: str) -> tuple[int, ...]:
        value = self._take(name, [])
        if not isinstance(value, list) or not all(type(item) is int for item in value):
            return self._wrong(name, value, "a list of whole numbers such as [1, 2]", ())
        return tuple(value)

    def table(self, name: str) -> Table | None:
        """A table inside; None when it is absent."""
        value = self._take(name, {})
        if name not in self._content:
            return None
        place = f"{self.place}.{name}" if self.place else f"[{name}]"
        if not isinstance(value, dict):
            return self._wrong(name, value, "a table", None)
        return Table(value, place, self.mistakes)

    def tables(self, name: str, label: str) -> list[Table]:
        """An array of tables; each is named by its entry `label` in complaints."""
        value = self._take(name, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            return self._wrong(name, value, f"tables, each under [[{name}]]", [])
        inside = f"{self.place}.{name}" if self.place else f"[[{name}]]"
        return [
            Table(item, f"{inside} {item.get(label, number)}", self.mistakes)
            for number, item in enumerate(value, start=1)
        ]

    def scalars(self) -> dict[str, str]:
        """Every entry as text; numbers and truth values are written as OCPP writes them."""
        found: dict[str, str] = {}
        for name, value in self._content.items():
            self._known.append(name)
            if isinstance(value, bool):
                found[name] = str(value).lower()
            elif isinstance(value, str | int | float):
                found[name] = str(value)
            else:
                self._wrong(name, value, "a text, a number, true or false", None)
        return found

    def scalar(self, name: str, default: str) -> str:
        """One entry as text, as `scalars` gives it; it may be empty."""
        value = self._take(name, default)
        found = Table({name: value}, self.place, self.mistakes).scalars()
        return found.get(name, default)

    def missing(self, name: str, why: str) -> None:
        self.mistakes.add(self.place, f"{name} is missing; {why}")

    def complain(self, text: str) -> None:
        self.mistakes.add(self.place, text)

    def done(self) -> None:
        """Complain of every name that nobody asked for."""
        for name in self._content:
            if name not in self._known:
                import difflib  # only for a complaint, so that no start pays for it

                near = difflib.get_close_matches(name, self._known, n=1)
                hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(self._known)}"
                self.mistakes.add(self.place, f"{name} is not known; {hint}")

    def _take(self, name: str, default: Any) -> Any:
        self._known.append(name)
        return self._content.get(name, default)

    def _wrong(self, name: str, value: Any, expected: str, stand_in: T) -> T:
        if name not in self._content:
            self.mistakes.add(self.place, f"{name} is missing; expected {expected}")
        else:
            shown = "something" if name == "password" else _shown(value)
            self.mistakes.add(self.place, f"{name}: found {shown}, expected {expected}")
        return stand_in


def read(file: Path) -> tuple[Table, Mistakes]:
    """The whole file as its outermost table; raises BoardError when it cannot be read or is no TOML."""
    try:
        content = tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        raise BoardError(f"{file}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BoardError(f"{file}: cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise BoardError(f"{file}: not valid TOML: {error}") from error
    mistakes = Mistakes(file)
    return Table(content, "", mistakes), mistakes


def _shown(value: Any) -> str:
    kinds = {str: "text", bool: "truth value", int: "number", float: "number", list: "list", dict: "table"}
    shown = repr(value) if len(repr(value)) <= 40 else repr(value)[:40] + "..."
    return f"{shown} ({kinds.get(type(value), type(value).__name__)})"
