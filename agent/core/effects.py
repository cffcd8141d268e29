"""What a step wants done, and the order in which it may be done.

The phase of an effect is a property of its type. `Pipeline` is the whole rule of ordering, without I/O, so that
the runner on the board and the simulated world obey the very same one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, ClassVar

from hal.ports import Command


class Phase(IntEnum):
    """The order within a step (DESIGN.md section 1)."""

    MAKE_SAFE = 0
    PERSIST = 1
    ENERGISE = 2
    SPEAK = 3


@dataclass(frozen=True, slots=True)
class MakeSafe:
    """Open, lower or withdraw: waits for nothing, not even flash."""

    phase: ClassVar[Phase] = Phase.MAKE_SAFE
    command: Command


@dataclass(frozen=True, slots=True)
class Record:
    """One domain fact for the journal. `id` is given by the core, ascending for the station's lifetime."""

    id: int
    kind: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Put:
    """Set (or, with None, delete) one entry of a small mapping such as `keys` or `cache`; value is JSON."""

    table: str
    key: str
    value: Any


@dataclass(frozen=True, slots=True)
class Persist:
    """One atomic batch: new records, ids of records that newer ones have superseded, entries of mappings.

    `lazy` batches hold facts that may be lost without harm (an acknowledgement only leads to a repeat): nothing
    waits for them and they ride on the next commit, or go out alone after a few seconds.
    """

    phase: ClassVar[Phase] = Phase.PERSIST
    records: tuple[Record, ...] = ()
    drop: tuple[int, ...] = ()
    puts: tuple[Put, ...] = ()
    lazy: bool = False


@dataclass(frozen=True, slots=True)
class Energise:
    """Close or raise: only what is already recorded."""

    phase: ClassVar[Phase] = Phase.ENERGISE
    command: Command


@dataclass(frozen=True, slots=True)
class Say:
    """Send an OCPP-J text frame on connection `connection`; dropped if that one is gone."""

    phase: ClassVar[Phase] = Phase.SPEAK
    connection: int
    text: str


@dataclass(frozen=True, slots=True)
class Connect:
    """Open a websocket. The identity is percent-encoded and appended to the URL by the link."""

    phase: ClassVar[Phase] = Phase.SPEAK
    connection: int
    url: str
    identity: str
    password: str | None = field(repr=False, default=None)
    subprotocols: tuple[str, ...] = ("ocpp2.0.1",)
    ping_s: int = 60
    security_profile: int = 1


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Close connection `connection`; a LinkDown follows."""

    phase: ClassVar[Phase] = Phase.SPEAK
    connection: int
    reason: str


@dataclass(frozen=True, slots=True)
class SetPing:
    """Use another ping interval (s; 0: none) on the open connection from now on."""

    phase: ClassVar[Phase] = Phase.SPEAK
    connection: int
    ping_s: int


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a person's Asked; `ok` False carries a refusal with `error` in data."""

    phase: ClassVar[Phase] = Phase.SPEAK
    ask: int
    ok: bool
    data: Any


@dataclass(frozen=True, slots=True)
class Note:
    """A line for the log: what was decided and why. Never a secret."""

    phase: ClassVar[Phase] = Phase.SPEAK
    level: str
    topic: str
    text: str


Effect = MakeSafe | Persist | Energise | Say | Connect | Disconnect | SetPing | Answer | Note


@dataclass(slots=True)
class _Waiting:
    step: int
    effects: list[Effect]
    durable: bool


class Pipeline:
    """Orders the effects of steps while batches are on their way to the flash.

    `submit` returns what may run at once: the step's MAKE_SAFE effects and its PERSIST, plus everything that was
    waiting for nothing. ENERGISE and SPEAK keep the order of steps: they are released when their own batch and
    all earlier ones are durable. A MAKE_SAFE command cancels the ENERGISE commands of earlier steps for its EVSE.
    """

    def __init__(self) -> None:
        self._waiting: deque[_Waiting] = deque()

    def submit(self, step: int, effects: Iterable[Effect]) -> list[Effect]:
        """Take the effects of `step`; return those to execute now, in order."""
        now: list[Effect] = []
        later: list[Effect] = []
        durable = True
        for effect in sorted(effects, key=lambda e: e.phase):
            if isinstance(effect, MakeSafe):
                self._cancel(effect.command.evse)
                now.append(effect)
            elif isinstance(effect, Persist):
                durable = durable and effect.lazy
                now.append(effect)
            else:
                later.append(effect)
        if later or not durable:
            self._waiting.append(_Waiting(step, later, durable))
        return now + self._release()

    def committed(self, step: int) -> list[Effect]:
        """Every batch up to and including `step` is durable; return what may run now."""
        for waiting in self._waiting:
            if waiting.step <= step:
                waiting.durable = True
        return self._release()

    def failed(self, step: int) -> list[Effect]:
        """The batch of `step` is lost: drop its ENERGISE and SPEAK; return what waited only for it."""
        self._waiting = deque(w for w in self._waiting if w.step != step)
        return self._release()

    def _cancel(self, evse: int) -> None:
        for waiting in self._waiting:
            waiting.effects = [e for e in waiting.effects if not (isinstance(e, Energise) and e.command.evse == evse)]

    def _release(self) -> list[Effect]:
        ready: list[Effect] = []
        while self._waiting and self._waiting[0].durable:
            ready.extend(self._waiting.popleft().effects)
        return ready
