"""The real RAUC installs, is asked, and goes back: with our backend alone, then below the real agent."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent.io import firmware
from agent.io.installers import Booted, InstallerConfig
from agent.io.jobs import Data, JobFailed, Place, Worker
from agent.io.transfers import IMAGE
from agent.io.transfers import home as downloads
from hil.firmware import signature
from hil.pki import issue, root
from hil.real_bench import RealBench
from tests.io.waiting import until_blocking
from tests.marks import req
from tests.process.benches import ask, chargerctl, plan
from tests.process.rauc_board import RaucBoard, rauc_board

MAKER = root("Maker", days=3650, since=-30)
SIGNER = issue("Signer", MAKER, days=3650, since=-30, ca=False)
LONG_S = 120.0


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RaucBoard]:
    """One board for all: each test says where it begins."""
    with rauc_board(tmp_path_factory.mktemp("rauc")) as running:
        yield running


@pytest.fixture
def place(board: RaucBoard, tmp_path: Path) -> Place:
    """Where the agent's workers find it; slot A has booted and is good."""
    for name, value in (("BOOT_ORDER", "A B"), ("BOOT_A_LEFT", "3"), ("BOOT_B_LEFT", "3")):
        (board.home / "env" / name).write_text(value)
    for name in ("boots", "deadB"):
        (board.home / name).unlink(missing_ok=True)
    subprocess.run([board.reboot], check=True, timeout=60)
    return Place(tmp_path, installer=InstallerConfig("rauc", options(board)))


def options(board: RaucBoard) -> dict[str, str]:
    return {"rauc": str(board.rauc), "reboot": str(board.reboot)}


def do(at: Place, worker: Worker, **data: object) -> Data:
    """What the station's job does. Raises JobFailed."""

    async def job() -> Data:
        return await worker(at, data, lambda told: None)

    return asyncio.run(job())


def install(place: Place, bundle: Path) -> Data:
    shutil.copy(bundle, downloads(place.state_dir) / IMAGE)
    return do(place, firmware.install, running="0.1.0", downgrade=False)


def left(board: RaucBoard, slot: str) -> int:
    """Attempts that the boot loader still gives it."""
    return int((board.home / "env" / f"BOOT_{slot}_LEFT").read_text())


def booted(place: Place) -> Booted:
    return Booted(**do(place, firmware.booted))


@req("L01.FR.28", "L01.FR.32")
def test_the_other_slot_is_written_chosen_and_proved_or_left(board: RaucBoard, place: Place) -> None:
    bundle, content = board.bundle("good")
    before = board.slots["A"].read_bytes()
    assert install(place, bundle) == {"place": "B", "version": "0.2.0"}
    assert board.slots["B"].read_bytes() == content and board.slots["A"].read_bytes() == before
    assert booted(place) == Booted("A"), "written, and not chosen yet"
    do(place, firmware.switch, place="B")
    assert booted(place) == Booted("B") and board.boots == "AB"
    assert left(board, "B") == 2
    do(place, firmware.confirm, place="B")
    assert left(board, "B") == 3
    do(place, firmware.back, place="B")
    assert booted(place) == Booted("A", ("B",)) and board.boots == "ABA"
    with pytest.raises(JobFailed, match="B is marked bad"):
        do(place, firmware.back, place="")


@req("L01.FR.29")
def test_what_does_not_fit_is_refused_with_a_reason_and_not_written(board: RaucBoard, place: Place) -> None:
    good, _ = board.bundle("fits", "0.3.0")
    (short := board.home / "short").write_bytes(good.read_bytes()[:-5000])
    damaged = bytearray(good.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (other := board.home / "damaged").write_bytes(damaged)
    stranger = board.bundle("stranger", by=root("Stranger", days=3650, since=-30))[0]
    before = board.slots["B"].read_bytes()
    for bundle, why in (
        (stranger, "signature verification failed: Verify error: self-signed certificate"),
        (board.bundle("single", compatible="single")[0], "it is for 'single', this is 'twin'"),
        (board.bundle("old", "0.0.9")[0], "version 0.0.9 is older than 0.1.0"), (short, "Invalid bundle format"),
        (other, "signature verification failed"),
    ):  # fmt: skip
        with pytest.raises(JobFailed, match=why) as failed:
            install(place, bundle)
        assert failed.value.data["unfit"] is True
    assert board.slots["B"].read_bytes() == before and booted(place) == Booted("A")


def test_why_an_installation_failed_is_found_among_its_progress(board: RaucBoard, place: Place) -> None:
    bundle = board.bundle("large")[0]
    slot, aside = board.slots["B"], board.home / "aside"
    slot.rename(aside)
    try:
        with pytest.raises(JobFailed, match=r"b\.img") as failed:
            install(place, bundle)
    finally:
        aside.rename(slot)
    assert "unfit" not in failed.value.data


def test_a_new_firmware_that_does_not_boot_is_given_up_by_the_boot_loader(board: RaucBoard, place: Place) -> None:
    install(place, board.bundle("dead")[0])
    (board.home / "deadB").touch()
    do(place, firmware.switch, place="B")
    assert booted(place) == Booted("A", ("B",)) and board.boots == "ABBBA"


def test_an_installation_that_outlived_its_agent_is_waited_for(board: RaucBoard, place: Place) -> None:
    """RAUC's service goes on, has made the bundle its own, and answers nothing meanwhile."""
    bundle, content = board.bundle("twice")
    (board.home / "slowly").touch()
    (board.home / "began").unlink(missing_ok=True)
    shutil.copy(bundle, image := downloads(place.state_dir) / IMAGE)
    with subprocess.Popen([board.rauc, "install", image], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        until_blocking((board.home / "began").exists, 60)
        release = threading.Timer(1.0, (board.home / "slowly").unlink)
        release.start()
        assert do(place, firmware.install, running="0.1.0", downgrade=False)["place"] == "B"
        release.join()
    assert board.slots["B"].read_bytes() == content


# ---------------------------------------------------------------------------------------- below the agent


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, board: RaucBoard) -> Iterator[RealBench]:
    """A station whose firmware is an image of that board."""
    home = tmp_path_factory.mktemp("ab")
    planned = replace(plan(home, **{"FwCtrlr.HealthGate": "15"}), installer={"installer": "rauc", **options(board)})
    with RealBench(planned) as running:
        running.wait_until("BootNotification", lambda: running.calls("BootNotification"))
        wanted = {"certificateType": "ManufacturerRootCertificate", "certificate": MAKER.pem}
        assert running.call("InstallCertificate", wanted)["status"] == "Accepted"
        yield running


def update(bench: RealBench, number: int, bundle: Path, end: str) -> list[str]:
    """UpdateFirmware, due at once, to its end; the statuses told."""
    content = bundle.read_bytes()
    wanted = {
        "location": bench.offer(f"fw{number}", content, 0.5), "retrieveDateTime": "2020-01-01T00:00:00Z",
        "signingCertificate": SIGNER.pem, "signature": signature(content, SIGNER),
    }  # fmt: skip
    assert bench.call("UpdateFirmware", {"requestId": number, "firmware": wanted})["status"] == "Accepted"
    bench.wait_until(end, lambda: end in told(bench, number), LONG_S)
    return told(bench, number)


def told(bench: RealBench, number: int) -> list[str]:
    found = [f.payload for f in bench.calls("FirmwareStatusNotification") if f.payload.get("requestId") == number]
    return list(dict.fromkeys(payload["status"] for payload in found))


@req("L01.FR.01", "L01.FR.28", "L01.FR.29", "L01.FR.31", "L01.FR.32")
def test_the_csms_updates_a_board_of_two_slots(place: Place, board: RaucBoard, bench: RealBench) -> None:
    way = ["Downloading", "Downloaded", "SignatureVerified", "Installing"]
    bundle, content = board.bundle("ocpp", "0.2.0")
    assert update(bench, 1, bundle, "Installed") == [*way, "InstallRebooting", "Installed"]
    assert board.boots[-1] == "B" and board.slots["B"].read_bytes() == content and booted(place) == Booted("B")
    foreign = board.bundle("foreign", "0.3.0", by=root("Foreign", days=3650, since=-30))[0]
    assert update(bench, 2, foreign, "InstallVerificationFailed") == [*way, "InstallVerificationFailed"]
    assert "signature verification failed" in (ask(bench.rig, "fw.status") or {})["why"]
    assert chargerctl(bench.rig, "fw", "rollback").returncode == 0
    bench.wait_until("slot A", lambda: board.boots[-1] == "A" and fw_state(bench) == "idle", LONG_S)
    assert left(board, "A") == 2
    bench.lose_power()
    bench.return_power()
    bench.wait_until("a start without an update is marked good", lambda: left(board, "A") == 3)


def fw_state(bench: RealBench) -> str:
    return str((ask(bench.rig, "fw.status") or {}).get("state"))
