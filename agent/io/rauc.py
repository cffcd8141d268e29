"""A/B images with RAUC (https://rauc.io), over its command line: RAUC knows slots, signatures and the boot loader.

system.conf needs `activate-installed=false`: when the new slot is started is our decision. The boot loader counts the
attempts of a slot that is not marked good and falls back by itself.
"""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent.io.installers import Booted, InstallError, Placed, Unfit, check_version

SHORT_S, INSTALL_S = 60.0, 3600.0


class Rauc:
    """Options: `rauc`, the command (rauc), and `reboot`, what reboots the board (systemctl reboot)."""

    def __init__(self, options: Mapping[str, str]) -> None:
        self._rauc = shlex.split(options.get("rauc", "rauc"))
        self._reboot = shlex.split(options.get("reboot", "systemctl reboot"))

    def install(self, image: Path, running: str, downgrade: bool) -> Placed:
        """Write the other slot; RAUC checks its own signature and that the bundle is for this board."""
        try:
            bundle = self._json("info", "--output-format=json", str(image))
        except InstallError as error:
            raise Unfit(str(error)) from None
        status = self._status()
        if bundle.get("compatible") != status["compatible"]:
            raise Unfit(f"it is for {bundle.get('compatible')!r}, this is {status['compatible']!r}")
        version = str(bundle.get("version") or "")
        check_version(version, running, downgrade)
        self._run("install", str(image), within_s=INSTALL_S)
        return Placed(_other(status), version)

    def switch(self, place: str) -> None:
        """The other slot is the next to boot, and the board reboots."""
        if self._status()["booted"] != place:
            self._run("status", "mark-active", "other")
        self._call(self._reboot, SHORT_S)

    def booted(self) -> Booted:
        """The name of the slot that runs, and of those that are marked bad."""
        status = self._status()
        bad = tuple(slot["bootname"] for slot in _slots(status) if slot.get("boot_status") == "bad")
        return Booted(status["booted"], bad)

    def confirm(self, place: str) -> None:
        """The boot loader stops counting."""
        self._run("status", "mark-good", "booted")

    def back(self, place: str) -> None:
        """The slot that runs is not booted again, the other one is, and the board reboots."""
        if not place or self._status()["booted"] == place:
            self._run("status", "mark-active", "other")
            self._run("status", "mark-bad", "booted")
        self._call(self._reboot, SHORT_S)

    def _status(self) -> dict[str, Any]:
        status = self._json("status", "--output-format=json")
        if not status.get("booted") or "compatible" not in status:
            raise InstallError("rauc status does not say which slot has booted")
        return status

    def _json(self, *words: str) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(self._run(*words))
        except ValueError:
            raise InstallError(f"rauc {words[0]} does not answer in JSON") from None
        return found

    def _run(self, *words: str, within_s: float = SHORT_S) -> str:
        return self._call([*self._rauc, *words], within_s)

    def _call(self, command: list[str], within_s: float) -> str:
        """Its output; InstallError with the last line of what it complains about."""
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=within_s,
                check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise InstallError(f"{command[0]} did not end within {within_s:g} s") from None
        except OSError as error:
            raise InstallError(f"{command[0]}: {error.strerror}") from None
        if done.returncode:
            lines = (done.stderr or done.stdout).strip().splitlines() or [f"exit code {done.returncode}"]
            raise InstallError(f"{' '.join(command[:2])}: {lines[-1][:300]}")
        return done.stdout


def _slots(status: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Slots that can be booted; the list holds one object per slot, by its name."""
    slots = [slot for entry in status.get("slots", ()) for slot in entry.values()]
    return [slot for slot in slots if slot.get("bootname")]


def _other(status: Mapping[str, Any]) -> str:
    names = [slot["bootname"] for slot in _slots(status) if slot["bootname"] != status["booted"]]
    if not names:
        raise InstallError("rauc knows of no second slot")
    return str(names[0])
