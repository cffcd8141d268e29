"""A contactor with mirror contacts: coil in, poles out, and the ways in which contactors fail."""

from __future__ import annotations

from dataclasses import dataclass

Poles = tuple[bool, bool, bool, bool]
"""L1, L2, L3, N."""
OPEN: Poles = (False, False, False, False)


@dataclass
class Contactor:
    """The poles follow the coil after `travel_s`; the mirror contacts show the poles, never the coil."""

    travel_s: float = 0.02
    coil: bool = False
    phases: int = 3
    """Poles that the coil moves: 1 or 3 lines, and neutral."""
    poles: Poles = OPEN
    welded: bool = False
    """A pole that is or gets closed does not open any more."""
    stuck: bool = False
    """The poles do not close, or fall open although the coil pulls."""
    closings: int = 0
    _since: float | None = None

    @property
    def closed(self) -> bool:
        """Any line pole is closed."""
        return any(self.poles[:3])

    @property
    def live(self) -> tuple[bool, bool, bool]:
        """The line poles."""
        return self.poles[:3]

    def _target(self) -> Poles:
        if self.coil and not self.stuck:
            return (True, self.phases == 3, self.phases == 3, True)
        return self.poles if self.welded else OPEN

    def step(self, now: float) -> None:
        """Let the poles travel."""
        target = self._target()
        if target == self.poles:
            self._since = None
            return
        self._since = now if self._since is None else self._since
        if now - self._since >= self.travel_s:
            self.closings += target != OPEN
            self.poles, self._since = target, None

    def drop(self) -> None:
        """The coil has lost its supply."""
        self.coil, self._since = False, None
        self.poles = self._target()
