"""What is written down for people: frames and decisions in a ring on flash, and the decisions on stderr."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agent.io.redaction import PlainTokens, Redactor, without_keys, without_secrets
from config_keys import log
from config_keys.values import Values

SIZE_LIMIT_BYTES = 1024 * 1024
SHOWN_CHARS = 32 * 1024
NAME = "station.log.gz"
FLUSH_AFTER_S, FLUSH_QUIET_AFTER_S = 10.0, 60.0
FLUSH_AT_CHARS = 32 * 1024
_PRIORITY = {"debug": 7, "info": 6, "warning": 4, "error": 3}
_URGENT = ("warning", "error")
_BEGINS = '{"ts":"'
"""How a line begins, before its time."""
_MEMBER = b"\x1f\x8b\x08"
"""How a gzip member begins (RFC 1952)."""

Listener = Callable[[dict[str, Any]], None]


class StationLog:
    """A ring of two files of JSON lines on one timeline, bounded, without secrets and without customers.

    Frames are {"ts", "mono_ms", "dir", "connection", "frame"}, decisions {"ts", "mono_ms", "level", "topic", "text"}.
    They are gzip files (read them with zcat). Lines reach the file after some seconds or when enough of them wait,
    to spare the flash. A file that cannot be written costs lines, never a frame.
    """

    def __init__(
        self, path: Path, mono_ms: Callable[[], int], redactor: Redactor, size_limit: int = SIZE_LIMIT_BYTES
    ) -> None:
        self._path = path
        self._older = path.with_name("older-" + path.name)
        self._mono_ms = mono_ms
        self._redactor = redactor
        self._half = size_limit // 2
        self._waiting: list[str] = []
        self._waiting_chars = 0
        self._flushed_at = time.monotonic()
        self._listeners: list[Listener] = []

    def seen(self, direction: str, connection: int, text: str) -> None:
        """One frame, sent (">") or received ("<"). Who listens now sees its tokens, the file has aliases."""
        shown = without_secrets(text)
        line = {**self._stamp(), "dir": direction, "connection": connection, "frame": _cut(shown)}
        for listener in self._listeners:
            listener(line)
        self._add({**line, "frame": _cut(self._redactor.without_customers(shown))}, FLUSH_AFTER_S)

    def noted(self, level: str, topic: str, text: str) -> None:
        """One decision; what is no warning may wait longer for company."""
        line = {**self._stamp(), "level": level, "topic": topic, "text": _cut(without_keys(text))}
        self._add(line, FLUSH_AFTER_S if level in _URGENT else FLUSH_QUIET_AFTER_S)

    def _stamp(self) -> dict[str, Any]:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {"ts": now, "mono_ms": self._mono_ms()}

    def _add(self, line: dict[str, Any], flush_after_s: float) -> None:
        packed = json.dumps(line, separators=(",", ":")) + "\n"
        self._waiting.append(packed)
        self._waiting_chars += len(packed)
        late = time.monotonic() - self._flushed_at >= flush_after_s
        if late or self._waiting_chars >= FLUSH_AT_CHARS:
            self.flush()

    def flush(self) -> None:
        """Write what waits; the file becomes the older one when it is half of the limit."""
        lines, self._waiting, self._waiting_chars = self._waiting, [], 0
        self._flushed_at = time.monotonic()
        if not lines:
            return
        with contextlib.suppress(OSError):
            if self._path.exists() and self._path.stat().st_size >= self._half:
                self._path.replace(self._older)
            packer = zlib.compressobj(wbits=31)
            member = packer.compress("".join(lines).encode("ascii")) + packer.flush()
            with self._path.open("ab") as file:
                file.write(member)

    def recent(self, count: int) -> list[dict[str, Any]]:
        """The last `count` frames, oldest first."""
        self.flush()
        found: list[dict[str, Any]] = []
        for file in (self._path, self._older):
            if len(found) < count:
                found = [line for line in map(_loaded, lines_of(file)) if "frame" in line] + found
        return found[-count:] if count else []

    @property
    def listeners(self) -> int:
        """How many look on right now."""
        return len(self._listeners)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with each frame from now on, until the returned function is called."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)


def station_log(state_dir: Path, mono_ms: Callable[[], int], keys: Values) -> StationLog:
    """The log below `state_dir`: as large, and with as much of customers, as the settings at the start say."""
    redactor = Redactor.of(state_dir) if keys[log.REDACT] else PlainTokens()
    return StationLog(state_dir / NAME, mono_ms, redactor, keys[log.MAX_BYTES])


def kept_lines(path: Path, oldest: str = "", latest: str = "~") -> Iterator[str]:
    """The lines of both files of a ring, oldest first, whose "ts" (RFC 3339, UTC with Z) lies in a window."""
    for file in (path.with_name("older-" + path.name), path):
        for line in lines_of(file):
            if oldest <= line[len(_BEGINS) : len(_BEGINS) + 24] <= latest:
                yield line


def lines_of(file: Path) -> Iterator[str]:
    """The lines of one file, packet by packet; none when it cannot be read."""
    with contextlib.suppress(OSError):
        for plain in _unpacked(file.read_bytes()):
            yield from plain.decode("ascii", "replace").splitlines()


def _loaded(line: str) -> dict[str, Any]:
    with contextlib.suppress(ValueError):
        found = json.loads(line)
        return found if isinstance(found, dict) else {}
    return {}


def note(level: str, topic: str, text: str) -> None:
    """One line of the decision log, with the priority prefix that journald understands when it listens.

    What is a trace only goes into the station's log.
    """
    if level == "trace":
        return
    line = f"{topic}: {_printable(without_keys(text))}"
    if "JOURNAL_STREAM" in os.environ:
        line = f"<{_PRIORITY.get(level, 6)}>{line}"
    else:
        line = f"{datetime.now().strftime('%H:%M:%S.%f')[:-3]} {level:7} {line}"
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


def _printable(text: str) -> str:
    """Text of others cannot start a line of its own or move the cursor of who reads the log."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "replace").decode() for c in text)


def _unpacked(data: bytes) -> Iterator[bytes]:
    """All that can be read of a file of gzip members, of which a power cut may have spoilt some."""
    at = data.find(_MEMBER)
    while at >= 0:
        reader = zlib.decompressobj(wbits=31)
        with contextlib.suppress(zlib.error):
            lines = reader.decompress(data[at:])
            yield lines[: lines.rfind(b"\n") + 1]
        after = len(data) - len(reader.unused_data) if reader.eof else at + 1
        at = data.find(_MEMBER, after)


def _cut(text: str) -> str:
    """Not longer than people read."""
    if len(text) > SHOWN_CHARS:
        return f"{text[:SHOWN_CHARS]}... ({len(text)} characters)"
    return text
