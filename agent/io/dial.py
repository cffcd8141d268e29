"""Opening a websocket as OCPP wants it, and saying in plain words why one did not open or ended."""

from __future__ import annotations

import base64
import contextlib
import logging
import os
import socket
import ssl
import sys
import types
from collections.abc import Iterator, Mapping
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit, urlunsplit

from agent.core.effects import Connect
from agent.io import tls
from agent.io.revocation import Records

MAX_FRAME_BYTES = 256 * 1024


@contextlib.contextmanager
def _left_out(*names: str) -> Iterator[None]:
    """Let an import pass without modules that it names but that we never reach (20 ms and 3 MB at start-up).

    websockets imports them for versions of unreleased builds and for the proxy settings of a desktop.
    """
    absent = [name for name in names if name not in sys.modules]
    sys.modules.update({name: types.ModuleType(name) for name in absent})
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


with _left_out("importlib.metadata", "urllib.request"):
    from websockets.asyncio.client import ClientConnection, connect
    from websockets.exceptions import ConnectionClosed, InvalidStatus, InvalidURI, NegotiationError
    from websockets.typing import Subprotocol

__all__ = [
    "ClientConnection", "ConnectionClosed", "Dialled", "Refusal", "address", "dial", "flaw_of", "reason_of",
    "status_of",
]  # fmt: skip


class Refusal(Exception):
    """We do not dial, or not go on, for a reason of our own."""


class _Dial(connect):
    """No redirect is followed: the network profile names the CSMS, not whoever answers there."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class Dialled(NamedTuple):
    """An open connection, the set of roots that has vouched for the CSMS (empty without TLS), and what is known of
    revocations where they are looked for."""

    websocket: ClientConnection
    root: str
    records: Records | None


async def dial(
    order: Connect, home: Path, *, ping_s: int, pong_wait_s: float, open_timeout_s: float, close_timeout_s: float
) -> Dialled:
    """Open the connection and check its subprotocol; certificates are below `home`. Raises what `reason_of` explains.

    A set of roots that does not vouch for the CSMS gives way to the next (M05.FR.14).
    """
    secure = order.url.startswith("wss:")
    if order.security_profile > 1 and not secure:
        raise Refusal(f"security profile {order.security_profile} needs a wss:// URL")
    if order.security_profile > 2 and not order.certificate:
        raise Refusal("security profile 3 needs a certificate of the station, and none is installed")
    timing = {"ping_interval": ping_s or None, "ping_timeout": pong_wait_s, "open_timeout": open_timeout_s,
              "close_timeout": close_timeout_s}  # fmt: skip
    untried = tls.root_sets(order, home) if secure else [""]
    records = tls.records(order, home) if secure else None
    while True:
        root = untried.pop(0)
        try:
            attempt = partial(_attempt, order, home, root, records, timing)
            websocket = await (records.settle(attempt) if records is not None else attempt())
        except (ssl.SSLCertVerificationError, tls.Untrusted):
            if not untried:
                raise
        else:
            break
    if websocket.subprotocol is None:
        await websocket.close(1002, "no subprotocol")
        raise Refusal(f"server chose no subprotocol; offered {', '.join(order.subprotocols)}")
    return Dialled(websocket, root, records)


async def _attempt(
    order: Connect, home: Path, root: str, records: Records | None, timing: Mapping[str, Any]
) -> ClientConnection:
    """Raises what TLS said, where the websocket only knows that it has ended."""
    context = tls.context(order, home, root, records) if root else None
    try:
        return await _Dial(
            address(order.url, order.identity),
            subprotocols=[Subprotocol(name) for name in order.subprotocols],
            additional_headers=_credentials(order.identity, order.password),
            user_agent_header=None,
            proxy=None,
            max_size=MAX_FRAME_BYTES,
            logger=_quiet(),
            ssl=context,
            compression="deflate" if order.compression else None,
            **timing,
        )
    except Exception as error:
        if context is not None and context.alert is not None:
            raise context.alert from error
        raise


def address(url: str, identity: str) -> str:
    """The connection URL: the identity, percent-encoded, is the last part of the path (Part 4, 3.1.1)."""
    parts = urlsplit(url)
    path = f"{parts.path.rstrip('/')}/{quote(identity, safe='')}"
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


def reason_of(error: BaseException, open_timeout_s: float) -> str:
    """What went wrong, for a person."""
    if (flaw := tls.flaw_of(error)) is not None:
        return flaw[1]
    if isinstance(error, InvalidStatus):
        return _http_reason(error)
    if isinstance(error, ConnectionClosed):
        return _close_reason(error)
    if isinstance(error, TimeoutError):
        return f"no answer within {open_timeout_s:g} s"
    if isinstance(error, NegotiationError) and "subprotocol" in str(error):
        return f"server chose other subprotocol ({error})"
    if isinstance(error, InvalidURI):
        return "the URL of the CSMS is not valid"
    if isinstance(error, socket.gaierror):
        return f"host name not found: {error.strerror}"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return str(error) or type(error).__name__


def flaw_of(error: BaseException) -> str:
    """The security event that a failed attempt is (A04); empty when it is none."""
    if status_of(error) in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return tls.STATION
    flaw = tls.flaw_of(error)
    return flaw[0] if flaw is not None else ""


def status_of(error: BaseException) -> int | None:
    """The HTTP status with which the server refused, if that is what happened."""
    return error.response.status_code if isinstance(error, InvalidStatus) else None


def _http_reason(error: InvalidStatus) -> str:
    status = error.response.status_code
    with contextlib.suppress(ValueError):
        phrase = HTTPStatus(status).phrase
        return f"HTTP {status} {phrase}" + (" (redirects are not followed)" if 300 <= status < 400 else "")
    return f"HTTP {status}"


def _close_reason(error: ConnectionClosed) -> str:
    """Whoever spoke first of closing tells why; without a close frame the connection just broke."""
    ours = error.sent and (error.rcvd is None or not error.rcvd_then_sent)
    if ours and error.sent:
        if error.sent.code == 1009:
            return f"message over {MAX_FRAME_BYTES} bytes refused (1009)"
        if "ping timeout" in error.sent.reason:
            return "no pong: connection is dead"
        return f"closed by us: {error.sent.code} {error.sent.reason}".rstrip()
    if error.rcvd:
        return f"closed by the CSMS: {error.rcvd.code} {error.rcvd.reason}".rstrip()
    return "connection lost"


def _credentials(identity: str, password: str | None) -> dict[str, str]:
    if password is None:
        return {}
    token = base64.b64encode(f"{identity}:{password}".encode()).decode()
    return {"Authorization": f"Basic {token}"}


def _quiet() -> logging.Logger:
    """websockets logs what LinkDown already says, and headers with credentials at debug level."""
    logger = logging.getLogger("chargerd.websocket")
    logger.setLevel(logging.CRITICAL + 1)
    return logger
