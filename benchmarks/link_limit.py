"""`python -m benchmarks.link_limit PORT COUNT`: the fastest that one CALL at a time can go over this link.

It sends one text COUNT times and waits for each answer; prints the rate. No agent answers faster than that.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

TEXT = json.dumps([2, "x" * 36, "TransactionEvent", {"seqNo": 1, "padding": "x" * 1400}])


async def main(port: int, count: int) -> float:
    """CALLs per second."""
    url = f"ws://127.0.0.1:{port}/ocpp/LIMIT"
    async with connect(url, subprotocols=[Subprotocol("ocpp2.0.1")], compression=None) as socket:
        began = time.perf_counter()
        for _ in range(count):
            await socket.send(TEXT)
            await socket.recv()
        return count / (time.perf_counter() - began)


if __name__ == "__main__":
    print(asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]))))
