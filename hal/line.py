"""A serial line of bytes that survives its port: opened exclusively, reopened when it vanishes."""

from __future__ import annotations

import asyncio
import os
import termios
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from serial import Serial

REOPEN_S = 0.1
REOPEN_MAX_S = 5.0


class Line:
    """`received` gets bytes, `changed` True when the port opened and False when it vanished.

    Writing never waits: what the port does not take at once is dropped and counted; the protocols repeat.
    """

    def __init__(
        self,
        port: str,
        baud: int,
        received: Callable[[bytes], None],
        changed: Callable[[bool], None] = lambda up: None,
        reopen_max_s: float = REOPEN_MAX_S,
    ) -> None:
        self._port, self._baud = port, baud
        self._received, self._changed = received, changed
        self._serial: Serial | None = None
        self._pause = REOPEN_S
        self._reopen_max_s = reopen_max_s
        self._timer: asyncio.TimerHandle | None = None
        self.dropped = 0
        self.reopened = 0

    @property
    def up(self) -> bool:
        """Whether the port is open."""
        return self._serial is not None

    def open(self) -> None:
        """Open the port now, or keep trying."""
        from serial import Serial, SerialException

        self._timer = None
        try:
            self._serial = Serial(self._port, self._baud, exclusive=True, timeout=0)
        except (SerialException, OSError, termios.error):
            self._try_later()
            return
        self._pause = REOPEN_S
        asyncio.get_running_loop().add_reader(self._serial.fileno(), self._readable)
        self._changed(True)

    def close(self) -> None:
        """Close the port and stop trying."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._drop()

    def write(self, data: bytes) -> None:
        """Send, if the port is open and takes it."""
        if self._serial is None:
            return
        try:
            sent = os.write(self._serial.fileno(), data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._lost()
            return
        if sent < len(data):
            self.dropped += 1

    def _readable(self) -> None:
        assert self._serial is not None
        try:
            data = os.read(self._serial.fileno(), 4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._received(data)
        else:
            self._lost()

    def _lost(self) -> None:
        self._drop()
        self._changed(False)
        self._try_later()

    def _drop(self) -> None:
        if self._serial is not None:
            asyncio.get_running_loop().remove_reader(self._serial.fileno())
            self._serial.close()
            self._serial = None

    def _try_later(self) -> None:
        self.reopened += 1
        self._timer = asyncio.get_running_loop().call_later(self._pause, self.open)
        self._pause = min(2 * self._pause, self._reopen_max_s)
