"""What the operating system and its service manager tell us and want to hear."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

VERSION = "0.1.0"
"""Of the distribution; reading its metadata would cost every start 15 ms."""
_KERNEL_BOOT = Path("/proc/sys/kernel/random/boot_id")


class ServiceManager:
    """systemd's notify protocol (sd_notify(3)); without NOTIFY_SOCKET every call does nothing."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        name = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + name[1:] if name.startswith("@") else name
        for_us = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        watchdog_us = int(environment.get("WATCHDOG_USEC", "0") or 0) if for_us else 0
        self._feed_every_s = watchdog_us / 4_000_000
        self._fed_at = float("-inf")
        self._status = ""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)

    def ready(self) -> None:
        """Start-up is over."""
        self._tell("READY=1")

    def alive(self) -> None:
        """A step was completed: feed the watchdog, at most four times in its interval."""
        now = time.monotonic()
        if self._feed_every_s and now - self._fed_at >= self._feed_every_s:
            self._fed_at = now
            self._tell("WATCHDOG=1")

    def status(self, text: str) -> None:
        """One line for `systemctl status`."""
        line = " ".join(text.split())
        if line != self._status:
            self._status = line
            self._tell(f"STATUS={line}")

    def stopping(self) -> None:
        """The orderly end has begun."""
        self._tell("STOPPING=1")

    def _tell(self, text: str) -> None:
        if self._address:
            with contextlib.suppress(OSError):
                self._socket.sendto(text.encode(), self._address)


class BootMarker:
    """A file in the state directory from which the next start knows how this process ended."""

    def __init__(self, path: Path, kernel_boot: str | None = None) -> None:
        self._path = path
        self.kernel_boot = kernel_boot if kernel_boot is not None else _kernel_boot()
        self._starts = 1
        """Starts in a row, this one too, of which none has lived for long."""

    def begun(self, watchdog: bool) -> tuple[str, int]:
        """This process starts: why, as BootReasonEnumType, and how many starts right before it have failed.

        `watchdog`: does a service watchdog guard the process? Another boot of the kernel is PowerUp. In the same one a
        clean end before means ApplicationReset; an end without goodbye is the watchdog's doing where there is one,
        and a start that ended so before it had `lived` has failed.
        """
        before = self._before()
        clean = before is not None and before["clean"] is True
        failed = before.get("starts", 0) if before is not None and not clean else 0
        self._starts = failed + 1 if isinstance(failed, int) else 1
        self.write(clean=False)
        if clean:
            return "ApplicationReset", 0
        return "Watchdog" if before is not None and watchdog else "PowerUp", self._starts - 1

    def lived(self) -> None:
        """This start has not failed, however it ends."""
        self._starts = 0
        self.write(clean=False)

    def _before(self) -> dict[str, Any] | None:
        """What the last process wrote, when it ran since the board was powered up."""
        try:
            before: dict[str, Any] = json.loads(self._path.read_text())
            return before if before["kernel_boot"] == self.kernel_boot and "clean" in before else None
        except (OSError, ValueError, LookupError, TypeError):
            return None

    def write(self, clean: bool) -> None:
        """`clean` False at the start, True at an orderly end; a disk that refuses it is no reason to stop."""
        with contextlib.suppress(OSError):
            fresh = self._path.with_name(self._path.name + ".new")
            fresh.write_text(json.dumps({"kernel_boot": self.kernel_boot, "clean": clean, "starts": self._starts}))
            fresh.replace(self._path)


def lock_state(directory: Path) -> IO[str] | None:
    """Take the state directory for this process, until it ends. None: another process has it."""
    file = (directory / "lock").open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def _kernel_boot() -> str:
    try:
        return _KERNEL_BOOT.read_text().strip()
    except OSError:
        return ""
