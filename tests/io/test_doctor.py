"""chargerctl doctor against real servers: the first step that fails is named in plain words, and what to do."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from agent import cli
from agent.core.effects import Connect
from agent.io import doctor
from agent.io.doctor import Finding, examine
from agent.io.pki import Store
from hil.csms import BenchCsms
from hil.pki import issue, root
from hil.responder import Responder
from tests.cli.test_chargerd import BOARD
from tests.io.test_link import csms
from tests.io.test_tls import CA, leaf, serving, trusting

ALL = ["clock", "DNS", "TCP", "TLS", "path", "subprotocol", "credentials", "boot"]
STATION = {"vendorName": "Example", "model": "Twin"}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "WITHIN_S", 1.0)
    monkeypatch.setattr(doctor, "BOOT_WITHIN_S", 0.5)


def order(port: int, **fields: Any) -> Connect:
    return Connect(**{"connection": 0, "url": f"ws://localhost:{port}/ocpp", "identity": "CD-0001",
                      "password": "correct-horse-battery", **fields})  # fmt: skip


def walk(home: Path, change: Callable[[BenchCsms], object] = lambda bench: None, **fields: Any) -> list[Finding]:
    """What is found on the way to a bench CSMS of which `change` was made."""

    async def run() -> list[Finding]:
        bench = BenchCsms()
        await bench.start("localhost")
        try:
            change(bench)
            return await examine(order(bench.port, **fields), home, STATION)
        finally:
            await bench.stop()

    return asyncio.run(run())


def failed(found: list[Finding]) -> Finding:
    """The last one, which is the only one that is not good."""
    assert [finding.ok for finding in found] == [True] * (len(found) - 1) + [False], found
    assert found[-1].advice
    return found[-1]


def behaves(**fields: Any) -> Callable[[BenchCsms], None]:
    def change(bench: BenchCsms) -> None:
        for name, value in fields.items():
            setattr(bench.behaviour, name, value)

    return change


def test_a_way_without_a_fault_is_walked_to_its_end(tmp_path: Path) -> None:
    found = walk(tmp_path, behaves(passwords={"CD-0001": "correct-horse-battery"}))
    assert [finding.step for finding in found] == ALL and all(finding.ok for finding in found)
    assert "correct-horse-battery" not in str(found)


@pytest.mark.parametrize(
    ("change", "step", "words"),
    [
        (behaves(passwords={"CD-0001": "another-password-it-is"}), "credentials", "401"),
        (behaves(refuse=403), "credentials", "403"),
        (behaves(refuse=404), "path", "404.*/ocpp/CD-0001"),
        (behaves(refuse=302), "path", "redirects"),
        (behaves(refuse=503), "path", "503"),
        (behaves(refuse=400), "subprotocol", "400"),
        (behaves(boot=["Rejected"]), "boot", "rejects"),
        (behaves(silent=True), "boot", "not answered"),
        (behaves(clock_offset_s=4000), "clock", "behind that of the CSMS"),
    ],
)
def test_the_step_that_fails_is_named(
    tmp_path: Path, change: Callable[[BenchCsms], None], step: str, words: str
) -> None:
    finding = failed(walk(tmp_path, change))
    assert finding.step == step
    assert all(word in finding.found for word in words.split(".*")), finding


def test_pending_is_no_fault_but_is_told(tmp_path: Path) -> None:
    found = walk(tmp_path, behaves(boot=["Pending"]))
    assert all(finding.ok for finding in found) and "Pending" in found[-1].found


@pytest.mark.parametrize(
    ("fields", "step", "words"),
    [
        ({"url": "ws://no-such-host.invalid/ocpp"}, "DNS", "no host no-such-host.invalid"),
        ({"url": "ws://127.0.0.1:1/ocpp"}, "TCP", "Connection refused"),
        ({"floor_ms": 4_000_000_000_000}, "clock", "later than that before"),
        ({"security_profile": 2}, "TLS", "ws://"),
    ],
)
def test_what_fails_below_the_websocket(tmp_path: Path, fields: dict[str, Any], step: str, words: str) -> None:
    finding = failed(walk(tmp_path, **fields))
    assert finding.step == step and words in finding.found


def secured(home: Path, context: ssl.SSLContext) -> list[Finding]:
    async def run() -> list[Finding]:
        async with csms(ssl=context) as server:
            url = f"wss://localhost:{server.port}/ocpp"
            return await examine(order(server.port, url=url, security_profile=2), home, STATION)

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("wishes", "words"),
    [
        ({"since": -20, "days": 10}, "expired"),
        ({"since": 10}, "not valid yet; this station's clock says"),
        ({"name": "elsewhere.example", "hosts": ("elsewhere.example",)}, "another host name"),
    ],
)
def test_a_certificate_that_is_no_good(tmp_path: Path, wishes: dict[str, Any], words: str) -> None:
    finding = failed(secured(trusting(tmp_path, root(CA)), serving(leaf(**wishes), tmp_path)))
    assert finding.step == "TLS" and words in finding.found and "root" in finding.advice


def test_no_root_and_a_wrong_root(tmp_path: Path) -> None:
    context = serving(leaf(), tmp_path)
    assert "no root certificate" in failed(secured(tmp_path, context)).found
    assert "no installed root" in failed(secured(trusting(tmp_path, root("Stranger")), context)).found


def test_whether_the_certificate_was_revoked(tmp_path: Path) -> None:
    """Whom the station has asked is told, and a revoked one is the finding; Off says so."""

    async def run() -> list[list[Finding]]:
        responder = Responder()
        await responder.open()
        ocsp, _ = responder.speaks_for(root(CA))
        made = responder.knows(leaf(ocsp=ocsp), root(CA))
        async with csms(ssl=serving(made, trusting(tmp_path, root(CA)))) as server:
            url = f"wss://localhost:{server.port}/ocpp"
            found = []
            for mode in ("Soft", "Off", "Hard"):
                wishes = order(server.port, url=url, security_profile=2, revocation=mode)
                found.append(await examine(wishes, tmp_path, STATION, talks=False))
                responder.revokes(made)
                (tmp_path / "revocation.json").unlink(missing_ok=True)
        await responder.close()
        return found

    good, off, revoked = asyncio.run(run())
    assert "not revoked (says http://127.0.0.1:" in good[-1].found and good[-1].ok
    assert "not looked for" in off[-1].found and off[-1].ok
    finding = failed(revoked)
    assert finding.step == "TLS" and "it was revoked on" in finding.found and "renew" in finding.advice


@asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[int]:
    """A server that says the same to everybody."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "localhost", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "does not speak TLS"),
        (b"", ""),
        (b"\x15\x03\x03\x00\x02\x02\x28", "no cipher suite"),
        (b"\x15\x03\x03\x00\x02\x02\x46", "no TLS version"),
    ],
    ids=["ssh", "nothing", "no suite", "too old"],
)
def test_what_answers_is_no_csms_at_all(tmp_path: Path, answer: bytes, words: str) -> None:
    async def run(url: str, **fields: Any) -> list[Finding]:
        async with answering(answer) as port:
            return await examine(order(port, url=url.format(port=port), **fields), tmp_path, STATION)

    trusting(tmp_path, root(CA))
    assert failed(asyncio.run(run("ws://localhost:{port}/"))).step == "path"
    finding = failed(asyncio.run(run("wss://localhost:{port}/", security_profile=2)))
    assert finding.step == "TLS" and words in finding.found


def test_a_server_that_speaks_another_protocol(tmp_path: Path) -> None:
    def old(connection: ServerConnection, request: Request) -> Response | None:
        del request.headers["Sec-WebSocket-Protocol"]
        return None

    async def run() -> list[Finding]:
        async with csms(process_request=old, subprotocols=None) as server:
            return await examine(order(server.port), tmp_path, STATION)

    finding = failed(asyncio.run(run()))
    assert finding.step == "subprotocol" and "2.0.1" in finding.advice


# ------------------------------------------------------------------------------------- the command


def command(capsys: pytest.CaptureFixture[str], board: Path, *more: str) -> tuple[int, str]:
    code = cli.main(["doctor", "--config", str(board), "--socket", str(board.with_name("none.sock")), *more])
    return code, capsys.readouterr().out


def test_certificates_that_end_soon_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    board, state = tmp_path / "board.toml", tmp_path / "state"
    board.write_text(BOARD)
    (state / "credentials").mkdir(parents=True)
    maker = root("Maker")
    (state / "credentials" / "own.pem").write_text(issue("SN-1", maker, days=41, ca=False).pem + maker.pem)
    Store(state).install("CSMSRootCertificate", root("Operator", days=21).pem, 9, False, datetime.now(UTC))
    assert "CSMSRootCertificate CN=Operator ends on" in (text := command(capsys, board)[1]) and "CN=SN-1" not in text
    assert "FAIL  certificates" in text and "what to do: have the operator" in text
    assert "ChargingStationCertificate CN=SN-1 ends on" in command(capsys, board, "--days", "60")[1]
    assert "ok    certificates 2 are installed, none ends within 5 days" in command(capsys, board, "--days", "5")[1]
    (state / "credentials" / "own.pem").write_text("banana")
    assert "certificates 1 are installed" in command(capsys, board, "--days", "5")[1]


def test_the_command_works_without_the_agent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    board = tmp_path / "board.toml"
    network = '[network]\nurl = "ws://127.0.0.1:1/ocpp"\nidentity = "CD-0001"\npassword = "correct-horse-battery"\n'
    board.write_text(BOARD + network)
    (tmp_path / "state").mkdir()
    code, text = command(capsys, board)
    assert code == 1
    for part in ("ok    disk", "FAIL  agent", "chargerd is not running", "systemctl", "FAIL  TCP", "what to do"):
        assert part in text, text
    code, text = command(capsys, board, "--backend", "--json")
    steps = json.loads(text)
    assert [finding["step"] for finding in steps] == ["settings", "clock", "DNS", "TCP"] and code == 1
    assert "correct-horse-battery" not in text
    board.write_text(BOARD)
    assert command(capsys, board, "--backend")[0] == 0
    board.write_text("[station")
    code, text = command(capsys, board)
    assert code == 1 and "FAIL  settings" in text
