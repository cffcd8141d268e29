"""How numbers and texts lie in 16-bit Modbus registers: pure encoding and decoding."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import Literal

WORDS = {"u16": 1, "i16": 1, "u32": 2, "i32": 2, "f32": 2, "u64": 4, "ascii": 1}
"""Type -> registers it takes; ascii takes as many as its encoding says."""

_FORMS = {"u16": ">H", "i16": ">h", "u32": ">I", "i32": ">i", "f32": ">f", "u64": ">Q"}

WordOrder = Literal["high_first", "low_first"]


@dataclass(frozen=True, slots=True)
class Encoding:
    """One value's form: `type` of WORDS, `scale` to the unit, raw values that mean "absent".

    `resolution` is the finest step worth keeping, in the unit after scaling; None keeps what the type gives.
    """

    type: str
    words: int = 0
    """Only for ascii: the number of registers."""
    order: WordOrder = "high_first"
    scale: Decimal = Decimal(1)
    absent: tuple[int, ...] = ()
    resolution: Decimal | None = None

    @property
    def size(self) -> int:
        """Registers it takes."""
        return self.words or WORDS[self.type]

    def decode(self, registers: Sequence[int]) -> Decimal | str | None:
        """The value in its unit, a text for ascii, None for a sentinel; ValueError for a wrong count."""
        if len(registers) != self.size:
            raise ValueError(f"{self.type} takes {self.size} registers, found {len(registers)}")
        raw = self._bytes(registers)
        if self.type == "ascii":
            return raw.split(b"\0")[0].decode("ascii", "replace").strip()
        (number,) = struct.unpack(_FORMS[self.type], raw)
        if number in self.absent or not math.isfinite(number):
            return None
        return self._rounded(Decimal(number) * self.scale)

    def encode(self, value: Decimal | float) -> list[int]:
        """The registers for `value`, rounded down to the raw step; ValueError when it does not fit."""
        exact = Decimal(str(value)) / self.scale
        try:
            if self.type == "f32":
                raw = struct.pack(">f", float(exact))
            else:
                raw = struct.pack(_FORMS[self.type], int(exact.to_integral_value(ROUND_FLOOR)))
        except (struct.error, OverflowError) as wrong:
            raise ValueError(f"{value} does not fit into {self.type}: {wrong}") from None
        words = [int.from_bytes(raw[i : i + 2], "big") for i in range(0, len(raw), 2)]
        return words[::-1] if self.order == "low_first" else words

    def _bytes(self, registers: Sequence[int]) -> bytes:
        ordered = reversed(registers) if self.order == "low_first" else registers
        return bytes_of(list(ordered))

    def _rounded(self, value: Decimal) -> Decimal:
        if self.resolution is None:
            return value
        steps = (value / self.resolution).to_integral_value(ROUND_HALF_EVEN)
        return steps * self.resolution


def bytes_of(words: Sequence[int]) -> bytes:
    """What registers hold, high byte first."""
    return b"".join(word.to_bytes(2, "big") for word in words)


def words_of(data: bytes, count: int) -> list[int]:
    """`count` registers that hold `data`, filled with NUL; what does not fit is left out."""
    padded = data[: 2 * count].ljust(2 * count, b"\0")
    return [int.from_bytes(padded[i : i + 2], "big") for i in range(0, len(padded), 2)]
