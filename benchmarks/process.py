"""What the kernel says of a process: memory, CPU and bytes to disk, read from /proc."""

from __future__ import annotations

from pathlib import Path


def rss_mb(pid: int) -> float:
    """Resident memory in MB (10^6 bytes)."""
    return _number(pid, "status", "VmRSS:") * 1024 / 1e6


def peak_rss_mb(pid: int) -> float:
    """The most that was ever resident, in MB."""
    return _number(pid, "status", "VmHWM:") * 1024 / 1e6


def cpu_s(pid: int) -> float:
    """CPU seconds of all threads that live now, user and system; exact to the nanosecond."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def disk_bytes(pid: int) -> int:
    """Bytes that the process caused to be sent to the storage layer."""
    return _number(pid, "io", "write_bytes:")


def _number(pid: int, file: str, name: str) -> int:
    lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))
