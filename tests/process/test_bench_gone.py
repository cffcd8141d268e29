"""A bench that is killed takes its agents along: one that went on would speak on the ptys of the next bench."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from hil.agent_process import SOURCES, WITH_THE_BENCH

BENCH = """
import sys
from pathlib import Path
from hil.real_bench import RealBench
from tests.process.benches import plan, ready
with RealBench(plan(Path(sys.argv[1])), tell=lambda text: None) as bench:
    ready(bench)
    print(bench.rig.agent.pid, flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(not WITH_THE_BENCH, reason="there is no setpriv here")
def test_no_agent_outlives_a_bench_that_was_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", BENCH, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=SOURCES) as bench:
        assert bench.stdout is not None
        agent = os.pidfd_open(int(bench.stdout.readline()))
        assert not select.select([agent], [], [], 0)[0]
        bench.kill()
        assert select.select([agent], [], [], 10)[0], "the agent lives on"
    os.close(agent)
