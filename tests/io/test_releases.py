"""Releases as directories: unpacked only as they should be, chosen at once, given up by the launcher."""

from __future__ import annotations

import asyncio
import io
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from agent.io import firmware
from agent.io.installers import Booted, InstallerConfig, InstallError, Unfit, installer
from agent.io.jobs import JobFailed, Place
from agent.io.releases import Releases
from hil.firmware import LAUNCHER, release, small, tar
from tests.marks import req

SAYS = "#!/bin/sh\necho {} \"$@\"\n"


def speaking(version: str) -> bytes:
    """A release that says its version when it is started."""
    return release(version, {"bin/chargerd": SAYS.format(version).encode(), "lib/deep/er.py": b"pass\n"})


@pytest.fixture
def box(tmp_path: Path) -> Releases:
    """Version 1.0 runs."""
    box = Releases({"home": str(tmp_path / "opt"), "hardware": "twin"})
    put(box, tmp_path, release("1.0", {"bin/chargerd": SAYS.format("1.0").encode()}, ["twin"]))
    box.switch("1.0")
    box.confirm("1.0")
    return box


def put(box: Releases, tmp_path: Path, content: bytes, running: str = "0", downgrade: bool = False) -> str:
    image = tmp_path / "image"
    image.write_bytes(content)
    return box.install(image, running, downgrade).place


def launch(box: Releases) -> str:
    done = subprocess.run(
        ["sh", str(LAUNCHER), "go"], env={"CHARGERD_HOME": str(box.home), "PATH": "/usr/bin:/bin"}, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


@req("L01.FR.28", "L01.FR.32")
def test_installed_beside_chosen_proved_and_taken_back(box: Releases, tmp_path: Path) -> None:
    box = Releases({"home": str(box.home)})
    place = put(box, tmp_path, speaking("2.0"), running="1.0")
    assert (place, launch(box)) == ("2.0", "1.0 go")
    box.switch(place)
    assert launch(box) == "2.0 go" and box.booted() == Booted("2.0")
    box.confirm(place)
    assert [launch(box) for _ in range(5)] == ["2.0 go"] * 5
    box.back("")
    assert launch(box) == "1.0 go"
    with pytest.raises(InstallError, match="before this one"):
        box.back("")


def test_a_release_that_does_not_prove_itself_is_given_up_after_three_starts(box: Releases, tmp_path: Path) -> None:
    box = Releases({"home": str(box.home)})
    box.switch(put(box, tmp_path, speaking("2.0")))
    assert [launch(box) for _ in range(5)] == ["2.0 go"] * 3 + ["1.0 go"] * 2
    assert box.booted() == Booted("1.0", ("2.0",))
    box.back("2.0")
    assert launch(box) == "1.0 go"


@req("L01.FR.29")
def test_what_is_no_good_release_is_unfit_and_leaves_nothing(box: Releases, tmp_path: Path) -> None:
    good = {"bin/chargerd": b"#!/bin/sh\n"}
    whole = small(hardware=["twin"])
    bad = {
        "not a gzip": b"banana" * 1000,
        "truncated": whole[: len(whole) // 2],
        "no list": tar(good),
        "list damaged": tar({"release.json": b"{"}),
        "other hardware": small(hardware=["single"]),
        "no hardware": small(),
        "older": small("0.9", hardware=["twin"]),
        "version of another kind": small("../up", hardware=["twin"]),
        "starts nothing": release("2.0", {"x": b""}, ["twin"]),
        "changed": tar({**_files(whole), "agent/__init__.py": b"changed"}),
        "one missing": tar({k: v for k, v in _files(whole).items() if k != "agent/__init__.py"}),
        "one more": tar({**_files(whole), "more": b""}),
        "outside": release("2.0", {**good, "../outside": b"x"}, ["twin"]),
        "absolute": release("2.0", {**good, "/tmp/outside": b"x"}, ["twin"]),
        "a link": _with_link(),
    }
    for what, content in bad.items():
        with pytest.raises(Unfit):
            put(box, tmp_path, content, running="1.0")
            pytest.fail(f"taken: {what}")
    assert [path.name for path in (box.home / "releases").iterdir()] == ["1.0"]
    assert not list(tmp_path.rglob("outside"))


def _files(content: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return {m.name: archive.extractfile(m).read() for m in archive}  # type: ignore[union-attr]  # all are files


def _with_link() -> bytes:
    target = io.BytesIO()
    about = _files(release("2.0", {"bin/chargerd": b"", "link": b""}, ["twin"]))["release.json"]
    with tarfile.open(fileobj=target, mode="w") as archive:
        member = tarfile.TarInfo("release.json")
        member.size = len(about)
        archive.addfile(member, io.BytesIO(about))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return target.getvalue()


def test_versions_are_compared_by_their_numbers(box: Releases, tmp_path: Path) -> None:
    for version, running in (("1.10", "1.9"), ("2", "1.99.99"), ("1.0.0", "1.0"), ("1.0-rc2", "1.0")):
        put(box, tmp_path, small(version, ["twin"]), running)
    with pytest.raises(Unfit, match=r"older than 1\.10"):
        put(box, tmp_path, small("1.9", ["twin"]), running="1.10")
    put(box, tmp_path, small("1.9", ["twin"]), running="1.10", downgrade=True)


def test_the_same_version_again_does_not_touch_what_runs(box: Releases, tmp_path: Path) -> None:
    place = put(box, tmp_path, small("1.0", ["twin"]), running="1.0")
    assert place != "1.0" and launch(box) == "1.0 go"


def test_only_what_runs_and_the_one_before_are_kept(box: Releases, tmp_path: Path) -> None:
    for version in ("2.0", "3.0", "4.0"):
        box.switch(put(box, tmp_path, small(version, ["twin"])))
        box.confirm(version)
    assert sorted(path.name for path in (box.home / "releases").iterdir()) == ["3.0", "4.0"]


def test_every_step_can_be_repeated_after_a_power_cut(box: Releases, tmp_path: Path) -> None:
    (box.home / "releases" / ".2.0.new").mkdir()
    assert put(box, tmp_path, small("2.0", ["twin"])) == put(box, tmp_path, small("2.0", ["twin"])) == "2.0"
    for _ in range(2):
        box.switch("2.0")
    for _ in range(2):
        box.back("2.0")
    assert box.booted().place == "1.0"
    for _ in range(2):
        box.switch("2.0")
        box.confirm("2.0")
    assert box.booted().place == "2.0"


def test_a_place_that_is_gone_is_not_chosen(box: Releases) -> None:
    with pytest.raises(InstallError, match="gone"):
        box.switch("9.9")


async def _install(place: Place) -> Any:
    return await firmware.install(place, {"running": "1", "downgrade": False}, lambda told: None)


def test_the_workers_tell_what_is_unfit_from_what_went_wrong(tmp_path: Path) -> None:
    with pytest.raises(JobFailed, match="names no way"):
        asyncio.run(_install(Place(tmp_path)))
    place = Place(tmp_path, installer=InstallerConfig("releases", {"home": str(tmp_path / "opt")}))
    with pytest.raises(JobFailed) as gone:
        asyncio.run(_install(place))
    (tmp_path / "firmware" / "image").write_bytes(b"x")
    with pytest.raises(JobFailed) as wrong:
        asyncio.run(_install(place))
    assert ("unfit" in gone.value.data, wrong.value.data["unfit"]) == (False, True)


def test_an_image_can_be_installed_again_until_its_place_is_known(tmp_path: Path) -> None:
    place = Place(tmp_path, installer=InstallerConfig("releases", {"home": str(tmp_path / "opt")}))
    (tmp_path / "firmware").mkdir()
    (tmp_path / "firmware" / "image").write_bytes(small("2.0"))
    first, again = (asyncio.run(_install(place)) for _ in range(2))
    assert first == again == {"place": "2.0", "version": "2.0"}
    asyncio.run(firmware.switch(place, first, lambda told: None))
    assert not (tmp_path / "firmware" / "image").exists()


def test_an_installer_that_there_is_not() -> None:
    for config in (InstallerConfig("magic"), InstallerConfig("releases")):
        with pytest.raises(InstallError, match="firmware"):
            installer(config)
