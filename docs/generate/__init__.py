"""Generators of everything in the repository that is derived from something else."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path


def write_or_check(generator: str, wanted: Mapping[Path, str], argv: Sequence[str]) -> int:
    """Write the documents that are not as `wanted`; with --check only name them, and the exit code is 1."""
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text("utf-8") != text]
    for path in stale:
        if "--check" in argv:
            print(f"{path.name} is stale: run python -m docs.generate.{generator}", file=sys.stderr)
        else:
            path.write_text(wanted[path], "utf-8")
    return int(bool(stale) and "--check" in argv)
