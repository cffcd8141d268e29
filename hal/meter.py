"""An energy meter: polls its profile's groups and tells what it read, never more."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from decimal import Decimal

from hal.bus import BusError, DeviceRefused, Priority
from hal.device import Clock, Device, Faults, Presence, Value
from hal.ports import METER_GRACE_S, Emit, MeterDescribed, Quantity, Reading, Refused, SignMeter
from hal.signer import LEFT_ALONE, Signer

Key = tuple[Quantity, int]
IMPORT: Key = ("energy_import_wh", 0)
POWER: Key = ("power_w", 0)
AGAIN_MS = 1000
"""Pause before a meter that does not answer is asked again."""
FROZEN_WH = Decimal(20)
"""Energy that the shown power must amount to before a counter that stands still is called frozen."""


class Meter:
    """The meter of one EVSE. `run` polls until cancelled; `grace_s` without an answer is silence."""

    def __init__(self, evse: int, device: Device, emit: Emit, clock: Clock, grace_s: float = METER_GRACE_S) -> None:
        self._evse, self._device, self._emit, self._clock = evse, device, emit, clock
        self._presence = Presence(evse, "meter", emit, clock, grace_s)
        self._due = {g.name: clock() for g in device.profile.groups}
        self._serial = ""
        self._plausible = Plausible(evse, emit)
        signing = device.profile.signing
        self._signer = Signer(evse, device, signing, emit, clock) if signing is not None else None

    def sign(self, command: SignMeter) -> None:
        """Have the meter sign; one that cannot says so."""
        if self._signer is None:
            self._emit(Refused(command.evse, command.step, "signmeter", LEFT_ALONE + "it cannot"))
        else:
            self._signer.ask(command)

    async def run(self) -> None:
        """Tell what the meter can measure, then poll for ever."""
        points = [p for g in self._device.profile.groups for span in g.spans for p in span.points]
        measured = frozenset((p.quantity, p.phase) for p in points if p.quantity is not None)
        self._emit(MeterDescribed(self._evse, measured, self._signer is not None))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._presence.watch())
            if self._signer is not None:
                tasks.create_task(self._signer.run())
            while True:
                if self._presence.alive or await self._identify():
                    await self._cycle()
                await asyncio.sleep(max(min(self._due.values()) - self._clock(), 0) / 1000)

    async def _identify(self) -> bool:
        """Read the serial number; False when the meter does not answer."""
        point = self._device.profile.identity.get("serial")
        try:
            found = await self._device.read(point, Priority.POLL) if point else None
        except DeviceRefused:
            found = None
        except BusError:
            self._due = {name: self._clock() + AGAIN_MS for name in self._due}
            return False
        if found is not None and str(found) != self._serial:
            self._serial = str(found)
            self._plausible.forget()
        return True

    async def _cycle(self) -> None:
        """Read the groups that are due and tell one reading of all that came."""
        now, was_alive = self._clock(), self._presence.alive
        answers: list[int] = []
        values: dict[str, Value] = {}
        for group in self._device.profile.groups:
            if self._due[group.name] <= now:
                self._due[group.name] = max(self._due[group.name] + group.every_ms, now)
                try:
                    values |= await self._device.read_group(group.name, lambda: answers.append(self._clock()))
                except BusError:
                    continue
        if was_alive and not self._presence.alive:
            return  # it was away meanwhile: it may be another one now
        sample = self._quantities(values)
        if sample and self._plausible.check(sample, answers[0]):
            self._presence.announce()
            self._emit(Reading(self._evse, answers[0], sample, self._serial))

    def _quantities(self, values: Mapping[str, Value]) -> dict[Key, Decimal]:
        found: dict[Key, Decimal] = {}
        for name, value in values.items():
            point = self._device.profile.points[name]
            if point.quantity is not None and isinstance(value, Decimal):
                found[point.quantity, point.phase] = value
        return found


class Plausible:
    """Counters only go up, and go up while power flows."""

    def __init__(self, evse: int, emit: Emit) -> None:
        self._last: dict[Key, Decimal] = {}
        self._owed_wh = Decimal(0)
        self._at_ms = 0
        self._faults = Faults(evse, emit)

    def forget(self) -> None:
        """Another meter answers: its counters start anew."""
        self._last = {}
        self._faults.tell("meter_implausible", False)

    def check(self, sample: Mapping[Key, Decimal], at_ms: int) -> bool:
        """Whether the sample may be believed; a counter that went back drops all of it."""
        back = [k for k, v in sample.items() if k[0].startswith("energy") and v < self._last.get(k, v)]
        for key in back[:1]:
            self._faults.tell("meter_implausible", True, f"{key[0]} {sample[key]} after {self._last[key]}")
        if back:
            return False
        self._faults.tell("meter_implausible", False)
        self._watch_for_frost(sample, at_ms)
        self._last.update({k: v for k, v in sample.items() if k[0].startswith("energy")})
        return True

    def _watch_for_frost(self, sample: Mapping[Key, Decimal], at_ms: int) -> None:
        if IMPORT not in sample:
            return
        if sample[IMPORT] != self._last.get(IMPORT):
            self._owed_wh = Decimal(0)
            self._faults.tell("meter_frozen", False)
        elif self._at_ms:
            power = max(sample.get(POWER, Decimal(0)), Decimal(0))
            self._owed_wh += power * (at_ms - self._at_ms) / 3_600_000
            if self._owed_wh > FROZEN_WH:
                self._faults.tell("meter_frozen", True, f"{sample[IMPORT]} Wh at {power} W")
        self._at_ms = at_ms
