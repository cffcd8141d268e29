"""Timers are data: named deadlines, so that nothing has to be cancelled and nothing leaks."""

from __future__ import annotations


class Timers:
    """Named deadlines in monotonic ms. Setting a name again moves it."""

    def __init__(self) -> None:
        self._at: dict[str, int] = {}

    def set(self, name: str, at_ms: int) -> None:
        """Let `name` be due at `at_ms`."""
        self._at[name] = at_ms

    def clear(self, name: str) -> None:
        """Forget `name`; nothing happens when it is not set."""
        self._at.pop(name, None)

    def at(self, name: str) -> int | None:
        """When `name` is due, or None."""
        return self._at.get(name)

    def next(self) -> int | None:
        """The earliest deadline, or None."""
        return min(self._at.values(), default=None)

    def pop_due(self, now_ms: int) -> str | None:
        """Take the earliest name that is due at `now_ms`, ties by name; None when none is."""
        due = [(at, name) for name, at in self._at.items() if at <= now_ms]
        if not due:
            return None
        _, name = min(due)
        del self._at[name]
        return name
