"""What takes longer than a step, in virtual time: tests say how each kind of job goes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

from agent.core.effects import CancelJob, StartJob
from agent.core.events import Event, JobEnded, JobTold
from tests.sim.clock import Life, Timeline


class Says(NamedTuple):
    """News after so many seconds."""

    after_s: float
    data: Mapping[str, Any]


class Ends(NamedTuple):
    """The end after so many seconds."""

    after_s: float
    ok: bool
    data: Mapping[str, Any] = {}


Course = Callable[[Mapping[str, Any]], Iterable[Says | Ends]]
"""What happens, one after the other, in a job with this data; without an end it goes on for ever."""


def _fails(data: Mapping[str, Any]) -> Iterable[Says | Ends]:
    yield Ends(1.0, False, {"error": "nothing was said of this kind of job"})


class Workers:
    """The jobs of one process after the other; they die with their process."""

    def __init__(self, timeline: Timeline, hear: Callable[[Event], None]) -> None:
        self._timeline = timeline
        self._hear = hear
        self._courses: dict[str, Course] = {}
        self._running: dict[int, Life] = {}
        self.started: list[StartJob] = []
        """Every job that was asked for."""
        self.cancelled: list[int] = []

    def do(self, kind: str, course: Course) -> None:
        """From now on jobs of this kind go like this."""
        self._courses[kind] = course

    def execute(self, effect: StartJob | CancelJob) -> None:
        """The runner's side."""
        if isinstance(effect, CancelJob):
            self.cancelled.append(effect.job)
            self._running.pop(effect.job, Life()).alive = False
            return
        self.started.append(effect)
        life = self._running[effect.job] = Life()
        after_ms = 0.0
        for event in self._courses.get(effect.kind, _fails)(effect.data):
            after_ms += event.after_s * 1000
            self._timeline.after(after_ms, partial(self._happens, effect.job, event), life)

    def _happens(self, job: int, event: Says | Ends) -> None:
        if isinstance(event, Says):
            self._hear(JobTold(job, event.data))
        else:
            self._running.pop(job, None)
            self._hear(JobEnded(job, event.ok, event.data))

    def die(self) -> None:
        """The process is gone."""
        for life in self._running.values():
            life.alive = False
        self._running.clear()
