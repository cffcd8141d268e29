"""chargerctl doctor: what is wrong with this charger, in plain words, with the agent or without it."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent import cli_screens as screens
from agent.cli_bundle import config
from agent.cli_failure import OK, REFUSED, Failure

if TYPE_CHECKING:
    from agent.core.effects import Connect
    from agent.io.board import Board
    from agent.io.doctor import Finding

ROOM_BYTES = 8 * 1024 * 1024
"""Less free space than this and the journal is soon full."""
Verb = Callable[..., argparse.ArgumentParser]


def add(groups: Any, verb: Verb) -> None:
    """Add the command."""
    doctor = verb(groups, "doctor", "what is wrong: the first step that fails, and what to do", "status", _screen)
    doctor.add_argument("--backend", action="store_true", help="only the way to the CSMS")
    doctor.add_argument("--days", type=int, default=30, metavar="N",
                        help="warn of certificates that end within N days (30)")  # fmt: skip
    config(doctor)
    doctor.set_defaults(write=_examine, instead=_without_agent, code=_code)


def _without_agent(options: argparse.Namespace, failure: Failure) -> dict[str, Any]:
    return {"missing": str(failure)}


def _code(data: Any) -> int:
    return OK if all(finding["ok"] for finding in data) else REFUSED


def _screen(data: Any) -> str:
    lines = []
    for finding in data:
        lines.append(screens.verdict(finding["ok"], finding["step"], finding["found"]))
        if finding["advice"]:
            lines.append(f"{'':6}{'':13}what to do: {finding['advice']}")
    return "\n".join(lines)


def _examine(options: argparse.Namespace, status: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every finding; `status` is the agent's, or why there is none."""
    from agent.io.board import BoardError, load_board
    from agent.io.doctor import Finding
    from agent.io.system import VERSION

    try:
        board = load_board(options.board, VERSION)
    except BoardError as error:
        advice = "mend the file; chargerd --check --config FILE says whether it is good"
        return [Finding("settings", False, str(error), advice)._asdict()]
    found = [] if options.backend else list(_at_home(status, board.state_dir, options.days))
    return [finding._asdict() for finding in [*found, *_backend(board, status)]]


def _at_home(status: Mapping[str, Any], state_dir: Path, days: int) -> Iterator[Finding]:
    """The agent, its certificates, its store and its hardware: all that is wrong with them."""
    from agent.io.doctor import Finding

    with contextlib.suppress(OSError):
        free = shutil.disk_usage(state_dir).free
        advice = "" if free > ROOM_BYTES else "make room on the disk of the state directory"
        yield Finding("disk", not advice, f"{free // 1024 // 1024} MB are free for {state_dir}", advice)
    yield _certificates(state_dir, days)
    if "missing" in status:
        advice = "systemctl status chargerd says why it ended; systemctl start chargerd starts it"
        yield Finding("agent", False, status["missing"], advice)
        return
    station, store = status["station"], status["store"]
    runs = f"runs for {screens.duration(station['uptime_s'])}, started by {station['boot_reason']}"
    yield Finding("agent", True, runs)
    advice = "" if store == "ok" else "the log says what happened to it: chargerctl bundle, part station.jsonl.gz"
    yield Finding("store", store == "ok", store, advice)
    faults = [screens.fault(fault) for fault in status["faults"]]
    advice = "look up the codes in docs/fault-codes.md; chargerctl bus health tells of the buses" if faults else ""
    yield Finding("hardware", not faults, "; ".join(faults) or "no fault stands", advice)


def _certificates(state_dir: Path, days: int) -> Finding:
    """Those that have ended, or will within so many days."""
    from agent.io.doctor import Finding
    from agent.io.inventory import certificates

    present = certificates(state_dir)
    ending = [f"{row['type']} {row['subject']} ends on {row['until']}" for row in present if row["days_left"] < days]
    if not ending:
        return Finding("certificates", True, f"{len(present)} are installed, none ends within {days} days")
    advice = "have the operator of the CSMS renew it (CertificateSigned, InstallCertificate), and delete what has ended"
    return Finding("certificates", False, "; ".join(ending), advice)


def _backend(board: Board, status: Mapping[str, Any]) -> list[Finding]:
    """The way to the CSMS."""
    from agent.io.doctor import Finding, examine

    order, source = _order(board)
    if order is None:
        return [Finding("settings", True, "no CSMS is configured: the station is alone")]
    place = f"{order.url} as {order.identity}, security profile {order.security_profile} ({source})"
    settings = Finding("settings", True, place)
    link = status.get("link", {})
    connected = link.get("state") == "open"
    station = {"vendorName": board.site.vendor, "model": board.site.model}
    found = [settings, *asyncio.run(examine(order, board.state_dir, station, talks=not connected))]
    if connected and all(finding.ok for finding in found):
        registered = status["registration"]
        advice = "" if registered == "accepted" else "see that the CSMS has this station in its list"
        found.append(Finding("boot", not advice, f"the agent is connected and {registered}", advice))
    return found


def _order(board: Board) -> tuple[Connect | None, str]:
    """What the agent would do to connect, and where that comes from."""
    from agent.core.context import Context
    from agent.core.instant import Instant
    from agent.core.network import order
    from agent.io import store_file
    from agent.station import Station

    tables, source = {}, "from the journal and board.toml"
    try:
        with contextlib.closing(sqlite3.connect(f"file:{board.state_dir / 'journal.db'}?mode=ro", uri=True)) as journal:
            tables = store_file.load(journal)[1]
    except (sqlite3.Error, store_file.Damaged) as error:
        source = f"from board.toml; the journal cannot be read: {error}"
    charger = Station(board.site, board.presets, tables).charger
    entry = charger.network_profiles.route().entry
    cx = Context(charger.durable, Instant(0, round(time.time() * 1000)), 0)
    return (None if entry is None else order(cx, 0, entry, charger.safeguards, good=True)), source
