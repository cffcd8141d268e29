"""The bench as a process of its own, so that its work is not counted as the agent's; ends with its stdin."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import replace

from hil.control import Control
from hil.cutter import Address
from hil.plan import DEFAULT, load
from hil.rig import Rig


async def run(csms: Address, keys: dict[str, str]) -> None:
    """Open the default bench with more keys, print where it is as JSON, wait for the end of stdin."""
    plan = load(DEFAULT)
    rig = Rig(replace(plan, keys={**plan.keys, **keys}), csms)
    control = Control(rig)
    await rig.open()
    address = await control.open(Address("127.0.0.1", 0))
    print(json.dumps({"control": str(address), "home": str(rig.home)}), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await control.close()
    await rig.close()


if __name__ == "__main__":
    asyncio.run(run(Address.parse(sys.argv[1]), json.loads(sys.argv[2])))
