"""Work that takes longer than a step: it is asked for here, done beside the loop (agent/io/jobs.py), and told back.

A job ends with its process; whoever needs it again after a restart starts it again from what is recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from agent.core.context import Context
from agent.core.effects import CancelJob, StartJob
from agent.core.events import JobEnded, JobTold

Told = Callable[[Context, Mapping[str, Any]], None]
Ended = Callable[[Context, bool, Mapping[str, Any]], None]
"""How it ended: done or not, and with what; a failure has its reason for people as `error`."""


class _Job(NamedTuple):
    kind: str
    ended: Ended
    told: Told | None


class Jobs:
    """The jobs that run, and who waits for them."""

    def __init__(self) -> None:
        self._running: dict[int, _Job] = {}
        self._last = 0

    def start(
        self, cx: Context, kind: str, data: Mapping[str, Any], ended: Ended, told: Told | None = None
    ) -> int:
        """Have `kind` done with `data` once this step is recorded; returns the number to cancel it by."""
        self._last += 1
        self._running[self._last] = _Job(kind, ended, told)
        cx.do(StartJob(self._last, kind, data))
        return self._last

    def cancel(self, cx: Context, job: int) -> None:
        """Nobody waits for it any more; it stops where it is. Nothing happens when it has ended."""
        if self._running.pop(job, None) is not None:
            cx.do(CancelJob(job))

    def runs(self, kind: str) -> bool:
        """Whether a job of this kind is under way."""
        return any(job.kind == kind for job in self._running.values())

    def told(self, cx: Context, event: JobTold) -> None:
        """News of a job; of one that was cancelled nobody wants any."""
        job = self._running.get(event.job)
        if job is not None and job.told is not None:
            job.told(cx, event.data)

    def ended(self, cx: Context, event: JobEnded) -> None:
        """A job is over."""
        job = self._running.pop(event.job, None)
        if job is not None:
            job.ended(cx, event.ok, event.data)
