"""What was handed to the store and may have to be handed over again.

A batch that did not reach the flash comes back as PersistFailed. Its records, drops and entries are then added to a
later batch, unless something newer has superseded them meanwhile: nothing is lost by a disk that was full for a while.
A batch that was given up may still reach the flash: records never change, and what is handed over later counts.
"""

from __future__ import annotations

from agent.core.effects import Persist, Put, Record

KEPT = 256
"""Batches remembered until they can be taken as written: a store answers within a few."""


class Batches:
    """The batches on their way, and what of lost ones is still due."""

    def __init__(self) -> None:
        self._sent: dict[int, Persist] = {}
        self._carried: dict[int, int] = {}
        """Record: the step whose batch took it along last."""
        self._records: dict[int, Record] = {}
        self._drop: set[int] = set()
        self._puts: dict[tuple[str, str], Put] = {}
        self._lazy = True

    @property
    def owes(self) -> bool:
        """Something lost is still due."""
        return bool(self._records or self._drop or self._puts)

    def is_due(self, row: int) -> bool:
        """Whether this record was lost and has not been handed over again: nothing may be said that rests on it."""
        return row in self._records

    def step_of(self, row: int) -> int:
        """The step whose batch took this record along last; 0 when that is long ago."""
        return self._carried.get(row, 0)

    def lost(self, step: int) -> bool:
        """The batch of `step` did not reach the flash: what nothing newer has replaced is due again.

        True when it was a firm one: what else its step wanted has waited for it in vain.
        """
        batch = self._forget(step)
        if batch is None:
            return False
        later = [b for s, b in self._sent.items() if s > step]
        gone = {i for b in later for i in b.drop}
        written = {(p.table, p.key) for b in later for p in b.puts}
        self._records.update({r.id: r for r in batch.records if r.id not in gone})
        self._drop.update(batch.drop)
        self._puts.update({(p.table, p.key): p for p in batch.puts if (p.table, p.key) not in written})
        self._lazy = self._lazy and batch.lazy
        return not batch.lazy

    def sent(self, step: int, batch: Persist, *, again: bool) -> Persist:
        """The batch to hand over in `step`; with `again` what is due goes along.

        It always goes along with a drop: what is dropped may be told by what is due alone.
        """
        for row in batch.drop:
            self._records.pop(row, None)
        for put in batch.puts:
            self._puts.pop((put.table, put.key), None)
        if (again or batch.drop) and self.owes:
            batch = self._with_due(batch)
        self._sent[step] = batch
        self._carried.update({record.id: step for record in batch.records})
        while len(self._sent) > KEPT:
            self._forget(next(iter(self._sent)))
        return batch

    def _forget(self, step: int) -> Persist | None:
        batch = self._sent.pop(step, None)
        for record in batch.records if batch is not None else ():
            if self._carried.get(record.id) == step:
                del self._carried[record.id]
        return batch

    def _with_due(self, batch: Persist) -> Persist:
        records = sorted((*self._records.values(), *batch.records), key=lambda record: record.id)
        whole = Persist(
            tuple(records),
            (*sorted(self._drop), *batch.drop),
            (*self._puts.values(), *batch.puts),
            batch.lazy and self._lazy,
        )
        self._records, self._drop, self._puts, self._lazy = {}, set(), {}, True
        return whole
