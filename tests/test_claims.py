"""What the documents claim has a test that passes: CI asks for it after the tests (`make proven`)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from docs.generate import feature_matrix, requirements

ROOT = Path(__file__).resolve().parent.parent


def test_every_claim_needs_a_test_that_passed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    claimed = sorted(set(requirements.claims()) & {requirement.id for requirement in requirements.requirements()})
    passed = tmp_path / "passed.json"
    passed.write_text(json.dumps(claimed))
    assert requirements.main(["--passed", str(passed)]) == 0
    passed.write_text(json.dumps([id_ for id_ in claimed if id_ != "F05.FR.05"]))
    assert requirements.main(["--passed", str(passed)]) == 1
    assert "F05.FR.05: claimed in tests/blocks/test_f_unlock.py" in capsys.readouterr().err


PLAY = """
from tests.marks import req
import pytest

@req("X01.FR.01")
def test_passes(): pass

@req("X01.FR.02")
def test_fails(): assert False

@req("X01.FR.03")
def test_is_skipped(): pytest.skip("no")
"""


def test_only_tests_that_passed_prove_anything(tmp_path: Path) -> None:
    """Through two workers, as `make test` runs them."""
    play, passed = tmp_path / "test_play.py", tmp_path / "deep" / "passed.json"
    play.write_text(PLAY)
    (tmp_path / "conftest.py").write_text("from tests.conftest import *\n")
    command = [sys.executable, "-m", "pytest", "-n2", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(play)]
    subprocess.run([*command, "--passed", str(passed)], cwd=ROOT, capture_output=True, timeout=120, check=False)
    assert json.loads(passed.read_text()) == ["X01.FR.01"]


def test_a_message_that_no_test_proves_is_complained_about() -> None:
    found = feature_matrix.matrix()
    assert len({row["message"] for row in found["messages"]}) == 64 and feature_matrix.complaints(found) == []
    for row in found["messages"]:
        assert (row["state"] in ("implemented", "partly")) == bool(row.get("proofs")) == bool(row.get("maturity"))
        assert row["state"] != "not" or all(row["reasons"])
    broken = {**found, "messages": [{**found["messages"][0], "state": "untested"}]}
    assert feature_matrix.complaints(broken) == [f"{found['messages'][0]['message']}: no test proves it"]
