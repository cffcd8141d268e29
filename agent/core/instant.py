"""The only clock the core knows: a moment handed to every step."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

FIRST_MS, LAST_MS = -62_135_596_800_000, 253_402_300_799_000
"""The first and the last second that can be written as RFC 3339."""


class Instant(NamedTuple):
    """A moment: monotonic milliseconds since this boot, and UTC milliseconds since 1970 when they are known."""

    mono_ms: int
    utc_ms: int | None = None


def rfc3339(utc_ms: int) -> str:
    """The moment as OCPP wants it on the wire: UTC with Z, no fraction (Part 2, generic data rules)."""
    return datetime.fromtimestamp(utc_ms // 1000, UTC).replace(tzinfo=None).isoformat() + "Z"


def parse_rfc3339(text: str) -> int:
    """UTC milliseconds of an RFC 3339 date-time; raises ValueError when it is none or has no zone.

    With its zone a moment may lie just outside of the years 1 to 9999: it is moved to their edge.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone; expected RFC 3339 such as 2026-01-31T12:00:00Z")
    return min(max(round(moment.timestamp() * 1000), FIRST_MS), LAST_MS)
