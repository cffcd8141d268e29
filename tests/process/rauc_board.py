"""A board with two root file systems as the real RAUC sees it: its service, a bus of its own, slots as files, and a
boot loader that counts attempts as RAUC's script for U-Boot does. Needs root, a loop device and squashfs.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hil.pki import Made, root
from tests.io.waiting import until_blocking

NEEDED = ("rauc", "dbus-daemon", "mksquashfs")
CONTENT = 300_000
"""Bytes of a root file system."""
SYSTEM = """[system]
compatible=twin
bootloader=uboot
mountprefix={home}/mnt
statusfile={home}/status
activate-installed=false
[keyring]
path={home}/keyring.pem
[handlers]
pre-install={home}/before
[slot.rootfs.0]
device={home}/a.img
bootname=A
[slot.rootfs.1]
device={home}/b.img
bootname=B
"""
BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><listen>unix:path={home}/bus</listen><auth>EXTERNAL</auth><policy context="default">
<allow own="*"/><allow user="*"/><allow send_destination="*"/><allow receive_sender="*"/>
</policy></busconfig>
"""
PRINTENV = '#!/bin/sh\nfor name; do echo "$name=$(cat {home}/env/$name)"; done\n'
SETENV = '#!/bin/sh\necho "$2" > {home}/env/$1\n'
RAUC = """#!/bin/sh
DBUS_SYSTEM_BUS_ADDRESS=unix:path={home}/bus PATH={home}/bin:$PATH exec rauc -c {home}/system.conf "$@"
"""
BEFORE = "#!/bin/sh\ntouch {home}/began\nwhile [ -e {home}/slowly ]; do sleep 0.05; done\n"
REBOOT = """#!/bin/sh
cd {home}
if [ -f service ]; then kill $(cat service); while kill -0 $(cat service); do sleep 0.02; done; fi 2>/dev/null
slot=
for name in $(cat env/BOOT_ORDER); do
  while [ -z "$slot" ] && left=$(cat env/BOOT_${{name}}_LEFT) && [ "$left" -gt 0 ]; do
    echo $((left - 1)) > env/BOOT_${{name}}_LEFT
    echo $name >> boots
    [ -e dead$name ] || slot=$name
  done
done
[ -n "$slot" ] || exit 1
setsid ./rauc service --override-boot-slot=$slot >> service.log 2>&1 </dev/null &
echo $! > service
until ./rauc status >/dev/null 2>&1; do sleep 0.05; done
"""
MANIFEST = """[update]
compatible={compatible}
version={version}
[bundle]
format=plain
[image.rootfs]
filename=root.img
"""


class RaucBoard:
    """`rauc` and `reboot` are its commands; `slots` its root file systems."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.rauc, self.reboot = home / "rauc", home / "reboot"
        self.slots = {"A": home / "a.img", "B": home / "b.img"}
        self.maker = root("Image maker", days=3650, since=-30)
        for directory in ("bin", "env", "mnt"):
            (home / directory).mkdir()
        for name, text in (("system.conf", SYSTEM), ("bus.conf", BUS)):
            (home / name).write_text(text.format(home=home))
        for name, script in (
            ("bin/fw_printenv", PRINTENV), ("bin/fw_setenv", SETENV), ("rauc", RAUC), ("reboot", REBOOT),
            ("before", BEFORE),
        ):  # fmt: skip
            (home / name).write_text(script.format(home=home))
            (home / name).chmod(0o755)
        (home / "keyring.pem").write_text(self.maker.pem)
        for name, value in (("BOOT_ORDER", "A B"), ("BOOT_A_LEFT", "3"), ("BOOT_B_LEFT", "3")):
            (home / "env" / name).write_text(value)
        for slot in self.slots.values():
            slot.write_bytes(bytes(CONTENT))

    @property
    def boots(self) -> str:
        """The slots that the boot loader has tried, one letter each."""
        return (self.home / "boots").read_text().replace("\n", "")

    def bundle(
        self, name: str, version: str = "0.2.0", compatible: str = "twin", by: Made | None = None
    ) -> tuple[Path, bytes]:
        """A signed bundle, and what the slot has to hold then."""
        inside, made, signer = self.home / f"{name}.d", self.home / f"{name}.raucb", by or self.maker
        inside.mkdir()
        (inside / "manifest.raucm").write_text(MANIFEST.format(compatible=compatible, version=version))
        (inside / "root.img").write_bytes(content := os.urandom(CONTENT))
        (self.home / "signer.pem").write_text(signer.both)
        key = str(self.home / "signer.pem")
        subprocess.run(
            ["rauc", "bundle", "--cert", key, "--key", key, str(inside), str(made)], check=True, capture_output=True
        )
        return made, content


def missing() -> str:
    """Why the real RAUC cannot be had here; empty when it can."""
    absent = [name for name in NEEDED if shutil.which(name) is None]
    if absent:
        return f"not installed: {', '.join(absent)} (Debian: rauc, dbus, squashfs-tools)"
    if os.geteuid():
        return "RAUC's service mounts bundles: it needs root"
    if not os.access("/dev/loop-control", os.W_OK):
        return "there is no /dev/loop-control: a bundle cannot be mounted"
    if "squashfs" not in Path("/proc/filesystems").read_text().split():
        return "the kernel has no squashfs"
    return ""


@contextlib.contextmanager
def rauc_board(home: Path) -> Iterator[RaucBoard]:
    """It has booted slot A; skips the test with the reason where that cannot be."""
    if why := missing():
        pytest.skip(why)
    board = RaucBoard(home)
    command = ["dbus-daemon", f"--config-file={home}/bus.conf", "--nofork", "--nopidfile"]
    with (home / "bus.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as bus:
        try:
            until_blocking((home / "bus").exists)
            subprocess.run([board.reboot], check=True, timeout=60)
            yield board
        finally:
            with contextlib.suppress(OSError, ValueError):
                os.kill(int((home / "service").read_text()), signal.SIGTERM)
            bus.terminate()
