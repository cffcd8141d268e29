"""Where a script says which case it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from hil.certification.states import Lab, Way
from hil.certification.table import Row, rows

Script = Callable[[Lab], None]
BOTH: tuple[Way, ...] = ("local", "remote")


@dataclass(frozen=True)
class Case:
    """One case: its facts, its script, and the ways in which its sessions may be started and stopped."""

    row: Row
    script: Script
    ways: tuple[Way, ...]
    presets: Mapping[str, str] = field(default_factory=dict)
    """What board.toml gives the station's keys."""

    @property
    def id(self) -> str:
        return self.row.id


REGISTERED: dict[str, Case] = {}


def case(id: str, *ways: Way, presets: Mapping[str, str] | None = None) -> Callable[[Script], Script]:
    """Register a script as case `id`; with no ways it is the same however a session starts: local is taken."""

    def register(script: Script) -> Script:
        if id in REGISTERED:
            raise ValueError(f"{id} has two scripts")
        REGISTERED[id] = Case(rows()[id], script, ways or ("local",), presets or {})
        return script

    return register
