"""chargerctl bundle: everything that is known of the charger in one file, with the agent or without it."""

from __future__ import annotations

import argparse
import asyncio
import base64
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agent import cli_screens as screens
from agent.cli_failure import NOT_REACHABLE, USAGE, Failure

BOARD_FILE = "/etc/chargerd/board.toml"
Verb = Callable[..., argparse.ArgumentParser]


def add(groups: Any, verb: Verb) -> None:
    """Add the command."""
    bundle = verb(groups, "bundle", "logs, settings, sessions and health in one file", "bundle", screens.pairs)
    bundle.add_argument("local", nargs="?", metavar="FILE", help="where to write it; else a name with the time, here")
    config(bundle)
    bundle.set_defaults(write=_save, instead=_offline)


def config(parser: argparse.ArgumentParser) -> None:
    """The option that names board.toml, for commands that work without the agent."""
    parser.add_argument("--config", dest="board", type=Path, default=Path(BOARD_FILE), metavar="FILE",
                        help=f"board.toml, where the agent does not run ({BOARD_FILE})")  # fmt: skip


def _offline(options: argparse.Namespace, failure: Failure) -> dict[str, str]:
    """The agent does not run: what lies in its state directory is still worth having."""
    if failure.code != NOT_REACHABLE:
        raise failure
    from agent.io.board import BoardError, load_board
    from agent.io.bundle import offline
    from agent.io.system import VERSION

    state_dir = Path("/var/lib/chargerd")
    try:
        state_dir = load_board(options.board, VERSION).state_dir
        os.listdir(state_dir)
    except BoardError as error:
        raise Failure(failure.code, f"{failure}; and {error}") from None
    except OSError as error:
        raise Failure(failure.code, f"{failure}; and {state_dir}: {error.strerror}") from None
    name, content = asyncio.run(offline(state_dir, options.board))
    return {"name": name, "base64": base64.b64encode(content).decode()}


def _save(options: argparse.Namespace, data: Any) -> dict[str, Any]:
    """Write the archive, readable by its owner only."""
    content = base64.b64decode(data["base64"])
    target = Path(options.local or data["name"])
    try:
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
    except OSError as error:
        raise Failure(USAGE, f"{target}: {error.strerror}") from None
    return {"file": str(target), "bytes": len(content)}
