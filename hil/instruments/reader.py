"""An RFID reader on a serial line: the UID in upper-case hex and a carriage return for each card."""

from __future__ import annotations

from hil.wire import SerialLine


class RfidReader:
    """Sends what a card holds; it listens to nothing."""

    def __init__(self) -> None:
        self.line: SerialLine | None = None
        self.powered = True
        self.presented: list[str] = []

    def receive(self, data: bytes) -> None:
        """The host has nothing to say to this reader."""

    def present(self, uid: str) -> None:
        """Hold a card with this UID (hex digits) to the reader."""
        self.presented.append(uid.upper())
        if self.line is not None and self.powered:
            self.line.send(uid.upper().encode("ascii") + b"\r")
