"""`hil`: the bench on the command line."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from hil.control import Control
from hil.cutter import Address
from hil.plan import DEFAULT, BenchPlan, PlanError, load
from hil.rig import Rig

if TYPE_CHECKING:
    from hil.bench import Bench
    from hil.real_bench import RealBench

GENERATED = Path()
"""Given by `--agent` without a file: the board.toml that the bench writes itself."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a sub-command. Exit code 0: done; 1: a scenario failed; 2: wrong usage or an unusable file."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["csms"]:
        from hil.csms import main as csms

        return csms(arguments[1:])
    if arguments[:1] == ["demo"]:
        from hil.demo import main as demo

        return demo(arguments[1:])
    if arguments[:1] == ["certify"]:
        from hil.certification.certify import main as certify

        return certify(arguments[1:])
    options = _options(arguments)
    try:
        plan = load(options.bench)
        if options.command == "serve":
            return _serve(plan, options)
        return _run(plan, options.scenario) if options.command == "run" else _live_with(plan, options.persona)
    except (PlanError, OSError, ValueError) as error:
        print(f"hil: {error}", file=sys.stderr)
        return 2


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    from hil.personas import PERSONAS
    from hil.scenarios import SCENARIOS

    parser = argparse.ArgumentParser(prog="hil", description="The chargerd test bench; see hil/README.md.")
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="offer a bench and its HTTP control until interrupted")
    serve.add_argument("--control", type=_address, default=Address("127.0.0.1", 0), metavar="HOST:PORT")
    serve.add_argument(
        "--agent", type=Path, nargs="?", const=GENERATED, metavar="BOARD.toml",
        help="also start the agent, on this file or on the board.toml that the bench writes",
    )  # fmt: skip
    serve.add_argument("--csms", type=_address, metavar="HOST:PORT", help="overrides network.target")
    run = commands.add_parser("run", help="run a scenario with agent and bench CSMS; print a verdict")
    run.add_argument("scenario", choices=sorted(SCENARIOS))
    persona = commands.add_parser("persona", help="let the agent live with a backend as it is found in the field")
    persona.add_argument("persona", choices=sorted(PERSONAS))
    for command in (serve, run, persona):
        command.add_argument("--bench", type=Path, default=DEFAULT, metavar="FILE")
    commands.add_parser("csms", help="the bench CSMS alone (hil csms --help)")
    commands.add_parser("certify", help="certification cases against the real process (hil certify --help)")
    commands.add_parser("demo", help="a minute in the life of a charger, to look at (hil demo --help)")
    return parser.parse_args(arguments)


def _address(text: str) -> Address:
    try:
        return Address.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _serve(plan: BenchPlan, options: argparse.Namespace) -> int:
    rig = Rig(plan, options.csms)
    if options.agent not in (None, GENERATED):
        rig.agent.board = options.agent
        if not options.agent.is_file():
            raise PlanError(f"{options.agent}: no such file, expected the agent's board.toml")
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve_until_stopped(rig, options.control, options.agent is not None))
    return 0


async def _serve_until_stopped(rig: Rig, address: Address, agent: bool) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    control = Control(rig)
    try:
        await rig.open()
        where = await control.open(address)
        if agent:
            rig.start_agent()
        print(f"bench in {rig.home}, control on http://{where}, agent's file {rig.agent.board}", flush=True)
        await stopped.wait()
    finally:
        await control.close()
        await rig.agent.terminate()
        await rig.close()


def _run(plan: BenchPlan, name: str) -> int:
    from hil.real_bench import RealBench
    from hil.scenarios import SCENARIOS

    return _play(RealBench(plan, tell=lambda text: print(text, flush=True)), name, SCENARIOS[name])


def _live_with(plan: BenchPlan, name: str) -> int:
    from hil.personas import PERSONAS
    from hil.real_bench import RealBench

    bench = RealBench(plan, tell=lambda text: print(text, flush=True))
    PERSONAS[name].behave(bench.behaviour)
    return _play(bench, name, PERSONAS[name].brief)


def _play(unopened: RealBench, name: str, story: Callable[[Bench], None]) -> int:
    from hil.bench import ScenarioFailed

    with unopened as bench:
        try:
            story(bench)
        except ScenarioFailed as failure:
            bench.check(str(failure), False)
        verdict = "PASSED" if bench.passed else "FAILED"
        held = sum(check.holds for check in bench.checks)
        print(f"{name}: {verdict}, {held} of {len(bench.checks)} checks hold; files in {bench.rig.home}")
        return 0 if bench.passed else 1
