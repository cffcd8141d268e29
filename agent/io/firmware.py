"""Installs, switches, proves and takes back firmware: workers around the installer that board.toml names."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from agent.io.installers import Installer, InstallError, Unfit, installer
from agent.io.jobs import Data, JobFailed, Place, Tell, beside
from agent.io.transfers import IMAGE, home

T = TypeVar("T")


async def install(place: Place, data: Data, tell: Tell) -> Data:
    """firmware.install: running, downgrade -> place, version. JobFailed with `unfit` when the image is wrong.

    The image stays until its place is recorded: after a power cut it is installed again.
    """
    image = home(place.state_dir) / IMAGE
    try:
        return await _with(place, lambda box: box.install(image, data["running"], data["downgrade"])._asdict())
    except JobFailed:
        image.unlink(missing_ok=True)
        raise


async def switch(place: Place, data: Data, tell: Tell) -> Data:
    """firmware.switch: place."""
    (home(place.state_dir) / IMAGE).unlink(missing_ok=True)
    await _with(place, lambda box: box.switch(data["place"]))
    return {}


async def booted(place: Place, data: Data, tell: Tell) -> Data:
    """firmware.booted: -> place, bad."""
    return await _with(place, lambda box: box.booted()._asdict())


async def confirm(place: Place, data: Data, tell: Tell) -> Data:
    """firmware.confirm: place."""
    await _with(place, lambda box: box.confirm(data["place"]))
    return {}


async def back(place: Place, data: Data, tell: Tell) -> Data:
    """firmware.back: place."""
    await _with(place, lambda box: box.back(data["place"]))
    return {}


async def _with(place: Place, work: Callable[[Installer], T]) -> T:
    """Do it beside the loop; a process that ends meanwhile leaves it as a power cut would."""
    if place.installer is None:
        raise JobFailed("board.toml names no way to install firmware")
    config = place.installer
    try:
        return await beside(lambda: work(installer(config)))
    except Unfit as unfit:
        raise JobFailed(str(unfit), unfit=True) from None
    except (InstallError, OSError) as error:
        raise JobFailed(str(error)) from None
