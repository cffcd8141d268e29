"""A hand-written station of a few lines, so that the bench CSMS is tested with bytes nobody else made."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from hil.csms import BenchCsms

BOOT = {"reason": "PowerUp", "chargingStation": {"vendorName": "V", "model": "M"}}
TOKEN = {"idToken": "04AABBCC", "type": "ISO14443"}

_ids = itertools.count(1)


class Wire:
    """Raw frames to and from a CSMS."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def says(self, frame: Any) -> None:
        await self.socket.send(frame if isinstance(frame, (str, bytes)) else json.dumps(frame))

    async def hears(self) -> Any:
        return json.loads(await asyncio.wait_for(self.socket.recv(), 5))

    async def calls(self, action: str, payload: dict[str, Any]) -> Any:
        """The answering frame of one CALL."""
        await self.says([2, f"s{next(_ids)}", action, payload])
        return await self.hears()


@asynccontextmanager
async def station(
    port: int, identity: str = "CD-1", password: str | None = None, subprotocol: str = "ocpp2.0.1"
) -> AsyncIterator[Wire]:
    headers = {}
    if password is not None:
        headers["Authorization"] = "Basic " + base64.b64encode(f"{identity}:{password}".encode()).decode()
    url = f"ws://127.0.0.1:{port}/ocpp/{identity}"
    names = [Subprotocol(subprotocol)]
    async with connect(url, subprotocols=names, additional_headers=headers, proxy=None) as socket:
        yield Wire(socket)


def with_csms(story: Callable[[BenchCsms], Awaitable[None]]) -> BenchCsms:
    """Run `story` against a bench CSMS on a free port; returns the CSMS with its record."""
    csms = BenchCsms()

    async def run() -> None:
        await csms.start()
        try:
            await story(csms)
        finally:
            await csms.stop()

    asyncio.run(run())
    return csms


def event(seq_no: int, kind: str = "Updated", wh: float | None = None, **more: Any) -> dict[str, Any]:
    """A TransactionEvent of transaction T1, with a meter register when `wh` is given."""
    body: dict[str, Any] = {
        "eventType": kind,
        "timestamp": "2026-01-31T12:00:00Z",
        "triggerReason": "MeterValuePeriodic",
        "seqNo": seq_no,
        "transactionInfo": {"transactionId": "T1"},
    }
    if wh is not None:
        body["meterValue"] = [{"timestamp": "2026-01-31T12:00:00Z", "sampledValue": [{"value": wh}]}]
    return body | more
