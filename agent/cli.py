"""chargerctl: the field engineer's command line, over the agent's local control socket."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import select
import signal
import socket
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, time
from typing import Any

from agent import cli_bundle, cli_config, cli_doctor, cli_firmware
from agent import cli_screens as screens
from agent.cli_failure import EXIT_CODES, NOT_PERMITTED, NOT_REACHABLE, OK, REFUSED, Failure

DEFAULT_SOCKET = "/run/chargerd/control.sock"
ANSWER_WITHIN_S = 15.0
SCAN_WITHIN_S = 600.0
EPILOG = f"""{EXIT_CODES}

The socket is --socket, else CHARGERD_SOCKET, else /run/chargerd/control.sock."""


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = _parser().parse_args(argv)
    path = options.socket or os.environ.get("CHARGERD_SOCKET") or DEFAULT_SOCKET
    try:
        if options.verb == "ocpp.tail":
            return _tail(path, options)
        options.read(options)
        data = options.write(options, _answer(path, options))
    except Failure as failure:
        if options.json:
            print(json.dumps({"error": str(failure)}))
        else:
            print(f"chargerctl: {failure}", file=sys.stderr)
        return failure.code
    _show(json.dumps(data, indent=2, ensure_ascii=False) if options.json else options.screen(data))
    code: int = options.code(data)
    return code


def _parser() -> argparse.ArgumentParser:
    shape = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="chargerctl", description="Ask and steer the chargerd on this board.", epilog=EPILOG,
        formatter_class=shape,
    )  # fmt: skip
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="print the answer as JSON")
    common.add_argument("--socket", metavar="PATH", help="the agent's control socket")
    groups = parser.add_subparsers(required=True, metavar="COMMAND")

    def verb(within: Any, name: str, about: str, verb: str, screen: Any) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = within.add_parser(
            name, parents=[common], help=about, description=about, epilog=EPILOG, formatter_class=shape
        )
        made.set_defaults(verb=verb, screen=screen, read=_nothing, write=_as_it_is, instead=_no_other_way, code=_done)
        return made

    def group(name: str, about: str) -> Any:
        made = groups.add_parser(name, help=about, description=about, epilog=EPILOG, formatter_class=shape)
        return made.add_subparsers(required=True, metavar="COMMAND")

    verb(groups, "status", "everything on one screen", "status", screens.status)
    why = verb(groups, "why", "why this current: every limit and who set it", "why", screens.why)
    _evse(why)
    why.add_argument("--at", type=_moment, metavar="TIME", help="in the past: HH:MM:SS of today, or RFC 3339")
    verb(groups, "version", "version of the agent", "version", screens.pairs)
    cli_config.add(group("config", "read, write and carry over the configuration"), verb)
    _transactions(group("tx", "transactions"), verb)
    _network(group("network", "network profiles: where the CSMS is"), verb)
    _devices(group, verb)
    cli_bundle.add(groups, verb)
    cli_firmware.add(group("fw", "firmware"), verb)
    certificates = group("cert", "certificates")
    verb(certificates, "list", "the station's own and the roots it trusts", "cert.list", screens.rows)
    cli_doctor.add(groups, verb)
    _limits(group("limit", "limits of the person here and of external systems"), verb)
    _phases(verb(groups, "phase", "charge on one or three phases; without a number: tell", "phase", screens.rows))
    return parser


def _moment(text: str) -> str:
    """RFC 3339 in UTC; a time of day is one of today, here."""
    try:
        if re.fullmatch(r"\d\d?:\d\d(:\d\d)?", text):
            return datetime.combine(datetime.now(), time.fromisoformat(text.zfill(5))).astimezone(UTC).isoformat()
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} has no offset; expected RFC 3339, such as 2026-01-31T12:00:00Z")
    return moment.astimezone(UTC).isoformat()


def _phases(phase: argparse.ArgumentParser) -> None:
    _evse(phase)
    phase.add_argument("phases", nargs="?", choices=("1", "3", "auto"), help="what to charge on from now on")


def _limits(limit: Any, verb: Any) -> None:
    """A person's own limit, or with --source what an energy management system would say: K11 to K13."""
    verb(limit, "list", "who has set which limit", "limit.list", screens.rows)
    set_ = verb(limit, "set", "set a limit for an EVSE or, without one, the station", "limit.set", screens.pairs)
    set_.add_argument("limit", type=float, help="A per phase, or W with --unit W")
    set_.add_argument("--unit", choices=("A", "W"), default="A")
    set_.add_argument("--phases", type=int, choices=(1, 2, 3), help="so many phases may be used")
    set_.add_argument("--valid-s", type=int, metavar="S", help="it has to be said again within so many seconds")
    set_.add_argument("--fallback", type=float, default=0.0, help="what holds after that (default 0: pause)")
    for made in (set_, verb(limit, "release", "take a limit back", "limit.release", screens.pairs)):
        made.add_argument("--evse", type=int, default=0, metavar="N")
        made.add_argument("--source", choices=("Operator", "EMS", "SO", "Other"), default="Operator",
                          help="whose limit: yours (Operator), or that of the system you stand in for")  # fmt: skip


def _transactions(tx: Any, verb: Any) -> None:
    verb(tx, "list", "running and ended transactions", "tx.list", screens.transactions)
    end = verb(tx, "force-end", "end a running transaction", "tx.force-end", screens.pairs)
    end.add_argument("transaction_id", metavar="ID")


def _network(network: Any, verb: Any) -> None:
    verb(network, "list", "the slots that have a profile", "network.list", screens.rows)
    try_ = verb(network, "try", "connect with a profile, say nothing, hang up", "network.try", screens.pairs)
    try_.add_argument("slot", type=int, metavar="SLOT")


def _devices(group: Any, verb: Any) -> None:
    read = verb(group("meter", "energy meters"), "read", "newest readings", "meter.read", screens.meters)
    _evse(read)
    read.add_argument("--raw", action="store_true", help="ask the device now, register by register")
    verb(group("fault", "faults"), "list", "faults that stand", "fault.list", screens.faults)
    bus = group("bus", "Modbus buses")
    scan = verb(bus, "scan", "which units answer: 0.2 s for each that does not", "bus.scan", screens.rows)
    scan.add_argument("bus", nargs="?", help="name of a [[bus]]; all of them when left out")
    scan.add_argument("--first", type=int, default=1, metavar="N", help="begin with unit N (1)")
    scan.add_argument("--last", type=int, default=32, metavar="N", help="end with unit N (32; at most 247)")
    verb(bus, "health", "counters of each bus", "bus.health", screens.rows)
    ocpp = group("ocpp", "OCPP frames")
    tail = verb(ocpp, "tail", "frames as they pass; ends with Ctrl-C", "ocpp.tail", screens.frame)
    tail.add_argument("--last", type=int, default=20, metavar="N", help="begin with the last N (20)")
    tokens = group("token", "id tokens")
    token = verb(tokens, "present", "as if shown to a reader", "token.present", screens.pairs)
    token.add_argument("token", metavar="UID")
    token.add_argument("--type", default="ISO14443", help="OCPP IdTokenEnumType (ISO14443)")
    _evse(token)


def _evse(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--evse", type=int, metavar="N", help="only this EVSE")


def _done(data: Any) -> int:
    return OK


def _no_other_way(options: argparse.Namespace, failure: Failure) -> Any:
    raise failure


def _nothing(options: argparse.Namespace) -> None:
    """Most commands need no file."""


def _as_it_is(options: argparse.Namespace, data: Any) -> Any:
    return data


def _args(options: argparse.Namespace) -> dict[str, Any]:
    own = ("json", "socket", "verb", "screen", "read", "write", "instead", "code", "backend", "days", "local", "board")
    return {name: value for name, value in vars(options).items() if name not in own and value is not None}


def _answer(path: str, options: argparse.Namespace) -> Any:
    """What the agent says, or what the command has to say where there is none."""
    try:
        return _ask(path, options.verb, _args(options))
    except Failure as failure:
        return options.instead(options, failure)


def _ask(path: str, verb: str, args: dict[str, Any]) -> Any:
    within_s = SCAN_WITHIN_S if verb == "bus.scan" else ANSWER_WITHIN_S
    with _connected(path, within_s) as agent:
        answer = next(_answers(agent, verb, args), None)
    if not isinstance(answer, dict) or "ok" not in answer:
        raise Failure(NOT_REACHABLE, f"the agent at {path} closed the connection without an answer")
    if answer["ok"] is not True:
        raise Failure(REFUSED, str((answer.get("data") or {}).get("error", "refused")))
    return answer.get("data")


def _tail(path: str, options: argparse.Namespace) -> int:
    """Frames until the agent ends, nobody reads on, or the person has had enough."""
    with _enough() as enough, _connected(path, None) as agent:
        for line in _answers(agent, options.verb, {"last": options.last}, enough):
            if line.get("ok") is False:
                raise Failure(REFUSED, str(line["data"]["error"]))
            if not _show(json.dumps(line, ensure_ascii=False) if options.json else screens.frame(line)):
                return OK
        if not select.select([enough], [], [], 0)[0]:
            raise Failure(NOT_REACHABLE, "the agent ended")
    return OK


@contextlib.contextmanager
def _enough() -> Iterator[socket.socket]:
    """Readable after Ctrl-C or SIGTERM, even where a shell had told us to ignore them.

    A handler that raises could run just before a read that then waits for ever.
    """
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.setblocking(False)
        fd = signal.set_wakeup_fd(theirs.fileno())
        handlers = {n: signal.signal(n, lambda *_: None) for n in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield ours
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(fd)


@contextlib.contextmanager
def _connected(path: str, within_s: float | None) -> Iterator[socket.socket]:
    """The connection to the agent. Raises Failure with a sentence that helps."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(within_s)
        try:
            connection.connect(path)
            yield connection
        except FileNotFoundError:
            raise Failure(NOT_REACHABLE, f"chargerd is not running: there is no socket {path}") from None
        except ConnectionRefusedError:
            raise Failure(NOT_REACHABLE, f"chargerd is not running: nobody answers at {path}") from None
        except PermissionError:
            text = f"no permission to use {path}; become a member of its group or use sudo"
            raise Failure(NOT_PERMITTED, text) from None
        except TimeoutError:
            raise Failure(NOT_REACHABLE, f"no answer within {within_s:g} s") from None
        except OSError as error:
            raise Failure(NOT_REACHABLE, f"{path}: {error.strerror or error}") from None


def _answers(
    agent: socket.socket, verb: str, args: dict[str, Any], enough: socket.socket | None = None
) -> Iterator[Any]:
    """What the agent answers, line by line, until it ends or `enough` can be read."""
    agent.sendall(json.dumps({"verb": verb, "args": args}).encode() + b"\n")
    part = b""
    while enough is None or enough not in select.select([agent, enough], [], [])[0]:
        data = agent.recv(65536)
        *lines, part = (part + data).split(b"\n")
        for line in lines if data or not part else [part]:
            try:
                yield json.loads(line)
            except ValueError:
                raise Failure(NOT_REACHABLE, "what answers there is not chargerd") from None
        if not data:
            return


def _show(text: str) -> bool:
    """Print; False when nobody reads any more (a closed pipe)."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True


if __name__ == "__main__":
    raise SystemExit(main())
