"""A gateway of a cloud that ends every websocket after two hours (API gateways do; go-eCharger-API-v2#217)."""

from __future__ import annotations

from hil.bench import Bench
from hil.csms import Behaviour
from hil.personas.words import judge, leaves, online, starts

EVERY_S, TIMES = 7200.0, 6
AWAY_S = 90.0
"""How long a station may take to be back."""


def behave_as_cloud_gateway(behaviour: Behaviour) -> None:
    behaviour.heartbeat_s = 60


def cloud_gateway(bench: Bench, every_s: float = EVERY_S, times: int = TIMES) -> None:
    """A car charges slowly through many ends of the connection: nothing is lost, nothing is told twice."""
    online(bench)
    starts(bench, 2, amps=6.0)
    statuses = len(bench.calls("StatusNotification"))
    for n in range(times):
        before = bench.energy_wh(2)
        bench.wait(every_s)
        bench.note(f"the gateway ends connection {n + 1}")
        bench.cut()
        bench.wait_until("the connection is gone", lambda: not bench.connected())
        bench.restore()
        bench.wait_until("the station is back", bench.connected, AWAY_S)
        flowed = bench.energy_wh(2) - before
        bench.check("charging goes on", flowed > 6 * 3 * 220 * every_s / 3600 * 0.9, f"{flowed:.0f} Wh")
    bench.wait(5)
    boots = len(bench.calls("BootNotification"))
    bench.check("a reconnect is no boot", boots == 1, boots)
    told = len(bench.calls("StatusNotification")) - statuses
    bench.check("a short absence changes no status", told == 0, told)
    leaves(bench, 2)
    judge(bench)
