"""The security log (A04): an append-only file of JSON lines, bounded, for GetLog SecurityLog and the bundle."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

NAME = "security.log"
SIZE_LIMIT_BYTES = 256 * 1024
TYPE_MOST, INFO_MOST = 50, 255
"""Characters of type and techInfo in SecurityEventNotification."""


class SecurityLog:
    """A ring of two files below the state directory, mode 0600: {"ts": ..., "type": ..., "info": ...} a line.

    A line is on flash when `append` returns; security events are rare. Lines are never changed: when the file
    has reached half of the limit it becomes the older one, and the older one goes.
    """

    def __init__(self, state_dir: Path, size_limit: int = SIZE_LIMIT_BYTES) -> None:
        self._path = state_dir / NAME
        self._older = state_dir / f"older-{NAME}"
        self._half = size_limit // 2

    def append(self, utc_ms: int | None, kind: str, tech_info: str) -> None:
        """Add an event; `utc_ms` None when no clock was known then. A file that cannot be written costs the line."""
        line = json.dumps({"ts": _moment(utc_ms), "type": kind[:TYPE_MOST], "info": tech_info[:INFO_MOST]})
        with suppress(OSError):
            if self._path.exists() and self._path.stat().st_size >= self._half:
                self._path.replace(self._older)
            handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.write(handle, b"%s%s\n" % (self._seam(), line.encode()))
                os.fdatasync(handle)
            finally:
                os.close(handle)

    def read(self, oldest_ms: int | None = None, latest_ms: int | None = None) -> Iterator[str]:
        """The lines of a window of UTC ms, oldest first; one without a clock has the time of the line before it."""
        at: float = float("-inf")
        for line in self._lines():
            with suppress(ValueError, KeyError, TypeError):
                told = json.loads(line)["ts"]
                at = datetime.fromisoformat(told).timestamp() * 1000 if told else at
                if (oldest_ms is None or at >= oldest_ms) and (latest_ms is None or at <= latest_ms):
                    yield line

    def _lines(self) -> Iterator[str]:
        for path in (self._older, self._path):
            with suppress(OSError):
                yield from path.read_text("utf-8", "replace").splitlines()

    def _seam(self) -> bytes:
        """A line feed where a power cut has torn the last line."""
        with suppress(OSError), self._path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return b"" if file.read() == b"\n" else b"\n"
        return b""


def _moment(utc_ms: int | None) -> str | None:
    if utc_ms is None:
        return None
    return datetime.fromtimestamp(utc_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
