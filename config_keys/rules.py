"""What must hold between values of several keys, so that they are checked as a whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from config_keys import comm
from config_keys.key import Key


class Rule(NamedTuple):
    """`broken` gets the values of `keys`, in their order, and says what is wrong with them, or None."""

    keys: tuple[Key[Any], ...]
    broken: Callable[..., str | None]


def _dials_without_pause(minimum_s: int, random_s: int) -> str | None:
    if minimum_s or random_s:
        return None
    return f"{comm.RETRY_BACK_OFF_WAIT_MINIMUM.name} and {comm.RETRY_BACK_OFF_RANDOM_RANGE.name} cannot both be 0"


RULES: tuple[Rule, ...] = (
    Rule((comm.RETRY_BACK_OFF_WAIT_MINIMUM, comm.RETRY_BACK_OFF_RANDOM_RANGE), _dials_without_pause),
)
