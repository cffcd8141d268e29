"""Which lines about decisions are written down: every topic belongs to a subsystem that has a level of its own."""

from __future__ import annotations

from collections.abc import Mapping

from config_keys import log
from config_keys.key import Key
from config_keys.values import Values

_TOPICS: Mapping[Key[str], str] = {
    log.LEVEL_LINK: "link registration network rpc report outbox clock log",
    log.LEVEL_CHARGING: "session authorization contactor pilot lock reservation tariff lamp status",
    log.LEVEL_LIMITS: "limit phases",
    log.LEVEL_HARDWARE: "hardware meter fault",
}
LEVEL_OF: Mapping[str, Key[str]] = {topic: key for key, topics in _TOPICS.items() for topic in topics.split()}
"""Topic -> the key with its level; what is not named here is the station's."""
GRAVITY: Mapping[str, int] = {"debug": 0, "info": 1, "warning": 2, "error": 3}


def is_wanted(keys: Values, topic: str, level: str) -> bool:
    """Whether a line is grave enough; a trace, which belongs to a fault or a limit, is always kept."""
    least: str = keys[LEVEL_OF.get(topic, log.LEVEL_STATION)]
    return GRAVITY.get(level, 3) >= GRAVITY[least.lower()]
