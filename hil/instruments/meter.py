"""Eastron SDM630 energy meter at register level.

Map: facts from mbmd (volkszaehler/mbmd meters/rs485/sdm.go) and the SDM630 Modbus manual: input registers
(FC4), IEEE 754 float32, high word first; serial number in holding registers 0xFC00 (FC3, u32).
"""

from __future__ import annotations

import math
import struct
from typing import Any

from hil.instruments.ev import Phases3
from hil.instruments.pilot import Mains
from hil.modbus import READ_HOLDING, READ_INPUT, IllegalAddress, IllegalValue

LAST_INPUT = 0x0181
MOST_REGISTERS = 80
SERIAL_AT = 0xFC00


class EnergyMeter:
    """Counts the energy that really flows; it can freeze, jump, roll over and show NaN, as meters do."""

    profile: str
    """The device profile that fits it (hal/profiles)."""

    def __init__(self, serial: int, import_kwh: float = 0.0, power_factor: float = 0.99) -> None:
        self.serial = serial
        self.power_factor = power_factor
        self.energy_wh = [import_kwh * 1000 / 3] * 3
        self.nan = False
        self._mains = Mains()
        self._amps: Phases3 = (0.0, 0.0, 0.0)
        self._frozen: Any = None

    @property
    def total_wh(self) -> float:
        """The import register in Wh, before float32 rounds it."""
        return sum(self.energy_wh)

    def measure(self, dt: float, mains: Mains, amps: Phases3) -> None:
        """`dt` seconds with these currents pass the meter."""
        self._mains, self._amps = mains, amps
        for i in range(3):
            self.energy_wh[i] += mains.volts[i] * amps[i] * self.power_factor * dt / 3600

    def freeze(self, frozen: bool) -> None:
        """Show the same values for ever, though energy is counted on."""
        self._frozen = self._shown() if frozen else None

    def jump(self, wh: float) -> None:
        """The register moves by `wh` without energy having flowed."""
        for i in range(3):
            self.energy_wh[i] += wh / 3

    def rollover(self) -> None:
        """The register starts again at zero."""
        self.energy_wh = [0.0, 0.0, 0.0]

    def _shown(self) -> Any:
        """What it shows now, for `freeze` to keep."""
        raise NotImplementedError

    def read(self, function: int, address: int, count: int) -> list[int]:
        """Registers; raises IllegalAddress or IllegalValue."""
        raise NotImplementedError

    def write(self, address: int, values: list[int]) -> None:
        """The bench offers no writable register of a meter that only measures."""
        raise IllegalAddress


class EastronSdm630(EnergyMeter):
    """The SDM630's registers."""

    profile = "eastron-sdm630"

    def _shown(self) -> dict[int, float]:
        """The float at each address."""
        volts, amps, factor = self._mains.volts, self._amps, self.power_factor
        apparent = [v * a for v, a in zip(volts, amps, strict=True)]
        watts = [va * factor for va in apparent]
        reactive = [va * math.sqrt(1 - factor * factor) for va in apparent]
        shown = {
            0x0034: sum(watts), 0x0038: sum(apparent), 0x003C: sum(reactive),
            0x003E: factor if any(amps) else 1.0, 0x0046: self._mains.hertz,
            0x0048: self.total_wh / 1000, 0x004A: 0.0, 0x0156: self.total_wh / 1000,
        }  # fmt: skip
        for i in range(3):
            per_phase = (volts[i], amps[i], watts[i], apparent[i], reactive[i], factor if amps[i] else 1.0)
            for group, value in enumerate(per_phase):
                shown[6 * group + 2 * i] = value
            shown[0x015A + 2 * i] = self.energy_wh[i] / 1000
        return shown

    def read(self, function: int, address: int, count: int) -> list[int]:
        """FC4 floats by pairs of registers, at most 80 registers; FC3 the serial number."""
        if count > MOST_REGISTERS or count % 2 or address % 2:
            raise IllegalValue
        if function == READ_HOLDING and address == SERIAL_AT and count == 2:
            return [self.serial >> 16, self.serial & 0xFFFF]
        if function != READ_INPUT or address + count - 1 > LAST_INPUT:
            raise IllegalAddress
        shown = self._frozen or self._shown()
        floats = [math.nan if self.nan else shown.get(at, 0.0) for at in range(address, address + count, 2)]
        return list(struct.unpack(f">{count}H", struct.pack(f">{len(floats)}f", *floats)))
