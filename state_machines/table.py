"""One table per state machine, compiled onto `transitions`.

A table is data: states with their meaning and timeout, rows with guard and action. It is printed as a diagram and
walked by tests. Compiled once per class, it checks that every guard and action exists, that every row names known
states, and that what hardware and people do (`world`) has a row in every state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

from transitions import EventData, Machine

from config_keys.key import Key

ANY = "*"


class State(NamedTuple):
    """What it means to be in a state; after `timeout` the trigger `then` fires.

    The timeout is a key in seconds, seconds, or the name of a property of the model that gives seconds.
    """

    doc: str
    timeout: Key[Any] | float | str | None = None
    then: str | None = None


class Row(NamedTuple):
    """On `trigger` in `source` go to `to` (None: stay) if `guard` holds, and do `do`. First row that fits wins."""

    trigger: str
    source: str | tuple[str, ...]
    to: str | None
    guard: str | None = None
    do: str | None = None


class Edge(NamedTuple):
    """A move that happened: machine, from, trigger, to."""

    machine: str
    source: str
    trigger: str
    to: str


@dataclass(frozen=True)
class Table:
    """A state machine as data. `world` names the triggers that hardware and people cause."""

    name: str
    initial: str
    states: Mapping[str, State]
    rows: tuple[Row, ...]
    world: tuple[str, ...] = ()
    doc: str = ""
    edges: tuple[Edge, ...] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "edges", tuple(self._edges()))
        self._check()

    def sources(self, row: Row) -> tuple[str, ...]:
        """The states in which the row applies."""
        if row.source == ANY:
            return tuple(self.states)
        return (row.source,) if isinstance(row.source, str) else row.source

    def listed(self, state: str, trigger: str) -> bool:
        """Whether the trigger has a row in this state."""
        return any(row.trigger == trigger and state in self.sources(row) for row in self.rows)

    def _edges(self) -> list[Edge]:
        return [
            Edge(self.name, source, row.trigger, row.to)
            for row in self.rows
            if row.to is not None
            for source in self.sources(row)
        ]

    def _check(self) -> None:
        named = {s for row in self.rows for s in (*self.sources(row), row.to or self.initial)}
        unknown = (named | {self.initial}) - set(self.states)
        assert not unknown, f"table {self.name}: rows name unknown states {sorted(unknown)}"
        gaps = [(s, t) for t in self.world for s in self.states if not self.listed(s, t)]
        assert not gaps, f"table {self.name}: no row for {gaps}"
        for name, state in self.states.items():
            assert (state.timeout is None) == (state.then is None), (
                f"table {self.name}.{name}: timeout and then"
            )
            assert state.then is None or self.listed(name, state.then), (
                f"table {self.name}.{name}: {state.then}?"
            )


class Subject:
    """Base of everything that lives by a table. Guards take the context, actions the context and the data."""

    TABLE: ClassVar[Table]
    _machine: ClassVar[Machine]
    state: str

    def __init_subclass__(cls) -> None:
        """Compile the table of the class: a guard or action that does not exist fails at import."""
        super().__init_subclass__()
        if "TABLE" in cls.__dict__:
            cls._machine = _compile(cls.TABLE, cls)

    def __init__(self, label: str) -> None:
        self.label = label
        self.state = self.TABLE.initial

    @property
    def deadline_name(self) -> str:
        """The name of this machine's one timeout."""
        return f"{self.label}.{self.TABLE.name}"

    def fire(self, trigger: str, cx: Any, **data: Any) -> bool:
        """Take the first row that fits; False when guards refused. An unlisted trigger is a bug."""
        assert self.TABLE.listed(self.state, trigger), f"{self.deadline_name}: {trigger} in {self.state}"
        return bool(self._machine.events[trigger].trigger(self, cx=cx, data=data))

    def expire(self, cx: Any) -> None:
        """The timeout of the present state has passed."""
        then = self.TABLE.states[self.state].then
        if then is not None:
            self.fire(then, cx)

    def moved(self, cx: Any, edge: Edge) -> None:
        """Called after each change of state; for logs and tests."""

    def _arrive(self, event: EventData) -> None:
        """After every change of state: the timeout of the new state replaces the old one."""
        cx, before = event.kwargs["cx"], event.transition.source if event.transition else self.state
        timeout = self.TABLE.states[self.state].timeout
        if timeout is None:
            cx.forget(self.deadline_name)
        else:
            cx.after(self.deadline_name, self._seconds(cx, timeout))
        if before != self.state:
            self.moved(cx, Edge(self.TABLE.name, before, event.event.name, self.state))

    def _seconds(self, cx: Any, timeout: Key[Any] | float | str) -> float:
        if isinstance(timeout, Key):
            return float(cx.keys[timeout])
        return float(getattr(self, timeout)) if isinstance(timeout, str) else timeout


def _compile(table: Table, cls: type[Subject]) -> Machine:
    """The shared `transitions` machine of a class; models are not bound to it."""
    machine = Machine(
        model=None,
        name=table.name,
        states=list(table.states),
        initial=table.initial,
        auto_transitions=False,
        send_event=True,
    )
    for row in table.rows:
        for name in (row.guard, row.do):
            assert name is None or callable(getattr(cls, name, None)), f"{cls.__name__} has no {name}"
        machine.add_transition(
            row.trigger,
            list(table.sources(row)),
            row.to,
            conditions=[_guard(row.guard)] if row.guard else None,
            after=[_after(row)],
        )
    return machine


def _guard(name: str) -> Callable[[EventData], bool]:
    return lambda event: bool(getattr(event.model, name)(event.kwargs["cx"]))


def _after(row: Row) -> Callable[[EventData], None]:
    def after(event: EventData) -> None:
        subject: Any = event.model
        if row.to is not None:
            subject._arrive(event)
        if row.do is not None:
            getattr(subject, row.do)(event.kwargs["cx"], **event.kwargs["data"])

    return after
