"""Twelve hours without the CSMS: 200 sessions on two EVSEs wait on flash, then all of them arrive in order."""

from __future__ import annotations

from itertools import pairwise

from tests.blocks.stories import OFFLINE_FOR_ALL, back_online, heard, idle
from tests.marks import req
from tests.sim.outlet import raw, smart
from tests.sim.world import World

HOURS, SESSIONS, EVENTS = 12, 200, 10_000
KEYS = {
    **OFFLINE_FOR_ALL,
    "SampledDataCtrlr.TxUpdatedInterval": "6",
    "AlignedDataCtrlr.Interval": "0",
    "RecoveryCtrlr.MaxQueuedEvents": "20000",
}


def outage() -> World:
    """The link is gone, and every 7 min another car comes to each EVSE and stays for 5 min."""
    world = idle([raw(32), smart(16)], keys=KEYS)
    world.csms.vanishes()
    for evse in world.outlets:
        driver = world.ev(evse)
        for _ in range(SESSIONS // 2):
            driver.plugs_in().presents("04AABBCC").after(seconds=300).presents("04AABBCC")
            driver.after(seconds=20).unplugs().after(seconds=102)
    return world.runs(hours=HOURS)


@req("E04.FR.01", "E04.FR.03", "E14.FR.01")
def test_a_twelve_hour_outage_drains_in_order_and_starves_nobody() -> None:
    world = outage()
    waiting = len(world.disk.stored("event"))
    assert waiting >= 0.95 * EVENTS, waiting
    before = len(world.csms.frames)
    world.csms.returns()
    world.until(lambda: world.csms.connection is not None and bool(world.csms.transactions), within_s=1200)
    drained = world.now_ms

    # While it drains, what is live goes first: an answer, a status, the card of a new driver.
    status = world.csms.sends("GetTransactionStatus", {})
    world.until(lambda: status.done, within_s=5)
    assert status.answer == {"messagesInQueue": True}
    world.ev(1).plugs_in()
    world.until(lambda: any(p["connectorStatus"] == "Occupied" for _, p in late(world, drained)), within_s=5)
    world.ev(1).presents("04DDEEFF")
    world.until(lambda: world.outlets[1].amps > 6, within_s=30)
    assert len(world.disk.stored("event")) > EVENTS / 2, "still draining"

    world.until(lambda: len(world.csms.transactions) == SESSIONS + 1, within_s=3600)
    back_online(world)
    events = [f.message[3] for f in world.csms.frames[before:] if f.direction == "<" and f.message[0] == 2]
    sent = [e for e in events if "transactionInfo" in e]
    for one in {e["transactionInfo"]["transactionId"] for e in sent}:
        numbers = [e["seqNo"] for e in sent if e["transactionInfo"]["transactionId"] == one]
        assert all(b == a + 1 for a, b in pairwise(numbers)), numbers
    made = [e["timestamp"] for e in sent if e.get("offline")]
    assert made == sorted(made), "in the order in which they were made"
    world.settles()


def late(world: World, since_ms: float) -> list[tuple[float, dict[str, object]]]:
    """StatusNotifications since then."""
    return [(at, p) for at, p in heard(world, "StatusNotification") if at * 1000 >= since_ms]
