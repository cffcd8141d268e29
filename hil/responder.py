"""An authority that tells of revocations, as OCSP and as a list, in a good or one of many bad moods. For benches.

Moods that spoil whatever is told: silent, cuts, garbage, empty, endless, drips, moved, missing; of answers and lists:
expired, early, another (certificate or issuer), stranger (has signed it); of answers only: delegate (good where it may
answer), unsure, busy. The empty one is good.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from hil.pki import Made, root

BODY_MOST = 64 * 1024


class Responder:
    """Answers for any number of issuers on one free port of loopback. What it says may change at any time."""

    def __init__(self) -> None:
        self.port = 0
        self.moods: dict[str, str] = {}
        """By path; good where there is none."""
        self.lasts = timedelta(days=2)
        """Until when what it says counts."""
        self.asked: list[str] = []
        """The path of every request."""
        self._issuers: dict[str, Made] = {}
        self._issued: dict[int, tuple[Made, Made]] = {}
        self._revoked: dict[int, tuple[datetime, x509.ReasonFlags | None]] = {}
        self._delegates: dict[str, Made] = {}
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    # ---------------------------------------------------------------------------------------- what it says

    def speaks_for(
        self, issuer: Made, delegate: Made | None = None, mood: str = "", lists: str = ""
    ) -> tuple[str, str]:
        """The addresses of an issuer's responder and of its list, and their moods; `delegate` signs in some."""
        name = str(len(self._issuers))
        self._issuers[name] = issuer
        self.moods |= {f"/{name}/ocsp": mood, f"/{name}/list.crl": lists}
        if delegate is not None:
            self._delegates[name] = delegate
        base = f"http://127.0.0.1:{self.port}/{name}"
        return f"{base}/ocsp", f"{base}/list.crl"

    def knows(self, made: Made, issuer: Made) -> Made:
        """A certificate that it will be asked about."""
        self._issued[made.certificate.serial_number] = (made, issuer)
        return made

    def revokes(self, made: Made, reason: x509.ReasonFlags | None = x509.ReasonFlags.key_compromise) -> None:
        self._revoked[made.certificate.serial_number] = (datetime.now(UTC) - timedelta(hours=1), reason)

    def forgives(self, made: Made) -> None:
        del self._revoked[made.certificate.serial_number]

    def list_of(self, issuer: Made, mood: str = "", *extensions: x509.ExtensionType) -> bytes:
        """Its list, in DER; extensions are critical ones."""
        begins, ends = self._dates(mood)
        signer = root("Stranger") if mood == "stranger" else issuer
        name = x509.Name([]) if mood == "another" else issuer.certificate.subject
        made = x509.CertificateRevocationListBuilder().issuer_name(name).last_update(begins).next_update(ends)
        for serial, (since, reason) in self._revoked.items():
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(since)
            if reason is not None:
                entry = entry.add_extension(x509.CRLReason(reason), critical=False)
            made = made.add_revoked_certificate(entry.build())
        for extension in extensions:
            made = made.add_extension(extension, critical=True)
        return made.sign(signer.key, SHA256()).public_bytes(Encoding.DER)

    def _answer(self, name: str, request: bytes) -> bytes:
        issuer, mood = self._issuers[name], self.moods.get(f"/{name}/ocsp", "")
        serial = ocsp.load_der_ocsp_request(request).serial_number
        if mood == "busy":
            later = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER)
            return later.public_bytes(Encoding.DER)
        about = next(m for s, (m, _) in self._issued.items() if (s == serial) != (mood == "another"))
        since, reason = self._revoked.get(serial, (None, None))
        status = ocsp.OCSPCertStatus.GOOD if since is None else ocsp.OCSPCertStatus.REVOKED
        if mood == "unsure":
            status, since, reason = ocsp.OCSPCertStatus.UNKNOWN, None, None
        begins, ends = self._dates(mood)
        signer = self._delegates[name] if mood in ("stranger", "delegate") else issuer
        made = ocsp.OCSPResponseBuilder().add_response(
            about.certificate, issuer.certificate, SHA256(), status, begins, ends, since, reason
        ).responder_id(ocsp.OCSPResponderEncoding.HASH, signer.certificate)  # fmt: skip
        if mood == "delegate":
            made = made.certificates([signer.certificate])
        return made.sign(signer.key, SHA256()).public_bytes(Encoding.DER)

    def _dates(self, mood: str) -> tuple[datetime, datetime]:
        now = datetime.now(UTC)
        if mood == "expired":
            return now - timedelta(days=2), now - timedelta(days=1)
        if mood == "early":
            return now + timedelta(days=1), now + timedelta(days=2)
        return now - timedelta(minutes=1), now + self.lasts

    # ---------------------------------------------------------------------------------------- HTTP

    async def open(self, port: int = 0) -> None:
        self._server = await asyncio.start_server(self._client, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Nobody listens there any more."""
        if self._server is not None:
            self._server.close()
        for client in list(self._clients):
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._serve(reader, writer)
        finally:
            self._clients.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        path = head[0].split(" ")[1]
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        body = await reader.readexactly(min(int(fields.get("content-length", 0)), BODY_MOST))
        self.asked.append(path)
        name, _, what = path.strip("/").partition("/")
        mood = self.moods.get(path, "")
        if mood in _SPOILED:
            return await _SPOILED[mood](writer, path)
        content = self._answer(name, body) if what == "ocsp" else self.list_of(self._issuers[name], mood)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(content) + content)
        await writer.drain()


OK = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"


async def _silent(writer: asyncio.StreamWriter, path: str) -> None:
    await asyncio.Event().wait()


async def _cuts(writer: asyncio.StreamWriter, path: str) -> None:
    writer.transport.abort()


async def _garbage(writer: asyncio.StreamWriter, path: str) -> None:
    writer.write(OK + b"\x30\x82\xff\xff" + bytes(range(256)))


async def _empty(writer: asyncio.StreamWriter, path: str) -> None:
    writer.write(OK)


async def _endless(writer: asyncio.StreamWriter, path: str) -> None:
    writer.write(OK)
    while True:
        writer.write(bytes(65536))
        await writer.drain()


async def _drips(writer: asyncio.StreamWriter, path: str) -> None:
    for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 10_000:
        writer.write(bytes([byte]))
        await asyncio.sleep(0.05)


async def _moved(writer: asyncio.StreamWriter, path: str) -> None:
    writer.write(f"HTTP/1.1 302 Found\r\nLocation: {path}\r\nContent-Length: 0\r\n\r\n".encode())


async def _missing(writer: asyncio.StreamWriter, path: str) -> None:
    writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")


_SPOILED = {
    "silent": _silent, "cuts": _cuts, "garbage": _garbage, "empty": _empty, "endless": _endless, "drips": _drips,
    "moved": _moved, "missing": _missing,
}  # fmt: skip
