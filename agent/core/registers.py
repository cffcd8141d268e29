"""Energy registers that never go back: across reboots, resets and swaps of a meter (J02.FR.16, bug 28)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from agent.core.context import Context
from agent.core.metering import MEASURANDS, stamp
from hal.ports import MeterSigned, Quantity, Reading

TABLE = "meters"
KEPT: tuple[Quantity, ...] = ("energy_import_wh", "energy_export_wh")
KEPT_OF_ALL = tuple((quantity, phase) for quantity in KEPT for phase in range(4))
"""Phase 0 is the total; some meters count each phase as well, and those registers never go back either."""
SIGNED_APART_WH = 10
"""So much may a signed and a plain reading of about the same moment differ: they are rounded in other ways, too."""
LIFTED_WH = 100
"""So much may flow between a plain reading and a signed one that is told before it; more is not believed."""
STEP_WH = 1000
"""A register is written anew after so much energy at the latest; events of transactions write it anyway."""


@dataclass(slots=True)
class _Register:
    serial: str
    last: Decimal
    offset: Decimal
    written: Decimal
    signed: Decimal = Decimal(0)
    """What was signed last, in the register that goes on."""
    signed_written: Decimal = Decimal(0)
    mono_ms: int | None = None
    """When it was read; None: not since the restart."""
    at: dict[str, Any] | None = None
    """The same as it is kept: the stamp of the reading."""

    @property
    def told(self) -> Decimal:
        """What was told last, signed or not, in the register that goes on."""
        plain = self.last + self.offset
        return self.signed if 0 < self.signed - plain <= LIFTED_WH else plain


class Registers:
    """Adds to each register what the meters before it had counted."""

    def __init__(self, stored: Mapping[str, Any]) -> None:
        self._registers: dict[str, _Register] = {}
        for name, kept in stored.items():
            last, offset = Decimal(kept["last"]), Decimal(kept["offset"])
            signed = Decimal(kept.get("signed", 0))
            serial, at = str(kept["serial"]), kept.get("at")
            self._registers[name] = _Register(serial, last, offset, last, signed, signed, at=at)

    def continued(self, cx: Context, reading: Reading) -> Reading:
        """The reading with totals that go on where they were; a swap or reset is noted."""
        values = dict(reading.values)
        for quantity, phase in KEPT_OF_ALL:
            if (raw := values.get((quantity, phase))) is not None:
                values[quantity, phase] = raw + self._offset(cx, reading, named(quantity, reading.evse, phase), raw)
        return self.lifted(reading._replace(values=values))

    def signed(self, cx: Context, event: MeterSigned) -> MeterSigned:
        """What was signed, told in the register that goes on; the container keeps the meter's own figure."""
        register = self._registers.get(named(KEPT[0], event.evse))
        if register is not None and event.energy_wh >= register.last - SIGNED_APART_WH:
            offset = register.offset
        else:
            plain = Reading(event.evse, event.mono_ms, {})
            offset = self._offset(cx, plain, named(KEPT[0], event.evse), event.energy_wh)
        told = event._replace(energy_wh=event.energy_wh + offset)
        self._registers[named(KEPT[0], event.evse)].signed = told.energy_wh
        return told

    def lifted(self, reading: Reading) -> Reading:
        """The same, with no less than was signed a moment ago: what was read just before may be told just after it."""
        register = self._registers.get(named(KEPT[0], reading.evse))
        told = reading.values.get((KEPT[0], 0))
        if register is None or told is None or not 0 < register.signed - told <= LIFTED_WH:
            return reading
        return reading._replace(values={**reading.values, (KEPT[0], 0): register.signed})

    def _offset(self, cx: Context, reading: Reading, name: str, raw: Decimal) -> Decimal:
        register = self._registers.get(name)
        if register is None:
            register = self._registers[name] = _Register(reading.serial, raw, Decimal(0), Decimal(-1))
        swapped = bool(reading.serial) and bool(register.serial) and reading.serial != register.serial
        if swapped or raw < register.last:
            what = f"another meter ({register.serial} -> {reading.serial})" if swapped else "the register went back"
            cx.note("meter", f"{name}: {what}: {register.last} -> {raw} Wh; counting goes on", "error")
            register.offset = register.told - raw
            register.written = Decimal(-1)
        register.serial, register.last, register.mono_ms = reading.serial or register.serial, raw, reading.mono_ms
        if register.written < 0 or raw - register.written >= STEP_WH:
            self.keep(cx, name)
        return register.offset

    def keep(self, cx: Context, name: str, *, lazy: bool = False) -> None:
        """Write a register as it is."""
        register = self._registers[name]
        register.written, register.signed_written = register.last, register.signed
        if register.mono_ms is not None:
            register.at = stamp(cx, register.mono_ms)
        data = {"serial": register.serial, "last": str(register.last), "offset": str(register.offset),
                "at": register.at, "signed": str(register.signed)}  # fmt: skip
        cx.put(TABLE, name, data, lazy=lazy)

    def keep_all(self, cx: Context) -> None:
        """Write what has changed, lazily: before the events that tell it are dropped."""
        for name, register in self._registers.items():
            if (register.written, register.signed_written) != (register.last, register.signed):
                self.keep(cx, name, lazy=True)

    def follow(self, evse_id: int, values: Iterable[Mapping[str, Any]]) -> None:
        """Take over what records of before the restart say that was read at an EVSE."""
        for value, (measurand, phase, _, text, *signed) in ((v, row) for v in values for row in v.get("values", ())):
            spec = MEASURANDS.get(measurand)
            labels = (None, *spec.labels) if spec is not None else ()
            if spec is None or phase not in labels:
                continue
            register = self._registers.get(named(spec.quantity, evse_id, labels.index(phase)))
            if register is not None and signed:
                register.signed = max(register.signed, Decimal(text))
            elif register is not None and (raw := Decimal(text) - register.offset) > register.last:
                register.last, register.at = raw, {name: value.get(name) for name in ("mono", "boot", "utc")}

    def before(self, evse_id: int) -> dict[str, Any] | None:
        """What an EVSE's meter was known to have counted before the restart, with the moment of that reading; None
        when it is not known, or the meter has been read since."""
        register = self._registers.get(named(KEPT[0], evse_id))
        if register is None or register.at is None or register.mono_ms is not None:
            return None
        row = ["Energy.Active.Import.Register", None, "Wh", f"{register.last + register.offset:f}"]
        return {**register.at, "context": "Interruption.Begin", "values": [row]}

    def keep_evse(self, cx: Context, evse_id: int) -> None:
        """Write the registers of an EVSE: where a transaction begins and ends."""
        for name in self._registers:
            if name.endswith(f"@{evse_id}"):
                self.keep(cx, name)


def named(quantity: str, evse_id: int, phase: int = 0) -> str:
    """Under which name a register of an EVSE's meter is kept; phase 0: its total."""
    return f"{quantity}@{evse_id}" if phase == 0 else f"{quantity}.L{phase}@{evse_id}"
