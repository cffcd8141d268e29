"""Keys that are declared and not yet read by anybody: read-only until they are, each with its reason.

What is accepted is in force, so what would have no effect is refused. Who makes one work deletes its line here;
a test fails when a writable key is read nowhere, and when one that is read still stands here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from config_keys import clock
from config_keys.key import Key

_DISPLAY = "There is no display: all times are in UTC."

NOT_IN_FORCE: Mapping[Key[Any], str] = {
    clock.TIME_OFFSET: _DISPLAY,
    clock.TIME_OFFSET_NEXT_TRANSITION: _DISPLAY,
    clock.NEXT_TIME_OFFSET_TRANSITION: _DISPLAY,
    clock.TIME_ZONE: _DISPLAY,
}
"""Key -> why a new value is refused."""
