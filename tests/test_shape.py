"""The architecture, enforced: who may import whom, what pure code may not touch, sizes, the wheel."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PRODUCT = ("agent", "config_keys", "hal", "state_machines")
WHEEL = (*PRODUCT, "hil")
OURS = frozenset((*WHEEL, "benchmarks", "docs", "tests"))
GENERATED = "agent/protocol/validators/*"

PURE_STDLIB = frozenset(
    "__future__ abc base64 bisect collections contextlib copy dataclasses datetime decimal difflib enum"
    " functools hashlib heapq itertools json math operator re string struct textwrap types typing".split()
)
"""What pure code may use of the standard library; `datetime` is for formatting, its clocks are refused."""

BUILTINS = frozenset("open print input exec eval breakpoint".split())
CLOCKS = frozenset(f"{kind}.{name}" for kind in ("datetime", "date") for name in ("now", "utcnow", "today"))


@dataclass(frozen=True)
class Zone:
    """A part of the tree, what of ours it may import, and which packages beside its standard library.

    A name in `ours` covers what is below it. `stdlib` None means all of it: the zone does I/O.
    """

    files: str
    ours: tuple[str, ...]
    packages: tuple[str, ...] = ()
    stdlib: frozenset[str] | None = PURE_STDLIB


CORE = ("agent.core", "config_keys", "state_machines", "hal.ports", "hal.faults")
IO = ("agent.io", "agent.core", "config_keys", "hal.ports")
RANDOM = PURE_STDLIB | {"random"}
LAZY = PURE_STDLIB | {"importlib", "sys"}

# The first zone that fits a file counts (DESIGN: folders, and who may import whom).
ZONES = (
    Zone("config_keys/*", ("config_keys",)),
    Zone("state_machines/*", ("state_machines", "config_keys"), ("transitions",)),
    Zone("hal/ports.py", ()),
    Zone("hal/faults.py", ()),
    Zone("agent/core/*", CORE, stdlib=RANDOM),
    Zone("agent/protocol/v201.py", ("agent.protocol", "agent.core"), ("ocpp",), LAZY),
    Zone("agent/protocol/*", ("agent.protocol", "agent.core"), stdlib=LAZY),
    Zone("agent/blocks/*", (*CORE, "agent.protocol", "agent.blocks")),
    Zone(
        "agent/station*.py", (*CORE, "agent.protocol", "agent.blocks", "agent.station"), stdlib=RANDOM | LAZY
    ),
    Zone("hal/bus.py", ("hal",), ("pymodbus",), None),
    Zone("hal/line.py", ("hal",), ("serial",), None),
    Zone("hal/*", ("hal",), (), None),
    Zone("agent/io/link.py", IO, ("websockets",), None),
    Zone("agent/io/dial.py", IO, ("websockets",), None),
    Zone("agent/io/values.py", IO, ("sqlitedict",), None),
    Zone("agent/io/pki.py", IO, ("cryptography",), None),
    Zone("agent/io/credentials.py", IO, ("cryptography",), None),
    Zone("agent/io/inventory.py", IO, ("cryptography",), None),
    Zone("agent/io/signatures.py", IO, ("cryptography",), None),
    Zone("agent/io/sftp.py", IO, ("asyncssh",), None),
    Zone("agent/io/inquiry.py", IO, ("cryptography",), None),
    Zone("agent/io/status_proofs.py", IO, ("cryptography",), None),
    Zone("agent/io/*", (*IO, "hal.config"), (), None),
    Zone("agent/*", PRODUCT, (), None),
)


def _sources(*folders: str) -> list[Path]:
    """Our own Python files, relative to the root; generated ones left out."""
    found = (path.relative_to(ROOT) for folder in folders for path in sorted((ROOT / folder).rglob("*.py")))
    return [p for p in found if not fnmatch(str(p), GENERATED) and "node_modules" not in p.parts]


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text("utf-8"), str(path))


def _imports(path: Path) -> Iterator[tuple[int, str]]:
    """Every import anywhere in a file, as its line and a full dotted name."""
    package = path.parent.parts
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, (base, node.module)))
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def _covered(name: str, by: tuple[str, ...]) -> bool:
    return any(name == prefix or name.startswith(prefix + ".") for prefix in by)


def _zone(path: Path) -> Zone:
    return next(zone for zone in ZONES if fnmatch(str(path), zone.files))


def _trespasses(path: Path, zone: Zone) -> Iterator[str]:
    for line, name in _imports(path):
        top = name.partition(".")[0]
        if top in OURS:
            allowed = _covered(name, zone.ours)
        elif top in sys.stdlib_module_names:
            allowed = zone.stdlib is None or top in zone.stdlib
        else:
            allowed = top in zone.packages
        if not allowed:
            yield f"{path}:{line} imports {name}"


def test_every_file_imports_only_what_its_folder_may() -> None:
    wrong = [finding for path in _sources(*PRODUCT) for finding in _trespasses(path, _zone(path))]
    assert wrong == []


def test_blocks_do_not_know_each_other() -> None:
    blocks = [p for p in _sources("agent/blocks") if fnmatch(p.name, "[a-z]_*.py")]
    names = tuple(f"agent.blocks.{p.stem}" for p in blocks)
    wrong = [f"{p}:{line} {name}" for p in blocks for line, name in _imports(p) if _covered(name, names)]
    assert wrong == []


def test_the_product_does_not_know_its_bench() -> None:
    aside = ("hil", "tests", "benchmarks", "docs")
    wrong = [
        f"{p}:{line} {name}"
        for p in _sources(*PRODUCT)
        for line, name in _imports(p)
        if _covered(name, aside)
    ]
    assert wrong == []


def _impurities(path: Path) -> Iterator[str]:
    """Clocks, files and the shared random generator, which no import list catches."""
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in BUILTINS or ".".join(called.split(".")[-2:]) in CLOCKS:
                yield f"{path}:{node.lineno} calls {called}"
    for line, name in _imports(path):
        if name.partition(".")[0] == "random" and name != "random.Random":
            yield f"{path}:{line} imports {name}; only the type random.Random"


def test_pure_code_reads_no_clock_no_file_and_no_shared_randomness() -> None:
    pure = [p for p in _sources(*PRODUCT) if _zone(p).stdlib is not None]
    assert [finding for path in pure for finding in _impurities(path)] == []


def _long_functions(path: Path) -> Iterator[str]:
    for node in ast.walk(_tree(path)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert node.end_lineno is not None
            length = node.end_lineno - node.lineno + 1
            if length >= 60:
                yield f"{path}:{node.name} has {length} lines"


def test_functions_stay_below_60_lines_and_files_below_500() -> None:
    files = _sources(*WHEEL, "benchmarks", "docs", "tests")
    assert [finding for path in files for finding in _long_functions(path)] == []
    sizes = {str(path): len((ROOT / path).read_text("utf-8").splitlines()) for path in files}
    assert {path: lines for path, lines in sizes.items() if lines > 500} == {}


def test_the_rules_catch_what_they_forbid() -> None:
    """The checks above on a source that breaks them: none of them passes because it looks at nothing."""
    source = "import asyncio\nfrom hil import rig\nfrom random import choice\nx = datetime.now()\nopen('f')\n"
    path = Path("agent/core/broken_example.py")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"{__name__}._tree", lambda _: ast.parse(source))
        assert len(list(_trespasses(path, _zone(path)))) == 2
        assert len(list(_impurities(path))) == 3


def _tree_contents() -> set[str]:
    """What the wheel should hold: every file of the packages but caches."""
    files = (p for folder in WHEEL for p in (ROOT / folder).rglob("*") if p.is_file())
    return {str(p.relative_to(ROOT)) for p in files if "__pycache__" not in p.parts}


def test_the_wheel_holds_exactly_the_tree(tmp_path: Path) -> None:
    """Built from a copy, so that no build folder is left behind or taken into the next wheel."""
    for folder in WHEEL:
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    build = "from setuptools import build_meta; print(build_meta.build_wheel('dist'))"
    subprocess.run([sys.executable, "-c", build], cwd=tmp_path, check=True, capture_output=True, timeout=300)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    names = {n for n in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in n}
    assert names == _tree_contents()
