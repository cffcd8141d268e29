"""A cache that is full: who makes room (C10.FR.07). What it is used for is told in tests/blocks/test_c_cache.py."""

from __future__ import annotations

from typing import Any

import pytest

from agent.core.cache import Cache
from agent.core.context import Context, Durable
from agent.core.effects import Persist
from agent.core.evse import Token
from agent.core.instant import Instant
from config_keys import auth_cache
from config_keys.values import Values
from tests.marks import req

SMALL = 2000
"""Bytes: room for some 18 cards."""
NOON_MS = 1_772_366_400_000
"""2026-03-01T12:00:00Z."""


class Station:
    """A cache and its clock."""

    def __init__(self, policy: str = "LRU") -> None:
        keys = {"AuthCacheCtrlr.Policy": policy, "AuthCacheCtrlr.LifeTime": "0"}
        self._durable = Durable(Values({1: [1]}, keys))
        self._durable.keys.narrow(auth_cache.STORAGE, max=SMALL)
        self.stored: dict[str, Any] = {}
        self.cache = Cache({}, self._durable.keys)
        self._minutes = 0
        self.puts = 0

    def _step(self) -> Context:
        self._minutes += 1
        return Context(self._durable, Instant(self._minutes * 60_000, NOON_MS + self._minutes * 60_000), self._minutes)

    def _finish(self, cx: Context) -> None:
        batches = [effect for effect in cx.finish() if isinstance(effect, Persist)]
        for put in (put for batch in batches for put in batch.puts):
            self.puts += 1
            if put.value is None:
                self.stored.pop(put.key, None)
            else:
                self.stored[put.key] = put.value

    def learns(self, card: str, status: str = "Accepted") -> None:
        cx = self._step()
        self.cache.learn(cx, Token(card, "ISO14443"), {"status": status, "group": None, "evses": None})
        self._finish(cx)

    def uses(self, card: str) -> None:
        cx = self._step()
        self.cache.used(cx, Token(card, "ISO14443"))
        self._finish(cx)

    def knows(self, card: str) -> bool:
        return self.cache.info(self._step(), Token(card, "ISO14443")) is not None

    @property
    def bytes(self) -> int:
        return int(self._durable.keys[auth_cache.STORAGE])

    def fills(self, status: str = "Accepted") -> list[str]:
        """Learn cards until the next one does not fit; all that were learnt."""
        cards: list[str] = []
        while self.bytes < SMALL - 120:
            cards.append(f"04{len(cards):012X}")
            self.learns(cards[-1], status)
        return cards


@req("C10.FR.07")
@pytest.mark.parametrize(("policy", "lost"), [("FIFO", 0), ("LRU", 1), ("LFU", 2)])
def test_the_policy_says_who_makes_room(policy: str, lost: int) -> None:
    """The first came first, the second has been away the longest, the third comes the least often."""
    station = Station(policy)
    cards = station.fills()
    for card in (*cards[1:2] * 3, *cards[3:], *cards[3:], cards[2], cards[0], cards[0]):
        station.uses(card)
    station.learns("0500000000000000")
    assert [card for card in cards if not station.knows(card)] == [cards[lost]]


@req("C10.FR.07", "C10.FR.01")
def test_refused_cards_go_before_good_ones_whatever_their_age() -> None:
    station = Station("FIFO")
    station.learns("04600D")
    bad = station.fills("Blocked")
    for i in range(5):
        station.learns(f"05{i:012X}")
    assert station.knows("04600D") and all(station.knows(f"05{i:012X}") for i in range(5))
    assert not station.knows(bad[0]) and station.knows(bad[-1])


@req("C10.FR.07")
def test_it_never_takes_more_than_it_says() -> None:
    station = Station()
    station.fills()
    for i in range(50):
        station.learns(f"05{i:012X}")
        assert station.bytes <= SMALL


@req("C10.FR.02")
def test_after_a_restart_it_is_as_it_was_and_little_is_written_for_a_card() -> None:
    station = Station()
    cards = station.fills()
    before = station.puts
    station.learns(cards[7])
    assert station.puts == before + 1
    station.cache = Cache(station.stored, Values({1: [1]}, {}))
    assert all(station.knows(card) for card in cards)
