"""CitrineOS: a new station stays Pending until it was inventoried and configured; every frame meets a strict schema.

After an outage it asks at once how far each transaction is, and the answer must be exact (citrineos-core#1053); its
limits have one decimal, such as 8.1 A, which careless arithmetic takes for no multiple of 0.1 (citrineos-core#959).
"""

from __future__ import annotations

from hil.bench import Bench
from hil.csms import Behaviour
from hil.personas.words import Json, asks, inventory, judge, leaves, limits, online, profile, schedule, sets, starts

ODD_AMPS = 8.1


def behave_as_citrineos(behaviour: Behaviour) -> None:
    behaviour.boot = ["Pending", "Accepted"]
    behaviour.retry_s = 60
    behaviour.heartbeat_s = 60


def citrineos(bench: Bench) -> None:
    """Configured while Pending, a session with an outage, and what is asked after it."""
    _configures(bench)
    online(bench)
    starts(bench, 1)
    taken = limits(bench, 1, profile("TxDefaultProfile", "Relative", schedule(ODD_AMPS)))
    bench.check("8.1 A are taken", taken.get("status") == "Accepted", taken)
    bench.wait_until("8.1 A", lambda: 7.5 < max(bench.amps(1)) <= ODD_AMPS + 0.05)
    _outage(bench)
    leaves(bench, 1)
    placed = [e["evse"] for t in bench.transactions() for e in t.ordered() if "evse" in e]
    bench.check("connectors are counted per EVSE", placed == [{"id": 1, "connectorId": 1}] * len(placed), placed)
    judge(bench)


def _configures(bench: Bench) -> None:
    bench.wait_until("BootNotification", lambda: bench.calls("BootNotification"))
    rows = inventory(bench, 42)
    bench.check("an inventory while Pending", len(rows) > 100, len(rows))
    bench.check("a variable while Pending", sets(bench, "OCPPCommCtrlr", "HeartbeatInterval", "60") == "Accepted")
    told = {str(frame.action) for frame in bench.calls()} - {"BootNotification", "NotifyReport"}
    bench.check("nothing else is said while Pending", not told, sorted(told))
    answer = asks(bench, "TriggerMessage", {"requestedMessage": "BootNotification"})
    bench.check("the next BootNotification can be asked for", answer.get("status") == "Accepted", answer)
    bench.wait_until("the second BootNotification", lambda: len(bench.calls("BootNotification")) == 2, 20)
    reason = bench.calls("BootNotification")[-1].payload["reason"]
    bench.check("its reason is Triggered", reason == "Triggered", reason)


def _outage(bench: Bench) -> None:
    running = bench.transactions()[-1].transaction_id
    bench.cut()
    bench.wait_until("the connection is gone", lambda: not bench.connected(), 60)
    bench.wait(10)
    bench.restore()
    bench.wait_until("the station is back", bench.connected, 120)

    def asked() -> Json:
        return asks(bench, "GetTransactionStatus", {"transactionId": running})

    first = asked()
    bench.check("the transaction goes on", first.get("ongoingIndicator") is True, first)
    bench.wait_until("an empty queue", lambda: asked().get("messagesInQueue") is False)
    bench.check("BootNotifications", len(bench.calls("BootNotification")) == 2)
