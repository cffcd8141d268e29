"""The same scripts against the real process, over a real websocket and real wires."""

from __future__ import annotations

import socket
from pathlib import Path
from xml.etree import ElementTree

import pytest

from hil.certification import CASES, certify, features
from hil.cli import main
from hil.plan import load
from tests.marks import req

REAL = ("TC_A_11", "TC_E_14", "TC_E_29")


@pytest.mark.parametrize("case", [pytest.param(id, marks=req(*CASES[id].row.requirements)) for id in REAL])
def test_a_case_passes_on_real_wires(case: str, tmp_path: Path) -> None:
    verdicts = list(certify.certify(load(certify.BENCH), [CASES[case]], features.load(), "local", tmp_path))
    assert [(v.outcome, v.reason) for v in verdicts] == [("passed", "")]
    assert list(tmp_path.iterdir()) == []


def test_the_command_plays_a_case_at_the_address_that_it_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    junit = tmp_path / "verdicts.xml"
    listen = f"ws://127.0.0.1:{port}/somewhere"
    assert main(["certify", "--case", "TC_E_28", "--csms-listen", listen, "--junit", str(junit)]) == 0
    assert "1 passed" in capsys.readouterr().out
    assert ElementTree.parse(junit).getroot()[0].get("failures") == "0"
