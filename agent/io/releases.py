"""Firmware as releases: one directory each, and a symlink `current` that is changed at once (the package backend).

A release is a tar file with `release.json` first: {"version", "hardware": [...], "files": {path: sha256}}, and
`bin/chargerd`, which starts it. Below `home` there are then

    releases/NAME/...    current -> releases/NAME    previous -> releases/NAME
    trial                name and number of starts of a release that has not proved itself
    given-up             names that the launcher (systemd/chargerd-launch) has given up after three starts

The launcher belongs to no release, so that one that does not even start can be given up.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from agent.io.durable import sync_directory, write
from agent.io.installers import Booted, InstallError, Placed, Unfit, check_version

ABOUT, START = "release.json", "bin/chargerd"
ABOUT_MOST = 4 * 1024 * 1024
FILES_MOST = 20_000
BYTES_MOST = 1_000_000_000
CHUNK = 65_536
CURRENT, PREVIOUS, TRIAL, GIVEN_UP = "current", "previous", "trial", "given-up"


class Releases:
    """Options: `home`, and `hardware`, which a release has to name when it is given."""

    def __init__(self, options: Mapping[str, str]) -> None:
        self.home = Path(options["home"])
        self._hardware = options.get("hardware", "")
        self._releases = self.home / "releases"

    def install(self, image: Path, running: str, downgrade: bool) -> Placed:
        """Unpack it beside what runs, every file checked against the list in front."""
        try:
            with tarfile.open(image, "r:*") as archive:
                return self._unpack(archive, running, downgrade)
        except (tarfile.TarError, EOFError) as error:
            raise Unfit(f"no release: {error}") from None

    def _unpack(self, archive: tarfile.TarFile, running: str, downgrade: bool) -> Placed:
        about = self._about(archive)
        check_version(about["version"], running, downgrade)
        kept = {self._name(CURRENT), self._name(PREVIOUS)}
        self._prune(kept)
        name = _free_name(about["version"], kept)
        fresh = self._releases / f".{name}.new"
        fresh.mkdir(parents=True)
        try:
            _extract(archive, fresh, about["files"])
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
        os.sync()
        os.rename(fresh, self._releases / name)
        sync_directory(self._releases)
        return Placed(name, about["version"])

    def _about(self, archive: tarfile.TarFile) -> dict[str, Any]:
        """What the release says of itself. Raises Unfit."""
        first = archive.next()
        content = archive.extractfile(first) if first is not None and first.name == ABOUT and first.isreg() else None
        if first is None or content is None or first.size > ABOUT_MOST:
            raise Unfit(f"{ABOUT} is not the first file of it")
        try:
            about = json.load(content)
            version, files, hardware = str(about["version"]), dict(about["files"]), list(about.get("hardware", []))
        except (ValueError, KeyError, TypeError):
            raise Unfit(f"{ABOUT} is damaged") from None
        if not version.strip() or not all(char.isalnum() or char in ".-+_" for char in version) or version[0] == ".":
            raise Unfit(f"{version[:40]!r} is no version")
        if self._hardware and self._hardware not in hardware:
            raise Unfit(f"it is for {', '.join(map(str, hardware)) or 'no hardware'}, this is {self._hardware}")
        return {"version": version, "files": files}

    def switch(self, place: str) -> None:
        """The next start is on trial that of `place`; the one that runs is where to go back to."""
        if not (self._releases / place / START).is_file():
            raise InstallError(f"release {place} is gone")
        if self._name(CURRENT) != place:
            self._point(PREVIOUS, self._name(CURRENT))
        write(self.home / TRIAL, f"{place} 0\n".encode(), 0o644)
        self._point(CURRENT, place)

    def booted(self) -> Booted:
        """The release that this very process runs from."""
        ours = Path(__file__).resolve()
        below = self._releases.resolve()
        name = ours.relative_to(below).parts[0] if ours.is_relative_to(below) else self._name(CURRENT)
        return Booted(name, tuple(self._given_up()))

    def confirm(self, place: str) -> None:
        """It stays; the one before is kept for a person who wants it back, older ones are removed."""
        (self.home / TRIAL).unlink(missing_ok=True)
        (self.home / GIVEN_UP).unlink(missing_ok=True)
        self._prune({self._name(CURRENT), self._name(PREVIOUS)})

    def back(self, place: str) -> None:
        """`current` is again what it was before."""
        before = self._name(PREVIOUS)
        if place and self._name(CURRENT) != place:
            return
        if not before or before == self._name(CURRENT):
            raise InstallError("there is no firmware before this one")
        self._point(CURRENT, before)
        (self.home / TRIAL).unlink(missing_ok=True)

    # ---------------------------------------------------------------------------------------- links

    def _name(self, link: str) -> str:
        """The release that a link leads to; empty when there is none."""
        try:
            return Path(os.readlink(self.home / link)).name
        except OSError:
            return ""

    def _point(self, link: str, name: str) -> None:
        """Change a link at once and for good."""
        beside = self.home / f".{link}.new"
        beside.unlink(missing_ok=True)
        beside.symlink_to(Path("releases") / name)
        os.replace(beside, self.home / link)
        sync_directory(self.home)

    def _given_up(self) -> list[str]:
        try:
            return (self.home / GIVEN_UP).read_text("utf-8").split()
        except OSError:
            return []

    def _prune(self, kept: set[str]) -> None:
        for path in self._releases.glob("*"):
            if path.name not in kept:
                shutil.rmtree(path, ignore_errors=True)
        for path in self._releases.glob(".*.new"):
            shutil.rmtree(path, ignore_errors=True)


def _free_name(version: str, taken: set[str]) -> str:
    """The version, with a number when a release of that name is in use."""
    names = (version, *(f"{version}~{number}" for number in range(2, 5)))
    return next(name for name in names if name not in taken)


def _extract(archive: tarfile.TarFile, into: Path, files: Mapping[str, str]) -> None:
    """Every file of the list, no other, each as it should be, nothing outside `into`. Raises Unfit."""
    missing, size = set(files), 0
    for number, member in enumerate(_members(archive)):
        size += member.size
        if number > FILES_MOST or size > BYTES_MOST:
            raise Unfit("it is too large")
        if member.name not in files:
            raise Unfit(f"{member.name[:80]!r} is not on its list")
        content = archive.extractfile(member)
        assert content is not None
        target = into / PurePosixPath(member.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        with target.open("xb") as file:
            for chunk in iter(partial(content.read, CHUNK), b""):
                digest.update(chunk)
                file.write(chunk)
        if digest.hexdigest() != files[member.name]:
            raise Unfit(f"{member.name} is damaged")
        target.chmod(0o755 if member.mode & 0o100 else 0o644)
        missing.discard(member.name)
    if missing or START not in files:
        raise Unfit(f"{min(missing, default=START)} is missing")


def _members(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The files, once each; directories come with them, and nothing else is allowed. Raises Unfit."""
    seen = {ABOUT}
    while (member := archive.next()) is not None:
        parts = PurePosixPath(member.name).parts
        if member.isdir():
            continue
        if not member.isreg() or member.name in seen or not parts or ".." in parts or parts[0] == "/":
            raise Unfit(f"{member.name[:80]!r} is no ordinary file with a place of its own")
        seen.add(member.name)
        yield member
