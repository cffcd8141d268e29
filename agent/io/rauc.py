"""A/B images with RAUC (https://rauc.io), over its command line: RAUC knows slots, signatures and the boot loader.

system.conf needs `activate-installed=false`: when the new slot is started is our decision. The boot loader counts the
attempts of a slot that is not marked good and falls back by itself. Seen with rauc 1.8: docs/firmware.md.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from agent.io.installers import Booted, InstallError, Placed, Unfit, check_version

SHORT_S, INSTALL_S = 60.0, 3600.0
LOOK_AGAIN_S = 0.5
BUSY = "already processing"
"""The service still does what an earlier process of ours has asked for; it refuses even to tell its status."""
NOT_OURS = "exclusive bundle access"
"""An installation that was cut off has made the bundle root's, so that only root may check its signature."""
LAST_ERROR = "LastError: "
NOISE = ("rauc-Message:", "(rauc:", "Installing `", "D-Bus error while installing")
"""Lines that do not tell why."""


class Rauc:
    """Options: `rauc`, the command (rauc), and `reboot`, what reboots the board (systemctl reboot)."""

    def __init__(self, options: Mapping[str, str]) -> None:
        self._rauc = shlex.split(options.get("rauc", "rauc"))
        self._reboot = shlex.split(options.get("reboot", "systemctl reboot"))

    def install(self, image: Path, running: str, downgrade: bool) -> Placed:
        """Write the other slot; RAUC checks its own signature and that the bundle is for this board."""
        system = self._system()
        place = system.other.boot
        bundle = self._bundle(str(image))
        if bundle.get("compatible") != system.compatible:
            raise Unfit(f"it is for {bundle.get('compatible')!r}, this is {system.compatible!r}")
        version = str(bundle.get("version") or "")
        check_version(version, running, downgrade)
        self._run("install", str(image), within_s=INSTALL_S)
        return Placed(place, version)

    def switch(self, place: str) -> None:
        """The other slot is the next to boot, and the board reboots."""
        system = self._system()
        if system.booted.boot != place:
            self._run("status", "mark-active", system.at(place).name)
        self._call(self._reboot, SHORT_S)

    def booted(self) -> Booted:
        """The boot name of the slot that runs, and of those that the boot loader has given up."""
        system = self._system()
        return Booted(system.booted.boot, tuple(slot.boot for slot in system.slots if slot.given_up))

    def confirm(self, place: str) -> None:
        """The boot loader counts from the beginning."""
        self._run("status", "mark-good", "booted")

    def back(self, place: str) -> None:
        """The slot that runs is not booted again, the other one is, and the board reboots."""
        system = self._system()
        if not place and system.other.bad:
            raise InstallError(f"there is no firmware to go back to: slot {system.other.boot} is marked bad")
        if not place or system.booted.boot == place:
            self._run("status", "mark-active", system.other.name)
            self._run("status", "mark-bad", "booted")
        self._call(self._reboot, SHORT_S)

    def _system(self) -> _System:
        status = self._json("status", "--detailed", "--output-format=json")
        slots = [_slot(name, told) for entry in status.get("slots", ()) for name, told in entry.items()]
        bootable = tuple(sorted(slot for slot in slots if slot.boot))
        if "compatible" not in status or not any(slot.runs for slot in bootable):
            raise InstallError("rauc status does not say which slot has booted")
        return _System(status["compatible"], bootable)

    def _bundle(self, image: str) -> dict[str, Any]:
        """What it says of itself. Raises Unfit."""
        try:
            return self._json("info", "--output-format=json", image)
        except InstallError as error:
            if NOT_OURS not in str(error):
                raise Unfit(str(error)) from None
        return self._json("info", "--no-verify", "--output-format=json", image)

    def _json(self, *words: str) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(self._run(*words))
        except ValueError:
            raise InstallError(f"rauc {words[0]} does not answer in JSON") from None
        return found

    def _run(self, *words: str, within_s: float = SHORT_S) -> str:
        """Its output, once the service is free. Raises InstallError."""
        until = time.monotonic() + INSTALL_S
        while True:
            try:
                return self._call([*self._rauc, *words], within_s)
            except InstallError as error:
                if BUSY not in str(error).lower() or time.monotonic() > until:
                    raise
            time.sleep(LOOK_AGAIN_S)

    def _call(self, command: list[str], within_s: float) -> str:
        """Its output; InstallError with what it complains about."""
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
            raise InstallError(f"{Path(command[0]).name}: {_complaint(done)[:300]}")
        return done.stdout


class _Slot(NamedTuple):
    """A slot that can be booted: its name in system.conf, and that of the boot loader."""

    name: str
    boot: str
    kind: str
    runs: bool
    bad: bool
    given_up: bool


class _System(NamedTuple):
    """What `rauc status` tells: its own word for what has booted may be a device, the state of a slot is certain."""

    compatible: str
    slots: tuple[_Slot, ...]

    @property
    def booted(self) -> _Slot:
        return next(slot for slot in self.slots if slot.runs)

    @property
    def other(self) -> _Slot:
        """Where the next firmware goes; a rescue slot is of another class. Raises InstallError."""
        runs = self.booted
        found = next((slot for slot in self.slots if slot.kind == runs.kind and not slot.runs), None)
        if found is None:
            raise InstallError("rauc knows of no second slot")
        return found

    def at(self, place: str) -> _Slot:
        """The slot of a boot name. Raises InstallError."""
        found = next((slot for slot in self.slots if slot.boot == place), None)
        if found is None:
            raise InstallError(f"rauc knows of no slot {place!r}")
        return found


def _slot(name: str, told: Mapping[str, Any]) -> _Slot:
    """RAUC marks a slot bad before it writes it; only one that was chosen since was given up."""
    kept = told.get("slot_status") or {}
    written, chosen = (str((kept.get(what) or {}).get("timestamp", "")) for what in ("installed", "activated"))
    bad = told.get("boot_status") == "bad"
    return _Slot(
        name, told.get("bootname") or "", told.get("class") or "", told.get("state") == "booted", bad,
        bad and chosen >= written,
    )  # fmt: skip


def _complaint(done: subprocess.CompletedProcess[str]) -> str:
    """Why a command has failed, in its own words; `rauc install` has them among its progress."""
    errors = [line for line in done.stdout.splitlines() if line.startswith(LAST_ERROR)]
    said = [line.strip() for line in (done.stderr.strip() or done.stdout).splitlines()]
    told = errors or [line for line in said if line and not line.startswith(NOISE)] or said
    return told[-1].removeprefix(LAST_ERROR) if told else f"exit code {done.returncode}"
