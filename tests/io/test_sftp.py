"""Logs to and firmware from SFTP servers that are known by their keys, and are not always nice."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from agent.io import senders, transfers
from agent.io.jobs import JobFailed, Place
from agent.io.uploads import upload
from hil.file_server import FileServer, Taken
from hil.sftp_server import HOME, Door
from tests.io.file_servers import Manners, served
from tests.io.sftp_servers import Offered, serving
from tests.marks import req

CONTENT = bytes(range(256)) * 1000
PASSWORD = "s ecret"
STRANGER = f"SHA256:{'x' * 42}A"


@contextlib.contextmanager
def offering(door: Door, **given: Any) -> Iterator[tuple[str, Manners]]:
    """The URL of a file that is given with these manners."""
    manners = Manners(**{"content": CONTENT, **given})
    with serving(lambda user: Offered(manners), door) as port:
        yield f"sftp://me:s%20ecret@127.0.0.1:{port}/dir/fw.bin", manners


@pytest.fixture(scope="module")
def key() -> asyncssh.SSHKey:
    return asyncssh.generate_private_key("ssh-ed25519")


@pytest.fixture
def door(key: asyncssh.SSHKey) -> Door:
    return Door(PASSWORD, key=key)


def fetch(home: Path, url: str, keys: str, *, most: int = 1_000_000, within_s: float = 60) -> bytes:
    """What the job leaves behind; raises its JobFailed."""
    data = {"url": url, "file": "", "protocols": ["SFTP"], "host_keys": keys, "most": most, "within_s": within_s}
    asyncio.run(transfers.fetch(Place(home), data, lambda news: None))
    return (home / "firmware" / "image").read_bytes()


def failure(home: Path, url: str, keys: str, **data: Any) -> dict[str, Any]:
    with pytest.raises(JobFailed) as failed:
        fetch(home, url, keys, **data)
    assert not (home / "firmware" / "image").exists()
    assert PASSWORD not in str(failed.value) and "s%20ecret" not in str(failed.value)
    return failed.value.data


# ------------------------------------------------------------------------------------------ firmware


@pytest.mark.parametrize(
    ("path", "at"),
    [
        ("/dir/fw.bin", "/dir/fw.bin"), ("//etc/passwd", "//etc/passwd"), ("/%2Fetc/passwd", "//etc/passwd"),
        ("/~/dir/fw.bin", f"{HOME}/dir/fw.bin"), ("/%7E/dir%2Ffw.bin", f"{HOME}/dir/fw.bin"),
    ],
)  # fmt: skip
def test_a_whole_file_at_an_absolute_path_or_in_the_folder_of_the_user(
    path: str, at: str, tmp_path: Path, door: Door
) -> None:
    with offering(door) as (url, manners):
        assert fetch(tmp_path, url.replace("/dir/fw.bin", path), door.fingerprint) == CONTENT
    assert manners.asked == [at, "0"]
    assert door.told == ["me", PASSWORD]


@req("L01.FR.30")
def test_a_file_that_broke_off_is_gone_on_with(tmp_path: Path, door: Door) -> None:
    with offering(door, cuts=[100_000, 50_000]) as (url, manners):
        for _ in range(2):
            assert "final" not in failure(tmp_path, url, door.fingerprint)
        assert fetch(tmp_path, url, door.fingerprint) == CONTENT
        assert manners.asked[1::2] == ["0", "100000", "150000"]


def test_another_version_begins_anew(tmp_path: Path, door: Door) -> None:
    with offering(door, cuts=[100_000]) as (url, manners):
        failure(tmp_path, url, door.fingerprint)
        manners.content, manners.tag = CONTENT[::-1], "longer"
        assert fetch(tmp_path, url, door.fingerprint) == CONTENT[::-1]


@pytest.mark.parametrize("manners", [{"lies": 10_000_000}, {"content": bytes(2_000_000)}, {"endless": True}])
def test_too_much_is_never_taken(manners: dict[str, Any], tmp_path: Path, door: Door) -> None:
    with offering(door, **manners) as (url, _):
        found = failure(tmp_path, url, door.fingerprint)
    assert found["final"] and "larger" in found["error"] and list((tmp_path / "firmware").iterdir()) == []


@pytest.mark.parametrize(
    ("manners", "error"),
    [({"lies": 10}, "after 256000 of 256010"), ({"status": 404}, "no such file"), ({"endless": True}, "too long")],
)
def test_what_goes_wrong_on_the_way(
    manners: dict[str, Any], error: str, tmp_path: Path, door: Door
) -> None:
    with offering(door, **manners) as (url, _):
        found = failure(tmp_path, url, door.fingerprint, most=1 << 40, within_s=0.5 if "endless" in manners else 60)
    assert error in found["error"] and "final" not in found


def test_a_server_that_falls_silent(tmp_path: Path, door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    with offering(door, cuts=[1000], stalls=True) as (url, _):
        monkeypatch.setattr(transfers, "STALL_S", 2.0)
        assert "silent" in failure(tmp_path, url, door.fingerprint)["error"]


def test_a_server_that_says_nothing_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfers, "STALL_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"sftp://me:x@127.0.0.1:{mute.getsockname()[1]}/fw"
        assert "silent" in failure(tmp_path, url, STRANGER)["error"]
    assert "refused" in failure(tmp_path, url, STRANGER)["error"]


@pytest.mark.parametrize(
    "says", [b"HTTP/1.1 400 no\r\n\r\n", b"SSH-2.0-x\r\n" + bytes(1 << 16), b"SSH-1.5-old\r\n", b"x" * 100]
)
def test_a_server_that_speaks_something_else_without_end(
    says: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def babble(connection: socket.socket, manners: Manners) -> None:
        while True:
            connection.sendall(says)

    monkeypatch.setattr(transfers, "STALL_S", 5.0)
    with served(babble, Manners()) as port:
        assert "final" not in failure(tmp_path, f"sftp://me:x@127.0.0.1:{port}/fw", STRANGER)


def test_a_cancelled_job_hangs_up(tmp_path: Path, door: Door) -> None:
    async def story(url: str, manners: Manners) -> None:
        data = {"url": url, "file": "", "protocols": ["SFTP"], "most": 10**6, "within_s": 60}
        job = asyncio.create_task(
            transfers.fetch(Place(tmp_path), {**data, "host_keys": door.fingerprint}, lambda news: None)
        )
        await asyncio.to_thread(manners.stalled.wait, 20)
        job.cancel()
        await asyncio.wait([job], timeout=5)
        assert job.cancelled()

    with offering(door, cuts=[1000], stalls=True) as (url, manners):
        asyncio.run(story(url, manners))


# ------------------------------------------------------------------------------------------ whom we trust


@pytest.mark.parametrize("keys", ["", STRANGER, "127.0.0.2={own}", "{own},127.0.0.1=" + STRANGER])
def test_a_server_whose_key_was_not_told_hears_nothing_from_us(keys: str, tmp_path: Path, door: Door) -> None:
    with offering(door) as (url, _):
        found = failure(tmp_path, url, keys.format(own=door.fingerprint))
        assert door.fingerprint in found["error"] and "SecurityCtrlr.SftpHostKeys" in found["error"]
        assert door.told == []
        assert fetch(tmp_path, url, f"{STRANGER}, 127.0.0.1={door.fingerprint}") == CONTENT


def test_a_wrong_password_is_told_once(tmp_path: Path, door: Door) -> None:
    with offering(door) as (url, _):
        found = failure(tmp_path, url.replace("s%20ecret", "wrong"), door.fingerprint)
    assert "Permission denied" in found["error"] and door.told == ["me", "wrong"]


@pytest.mark.parametrize(
    "weak",
    [
        {"kex_algs": ["diffie-hellman-group14-sha1"]}, {"encryption_algs": ["aes128-cbc"]},
        {"mac_algs": ["hmac-sha1"], "encryption_algs": ["aes128-ctr"]},
    ],
)  # fmt: skip
def test_old_algorithms_are_not_spoken(weak: dict[str, list[str]], tmp_path: Path, door: Door) -> None:
    door.algorithms = weak
    with offering(door) as (url, _):
        failure(tmp_path, url, door.fingerprint)
    assert door.told == []


def test_nothing_of_the_system_is_read_and_no_key_offered(
    tmp_path: Path, door: Door, key: asyncssh.SSHKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    ssh = tmp_path / "home" / ".ssh"
    ssh.mkdir(parents=True)
    key.write_private_key(ssh / "id_ed25519")
    (ssh / "config").write_text("Host *\n  User somebody\n  Ciphers no-such\n")
    (ssh / "known_hosts").write_text(f"* {key.export_public_key().decode()}")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with socket.socket(socket.AF_UNIX) as agent, offering(door) as (url, _):
        agent.bind(str(tmp_path / "agent"))
        agent.listen()
        agent.setblocking(False)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
        assert fetch(tmp_path, url, door.fingerprint) == CONTENT
        assert door.told == ["me", PASSWORD]
        assert "none of" in failure(tmp_path / "b", url, STRANGER)["error"], "not even a key of known_hosts"
        with pytest.raises(BlockingIOError):
            agent.accept()


# ------------------------------------------------------------------------------------------ logs


def sent(door: Door, home: Path, url: Callable[[int], str], keys: str | None = None) -> Taken:
    """What reaches the server; `url` is made of its port. Raises JobFailed."""
    told = door.fingerprint if keys is None else keys
    data = {"kind": "SecurityLog", "oldest": None, "latest": None, "file": "log.gz", "protocols": ["SFTP"],
            "host_keys": told}  # fmt: skip

    async def run() -> Taken:
        server = FileServer()
        try:
            await upload(Place(home), {**data, "url": url(await server.open_sftp(door))}, lambda news: None)
            return server.taken[-1]
        finally:
            await server.close()

    return asyncio.run(run())


@req("N01.FR.09")
@pytest.mark.parametrize(
    ("path", "at"),
    [
        ("", f"{HOME}/log.gz"), ("/in/deep/", "/in/deep/log.gz"), ("/in/mine.tgz", "/in/mine.tgz"),
        ("/~/", f"{HOME}/log.gz"), ("/~/in", f"{HOME}/in/log.gz"), ("/%2Fetc/", "//etc/log.gz"),
    ],
)  # fmt: skip
def test_a_log_is_stored_in_a_folder_or_under_a_name(path: str, at: str, tmp_path: Path, door: Door) -> None:
    taken = sent(door, tmp_path, lambda port: f"sftp://me:s%20ecret@127.0.0.1:{port}{path}")
    assert (taken.how, taken.path) == ("SFTP", at) and taken.content[:2] == b"\x1f\x8b"
    assert door.told == ["me", PASSWORD]


@req("N01.FR.10")
@pytest.mark.parametrize(
    ("user", "path", "status", "error"),
    [
        ("me:wrong", "/", "PermissionDenied", "Permission denied"),
        ("forbidden:s%20ecret", "/", "PermissionDenied", "not for you"),
        ("me:s%20ecret", "/missing/", "UploadFailure", "no such folder"),
        ("full:s%20ecret", "/", "UploadFailure", "no room"),
        ("read-only:s%20ecret", "/", "NotSupportedOperation", "nothing can be written"),
        ("cuts:s%20ecret", "/", "UploadFailure", "Connection|closed"),
        ("stalls:s%20ecret", "/", "UploadFailure", "stalled"),
    ],
)
def test_what_goes_wrong_is_told(
    user: str, path: str, status: str, error: str, tmp_path: Path, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    if user.startswith("stalls"):
        monkeypatch.setattr(senders, "IDLE_S", 2.0)
    with pytest.raises(JobFailed, match=error) as failed:
        sent(door, tmp_path, lambda port: f"sftp://{user}@127.0.0.1:{port}{path}")
    assert failed.value.data["status"] == status
    assert "ecret" not in str(failed.value) and "wrong" not in str(failed.value)


def test_a_log_goes_to_no_stranger(tmp_path: Path, door: Door) -> None:
    with pytest.raises(JobFailed, match="none of SecurityCtrlr"):
        sent(door, tmp_path, lambda port: f"sftp://me:s%20ecret@127.0.0.1:{port}/", STRANGER)
    assert door.told == []


def test_the_library_is_loaded_by_nothing_but_a_transfer() -> None:
    script = "import sys, agent.app, agent.io.transfers, agent.io.uploads; print('asyncssh' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "False\n"
