"""TLS against a real server with its own CA: what is trusted, what is not, and the one name that each flaw gets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from agent.core.events import LinkDown, LinkUp
from hil.pki import Made, issue, root
from tests.io.test_link import Csms, Side, csms
from tests.marks import req

HOST = "localhost"
ROOT, FALLBACK = "CSMSRootCertificate", "CSMSRootCertificate.fallback"
CA = "CSMS root"
FLOOR_MS = 1_767_225_600_000
YEAR_MS = 365 * 86_400_000


@cache
def leaf(name: str = HOST, **wishes: Any) -> Made:
    """A certificate of a server, by the CSMS's root."""
    return issue(name, root(CA), ca=False, **wishes)


def serving(made: Made, directory: Path, chain: str = "") -> ssl.SSLContext:
    """The server's side."""
    file = directory / f"server-{made.certificate.serial_number}.pem"
    file.write_text(made.both + chain)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.load_cert_chain(file)
    return context


def trusting(home: Path, *roots: Made, kind: str = ROOT) -> Path:
    """A state directory with these roots."""
    directory = home / "certificates" / kind
    directory.mkdir(parents=True, exist_ok=True)
    for made in roots:
        (directory / f"{made.certificate.serial_number}.pem").write_text(made.pem)
    return home


def dialled(context: ssl.SSLContext, home: Path, **order: Any) -> tuple[LinkUp | LinkDown, Csms]:
    """How one attempt goes, and what the server has seen of it."""

    async def story() -> tuple[LinkUp | LinkDown, Csms]:
        async with csms(ssl=context) as server:
            side = Side(server.port, home)
            wishes = {"security_profile": 2, "password": "correct-horse-battery", **order}
            side.connect(url=f"wss://{HOST}:{server.port}/", **wishes)
            while not side.events:
                await asyncio.sleep(0.005)
            event = side.events[0]
            await side.link.close()
            assert isinstance(event, LinkUp | LinkDown)
            return event, server

    return asyncio.run(asyncio.wait_for(story(), 30))


@req("A00.FR.301", "A00.FR.302", "A00.FR.303", "A00.FR.308", "A00.FR.309", "A00.FR.312", "A00.FR.314", "A00.FR.317",
     "A00.FR.319", "A00.FR.321")  # fmt: skip
@pytest.mark.parametrize(("kind", "version"), [("ec", None), ("rsa", None), ("ec", "TLSv1_2"), ("rsa", "TLSv1_2")])
def test_a_good_csms_is_told_the_password_inside_tls(tmp_path: Path, kind: str, version: str | None) -> None:
    context = serving(leaf(kind=kind), tmp_path)
    if version:
        context.maximum_version = ssl.TLSVersion[version]
    up, server = dialled(context, trusting(tmp_path, root(CA)))
    assert isinstance(up, LinkUp) and up.root == ROOT
    assert "GCM" in up.tls and up.tls.startswith("TLSv1.2" if version else "TLSv1.3")
    assert server.requests[0].headers["Authorization"].startswith("Basic ")


def turned_down(context: ssl.SSLContext, home: Path, **order: Any) -> tuple[LinkUp | LinkDown, list[bytes]]:
    """How an attempt at an ordinary server goes, one that sends its alerts, and what that could read."""
    read: list[bytes] = []

    async def story(port: int) -> LinkUp | LinkDown:
        side = Side(port, home)
        wishes = {"security_profile": 2, "password": "correct-horse-battery", **order}
        side.connect(url=f"wss://{HOST}:{port}/", **wishes)
        while not side.events:
            await asyncio.sleep(0.005)
        event = side.events[0]
        assert isinstance(event, LinkUp | LinkDown)
        return event

    def serve(listening: socket.socket) -> None:
        session = context.wrap_socket(listening.accept()[0], server_side=True, do_handshake_on_connect=False)
        try:
            session.do_handshake()
            read.append(session.recv(100))
        except OSError:
            with socket.socket(fileno=session.detach()) as plain, contextlib.suppress(OSError):
                plain.shutdown(socket.SHUT_WR)
                while plain.recv(4096):
                    pass
        session.close()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = threading.Thread(target=serve, args=(listening,))
        server.start()
        outcome = asyncio.run(asyncio.wait_for(story(listening.getsockname()[1]), 30))
        server.join()
    return outcome, read


OLD = {"minimum_version": ssl.TLSVersion.TLSv1_1, "maximum_version": ssl.TLSVersion.TLSv1_1}
FLAWS: dict[str, tuple[Callable[[], Made], dict[str, Any], str, str]] = {
    "expired": (lambda: leaf(days=1, since=-3), {}, "InvalidCsmsCertificate", "it has expired; this station's clock"),
    "not yet valid": (lambda: leaf(since=3), {}, "InvalidCsmsCertificate", "is it wrong?"),
    "other name": (lambda: leaf("csms.example"), {}, "InvalidCsmsCertificate", "another host name"),
    "CN hidden by SAN": (lambda: leaf(hosts=("a.example",)), {}, "InvalidCsmsCertificate", "another host name"),
    "other root": (
        lambda: issue(HOST, root("Another"), ca=False), {}, "InvalidCsmsCertificate", "signed by no installed root",
    ),
    "self-signed": (lambda: issue(HOST, None), {}, "InvalidCsmsCertificate", "self-signed"),
    "no authority": (
        lambda: issue(HOST, leaf("Not a CA"), ca=False), {}, "InvalidCsmsCertificate", "signed by no installed root",
    ),
    "weak key": (lambda: leaf(kind="weak"), {}, "InvalidCsmsCertificate", "its key is too weak"),
    "TLS 1.1": (leaf, OLD, "InvalidTLSVersion", "expected 1.2 or newer"),
    "wrong suite": (
        lambda: leaf(kind="rsa"), {"ciphers": "AES128-SHA", "maximum_version": ssl.TLSVersion.TLSv1_2},
        "InvalidTLSCipherSuite", "no cipher suite",
    ),
    "wants a certificate, TLS 1.3": (
        leaf, {"verify_mode": ssl.CERT_REQUIRED}, "FailedToAuthenticateAtCsms", "certificate required",
    ),
    "wants a certificate, TLS 1.2": (
        leaf, {"verify_mode": ssl.CERT_REQUIRED, "maximum_version": ssl.TLSVersion.TLSv1_2},
        "FailedToAuthenticateAtCsms", "refused this station's certificate",
    ),
}  # fmt: skip


@req("A00.FR.308", "A00.FR.309", "A00.FR.310", "A00.FR.311", "A00.FR.312", "A00.FR.313", "A00.FR.314", "A00.FR.316",
     "A00.FR.320", "A00.FR.323", "A00.FR.411", "A00.FR.412", "A00.FR.413", "A00.FR.414", "A00.FR.415", "A00.FR.416",
     "A00.FR.417", "A00.FR.419", "A00.FR.420", "A00.FR.423", "A00.FR.424", "A00.FR.426", "A00.FR.422", "A00.FR.501",
     "A00.FR.502", "A00.FR.503", "A00.FR.504", "A00.FR.506")  # fmt: skip
@pytest.mark.filterwarnings("ignore:.*TLSv1_1:DeprecationWarning")
@pytest.mark.parametrize("flaw", FLAWS)
def test_each_flaw_ends_the_attempt_under_one_name_before_anything_is_said(tmp_path: Path, flaw: str) -> None:
    made, settings, event, words = FLAWS[flaw]
    context = serving(made(), tmp_path)
    for name, value in settings.items():
        if name == "ciphers":
            context.set_ciphers(value)
        else:
            setattr(context, name, value)
    down, read = turned_down(context, trusting(tmp_path, root(CA)))
    assert isinstance(down, LinkDown)
    assert (down.flaw, words in down.reason) == (event, True), down
    assert read in ([], [b""])


def test_a_server_without_tls_and_a_station_without_roots_are_told_apart(tmp_path: Path) -> None:
    home = trusting(tmp_path, root(CA))

    async def story(port: int) -> LinkDown:
        side = Side(port, home)
        side.connect(url=f"wss://{HOST}:{port}/", security_profile=2)
        return await side.down()

    def serve(listening: socket.socket) -> None:
        with listening.accept()[0] as plain:
            plain.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            plain.recv(1000)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, args=(listening,)).start()
        down = asyncio.run(story(listening.getsockname()[1]))
    assert (down.flaw, down.reason) == ("", "what answers there does not speak TLS")
    lost, _ = dialled(serving(leaf(), tmp_path), tmp_path / "empty")
    assert isinstance(lost, LinkDown) and "no root certificate of the CSMS is installed" in lost.reason


def test_a_wildcard_is_trusted_only_where_the_key_says_so(tmp_path: Path) -> None:
    """OpenSSL wants two labels behind a star, so the name is one of example's; the address is ours."""
    home = trusting(tmp_path, root(CA))
    wild = serving(leaf("any", hosts=("*.csms.example",)), tmp_path)
    named = serving(leaf("any", hosts=("*.csms.example", "one.csms.example")), tmp_path)
    outcomes = [attempt(context, home, wildcards) for context in (wild, named) for wildcards in (False, True)]
    assert [type(outcome) for outcome in outcomes] == [ssl.SSLError, str, str, str]


def test_the_roots_of_the_operating_system_vouch_only_where_the_key_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "system.pem").write_text(root(CA).pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "system.pem"))
    home = trusting(tmp_path, root("Another"))
    context = serving(leaf(), tmp_path)
    told = [dialled(context, home, system_roots=trusts)[0] for trusts in (False, True)]
    assert [type(event) for event in told] == [LinkDown, LinkUp]


def attempt(context: ssl.SSLContext, home: Path, wildcards: bool) -> Any:
    """A handshake in memory, as host one.csms.example: the version, or what was wrong."""
    from agent.core.effects import Connect
    from agent.io import tls

    order = Connect(1, "wss://one.csms.example/", "CD-0001", None, wildcards=wildcards, security_profile=2)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = tls.context(order, home, ROOT, None).wrap_bio(back, there, server_hostname="one.csms.example")
    server = context.wrap_bio(there, back, server_side=True)
    for _ in range(4):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError as error:
                assert tls.flaw_of(error) == (
                    "InvalidCsmsCertificate",
                    "certificate of the CSMS not trusted: it names one.csms.example by a wildcard only"
                    " (SecurityCtrlr.AllowCSMSTLSWildcards)",
                )
                return ssl.SSLError()
    return client.version()


@req("M05.FR.14", "M05.FR.16")
def test_a_second_set_of_roots_is_tried_when_the_first_vouches_for_nobody(tmp_path: Path) -> None:
    """Bug 18: an operator rotates its root, and its server's certificate follows some day."""
    new = issue("New root", root(CA))
    home = trusting(trusting(tmp_path, new), root(CA), kind=FALLBACK)
    both = (ROOT, FALLBACK)
    for server, kind in ((leaf(), FALLBACK), (issue(HOST, new, ca=False), ROOT)):
        up, _ = dialled(serving(server, tmp_path), home, roots=both)
        assert isinstance(up, LinkUp) and up.root == kind
    down, _ = dialled(serving(leaf(), tmp_path), home)
    assert isinstance(down, LinkDown) and down.flaw == "InvalidCsmsCertificate"


def test_root_rotation_overlap(tmp_path: Path) -> None:
    """Bug 18: old and new root are installed side by side; each server is trusted, whichever root it has."""
    home = trusting(tmp_path, root(CA), root("Successor"))
    for authority in (root(CA), root("Successor")):
        up, _ = dialled(serving(issue(HOST, authority, ca=False), tmp_path), home)
        assert isinstance(up, LinkUp)


def test_expired_root_diagnosis(tmp_path: Path) -> None:
    """Bug 18: a root that was left to expire is named, and not the server's good certificate."""
    old = issue("Old root", None, days=1, since=-3)
    down, _ = dialled(serving(issue(HOST, old, ca=False), tmp_path), trusting(tmp_path, old))
    assert isinstance(down, LinkDown) and down.flaw == "InvalidCsmsCertificate"
    assert "the installed root has expired" in down.reason


@pytest.mark.parametrize(("since", "days", "good"), [(-1, 30, True), (-60, 30, False)])
def test_rtc_lost_tls(tmp_path: Path, since: float, days: float, good: bool) -> None:
    """Bug 15: the system's clock is before the last known time, so a good certificate seems "not yet valid".

    Here the last known time is put a year ahead of the clock, and the certificates around it.
    """
    import time

    floor_ms = round(time.time() * 1000) + YEAR_MS
    made = leaf(since=365 + since, days=days)
    outcome, _ = dialled(serving(made, tmp_path), trusting(tmp_path, root(CA)), floor_ms=floor_ms)
    assert isinstance(outcome, LinkUp if good else LinkDown)
    if isinstance(outcome, LinkDown):
        assert outcome.flaw == "InvalidCsmsCertificate" and "it was valid until" in outcome.reason


@req("A00.FR.401", "A00.FR.402", "A00.FR.427", "A00.FR.430")
@pytest.mark.parametrize("days", [365, 0.5])
def test_profile_3_presents_the_stations_certificate_even_an_expired_one(tmp_path: Path, days: float) -> None:
    """An expired one is the CSMS's to judge: the attempt is made, and its refusal is named."""
    own = issue("SN1", root(CA), ca=False, days=days)
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "own.pem").write_text(own.pem)
    (credentials / "own.key").write_text(own.both)
    context = serving(leaf(), tmp_path)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=root(CA).pem)
    home = trusting(tmp_path, root(CA))
    wishes = {"security_profile": 3, "password": None, "certificate": "own"}
    if days > 1:
        up, server = dialled(context, home, **wishes)
        assert isinstance(up, LinkUp) and "Authorization" not in server.requests[0].headers
        return
    down, _ = turned_down(context, home, **wishes)
    assert isinstance(down, LinkDown) and down.flaw == "FailedToAuthenticateAtCsms"
    assert "certificate expired" in down.reason
