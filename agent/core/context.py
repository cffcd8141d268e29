"""What a step has at hand: the moment, the keys, the deadlines, and the effects it gathers."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

from agent.core.batches import Batches
from agent.core.clock import Clock
from agent.core.effects import Answer, Effect, Energise, MakeSafe, Note, Persist, Put, Record, Say
from agent.core.instant import Instant
from agent.core.partition import FIRST, OWNED, place
from agent.core.timers import Timers
from agent.core.verbosity import is_wanted
from config_keys.values import Values
from hal.ports import Command


class Durable:
    """What outlives a step: keys, clock, deadlines, entropy, and the number of the next record."""

    def __init__(self, keys: Values) -> None:
        self.keys = keys
        self.clock = Clock()
        self.timers = Timers()
        self.rng = Random(0)
        self.boot_id = ""
        self.next_record = 1
        self.batches = Batches()
        self.write_again = False
        """The time has come to hand over again what was lost."""
        self.operator = FIRST
        """Whose data are in use (agent.core.operators)."""
        self.entries: dict[str, set[str]] = {}
        """What is in the mappings of operators, by name."""


class Context:
    """One step. Effects are gathered here and leave it in `finish`."""

    def __init__(self, durable: Durable, now: Instant, step: int) -> None:
        self.now = now
        self.step = step
        self._durable = durable
        self.keys = durable.keys
        self.clock = durable.clock
        self.timers = durable.timers
        self.rng = durable.rng
        self.boot_id = durable.boot_id
        self.effects: list[Effect] = []
        self._records: list[Record] = []
        self._drop: list[int] = []
        self._puts: list[Put] = []
        self._firm = False
        self._hurried = False

    # ---- time

    @property
    def ms(self) -> int:
        """Monotonic ms of this step."""
        return self.now.mono_ms

    def utc(self) -> int | None:
        """UTC ms of this step, when known."""
        return self.clock.utc(self.now)

    def after(self, name: str, seconds: float) -> None:
        """Let the deadline `name` be due in `seconds`."""
        self.timers.set(name, self.ms + round(seconds * 1000))

    def forget(self, name: str) -> None:
        """Clear the deadline `name`."""
        self.timers.clear(name)

    def uuid(self) -> str:
        """A random UUID (version 4) from the station's one source of entropy; never reused (E01.FR.08)."""
        bits = self.rng.getrandbits(128) & ~(0xF << 76) & ~(0x3 << 62) | (4 << 76) | (2 << 62)
        text = f"{bits:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    # ---- effects

    def do(self, effect: Effect) -> None:
        """Gather an effect."""
        self.effects.append(effect)

    def make_safe(self, command: Command) -> None:
        """Open, lower or withdraw: before anything else."""
        self.effects.append(MakeSafe(command))

    def energise(self, command: Command) -> None:
        """Close or raise: after what this step records is durable."""
        self.effects.append(Energise(command))

    def record(self, kind: str, data: Mapping[str, Any], *, lazy: bool = False, patient: bool = False) -> int:
        """Add a record to this step's batch. Returns its id.

        `lazy` when losing it does no harm, `patient` when what rests on it may wait for company (Persist).
        """
        record = Record(self._durable.next_record, kind, data)
        self._durable.next_record += 1
        self._records.append(record)
        self._firm = self._firm or not lazy
        self._hurried = self._hurried or not (lazy or patient)
        return record.id

    def drop(self, *ids: int) -> None:
        """Records that newer ones have superseded; removed with the next commit."""
        self._drop.extend(ids)

    def is_due(self, row: int) -> bool:
        """Whether a record was lost and is still to be handed over again."""
        return self._durable.batches.is_due(row)

    @property
    def operator(self) -> str:
        """Whose data are in use."""
        return self._durable.operator

    @operator.setter
    def operator(self, operator: str) -> None:
        self._durable.operator = operator

    def entries(self, table: str) -> frozenset[str]:
        """What is in an operator's mapping, which is named as it is in the store."""
        return frozenset(self._durable.entries.get(table, ()))

    def drop_entry(self, table: str, key: str) -> None:
        """Delete an entry of an operator's mapping, which is named as it is in the store."""
        self._durable.entries.get(table, set()).discard(key)
        self._puts.append(Put(table, key, None))
        self._firm = self._hurried = True

    def recorded_in(self, row: int) -> int:
        """The step whose batch carries a record; 0 when it is on flash for long."""
        if any(record.id == row for record in self._records):
            return self.step
        return self._durable.batches.step_of(row)

    def put(self, table: str, key: str, value: Any, *, lazy: bool = False) -> None:
        """Set (None: delete) an entry of a small mapping, in this step's batch; an operator has its own of some."""
        if table in OWNED:
            table = place(table, self.operator)
            known = self._durable.entries.setdefault(table, set())
            (known.discard if value is None else known.add)(key)
        self._puts.append(Put(table, key, value))
        self._firm = self._firm or not lazy
        self._hurried = self._hurried or not lazy

    def note(self, topic: str, text: str, level: str = "info") -> None:
        """A line for the log: what was decided and why, unless LogCtrlr.Level leaves it out."""
        if is_wanted(self.keys, topic, level):
            self.effects.append(Note(level, topic, text))

    def answer(self, ask: int, ok: bool, data: Any) -> None:
        """Answer a person's question."""
        self.effects.append(Answer(ask, ok, data))

    def finish(self) -> list[Effect]:
        """The effects of the step; all that is to be kept is one batch.

        What was lost rides along when it is firm, with any record, and before anything is energised: all of these may
        rest on it, as a transaction's number does on its events.
        """
        energises = any(isinstance(e, Energise) for e in self.effects)
        again = self._firm or self._durable.write_again or energises or bool(self._records)
        self._durable.write_again = False
        owed = again and self._durable.batches.owes
        if self._records or self._drop or self._puts or owed:
            batch = Persist(
                tuple(self._records), tuple(self._drop), tuple(self._puts), lazy=not self._firm,
                patient=self._firm and not self._hurried and not owed and self._only_tells_it(),
            )  # fmt: skip
            self.effects.append(self._durable.batches.sent(self.step, batch, again=again))
        return self.effects

    def _only_tells_it(self) -> bool:
        """Nothing of this step waits for its batch but the frame that tells what is in it."""
        return all(
            isinstance(e, MakeSafe | Note) or (isinstance(e, Say) and e.rests_on == self.step) for e in self.effects
        )
