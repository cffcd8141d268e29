"""The service manager's protocol, why we booted, one process per state directory, and when UTC is believed."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from agent.io.clock import SystemClock
from agent.io.system import BootMarker, ServiceManager, lock_state
from tests.io.waiting import until_blocking


def test_the_service_manager_is_told_and_its_watchdog_fed_no_more_than_needed(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        service = ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "10000000"})
        service.ready()
        for _ in range(50):
            service.alive()
        service.status("connected\nREADY=0")
        service.status("connected READY=0")
        service.stopping()
        heard = [manager.recv(200).decode() for _ in range(4)]
        assert heard == ["READY=1", "WATCHDOG=1", "STATUS=connected READY=0", "STOPPING=1"]
        with pytest.raises(BlockingIOError):
            manager.recv(200)


def test_without_a_service_manager_or_when_it_is_gone_nothing_happens(tmp_path: Path) -> None:
    for environment in ({}, {"NOTIFY_SOCKET": str(tmp_path / "gone")}, {"NOTIFY_SOCKET": "@abstract-gone"}):
        ServiceManager(environment).ready()


def test_a_watchdog_meant_for_another_process_is_not_fed(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "1000"}
        ServiceManager({**environment, "WATCHDOG_PID": "1"}).alive()
        with pytest.raises(BlockingIOError):
            manager.recv(200)
        ServiceManager({**environment, "WATCHDOG_PID": str(os.getpid())}).alive()
        assert manager.recv(200) == b"WATCHDOG=1"


@pytest.mark.parametrize(
    ("kernel", "clean", "watchdog", "reason"),
    [
        ("k1", None, True, "PowerUp"),
        ("k2", True, True, "PowerUp"),
        ("k2", False, True, "PowerUp"),
        ("k1", True, True, "ApplicationReset"),
        ("k1", False, True, "Watchdog"),
        ("k1", False, False, "PowerUp"),
    ],
)
def test_why_we_booted(tmp_path: Path, kernel: str, clean: bool | None, watchdog: bool, reason: str) -> None:
    if clean is not None:
        BootMarker(tmp_path / "boot.json", "k1").write(clean)
    assert BootMarker(tmp_path / "boot.json", kernel).begun(watchdog)[0] == reason


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", "\x00\x01", '{"kernel_boot": 1}'])
def test_a_marker_that_cannot_be_read_means_power_up(tmp_path: Path, content: str) -> None:
    (tmp_path / "boot.json").write_text(content)
    assert BootMarker(tmp_path / "boot.json", "k1").begun(True) == ("PowerUp", 0)


def test_failed_starts_are_counted_until_one_lives_or_ends_well(tmp_path: Path) -> None:
    path = tmp_path / "boot.json"
    assert [BootMarker(path, "k1").begun(True)[1] for _ in range(4)] == [0, 1, 2, 3]
    survivor = BootMarker(path, "k1")
    assert survivor.begun(True)[1] == 4
    survivor.lived()
    assert [BootMarker(path, "k1").begun(True)[1] for _ in range(3)] == [0, 1, 2]
    BootMarker(path, "k1").write(clean=True)
    assert BootMarker(path, "k1").begun(True) == ("ApplicationReset", 0)
    assert [BootMarker(path, "k1").begun(True)[1] for _ in range(2)] == [1, 2]
    assert BootMarker(path, "k2").begun(True) == ("PowerUp", 0), "a board that lost power has not failed"


def test_one_process_per_state_directory(tmp_path: Path) -> None:
    first = lock_state(tmp_path)
    assert first is not None
    assert lock_state(tmp_path) is None
    first.close()
    again = lock_state(tmp_path)
    assert again is not None
    again.close()


def test_utc_is_unknown_until_the_system_clock_is_trusted() -> None:
    asked: list[int] = []

    def doubts() -> bool:
        asked.append(1)
        return False

    doubtful = SystemClock(doubts)
    until_blocking(lambda: doubtful.now() and asked)
    assert doubtful.now().utc_ms is None
    trusting = SystemClock(lambda: True)
    until_blocking(lambda: trusting.now().utc_ms is not None)
    moment = trusting.now()
    assert moment.utc_ms is not None
    assert moment.mono_ms < 60_000


def test_monotonic_time_begins_with_the_clock_and_never_goes_back() -> None:
    clock = SystemClock()
    moments = [clock.now().mono_ms for _ in range(1000)]
    assert moments == sorted(moments)
    assert moments[0] < 1000
