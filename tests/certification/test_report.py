"""What `hil certify` prints and writes, and how it is asked."""

from __future__ import annotations

import json
import socket
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from hil.certification import Verdict, report
from hil.cli import main

VERDICTS = [
    Verdict("TC_E_04", "local", 1, "passed", "", 4.25),
    Verdict("TC_E_12", "local", 0, "not applicable", "C-09.6: the bay has no detector"),
    Verdict("TC_J_09", "remote", 2, "failed", "measurands missing among ['Voltage'] is [...] <&>\nlast steps", 12.0),
]


def test_a_line_names_case_place_verdict_and_the_first_line_of_the_reason() -> None:
    passed, skipped, failed = (report.line(verdict) for verdict in VERDICTS)
    assert passed.split()[:6] == ["TC_E_04", "local", "EVSE", "1", "passed", "4.2"]
    assert "Authorization first" in passed and skipped.endswith("C-09.6: the bay has no detector")
    assert "failed" in failed and "last steps" not in failed
    assert report.summary(VERDICTS) == "1 passed, 1 failed, 1 not applicable"


def test_junit_has_a_suite_per_block_with_failures_and_reasons() -> None:
    top = ElementTree.fromstring(report.junit(VERDICTS))
    block_e, block_j = top
    assert (block_e.get("name"), block_e.get("tests"), block_e.get("skipped")) == ("E", "2", "1")
    assert (block_j.get("failures"), block_j.get("time")) == ("1", "12.000")
    failure, skipped = top.find(".//failure"), top.find(".//skipped")
    assert failure is not None and failure.text is not None and failure.text.endswith("last steps")
    assert skipped is not None and skipped.get("message") == "C-09.6: the bay has no detector"


def test_html_is_one_page_with_everything_escaped() -> None:
    page = report.html(VERDICTS)
    assert page.startswith("<!DOCTYPE html>") and "1 passed, 1 failed" in page
    assert "&lt;&amp;&gt;" in page and "<&>" not in page and "J02.FR.11" in page


def test_a_record_keeps_the_last_verdict_of_each_case(tmp_path: Path) -> None:
    file = tmp_path / "record.json"
    report.record(file, VERDICTS)
    report.record(file, [replace(VERDICTS[2], outcome="passed", reason="")])
    kept = json.loads(file.read_text(encoding="utf-8"))
    assert {case: verdict["outcome"] for case, verdict in kept.items()} == {
        "TC_E_04": "passed", "TC_E_12": "not applicable", "TC_J_09": "passed",
    }  # fmt: skip
    assert "reason" in kept["TC_E_12"] and "reason" not in kept["TC_J_09"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--case", "TC_Z_99"], "no such case"),
        (["--profile", "advanced"], "of the profiles advanced-"),
        (["--bench", "nowhere.toml"], "nowhere.toml"),
        (["--features", "nowhere.toml"], "nowhere.toml"),
        (["--evse", "7"], "has no EVSE 7; there are [1, 2]"),
    ],
)
def test_wrong_usage_is_exit_code_2_with_a_reason(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["certify", *arguments]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--csms-listen", "http://x"], ["--csms-listen", "ws://:1"], ["--way", "up"]])
def test_unknown_words_are_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["certify", *arguments])
    assert stop.value.code == 2


def test_an_address_in_use_is_exit_code_2_with_a_reason(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"ws://127.0.0.1:{taken.getsockname()[1]}/ocpp"
        assert main(["certify", "--case", "TC_E_28", "--csms-listen", listen]) == 2
    assert "in use" in capsys.readouterr().err


def test_what_does_not_apply_is_said_and_written_without_a_bench(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    junit, page = tmp_path / "j.xml", tmp_path / "j.html"
    assert main(["certify", "--case", "TC_E_46", "--junit", str(junit), "--html", str(page)]) == 0
    said = capsys.readouterr().out
    assert "no ISO 15118 controller" in said and "0 passed, 0 failed, 1 not applicable" in said
    assert "ISO15118" in junit.read_text() and "ISO15118" in page.read_text()
