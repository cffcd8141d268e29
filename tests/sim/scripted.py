"""A station of a few lines whose every move is a test's: it proves the world and its judge, not the agent."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from agent.core.effects import Connect, Effect, MakeSafe, Record, Say
from agent.core.events import Event, FrameReceived, LinkDown, LinkUp, Start
from agent.core.instant import Instant
from agent.core.site import Site
from hal.ports import Withdraw

Reaction = Callable[["Scripted", Event], list[Effect]]


class Scripted:
    """Withdraws at start, dials, boots when the link is up; everything else is `reaction`."""

    def __init__(self, site: Site, reaction: Reaction, stored: Mapping[str, Mapping[str, Any]]) -> None:
        self.site = site
        self.reaction = reaction
        self.stored = stored
        self.steps = 0
        self.now = Instant(0)
        self.connection = 0
        self.deadline: int | None = None
        self.recovered: list[Record] = []
        self.heard: list[Event] = []
        self.answers: list[Any] = []

    def recover(self, records: Iterable[Record]) -> None:
        """Keep what was recovered for the test to look at."""
        self.recovered = list(records)

    def next_deadline(self) -> int | None:
        """Whatever the test has set."""
        return self.deadline

    def step(self, now: Instant, event: Event) -> list[Effect]:
        """The fixed part, then the test's."""
        self.steps += 1
        self.now = now
        self.heard.append(event)
        effects: list[Effect] = []
        match event:
            case Start():
                effects += [MakeSafe(Withdraw(evse.id, self.steps, "start")) for evse in self.site.evses]
                effects += self._dial()
            case LinkUp():
                effects.append(self.call("BootNotification", boot()))
            case LinkDown():
                effects += self._dial()
            case FrameReceived(text=text):
                self.answers.append(json.loads(text or "null"))
        return effects + self.reaction(self, event)

    def call(self, action: str, payload: dict[str, Any], id: str | None = None) -> Say:
        """A CALL on the present connection."""
        return self.say([2, id or f"m{self.steps}", action, payload])

    def say(self, message: list[Any]) -> Say:
        """Any frame on the present connection."""
        return Say(self.connection, json.dumps(message))

    def _dial(self) -> list[Effect]:
        network = self.site.network
        if network is None:
            return []
        self.connection += 1
        return [Connect(self.connection, network.url, network.identity, network.password)]


def boot() -> dict[str, Any]:
    """A minimal BootNotificationRequest."""
    return {"reason": "PowerUp", "chargingStation": {"model": "m", "vendorName": "v"}}


def scripted(
    reaction: Reaction = lambda station, event: [],
) -> Callable[[Site, Mapping[str, str], Mapping[str, Mapping[str, Any]]], Scripted]:
    """What World takes as `build`."""
    return lambda site, presets, stored: Scripted(site, reaction, stored)
