"""A server that is no CSMS: it says one thing to whoever dials, and then nothing more."""

from __future__ import annotations

import base64
import hashlib
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus

from hil.cutter import Address

Answer = Callable[[str], bytes]
"""What is said to a request for an upgrade."""
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""RFC 6455, 1.3."""
CLOSE = 0x88
"""The first byte of a close frame; he hangs up over it, and answers nothing else."""


class Impostor(socketserver.ThreadingTCPServer):
    """Give it an `answer` before somebody is led to it."""

    daemon_threads = True
    answer: Answer

    @property
    def address(self) -> Address:
        return Address("127.0.0.1", self.socket.getsockname()[1])


class _Caller(socketserver.BaseRequestHandler):
    request: socket.socket
    server: Impostor

    def handle(self) -> None:
        request = b""
        while b"\r\n\r\n" not in request:
            request += self.request.recv(4096) or b"\r\n\r\n"
        try:
            self.request.sendall(self.server.answer(request.decode()))
            while (data := self.request.recv(4096)) and data[0] != CLOSE:
                pass
        except ConnectionError:
            return


@contextmanager
def impostor() -> Iterator[Impostor]:
    """Listens while the context is open."""
    with Impostor(("127.0.0.1", 0), _Caller) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def refuses(status: HTTPStatus) -> Answer:
    """Every upgrade gets that status."""
    head = f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Length: 0\r\nConnection: close\r\n"
    where = "Location: ws://127.0.0.1:1/\r\n" if status is HTTPStatus.FOUND else ""
    return lambda request: f"{head}{where}\r\n".encode()


def upgrades(*fields: str) -> Answer:
    """Every upgrade is granted, with these fields beside those that it needs; no frame is ever sent."""

    def answer(request: str) -> bytes:
        key = next(line.split(": ", 1)[1] for line in request.splitlines() if line.startswith("Sec-WebSocket-Key"))
        accept = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
        head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        return "\r\n".join((f"{head}Sec-WebSocket-Accept: {accept}", *fields, "", "")).encode()

    return answer


def hangs(request: str) -> bytes:
    """The handshake never ends: a status line, and no more."""
    return b"HTTP/1.1 101 Switching Protocols\r\nUpgra"
