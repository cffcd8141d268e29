"""Asks the issuers of a chain whether they have revoked any of it, as a process of its own: JSON in, JSON out.

First the operator's own lists, then each certificate's OCSP responders, then its lists, until one gives an answer that
counts (agent/io/status_proofs.py). Nothing that a server sends is believed, and all of it is bounded: the size, each
wait, and the whole, which the one that has started this process bounds once more.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from cryptography import x509

from agent.core.urls import Url, checked_url
from agent.io.jobs import JobFailed
from agent.io.pki import Refused
from agent.io.revocation import LISTS
from agent.io.senders import trusted
from agent.io.status_proofs import Check, Finding, Moment, Pair, by_list, by_ocsp, question
from agent.io.transfers import MOVED, moved
from config_keys.values import Refusal

PROTOCOLS = ("HTTP", "HTTPS")
ANSWER_MOST, LIST_MOST = 64 * 1024, 4 * 1024 * 1024
CHUNK = 16 * 1024
REDIRECTS_MOST = 3
SOURCES_MOST = 4
"""How many responders and how many lists of one certificate are asked."""
LEFT_S = 0.3
"""What is left of the time to tell the answer."""
WENT_WRONG = (OSError, EOFError, UnicodeError, http.client.HTTPException, ssl.SSLError)


def main() -> None:
    """The process: one question on stdin, the answer on stdout."""
    answers = inquire(json.load(sys.stdin))
    print(json.dumps(answers), flush=True)
    os._exit(0)  # threads that wait for a name server are not waited for


def inquire(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    """`chain` (DER in base64, the trusted one last), `now` (s), `at_least`, `within_s`, `home` -> per certificate
    below the trusted one its `state`, `told` and `until` (s). All are asked about at the same time."""
    chain = [x509.load_der_x509_certificate(base64.b64decode(der)) for der in told["chain"]]
    moment = Moment(datetime.fromtimestamp(told["now"], UTC), told["at_least"])
    until = time.monotonic() + told["within_s"] - LEFT_S
    asked = [_Inquiry(Pair(*pair), moment, Path(told["home"]), until) for pair in pairwise(chain)]
    for inquiry in asked:
        inquiry.thread.join(max(until - time.monotonic(), 0.0))
    return [inquiry.answer() for inquiry in asked]


class _Source(NamedTuple):
    """Somebody who may know: an address, what is told there, and how an answer is read."""

    url: str
    body: bytes | None
    check: Check
    most: int


class _Inquiry:
    """About one certificate, in a thread of its own."""

    def __init__(self, pair: Pair, moment: Moment, home: Path, until: float) -> None:
        self._pair = pair
        self._moment = moment
        self._home = home
        self._until = until
        self._finding: Finding | None = None
        self._failed: list[str] = []
        self._asking = ""
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def answer(self) -> dict[str, Any]:
        """What has been found by now."""
        if (found := self._finding) is not None:
            return {"state": found.state, "told": found.told, "until": found.until and found.until.timestamp()}
        late = [f"{self._asking}: no answer"] if self._asking else []
        return {"state": "unknown", "told": "; ".join([*self._failed, *late]) or "it names nobody", "until": None}

    def _run(self) -> None:
        own = self._by_own_lists()
        if own is not None and (own.state == "revoked" or not self._sources()):
            self._finding = own
            return
        sources = self._sources()
        for left, source in zip(range(len(sources), 0, -1), sources, strict=True):
            if self._ask(source, (self._until - time.monotonic()) / left):
                return
        self._asking, self._finding = "", own

    def _sources(self) -> list[_Source]:
        request = question(self._pair)
        responders = [_Source(url, request, by_ocsp, ANSWER_MOST) for url in self._pair.responders[:SOURCES_MOST]]
        return responders + [_Source(url, None, by_list, LIST_MOST) for url in self._pair.lists[:SOURCES_MOST]]

    def _ask(self, source: _Source, within_s: float) -> bool:
        self._asking = source.url
        try:
            found = source.check(self._pair, _fetch(source, within_s, self._home), self._moment)
        except Refused as refused:
            self._failed.append(f"{source.url}: {refused}")
        except JobFailed as failed:
            self._failed.append(f"{source.url}: {failed}")
        except WENT_WRONG as error:
            self._failed.append(f"{source.url}: {_words(error)}")
        else:
            self._finding = found._replace(told=found.told or f"says {source.url}")
            return True
        return False

    def _by_own_lists(self) -> Finding | None:
        """The operator's: what one of them lists is revoked; good, when one of them counts and does not list it."""
        good = None
        for file in sorted((self._home / LISTS).glob("*")):
            if file.suffix not in (".pem", ".crl"):
                continue
            with contextlib.suppress(Refused, OSError):
                found = by_list(self._pair, file.read_bytes()[: LIST_MOST + 1], self._moment)
                if found.state == "revoked":
                    return found
                good = found._replace(told=f"says {file.name}")
        return good


# -------------------------------------------------------------------------------------------- HTTP


def _fetch(source: _Source, within_s: float, home: Path) -> bytes:
    """The body of the answer; a list may have moved, a responder may not. Raises JobFailed and WENT_WRONG."""
    end = time.monotonic() + within_s
    url = checked_url(source.url, PROTOCOLS)
    for _ in range(REDIRECTS_MOST + 1):
        if isinstance(url, Refusal):
            raise JobFailed(url.info)
        with _connected(url, end, home) as connection:
            connection.request("GET" if source.body is None else "POST", url.path + url.query, source.body, _FIELDS)
            answer = connection.getresponse()
            if source.body is None and answer.status in MOVED:
                url = moved(url, answer.getheader("Location") or "", PROTOCOLS)
                continue
            if answer.status != HTTPStatus.OK:
                raise JobFailed(f"HTTP {answer.status}")
            body = b"".join(_chunks(answer, source.most))
            if time.monotonic() >= end:
                raise TimeoutError
            return body
    raise JobFailed(f"more than {REDIRECTS_MOST} redirects")


_FIELDS = {
    "Content-Type": "application/ocsp-request", "Accept-Encoding": "identity", "User-Agent": "chargerd",
    "Connection": "close",
}  # fmt: skip


def _chunks(answer: http.client.HTTPResponse, most: int) -> Iterator[bytes]:
    size = 0
    while chunk := answer.read(CHUNK):
        size += len(chunk)
        if size > most:
            raise JobFailed(f"the answer is larger than {most} bytes")
        yield chunk


@contextlib.contextmanager
def _connected(url: Url, end: float, home: Path) -> Iterator[http.client.HTTPConnection]:
    """A connection that is ended under whoever reads slowly from it when the time is over."""
    left_s = end - time.monotonic()
    if left_s <= 0:
        raise TimeoutError
    if url.scheme == "https":
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            url.host, url.port, timeout=left_s, context=trusted(home)
        )
    else:
        connection = http.client.HTTPConnection(url.host, url.port, timeout=left_s)
    with contextlib.closing(connection):
        connection.connect()
        over = threading.Timer(max(end - time.monotonic(), 0.0), _hang_up, (connection.sock,))
        over.daemon = True
        over.start()
        try:
            yield connection
        except WENT_WRONG:
            if time.monotonic() >= end:
                raise TimeoutError from None
            raise
        finally:
            over.cancel()


def _hang_up(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _words(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, socket.gaierror):
        return "host name not found"
    return (os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)) or repr(error)

