"""A dry run of a network profile: connect as the station would, say nothing, hang up, tell how it went."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from agent.core.effects import Connect
from agent.io.dial import dial, reason_of, status_of
from agent.io.jobs import JobFailed, Place

OPEN_WITHIN_S = 8.0
"""Less than the control socket waits for an answer."""
CLOSE_WITHIN_S = 2.0


async def connect(place: Place, data: Mapping[str, Any], tell: Callable[[Mapping[str, Any]], None]) -> dict[str, Any]:
    """`data` are the fields of a Connect. Raises JobFailed with the reason for a person."""
    order = Connect(**data)
    began = time.monotonic()
    try:
        websocket, *_ = await dial(
            order, place.state_dir, ping_s=0, pong_wait_s=OPEN_WITHIN_S, open_timeout_s=OPEN_WITHIN_S,
            close_timeout_s=CLOSE_WITHIN_S,
        )  # fmt: skip
    except Exception as error:  # whatever a server, a proxy or the name service does is an answer
        raise JobFailed(f"{order.url}: {reason_of(error, OPEN_WITHIN_S)}", http_status=status_of(error)) from error
    took_ms = round((time.monotonic() - began) * 1000)
    await websocket.close(1000, "dry run")
    return {"url": order.url, "subprotocol": websocket.subprotocol, "took_ms": took_ms, "result": "connects"}
