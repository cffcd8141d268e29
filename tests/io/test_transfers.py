"""Fetching firmware from real servers that are not always nice."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.io import transfers
from agent.io.jobs import JobFailed, Place
from hil.pki import issue, root
from tests.io import file_servers
from tests.io.file_servers import Manners, served
from tests.marks import req

CONTENT = bytes(range(256)) * 1000
KINDS = ("http", "ftp")


@contextlib.contextmanager
def server(kind: str, **manners: Any) -> Iterator[tuple[str, Manners]]:
    """A server of this kind and its URL."""
    told = Manners(**{"content": CONTENT, **manners})
    with served(getattr(file_servers, kind), told) as port:
        yield f"{kind}://127.0.0.1:{port}/dir/fw.bin", told


def fetch(home: Path, url: str = "", *, file: str = "", most: int = 1_000_000, within_s: float = 60) -> bytes:
    """What the job leaves behind; raises its JobFailed."""
    data = {"url": url, "file": file, "protocols": ["FTP", "FTPS", "HTTP", "HTTPS"], "most": most, "within_s": within_s}
    told = asyncio.run(transfers.fetch(Place(home), data, lambda news: None))
    content = (home / "firmware" / "image").read_bytes()
    assert told["bytes"] == len(content)
    return content


def failure(home: Path, url: str = "", **data: Any) -> dict[str, Any]:
    with pytest.raises(JobFailed) as failed:
        fetch(home, url, **data)
    assert not (home / "firmware" / "image").exists()
    return failed.value.data


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_file(kind: str, tmp_path: Path) -> None:
    with server(kind) as (url, manners):
        assert fetch(tmp_path, url) == CONTENT
    assert len(manners.asked) == 1 and "dir/fw.bin" in manners.asked[0]
    assert (tmp_path / "firmware").stat().st_mode & 0o777 == 0o700


@req("L01.FR.30")
@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_broke_off_is_gone_on_with(kind: str, tmp_path: Path) -> None:
    with server(kind, cuts=[100_000, 50_000]) as (url, manners):
        assert "after 100000 of 256000" in failure(tmp_path, url)["error"]
        assert "after 150000 of 256000" in failure(tmp_path, url)["error"]
        assert fetch(tmp_path, url) == CONTENT
    assert [asked.split()[-1].removeprefix("bytes=").rstrip("-") for asked in manners.asked][1:] == ["100000", "150000"]


@pytest.mark.parametrize("kind", KINDS)
def test_another_version_begins_anew(kind: str, tmp_path: Path) -> None:
    with server(kind, cuts=[100_000]) as (url, manners):
        failure(tmp_path, url)
        manners.content, manners.tag = CONTENT[::-1], '"v2"'
        assert fetch(tmp_path, url) == CONTENT[::-1]


def test_a_server_without_ranges_begins_anew(tmp_path: Path) -> None:
    with server("http", cuts=[100_000], ranges=False) as (url, _):
        failure(tmp_path, url)
        assert fetch(tmp_path, url) == CONTENT


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_falls_silent(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfers, "STALL_S", 0.3)
    with server(kind, cuts=[1000], stalls=True) as (url, _):
        assert "silent" in failure(tmp_path, url)["error"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("manners", [{"lies": 10_000_000}, {"content": bytes(2_000_000)}, {"endless": True}])
def test_too_much_is_never_taken(kind: str, manners: dict[str, Any], tmp_path: Path) -> None:
    with server(kind, **manners) as (url, _):
        found = failure(tmp_path, url)
    assert found["final"] and "larger" in found["error"]
    assert list((tmp_path / "firmware").iterdir()) == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_last_of_the_flash_is_not_for_updates(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfers, "ROOM_LEFT", shutil.disk_usage(tmp_path).free * 2)
    with server(kind) as (url, _):
        found = failure(tmp_path, url)
    assert found["final"] and "room" in found["error"] and list((tmp_path / "firmware").iterdir()) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_says_no(kind: str, tmp_path: Path) -> None:
    with server(kind, status=404) as (url, _):
        assert failure(tmp_path, url).get("final") is None
    assert "refused" in failure(tmp_path, url)["error"]


def test_an_attempt_that_takes_too_long(tmp_path: Path) -> None:
    with server("http", endless=True) as (url, _):
        assert "too long" in failure(tmp_path, url, within_s=0.2, most=1 << 40)["error"]


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://x/", "//other/x", "", "https:/x", "http://h/%0d%0a"]
)
def test_a_redirect_elsewhere_is_refused(location: str, tmp_path: Path) -> None:
    with server("http", status=302, location=location) as (url, manners):
        assert failure(tmp_path, url)["final"] and len(manners.asked) == 1


def test_redirects_within_http_are_followed_but_not_for_ever(tmp_path: Path) -> None:
    with server("http") as (there, _), server("http", status=307, location=there) as (url, _):
        assert fetch(tmp_path, url) == CONTENT
    with server("http", status=301, location="/again") as (url, manners):
        assert "redirects" in failure(tmp_path / "other", url)["error"] and len(manners.asked) == 5


@pytest.mark.parametrize("url", ["file:///etc/passwd", "dummy://dummy", "sftp://host/x", "/etc/passwd"])
def test_no_url_reaches_a_local_file(url: str, tmp_path: Path) -> None:
    assert failure(tmp_path, url)["final"]


def test_user_and_password_of_the_url(tmp_path: Path) -> None:
    with server("ftp", password="s e") as (url, manners):
        assert fetch(tmp_path, url.replace("//", "//me:s%20e@")) == CONTENT
        assert "530" in failure(tmp_path, url.replace("//", "//me:no@"))["error"]
    assert "me" not in "".join(manners.asked)


@pytest.mark.parametrize("kind", ["https", "ftps"])
def test_tls_trusts_the_roots_of_the_csms_only(kind: str, tmp_path: Path) -> None:
    ca = root("Files CA")
    chain = tmp_path / "server.pem"
    chain.write_text(issue("localhost", ca, ca=False, hosts=("localhost",)).both)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    with served(getattr(file_servers, kind)(context), Manners(CONTENT)) as port:
        url = f"{kind}://localhost:{port}/fw.bin"
        assert "CERTIFICATE_VERIFY_FAILED" in failure(tmp_path, url)["error"]
        roots = tmp_path / "certificates" / "CSMSRootCertificate"
        roots.mkdir(parents=True)
        (roots / "a.pem").write_text(ca.pem)
        assert fetch(tmp_path, url) == CONTENT


def test_a_cancelled_job_hangs_up(tmp_path: Path) -> None:
    async def story(url: str, manners: Manners) -> None:
        data = {"url": url, "file": "", "protocols": ["HTTP"], "most": 10**6, "within_s": 60}
        job = asyncio.create_task(transfers.fetch(Place(tmp_path), data, lambda news: None))
        await asyncio.to_thread(manners.stalled.wait, 10)
        job.cancel()
        await asyncio.wait([job], timeout=5)
        assert job.cancelled()

    with server("http", cuts=[1000], stalls=True) as (url, manners):
        asyncio.run(story(url, manners))


def test_a_file_of_a_person_at_the_station(tmp_path: Path) -> None:
    (tmp_path / "fw").write_bytes(CONTENT)
    assert fetch(tmp_path, file=str(tmp_path / "fw")) == CONTENT
    assert "No such file" in failure(tmp_path / "a", file=str(tmp_path / "no"))["error"]
    assert "no file" in failure(tmp_path / "b", file="/dev/zero")["error"]
