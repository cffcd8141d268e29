"""The bench as scenarios and people use it: RealBench and the command line (no agent yet at its ports)."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest

from hil.bench import Bench, ScenarioFailed
from hil.cli import main
from hil.plan import DEFAULT, load
from hil.real_bench import RealBench


def test_a_scenario_sees_what_the_instruments_do(tmp_path: Path) -> None:
    told: list[str] = []
    plan = replace(load(DEFAULT), directory=tmp_path / "bench")
    with RealBench(plan, agent=False, tell=told.append) as real:
        bench: Bench = real
        start = bench.now()
        bench.plug(2, amps=16, phases=1)
        assert bench.wait_until("pilot B", lambda: real.rig.outlet(2).stage.pilot == "B")
        assert bench.amps(2) == (0, 0, 0)
        assert bench.peak_amps(2, start) == 0
        assert not bench.closed(2)
        bench.present("04a1b2c3", 2)
        bench.cut()
        bench.restore()
        bench.lose_power()
        bench.return_power()
        assert bench.calls() == []
        assert bench.transactions() == []
        assert bench.violations() == []
        with pytest.raises(ScenarioFailed, match="a miracle"):
            bench.wait_until("a miracle", lambda: False, 0.1)
        with pytest.raises(ConnectionError):
            bench.call("Reset", {"type": "Immediate"})
        assert not real.passed
        bench.check("something", True)
        assert real.passed
        bench.check("something else", False, "found this")
        assert not real.passed
    assert told[-1].endswith("FAIL something else (found this)")
    assert not (tmp_path / "bench" / "rs485").is_symlink()


def test_serve_prints_where_it_is_and_stops_on_sigterm(tmp_path: Path) -> None:
    bench = tmp_path / "bench.toml"
    text = DEFAULT.read_text().replace("[bench]", '[bench]\ndirectory = "here"')
    bench.write_text(text.replace("[network]", '[network]\ntarget = "127.0.0.1:9"'))
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; from hil.cli import main; sys.exit(main())",
            "serve",
            "--bench",
            bench,
        ],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    try:
        line = first_line(process)
        assert str(tmp_path / "here") in line
        url = line.split("control on ")[1].split(",")[0]
        with urllib.request.urlopen(f"{url}/health", timeout=10) as answer:
            assert json.load(answer)["ok"] is True
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert (tmp_path / "here" / "board.toml").is_file()
    finally:
        process.kill()


def first_line(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    deadline, got = time.monotonic() + 20, b""
    while not got.endswith(b"\n") and time.monotonic() < deadline:
        if select.select([process.stdout], [], [], 1)[0]:
            got += os.read(process.stdout.fileno(), 1)
    return got.decode()


def test_wrong_usage_is_exit_code_2_with_a_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--bench", str(tmp_path / "none.toml")]) == 2
    assert "none.toml" in capsys.readouterr().err
    assert main(["serve"]) == 2
    assert "network.target" in capsys.readouterr().err
    missing = str(tmp_path / "board.toml")
    assert main(["serve", "--csms", "127.0.0.1:9", "--agent", missing]) == 2
    assert "board.toml" in capsys.readouterr().err
    for wrong in (["run", "a_dream"], ["serve", "--control", "nowhere"], []):
        with pytest.raises(SystemExit) as stop:
            main(wrong)
        assert stop.value.code == 2
