"""The security log: append-only, bounded, readable by window, for the agent's user only."""

from __future__ import annotations

import json
from pathlib import Path

from agent.io.security_log import SecurityLog

HOUR_MS = 3_600_000


def test_what_was_written_is_read_back_by_its_window(tmp_path: Path) -> None:
    log = SecurityLog(tmp_path)
    for hour in range(5):
        log.append(hour * HOUR_MS, "SettingSystemTime", f"event {hour}")
    window = [json.loads(line)["info"] for line in log.read(HOUR_MS, 3 * HOUR_MS)]
    assert window == ["event 1", "event 2", "event 3"]
    assert len(list(log.read())) == 5
    assert (tmp_path / "security.log").stat().st_mode & 0o777 == 0o600


def test_it_stays_in_its_bound_and_keeps_the_newest(tmp_path: Path) -> None:
    log = SecurityLog(tmp_path, size_limit=4000)
    for number in range(100):
        log.append(number, "InvalidMessages", "x" * 100 + str(number))
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 4500
    assert json.loads(list(log.read())[-1])["info"].endswith("99")


def test_a_line_torn_by_a_power_cut_costs_that_line_only(tmp_path: Path) -> None:
    log = SecurityLog(tmp_path)
    log.append(None, "StartupOfTheDevice", "first\nwith a line feed")
    with (tmp_path / "security.log").open("a") as file:
        file.write('{"ts": null, "type": "Rese')
    log.append(7, "ResetOrReboot", "second")
    assert [json.loads(line)["info"] for line in log.read()] == ["first\nwith a line feed", "second"]


def test_a_full_or_missing_disk_is_no_reason_to_stop(tmp_path: Path) -> None:
    log = SecurityLog(tmp_path / "nowhere")
    log.append(1, "MemoryExhaustion", "lost")
    assert list(log.read()) == []
