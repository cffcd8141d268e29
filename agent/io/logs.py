"""What is written down for people: every OCPP frame in a file of bounded size, every decision on stderr."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agent.io.values import to_json

SIZE_LIMIT_BYTES = 1024 * 1024
FRAME_SHOWN_CHARS = 32 * 1024
FLUSH_AFTER_S = 10.0
FLUSH_AT_CHARS = 32 * 1024
HIDDEN = "***"
_PRIORITY = {"debug": 7, "info": 6, "warning": 4, "error": 3}
_SUSPECT = ("\\u", "password", "keycode")
"""What a frame with a secret has in it, or may hide (\\u), in lower case."""
_MEMBER = b"\x1f\x8b\x08"
"""How a gzip member begins (RFC 1952)."""

Listener = Callable[[dict[str, Any]], None]


class FrameLog:
    """A ring of two files of JSON lines: {"ts", "mono_ms", "dir", "connection", "frame"}, no passwords, no codes.

    They are gzip files (read them with zcat). Lines reach the file after some seconds or when enough of them wait,
    to spare the flash. A file that cannot be written costs lines, never a frame.
    """

    def __init__(self, path: Path, mono_ms: Callable[[], int], size_limit: int = SIZE_LIMIT_BYTES) -> None:
        self._path = path
        self._older = path.with_name("older-" + path.name)
        self._mono_ms = mono_ms
        self._half = size_limit // 2
        self._waiting: list[str] = []
        self._waiting_chars = 0
        self._flushed_at = time.monotonic()
        self._listeners: list[Listener] = []

    def seen(self, direction: str, connection: int, text: str) -> None:
        """One frame, sent (">") or received ("<")."""
        line: dict[str, Any] = {
            "ts": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "mono_ms": self._mono_ms(),
            "dir": direction,
            "connection": connection,
            "frame": _without_secrets(text),
        }
        for listener in self._listeners:
            listener(line)
        packed = json.dumps(line, separators=(",", ":")) + "\n"
        self._waiting.append(packed)
        self._waiting_chars += len(packed)
        late = time.monotonic() - self._flushed_at >= FLUSH_AFTER_S
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
        lines: list[str] = []
        for file in (self._path, self._older):
            with contextlib.suppress(OSError):
                if len(lines) < count:
                    lines = _unpacked(file.read_bytes()).decode("ascii", "replace").splitlines() + lines
        found = []
        for line in lines[-count:] if count else []:
            with contextlib.suppress(ValueError):
                found.append(json.loads(line))
        return found

    @property
    def listeners(self) -> int:
        """How many look on right now."""
        return len(self._listeners)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with each frame from now on, until the returned function is called."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)


def note(level: str, topic: str, text: str) -> None:
    """One line of the decision log, with the priority prefix that journald understands when it listens."""
    line = f"{topic}: {_printable(text)}"
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


def _unpacked(data: bytes) -> bytes:
    """All that can be read of a file of gzip members, of which a power cut may have spoilt some."""
    plain, at = b"", data.find(_MEMBER)
    while at >= 0:
        reader = zlib.decompressobj(wbits=31)
        with contextlib.suppress(zlib.error):
            lines = reader.decompress(data[at:])
            plain += lines[: lines.rfind(b"\n") + 1]
        after = len(data) - len(reader.unused_data) if reader.eof else at + 1
        at = data.find(_MEMBER, after)
    return plain


def _without_secrets(text: str) -> str:
    """The frame as it may be kept: passwords and codes replaced, and not longer than people read."""
    plain = text.lower()
    if any(word in plain for word in _SUSPECT):
        try:
            text = to_json(_hidden(json.loads(text)))
        except (ValueError, RecursionError):
            text = f"(not JSON, {len(text)} characters, not shown because it may hold a secret)"
    if len(text) > FRAME_SHOWN_CHARS:
        text = f"{text[:FRAME_SHOWN_CHARS]}... ({len(text)} characters)"
    return text


def _hidden(value: Any) -> Any:
    if isinstance(value, list):
        return [_hidden(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {name: HIDDEN if _secret(name, value) else _hidden(item) for name, item in value.items()}


def _secret(name: str, around: dict[str, Any]) -> bool:
    """A member called password, the value of a variable of that name (SetVariables, reports), a code (C04.FR.04)."""
    if "password" in name.lower():
        return True
    if name == "idToken" and str(around.get("type")).lower() == "keycode":
        return True
    variable = around.get("variable")
    about = variable.get("name") if isinstance(variable, dict) else None
    holds_value = name in ("attributeValue", "variableAttribute", "value")
    return holds_value and isinstance(about, str) and "password" in about.lower()
