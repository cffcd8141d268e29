"""Bringing some bytes to a server (N01): HTTP(S) by PUT or POST, FTP(S), SFTP. Loaded for an upload only.

Nothing of the server is believed: every wait, every line and the whole attempt are bounded, no redirect is followed,
and a data connection of FTP goes to the server that was asked.
"""

from __future__ import annotations

import asyncio
import base64
import ftplib
import io
import os
import secrets
import socket
import ssl
from collections.abc import Mapping, Set
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from agent.core.file_servers import host_keys
from agent.core.urls import PORTS, Url
from agent.io.jobs import JobFailed

IDLE_S, WHOLE_S = 30.0, 600.0
CHUNK = 16 * 1024
FTP_LINES_MOST = 500
SAFE = "/%:=&?+,;@!$'()*~-._"
"""What stays as it is in a request's line; anything else is percent-encoded."""
CSMS_ROOTS = ("CSMSRootCertificate", "CSMSRootCertificate.fallback")


class Trust(NamedTuple):
    """Whom a server is known by: who vouches for its certificate, or its SSH key."""

    tls: ssl.SSLContext
    host_keys: str
    """SecurityCtrlr.SftpHostKeys."""


async def send(url: Url, name: str, content: bytes, trust: Trust) -> None:
    """Bring `content` to the place, as `name` where the place is a directory. Raises JobFailed with a status."""
    try:
        async with asyncio.timeout(WHOLE_S):
            if url.scheme == "sftp":
                await _sftp(url, name, content, host_keys(trust.host_keys, url.host))
            else:
                await (_ftp if url.scheme.startswith("ftp") else _http)(url, name, content, trust.tls)
    except TimeoutError:
        raise _failed(f"{url.text}: the server has stalled") from None
    except ssl.SSLCertVerificationError as error:
        raise _failed(f"{url.text}: its certificate is not trusted: {error.verify_message}") from error
    except socket.gaierror as error:
        raise _failed(f"{url.host}: host name not found") from error
    except (OSError, UnicodeError) as error:
        raise _failed(f"{url.text}: {(error.strerror if isinstance(error, OSError) else None) or error}") from error


def trusted(state_dir: Path) -> ssl.SSLContext:
    """TLS 1.2 or newer, with the CSMS's roots and those of the operating system (N01.FR.15, FR.16)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_default_certs()
    for kind in CSMS_ROOTS:
        for file in sorted((state_dir / "certificates" / kind).glob("*.pem")):
            with suppress(OSError, ssl.SSLError):
                context.load_verify_locations(file)
    return context


def _failed(error: str, status: str = "UploadFailure") -> JobFailed:
    return JobFailed(error, status=status)


# ------------------------------------------------------------------------------------------------ HTTP


async def _http(url: Url, name: str, content: bytes, trust: ssl.SSLContext) -> None:
    """PUT; where the server knows no PUT there, POST as a form (N01.FR.18, FR.19)."""
    path = url.path + (name if url.path.endswith("/") else "")
    kind = {"Content-Type": "application/octet-stream"}
    code = await _request(url, "PUT", path, kind, content, trust)
    if code in (405, 501):
        boundary = f"chargerd-{secrets.token_hex(8)}"
        kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        code = await _request(url, "POST", url.path, kind, _form(boundary, name, content), trust)
    if not 200 <= code < 300:
        raise _failed(f"{url.text}: HTTP {code}", _http_status(code))


def _form(boundary: str, name: str, content: bytes) -> bytes:
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="uploadfile"; filename="{name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    return head.encode() + content + f"\r\n--{boundary}--\r\n".encode()


def _http_status(code: int) -> str:
    if code in (401, 403, 407):
        return "PermissionDenied"
    if code in (405, 501):
        return "NotSupportedOperation"
    return "BadMessage" if code in (400, 411, 415, 422) else "UploadFailure"


async def _request(
    url: Url, method: str, path: str, fields: Mapping[str, str], content: bytes, trust: ssl.SSLContext
) -> int:
    """One request on a connection of its own; returns the status code."""
    async with asyncio.timeout(IDLE_S):
        secure = trust if url.scheme == "https" else None
        reader, writer = await asyncio.open_connection(url.host, url.port, ssl=secure, limit=CHUNK)
    try:
        writer.write(_head(url, method, path, {**fields, "Content-Length": str(len(content))}))
        with suppress(ConnectionError):  # a server that has heard enough answers and closes
            for start in range(0, len(content), CHUNK):
                writer.write(content[start : start + CHUNK])
                async with asyncio.timeout(IDLE_S):
                    await writer.drain()
        async with asyncio.timeout(IDLE_S):
            return await _status(reader, url)
    finally:
        writer.close()


def _head(url: Url, method: str, path: str, fields: Mapping[str, str]) -> bytes:
    host = f"[{url.host}]" if ":" in url.host else url.host.encode("idna").decode()
    named = host if url.port == PORTS[url.scheme] else f"{host}:{url.port}"
    lines = [f"{method} {quote(path + url.query, safe=SAFE)} HTTP/1.1", f"Host: {named}", "Connection: close"]
    if url.user is not None:
        credentials = base64.b64encode(f"{url.user}:{url.password or ''}".encode()).decode()
        lines.append(f"Authorization: Basic {credentials}")
    lines += [f"{field}: {value}" for field, value in fields.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


async def _status(reader: asyncio.StreamReader, url: Url) -> int:
    """The code of the final answer; what comes behind it is not read."""
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            version, _, rest = head.partition(" ")
            if not version.startswith("HTTP/1.") or not rest[:3].isdigit():
                raise _failed(f"{url.text}: the answer is no HTTP", "BadMessage")
            if int(rest[:3]) >= 200:
                return int(rest[:3])
    except asyncio.LimitOverrunError:
        raise _failed(f"{url.text}: the answer never ends", "BadMessage") from None
    except asyncio.IncompleteReadError as cut:
        if cut.partial:
            raise _failed(f"{url.text}: the answer is no HTTP", "BadMessage") from None
        raise _failed(f"{url.text}: the server has hung up") from None


# ------------------------------------------------------------------------------------------------ FTP


class _Ftp(ftplib.FTP_TLS):
    """A client that a server cannot keep busy for ever."""

    _lines = 0

    def getline(self) -> str:
        self._lines += 1
        if self._lines > FTP_LINES_MOST:
            raise ftplib.error_proto("the answers never end")
        return super().getline()


async def _ftp(url: Url, name: str, content: bytes, trust: ssl.SSLContext) -> None:
    """Passive, in a thread of its own; when nobody waits any more its connection is closed under it."""
    client = _Ftp(context=trust, timeout=IDLE_S)
    work = asyncio.get_running_loop().run_in_executor(None, _store, client, url, name, content)
    try:
        await asyncio.shield(work)
    except ftplib.Error as error:
        raise _failed(f"{url.text}: {error}", _ftp_status(error)) from error
    except EOFError:
        raise _failed(f"{url.text}: the server has hung up") from None
    finally:
        if not work.done():
            work.add_done_callback(lambda done: done.exception())
        _hang_up(client.sock)


def _hang_up(line: socket.socket | None) -> None:
    if line is not None:
        with suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)


def _store(client: _Ftp, url: Url, name: str, content: bytes) -> None:
    with client:
        client.connect(url.host, url.port)
        if url.scheme == "ftps":
            client.auth()
        ftplib.FTP.login(client, url.user or "anonymous", url.password or "anonymous@")
        if url.scheme == "ftps":
            client.prot_p()
        folder, file = _place(url.file.lstrip("/"), name)
        if folder:
            client.cwd(folder)
        client.storbinary(f"STOR {file}", io.BytesIO(content), CHUNK)


def _place(path: str, name: str) -> tuple[str, str]:
    """Folder and file of a path: its last part is a file's name when it has a dot, else a folder."""
    folder, file = os.path.split(path)
    return (folder, file) if "." in file.strip(".") else (path.rstrip("/"), name)


def _ftp_status(error: ftplib.Error) -> str:
    code = str(error)[:3]
    if code in ("530", "532", "553"):
        return "PermissionDenied"
    if code in ("500", "502", "504", "534"):
        return "NotSupportedOperation"
    return "BadMessage" if isinstance(error, ftplib.error_proto) else "UploadFailure"


# ------------------------------------------------------------------------------------------------ SFTP


async def _sftp(url: Url, name: str, content: bytes, keys: Set[str]) -> None:
    """In a thread of its own, since the library takes long to load; hung up when nobody waits any more."""
    line = await asyncio.to_thread(socket.create_connection, (url.host, url.port), IDLE_S)
    work = asyncio.get_running_loop().run_in_executor(None, _put, line, url, name, content, keys)
    try:
        await asyncio.shield(work)
    finally:
        if not work.done():
            work.add_done_callback(lambda done: done.exception())
        _hang_up(line)


def _put(line: socket.socket, url: Url, name: str, content: bytes, keys: Set[str]) -> None:
    from agent.io import sftp

    path = os.path.join(*_place(sftp.place(url), name))
    try:
        with line:
            sftp.speak(line, url, keys, IDLE_S, lambda server: server.write(path, content))
    except sftp.SftpError as error:
        raise _failed(f"{url.text}: {error}", error.status) from error
