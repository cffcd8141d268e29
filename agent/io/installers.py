"""What puts firmware into its place: the port, and how one is chosen in board.toml.

An OEM brings his own as an entry point of the group `chargerd.installers`: a callable that takes the options of
[firmware] as texts and returns an Installer. docs/firmware.md says what is asked of it at each step.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, Protocol

GROUP = "chargerd.installers"
OWN = {"releases": "agent.io.releases:Releases", "rauc": "agent.io.rauc:Rauc"}


class InstallerConfig(NamedTuple):
    """The table [firmware] of board.toml."""

    kind: str
    options: Mapping[str, str] = MappingProxyType({})


class Placed(NamedTuple):
    """Where the new firmware is, in the installer's own words, and its version."""

    place: str
    version: str


class Booted(NamedTuple):
    """The place of the firmware that runs, and the places that a boot loader has given up."""

    place: str
    bad: tuple[str, ...] = ()


class InstallError(Exception):
    """It did not work; the text says why."""


class Unfit(InstallError):
    """The image itself is wrong: damaged, for other hardware, or older than what runs (L01.FR.29)."""


class Installer(Protocol):
    """All calls block and may raise InstallError or OSError. Each may be repeated after a power cut in its midst."""

    def install(self, image: Path, running: str, downgrade: bool) -> Placed:
        """Check the image and write it beside what runs; the next start is still that of the old firmware.

        `running` is the version that runs; a lower one is Unfit unless `downgrade`.
        """
        ...

    def switch(self, place: str) -> None:
        """The next start is on trial that of `place`; a board that needs more than a new process begins to reboot."""
        ...

    def booted(self) -> Booted:
        """Which firmware this is."""
        ...

    def confirm(self, place: str) -> None:
        """The firmware that runs is the one to stay; `place` is empty at a start without an update."""
        ...

    def back(self, place: str) -> None:
        """The next start is that of the firmware before `place` (before the one that runs, when it is empty)."""
        ...


def installer(config: InstallerConfig) -> Installer:
    """The installer that board.toml names. InstallError when there is none, or it does not take its options."""
    from importlib.metadata import entry_points

    make: Callable[[Mapping[str, str]], Installer]
    if config.kind in OWN:
        module, _, name = OWN[config.kind].partition(":")
        make = getattr(import_module(module), name)
    else:
        found = entry_points(group=GROUP, name=config.kind)
        if not found:
            raise InstallError(f"[firmware]: there is no installer {config.kind!r}; ours are {', '.join(OWN)}")
        make = next(iter(found)).load()
    try:
        return make(config.options)
    except KeyError as missing:
        raise InstallError(f"[firmware]: {missing} is missing") from None
    except ValueError as error:
        raise InstallError(f"[firmware]: {error}") from None


def counts_starts(config: InstallerConfig) -> bool:
    """Every start has to be confirmed: boot loaders count each of them, our launcher only those on trial."""
    return config.kind != "releases"


def check_version(version: str, running: str, downgrade: bool) -> None:
    """Unfit when the version is lower than the one that runs."""
    if not downgrade and _order(version) < _order(running):
        raise Unfit(f"version {version} is older than {running}, which runs")


def _order(version: str) -> tuple[int, ...]:
    """The numbers before any suffix, without zeros at the end."""
    numbers = [int(part) for part in re.findall(r"\d+", re.split(r"[-+ ]", version.strip())[0])]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
