"""Figures: how samples become numbers, how they are printed and kept as JSON."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("results")
PACKAGES = ("ocpp", "websockets", "pymodbus", "pyserial", "sqlitedict", "transitions")


@dataclass(frozen=True)
class Figure:
    """One number, what it says, and the budget it should stay below or above, if DESIGN gives one."""

    name: str
    value: float
    unit: str
    samples: int = 1
    below: float | None = None
    above: float | None = None

    @property
    def within(self) -> bool | None:
        """Whether the budget holds; None when there is none."""
        if self.below is None and self.above is None:
            return None
        low = self.above is None or self.value > self.above
        return low and (self.below is None or self.value < self.below)

    def __str__(self) -> str:
        budget = f"budget < {self.below:g}" if self.below is not None else ""
        budget = f"budget > {self.above:g}" if self.above is not None else budget
        verdict = {None: "", True: "ok", False: "MISSED"}[self.within]
        count = f"n={self.samples}" if self.samples > 1 else ""
        return f"{self.name:<52}{self.value:>12.3f} {self.unit:<8}{count:<8}{budget:<18}{verdict}".rstrip()


def quantile(samples: Sequence[float], share: float) -> float:
    """The sample below which `share` of them lie, by nearest rank."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def spread(name: str, samples: Sequence[float], unit: str, **budgets: float) -> list[Figure]:
    """Least, median and 99th percentile; budgets by name: p50, p99, min."""
    values = {"min": min(samples), "p50": statistics.median(samples), "p99": quantile(samples, 0.99)}
    return [
        Figure(f"{name}, {which}", value, unit, len(samples), below=budgets.get(which))
        for which, value in values.items()
    ]


def keep(name: str, figures: Sequence[Figure]) -> Path:
    """Write the figures with the machine they were measured on; returns the file."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    body = {
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": _machine(),
        "figures": [asdict(figure) | {"within": figure.within} for figure in figures],
    }
    path.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
    return path


def _machine() -> dict[str, Any]:
    described = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in described if line.startswith("model name")]
    return {
        "cpu": names[0] if names else platform.machine(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
    }
