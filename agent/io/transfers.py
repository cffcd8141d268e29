"""Fetches a firmware file over HTTP(S), FTP(S) or SFTP, or from this board, into the state directory (L01, L02).

Its name there is ours; nothing of a URL ever becomes a path here. A file that broke off is gone on with when the
server says that it is still the same one. The libraries block, so each attempt has a thread of its own, and hanging
up ends it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ftplib
import http.client
import json
import os
import re
import shutil
import socket
import ssl
import stat
import threading
import time
from base64 import b64encode
from collections.abc import Iterator, Set
from http import HTTPStatus
from pathlib import Path
from typing import IO, Any

from agent.core.file_servers import host_keys
from agent.core.urls import Url, checked_url
from agent.io.jobs import Data, JobFailed, Place, Tell, beside
from agent.io.senders import trusted
from config_keys.values import Refusal

STALL_S = 30.0
"""Silence of a server after which an attempt has failed."""
CHUNK = 64 * 1024
ROOM_LEFT = 32 * 1024 * 1024
"""Bytes of the flash that no download takes."""
REDIRECTS_MOST = 5
TELL_EVERY_S = 1.0
MOVED = (301, 302, 303, 307, 308)
IMAGE, PART, ABOUT = "image", "image.part", "image.json"
"""The whole file, one that is not whole yet, and what is known of it."""
WENT_WRONG = (OSError, EOFError, http.client.HTTPException, ftplib.Error, ssl.SSLError)


def home(state_dir: Path) -> Path:
    """The directory of downloads; only we read it."""
    directory = state_dir / "firmware"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return directory


async def fetch(place: Place, data: Data, tell: Tell) -> Data:
    """firmware.fetch: url (or file), protocols, host_keys, most, within_s -> bytes.

    JobFailed with `final` when another attempt would end the same way.
    """
    loop = asyncio.get_running_loop()

    def say(told: Data) -> None:
        loop.call_soon_threadsafe(tell, told)

    attempt = Attempt(place.state_dir, data["most"], data["within_s"], say)
    try:
        return await beside(lambda: _run(attempt, data))
    finally:
        attempt.hang_up()


def _run(attempt: Attempt, data: Data) -> Data:
    try:
        if data["file"]:
            _copy(attempt, data["file"])
            return {"bytes": attempt.finish()}
        url = checked_url(data["url"], data["protocols"])
        if isinstance(url, Refusal):
            raise JobFailed(url.info, final=True)
        if url.scheme == "sftp":
            _sftp(attempt, url, host_keys(data["host_keys"], url.host))
        else:
            get = _http if url.scheme.startswith("http") else _ftp
            get(attempt, url, data["protocols"])
        return {"bytes": attempt.finish()}
    except WENT_WRONG as error:
        raise JobFailed(_words(error)) from None
    except JobFailed:
        attempt.discard()
        raise


def _words(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return f"the server was silent for {STALL_S:g} s"
    return str(error) or type(error).__name__


class Attempt:
    """The file as far as it is here, and the bounds of this attempt."""

    def __init__(self, state_dir: Path, most: int, within_s: float, tell: Tell) -> None:
        self._home = home(state_dir)
        (self._home / IMAGE).unlink(missing_ok=True)
        self._most = most
        self._until = time.monotonic() + within_s
        self._tell = tell
        self._told_at = 0.0
        self._over = threading.Event()
        self._socket: socket.socket | None = None
        self._file: IO[bytes] | None = None
        self._state_dir = state_dir
        self.size = 0
        """Bytes that are here."""
        self.of: int | None = None
        """Bytes of the whole file, when the server has said so."""

    # ---------------------------------------------------------------------------------------- what is here

    def known(self, source: str) -> tuple[int, str]:
        """How much of this source is here, and the server's name for that version of it; 0 when it cannot be used."""
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
            about = json.loads((self._home / ABOUT).read_text("utf-8"))
            if about["source"] == source and about["version"]:
                return (self._home / PART).stat().st_size, str(about["version"])
        return 0, ""

    def begin(self, source: str, version: str, of: int | None, at: int = 0) -> None:
        """The next bytes are those from `at` on. JobFailed when the whole would be too much."""
        self._check_size(of or 0)
        self._check_room((of or at) - at)
        self.of, self.size = of, at
        (self._home / ABOUT).write_text(json.dumps({"source": source, "version": version}), "utf-8")
        self._file = (self._home / PART).open("r+b" if at else "wb")
        self._file.truncate(at)
        self._file.seek(at)

    def add(self, chunk: bytes) -> None:
        """More of it. JobFailed when it is too much; TimeoutError and OSError end the attempt."""
        assert self._file is not None
        if self._over.is_set():
            raise ConnectionAbortedError("cancelled")
        if time.monotonic() > self._until:
            raise ConnectionAbortedError("it took too long")
        self._check_size(self.size + len(chunk))
        self._file.write(chunk)
        self.size += len(chunk)
        if time.monotonic() - self._told_at > TELL_EVERY_S:
            self._told_at = time.monotonic()
            self._check_room(0)
            self._say()

    def close(self) -> None:
        """Keep what is here."""
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None
            self._say()

    def finish(self) -> int:
        """All of it is here: under its own name, for good. OSError when some is missing."""
        self.close()
        if self.of is not None and self.size != self.of:
            raise ConnectionError(f"the connection ended after {self.size} of {self.of} bytes")
        os.replace(self._home / PART, self._home / IMAGE)
        (self._home / ABOUT).unlink(missing_ok=True)
        return self.size

    def discard(self) -> None:
        """What is here is of no use."""
        (self._home / PART).unlink(missing_ok=True)
        (self._home / ABOUT).unlink(missing_ok=True)

    def _say(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody wants to know
            self._tell({"bytes": self.size, "of": self.of})

    def _check_size(self, size: int) -> None:
        if size > self._most:
            self._over.set()
            raise JobFailed(f"the file is larger than {self._most} bytes", final=True)

    def _check_room(self, more: int) -> None:
        """The journal of transactions needs what is left of the flash more than an update does."""
        if shutil.disk_usage(self._home).free - more < ROOM_LEFT:
            self._over.set()
            raise JobFailed("there is not enough room on the flash", final=True)

    # ---------------------------------------------------------------------------------------- who brings it

    def uses(self, connection: socket.socket | None) -> None:
        """The socket that `hang_up` ends."""
        self._socket = connection
        if self._over.is_set():
            self.hang_up()

    def hang_up(self) -> None:
        """Whatever blocks on the network ends."""
        self._over.set()
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def tls(self) -> ssl.SSLContext:
        """Whom a server's certificate is trusted by."""
        return trusted(self._state_dir)


# -------------------------------------------------------------------------------------------- HTTP


def _http(attempt: Attempt, url: Url, protocols: Any) -> None:
    """GET, from where the last attempt broke off; follows redirects within the allowed protocols."""
    source = url.text
    for _ in range(REDIRECTS_MOST):
        with contextlib.closing(_connected(attempt, url)) as connection:
            have, version = attempt.known(source)
            connection.request("GET", url.path + url.query, headers=_headers(url, have, version))
            attempt.uses(connection.sock)
            answer = connection.getresponse()
            if answer.status not in MOVED:
                _take(attempt, source, answer, have)
                return
            url = moved(url, answer.getheader("Location") or "", protocols)
    raise JobFailed(f"more than {REDIRECTS_MOST} redirects", final=True)


def _connected(attempt: Attempt, url: Url) -> http.client.HTTPConnection:
    if url.scheme == "https":
        return http.client.HTTPSConnection(url.host, url.port, timeout=STALL_S, context=attempt.tls())
    return http.client.HTTPConnection(url.host, url.port, timeout=STALL_S)


def _headers(url: Url, have: int, version: str) -> dict[str, str]:
    headers = {"Accept-Encoding": "identity", "User-Agent": "chargerd"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": version}
    if url.user is not None:
        secret = b64encode(f"{url.user}:{url.password or ''}".encode()).decode()
        headers["Authorization"] = f"Basic {secret}"
    return headers


def moved(url: Url, where: str, protocols: Any) -> Url:
    """Where a redirect leads: never to another scheme, but from http to https. JobFailed otherwise."""
    if where.startswith("/") and not where.startswith("//"):
        return url._replace(path=where.partition("?")[0], query="".join(where.partition("?")[1:]))
    target = checked_url(where, protocols)
    if isinstance(target, Refusal) or target.scheme not in (url.scheme, "https"):
        raise JobFailed("the server sends us to an address that is not allowed", final=True)
    return target


def _take(attempt: Attempt, source: str, answer: http.client.HTTPResponse, have: int) -> None:
    length = answer.getheader("Content-Length")
    of = int(length) if length is not None and length.isascii() and length.isdigit() else None
    version = answer.getheader("ETag") or answer.getheader("Last-Modified") or ""
    if answer.status == HTTPStatus.PARTIAL_CONTENT:
        span = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", answer.getheader("Content-Range") or "")
        if span is None or int(span[1]) != have:
            raise http.client.HTTPException("the server continues at another place than it was asked to")
        attempt.begin(source, version, int(span[2]), have)
    elif answer.status == HTTPStatus.OK:
        attempt.begin(source, "" if version.startswith("W/") else version, of)
    else:
        raise http.client.HTTPException(f"the server says {answer.status} {answer.reason}")
    try:
        for chunk in iter(lambda: answer.read(CHUNK), b""):
            attempt.add(chunk)
    finally:
        attempt.close()


# -------------------------------------------------------------------------------------------- FTP


def _ftp(attempt: Attempt, url: Url, protocols: Any) -> None:
    """RETR, from where the last attempt broke off when size and time of the file are as they were."""
    name = url.file.lstrip("/")
    with _logged_in(attempt, url) as server:
        server.voidcmd("TYPE I")
        of = server.size(name)
        version = f"{of} {_modified(server, name)}"
        have, before = attempt.known(url.text)
        have = have if before == version and of is not None and have <= of else 0
        attempt.begin(url.text, version, of, have)
        data = server.transfercmd(f"RETR {name}", have or None)
        attempt.uses(data)
        try:
            for chunk in _chunks(data):
                attempt.add(chunk)
        finally:
            attempt.close()
            data.close()
        with contextlib.suppress(*WENT_WRONG):  # the size tells whether all is here
            server.voidresp()


def _chunks(data: socket.socket) -> Iterator[bytes]:
    data.settimeout(STALL_S)
    return iter(lambda: data.recv(CHUNK), b"")


def _logged_in(attempt: Attempt, url: Url) -> ftplib.FTP:
    server = ftplib.FTP_TLS(context=attempt.tls()) if url.scheme == "ftps" else ftplib.FTP()
    server.connect(url.host, url.port, timeout=STALL_S)
    attempt.uses(server.sock)
    server.login(url.user or "anonymous", url.password or "")
    if isinstance(server, ftplib.FTP_TLS):
        server.prot_p()
    return server


def _modified(server: ftplib.FTP, name: str) -> str:
    with contextlib.suppress(ftplib.Error):
        return server.voidcmd(f"MDTM {name}")
    return ""


# -------------------------------------------------------------------------------------------- SFTP


def _sftp(attempt: Attempt, url: Url, keys: Set[str]) -> None:
    """From where the last attempt broke off when size and time of the file are as they were."""
    from agent.io import sftp

    async def take(server: sftp.Session) -> None:
        path = sftp.place(url)
        of, version = await server.about(path)
        have, before = attempt.known(url.text)
        have = have if before == version and of is not None and have <= of else 0
        attempt.begin(url.text, version, of, have)
        try:
            async for chunk in server.read(path, have):
                attempt.add(chunk)
        finally:
            attempt.close()

    with socket.create_connection((url.host, url.port), timeout=STALL_S) as line:
        attempt.uses(line)
        sftp.speak(line, url, keys, STALL_S, take)


# -------------------------------------------------------------------------------------------- this board


def _copy(attempt: Attempt, file: str) -> None:
    """A file that a person has put on this board."""
    try:
        with open(os.open(file, os.O_RDONLY | os.O_NONBLOCK), "rb") as source:
            status = os.fstat(source.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise JobFailed(f"{file} is no file", final=True)
            attempt.begin(file, "", status.st_size)
            for chunk in iter(lambda: source.read(CHUNK), b""):
                attempt.add(chunk)
    except OSError as error:
        raise JobFailed(f"{file} cannot be read by chargerd: {error.strerror}", final=True) from None
    finally:
        attempt.close()
