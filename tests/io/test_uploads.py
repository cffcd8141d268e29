"""The worker of GetLog against real servers, good ones and such as stall, cut, refuse, babble and never end."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import ssl
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from agent.io import senders
from agent.io.jobs import JobFailed, Place
from agent.io.logs import NAME, StationLog
from agent.io.redaction import Redactor
from agent.io.security_log import SecurityLog
from agent.io.uploads import upload
from hil.file_server import FileServer, Taken
from hil.pki import issue, root
from tests.marks import req

PASSWORD, TOKEN, KEY = "hunter2hunter2hunter2", "04C0FFEE010203", "MHcCAQEEIPlantedPrivateKey"
PEM = f"-----BEGIN EC PRIVATE KEY-----\n{KEY}\n-----END EC PRIVATE KEY-----"
PLANTED: Mapping[str, Any] = {
    "status": {"evses": [{"transaction": {"id": "t1", "token": TOKEN}}]},
    "config.list": [{"name": "SecurityCtrlr.BasicAuthPassword", "value": PASSWORD}],
    "tx.list": {"running": [{"token": TOKEN}], "ended": []},
    "bus.health": [{"bus": "rs485", "up": True, "errors": 3}],
}
"""What the agent would answer if its own care failed."""


async def _answers(verb: str, args: Mapping[str, Any]) -> tuple[bool, Any]:
    return (True, PLANTED[verb]) if verb in PLANTED else (False, {"error": f"no verb {verb}"})


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A state directory with logs in which secrets were planted."""
    log = StationLog(tmp_path / NAME, lambda: 5, Redactor.of(tmp_path))
    log.seen("<", 1, json.dumps([2, "1", "SetNetworkProfile", {"connectionData": {"apn": {"apnPassword": PASSWORD}}}]))
    log.seen(">", 1, json.dumps([2, "2", "Authorize", {"idToken": {"idToken": TOKEN, "type": "ISO14443"}}]))
    log.noted("info", "boot", f"PowerUp {PEM} ftp://u:{PASSWORD}@logs.example/")
    SecurityLog(tmp_path).append(1_700_000_000_000, "StartupOfTheDevice", "PowerUp")
    SecurityLog(tmp_path).append(1_800_000_000_000, "ResetOrReboot", "later")
    (tmp_path / "board.toml").write_text(f'[network]\nurl = "ws://u:{PASSWORD}@x"\npassword = "{PASSWORD}"\n')
    (tmp_path / "client.key").write_text(PEM)
    return Place(tmp_path, _answers, log, tmp_path / "board.toml")


def wanted(url: str, **fields: Any) -> dict[str, Any]:
    protocols = ["HTTP", "HTTPS", "FTP", "FTPS"]
    return {"kind": "DiagnosticsLog", "url": url, "oldest": None, "latest": None, "file": "log.tar.gz",
            "protocols": protocols, "host_keys": "", **fields}  # fmt: skip


def uploaded(place: Place, url: Callable[[int, int], str], tls: ssl.SSLContext | None = None, **fields: Any) -> Taken:
    """What reaches a server; `url` is made of its HTTP and FTP ports. Raises JobFailed."""

    async def run() -> Taken:
        server = FileServer()
        try:
            http, ftp = await server.open_http("localhost", tls), await server.open_ftp("localhost", tls)
            await upload(place, wanted(url(http, ftp), **fields), lambda told: None)
            return server.taken[-1]
        finally:
            await server.close()

    return asyncio.run(run())


def contents(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        files = {member.name: tar.extractfile(member) for member in tar}
        return {name: file.read() for name, file in files.items() if file is not None}


@req("N01.FR.02", "N01.FR.04", "N01.FR.14")
def test_the_archive_has_everything_and_no_secret(place: Place) -> None:
    taken = uploaded(place, lambda http, ftp: f"http://localhost:{http}/in/")
    assert (taken.how, taken.path) == ("PUT", "/in/log.tar.gz")
    parts = contents(taken.content)
    names = "manifest station.jsonl.gz security.jsonl status config sessions faults why history bus_health board files"
    for name in names.split():
        assert any(part.startswith(f"chargerd/{name}") for part in parts), name
    lines = [json.loads(line) for line in gzip.decompress(parts["chargerd/station.jsonl.gz"]).splitlines()]
    assert [line.get("topic", line.get("dir")) for line in lines] == ["<", ">", "boot"]
    assert json.loads(parts["chargerd/bus_health.json"])[0]["errors"] == 3
    assert "no verb" in parts["chargerd/faults.json"].decode(), "what is missing says why"
    plain = b"".join(gzip.decompress(part) if name.endswith("gz") else part for name, part in parts.items()).decode()
    for secret in (PASSWORD, TOKEN, KEY):
        assert secret not in plain and secret.lower() not in plain.lower()
    assert plain.count(Redactor.of(place.state_dir).alias(TOKEN)) == 3, "the same customer has the same alias"


@req("N01.FR.03")
def test_a_security_log_of_a_window_and_an_empty_one(place: Place) -> None:
    def lines(**window: Any) -> list[str]:
        taken = uploaded(place, lambda http, ftp: f"http://localhost:{http}/in/", kind="SecurityLog", **window)
        return gzip.decompress(taken.content).decode().splitlines()

    assert [json.loads(line)["type"] for line in lines()] == ["StartupOfTheDevice", "ResetOrReboot"]
    assert [json.loads(line)["type"] for line in lines(oldest=1_750_000_000_000)] == ["ResetOrReboot"]
    assert lines(latest=1) == []


@req("N01.FR.18", "N01.FR.19")
def test_a_server_without_put_gets_a_form(place: Place) -> None:
    taken = uploaded(place, lambda http, ftp: f"http://u:p%40ss@localhost:{http}/no-put/in?a=b")
    assert (taken.how, taken.path) == ("POST", "/no-put/in?a=b")
    assert taken.fields["content-type"].startswith("multipart/form-data; boundary=")
    assert taken.fields["authorization"] == "Basic dTpwQHNz"
    head = taken.content.partition(b"\r\n\r\n")[0].decode()
    assert 'Content-Disposition: form-data; name="uploadfile"; filename="log.tar.gz"' in head
    assert "Content-Type: application/octet-stream" in head


@pytest.mark.parametrize(
    ("path", "at"), [("", "log.tar.gz"), ("in/deep", "in/deep/log.tar.gz"), ("in/mine.tgz", "in/mine.tgz")]
)
@pytest.mark.parametrize("scheme", ["ftp", "ftps"])
def test_ftp_stores_passively_in_a_folder_or_under_a_name(place: Place, scheme: str, path: str, at: str) -> None:
    tls = _tls(place) if scheme == "ftps" else None
    taken = uploaded(place, lambda http, ftp: f"{scheme}://me:x@localhost:{ftp}/{path}", tls)
    assert (taken.how, taken.path, taken.fields["user"]) == ("STOR", at, "me")
    assert contents(taken.content)


def _tls(place: Place, trust: bool = True) -> ssl.SSLContext:
    """A server by a CSMS root that the station has installed, or has not."""
    made = issue("localhost", root("CSMS"), hosts=("localhost",), ca=False)
    file = place.state_dir / "server.pem"
    file.write_text(made.both)
    if trust:
        installed = place.state_dir / "certificates" / "CSMSRootCertificate" / "root.pem"
        installed.parent.mkdir(parents=True, exist_ok=True)
        installed.write_text(root("CSMS").pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


@req("N01.FR.15")
def test_the_csms_root_is_trusted_and_a_stranger_is_not(place: Place) -> None:
    with pytest.raises(JobFailed, match="not trusted"):
        uploaded(place, lambda http, ftp: f"https://localhost:{http}/in/", _tls(place, trust=False))
    assert uploaded(place, lambda http, ftp: f"https://localhost:{http}/in/", _tls(place)).content
    with pytest.raises(JobFailed, match="not trusted"):
        uploaded(place, lambda http, ftp: f"https://127.0.0.1:{http}/in/", _tls(place))


@req("N01.FR.16")
def test_the_roots_of_the_operating_system_are_trusted_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "os.pem").write_text(root("Public").pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "os.pem"))
    assert "Public" in str(senders.trusted(tmp_path).get_ca_certs())


@req("N01.FR.10")
@pytest.mark.parametrize(
    ("path", "status", "error"),
    [
        ("http://localhost:{http}/missing/", "UploadFailure", "HTTP 404"),
        ("http://localhost:{http}/broken/", "UploadFailure", "HTTP 503"),
        ("http://localhost:{http}/moved/", "UploadFailure", "HTTP 302"),
        ("http://localhost:{http}/forbidden/", "PermissionDenied", "HTTP 403"),
        ("http://localhost:{http}/strict/", "BadMessage", "HTTP 400"),
        ("http://localhost:{http}/read-only/", "NotSupportedOperation", "HTTP 405"),
        ("http://localhost:{http}/babbles/", "BadMessage", "no HTTP"),
        ("http://localhost:{http}/floods/", "BadMessage", "never ends"),
        ("http://localhost:{http}/cuts/", "UploadFailure", "hung up|reset|lost"),
        ("http://localhost:{http}/stalls/", "UploadFailure", "stalled"),
        ("http://localhost:1/", "UploadFailure", "refused|failed"),
        ("http://no-such-host.invalid/", "UploadFailure", "not found"),
        ("ftp://forbidden:x@localhost:{ftp}/", "PermissionDenied", "530"),
        ("ftp://me:x@localhost:{ftp}/missing/", "UploadFailure", "550"),
        ("ftps://me:x@localhost:{ftp}/", "NotSupportedOperation", "502"),
        ("ftp://floods:x@localhost:{ftp}/", "BadMessage", "never end"),
        ("ftp://stalls:x@localhost:{ftp}/", "UploadFailure", "stalled|timed out"),
        ("ftp://cuts:x@localhost:{ftp}/", "UploadFailure", "hung up|reset"),
        ("file://localhost/etc/shadow", None, "file is none of"),
        ("sftp://me@localhost/", None, "sftp is none of"),
    ],
)
def test_what_goes_wrong_is_told(
    place: Place, monkeypatch: pytest.MonkeyPatch, path: str, status: str | None, error: str
) -> None:
    monkeypatch.setattr(senders, "IDLE_S", 0.3)
    with pytest.raises(JobFailed, match=error) as failed:
        uploaded(place, lambda http, ftp: path.format(http=http, ftp=ftp))
    assert failed.value.data.get("status") == status
