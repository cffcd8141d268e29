"""Answers that have to wait for a job."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from agent.core.context import Context

T = TypeVar("T")


class Later:
    """What a handler returns when its answer has to wait for a job; `answer` gives it, once."""

    def __init__(self) -> None:
        self._give: Callable[[Context, Any], None] | None = None

    def bind(self, give: Callable[[Context, Any], None]) -> None:
        """The station says where the answer goes."""
        self._give = give

    def answer(self, cx: Context, result: Any) -> None:
        """The call_result, or a Violation; a CSMS that is gone meanwhile gets none."""
        assert self._give is not None, "an answer before the question was taken"
        self._give(cx, result)


def when_done(ask: Callable[[Callable[[Context, T], None]], None], answer: Callable[[T], Any]) -> Later:
    """An answer made of what `ask` tells its callback."""
    later = Later()
    ask(lambda cx, outcome: later.answer(cx, answer(outcome)))
    return later
