"""A pytest plugin: stories get their keys while the station runs, as SetVariables or chargerctl would set them.

Everywhere else `World(keys=...)` is what board.toml says; here each key that needs no reboot is set a millisecond after
the first start, and the process is never restarted for it. A story that passes like this, and does not without its key,
shows that the key takes effect at once. `LATE_KEYS_DROP` names a key that is not set at all.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from agent.core.events import Asked
from config_keys import registry
from config_keys.key import RO
from tests.sim.driven import Build, real_station
from tests.sim.outlet import OutletSpec
from tests.sim.world import World

DROPPED = os.environ.get("LATE_KEYS_DROP", "")
_begin = World.__init__


def _is_late(name: str) -> bool:
    key = registry.by_name(name.partition("@")[0])
    return key is not None and key.access is not RO and not key.reboot


def _begin_late(
    self: World, evses: Sequence[OutletSpec] | None = None, *, keys: Mapping[str, str] | None = None, **options: Any
) -> None:
    early = {name: value for name, value in (keys or {}).items() if not _is_late(name)}
    late = {name: value for name, value in (keys or {}).items() if _is_late(name) and name != DROPPED}
    build: Build = options.pop("build", real_station)
    places = (evses,) if evses is not None else ()
    _begin(self, *places, keys=early, build=lambda site, _, tables: build(site, early, tables), **options)
    self.keys = {**early, **late}
    for name, value in late.items():
        self.timeline.after(1, _setting(self, name, value), self.process)


def _setting(world: World, name: str, value: str) -> Any:
    return lambda: world.hear(Asked(0, "config.set", {"name": name, "value": value}))


@pytest.hookimpl
def pytest_configure() -> None:
    """Before any story is told."""
    name = "__init__"  # stories make their worlds themselves, by the class
    setattr(World, name, _begin_late)
