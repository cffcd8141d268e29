"""`hil certify`: the cases against the real process, on real wires and over a real websocket."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from hil.certification import features, report
from hil.certification.case import CASES, Verdict, choose, run
from hil.certification.registry import Case
from hil.certification.states import Way
from hil.cutter import Address
from hil.plan import BenchPlan, load
from hil.real_bench import RealBench, outfits

FIRMWARE = ("TC_F_19", *(id for id in CASES if id.startswith("TC_L_")))
"""Cases in which the agent has to be a release that can be replaced."""
BENCH = Path(__file__).with_name("bench.toml")


def main(argv: Sequence[str]) -> int:
    """Exit code 0: every case that applies has passed; 1: one has not; 2: wrong usage or an unusable file."""
    options = _options(argv)
    try:
        plan = _listening(load(options.bench), options.csms_listen)
        declared = features.load(options.features)
        cases = _selected(options.profile, options.case)
        if options.connector > (most := max(outfit.connectors for outfit in outfits(plan).values())):
            raise ValueError(f"{options.bench} has no EVSE with {options.connector} connectors, but {most} at most")
        if options.evse not in (None, *outfits(plan)):
            raise ValueError(f"{options.bench} has no EVSE {options.evse}; there are {sorted(outfits(plan))}")
    except ValueError as error:
        print(f"hil certify: {error}", file=sys.stderr)
        return 2
    verdicts, home = [], Path(tempfile.mkdtemp(prefix="hil-certify-"))
    try:
        for verdict in certify(plan, cases, declared, options.way, home, options.evse, options.connector):
            verdicts.append(verdict)
            print(report.line(verdict), flush=True)
    except OSError as error:
        print(f"hil certify: {error}", file=sys.stderr)
        return 2
    if not any(home.iterdir()):
        home.rmdir()
    print(report.summary(verdicts))
    for path, render in ((options.junit, report.junit), (options.html, report.html)):
        if path is not None:
            path.write_text(render(verdicts), encoding="utf-8")
    if options.record is not None:
        report.record(options.record, verdicts)
    return 1 if any(verdict.outcome == "failed" for verdict in verdicts) else 0


def certify(
    plan: BenchPlan, cases: Sequence[Case], declared: features.Declared, way: Way, home: Path, only: int | None = None,
    connector: int = 1,
) -> Iterator[Verdict]:  # fmt: skip
    """Play each case on a station that was never used; what failed leaves its files below `home`.

    `only` keeps to one EVSE; drivers use `connector` of those that have so many.
    """
    places = {evse: outfit for evse, outfit in outfits(plan, connector).items() if only in (None, evse)}
    for case in cases:
        taken: Way = way if way in case.ways else case.ways[0]
        evse, why = choose(case, declared, places)
        if not evse:
            yield Verdict(case.id, taken, 0, "not applicable", why)
            continue
        directory = home / case.id
        keys = {**plan.keys, **case.presets}
        station = replace(plan, directory=directory, keys=keys, releases=case.id in FIRMWARE)
        with RealBench(station, connector=connector) as bench:
            verdict = run(case, bench, evse, taken)
        if verdict.outcome == "failed":
            yield replace(verdict, reason=f"{verdict.reason}\nfiles in {directory}")
        else:
            shutil.rmtree(directory, ignore_errors=True)
            yield verdict


def _options(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="hil certify", description="Certification cases against the real process.")
    parser.add_argument("--profile", help="only the cases of this profile: core, iso-15118, ...")
    parser.add_argument(
        "--case", action="append", default=[], metavar="TC_E_04", help="only this case, or all that begin so"
    )
    parser.add_argument(
        "--way", choices=("local", "remote"), default="local", help="how sessions start where the case leaves it open"
    )
    parser.add_argument(
        "--connector", type=int, default=1, metavar="N", help="where cars are plugged in, at an EVSE that has so many"
    )
    parser.add_argument("--evse", type=int, metavar="N", help="at this EVSE only, not at the first that fits")
    parser.add_argument(
        "--csms-listen", type=_url, metavar="URL", help="where the station finds the CSMS, such as ws://127.0.0.1:9000/ocpp"
    )
    parser.add_argument("--bench", type=Path, default=BENCH, metavar="FILE")
    parser.add_argument("--features", type=Path, default=features.DECLARED, metavar="FILE")
    parser.add_argument("--junit", type=Path, metavar="FILE")
    parser.add_argument("--html", type=Path, metavar="FILE")
    parser.add_argument("--record", type=Path, metavar="FILE", help="put the verdicts into this JSON file")
    return parser.parse_args(argv)


def _url(text: str) -> tuple[Address, str]:
    url = urlsplit(text)
    if url.scheme != "ws" or not url.hostname:
        raise argparse.ArgumentTypeError(f"{text!r} is no address; expected ws://HOST:PORT/PATH")
    return Address(url.hostname, url.port or 80), url.path or "/"


def _listening(plan: BenchPlan, place: tuple[Address, str] | None) -> BenchPlan:
    if place is None:
        return plan
    return replace(plan, network=replace(plan.network, listen=place[0], path=place[1]))


def _selected(profile: str | None, wanted: Sequence[str]) -> list[Case]:
    """Raises ValueError when nothing is left."""
    found = [
        case
        for case in CASES.values()
        if (profile is None or profile in case.row.profiles) and (not wanted or case.id.startswith(tuple(wanted)))
    ]
    if not found:
        known = ", ".join(sorted({name for case in CASES.values() for name in case.row.profiles}))
        raise ValueError(f"no such case; there are {', '.join(CASES)} of the profiles {known}")
    return found
