"""`hil demo`: a minute in the life of a charger, on real wires, with a live view and a reconciliation at the end."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import TextIO
from urllib.parse import urlsplit

from hil.bench import ScenarioFailed
from hil.csms import CallFailed
from hil.cutter import Address
from hil.demo_screen import Screen, plain, timeline, viewer
from hil.demo_story import FIRST, GRACE_S, Findings, Story
from hil.demo_summary import Evidence, Metered, contradictions, read_journal, summary, told_of
from hil.demo_text import Look
from hil.demo_watch import Watch
from hil.plan import DEFAULT, BenchPlan, load
from hil.real_bench import RealBench

RECONCILED, FAILED, WRONG_USE, INTERRUPTED = 0, 1, 2, 130
CARDS = ("04A1B2C3D4E5F6", "04C7D8E9FA0B1C")
KEYS = {
    "FallbackCtrlr.OfflineGrace": str(GRACE_S),
    "OCPPCommCtrlr.RetryBackOffWaitMinimum": "1",
    "OCPPCommCtrlr.RetryBackOffRandomRange": "1",
    "OCPPCommCtrlr.RetryBackOffRepeatTimes": "0",
}
LOG_TAIL = 15
REACHED_WITHIN_S = 5.0
EPILOG = """\
With --csms your CSMS takes the place of the bench's. What needs its hand is left out (the lower limit, its record),
and the verdict rests on journal and meter. It has to accept both cards (--cards), and the identity's password if it
wants one. The demo connects through a cutter on loopback, so that the network can fail: ws:// only.

exit codes:
  0    everything reconciles
  1    it does not, a rule of the protocol was broken, or something that should happen did not
  2    the command line is wrong, or nobody answers at --csms
  130  interrupted"""


@dataclass(frozen=True)
class Csms:
    """The user's own."""

    address: Address
    path: str


class _Refused(Exception):
    """The demo cannot start; the text says why."""


class _Interrupts:
    """SIGINT, SIGTERM and SIGHUP become KeyboardInterrupt while `armed`, and wait while bench and agent come or go."""

    def __init__(self) -> None:
        self._wanted = False
        self._armed = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._came)

    def arm(self) -> None:
        self._armed = True
        if self._wanted:
            raise KeyboardInterrupt

    def disarm(self) -> None:
        self._armed = False

    def _came(self, number: int, frame: FrameType | None) -> None:
        self._wanted = True
        if self._armed:
            self._armed = False
            raise KeyboardInterrupt


def main(argv: Sequence[str] | None = None) -> int:
    """Play the demo; returns the exit code."""
    options = _options(argv)
    try:
        csms = _csms(options.csms) if options.csms else None
        plan = _plan(options, csms)
    except (_Refused, ValueError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return WRONG_USE
    home = options.home or Path(tempfile.mkdtemp(prefix="chargerd-demo-"))
    code = _play(replace(plan, directory=home), csms, options.cards)
    if code in (RECONCILED, INTERRUPTED) and options.home is None:
        shutil.rmtree(home, ignore_errors=True)
    else:
        print(f"The files of the station are in {home}", flush=True)
    return code


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="hil demo", description="A bench, a CSMS and the agent: two charging sessions with a lower limit, an "
        "outage of the network and a power cut, reconciled to the watt-hour. It takes about a minute.",
        epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--csms", metavar="URL", help="your own CSMS: ws://host:port/path, without the identity")
    parser.add_argument("--identity", default="CD-0001", help="of the station (CD-0001)")
    parser.add_argument("--password", default=os.environ.get("PASSWORD"), help="Basic auth; default: $PASSWORD")
    parser.add_argument("--cards", type=_cards, default=CARDS, metavar="UID,UID", help="what the two drivers show")
    parser.add_argument("--home", type=Path, metavar="DIR", help="keep the station's files there")
    return parser.parse_args(argv)


def _cards(text: str) -> tuple[str, str]:
    cards = [card.strip().upper() for card in text.split(",")]
    if len(cards) != 2 or not all(len(c) in (8, 14, 20) and set(c) <= set("0123456789ABCDEF") for c in cards):
        raise argparse.ArgumentTypeError(f"{text!r}: expected two UIDs of 8, 14 or 20 hex digits, with a comma")
    return cards[0], cards[1]


def _csms(url: str) -> Csms:
    """Where the user's CSMS is; raises _Refused unless somebody answers there."""
    parts = urlsplit(url)
    if parts.scheme != "ws" or not parts.hostname or parts.username or parts.query:
        raise _Refused(f"CSMS is {url!r}, expected ws://host:port/path; the password goes into PASSWORD")
    address = Address(parts.hostname, parts.port or 80)
    try:
        socket.create_connection((address.host, address.port), REACHED_WITHIN_S).close()
    except OSError as error:
        raise _Refused(f"nobody answers at {url}: {error.strerror or error}") from error
    return Csms(address, parts.path)


def _plan(options: argparse.Namespace, csms: Csms | None) -> BenchPlan:
    plan = load(DEFAULT)
    path = plan.network.path if csms is None else csms.path
    network = replace(plan.network, identity=options.identity, password=options.password or None, path=path)
    own = {"AuthCtrlr.OfflineTxForUnknownIdEnabled": "true"} if csms is not None else {}
    return replace(plan, network=network, keys={**plan.keys, **KEYS, **own})


def _play(plan: BenchPlan, csms: Csms | None, cards: tuple[str, str]) -> int:
    """Bench, agent and view come; the story; they go; the verdict."""
    interrupts = _Interrupts()
    bench = RealBench(plan, csms=csms.address if csms else None)
    shown = viewer(sys.stdout)
    watch = Watch(bench, shown.show)
    try:
        with contextlib.closing(shown), bench:
            story = Story(bench, watch, cards, csms is not None)
            peak = _tell(bench, watch, story, interrupts)
    except KeyboardInterrupt:
        print("demo: interrupted; bench and agent have ended", flush=True)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except (ScenarioFailed, CallFailed, OSError, TimeoutError) as error:
        return _give_up(bench, watch, _sentence(bench, error))
    if isinstance(shown, Screen):
        print(plain(timeline(watch.chapters), Look.of(sys.stdout)))
    return conclude(_evidence(bench, story.findings, peak, csms is None), sys.stdout)


def _tell(bench: RealBench, watch: Watch, story: Story, interrupts: _Interrupts) -> float | None:
    """Play the story; returns the highest current after the limit (A)."""
    try:
        interrupts.arm()
        watch.start()
        found = story.play()
        return None if found.limited_at is None else bench.peak_amps(FIRST, found.limited_at)
    finally:
        interrupts.disarm()
        watch.stop()


def _evidence(bench: RealBench, found: Findings, peak: float | None, ours: bool) -> Evidence:
    """All records side by side; the agent has ended."""
    kept, set_aside = read_journal(bench.rig.home / "state" / "journal.db")
    told = [told_of(transaction) for transaction in bench.transactions()] if ours else None
    meters = [(n, outlet.meter.total_wh, outlet.energy_wh) for n, outlet in bench.rig.outlets.items()]
    metered = [Metered(n, total - flowed, total) for n, total, flowed in meters]
    violations = bench.violations() if ours else ()
    return Evidence(told, kept, metered, violations, len(bench.csms.frames), set_aside, found, peak)


def conclude(evidence: Evidence, stream: TextIO) -> int:
    """Print the reconciliation; returns the exit code."""
    wrong = contradictions(evidence)
    columns = shutil.get_terminal_size((100, 24)).columns if stream.isatty() else 100
    stream.write(plain(summary(evidence, wrong, columns), Look.of(stream)))
    stream.flush()
    return FAILED if wrong else RECONCILED


def _sentence(bench: RealBench, error: Exception) -> str:
    """What went wrong, in one line."""
    text = str(error).partition("\n")[0] or type(error).__name__
    if text.startswith("the agent ended"):
        return f"the agent ended by itself, exit code {bench.rig.agent.exit_code}"
    return text


def _give_up(bench: RealBench, watch: Watch, what: str) -> int:
    """Say in a sentence what went wrong, and show the end of the agent's log."""
    where = f'in "{watch.chapters[-1].title}": ' if watch.chapters else ""
    print(f"demo: {where}{what}", flush=True)
    if watch.status and not watch.status["online"]:
        link = watch.status["link"]
        print(f"      link {link['state']} ({link['reason']}), registration {watch.status['registration']}")
    log = (bench.plan.directory or Path()) / "agent.log"
    if log.exists():
        print("      the agent's log ends with:")
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_TAIL:]
        print("\n".join(f"        {line}" for line in lines), flush=True)
    return FAILED
