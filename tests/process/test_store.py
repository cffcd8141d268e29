"""The real agent on a disk that is full, and on a store that is damaged (issue: the store at process level)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from hil.judge import broken
from hil.real_bench import RealBench
from tests.marks import req
from tests.process.benches import CARDS, ask, charge, evse_of, leave, plan, ready
from tests.process.mounts import SmallDisk, small_disk

KEYS = {"SampledDataCtrlr.TxUpdatedInterval": "2"}
PATIENT_S = 60


def security_events(bench: RealBench) -> list[str]:
    return [frame.payload["type"] for frame in bench.calls("SecurityEventNotification")]


def log(bench: RealBench) -> str:
    return bench.rig.agent.log.read_text(errors="replace")


# ---------------------------------------------------------------------------------------- no room


@req("A04.FR.01", "A04.FR.02")
@pytest.mark.parametrize("meanwhile", ["lives", "killed", "rebooted"])
def test_a_full_disk_under_a_session(tmp_path: Path, meanwhile: str) -> None:
    """Charging goes on, it is reported, nothing new is energised, nothing told is lost, and then writing goes on."""
    with small_disk(tmp_path / "b" / "state", "3m") as disk, RealBench(plan(tmp_path, **KEYS)) as bench:
        ready(bench)
        charge(bench, 1)
        fill_up(bench, disk)
        before = bench.energy_wh(1)
        bench.wait_until("energy on a full disk", lambda: bench.energy_wh(1) > before + 6, PATIENT_S)
        assert min(bench.amps(1)) > 15.9

        bench.plug(2, amps=16)
        bench.present(CARDS[2], 2)
        bench.wait_until("more energy", lambda: bench.energy_wh(1) > before + 15, PATIENT_S)
        assert not bench.closed(2), "energised although the transaction is not on flash"
        if meanwhile != "lives":
            start_again(bench, disk, killed=meanwhile == "killed")
        disk.empty()
        bench.wait_until("room", lambda: "takes records again" in log(bench), PATIENT_S)
        bench.wait_until("EVSE 1 charges", lambda: min(bench.amps(1)) > 5.9, PATIENT_S)
        if not authorised(bench, 2):
            bench.present(CARDS[2], 2)
        bench.wait_until("EVSE 2 charges", lambda: min(bench.amps(2)) > 5.9, PATIENT_S)
        leave(bench)
        assert broken(bench) == []


def fill_up(bench: RealBench, disk: SmallDisk) -> None:
    """Until a batch could not be written although the reserve was given up, and everybody knows."""
    disk.fill()

    def refused() -> bool:
        if not (disk.path / "journal.db.reserve").exists():
            disk.fill()
        return "a batch could not be written" in log(bench)

    bench.wait_until("a refused batch", refused, PATIENT_S)
    bench.wait_until("the CSMS is told", lambda: "MemoryExhaustion" in security_events(bench), PATIENT_S)
    bench.wait_until("a person is told", lambda: ask(bench.rig, "status")["store"] == "full", PATIENT_S)


def start_again(bench: RealBench, disk: SmallDisk, killed: bool) -> None:
    """On the disk that is still full; a reboot has lost the `-shm` of the store, and there is no room for another."""
    if killed:
        bench.crash(0.0, 1.0)
    else:
        assert bench.stop_agent() == 0
        (disk.path / "journal.db-shm").unlink()
        disk.fill()
        bench.start_agent()
    bench.wait_until("the agent is back", lambda: bench.rig.agent.starts == 2 and pilots_seen(bench), PATIENT_S)
    assert ask(bench.rig, "status")["store"] == "full"
    found = evse_of(bench.rig, 1)
    assert found is not None and found["transaction"], "the start has not read the store"


def authorised(bench: RealBench, evse: int) -> bool:
    found = evse_of(bench.rig, evse)
    return found is not None and bool(found["authorised"])


def pilots_seen(bench: RealBench) -> bool:
    found = [evse_of(bench.rig, evse) for evse in (1, 2)]
    return all(e is not None and e["pilot"] is not None and e["contactor"] != "unseen" for e in found)


# ---------------------------------------------------------------------------------------- damage


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])


def bits_flipped(path: Path) -> None:
    """One bit in every page but the first: headers, cells and free space alike."""
    data, rng = bytearray(path.read_bytes()), Random(7)
    for page in range(512, len(data), 512):
        data[page + rng.randrange(16)] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


@req("A04.FR.01")
@pytest.mark.parametrize("damage", [truncated, bits_flipped], ids=lambda d: d.__name__)
def test_a_damaged_store_is_set_aside_and_the_station_charges(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    with RealBench(plan(tmp_path, **KEYS)) as bench:
        ready(bench)
        charge(bench, 1)
        bench.wait_until("some energy", lambda: bench.energy_wh(1) > 10)
        assert bench.stop_agent() == 0
        store = bench.rig.home / "state" / "journal.db"
        damage(store)
        before = bench.energy_wh(1)
        bench.start_agent()
        bench.wait_until("it is reported", lambda: security_events(bench).count("StoreDamaged") == 1, PATIENT_S)
        bench.wait_until("EVSEs seen", lambda: pilots_seen(bench), PATIENT_S)
        assert store.with_name("journal.db.damaged-1").exists()

        found = evse_of(bench.rig, 1)
        if found is None or found["transaction"] is None:
            bench.wait(3)
            assert not bench.closed(1) and bench.energy_wh(1) == before, "closed without an authorisation"
            bench.present(CARDS[1], 1)
        bench.wait_until("EVSE 1 charges", lambda: min(bench.amps(1)) > 5.9, PATIENT_S)
        bench.unplug(1)
        bench.wait_until("open", lambda: not bench.closed(1))
        bench.wait_until("its end is told", lambda: bench.transactions()[-1].ended, PATIENT_S)
        assert bench.stop_agent() == 0
        bench.start_agent()
        bench.wait_until("a good store", lambda: pilots_seen(bench), PATIENT_S)
        assert security_events(bench).count("StoreDamaged") == 1
