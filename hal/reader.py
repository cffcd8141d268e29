"""A card reader on a serial line: the UID in ASCII hex, ended by CR (a LF is tolerated)."""

from __future__ import annotations

from hal.config import ReaderConfig
from hal.device import Clock
from hal.line import Line
from hal.ports import Alive, Emit, Silent, TokenPresented

LENGTHS = (4, 7, 10)
"""Bytes of an ISO 14443 UID: single, double, triple size."""
LONGEST_LINE = 64


class Reader:
    """Tells a card when it comes (again after `debounce_s` away); noise is counted, never told."""

    def __init__(self, config: ReaderConfig, emit: Emit, clock: Clock, debounce_s: float = 3.0) -> None:
        self._config, self._emit, self._clock = config, emit, clock
        self._debounce_ms = debounce_s * 1000
        self._line = Line(config.port, config.baud, self._bytes, self._changed)
        self._pending = b""
        self._last: tuple[str, int] = ("", 0)
        self.noise = 0

    def open(self) -> None:
        """Start listening."""
        self._line.open()
        if not self._line.up:
            self._changed(False)

    def close(self) -> None:
        """Stop listening."""
        self._line.close()

    def _changed(self, up: bool) -> None:
        self._pending = b""
        self._emit((Alive if up else Silent)(0, "reader", self._config.name))

    def _bytes(self, data: bytes) -> None:
        *lines, rest = (self._pending + data.replace(b"\n", b"\r")).split(b"\r")
        if len(rest) > LONGEST_LINE:
            self.noise += 1
            rest = rest[-LONGEST_LINE:]
        self._pending = rest
        for line in lines:
            if line:
                self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            uid = bytes.fromhex(line.decode("ascii"))
        except ValueError:  # UnicodeDecodeError is one too
            uid = b""
        if len(uid) not in LENGTHS:
            self.noise += 1
            return
        token, now = uid.hex().upper(), self._clock()
        (last, seen_ms), self._last = self._last, (token, now)
        if token == last and now - seen_ms < self._debounce_ms:
            return  # still held to it
        self._emit(TokenPresented(self._config.name, token, evses=self._config.evses))
