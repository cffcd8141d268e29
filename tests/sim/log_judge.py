"""What a station tells of its log uploads: in order, and nothing after the end (N01)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any


def misled(told: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """What is wrong with the LogStatusNotifications of one CSMS; repeats, whose answer was lost, are not."""
    statuses: dict[int | None, list[str]] = {}
    for payload in told:
        statuses.setdefault(payload.get("requestId"), []).append(payload["status"])
    for request, all_told in statuses.items():
        changes = [status for status, _ in groupby(all_told)]
        if request is None and set(changes) != {"Idle"}:
            yield f"without requestId: {changes}"
        elif request is not None and (len(changes) > 2 or "Uploading" in changes[1:] or "Idle" in changes):
            yield f"request {request}: {changes}"
