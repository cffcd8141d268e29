"""A car that goes on drawing 16 A when it is offered 10 A: the station cuts it off and says why."""

from __future__ import annotations

from hil.bench import Bench
from hil.scenarios.charging_session import CARD, online, profile, status

DRAWS, OFFERED = 16.0, 10.0
SOONEST_S, LATEST_S = 4.5, 15.0
"""A car has 5 s to follow a lower offer; then two readings of so much more are enough."""


def over_current(bench: Bench, evse: int = 2) -> None:
    """Cut off in time, told with its reason, and over when the car has left."""
    online(bench, evse)
    bench.note("a car plugs in that does not look at the offer")
    bench.plug(evse, amps=DRAWS, phases=3, greedy=True)
    bench.present(CARD, evse)
    bench.wait_until("16 A on three phases", lambda: min(bench.amps(evse)) > DRAWS - 0.1)
    bench.wait(3)
    bench.check("at its limit it is left alone", bench.closed(evse))
    bench.note(f"the CSMS limits to {OFFERED:g} A")
    answer = bench.call("SetChargingProfile", {"evseId": evse, "chargingProfile": profile(OFFERED)})
    bench.check("SetChargingProfile is accepted", answer.get("status") == "Accepted", answer)
    begun = bench.now()
    bench.wait_until("the contactor is open", lambda: not bench.closed(evse), LATEST_S)
    took = bench.now() - begun
    bench.check("it had the time to follow", took >= SOONEST_S, f"{took:.1f} s")
    told(bench, evse)
    bench.note("the car is unplugged")
    bench.unplug(evse)
    bench.wait_until("the EVSE is Available again", lambda: status(bench, evse) == "Available")


def told(bench: Bench, evse: int) -> None:
    """What the CSMS hears of it."""
    bench.wait_until("the EVSE is Faulted", lambda: status(bench, evse) == "Faulted")
    bench.wait_until("the transaction has ended", lambda: bench.transactions()[-1].ended)
    reason = bench.transactions()[-1].ordered()[-1]["transactionInfo"].get("stoppedReason")
    bench.check("its stoppedReason is OvercurrentFault", reason == "OvercurrentFault", reason)
    events = [event for frame in bench.calls("NotifyEvent") for event in frame.payload["eventData"]]
    codes = [event.get("techCode") for event in events]
    bench.check("an event with CX004 explains it", "CX004" in codes, codes)
    violations = bench.violations()
    bench.check("no rule of the protocol was broken", not violations, "; ".join(violations[:3]))
