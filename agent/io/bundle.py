"""Everything that is known of this station for whoever has to find a fault from afar: one archive, without secrets.

The same for GetLog DiagnosticsLog and `chargerctl bundle`. It is made in memory: its parts are bounded, and the flash
is spared. What cannot be had says why in its place.
"""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import platform
import tarfile
import time
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agent.io.jobs import Place
from agent.io.logs import NAME, kept_lines
from agent.io.redaction import Redactor
from agent.io.security_log import SecurityLog
from agent.io.system import VERSION

FORMAT = "chargerd-bundle/1"
PART_MOST = 1024 * 1024
"""Bytes of one part of JSON."""
LINES_MOST = 16 * PART_MOST
"""Characters of the station's log, more than its ring holds."""
QUESTIONS: Mapping[str, str] = {
    "status": "status",
    "config": "config.list",
    "config_changed": "config.diff",
    "sessions": "tx.list",
    "faults": "fault.list",
    "why": "why",
    "history": "diagnostics",
    "network": "network.list",
    "limits": "limit.list",
    "bus_health": "bus.health",
}
"""Part of the archive -> the verb of the control socket that tells it."""


async def gathered(place: Place, oldest_ms: int | None = None, latest_ms: int | None = None) -> bytes:
    """The archive (tar.gz) with the logs of a window of UTC ms."""
    answers = {part: await _answer(place, verb) for part, verb in QUESTIONS.items()}
    if place.log is not None:
        place.log.flush()
    return await asyncio.to_thread(archive, place, answers, oldest_ms, latest_ms)


async def bundle(place: Place) -> tuple[str, bytes]:
    """Name and content for `chargerctl bundle`."""
    content = await gathered(place)
    return f"chargerd-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.tar.gz", content


def security(place: Place, oldest_ms: int | None, latest_ms: int | None) -> bytes:
    """The security log of a window, packed."""
    lines = SecurityLog(place.state_dir).read(oldest_ms, latest_ms)
    return gzip.compress("".join(f"{line}\n" for line in lines).encode())


async def _answer(place: Place, verb: str) -> Any:
    if place.ask is None:
        return {"missing": "the agent does not run"}
    try:
        ok, data = await place.ask(verb, {})
    except Exception as refusal:  # whatever keeps one part away is told in its place
        return {"missing": str(refusal)}
    return data if ok else {"missing": data}


async def offline(state_dir: Path, board: Path | None) -> tuple[str, bytes]:
    """The same while the agent does not run."""
    return await bundle(Place(state_dir, board=board))


def archive(
    place: Place, answers: Mapping[str, Any], oldest_ms: int | None = None, latest_ms: int | None = None
) -> bytes:
    """Pack what was answered and what lies in the state directory."""
    state_dir, redactor = place.state_dir, Redactor.of(place.state_dir)
    parts = {
        "manifest.json": _json(_manifest(oldest_ms, latest_ms)),
        "station.jsonl.gz": _packed(kept_lines(state_dir / NAME, _text(oldest_ms, ""), _text(latest_ms, "~"))),
        "security.jsonl": "\n".join(SecurityLog(state_dir).read(oldest_ms, latest_ms)).encode(),
        "files.json": _json(_files(state_dir)),
        "board.json": _json(redactor.value(_board(place.board))),
        **{f"{part}.json": _json(redactor.value(answer)) for part, answer in answers.items()},
    }
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=6) as tar:
        for name, content in parts.items():
            entry = tarfile.TarInfo(f"chargerd/{name}")
            entry.size, entry.mode, entry.mtime = len(content), 0o600, int(time.time())
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def _manifest(oldest_ms: int | None, latest_ms: int | None) -> dict[str, Any]:
    return {
        "format": FORMAT, "made": _text(round(time.time() * 1000), ""), "oldest": _text(oldest_ms, "") or None,
        "latest": _text(latest_ms, "") or None, "chargerd": VERSION, "python": platform.python_version(),
        "kernel": platform.release(), "machine": platform.machine(), "uptime_s": _uptime_s(),
    }  # fmt: skip


def _board(file: Path | None) -> Any:
    """board.toml as it is, which may be a wrong one."""
    try:
        return tomllib.loads(file.read_text("utf-8")) if file is not None else {"missing": "its place is not known"}
    except (OSError, ValueError) as error:
        return {"missing": str(error)}


def _uptime_s() -> float:
    return round(time.clock_gettime(time.CLOCK_BOOTTIME), 1)


def _files(state_dir: Path) -> list[dict[str, Any]]:
    """What lies in the state directory: the health of the store is also in its sizes."""
    rows = []
    for path in sorted(state_dir.glob("*")):
        try:
            stat = path.stat()
        except OSError:
            continue
        changed = datetime.fromtimestamp(stat.st_mtime, UTC).isoformat(timespec="seconds")
        mode = f"{stat.st_mode & 0o7777:o}"
        rows.append({"name": path.name, "bytes": stat.st_size, "mode": mode, "changed": changed})
    return rows


def _json(value: Any) -> bytes:
    content = (json.dumps(value, indent=1, ensure_ascii=False, default=str) + "\n").encode("utf-8", "replace")
    return content if len(content) <= PART_MOST else _json({"missing": f"{len(content)} bytes are too many"})


def _packed(lines: Iterable[str]) -> bytes:
    """Lines as gzip, at most so many characters of them."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as file:
        for line in _bounded(lines):
            file.write(line.encode("ascii", "replace") + b"\n")
    return packed.getvalue()


def _bounded(lines: Iterable[str]) -> Iterator[str]:
    room = LINES_MOST
    for line in lines:
        room -= len(line)
        if room < 0:
            return
        yield line


def _text(utc_ms: int | None, otherwise: str) -> str:
    """A moment as the log writes it."""
    if utc_ms is None:
        return otherwise
    return datetime.fromtimestamp(utc_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
