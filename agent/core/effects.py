"""What a step wants done, and the order in which it may be done.

`phase_of` tells the phase of an effect. `Pipeline` is the whole rule of ordering, without I/O, so that
the runner on the board and the simulated world obey the very same one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

from hal.ports import Command, Offer, Permit, Screen, SetPhases, Withdraw


class Phase(IntEnum):
    """The order within a step (DESIGN.md section 1)."""

    MAKE_SAFE = 0
    PERSIST = 1
    ENERGISE = 2
    SPEAK = 3


class MakeSafe(NamedTuple):
    """Open, lower or withdraw: waits for nothing, not even flash."""

    command: Command


class Record(NamedTuple):
    """One domain fact for the journal. `id` is given by the core, ascending for the station's lifetime."""

    id: int
    kind: str
    data: Mapping[str, Any]


class Put(NamedTuple):
    """Set (or, with None, delete) one entry of a small mapping such as `keys` or `cache`; value is JSON."""

    table: str
    key: str
    value: Any


class Persist(NamedTuple):
    """One atomic batch: new records, ids of records that newer ones have superseded, entries of mappings.

    `lazy` batches hold facts that may be lost without harm (an acknowledgement only leads to a repeat): nothing
    waits for them and they ride on the next commit, or go out alone after a while. `patient` ones hold periodic
    samples: they and what tells them may wait a second or two for others to share their commit, to spare the flash.
    """

    records: tuple[Record, ...] = ()
    drop: tuple[int, ...] = ()
    puts: tuple[Put, ...] = ()
    lazy: bool = False
    patient: bool = False


class Energise(NamedTuple):
    """Close or raise: only what is already recorded."""

    command: Command


class Say(NamedTuple):
    """Send an OCPP-J text frame on connection `connection`; dropped if that one is gone.

    `rests_on` is the earlier step that recorded what it tells; dropped if that batch is lost (0: none).
    """

    connection: int
    text: str
    rests_on: int = 0


class Connect(NamedTuple):
    """Open a websocket. The identity is percent-encoded and appended to the URL by the link."""

    connection: int
    url: str
    identity: str
    password: str | None = None
    subprotocols: tuple[str, ...] = ("ocpp2.0.1",)
    ping_s: int = 60
    pong_s: int = 20
    """A ping that was not answered for so long ends the connection; never longer than `ping_s`."""
    compression: bool = True
    """Offer permessage-deflate."""
    security_profile: int = 1
    roots: tuple[str, ...] = ("CSMSRootCertificate",)
    """Sets of root certificates, each tried when the one before vouches for nobody (M05.FR.14)."""
    system_roots: bool = False
    """The operating system's roots count, too."""
    wildcards: bool = False
    revocation: str = "Off"
    """What SecurityCtrlr.RevocationCheck says."""
    certificate: str = ""
    """The station's certificate of security profile 3, by the name the store gave it."""
    floor_ms: int = 0
    """It is not earlier than this: a system clock that says so is wrong."""
    utc_ms: int | None = None
    """What time it is, when the core knows."""

    def __repr__(self) -> str:
        return f"Connect({self.connection}, {self.url!r}, {self.identity!r}, ping_s={self.ping_s})"


class Disconnect(NamedTuple):
    """Close connection `connection`; a LinkDown follows."""

    connection: int
    reason: str


class SetPing(NamedTuple):
    """Use another ping interval (s; 0: none) and wait for its answer on the open connection from now on."""

    connection: int
    ping_s: int
    pong_s: int = 20


class Restart(NamedTuple):
    """End the process in order and let the service manager start it again; `reason` is the next BootReason."""

    reason: str


class Answer(NamedTuple):
    """The answer to a person's Asked; `ok` False carries a refusal with `error` in data."""

    ask: int
    ok: bool
    data: Any


class Note(NamedTuple):
    """A line for the log: what was decided and why. Never a secret."""

    level: str
    topic: str
    text: str


class LogSecurity(NamedTuple):
    """A line of the security log (A04.FR.04): an event's type, what people should know of it, and when it was."""

    kind: str
    info: str
    utc_ms: int | None


class Show(NamedTuple):
    """What a display shows from now on."""

    screen: Screen


class StartJob(NamedTuple):
    """Work that takes longer than a step: `kind` names its worker (agent/io/jobs.py), which tells back by `job`."""

    job: int
    kind: str
    data: Mapping[str, Any]


class CancelJob(NamedTuple):
    """Stop a job where it is; nothing more is heard of it."""

    job: int


Effect = (
    MakeSafe | Persist | Energise | Say | Connect | Disconnect | SetPing | Restart | Answer | Note | Show | StartJob
    | CancelJob | LogSecurity
)  # fmt: skip

PHASES: Mapping[type, Phase] = {MakeSafe: Phase.MAKE_SAFE, Persist: Phase.PERSIST, Energise: Phase.ENERGISE}
"""The phase of an effect is a property of its type; all others only speak."""


def phase_of(effect: Effect) -> Phase:
    """When within its step an effect is executed."""
    return PHASES.get(type(effect), Phase.SPEAK)


@dataclass(slots=True)
class _Waiting:
    step: int
    effects: list[Effect]
    durable: bool
    patient: bool


def _rises(effect: Effect, evse: int) -> bool:
    """Whether the effect permits or raises a current at an EVSE, or moves its phase relay."""
    moves = Permit | Offer | SetPhases
    return isinstance(effect, Energise) and effect.command.evse == evse and isinstance(effect.command, moves)


def _not_taken_back(effects: Iterable[Effect]) -> list[Effect]:
    """A step's effects without rises that it took back: what makes safe overtakes them, and is the last word."""
    kept: list[Effect] = []
    for effect in effects:
        if isinstance(effect, MakeSafe) and isinstance(effect.command, Offer | Withdraw):
            kept = [before for before in kept if not _rises(before, effect.command.evse)]
        kept.append(effect)
    return kept


def _leans(effect: Effect, step: int) -> bool:
    """Whether the effect of a later step may not happen when the batch of `step` is lost."""
    return isinstance(effect, Energise) or (isinstance(effect, Say) and effect.rests_on == step)


def _stays(effect: Effect) -> bool:
    """What happens though its batch is lost: that a store is dead is to be read just then (A04.FR.04)."""
    alarm = isinstance(effect, Note) and effect.level in ("warning", "error")
    return alarm or isinstance(effect, LogSecurity | Connect | Disconnect)


class Pipeline:
    """Orders the effects of steps while batches are on their way to the flash.

    `submit` returns what may run at once: the step's MAKE_SAFE effects and its PERSIST, plus everything that was
    waiting for nothing. ENERGISE and SPEAK keep the order of steps: they are released when their own batch and
    all earlier ones are durable. A decrease or withdrawal cancels the permissions and increases before it for its
    EVSE, of earlier steps and of its own. A batch that is lost takes along what the steps that waited behind it
    energise, or say of its records.
    """

    def __init__(self) -> None:
        self._waiting: deque[_Waiting] = deque()
        self._untold: set[int] = set()
        """Steps whose batch is lost and of which the station has not heard: what it wants may rest on them."""

    def submit(self, step: int, effects: Iterable[Effect]) -> list[Effect]:
        """Take the effects of `step`; return those to execute now, in order."""
        now: list[Effect] = []
        later: list[Effect] = []
        durable, patient = True, False
        for effect in sorted(_not_taken_back(effects), key=phase_of):
            if isinstance(effect, MakeSafe):
                if isinstance(effect.command, Offer | Withdraw):
                    self._cancel(effect.command.evse)
                now.append(effect)
            elif isinstance(effect, Persist):
                durable, patient = effect.lazy, effect.patient
                now.append(effect)
            elif not any(_leans(effect, lost) for lost in self._untold):
                later.append(effect)
        if later or not durable:
            self._waiting.append(_Waiting(step, later, durable, patient))
        return now + self._release()

    @property
    def is_held_up(self) -> bool:
        """Something that is not to wait stands behind a patient batch: the store must hurry."""
        behind = False
        for waiting in self._waiting:
            behind = behind or (waiting.patient and not waiting.durable)
            if behind and not waiting.patient and any(not isinstance(e, Note) for e in waiting.effects):
                return True
        return False

    def committed(self, step: int) -> list[Effect]:
        """Every batch up to and including `step` is durable; return what may run now."""
        for waiting in self._waiting:
            if waiting.step <= step:
                waiting.durable = True
        return self._release()

    def failed(self, step: int) -> list[Effect]:
        """The batch of `step` is lost: drop its effects, and what later steps energise or tell because of it.

        Only what tells nothing of the batch stays: dialling, hanging up, and what the logs are to say of trouble.
        Until `told` it holds for steps that are still to come. Returns what may run now.
        """
        self._untold.add(step)
        for waiting in self._waiting:
            if waiting.step == step:
                waiting.effects = list(filter(_stays, waiting.effects))
                waiting.durable = True
            elif waiting.step > step:
                waiting.effects = [e for e in waiting.effects if not _leans(e, step)]
        return self._release()

    def told(self, step: int) -> None:
        """The station is about to hear that the batch of `step` is lost."""
        self._untold.discard(step)

    def _cancel(self, evse: int) -> None:
        for waiting in self._waiting:
            waiting.effects = [e for e in waiting.effects if not _rises(e, evse)]

    def _release(self) -> list[Effect]:
        ready: list[Effect] = []
        while self._waiting and self._waiting[0].durable:
            ready.extend(self._waiting.popleft().effects)
        return ready
