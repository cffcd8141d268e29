"""Bug 16 against the real process: the link dies in every way, one after the other, while one car charges."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from itertools import pairwise, zip_longest
from pathlib import Path
from typing import get_args

from hil.csms import Transaction
from hil.cutter import Death
from hil.judge import broken
from hil.real_bench import RealBench
from tests.marks import req
from tests.process.benches import ask, charge, leave, plan, ready
from tests.process.impostor import Answer, Impostor, hangs, impostor, refuses, upgrades

KEYS = {
    "OCPPCommCtrlr.WebSocketPingInterval": "1",
    "SampledDataCtrlr.TxUpdatedInterval": "1",
}
"""A dead peer is found out within 5 s, 3 s of them for its close frame; every outage has something to tell."""
BACK_OFF_S = 1.0
BACK_WITHIN_S = 30.0
"""Back-off, handshake and what was queued, on a busy machine."""
SAYS_WITHIN_S = 45.0
"""The longest way to find a link dead is a handshake that hangs: 20 s."""
DEATHS: dict[Death, str] = {
    "half-open": "ended: no pong",
    "reset": "ended: connection lost",
    "fin": "ended: connection lost",
    "torn to the agent": "ended: connection lost",
    "torn to the CSMS": "ended: connection lost",
}
CLOSE_CODES = (1000, 1001, 1008, 1011, 1012)
WRONG_SERVERS: dict[str, Answer] = {
    "failed: HTTP 302 Found (redirects are not followed)": refuses(HTTPStatus.FOUND),
    "failed: HTTP 401 Unauthorized": refuses(HTTPStatus.UNAUTHORIZED),
    "failed: HTTP 404 Not Found": refuses(HTTPStatus.NOT_FOUND),
    "failed: HTTP 503 Service Unavailable": refuses(HTTPStatus.SERVICE_UNAVAILABLE),
    "failed: server chose other subprotocol": upgrades("Sec-WebSocket-Protocol: ocpp1.6"),
    "failed: server chose no subprotocol": upgrades(),
    "failed: no answer within 20 s": hangs,
    "ended: no pong": upgrades("Sec-WebSocket-Protocol: ocpp2.0.1"),
}
ESTABLISHED, CLOSE_WAIT = "01", "08"


@req("B10.FR.09", "E04.FR.03")
def test_bug_16_the_link_dies_in_every_way(tmp_path: Path) -> None:
    """Each time the station is back by itself, with one connection, and neither the car nor the CSMS lost anything."""
    assert set(DEATHS) == set(get_args(Death))
    with RealBench(plan(tmp_path, **KEYS)) as bench, impostor() as stranger:
        ready(bench)
        charge(bench, 1)
        began = bench.now()
        with outage(bench):
            bench.listen(False)
            says(bench, "failed: Connection refused")
            bench.listen()
        for (kill, death), wrong in zip_longest(deaths(bench), WRONG_SERVERS):
            with outage(bench):
                kills(bench, stranger, kill, death, wrong)
        lowest = min(min(s.amps) for s in list(bench.rig.history) if s.evse == 1 and s.t > began)
        assert lowest > 15.9, "charging went on all the time"
        assert bench.rig.agent.starts == 1
        leave(bench)
        (transaction,) = bench.transactions()
        told_once_in_order(bench, transaction)
        assert broken(bench) == []


def deaths(bench: RealBench) -> list[tuple[Callable[[], None], str]]:
    """Every way in which an open connection ends, and what the station says of it."""
    return [
        *((partial(bench.kill_link, death), reason) for death, reason in DEATHS.items()),
        *((partial(bench.hang_up, code), f"ended: closed by the CSMS: {code}") for code in CLOSE_CODES),
    ]


def kills(bench: RealBench, stranger: Impostor, kill: Callable[[], None], death: str, wrong: str | None) -> None:
    """The connection dies; with `wrong`, somebody else answers at the CSMS's address until the station has said so."""
    if wrong is not None:
        stranger.answer = WRONG_SERVERS[wrong]
        bench.lead_to(stranger.address)
    read = len(log(bench))
    kill()
    says(bench, death, read)
    if wrong is not None:
        says(bench, wrong, log(bench).index(death, read) + 1)
        assert ask(bench.rig, "status")["link"]["state"] != "open", "nobody is told that it is connected"
        bench.lead_to(None)


@contextmanager
def outage(bench: RealBench) -> Iterator[None]:
    """What must hold after an outage: back by itself, on one connection, with the back-off before each attempt."""
    last, since, energy = bench.csms.frames[-1].connection, bench.now(), bench.energy_wh(1)
    knocks = bench.rig.cutter.knocks
    yield
    bench.wait_until("events on a new connection", lambda: bench.calls()[-1].connection > last, BACK_WITHIN_S)
    bench.wait_until("one connection", lambda: bench.connected() and sockets(bench) == [ESTABLISHED])
    bench.wait_until("it is told to be open", lambda: ask(bench.rig, "status")["link"]["state"] == "open")
    tries = bench.rig.cutter.knocks - knocks
    assert 1 <= tries <= (bench.now() - since) / BACK_OFF_S, "an attempt without its back-off"
    assert bench.energy_wh(1) > energy


def says(bench: RealBench, reason: str, read: int = 0) -> None:
    """The station's log gives this reason, after the `read` characters that are old."""
    bench.wait_until(reason, lambda: reason in log(bench)[read:], SAYS_WITHIN_S)


def told_once_in_order(bench: RealBench, transaction: Transaction) -> None:
    """Every event arrives, in order; again only one whose answer was lost with its connection."""
    assert transaction.arrivals == sorted(transaction.arrivals)
    assert transaction.seq_numbers == list(range(len(transaction.events)))
    times = [event["timestamp"] for event in transaction.ordered()]
    assert times == sorted(times)
    for before, after in pairwise(bench.calls("TransactionEvent")):
        if before.payload["seqNo"] == after.payload["seqNo"]:
            assert after.connection > before.connection, "said again though nothing was lost"
    offline = [event for event in transaction.ordered() if event.get("offline")]
    assert len(offline) > 20, "the outages had something to tell"


def log(bench: RealBench) -> str:
    return bench.rig.agent.log.read_text(encoding="utf-8")


def sockets(bench: RealBench) -> list[str]:
    """The states of the station's TCP connections to the CSMS's address that it has not closed, by the kernel."""
    port = f":{bench.rig.cutter.listen.port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()]
    return [row[3] for row in rows if row[2].endswith(port) and row[3] in (ESTABLISHED, CLOSE_WAIT)]
