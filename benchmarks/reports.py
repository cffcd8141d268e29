"""How long one step takes while a station with very many variables reports them all, and the whole report."""

from __future__ import annotations

import gc
import json
import time
from typing import Any

from agent.core.effects import Say
from agent.core.events import Event, FrameReceived, LinkUp, Start, Tick
from agent.core.instant import Instant
from agent.core.site import Connector, EvseSite, Network, Site
from agent.station import Station
from benchmarks.figures import Figure, quantile

ROWS = 1500
CONNECTORS = 100
ROUNDS = 5
UTC_MS = 1_790_000_000_000


class Conversation:
    """A station and a CSMS that answers everything at once; every step is timed (ms)."""

    def __init__(self) -> None:
        plugs = tuple(Connector(id) for id in range(1, CONNECTORS + 1))
        evses = tuple(EvseSite(id, 32.0, 3, connectors=plugs) for id in (1, 2))
        network = Network("ws://csms.example/ocpp", "CD-0001", "secret")
        self.station = Station(Site("Open Chargers", "Many", "SN1", "1.0", evses, network), {}, {})
        self.now_ms = 0
        self.steps: list[float] = []
        self.pages: list[dict[str, Any]] = []
        self.feed(Start("boot", 1))
        self.feed(LinkUp(1, "ocpp2.0.1"))

    def feed(self, event: Event) -> None:
        """One step, and the CSMS's answers to what it said."""
        self.now_ms += 10
        began = time.perf_counter()
        effects = self.station.step(Instant(self.now_ms, UTC_MS + self.now_ms), event)
        self.steps.append((time.perf_counter() - began) * 1000)
        for effect in effects:
            if isinstance(effect, Say):
                self._hear(json.loads(effect.text))

    def _hear(self, message: list[Any]) -> None:
        if message[0] != 2:
            return
        answer: dict[str, Any] = {}
        if message[2] == "BootNotification":
            answer = {"currentTime": "2026-09-21T14:13:20Z", "interval": 300, "status": "Accepted"}
        elif message[2] == "Heartbeat":
            answer = {"currentTime": "2026-09-21T14:13:20Z"}
        elif message[2] == "NotifyReport":
            self.pages.append(message[3])
        self.feed(FrameReceived(1, json.dumps([3, message[1], answer])))

    def report(self, number: int) -> None:
        """FullInventory, to the end."""
        payload = {"requestId": number, "reportBase": "FullInventory"}
        self.feed(FrameReceived(1, json.dumps([2, f"r{number}", "GetBaseReport", payload])))


async def measure() -> list[Figure]:
    """Everything is done once before, so that no step pays for loading; memory is frozen as the agent does."""
    talk = Conversation()
    talk.report(0)
    talk.feed(Tick())
    rows, pages = sum(len(page["reportData"]) for page in talk.pages), len(talk.pages)
    assert rows >= ROWS and not talk.pages[-1].get("tbc", False), f"{rows} rows in {pages} pages"
    talk.steps.clear()
    gc.collect()
    gc.freeze()
    began = time.perf_counter()
    for number in range(1, ROUNDS + 1):
        talk.report(number)
    whole_ms = (time.perf_counter() - began) * 1000 / ROUNDS
    return [
        Figure(f"report of {rows} rows: pages", pages, ""),
        Figure(f"report of {rows} rows: longest step", max(talk.steps), "ms", len(talk.steps), below=20),
        Figure(f"report of {rows} rows: step, p50", quantile(talk.steps, 0.5), "ms", len(talk.steps)),
        Figure(f"report of {rows} rows: all steps, with the CSMS's share", whole_ms, "ms", ROUNDS),
    ]
