"""Codes typed by people are guessed by others: each wrong one makes the next wait longer (C04.FR.06)."""

from __future__ import annotations

from agent.core.context import Context
from agent.core.evse import Token

FREE_TRIES = 3
"""Wrong codes before anybody has to wait."""
FIRST_WAIT_S, LONGEST_WAIT_S = 10, 3600


class Keypad:
    """Counts the wrong codes of the whole station, whichever keypad they came from."""

    def __init__(self) -> None:
        self._wrong = 0
        self._shut_until_ms = 0

    def is_shut(self, cx: Context, token: Token) -> bool:
        """Whether a code is not even looked at now."""
        return token.kind == "KeyCode" and cx.ms < self._shut_until_ms

    def judged(self, cx: Context, token: Token, good: bool) -> None:
        """A code was accepted or refused."""
        if token.kind != "KeyCode":
            return
        self._wrong = 0 if good else self._wrong + 1
        if self._wrong >= FREE_TRIES:
            wait_s = min(LONGEST_WAIT_S, FIRST_WAIT_S << min(self._wrong - FREE_TRIES, 10))
            self._shut_until_ms = cx.ms + wait_s * 1000
            cx.note("authorization", f"{self._wrong} wrong codes: the next is looked at in {wait_s} s", "warning")
