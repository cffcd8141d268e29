"""chargerctl config: read, write, search, compare, carry over."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agent import cli_screens as screens
from agent.cli_failure import USAGE, Failure

Verb = Callable[..., argparse.ArgumentParser]
NAME = "for instance TxCtrlr.TxStartPoint, EVSE.Power@1, or a 1.6 name"


def add(config: Any, verb: Verb) -> None:
    """Add the commands to the group; `verb` makes one."""
    get = verb(config, "get", "one variable", "config.get", screens.value)
    get.add_argument("name", help=NAME)
    set_ = verb(config, "set", "write one variable", "config.set", screens.written)
    set_.add_argument("name", help=NAME)
    set_.add_argument("value")
    list_ = verb(config, "list", "all variables", "config.list", screens.variables)
    list_.add_argument("--search", metavar="TEXT", help="only those that contain TEXT in name, old name or meaning")
    _diff(verb(config, "diff", "what differs from the factory's values, or from a file", "config.diff", screens.diff))
    _export(verb(config, "export", "all settings, for another charger", "config.export", screens.exported))
    _import(verb(config, "import", "take over a file, whole or not at all", "config.import", screens.imported))


def _diff(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("local", nargs="?", metavar="FILE", help="an export to compare with; - for standard input")
    parser.set_defaults(read=_read_other)


def _export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("local", nargs="?", metavar="FILE", help="where to write it; else standard output")
    parser.add_argument("--1.6-names", dest="names_1_6", action="store_true", help="OCPP 1.6 names where there are")
    parser.set_defaults(write=_save)


def _import(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("local", metavar="FILE", help="an export; - for standard input")
    parser.add_argument("--dry-run", action="store_true", help="only check it, and tell what would change")
    parser.add_argument(
        "--ignore-missing", action="store_true", help="leave out what this charger does not have or cannot change"
    )
    parser.set_defaults(read=_read_file)


def _read_file(options: argparse.Namespace) -> None:
    options.file = _contents(options.local)


def _read_other(options: argparse.Namespace) -> None:
    """The agent compares: it knows the old names, and values that are written differently and mean the same."""
    if options.local:
        _read_file(options)


def _save(options: argparse.Namespace, data: Any) -> Any:
    """Write the export where it is wanted; what is shown then is how much it was."""
    if not options.local:
        return data
    try:
        Path(options.local).write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise Failure(USAGE, f"{options.local}: {error.strerror}") from None
    return {"file": options.local, "settings": len(data["keys"])}


def _contents(name: str) -> str:
    try:
        return sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except OSError as error:
        raise Failure(USAGE, f"{name}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Failure(USAGE, f"{name}: no text") from None
