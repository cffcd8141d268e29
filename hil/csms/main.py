"""`hil csms`: the bench CSMS as a process of its own, with an HTTP/JSON control."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from hil.csms.http import HttpError, Route, serve_json
from hil.csms.server import BenchCsms, CallFailed

Query = Mapping[str, str]
Body = Mapping[str, Any]

CONTROL = """\
The control speaks HTTP with JSON bodies:
  GET /health                connected stations with their registration, counts
  GET /frames?since=N        frames from index N on, and the next N
  GET /violations            the rules that a station broke
  GET /transactions          by transactionId: events by seqNo, repeats, energy
  POST /call                 {"action", "payload", "identity"?, "timeout"?}: call the station
  POST /drop                 {"identity"?, "abruptly"?}: end its connection
  GET, POST /behaviour       the switches of hil.csms.Behaviour: boot, tokens, errors, delays, silent, ...
identity may be left out while one station is connected."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run until SIGINT or SIGTERM; exit code 1 when a station broke a rule."""
    options = _options(argv)
    with ExitStack() as stack:
        stream = None
        if options.record:
            stream = stack.enter_context(options.record.open("a", encoding="utf-8"))
        csms = BenchCsms(stream=stream)
        if options.password:
            csms.behaviour.passwords = dict(pair.split(":", 1) for pair in options.password)
        asyncio.run(_run(csms, options.listen, options.control))
    for violation in csms.violations:
        print(f"violation: {violation.identity} {violation.rule}: {violation.detail}", file=sys.stderr)
    return 1 if csms.violations else 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="hil csms",
        description="A CSMS that judges every frame. Exit code 1: a station broke a rule.",
        epilog=CONTROL,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--listen", required=True, type=_address, metavar="HOST:PORT", help="for stations")
    parser.add_argument("--control", type=_address, metavar="HOST:PORT", help="HTTP/JSON control")
    parser.add_argument(
        "--record", type=Path, metavar="FILE", help="append a JSON line per frame and violation"
    )
    parser.add_argument("--password", action="append", metavar="IDENTITY:PASSWORD", help="demand Basic auth")
    return parser.parse_args(argv)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host or "127.0.0.1", int(port)


async def _run(csms: BenchCsms, listen: tuple[str, int], control: tuple[str, int] | None) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    port = await csms.start(*listen)
    server = await serve_json(control_routes(csms), *control) if control else None
    where = f", control on http://{control[0]}:{_port(server)}" if control and server else ""
    print(f"CSMS on ws://{listen[0]}:{port}/{where}", flush=True)
    await stopped.wait()
    if server is not None:
        server.close()
    await csms.stop()


def _port(server: asyncio.Server) -> int:
    port: int = server.sockets[0].getsockname()[1]
    return port


def control_routes(csms: BenchCsms) -> dict[str, Route]:
    """The control API; a station's `identity` may be left out while exactly one is connected."""

    async def health(_: Query, __: Body) -> Any:
        stations = {name: csms.registration(name) for name in csms.identities}
        return {"stations": stations, "frames": len(csms.frames), "violations": len(csms.violations)}

    async def frames(query: Query, _: Body) -> Any:
        since = int(query.get("since", 0))
        return {"next": len(csms.frames), "frames": [f.to_json() for f in csms.frames[since:]]}

    async def violations(_: Query, __: Body) -> Any:
        return [v.to_json() for v in csms.violations]

    async def transactions(_: Query, __: Body) -> Any:
        return {name: t.to_json() for name, t in csms.transactions.items()}

    async def call(_: Query, body: Body) -> Any:
        return await _call(csms, body)

    async def drop(_: Query, body: Body) -> Any:
        await csms.drop(_one(csms, body), bool(body.get("abruptly", True)))
        return {}

    async def behaviour(_: Query, body: Body) -> Any:
        csms.behaviour.update(body)
        return csms.behaviour.to_json()

    return {
        "GET /health": health,
        "GET /frames": frames,
        "GET /violations": violations,
        "GET /transactions": transactions,
        "POST /call": call,
        "POST /drop": drop,
        "GET /behaviour": behaviour,
        "POST /behaviour": behaviour,
    }


async def _call(csms: BenchCsms, body: Body) -> dict[str, Any]:
    timeout = float(body.get("timeout", 30))
    try:
        answer = await csms.call(_one(csms, body), body["action"], body.get("payload") or {}, timeout)
    except CallFailed as error:
        return {"error": {"code": error.code, "description": error.description, "details": error.details}}
    except TimeoutError:
        return {"timeout": timeout}
    except ConnectionError as error:
        raise HttpError(409, str(error)) from error
    return {"result": answer}


def _one(csms: BenchCsms, body: Body) -> str:
    if "identity" in body:
        return str(body["identity"])
    if len(csms.identities) != 1:
        raise HttpError(409, f"name the identity; connected are {csms.identities}")
    return csms.identities[0]
