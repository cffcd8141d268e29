"""Shows screens on the displays of board.toml, beside the loop: the newest one wins, a slow display skips."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from hal import display
from hal.config import DisplayConfig
from hal.ports import Screen


class Screens:
    """One writer at a time; a display that cannot be written is told once, until it works again."""

    def __init__(self, displays: Iterable[DisplayConfig], note: Callable[[str, str, str], None]) -> None:
        self._displays = {config.name: config for config in displays}
        self._note = note
        self._wanted: dict[str, Screen] = {}
        self._broken: set[str] = set()
        self._writer: asyncio.Task[None] | None = None

    def show(self, screen: Screen) -> None:
        """Show this from now on."""
        self._wanted[screen.display] = screen
        if self._writer is None:
            self._writer = asyncio.get_running_loop().create_task(self._write())

    @property
    def busy(self) -> bool:
        """Something is still to be written."""
        return self._writer is not None

    async def _write(self) -> None:
        while self._wanted:
            name, screen = self._wanted.popitem()
            config = self._displays[name]
            try:
                await asyncio.to_thread(display.write, config.file, display.KINDS[config.kind](screen))
                self._broken.discard(name)
            except OSError as error:
                if name not in self._broken:
                    self._note("error", "display", f"{name}: {config.file}: {error.strerror}")
                self._broken.add(name)
        self._writer = None
