"""`python -m benchmarks [NAME...]`: measure, print, and keep the results in benchmarks/results/NAME.json."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from importlib import import_module

from benchmarks.figures import keep

NAMES = (
    "startup", "footprint", "calls", "reaction", "authorization", "reports", "control_gap", "storage", "composite",
    "wear",
)  # fmt: skip


def main(names: Sequence[str]) -> int:
    """Run the named measurements, or all; 2 for an unknown name. A missed budget only prints."""
    unknown = set(names) - set(NAMES)
    if unknown:
        print(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}", file=sys.stderr)
        return 2
    for name in names or NAMES:
        figures = asyncio.run(import_module(f"benchmarks.{name}").measure())
        path = keep(name, figures)
        print(f"\n{name} ({path.name})")
        print("\n".join(f"  {figure}" for figure in figures), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
