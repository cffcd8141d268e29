"""Real HTTP and FTP servers on loopback that stall, cut, refuse, redirect and send too much."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field


@dataclass
class Manners:
    """How a server behaves. `cuts` are bytes after which it breaks off, one per transfer."""

    content: bytes = b""
    cuts: list[int] = field(default_factory=list)
    stalls: bool = False
    """It says nothing more in the middle."""
    status: int = 200
    location: str = ""
    lies: int = 0
    """So many bytes more than there are, as it says."""
    endless: bool = False
    tag: str = '"v1"'
    ranges: bool = True
    password: str | None = None
    asked: list[str] = field(default_factory=list)
    """Request lines with their Range; RETR with its REST."""
    stalled: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)

    def body(self, begin: int) -> Iterator[bytes]:
        """What is sent from `begin` on."""
        end = begin + self.cuts.pop(0) if self.cuts else len(self.content)
        yield self.content[begin:end]
        while self.endless:
            yield bytes(65536)
        if self.stalls:
            self.stalled.set()
            self.over.wait(60)


@contextlib.contextmanager
def served(handler: Callable[[socket.socket, Manners], None], manners: Manners) -> Iterator[int]:
    """A server on a free port, a thread per connection; the port."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                handler(self.request, manners)

    socketserver.ThreadingTCPServer.allow_reuse_address = True
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            manners.over.set()
            server.shutdown()


def http(connection: socket.socket, manners: Manners) -> None:
    """One GET."""
    head = b""
    while b"\r\n\r\n" not in head:
        if not (more := connection.recv(4096)):
            return
        head += more
    line, *rest = head.decode().split("\r\n")
    headers = {k.lower(): v.strip() for k, _, v in (row.partition(":") for row in rest)}
    manners.asked.append(f"{line} {headers.get('range', '')}".strip())
    begin = 0
    same = headers.get("if-range") == manners.tag
    if manners.ranges and same and "range" in headers:
        begin = int(headers["range"].removeprefix("bytes=").rstrip("-"))
    whole = len(manners.content)
    status = 206 if begin and manners.status == 200 else manners.status
    lines = [f"HTTP/1.1 {status} Whatever", f"ETag: {manners.tag}", "Connection: close"]
    if manners.location:
        lines.append(f"Location: {manners.location}")
    if not manners.endless:
        lines.append(f"Content-Length: {whole - begin + manners.lies}")
    if begin:
        lines.append(f"Content-Range: bytes {begin}-{whole - 1}/{whole}")
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    for chunk in manners.body(begin):
        connection.sendall(chunk)


def https(context: ssl.SSLContext) -> Callable[[socket.socket, Manners], None]:
    """The same within TLS."""

    def handler(connection: socket.socket, manners: Manners) -> None:
        with contextlib.suppress(ssl.SSLError), context.wrap_socket(connection, server_side=True) as wrapped:
            http(wrapped, manners)

    return handler


def ftp(connection: socket.socket, manners: Manners) -> None:
    """Enough of RFC 959 and RFC 3659 for one RETR."""
    _Ftp(connection, manners, None).serve()


def ftps(context: ssl.SSLContext) -> Callable[[socket.socket, Manners], None]:
    """The same with AUTH TLS (RFC 4217)."""
    return lambda connection, manners: _Ftp(connection, manners, context).serve()


class _Ftp:
    def __init__(self, connection: socket.socket, manners: Manners, tls: ssl.SSLContext | None) -> None:
        self._control, self._manners, self._tls = connection, manners, tls
        self._rest = 0
        self._private = False
        self._listener: socket.socket | None = None

    def serve(self) -> None:
        self._say("220 hello")
        lines = b""
        while more := self._control.recv(4096):
            lines += more
            while b"\r\n" in lines:
                line, _, lines = lines.partition(b"\r\n")
                verb, _, rest = line.decode().partition(" ")
                if verb == "QUIT":
                    return
                self._obey(verb.upper(), rest)

    def _say(self, text: str) -> None:
        self._control.sendall(f"{text}\r\n".encode())

    def _obey(self, verb: str, rest: str) -> None:
        if verb == "AUTH" and self._tls is not None:
            self._say("234 go on")
            self._control = self._tls.wrap_socket(self._control, server_side=True)
        elif verb in ("EPSV", "PASV"):
            self._listener = socket.create_server(("127.0.0.1", 0))
            port = self._listener.getsockname()[1]
            self._say(f"229 (|||{port}|)" if verb == "EPSV" else f"227 (127,0,0,1,{port >> 8},{port & 255})")
        elif verb == "PASS" and self._manners.password not in (None, rest):
            self._say("530 no")
        elif verb == "RETR":
            self._retrieve(rest)
        elif verb == "REST":
            self._rest = int(rest)
            self._say("350 from there")
        else:
            self._private = self._private or (verb, rest) == ("PROT", "P")
            size = f"213 {len(self._manners.content) + self._manners.lies}"
            known = {"USER": "331 and?", "PASS": "230 in", "SIZE": size, "MDTM": f"213 {self._manners.tag}"}
            self._say(known.get(verb, "200 fine"))

    def _retrieve(self, name: str) -> None:
        self._manners.asked.append(f"RETR {name} {self._rest}")
        if self._manners.status != 200:
            self._say("550 no such file")
            return
        assert self._listener is not None
        self._say("150 here it comes")
        data, _ = self._listener.accept()
        if self._tls is not None and self._private:
            data = self._tls.wrap_socket(data, server_side=True)
        with data, self._listener:
            for chunk in self._manners.body(self._rest):
                data.sendall(chunk)
        self._rest = 0
        self._say("226 done")
