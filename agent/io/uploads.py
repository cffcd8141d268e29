"""The worker of GetLog (N01): puts the log together and brings it where the CSMS wants it."""

from __future__ import annotations

import asyncio

from agent.core.urls import checked_url
from agent.io.bundle import gathered, security
from agent.io.jobs import Data, JobFailed, Place, Tell
from agent.io.senders import Trust, send, trusted
from config_keys.values import Refusal


async def upload(place: Place, data: Data, tell: Tell) -> Data:
    """`data` as agent/core/uploads.py writes it. Raises JobFailed with an UploadLogStatus as `status`."""
    url = checked_url(data["url"], data["protocols"])
    if isinstance(url, Refusal):
        raise JobFailed(url.info)
    window = data["oldest"], data["latest"]
    if data["kind"] == "SecurityLog":
        content = await asyncio.to_thread(security, place, *window)
    else:
        content = await gathered(place, *window)
    tls = await asyncio.to_thread(trusted, place.state_dir)
    await send(url, data["file"], content, Trust(tls, data["host_keys"]))
    return {"bytes": len(content)}
